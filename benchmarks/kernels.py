"""``python -m benchmarks.kernels``: number of kernels that a GPU would launch for one environment step.

For every algorithm at HalfCheetah's sizes, it counts on the CPU the tensor operations other than views of
acting and of all updates per step, and measures the simulator's time. Periodic work (MBPO's model and its
rollouts) is spread over the steps between. A population needs as many kernels as a single seed, since seeds
are an axis of every tensor. The counts are the same on every machine; the plan and docs/scaling.md derive
GPU estimates from them.
"""

import statistics
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from alm.tasks import make
from alm.training.replay import Replay
from benchmarks.environment_step import REPLAY, SCALES, Candidate, costed
from benchmarks.timing import TASK, as_in_training, filled_replay, milliseconds, operations, write_record
from reproduce.lab.algorithms import ALGORITHMS

ROUNDS = 5
_SIMULATED = 500


def kernels(name: str, scale: str, replay: Replay) -> float:
    """Mean number of kernels per environment step of an algorithm."""
    candidate = Candidate(name, scale, replay)
    candidate.two_steps()  # one-time work of libraries
    usual = operations(candidate.two_steps) / 2
    if not candidate.period:
        return usual
    return usual + (operations(candidate.retrain) - usual) / candidate.period


def simulator_ms() -> float:
    """Processor time of one simulator step, as the median over half-episodes."""
    environment = make(TASK)
    environment.action_space.seed(0)
    environment.reset(seed=0)
    actions = [environment.action_space.sample() for _ in range(_SIMULATED)]

    def play() -> None:
        for action in actions:
            _, _, terminated, truncated, _ = environment.step(action)
            if terminated or truncated:
                environment.reset()

    return statistics.median(milliseconds(play) for _ in range(ROUNDS)) / _SIMULATED


def main(algorithms: Annotated[tuple[str, ...], tyro.conf.Positional] = ()) -> None:
    """Count, print a table and write ``out/benchmarks/kernels.json``.

    Args:
        algorithms: Count only these, and record no others. None: all; MBPO takes minutes.
    """
    as_in_training()
    replay, names = filled_replay(REPLAY), algorithms or costed()
    found = {scale: {name: kernels(name, scale, replay) for name in names} for scale in SCALES}
    table = Table(title=f"Kernels of one environment step, {TASK}")
    for column in ("", *SCALES):
        table.add_column(column, justify="right" if column else "left")
    for name in names:
        table.add_row(ALGORITHMS[name].title, *(f"{found[scale][name]:,.0f}" for scale in SCALES))
    Console().print(table)
    apart = [name for name, one in ALGORITHMS.items() if one.load()[0].trains_seeds_apart]
    results = {"simulator_ms": simulator_ms(), "kernels": found, "one_after_another": apart}
    write_record("kernels", results, task=TASK, rounds=ROUNDS)


if __name__ == "__main__":
    tyro.cli(main)
