"""``python -m benchmarks.denormals``: cost of denormal numbers in updates on a CPU.

Numbers below the smallest normal one (1.2e-38 in float32) are computed in microcode, so a training process
rounds them to zero during updates (`alm.training.execution`). Here the same update runs with and without,
in turns, on T-Humanoid at ``laptop`` scale, after updates on transitions of random actions: by then SVG(1)'s
policy finds these actions so improbable that their importance weights, and with them gradients, are denormal.
"""

import statistics
from collections.abc import Callable
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from alm.task_registry import task_spec
from alm.training.execution import Execution, execute
from alm.training.scale import scale_named
from benchmarks.timing import as_in_training, filled_replay, median_ratio, take_turns, write_record
from reproduce.lab.algorithms import ALGORITHMS, algorithm_named

TASK = "T-Humanoid"
MEASURED = ("alm", "sac", "td3", "svg")
TRANSITIONS = 5000
UPDATES = 500
ROUNDS = 15
# An even number, since TD3 updates its policy at every second step.
_STEPS = 4


def measure(
    name: str,
    scale: str = "laptop",
    transitions: int = TRANSITIONS,
    updates: int = UPDATES,
    rounds: int = ROUNDS,
) -> dict[str, float]:
    """Milliseconds of an update with denormals rounded and kept, and the median ratio over rounds."""
    agent_class, config_class = algorithm_named(name).load()
    replay = filled_replay(transitions, TASK)

    def learner(rounds_denormals: bool) -> Callable[[], object]:
        agent = agent_class(task_spec(TASK), config_class.at(scale_named(scale), TASK), (0,))
        kept = agent.update
        execute(agent, Execution(), print)
        for step in range(1, updates + 1):
            agent.learn(replay, step)
        if not rounds_denormals:
            agent.update = kept
        return lambda: [agent.learn(replay, updates + i) for i in range(_STEPS)]

    times = take_turns({way: learner(way == "rounded") for way in ("rounded", "kept")}, rounds)
    found = {f"{way}_ms": statistics.median(taken) / _STEPS for way, taken in times.items()}
    return {**found, "kept_over_rounded": median_ratio(times["kept"], times["rounded"])}


def main(algorithms: Annotated[tuple[str, ...], tyro.conf.Positional] = MEASURED) -> None:
    """Measure, print a table and write ``out/benchmarks/denormals.json``.

    Args:
        algorithms: Measure only these, and record no others.
    """
    as_in_training()
    results = {name: measure(name) for name in algorithms}
    table = Table(title=f"An update after {UPDATES}, {TASK}, laptop scale, one CPU thread")
    for column in ("", "denormals rounded, ms", "kept, ms", "kept / rounded"):
        table.add_column(column, justify="right" if column else "left")
    for name, one in results.items():
        numbers = f"{one['rounded_ms']:.1f}", f"{one['kept_ms']:.1f}", f"{one['kept_over_rounded']:.2f} ×"
        table.add_row(ALGORITHMS[name].title, *numbers)
    Console().print(table)
    write_record("denormals", results, task=TASK, rounds=ROUNDS)


if __name__ == "__main__":
    tyro.cli(main)
