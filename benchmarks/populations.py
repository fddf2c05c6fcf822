"""``make bench``: cost of a population on one CPU thread, compared with a plain program and with itself.

All updates of an environment step on HalfCheetah with sampling and noise, for one seed and for a population
of five. A training process keeps the memory that it has freed (`keep_freed_memory`). This is a setting of
the whole process, so every measurement runs in a fresh one: ours as in training, ours without kept memory,
and the plain implementation for one seed with the default setting. They take turns.

For every algorithm whose seeds can train together it also measures the cost of a seed alone and in a
population of five, on which the grid bases its decisions (`reproduce.lab.jobs`);
``python -m benchmarks.populations gains`` measures only that.
"""

import functools
import resource
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Annotated, Any, Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from alm.task_registry import task_spec
from alm.training.execution import keep_freed_memory
from alm.training.scale import scale_named
from benchmarks.plain import plain_learner
from benchmarks.timing import (
    FIRST_STEP,
    TASK,
    as_in_training,
    execute_as_in_runs,
    median_ratio,
    milliseconds,
    random_replay,
    take_turns,
    write_record,
)
from reproduce.lab.algorithms import ALGORITHMS, algorithm_named

MEASURED = ("alm", "redq")
POPULATIONS = (1, 5)
ROUNDS = 3
UPDATES = 5
# An even number, since TD3 updates its policy at every second step.
_STEPS = 4


def measure(name: str, scale: str, seeds: int, way: str, updates: int = UPDATES) -> dict[str, float]:
    """Medians over a few updates in this process: milliseconds, and pages requested from the system.

    ``way`` is "kept", "given_back", or "plain", which has one seed regardless of ``seeds``.
    """
    torch.set_num_threads(1)
    if way == "kept" and not keep_freed_memory():
        raise RuntimeError("this C library cannot keep freed memory: there is nothing to compare")
    if way == "plain":
        learn = plain_learner(name, scale)
    else:
        agent_class, config_class = algorithm_named(name).load()
        agent = agent_class(task_spec(TASK), config_class.at(scale_named(scale), TASK), tuple(range(seeds)))
        learn = functools.partial(agent.learn, random_replay(seeds, "cpu"))
    # The first update allocates persistent memory: the optimisers' moments.
    learn(1)
    times, pages = [], []
    for step in range(2, updates + 2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        times.append(milliseconds(functools.partial(learn, step)))
        pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return {"ms": statistics.median(times), "pages": statistics.median(pages)}


def compare(name: str, scale: str, seeds: int) -> dict[str, float]:
    """Results of all three ways in turns, each in fresh processes; ratios are for equal numbers of seeds."""
    ways = ("kept", "given_back", "plain")
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        rounds = [
            {way: fresh.submit(measure, name, scale, seeds, way).result() for way in ways}
            for _ in range(ROUNDS)
        ]
    return {
        **{f"{way}_ms": statistics.median(one[way]["ms"] for one in rounds) for way in ways},
        "given_back_over_kept": statistics.median(r["given_back"]["ms"] / r["kept"]["ms"] for r in rounds),
        "plain_over_kept": statistics.median(seeds * r["plain"]["ms"] / r["kept"]["ms"] for r in rounds),
        "kept_pages": statistics.median(one["kept"]["pages"] for one in rounds),
        "given_back_pages": statistics.median(one["given_back"]["pages"] for one in rounds),
    }


def seed_costs(name: str, config: Any, rounds: int) -> dict[str, float]:
    """Milliseconds per seed for the updates of one step, alone and in the largest population, in turns.

    Updates are compiled if those of a run would be. ``saved`` is the share that the population saves, the
    median over rounds.
    """
    # See `alm_update.measure`.
    torch.compiler.reset()
    agent_class, _ = algorithm_named(name).load()
    populations = {"alone": 1, "together": POPULATIONS[-1]}

    def steps(seeds: int) -> Callable[[], object]:
        agent = agent_class(task_spec(TASK), config, tuple(range(seeds)))
        execute_as_in_runs(agent)
        replay = random_replay(seeds, "cpu")
        return lambda: [agent.learn(replay, FIRST_STEP + i) for i in range(_STEPS)]

    times = take_turns({way: steps(seeds) for way, seeds in populations.items()}, rounds)
    alone, together = ([ms / populations[way] / _STEPS for ms in taken] for way, taken in times.items())
    return {
        "alone_ms": statistics.median(alone),
        "together_ms": statistics.median(together),
        "saved": 1.0 - median_ratio(together, alone),
    }


def gains(rounds: int = ROUNDS) -> None:
    """Measure what populations save and write ``out/benchmarks/population_gains.json``."""
    table = Table(title=f"Updates of one step and seed, {TASK}, one CPU thread, processor time")
    for column in ("", "alone, ms", f"of {POPULATIONS[-1]}, ms", "saved"):
        table.add_column(column, justify="right" if column else "left")
    as_in_training()
    results: dict[str, dict[str, dict[str, float]]] = {"paper": {}, "laptop": {}}
    for scale, costs in results.items():
        for name, algorithm in ALGORITHMS.items():
            agent_class, config_class = algorithm.load()
            if not agent_class.trains_seeds_apart:
                one = costs[name] = seed_costs(name, config_class.at(scale_named(scale), TASK), rounds)
                numbers = f"{one['alone_ms']:.1f}", f"{one['together_ms']:.1f}", f"{one['saved']:.0%}"
                table.add_row(f"{algorithm.title}, {scale}", *numbers)
    Console().print(table)
    write_record("population_gains", results, task=TASK, rounds=rounds)


def main(what: Annotated[Literal["all", "gains"], tyro.conf.Positional] = "all") -> None:
    """Measure, print tables and write ``populations.json`` and ``population_gains.json`` of the results.

    Args:
        what: gains: only the cost of a seed alone and in a population.
    """
    if what == "gains":
        gains()
        return
    table = Table(title=f"Updates of one environment step, {TASK}, one CPU thread, processor time")
    for column in ("", "seeds", "ms", "without kept memory", "pages then", "plain programs / it"):
        table.add_column(column, justify="right" if column else "left")
    results: dict[str, dict[str, float]] = {}
    for name in MEASURED:
        for scale in ("paper", "laptop"):
            for seeds in POPULATIONS:
                one = results[f"{name} {scale} {seeds}"] = compare(name, scale, seeds)
                table.add_row(
                    f"{ALGORITHMS[name].title}, {scale}",
                    str(seeds),
                    f"{one['kept_ms']:.1f}",
                    f"{one['given_back_over_kept']:.2f} ×",
                    f"{one['given_back_pages']:.0f}",
                    f"{one['plain_over_kept']:.2f} ×",
                )
    Console().print(table)
    write_record("populations", results, task=TASK, rounds=ROUNDS)
    gains()


if __name__ == "__main__":
    tyro.cli(main)
