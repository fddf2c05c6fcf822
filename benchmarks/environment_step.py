"""``make bench``: what one environment step of every algorithm costs, and the paper's claims about it.

On HalfCheetah, float32, one thread: acting, the simulator, and all updates that belong to the step, at the
papers' sizes and at those of ``laptop`` scale.  What comes round only every so often (MBPO's model and its
rollouts) is timed on its own and spread over the steps between.  The paper says that ALM's updates are
about ten times cheaper than MBPO's and six times cheaper than REDQ's, measured on a GPU.
"""

import statistics
from dataclasses import asdict, dataclass
from typing import Annotated

import torch
import tyro
from rich.console import Console
from rich.table import Table

from alm.tasks import make, task_spec
from alm.training.scale import scale_named
from alm.training.streams import Purpose, Streams
from benchmarks.timing import TASK, as_in_training, filled_replay, gigaflop, milliseconds, write_record
from reproduce.running.algorithms import ALGORITHMS, algorithm_named
from reproduce.running.machine import matrix_gigaflops

ROUNDS = 7
REPLAY = 12_000
SCALES = ("paper", "laptop")
# Algorithms whose costs come in stages far apart; their steps are not comparable one by one.
_IN_STAGES = ("slbo",)
# First training step that is timed: behind SAC-SVG's phase without rollouts, apart from MBPO's trainings.
_FIRST = 15_010
# What the paper says an environment step costs in units of ALM's (section 5.1).
PAPER_SAYS = {"mbpo": 10.0, "redq": 6.0}


@dataclass(frozen=True)
class Cost:
    """Of one environment step."""

    step_ms: float
    """Acting, simulator and updates; the median over rounds, and the share of what comes round rarely."""
    periodic_ms: float
    """That share."""
    gflop: float
    """Matrix products of the updates, the same share included."""


def cost(name: str, scale: str) -> Cost:
    """Measure an algorithm at a scale."""
    task, environment, replay = task_spec(TASK), make(TASK), filled_replay(REPLAY)
    agent_class, config_class = algorithm_named(name).load()
    agent = agent_class(task, config_class.at(scale_named(scale), TASK), (0,))
    acting = Streams((0,), Purpose.ACTING)
    observation = environment.reset(seed=0)[0]

    def step(training_step: int) -> None:
        nonlocal observation
        batch = torch.as_tensor(observation, dtype=torch.float32)[None, None]
        action = agent.act(batch, training_step, acting)[0, 0].numpy()
        observation, _, terminated, truncated, _ = environment.step(action)
        if terminated or truncated:
            observation = environment.reset()[0]
        agent.learn(replay, training_step)

    period = getattr(agent.config, "retrain_every", None)
    periodic_ms = periodic_gflop = 0.0
    if period is not None:
        due = _FIRST - _FIRST % 1000 + 1
        # The first training of the model is far longer than those that follow.
        agent.learn(replay, due)
        periodic_ms = milliseconds(lambda: agent.learn(replay, due))
        periodic_gflop = gigaflop(lambda: agent.learn(replay, due))
    # Policies that move in every second step cost two amounts: rounds of two steps.
    step(_FIRST)
    usual = statistics.median(
        milliseconds(lambda first=_FIRST + 2 * i: [step(first), step(first + 1)]) / 2 for i in range(ROUNDS)
    )
    usual_gflop = gigaflop(lambda: [agent.learn(replay, _FIRST + i) for i in range(2)]) / 2
    share_ms = (periodic_ms - usual) / period if period else 0.0
    share_gflop = (periodic_gflop - usual_gflop) / period if period else 0.0
    return Cost(usual + share_ms, share_ms, usual_gflop + share_gflop)


def main(algorithms: Annotated[tuple[str, ...], tyro.conf.Positional] = ()) -> None:
    """Measure, print tables and write ``benchmarks/results/environment_step.json``.

    Args:
        algorithms: Measure and print these only, and write nothing.
    """
    as_in_training()
    results: dict[str, dict[str, Cost]] = {}
    for scale in SCALES:
        names = algorithms or [name for name in ALGORITHMS if name not in _IN_STAGES]
        results[scale] = {name: cost(name, scale) for name in names}
        _print(scale, results[scale])
    Console().print(
        "On a CPU arithmetic decides; on a GPU, where the paper measured, the number of kernels does: MBPO "
        "and REDQ make twenty or more updates of small networks where ALM makes one of large ones.",
        style="dim",
    )
    if not algorithms:
        costs = {scale: {name: asdict(one) for name, one in own.items()} for scale, own in results.items()}
        record = {"matrix_gigaflops": matrix_gigaflops(), "paper_says": PAPER_SAYS, "costs": costs}
        write_record("environment_step", record, ROUNDS)


def _print(scale: str, costs: dict[str, Cost]) -> None:
    own = costs.get("alm")
    table = Table(title=f"One environment step, {TASK}, {scale} scale, float32, one CPU thread")
    for column in ("", "ms", "of it, spread", "GFLOP", "ms / ALM's", "GFLOP / ALM's", "the paper says"):
        table.add_column(column, justify="right" if column else "left")
    for name, one in sorted(costs.items(), key=lambda item: item[1].step_ms):
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
