"""The kinds of claim, and how each is looked up: from numbers of seeds to two p values and a sentence.

Most claims are that a difference lies in some region: above zero, above −20 % of the other's return, within
20 % of it, below −50 %.  Two p values speak for and against that, so that what neither speaks clearly for
remains open.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, Protocol

import numpy as np

from reproduce.exhibits import Series
from reproduce.exhibits.claims.evidence import RETURN, Evidence, Outcome, Where
from reproduce.exhibits.statistics.aggregates import (
    FloatArray,
    difference_of_interquartile_means,
    interquartile_mean,
)
from reproduce.exhibits.statistics.intervals import bootstrap
from reproduce.exhibits.statistics.significance import LEVEL, MeanDifference, partial_conjunction
from reproduce.lab.planning import BENCHMARK
from reproduce.lab.provenance import processor_of
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import StoredRun, StoreMixError, require_comparable

MARGIN = 0.2
"""Part of the other's return that counts as "about the same"."""
ENOUGH = 0.8
"""Part of a ratio of costs that counts as the ratio."""
NEAR_OPTIMAL = 0.9
"""Part of the other's final return that counts as near-optimal."""
ABOUT_HALF = 0.6
"""Part of the other's time that counts as about half of it."""


@dataclass(frozen=True)
class Region:
    """Where a difference lies if a claim holds, between two parts of the other's absolute mean."""

    low: float = -math.inf
    high: float = math.inf


ABOVE = Region(low=0.0)
BELOW = Region(high=0.0)
NO_WORSE = Region(low=-MARGIN)
"""Non-inferior."""
NO_BETTER = Region(high=MARGIN)
"""Not superior by more than the margin."""
ALIKE = Region(-MARGIN, MARGIN)
"""Equivalent."""
MUCH_WORSE = Region(high=-0.5)
"""Less than half of the other's return."""
FAILS = Region(high=-0.75)
"""Less than a quarter of it."""


@dataclass(frozen=True)
class Comparison:
    """Two sides on one task.

    Attributes:
        task: its name.
        text: the difference in numbers; empty where there is none.
        seeds: how many each side has.
        enough: whether they are enough for a verdict.
        lacking: what sides lack, and which: "no finished run of ALM(3)".
        supports, contradicts: one-sided p values; 1 where there are not enough seeds.
        notes: what was left out.
        comparable: whether the numbers of the sides may be compared at all.
        own: which of the runs are one's own; none where a side has no run.
    """

    task: str
    text: str
    seeds: tuple[int, ...]
    enough: bool
    lacking: tuple[tuple[str, str], ...] = ()
    supports: float = 1.0
    contradicts: float = 1.0
    notes: tuple[str, ...] = ()
    comparable: bool = True
    own: frozenset[RunSpec] = frozenset()


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        text: in numbers.
        seeds: how many runs stand behind them; empty where it is none.
        evidence: whether there is anything to look at.
        tested: whether some comparison had seeds enough for a test.
        complete: whether every one had.
        supports, contradicts: p values of the claim holding by chance, and of it failing by chance.
        worst: the task that speaks most clearly against it, of several.
        settled: the verdict where no test gives it; None: what the p values say.
        own: which of the runs are one's own.
    """

    text: str
    seeds: str = ""
    evidence: bool = False
    tested: bool = False
    complete: bool = False
    supports: float = 1.0
    contradicts: float = 1.0
    worst: str = ""
    settled: Literal["supported", "not comparable"] | None = None
    own: frozenset[RunSpec] = frozenset()

    @property
    def p(self) -> float:
        """Two-sided, before it is corrected for other claims."""
        return min(1.0, 2.0 * min(self.supports, self.contradicts))


class Check(Protocol):
    """A way to look a claim up."""

    def finding(self, evidence: Evidence) -> Finding:
        """What the runs of a scale say."""

    @property
    def second(self) -> "Check | None":
        """The same of a second outcome; None if there is none."""


def p_values(x: FloatArray, y: FloatArray | float, region: Region, resolution: float) -> tuple[float, float]:
    """One-sided p values that speak for x − y being in a region, and against it.

    At an end of the region other than zero x is compared with y times what the end makes of it, so that
    the error of y counts with that weight.  For: both ends must be kept, the larger p.  Against: one end must
    be passed, the smaller p, twice where there are two ends.
    """
    scale = np.sign(np.mean(y)) * y if isinstance(y, np.ndarray) else abs(y) or 1.0
    ends = []
    for end, inward in ((region.low, 1), (region.high, -1)):
        if math.isfinite(end):
            found = MeanDifference.between(x, y + end * scale, resolution)
            ends.append((found.p_above, found.p_below)[::inward])
    inside, outside = zip(*ends, strict=True)
    return max(inside), partial_conjunction(outside, 1)


def concluded(comparisons: Sequence[Comparison], at_least: int | None = None) -> Finding:
    """A claim about all comparisons, or at least so many of them.

    One that compares what may not be compared leaves the claim without a verdict.
    """
    known = [one for one in comparisons if one.enough]
    holding = at_least or len(comparisons)
    failing = len(comparisons) - holding + 1
    found = Finding(
        text="; ".join(_sentences(comparisons)),
        seeds=" and ".join(
            map(_range, zip(*(one.seeds for one in comparisons if all(one.seeds)), strict=True))
        ),
        evidence=any(all(one.seeds) for one in comparisons),
        tested=bool(known),
        complete=len(known) == len(comparisons),
        own=frozenset[RunSpec]().union(*(one.own for one in comparisons)),
    )
    if not all(one.comparable for one in comparisons):
        return replace(found, tested=False, settled="not comparable")
    if len(known) >= holding:
        found = replace(found, supports=partial_conjunction([one.supports for one in known], holding))
    if len(known) >= failing:
        contradicts = partial_conjunction([one.contradicts for one in known], failing)
        worst = min(known, key=lambda one: one.contradicts).task
        several = len({one.task for one in comparisons}) > 1
        found = replace(found, contradicts=contradicts, worst=worst if several else "")
    return found


def _sentences(comparisons: Sequence[Comparison]) -> list[str]:
    """The comparisons in words; what has no number, on which tasks, is said once."""
    tasks: dict[tuple[str, str], list[str]] = {}
    for one in comparisons:
        for lack in one.lacking:
            if one.task not in tasks.setdefault(lack, []):
                tasks[lack].append(one.task)
    names: dict[tuple[str, str], list[str]] = {}
    for (what, who), where in tasks.items():
        names.setdefault((what, ", ".join(where)), []).append(who)
    texts = [one.text for one in comparisons if one.text]
    texts += [f"{what} of {', '.join(who)} on {where}" for (what, where), who in names.items()]
    return texts + list(dict.fromkeys(note for one in comparisons for note in one.notes))


def _range(counts: Iterable[int]) -> str:
    """``"3"``, or ``"1–3"`` where they differ."""
    found = sorted(set(counts))
    return str(found[0]) if len(found) == 1 else f"{found[0]}–{found[-1]}"


# --- Comparisons of two sides, or of one with a number ------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """Each of some series against each of others, or against a number, on every task.

    Attributes:
        x: the series that a claim is about.
        region: where x − y lies if it holds.
        y: what they are compared with.
        where: tasks, by the exhibit that names them, or themselves.
        outcomes: the numbers that are compared.
        worded: whether a sentence with an interval is wanted, which takes most of the time.
    """

    x: tuple[Series, ...]
    region: Region
    y: tuple[Series, ...] | float
    where: Where
    outcomes: tuple[Outcome, ...] = (RETURN,)
    worded: bool = True

    @property
    def second(self) -> "Compared | None":
        """The same of the second outcome."""
        seconds = tuple(one.second for one in self.outcomes if one.second)
        return replace(self, outcomes=seconds, worded=False) if seconds else None

    def finding(self, evidence: Evidence) -> Finding:
        """What the runs say of all of them."""
        tasks = evidence.tasks(self.where)
        if not tasks:
            return Finding("no such task at this scale")
        return concluded([one for task in tasks for one in self.comparisons(evidence, task)])

    def comparisons(self, evidence: Evidence, task: str) -> list[Comparison]:
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
    ) -> Comparison:
        sides = (x,) if isinstance(y, float) else (x, y)
        runs = evidence.runs(*sides, task=task, where=self.where)
        if mixed := _mixed(task, runs):
            return mixed
        scores = [
            outcome.scores(evidence, own, side, self.where) for own, side in zip(runs, sides, strict=True)
        ]
        found = Comparison(
            task,
            "",
            tuple(map(len, scores)),
            min(map(len, scores)) >= outcome.seeds_needed,
            tuple((outcome.absent, side.label) for side, s in zip(sides, scores, strict=True) if not len(s)),
            notes=tuple(_failures(evidence, sides, task, self.where)),
            own=_own(runs),
        )
        if not all(found.seeds):
            return found
        if self.worded:
            text = f"{task}: {outcome.of}{_difference(sides, scores, outcome.digits)}"
            if outcome.second:
                second = [
                    outcome.second.scores(evidence, own, side, self.where)
                    for own, side in zip(runs, sides, strict=True)
                ]
                text += f", area {_value(second):+.{outcome.digits}f}"
            found = replace(found, text=text)
        if len({one.algorithm for one in sides}) > 1 and (reasons := _differing_sizes(evidence.scale)):
            return replace(found, text=f"{found.text}; not comparable: {reasons[0]}", comparable=False)
        if not found.enough:
            return found
        other = y if isinstance(y, float) else scores[1]
        supports, contradicts = p_values(scores[0], other, self.region, outcome.resolution)
        if found.notes:
            # Without its failures a side looks better than it is.
            supports = contradicts = 1.0
        sees = MeanDifference.between(scores[0], other, outcome.resolution).detectable
        if self.worded and math.isfinite(sees):
            found = replace(found, text=f"{found.text}, can see {sees:.{outcome.digits}f}")
        return replace(found, supports=supports, contradicts=contradicts)


def _mixed(task: str, runs: Sequence[Sequence[StoredRun]]) -> Comparison | None:
    """What to say of runs that may not be pooled; None where they may."""
    try:
        require_comparable(run for side in runs for run in side)
    except StoreMixError as error:
        text = f"{task}: not comparable: {str(error).rstrip('.')}"
        return Comparison(task, text, tuple(map(len, runs)), False, comparable=False, own=_own(runs))
    return None


def _own(runs: Sequence[Sequence[StoredRun]]) -> frozenset[RunSpec]:
    """One's own among the runs of all sides; none where a side has no run, so that nothing is compared."""
    return frozenset(run.spec for side in runs for run in side if run.own and all(runs))


def _difference(sides: tuple[Series, ...], scores: Sequence[FloatArray], digits: int) -> str:
    """The difference of interquartile means with its interval, or the mean of a single side."""
    rng = np.random.default_rng(0)
    if len(sides) == 1:
        return f"{sides[0].label} = {bootstrap(interquartile_mean, scores, rng=rng).text(digits)}"
    found = bootstrap(difference_of_interquartile_means, *([one] for one in scores), rng=rng)
    return f"{sides[0].label} − {sides[1].label} = {found.text(digits, sign='+')}"


def _value(scores: Sequence[FloatArray]) -> float:
    return float(difference_of_interquartile_means(*([one] for one in scores)))


def _failures(evidence: Evidence, sides: Iterable[Series], task: str, where: Where) -> Iterable[str]:
    for side in sides:
        if count := evidence.failed(side, task, where):
            yield f"{count} failed run{'' if count == 1 else 's'} of {side.label} on {task} left out"


@dataclass(frozen=True)
class BestOn:
    """One series above all others on at least so many tasks.

    Attributes:
        x: the series.
        rivals: the others.
        where: the exhibit that names the tasks.
        at_least: number of tasks.
    """

    x: Series
    rivals: tuple[Series, ...]
    where: str
    at_least: int
    outcome: Outcome = RETURN

    @property
    def second(self) -> "BestOn | None":
        """The same of the second outcome."""
        return replace(self, outcome=self.outcome.second) if self.outcome.second else None

    def finding(self, evidence: Evidence) -> Finding:
        """How many tasks it is best on."""
        against = Compared((self.x,), ABOVE, self.rivals, self.where, (self.outcome,), worded=False)
        tasks, mixed = [], []
        for task in evidence.tasks(self.where):
            every = against.comparisons(evidence, task)
            one = concluded(every)
            known = one.complete
            tasks.append(
                Comparison(
                    task,
                    "",
                    (min(min(each.seeds) for each in every),),
                    known,
                    supports=one.supports,
                    contradicts=one.contradicts if known else 1.0,
                    comparable=one.settled is None,
                    own=one.own,
                )
            )
            mixed += [each.text for each in every if not each.comparable]
        full = [one for one in tasks if one.enough]
        best = sum(one.supports < LEVEL / 2.0 for one in full)
        seeds = self.outcome.seeds_needed
        text = f"surely best on {best} of the {len(full)} tasks that all rows have {seeds} seeds on"
        return replace(
            concluded(tasks, self.at_least),
            text="; ".join((text, *dict.fromkeys(mixed))),
            seeds=f"{len(full)} of {len(tasks)} tasks",
        )


# --- Costs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Costlier:
    """The benchmark's ratio of milliseconds a step is at least `ENOUGH` of what the paper says.

    The paper speaks of a GPU: a CPU can bear it out, but not refute it.

    Attributes:
        name: the algorithm that is said to cost more than ALM.
        times: how many times as much.
        remark: how the benchmark's algorithm differs from the claim's; may be empty.
    """

    name: str
    times: float
    remark: str = ""
    second: None = None

    def finding(self, evidence: Evidence) -> Finding:
        """The ratio at this scale."""
        costs = _benchmark().get("costs", {}).get(evidence.scale, {})
        if self.name not in costs:
            return Finding("no benchmark record (make bench)")
        ms = costs[self.name]["step_ms"] / costs["alm"]["step_ms"]
        flop = costs[self.name]["gflop"] / costs["alm"]["gflop"]
        text = f"{ms:.2f}× the time of ALM's step on one CPU thread, {flop:.2f}× its matrix products"
        text += self.remark
        if reasons := _differing_sizes(evidence.scale):
            return Finding(f"{text}; not comparable: {reasons[0]}", evidence=True, settled="not comparable")
        holds = ms >= ENOUGH * self.times
        text += "" if holds else "; the GPU of the claim was not at hand"
        return Finding(text, evidence=True, complete=True, settled="supported" if holds else None)


def _differing_sizes(scale: str) -> list[str]:
    """Why costs at a scale say nothing of the paper's; empty at the paper's own."""
    return [] if scale == "paper" else [f"{scale} scale makes some algorithms smaller than others"]


@cache
def _benchmark() -> dict[str, Any]:
    return json.loads(BENCHMARK.read_text())["results"] if BENCHMARK.exists() else {}


@dataclass(frozen=True)
class Sooner:
    """One side gets to `NEAR_OPTIMAL` of the other's final return in at most `ABOUT_HALF` of its time.

    Compared are speeds, 1 / hours until an evaluation first is that high, 0 where none is, of runs on one
    kind of processor.  The paper speaks of a GPU: runs on a CPU can bear it out, but not refute it.

    Attributes:
        x: the side that is said to be sooner.
        y: the side that sets the target.
        where: tasks, by the exhibit that names them, or themselves.
    """

    x: Series
    y: Series
    where: Where
    second: None = None

    def finding(self, evidence: Evidence) -> Finding:
        """The minutes of both on every task."""
        return concluded([self._compared(evidence, task) for task in evidence.tasks(self.where)])

    def _compared(self, evidence: Evidence, task: str) -> Comparison:
        sides = (self.x, self.y)
        runs = evidence.runs(*sides, task=task, where=self.where)
        if mixed := _mixed(task, runs):
            return mixed
        scores = [
            RETURN.scores(evidence, own, side, self.where) for own, side in zip(runs, sides, strict=True)
        ]
        seeds = tuple(map(len, scores))
        found = Comparison(
            task,
            "",
            seeds,
            False,
            tuple((RETURN.absent, side.label) for side, n in zip(sides, seeds, strict=True) if not n),
            notes=tuple(_failures(evidence, sides, task, self.where)),
            own=_own(runs),
        )
        if found.lacking:
            return found
        target = NEAR_OPTIMAL * float(np.mean(scores[1]))
        if target <= 0.0:
            text = f"{task}: {self.y.label}'s runs are too short to have learned, so there is no target"
            return replace(found, text=text)
        hours = [np.array([_hours_to(run, target) for run in own]) for own in runs]
        if np.isnan(np.concatenate(hours)).any():
            return replace(found, text=f"{task}: the time of a run is not known")
        ours, theirs = (f"{side.label} {_in_time(h)}" for side, h in zip(sides, hours, strict=True))
        text = f"{task}: to a return of {target:.0f} {ours}, {theirs}"
        if reasons := [*_differing_processors(sides, runs), *_differing_sizes(evidence.scale)]:
            text += f"; not comparable: {', and '.join(reasons)}"
            return replace(found, text=text, comparable=False)
        if min(seeds) < RETURN.seeds_needed:
            return replace(found, text=text)
        sooner = Region(low=1.0 / ABOUT_HALF - 1.0)
        supports, contradicts = p_values(1.0 / hours[0], 1.0 / hours[1], sooner, 0.0)
        if any(run.provenance.get("device") == "cpu" for own in runs for run in own):
            contradicts = 1.0
            text += " on a CPU"
        return replace(found, text=text, enough=True, supports=supports, contradicts=contradicts)


def _hours_to(run: StoredRun, target: float) -> float:
    """Hours of training until an evaluation is at least ``target``; infinite if none is."""
    there = run.evaluations["eval/return"] >= target
    return float(run.training_seconds[there].iloc[0]) / 3600.0 if there.any() else math.inf


def _differing_processors(sides: Sequence[Series], runs: Sequence[Sequence[StoredRun]]) -> list[str]:
    """What each side ran on, where that is not one processor for all."""
    ran = [sorted({processor_of(run.provenance) for run in own}) for own in runs]
    if len({name for own in ran for name in own}) == 1:
        return []
    first, second = (f"{side.label} ran on {', '.join(own)}" for side, own in zip(sides, ran, strict=True))
    return [f"{first}, {second}"]


def _in_time(hours: FloatArray) -> str:
    """Median minutes of the seeds that got there, and how many never did."""
    there = hours[np.isfinite(hours)]
    if not len(there):
        return "never got there"
    never = len(hours) - len(there)
    who = f" (median of those that got there; {never} of {len(hours)} seeds never did)" if never else ""
    return f"took {60.0 * np.median(there):.1f} min{who}"
