"""What an exhibit still misses, the commands that would train it, and what they would cost."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from alm.training.scale import scale_named
from reproduce.exhibits import Exhibit
from reproduce.running.algorithms import ALGORITHMS, run_length
from reproduce.running.machine import matrix_gigaflops
from reproduce.running.provenance import REPOSITORY
from reproduce.storing.specs import RunSpec
from reproduce.storing.store import Store, StoredRun

BENCHMARK = REPOSITORY / "benchmarks" / "results" / "environment_step.json"
"""What a step of every algorithm costs, as `make bench` recorded it."""


def training_seconds(run: StoredRun) -> pd.Series:
    """Seconds that one seed had trained at each evaluation, evaluations left out.

    The time of a population is divided by its size; NaN where that is not known.
    """
    seconds = run.evaluations["wall_seconds"] - run.evaluations["time/evaluation_s"].cumsum()
    return seconds / run.provenance.get("population", np.nan)


@dataclass(frozen=True)
class StepCost:
    """What one environment step of one seed costs."""

    seconds: float
    """Of one thread of this machine; NaN where nothing is known."""
    gigaflop: float
    """Matrix products; NaN where they were not counted."""


class Costs:
    """Costs of steps at a scale: benchmarked ones, translated to the speed of this machine.

    The benchmark counted operations and took times on HalfCheetah (``make bench``); times change in
    proportion to the speed of matrix products, which is measured here anew. A variant counts as the
    algorithm itself. What the benchmark leaves out has the mean time of stored runs.

    Args:
        store: stored runs.
        scale: their scale.
    """

    def __init__(self, store: Store, scale: str) -> None:
        self._store, self._scale = store, scale
        record = json.loads(BENCHMARK.read_text())["results"] if BENCHMARK.exists() else {}
        self._known: dict[str, dict[str, float]] = record.get("costs", {}).get(scale, {})
        self._speed = record["matrix_gigaflops"] / matrix_gigaflops() if self._known else math.nan

    def of(self, algorithm: str) -> StepCost:
        """The cost of a step of an algorithm."""
        if algorithm in self._known:
            cost = self._known[algorithm]
            return StepCost(cost["step_ms"] / 1000.0 * self._speed, cost["gflop"])
        runs = self._store.runs(algorithm=algorithm, scale=self._scale)
        rates = [training_seconds(run).iloc[-1] / run.last_step for run in runs]
        known = [rate for rate in rates if not np.isnan(rate)]
        return StepCost(float(np.mean(known)) if known else math.nan, math.nan)


@dataclass(frozen=True)
class Missing:
    """Runs that train by one command: an algorithm, a variant, a task, and the seeds that are missing."""

    specs: tuple[RunSpec, ...]
    reached: tuple[int, ...]
    """Environment steps that the stored part of each run has."""

    @property
    def label(self) -> str:
        """The runs in words, without their seeds."""
        first = self.specs[0]
        known = ALGORITHMS.get(first.algorithm)
        name = known.title if known else first.algorithm
        return f"{name}{'' if first.variant == 'base' else f' {first.variant}'} on {first.task}"

    @property
    def seeds(self) -> str:
        """The seeds, separated by spaces."""
        return " ".join(str(spec.seed) for spec in self.specs)

    @property
    def steps(self) -> int:
        """Environment steps to go, over all seeds."""
        return sum(map(run_length, self.specs)) - sum(self.reached)

    @property
    def command(self) -> str:
        """What trains them, behind ``python -m reproduce``."""
        first = self.specs[0]
        variant = f" --variant {first.variant}" if first.variant != "base" else ""
        where = f"--task {first.task} --scale {first.scale} --seeds {self.seeds}"
        return f"train --algorithm {first.algorithm}{variant} {where}"

    def split(self) -> "list[Missing]":
        """Each seed on its own."""
        return [Missing((spec,), (reached,)) for spec, reached in zip(self.specs, self.reached, strict=True)]


def missing_runs(exhibits: Sequence[Exhibit], store: Store, scale: str, seeds: int | None) -> list[Missing]:
    """What exhibits need at a scale and the store does not hold to the end, each run once.

    Args:
        exhibits: tables and figures.
        store: stored runs.
        scale: scale of the runs.
        seeds: only the first so many seeds of every cell; None: all.
    """
    stored = {run.spec: run for run in store.runs(scale=scale)}
    kept = scale_named(scale).seeds[:seeds]
    groups: dict[tuple[str, str, str], list[RunSpec]] = {}
    for spec in dict.fromkeys(spec for exhibit in exhibits for spec in exhibit.needs(scale)):
        run = stored.get(spec)
        # A failed run is a result: training it again would fail again.
        if spec.seed in kept and (run is None or run.status == "partial"):
            groups.setdefault((spec.algorithm, spec.variant, spec.task), []).append(spec)
    reached = {spec: run.last_step for spec, run in stored.items()}
    return [Missing(tuple(specs), tuple(reached.get(s, 0) for s in specs)) for specs in groups.values()]


def print_plan(
    exhibits: Sequence[Exhibit], store: Store, scale: str, seeds: int | None, console: Console
) -> None:
    """Print what is stored and missing of exhibits, with steps, operations, estimated hours and commands."""
    missing = missing_runs(exhibits, store, scale, seeds)
    complete = {run.spec for run in store.runs(scale=scale) if run.status == "done"}
    for exhibit in exhibits:
        needs = exhibit.needs(scale)
        there = sum(spec in complete for spec in needs)
        console.print(f"{exhibit.name} at {scale} scale: {there} of {len(needs)} runs stored")
    if not missing:
        return
    costs = Costs(store, scale)
    table = Table(title_justify="left")
    for column in ("missing", "seeds", "steps to go", "PFLOP", "hours"):
        table.add_column(column, justify="left" if column in ("missing", "seeds") else "right")
    hours = []
    for group in missing:
        cost = costs.of(group.specs[0].algorithm)
        hours.append(group.steps * cost.seconds / 3600.0)
        table.add_row(
            group.label,
            group.seeds,
            f"{group.steps:,}",
            _or_unknown(group.steps * cost.gigaflop / 1e6, ".3g"),
            _or_unknown(hours[-1], ".1f"),
        )
    console.print(table)
    known = [one for one in hours if not math.isnan(one)]
    rest = "" if len(known) == len(hours) else " and what has no estimate"
    console.print(
        f"Together {sum(known):.1f} hours of one thread of this machine{rest}; operations and times are "
        "those of a step on HalfCheetah (make bench), times by this machine's speed in matrix products."
    )
    for group in missing:
        console.print(f"  python -m reproduce {group.command}", highlight=False, soft_wrap=True)


def _or_unknown(value: float, form: str) -> str:
    return "?" if math.isnan(value) else format(value, form)
