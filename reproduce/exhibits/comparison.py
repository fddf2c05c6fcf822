"""Comparison of an algorithm or variant with others: interquartile means, differences, probabilities.

On each task all are read at the last environment step at which every seed of each has an evaluation.
Returns of different tasks have different units, so across tasks only the probability of improvement is given,
which compares runs within each task (`reproduce.exhibits.statistics.intervals`). docs/exhibits.md says why
there is no mean of normalised returns.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mode
from typing import NamedTuple

import numpy as np
import pandas as pd

from alm.errors import UserError
from alm.task_registry import task_spec
from alm.training.scale import scale_named
from reproduce.exhibits.kinds import Series
from reproduce.exhibits.pooling import abreast, require_comparable
from reproduce.exhibits.sides import Shelf, side_named, told_apart
from reproduce.exhibits.statistics.intervals import (
    TRUE_CONFIDENCE,
    Estimate,
    FloatArray,
    bootstrap,
    difference_of_interquartile_means,
    interquartile_mean,
    probability_of_improvement,
)
from reproduce.exhibits.table import Block, Row, Table
from reproduce.formats import seeds_counted, seeds_named, steps_in_words, steps_reached
from reproduce.lab.algorithms import run_length_if_known
from reproduce.lab.curves import (
    Curve,
    common_steps,
    first_common_step,
    mean_over_steps,
    value_at,
    window_mean,
)
from reproduce.lab.store import Store, StoredRun

MOST_SIDES = 8
"""Largest number of sides that can be told apart in one picture."""

_LONGEST_NAME = 200
"""Characters of a file name before it is cut; with endings, file systems allow 255."""


class _Metric(NamedTuple):
    """How a curve is read at a step, given the step from which all have been evaluated; and that in words."""

    words: str
    read: Callable[[Curve, int, int], float]


_METRICS = {
    "return": _Metric("return", lambda curve, step, since: value_at(curve, step)),
    "window": _Metric(
        "mean return over the last tenth of the steps", lambda curve, step, since: window_mean(curve, step)
    ),
    "area": _Metric("mean return since the end of the longest warm-up", mean_over_steps),
}


@dataclass(frozen=True, eq=False)
class SideRuns:
    """One side on one task.

    Attributes:
        series: the side.
        runs: its runs that count, by seed.
        left_out: those that failed before the step at which all are read, or are far behind the others.
        scores: shape (runs,), the metric at the last step that is common to all sides.
        mean: interquartile mean of the scores.
        curve: interquartile mean of the return at every common step.
    """

    series: Series
    runs: list[StoredRun]
    left_out: list[StoredRun]
    scores: FloatArray
    mean: Estimate
    curve: Estimate

    @property
    def name(self) -> str:
        """Its name in legends and rows."""
        return self.series.label

    @property
    def failed(self) -> list[int]:
        """The seeds that are left out because they failed."""
        return [run.spec.seed for run in self.left_out if run.status == "failed"]

    @property
    def begun(self) -> list[StoredRun]:
        """The runs that are left out because they are far behind."""
        return [run for run in self.left_out if run.status != "failed"]

    @property
    def seeds(self) -> str:
        """The number of its seeds, in words."""
        return seeds_counted(len(self.runs), None)


@dataclass(frozen=True, eq=False)
class Contrast:
    """The first side against another one.

    Attributes:
        other: the runs of the other side.
        difference: difference of the interquartile means, first minus other.
        improvement: probability that a run of the first side beats one of the other.
    """

    other: SideRuns
    difference: Estimate
    improvement: Estimate


@dataclass(frozen=True, eq=False)
class TaskComparison:
    """The first side against all others that have runs, on one task.

    Attributes:
        task: name of the task.
        first: the runs of the first side.
        contrasts: one for each other side; at least one.
        steps: shape (evaluations,), environment steps at which all runs that count have an evaluation.
        since: environment steps at which all of them have been evaluated, the end of the longest warm-up.
    """

    task: str
    first: SideRuns
    contrasts: tuple[Contrast, ...]
    steps: np.ndarray
    since: int

    @property
    def sides(self) -> tuple[SideRuns, ...]:
        """The runs of every side, the first one first."""
        return self.first, *(contrast.other for contrast in self.contrasts)

    @property
    def step(self) -> int:
        """Environment steps at which the sides are compared."""
        return int(self.steps[-1])


@dataclass(frozen=True, eq=False)
class Comparison:
    """A side against others on one or more tasks at one scale.

    Attributes:
        sides: the first side, and those that it is compared with.
        scale: scale of all runs.
        metric: ``"return"``, ``"window"`` or ``"area"``, how a run is read at the last common step.
        tasks: one comparison per task.
        improvements: probability of improvement over all tasks, equally weighted, by the other side, for
            each that has runs on all of them.
        missing: the sides without a run that counts on a task and, for each, ``"no run"`` or ``"only failed
            runs"``, by task.
    """

    sides: tuple[Series, ...]
    scale: str
    metric: str
    tasks: tuple[TaskComparison, ...]
    improvements: Mapping[Series, Estimate]
    missing: Mapping[str, Mapping[Series, str]]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        tasks: Sequence[str],
        scale: str,
        metric: str,
        store: Store,
        runs_dir: Path | None = None,
    ) -> "Comparison":
        """Compare the first named side with the others: stored runs, and run directories that hold more.

        Raises:
            UserError: a scale, task or metric does not exist, there is no task, a side has no run on any of
                the tasks, no task has runs of the first side and of another, a side is named twice or too
                many are named, or the runs on a task have no evaluation step in common.
            reproduce.exhibits.pooling.StoreMixError: the runs differ in protocol or simulator, or the seeds
                of one side in configuration.
        """
        sides = tuple(told_apart(map(side_named, names)))
        _require_different(sides)
        if metric not in _METRICS:
            raise UserError(f"There is no metric {metric!r}; the metrics are {', '.join(_METRICS)}.")
        scale_named(scale)
        shelf = Shelf(store, runs_dir, scale)
        if not (every := list(dict.fromkeys(task_spec(task).name for task in tasks))):
            raise UserError("A comparison needs a task: name one or several, such as HalfCheetah.")
        found = {task: {side: shelf.runs(side, task) for side in sides} for task in every}
        counting = {task: _counting(runs) for task, runs in found.items()}
        for side in sides:
            if not any(counting[task][side] for task in every):
                raise UserError(shelf.why_nothing(side, every[0]))
        first, *others = sides
        shared = [
            task for task, runs in counting.items() if runs[first] and any(runs[other] for other in others)
        ]
        if not shared:
            where, names = ", ".join(every), " or ".join(other.command_name for other in others)
            raise UserError(f"None of the tasks {where} has runs of both {first.command_name} and {names}.")
        require_comparable(run for task in shared for runs in counting[task].values() for run in runs)
        compared = tuple(_task(task, found[task], counting[task], metric) for task in shared)
        missing = {
            task: {
                side: "only failed runs" if found[task][side] else "no run"
                for side, own in runs.items()
                if not own
            }
            for task, runs in counting.items()
            if not all(runs.values())
        }
        improvements = {}
        for side in others:
            pairs = [
                (one.first.scores, contrast.other.scores)
                for one in compared
                for contrast in one.contrasts
                if contrast.other.series == side
            ]
            if len(pairs) == len(compared):
                improvements[side] = bootstrap(
                    probability_of_improvement, [pair[0] for pair in pairs], [pair[1] for pair in pairs]
                )
        return cls(sides, scale, metric, compared, improvements, missing)

    @property
    def file_name(self) -> str:
        """Name of its files, without extension."""
        parts = ["-vs-".join(side.command_name for side in self.sides), *(task.task for task in self.tasks)]
        metric = [] if self.metric == "return" else [self.metric]
        name = "-".join([*parts, self.scale, *metric]).replace("/", "_")
        if len(name) <= _LONGEST_NAME:
            return name
        return f"{name[:_LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    @property
    def runs(self) -> list[StoredRun]:
        """Every run that counts."""
        return [run for task in self.tasks for side in task.sides for run in side.runs]

    @property
    def _every_side(self) -> list[tuple[str, SideRuns]]:
        """Each side on each task, with the name of both: ``"td3 on Hopper"``."""
        return [(f"{side.name} on {task.task}", side) for task in self.tasks for side in task.sides]

    @property
    def heading(self) -> str:
        """The comparison in one line."""
        first, *others = (side.label for side in self.sides)
        return f"{first} against {', '.join(others)}, {self.scale} scale: {_METRICS[self.metric].words}"

    def notes(self) -> list[str]:
        """Notes needed to read the numbers, one sentence each."""
        whose = "both sides" if len(self.sides) == 2 else "all sides"
        read = " at" if self.metric == "return" else ", read up to"
        notes = [
            f"Interquartile means over seeds (plain means for fewer than four){read} the last step that all "
            f"seeds of {whose} have reached, with 95 % stratified bootstrap intervals."
        ]
        if self.metric == "area":
            begins = ", ".join(f"{steps_in_words(task.since)} on {task.task}" for task in self.tasks)
            notes.append(
                "The number of a seed is the area under its curve from the end of the longest warm-up of all "
                f"sides ({begins}), divided by the number of steps."
            )
        single = [where for where, side in self._every_side if len(side.runs) == 1]
        if single:
            notes.append(f"No interval where a side has only one seed: {', '.join(single)}.")
        # Among sides that have an interval.
        counts = [len(side.runs) for _, side in self._every_side]
        fewest = min((count for count in counts if count > 1), default=1)
        if fewest in TRUE_CONFIDENCE:
            notes.append(
                f"Few seeds: with {fewest} an interval is too narrow; that of a mean contains the true value "
                f"in about {TRUE_CONFIDENCE[fewest]} % of cases instead of 95 %."
            )
        # Not where a run is left out that may have been worse than all of the other side's.
        found = [
            contrast.improvement
            for task in self.tasks
            for contrast in task.contrasts
            if not (task.first.failed or contrast.other.failed)
        ]
        if any(float(one.value) in (0.0, 1.0) and one.has_interval for one in found):
            notes.append(
                "A probability of 0 or 1 means that every run of one side beat every run of the other, not "
                "that further runs would."
            )
        own = sum(run.own for run in self.runs)
        if own:
            notes.append(f"Your own, not the repository's: {own} run{'s' if own > 1 else ''}.")
        return [*notes, *self._unfinished(), *self.left_out]

    @property
    def left_out(self) -> list[str]:
        """What was asked for and does not count, one sentence each: tasks, sides and seeds."""
        compared = [task.task for task in self.tasks]
        sentences = [
            f"{f'Left out on {task}' if task in compared else f'{task} is left out'}: {_in_words(lacking)}."
            for task, lacking in self.missing.items()
        ]
        begun = [one for where, side in self._every_side for one in _stopped(side.begun, where)]
        if begun:
            sentences.append(f"Left out because they are too far behind: {', '.join(begun)}.")
        failed = [f"{seeds_named(side.failed)} of {where}" for where, side in self._every_side if side.failed]
        if failed:
            seeds = ", ".join(failed)
            sentences.append(
                f"Left out because they failed, so that a side looks better than it is: {seeds}."
            )
        return sentences

    @property
    def all_tasks(self) -> str:
        """``"all"``, or ``"2 of 3"`` where a task is left out: the tasks of `improvements`."""
        wanted = len({*self.missing, *(task.task for task in self.tasks)})
        return "all" if len(self.tasks) == wanted else f"{len(self.tasks)} of {wanted}"

    def _unfinished(self) -> list[str]:
        """Sentences on the runs that have not come to their end, and on those that failed later."""

        def stopped(which: Callable[[StoredRun], bool]) -> str:
            return ", ".join(
                one for where, side in self._every_side for one in _stopped(filter(which, side.runs), where)
            )

        alive = [run for run in self.runs if run.status != "failed"]
        usual = mode(_stop(run) for run in alive)
        others = stopped(lambda run: run.status != "failed" and _stop(run) != usual)
        sentences = []
        if usual is not None:
            usually = dict.fromkeys(_stop_in_words(run) for run in alive if _stop(run) == usual)
            stops = " or ".join(usually)
            sentences.append(f"Stopped at {stops}, except {others}." if others else f"All stop at {stops}.")
        elif others:
            sentences.append(f"Not finished yet: {others}.")
        if failed := stopped(lambda run: run.status == "failed"):
            sentences.append(f"Failed after the step that is compared, and count: {failed}.")
        return sentences

    def table(self) -> Table:
        """Its numbers in words, a block for each task, and its notes."""
        blocks = []
        for task in self.tasks:
            rows = [Row(task.first.name, (*_of_side(task.first), "", ""))]
            for contrast in task.contrasts:
                difference, improvement = contrast.difference.text(sign="+"), contrast.improvement.text(2)
                cells = (*_of_side(contrast.other), _unbroken(difference), _unbroken(improvement))
                rows.append(Row(contrast.other.name, cells))
            blocks.append(Block(f"{task.task}, {steps_in_words(task.step)} steps", tuple(rows)))
        notes = self.notes()
        if any(_plain_mean(side) for _, side in self._every_side):
            notes.insert(
                1,
                "'mean' in a cell is the plain mean of the same seeds, printed where it differs from their "
                "interquartile mean.",
            )
        if len(self.tasks) > 1 and self.improvements:
            over_all = (f"{one.text(2)} against {side.label}" for side, one in self.improvements.items())
            notes.insert(
                0,
                f"P(first > other) over {self.all_tasks} tasks, each with the same weight: "
                f"{', '.join(over_all)}; returns of different tasks are not averaged.",
            )
        columns = ("", "seeds", "return", "first − other", "P(first > other)")
        return Table("", self.heading, columns, tuple(blocks), tuple(notes))

    def numbers(self) -> pd.DataFrame:
        """One row per task and other side (``second``), and one per other side for all tasks (`all_tasks`).

        Columns of intervals end in _low and _high.
        """
        rows: list[dict[str, object]] = []
        for task in self.tasks:
            for contrast in task.contrasts:
                row: dict[str, object] = {"task": task.task, "metric": self.metric, "step": task.step}
                for which, side in (("first", task.first), ("second", contrast.other)):
                    row[which] = side.series.command_name
                    row[f"{which}_seeds"] = " ".join(str(run.spec.seed) for run in side.runs)
                    row |= _columns(f"{which}_iqm", side.mean)
                    row[f"{which}_mean"] = float(side.scores.mean())
                row |= _columns("difference", contrast.difference)
                rows.append(row | _columns("improvement", contrast.improvement))
        for other, improvement in self.improvements.items():
            total = {"task": self.all_tasks, "metric": self.metric}
            total |= {"first": self.sides[0].command_name, "second": other.command_name}
            rows.append({**total, **_columns("improvement", improvement)})
        return pd.DataFrame(rows)

    def points(self) -> pd.DataFrame:
        """Data of the figure, one row per task, side and step: interquartile mean and interval."""
        frames = [
            pd.DataFrame(
                {
                    "task": task.task,
                    "algorithm": side.series.command_name,
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


def _require_different(sides: Sequence[Series]) -> None:
    """Refuse sides that make no comparison.

    Raises:
        UserError: there is only one, one is named twice, or there are more than a picture can show.
    """
    names = [side.command_name for side in sides]
    if len(names) < 2:
        raise UserError(f"{names[0]} is compared with nothing: name another algorithm or variant after it.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{twice} is compared with itself: name different sides.")
    if len(names) > MOST_SIDES:
        raise UserError(f"{len(names)} sides are too many for one picture: name at most {MOST_SIDES}.")


def _counting(found: Mapping[Series, list[StoredRun]]) -> dict[Series, list[StoredRun]]:
    """The runs of each side on a task that count; it is empty where none does.

    Runs that have not failed say at which step all are read. Those that failed later count, as in tables:
    without them a side would look better than it is.
    """
    kept = {side: abreast([run for run in runs if run.status != "failed"]) for side, runs in found.items()}
    steps = common_steps([run.curve() for runs in kept.values() for run in runs])
    if not len(steps):
        return kept
    read = {
        side: [run for run in runs if run.status == "failed" and steps[-1] in run.curve().steps]
        for side, runs in found.items()
    }
    return {side: sorted([*kept[side], *read[side]], key=lambda run: run.spec.seed) for side in found}


def _task(
    task: str,
    found: Mapping[Series, list[StoredRun]],
    counting: Mapping[Series, list[StoredRun]],
    metric: str,
) -> TaskComparison:
    """The sides that have runs that count, read at the last step common to all of these."""
    there = {side: runs for side, runs in counting.items() if runs}
    curves = [run.curve() for runs in there.values() for run in runs]
    steps, since = common_steps(curves), first_common_step(curves)
    if not len(steps):
        reached = []
        for side, runs in there.items():
            begin, end = max(run.curve().steps[0] for run in runs), min(run.last_step for run in runs)
            reached.append(f"{side.command_name}: {begin:,} to {end:,}")
        raise UserError(
            f"The runs on {task} have no evaluation at a common environment step yet ({'; '.join(reached)}): "
            "train them further, or leave out that task or a side."
        )
    reading = _METRICS[metric].read

    def score(run: StoredRun) -> float:
        return reading(run.curve(), int(steps[-1]), since)

    first, *others = (_side(side, found[side], runs, steps, score) for side, runs in there.items())
    contrasts = (
        Contrast(
            other,
            bootstrap(difference_of_interquartile_means, [first.scores], [other.scores]),
            bootstrap(probability_of_improvement, [first.scores], [other.scores]),
        )
        for other in others
    )
    return TaskComparison(task, first, tuple(contrasts), steps, since)


def _side(
    series: Series,
    found: Sequence[StoredRun],
    runs: list[StoredRun],
    steps: np.ndarray,
    score: Callable[[StoredRun], float],
) -> SideRuns:
    """One side on a task, of whose runs some count, at the steps common to all sides."""
    scores = np.array([score(run) for run in runs])
    curves = [run.curve() for run in runs]
    returns = np.stack([curve.values[np.isin(curve.steps, steps)] for curve in curves])
    return SideRuns(
        series,
        runs,
        left_out=[run for run in found if run not in runs],
        scores=scores,
        mean=bootstrap(interquartile_mean, [scores]),
        curve=bootstrap(interquartile_mean, [returns]),
    )


def _in_words(lacking: Mapping[Series, str]) -> str:
    """``"no run of sac, td3; only failed runs of alm"``."""
    names: dict[str, list[str]] = {}
    for side, what in lacking.items():
        names.setdefault(what, []).append(side.label)
    return "; ".join(f"{what} of {', '.join(of)}" for what, of in names.items())


def _stop(run: StoredRun) -> int | None:
    """The step at which an unfinished run has stopped; None: it is finished."""
    return None if run.status == "done" else run.last_step


def _stop_in_words(run: StoredRun) -> str:
    """``"55k of 300k steps"``, or ``"finished"``."""
    stop = _stop(run)
    return "finished" if stop is None else steps_reached(stop, run_length_if_known(run.spec))


def _stopped(runs: Iterable[StoredRun], where: str) -> list[str]:
    """``"seeds 1 2 of td3 on Hopper (55k of 300k steps)"``, one for each place at which runs stopped."""
    seeds: dict[str, list[int]] = {}
    for run in runs:
        seeds.setdefault(_stop_in_words(run), []).append(run.spec.seed)
    return [f"{seeds_named(found)} of {where} ({stop})" for stop, found in seeds.items()]


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {
        name: float(estimate.value),
        f"{name}_low": float(estimate.low),
        f"{name}_high": float(estimate.high),
    }


def _of_side(side: SideRuns) -> tuple[str, str]:
    """The number of a side's seeds, and its mean with interval and perhaps plain mean."""
    return str(len(side.runs)), f"{_unbroken(side.mean.text())}{_plain_mean(side)}"


def _unbroken(text: str) -> str:
    """A number whose interval is one word, which narrow columns do not break."""
    return text.replace(", ", ",")


def _plain_mean(side: SideRuns) -> str:
    """The mean of a side's seeds; empty if it is printed like the interquartile mean."""
    mean = f"{side.scores.mean():.0f}"
    return "" if mean == f"{float(side.mean.value):.0f}" else f", mean {mean}"
