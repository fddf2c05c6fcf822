"""Comparison of two algorithms or variants: interquartile means, difference, probability of improvement.

On each task both are read at the last environment step at which every seed of both has an evaluation.
Returns of different tasks have different units, so across tasks only the probability of improvement is given,
which compares runs within each task (`reproduce.exhibits.statistics.aggregates`).
"""

import hashlib
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from alm.task_registry import task_spec
from alm.training.scale import scale_named
from reproduce.exhibits.pooling import abreast, require_comparable
from reproduce.exhibits.sides import Shelf, Side
from reproduce.exhibits.statistics.aggregates import (
    FloatArray,
    Scores,
    difference_of_interquartile_means,
    interquartile_mean,
    probability_of_improvement,
)
from reproduce.exhibits.statistics.intervals import TRUE_CONFIDENCE, Estimate, bootstrap
from reproduce.exhibits.statistics.seeds import common_steps
from reproduce.formats import seeds_counted
from reproduce.lab.curves import value_at, window_mean
from reproduce.lab.store import Store, StoredRun

__all__ = ["Comparison", "SideRuns", "TaskComparison", "print_comparison"]

# Seed of the bootstrap, so that a comparison can be repeated to the last digit.
_SEED = 0
_HEADING = 14
"""Characters per line of a column heading."""
_LONGEST_NAME = 200
"""Characters of a file name before it is cut; with endings, file systems allow 255."""
_READINGS = {"return": value_at, "window": window_mean}


@dataclass(frozen=True, eq=False)
class SideRuns:
    """One side on one task.

    Attributes:
        name: name of the side.
        runs: its runs, by seed, without those that failed or are far behind.
        failed: seeds whose run failed.
        begun: runs that are far behind the others.
        scores: shape (runs,), the metric at the last step that is common to both sides.
        mean: interquartile mean of the scores.
        curve: interquartile mean of the return at every common step.
    """

    name: str
    runs: list[StoredRun]
    failed: list[int]
    begun: list[StoredRun]
    scores: FloatArray
    mean: Estimate
    curve: Estimate

    @property
    def seeds(self) -> str:
        """The number of its seeds, in words."""
        return seeds_counted(len(self.runs), None)


@dataclass(frozen=True, eq=False)
class TaskComparison:
    """Both sides on one task.

    Attributes:
        task: name of the task.
        sides: first and second side.
        steps: shape (evaluations,), environment steps at which all runs that count have an evaluation.
        difference: difference of the interquartile means, first minus second.
        improvement: probability that a run of the first side beats one of the second.
    """

    task: str
    sides: tuple[SideRuns, SideRuns]
    steps: np.ndarray
    difference: Estimate
    improvement: Estimate

    @property
    def step(self) -> int:
        """Environment steps at which the sides are compared."""
        return int(self.steps[-1])


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sides on one or more tasks at one scale.

    Attributes:
        sides: first and second side.
        scale: scale of all runs.
        metric: ``"return"`` or ``"window"``, how a run is read at the last common step.
        tasks: one comparison per task.
        improvement: probability of improvement over all tasks, equally weighted.
        missing: tasks on which a side has no run, each with those sides.
    """

    sides: tuple[Side, Side]
    scale: str
    metric: str
    tasks: tuple[TaskComparison, ...]
    improvement: Estimate
    missing: tuple[tuple[str, tuple[Side, ...]], ...] = ()

    @classmethod
    def of(
        cls,
        first: str,
        second: str,
        tasks: Sequence[str],
        scale: str,
        metric: str,
        store: Store,
        runs_dir: Path | None = None,
    ) -> "Comparison":
        """Compare stored runs, and run directories (if given) where they hold more.

        Raises:
            ValueError: a scale, task or metric does not exist, no task has runs of both sides, both sides are
                the same, or the runs on a task have no evaluation step in common.
            reproduce.exhibits.pooling.StoreMixError: the runs differ in protocol or simulator, or the seeds
                of one side in configuration.
        """
        sides = Side.named(first), Side.named(second)
        if sides[0] == sides[1]:
            raise ValueError(f"{sides[0].name} is compared with itself: name two different sides.")
        if metric not in _READINGS:
            raise ValueError(f"There is no metric {metric!r}; the metrics are {', '.join(_READINGS)}.")
        scale_named(scale)
        names = list(dict.fromkeys(task_spec(task).name for task in tasks))
        shelf = Shelf(store, runs_dir, scale)
        found, missing = {}, []
        for name in names:
            pair = shelf.runs(sides[0], name), shelf.runs(sides[1], name)
            lacking = tuple(
                side
                for side, runs in zip(sides, pair, strict=True)
                if all(run.status == "failed" for run in runs)
            )
            if lacking:
                missing.append((name, lacking))
            else:
                found[name] = pair
        if missing and not found:
            name, lacking = missing[0]
            raise ValueError(shelf.why_nothing(lacking[0], name))
        require_comparable(run for pair in found.values() for runs in pair for run in runs)
        compared = tuple(_task(name, sides, pair, metric) for name, pair in found.items())
        scores = [[task.sides[which].scores for task in compared] for which in (0, 1)]
        improvement = _bootstrap(probability_of_improvement, *scores)
        return cls(sides, scale, metric, compared, improvement, tuple(missing))

    @property
    def file_name(self) -> str:
        """Name of its files, without extension."""
        parts = [f"{self.sides[0].name}-vs-{self.sides[1].name}", *(task.task for task in self.tasks)]
        name = "-".join([*parts, self.scale]).replace("/", "_")
        if len(name) <= _LONGEST_NAME:
            return name
        return f"{name[:_LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    @property
    def runs(self) -> list[StoredRun]:
        """Every run that counts."""
        return [run for task in self.tasks for side in task.sides for run in side.runs]

    @property
    def heading(self) -> str:
        """The comparison in one line."""
        what = {"return": "return", "window": "mean return over the last tenth of the steps"}[self.metric]
        return f"{self.sides[0].name} against {self.sides[1].name}, {self.scale} scale: {what}"

    def notes(self) -> list[str]:
        """Notes needed to read the numbers, one sentence each."""
        notes = [
            "Interquartile means over seeds (plain means for fewer than four) at the last step that all "
            "seeds of both sides have reached, with 95 % stratified bootstrap intervals."
        ]
        single, unfinished, begun, failed = [], [], [], []
        for task in self.tasks:
            for side in task.sides:
                if len(side.runs) == 1:
                    single.append(f"{side.name} on {task.task}")
                whose = f"of {side.name} on {task.task}"
                unfinished += _stopped([run for run in side.runs if run.status == "partial"], whose)
                begun += _stopped(side.begun, whose)
                failed += [f"{_seeds(side.failed)} {whose}"] if side.failed else []
        if single:
            notes.append(f"No interval where a side has only one seed: {', '.join(single)}.")
        # Among sides that have an interval.
        counts = [len(side.runs) for task in self.tasks for side in task.sides]
        fewest = min((count for count in counts if count > 1), default=1)
        if fewest in TRUE_CONFIDENCE:
            notes.append(
                f"Few seeds: with {fewest} an interval is too narrow; that of a mean contains the true value "
                f"in about {TRUE_CONFIDENCE[fewest]} % of cases instead of 95 %."
            )
        certain = (task.improvement for task in self.tasks if float(task.improvement.value) in (0.0, 1.0))
        if any(one.has_interval for one in certain):
            notes.append(
                "A probability of 0 or 1 means that every run of one side beat every run of the other, not "
                "that further runs would."
            )
        own = sum(run.own for run in self.runs)
        if own:
            notes.append(f"Your own, not the repository's: {own} run{'s' if own > 1 else ''}.")
        if self.missing:
            lacking = (
                f"{task} ({' and '.join(side.name for side in sides)})" for task, sides in self.missing
            )
            notes.append(f"Left out because a side has no run there: {', '.join(lacking)}.")
        if unfinished:
            notes.append(f"Not finished yet: {', '.join(unfinished)}.")
        if begun:
            notes.append(f"Left out because they are too far behind: {', '.join(begun)}.")
        if failed:
            notes.append(f"Left out because they failed: {', '.join(failed)}.")
        return notes

    def numbers(self) -> pd.DataFrame:
        """One row per task, and one for all tasks; intervals in columns ending in _low and _high."""
        rows = []
        for task in self.tasks:
            row: dict[str, object] = {"task": task.task, "step": task.step}
            for which, side in zip(("first", "second"), task.sides, strict=True):
                row[which] = side.name
                row[f"{which}_seeds"] = " ".join(str(run.spec.seed) for run in side.runs)
                row |= _columns(f"{which}_iqm", side.mean)
                row[f"{which}_mean"] = float(side.scores.mean())
            row |= _columns("difference", task.difference)
            rows.append(row | _columns("improvement", task.improvement))
        total = {"task": "all", "first": self.sides[0].name, "second": self.sides[1].name}
        return pd.DataFrame([*rows, total | _columns("improvement", self.improvement)])

    def points(self) -> pd.DataFrame:
        """Data of the figure, one row per task, side and step: interquartile mean and interval."""
        frames = [
            pd.DataFrame(
                {
                    "task": task.task,
                    "algorithm": side.name,
                    "step": task.steps,
                    "return": side.curve.value,
                    "return_low": side.curve.low,
                    "return_high": side.curve.high,
                    "seeds": len(side.runs),
                }
            )
            for task in self.tasks
            for side in task.sides
        ]
        return pd.concat(frames, ignore_index=True)


def _task(
    task: str, sides: tuple[Side, Side], found: tuple[list[StoredRun], list[StoredRun]], metric: str
) -> TaskComparison:
    kept = [abreast([run for run in runs if run.status != "failed"]) for runs in found]
    steps = common_steps([run.curve() for runs in kept for run in runs])
    if not len(steps):
        raise ValueError(
            f"The runs on {task} have no evaluation at a common environment step yet: train them further, or "
            "leave out that task."
        )
    first, second = (_side(*of, steps, metric) for of in zip(sides, found, kept, strict=True))
    return TaskComparison(
        task,
        (first, second),
        steps,
        _bootstrap(difference_of_interquartile_means, [first.scores], [second.scores]),
        _bootstrap(probability_of_improvement, [first.scores], [second.scores]),
    )


def _side(
    side: Side, found: Sequence[StoredRun], kept: list[StoredRun], steps: np.ndarray, metric: str
) -> SideRuns:
    """One side on a task, of whose runs some are kept, at the steps common to both sides."""
    curves = [run.curve() for run in kept]
    scores = np.array([_READINGS[metric](curve, int(steps[-1])) for curve in curves])
    returns = np.stack([curve.values[np.isin(curve.steps, steps)] for curve in curves])
    return SideRuns(
        side.name,
        kept,
        failed=[run.spec.seed for run in found if run.status == "failed"],
        begun=[run for run in found if run.status != "failed" and run not in kept],
        scores=scores,
        mean=_bootstrap(interquartile_mean, [scores]),
        curve=_bootstrap(interquartile_mean, [returns]),
    )


def _bootstrap(statistic: Callable[..., FloatArray], *scores: Scores) -> Estimate:
    return bootstrap(statistic, *scores, rng=np.random.default_rng(_SEED))


def _stopped(runs: Sequence[StoredRun], whose: str) -> list[str]:
    """``"seeds 1 2 of td3 on Hopper (step 55,000)"``, one for each last step of the runs."""
    seeds: dict[int, list[int]] = {}
    for run in runs:
        seeds.setdefault(run.last_step, []).append(run.spec.seed)
    return [f"{_seeds(found)} {whose} (step {step:,})" for step, found in seeds.items()]


def _seeds(seeds: Sequence[int]) -> str:
    """``"seed 3"``, or ``"seeds 0 1 2"``."""
    return f"seed{'s' if len(seeds) > 1 else ''} {' '.join(map(str, seeds))}"


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {
        name: float(estimate.value),
        f"{name}_low": float(estimate.low),
        f"{name}_high": float(estimate.high),
    }


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print a comparison and its notes."""
    console.print(_table(comparison))
    beneath = "Below interquartile means: plain means of the same seeds at the same steps."
    for note in (beneath, *comparison.notes()):
        console.print(note, highlight=False)


def _table(comparison: Comparison) -> Table:
    first, second = (side.name for side in comparison.sides)
    table = Table(title=comparison.heading, title_justify="left")
    table.add_column("task, steps")
    # Longer lines would be cut on a terminal of 80 columns.
    names = [
        "\n".join(line for part in re.findall("[^/]*/|.+", name) for line in textwrap.wrap(part, _HEADING))
        for name in (first, second)
    ]
    for title in (*names, "difference", "P(first >\nsecond)"):
        table.add_column(title, justify="right")
    for task in comparison.tasks:
        sides = [
            f"{_cell(side.mean.text())}\n{side.seeds}\nmean {side.scores.mean():.0f}" for side in task.sides
        ]
        difference, improvement = _cell(task.difference.text(sign="+")), _cell(task.improvement.text(2))
        table.add_row(f"{task.task}\n{task.step:,}", *sides, difference, improvement)
    if len(comparison.tasks) > 1:
        table.add_row("all tasks", "", "", "", _cell(comparison.improvement.text(2)))
    return table


def _cell(text: str) -> str:
    """A number with its interval on the line beneath."""
    return text.replace(" ", "\n", 1)
