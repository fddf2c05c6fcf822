"""Kinds of claims, and how each is checked: from the numbers of seeds to a finding."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.claims.contrasts import (
    ClaimFinding,
    Line,
    Region,
    TaskContrast,
    concluded,
    p_values,
)
from reproduce.exhibits.claims.evidence import RETURN, Evidence, Outcome, Where
from reproduce.exhibits.kinds import Series
from reproduce.exhibits.pooling import Pool, StoreMixError, require_comparable
from reproduce.exhibits.statistics.intervals import Estimate, FloatArray
from reproduce.exhibits.statistics.significance import LEVEL, MeanDifference
from reproduce.lab.costs import BENCHMARK, benchmark_results
from reproduce.lab.curves import first_common_step
from reproduce.lab.provenance import timed_on
from reproduce.lab.store import StoredRun

ENOUGH = 0.8
"""Fraction of a claimed ratio of costs that suffices to support it."""
NEAR_OPTIMAL = 0.9
"""Fraction of the other's final return that counts as near-optimal."""
ABOUT_HALF = 0.6
"""Fraction of the other's time that counts as about half of it."""
ABOUT_A_SIXTH = 1.0 / (6.0 * ENOUGH)
"""Fraction of the other's time that counts as about a sixth of it."""


class Check(ABC):
    """A method to check a claim."""

    @abstractmethod
    def finding(self, evidence: Evidence) -> ClaimFinding:
        """The finding from the runs of a scale."""

    @property
    def second(self) -> "Second | None":
        """The same check of a second outcome; None if there is none."""
        return None

    def exhibits(self, scale: str) -> list[str]:
        """Names of the exhibits that need its runs at a scale; none if it is not about runs."""
        del scale
        return []


class Second(NamedTuple):
    """The check of a second outcome, and the name of that outcome."""

    aside: str
    check: Check


def _exhibits(series: Sequence[Series], where: Where, scale: str) -> list[str]:
    """The exhibit that a claim names, or those that need some of its series on its tasks, at a scale."""
    if isinstance(where, str):
        return [where] if EXHIBITS[where].needs(scale) else []
    wanted = {(one.algorithm, one.variant, one.task(task)) for one in series for task in where}
    return [
        name
        for name, exhibit in EXHIBITS.items()
        if any(spec.cell[:3] in wanted for spec in exhibit.needs(scale))
    ]


# --- Two sides, or one and a number -------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared(Check):
    """Comparison of each series x with each series y, or with a number, on every task.

    Attributes:
        x: the series that the claim is about.
        region: region of x − y if the claim holds.
        y: the series or number to compare with.
        where: the tasks, or the exhibit that names them.
        outcomes: the numbers to compare.
    """

    x: tuple[Series, ...]
    region: Region
    y: tuple[Series, ...] | float
    where: Where
    outcomes: tuple[Outcome, ...] = (RETURN,)

    @property
    def second(self) -> Second | None:
        """The same of the second outcome."""
        seconds = tuple(one.second for one in self.outcomes if one.second)
        return Second(seconds[0].aside, replace(self, outcomes=seconds)) if seconds else None

    def exhibits(self, scale: str) -> list[str]:
        """The exhibits that need its runs at a scale."""
        return _exhibits(self.x, self.where, scale)

    def finding(self, evidence: Evidence) -> ClaimFinding:
        """The finding over all comparisons."""
        tasks = evidence.tasks(self.where)
        if not tasks:
            return ClaimFinding((Line("no such task at this scale"),))
        return concluded([one for task in tasks for one in self.contrasts(evidence, task)])

    def contrasts(self, evidence: Evidence, task: str) -> list[TaskContrast]:
        """Each pair on one task."""
        rivals = (self.y,) if isinstance(self.y, float) else self.y
        return [
            self._compared(evidence, x, y, task, outcome)
            for x in self.x
            for y in rivals
            for outcome in self.outcomes
        ]

    def _compared(
        self, evidence: Evidence, x: Series, y: Series | float, task: str, outcome: Outcome
    ) -> TaskContrast:
        sides = (x,) if isinstance(y, float) else (x, y)
        found, pools, scores = _gathered(evidence, sides, task, self.where, outcome)
        if found.lacking or not found.comparable:
            return found
        found = replace(
            found,
            enough=min(found.seeds) >= outcome.seeds_needed,
            comparable=len({one.algorithm for one in sides}) == 1 or _same_sizes(evidence.scale),
        )
        numbers = {"difference": _value(scores)}
        # Two deviations from their median are one number, which tells nothing of its own error.
        if min(found.seeds) > (2 if outcome.spread else 1):
            second = scores[1] if len(sides) == 2 else 0.0
            known = MeanDifference.between(scores[0], second, outcome.resolution)
            numbers["low"], numbers["high"] = known.interval
            # Deviations depend on each other: the t distribution promises far more than they can see.
            if found.enough and found.comparable and not outcome.spread:
                # A number has no error, so this does not depend on its value.
                numbers["can see"] = known.detectable
        if outcome.second:
            beside = _value(_scores(evidence, sides, pools, outcome.second))
            numbers[outcome.second.aside] = beside
        # No test if runs have failed: without them a side looks better than it is.
        if found.enough and found.comparable and not found.notes:
            other = y if isinstance(y, float) else scores[1]
            supports, contradicts = p_values(scores[0], other, self.region, outcome.resolution)
            found = replace(found, supports=supports, contradicts=contradicts)
        numbers = {name: number for name, number in numbers.items() if math.isfinite(number)}
        what = f"{task}: {outcome.of}{' − '.join(side.label for side in sides)}"
        line = Line(what, _in_words(numbers, outcome.digits, len(sides)), _counts(found.seeds), numbers)
        return replace(found, line=line)


def _gathered(
    evidence: Evidence, sides: Sequence[Series], task: str, where: Where, outcome: Outcome
) -> tuple[TaskContrast, list[Pool], list[FloatArray]]:
    """The runs and scores (seeds,) of each side on a task, and their contrast before they are compared.

    Runs that must not be pooled are not comparable, and have no scores.
    """
    pools = [evidence.pool(side, task, where) for side in sides]
    runs = [run for one in pools for run in one.runs]
    # If a side has no run, nothing is compared.
    own = frozenset(run.spec for run in runs if run.own and all(one.runs for one in pools))
    try:
        require_comparable(runs)
    except StoreMixError as error:
        seeds = tuple(len(one.runs) for one in pools)
        note = f"{task}: not comparable: {str(error).rstrip('.')}"
        return TaskContrast(task, seeds, notes=(note,), comparable=False, own=own), pools, []
    scores = _scores(evidence, sides, pools, outcome)
    found = TaskContrast(
        task,
        tuple(map(len, scores)),
        lacking=tuple(
            (outcome.absent, side.label) for side, one in zip(sides, scores, strict=True) if not len(one)
        ),
        notes=tuple(
            f"{one.failed} failed run{'' if one.failed == 1 else 's'} of {side.label} on {task} left out"
            for side, one in zip(sides, pools, strict=True)
            if one.failed
        ),
        own=own,
    )
    return found, pools, scores


def _scores(
    evidence: Evidence, sides: Sequence[Series], pools: Sequence[Pool], outcome: Outcome
) -> list[FloatArray]:
    """The scores of each side in an outcome, (seeds,) each; areas of all begin at the same step."""
    since = first_common_step(run.curve() for one in pools for run in one.runs)
    return [outcome.scores(evidence, side, own, since) for side, own in zip(sides, pools, strict=True)]


def _value(scores: Sequence[FloatArray]) -> float:
    """The mean of the first side, less that of the second if there is one."""
    first, *second = (float(np.mean(side)) for side in scores)
    return first - sum(second)


def _in_words(numbers: Mapping[str, float], digits: int, sides: int) -> str:
    """``"+12 [-3, +27], area +5, can see 20"``; the mean of a single side has no sign of its own."""
    sign = "+" if sides == 2 else "-"
    known = (np.array(numbers.get(name, math.nan)) for name in ("difference", "low", "high"))
    parts = [Estimate(*known).text(digits, sign)]
    parts += [f"{aside} {numbers[aside]:{sign}z.{digits}f}" for aside in ("area", "end") if aside in numbers]
    parts += [f"can see {numbers['can see']:.{digits}f}"] if "can see" in numbers else []
    return ", ".join(parts)


def _counts(seeds: Sequence[int]) -> str:
    """``"3 and 5"``, or ``"5"`` of a single side."""
    return " and ".join(map(str, seeds))


@dataclass(frozen=True)
class BestOn(Compared):
    """One series above all others on at least a given number of the tasks."""

    at_least: int = field(kw_only=True)

    def finding(self, evidence: Evidence) -> ClaimFinding:
        """The number of tasks on which it is best."""
        tasks = []
        for task in evidence.tasks(self.where):
            one = concluded(every := self.contrasts(evidence, task))
            tasks.append(
                TaskContrast(
                    task,
                    (min(min(each.seeds) for each in every),),
                    enough=one.complete,
                    supports=one.supports,
                    contradicts=one.contradicts,
                    notes=tuple(note for each in every if not each.comparable for note in each.notes),
                    comparable=one.settled is None,
                    own=one.own,
                )
            )
        full = [one for one in tasks if one.enough]
        best = sum(one.supports < LEVEL / 2.0 for one in full)
        seeds = self.outcomes[0].seeds_needed
        text = f"significantly best on {best} of the {len(full)} tasks on which all rows have {seeds} seeds"
        found = concluded(tasks, self.at_least)
        return replace(found, lines=(Line(text, "", f"{len(full)} of {len(tasks)} tasks"), *found.lines))


# --- Costs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Costlier(Check):
    """Claim on costs: the benchmark's ratio of times per step is at least `ENOUGH` of the paper's.

    The paper's ratio is for a GPU: a CPU can support it, but not refute it.

    Attributes:
        name: the algorithm claimed to cost more than ALM.
        times: the claimed ratio.
        remark: how the benchmark's algorithm differs from the claim's; may be empty.
    """

    name: str
    times: float
    remark: str = ""

    def finding(self, evidence: Evidence) -> ClaimFinding:
        """The ratio at this scale."""
        costs = benchmark_results(BENCHMARK).get("costs", {}).get(evidence.scale, {})
        if self.name not in costs:
            return ClaimFinding((Line("no benchmark record"),))
        ms = costs[self.name]["step_ms"] / costs["alm"]["step_ms"]
        flop = costs[self.name]["gflop"] / costs["alm"]["gflop"]
        text = f"{ms:.2f}× the time of ALM's step on one CPU thread, {flop:.2f}× its matrix products"
        text += self.remark
        if not _same_sizes(evidence.scale):
            return ClaimFinding((Line(text),), evidence=True, settled="not comparable")
        holds = ms >= ENOUGH * self.times
        text += "" if holds else "; the claim is for a GPU, which was not available"
        return ClaimFinding(
            (Line(text),), evidence=True, complete=True, settled="supported" if holds else None
        )


def _same_sizes(scale: str) -> bool:
    """Whether a scale keeps the sizes of all algorithms; other scales shrink some more than others."""
    return scale == "paper"


@dataclass(frozen=True)
class Sooner(Check):
    """Claim that x reaches `NEAR_OPTIMAL` of each y's final return in at most a part of y's time.

    Compares speeds, 1 / hours until an evaluation first reaches the target (0 if none does), of runs on one
    kind of processor. The paper's claim is for a GPU: runs on a CPU can support it, but not refute it.

    Attributes:
        x: the side claimed to be faster.
        y: the sides that set the targets.
        where: the tasks, or the exhibit that names them.
        part: fraction of y's time.
    """

    x: Series
    y: tuple[Series, ...]
    where: Where
    part: float

    def exhibits(self, scale: str) -> list[str]:
        """The exhibit that needs its runs at a scale."""
        return _exhibits((self.x,), self.where, scale)

    def finding(self, evidence: Evidence) -> ClaimFinding:
        """The finding, with the minutes of both sides on every task."""
        return concluded(
            [self._compared(evidence, task, y) for task in evidence.tasks(self.where) for y in self.y]
        )

    def _compared(self, evidence: Evidence, task: str, y: Series) -> TaskContrast:
        sides = (self.x, y)
        found, pools, scores = _gathered(evidence, sides, task, self.where, RETURN)
        if found.lacking or not found.comparable:
            return found
        target = NEAR_OPTIMAL * float(np.mean(scores[1]))
        hours = [np.array([_hours_to(run, target) for run in own.runs]) for own in pools]
        if target <= 0.0:
            unknown = f"{task}: {y.label}'s runs are too short to have learned, so there is no target"
            return replace(found, notes=(unknown, *found.notes))
        if np.isnan(np.concatenate(hours)).any():
            return replace(found, notes=(f"{task}: the time of a run is unknown", *found.notes))
        ours, theirs = (f"{side.label} {_in_time(h)}" for side, h in zip(sides, hours, strict=True))
        line = Line(f"{task}: minutes to a return of {target:.0f}", f"{ours}, {theirs}", _counts(found.seeds))
        found = replace(found, line=line)
        if differing := _differing_machines(sides, pools):
            return replace(found, comparable=False, notes=(f"{task}: {differing}", *found.notes))
        if not _same_sizes(evidence.scale):
            return replace(found, comparable=False)
        if min(found.seeds) < RETURN.seeds_needed:
            return found
        sooner = Region(low=1.0 / self.part - 1.0)
        supports, contradicts = p_values(1.0 / hours[0], 1.0 / hours[1], sooner, 0.0)
        if found.notes:
            supports = contradicts = 1.0
        if any(run.provenance.get("device") == "cpu" for own in pools for run in own.runs):
            contradicts = 1.0
            found = replace(found, notes=("the runs are on a CPU, the claim is for a GPU", *found.notes))
        return replace(found, enough=True, supports=supports, contradicts=contradicts)


def _hours_to(run: StoredRun, target: float) -> float:
    """Hours of training until an evaluation is at least ``target``; infinite if none is."""
    there = run.evaluations["eval/return"] >= target
    return float(run.training_seconds[there].iloc[0]) / 3600.0 if there.any() else math.inf


def _differing_machines(sides: Sequence[Series], pools: Sequence[Pool]) -> str:
    """What each side ran on, if that was not the same for all runs; else empty."""
    ran = [sorted({timed_on(run.provenance) for run in own.runs}) for own in pools]
    if len({name for own in ran for name in own}) == 1:
        return ""
    first, second = (f"{side.label} ran on {', '.join(own)}" for side, own in zip(sides, ran, strict=True))
    return f"{first}, {second}"


def _in_time(hours: FloatArray) -> str:
    """Median minutes of the seeds that reached the target, and how many never did."""
    there = hours[np.isfinite(hours)]
    if not len(there):
        return "never"
    never = len(hours) - len(there)
    who = f" (median of those that got there; {never} of {len(hours)} seeds never did)" if never else ""
    return f"{60.0 * np.median(there):.1f}{who}"
