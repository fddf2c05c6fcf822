"""``make bench``: cost of one environment step of every algorithm, and the paper's claims about it.

On HalfCheetah, float32, one thread: acting, the simulator, and all updates of the step, compiled where those
of runs are, at the papers' sizes and at those of ``laptop`` scale; all algorithms take turns. Periodic work
(MBPO's model and its rollouts) is timed separately and spread over the steps between. The paper says that
ALM's updates are about ten times cheaper than MBPO's and six times cheaper than REDQ's, measured on a GPU.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from alm.task_registry import task_spec
from alm.tasks import make
from alm.training.replay import Replay
from alm.training.scale import scale_named
from alm.training.streams import Purpose, Streams
from benchmarks.timing import (
    FIRST_STEP,
    TASK,
    as_in_training,
    execute_as_in_runs,
    filled_replay,
    gigaflop,
    milliseconds,
    take_turns,
    write_record,
)
from reproduce.lab.algorithms import ALGORITHMS, algorithm_named
from reproduce.lab.costs import matrix_gigaflops

ROUNDS = 7
REPLAY = 12_000
SCALES = ("paper", "laptop")
# Algorithms that learn in stages far apart; their steps are not comparable one by one.
_IN_STAGES = ("slbo",)
# Cost of an environment step relative to ALM's, according to the paper (section 5.1).
PAPER_SAYS = {"mbpo": 10.0, "redq": 6.0}


@dataclass(frozen=True)
class Cost:
    """Cost of one environment step."""

    step_ms: float
    """Acting, simulator and updates: the median over rounds, plus the share of periodic work."""
    periodic_ms: float
    """That share."""
    gflop: float
    """Matrix products of the updates, including the same share."""


class Candidate:
    """Algorithm in the middle of training at a scale, with one seed or several together."""

    def __init__(self, name: str, scale: str, replay: Replay, seeds: int = 1) -> None:
        agent_class, config_class = algorithm_named(name).load()
        numbers = tuple(range(seeds))
        self.agent = agent_class(task_spec(TASK), config_class.at(scale_named(scale), TASK), numbers)
        self.replay, self.environments = replay, [make(TASK) for _ in numbers]
        self.acting = Streams(numbers, Purpose.ACTING)
        self.observations = [one.reset(seed=seed)[0] for seed, one in enumerate(self.environments)]
        self.training_step = FIRST_STEP
        self.period: int | None = getattr(self.agent.config, "retrain_every", None)
        if self.period:
            # The first training of the model takes far longer than later ones.
            self.retrain()

    def two_steps(self) -> None:
        """Acting, the simulator and updates, twice since some policies change only every second step."""
        for _ in range(2):
            batch = torch.as_tensor(np.stack(self.observations), dtype=torch.float32)[:, None]
            actions = self.agent.act(batch, self.training_step, self.acting)[:, 0].numpy()
            for seed, (environment, action) in enumerate(zip(self.environments, actions, strict=True)):
                self.observations[seed], _, terminated, truncated, _ = environment.step(action)
                if terminated or truncated:
                    self.observations[seed] = environment.reset()[0]
            self.agent.learn(self.replay, self.training_step)
            self.training_step += 1

    def retrain(self) -> None:
        """Updates of a step that includes training of the model."""
        self.agent.learn(self.replay, FIRST_STEP - FIRST_STEP % 1000 + 1)

    def gigaflop(self) -> float:
        """Matrix products of a step; to be counted before updates are compiled."""
        usual = gigaflop(self.two_steps) / 2
        return usual + (gigaflop(self.retrain) - usual) / self.period if self.period else usual

    def periodic_ms(self, usual_ms: float) -> float:
        """Share of periodic work in the time of a step, given that of a step without it."""
        return (milliseconds(self.retrain) - usual_ms) / self.period if self.period else 0.0


def costed() -> list[str]:
    """Algorithms whose steps are comparable."""
    return [name for name in ALGORITHMS if name not in _IN_STAGES]


def costs(names: Sequence[str], scale: str, replay: Replay) -> dict[str, Cost]:
    """Costs of algorithms at a scale; their steps take turns."""
    torch.compiler.reset()  # see `alm_update.measure`
    candidates = {name: Candidate(name, scale, replay) for name in names}
    gflop = {name: one.gigaflop() for name, one in candidates.items()}
    for one in candidates.values():
        execute_as_in_runs(one.agent)
        one.two_steps()
    times = take_turns({name: one.two_steps for name, one in candidates.items()}, ROUNDS)
    usual = {name: statistics.median(taken) / 2 for name, taken in times.items()}
    periodic = {name: one.periodic_ms(usual[name]) for name, one in candidates.items()}
    return {name: Cost(usual[name] + periodic[name], periodic[name], gflop[name]) for name in candidates}


def main(algorithms: Annotated[tuple[str, ...], tyro.conf.Positional] = ()) -> None:
    """Measure, print tables and write ``out/benchmarks/environment_step.json``.

    Args:
        algorithms: Measure and print only these, and write nothing.
    """
    as_in_training()
    replay = filled_replay(REPLAY)
    results: dict[str, dict[str, Cost]] = {}
    for scale in SCALES:
        names = algorithms or costed()
        results[scale] = costs(names, scale, replay)
        _print(scale, results[scale])
    Console().print(
        "On a CPU arithmetic decides; on a GPU, where the paper measured, the number of kernels does: MBPO "
        "and REDQ make twenty or more updates of small networks where ALM makes one of large ones.",
        style="dim",
    )
    if not algorithms:
        measured = {scale: {name: asdict(one) for name, one in own.items()} for scale, own in results.items()}
        record = {"matrix_gigaflops": matrix_gigaflops(), "paper_says": PAPER_SAYS, "costs": measured}
        write_record("environment_step", record, task=TASK, rounds=ROUNDS)


def _print(scale: str, measured: dict[str, Cost]) -> None:
    own = measured.get("alm")
    table = Table(title=f"One environment step, {TASK}, {scale} scale, float32, one CPU thread")
    for column in ("", "ms", "of it, spread", "GFLOP", "ms / ALM's", "GFLOP / ALM's", "the paper says"):
        table.add_column(column, justify="right" if column else "left")
    for name, one in sorted(measured.items(), key=lambda item: item[1].step_ms):
        said = PAPER_SAYS.get(name) if scale == "paper" else None
        table.add_row(
            ALGORITHMS[name].title,
            f"{one.step_ms:.1f}",
            f"{one.periodic_ms:.1f}" if one.periodic_ms else "",
            f"{one.gflop:.2f}",
            f"{one.step_ms / own.step_ms:.2f}" if own else "",
            f"{one.gflop / own.gflop:.2f}" if own else "",
            "" if said is None else f"{said:g}",
        )
    Console().print(table)


if __name__ == "__main__":
    tyro.cli(main)
