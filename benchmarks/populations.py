"""``make bench``: what a population costs on one CPU thread, and what keeping freed memory saves it.

All updates of an environment step on HalfCheetah with sampling and noise, for one seed and for five in one
population.  Memory is kept or not by a whole process (`alm.training.memory`), so that every measurement has
a fresh one; those with and without take turns.
"""

import resource
import statistics
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from rich.console import Console
from rich.table import Table

from alm.tasks import task_spec
from alm.training.memory import keep_freed_memory
from alm.training.scale import scale_named
from benchmarks.timing import TASK, milliseconds, random_replay, write_record
from reproduce.running.algorithms import ALGORITHMS, algorithm_named

ALGORITHMS_MEASURED = ("alm", "redq")
POPULATIONS = (1, 5)
ROUNDS = 3
UPDATES = 5


def measure(name: str, scale: str, seeds: int, kept: bool, updates: int = UPDATES) -> dict[str, float]:
    """Medians over a few updates in this process: milliseconds, and pages asked of the system."""
    torch.set_num_threads(1)
    if kept and not keep_freed_memory():
        raise RuntimeError("this C library cannot keep freed memory: there is nothing to compare")
    agent_class, config_class = algorithm_named(name).load()
    agent = agent_class(task_spec(TASK), config_class.at(scale_named(scale), TASK), tuple(range(seeds)))
    replay = random_replay(seeds, "cpu")
    times, pages = [], []
    for step in range(1, updates + 2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        times.append(milliseconds(lambda: agent.learn(replay, step)))  # noqa: B023
        pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    # The first update allocates what stays: the optimisers' moments.
    return {"ms": statistics.median(times[1:]), "pages": statistics.median(pages[1:])}


def main() -> None:
    """Measure, print a table and write ``benchmarks/results/populations.json``."""
    table = Table(title=f"Updates of one environment step, {TASK}, one CPU thread, processor time")
    for column in ("", "seeds", "ms", "ms, memory given back", "it / kept", "pages asked for", "ms a seed"):
        table.add_column(column, justify="right" if column else "left")
    results: dict[str, dict[str, float]] = {}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        for name in ALGORITHMS_MEASURED:
            for scale in ("paper", "laptop"):
                for seeds in POPULATIONS:
                    one = _compare(fresh, name, scale, seeds)
                    results[f"{name} {scale} {seeds}"] = one
                    table.add_row(
                        f"{ALGORITHMS[name].title}, {scale} scale",
                        str(seeds),
                        f"{one['kept_ms']:.1f}",
                        f"{one['given_back_ms']:.1f}",
                        f"{one['given_back_over_kept']:.2f}",
                        f"{one['given_back_pages']:.0f}",
                        f"{one['kept_ms'] / seeds:.1f}",
                    )
    Console().print(table)
    write_record("populations", results, ROUNDS)


def _compare(fresh: ProcessPoolExecutor, name: str, scale: str, seeds: int) -> dict[str, float]:
    rounds = [
        [fresh.submit(measure, name, scale, seeds, kept).result() for kept in (True, False)]
        for _ in range(ROUNDS)
    ]
    kept, given_back = zip(*rounds, strict=True)
    return {
        "kept_ms": statistics.median(one["ms"] for one in kept),
        "given_back_ms": statistics.median(one["ms"] for one in given_back),
        "given_back_over_kept": statistics.median(b["ms"] / a["ms"] for a, b in rounds),
        "kept_pages": statistics.median(one["pages"] for one in kept),
        "given_back_pages": statistics.median(one["pages"] for one in given_back),
    }


if __name__ == "__main__":
    main()
