"""What a check finds: contrasts of two sides, p values for and against a region, a finding of all tasks.

Most claims are that a difference lies in some region: above zero, above −20 % of the other's return, within
20 % of it, below −50 %.  Two p values speak for and against that, so that what neither speaks clearly for
remains open.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from reproduce.exhibits.statistics.aggregates import FloatArray
from reproduce.exhibits.statistics.significance import MeanDifference, partial_conjunction
from reproduce.lab.specs import RunSpec

MARGIN = 0.2
"""Part of the other's return that counts as "about the same"."""


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
class Line:
    """One line of what the runs say.

    Attributes:
        compared: what stands against what, on which task; or a remark.
        found: the outcome in numbers; empty for a remark.
        seeds: how many stand behind it; empty where it is none.
        numbers: the outcome as numbers, by the names of `NUMBERS`; what is not there is not known.
    """

    compared: str
    found: str = ""
    seeds: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """As one sentence."""
        return f"{self.compared} = {self.found}" if self.found else self.compared


NUMBERS = ("difference", "low", "high", "area", "end", "can see")
"""Of a comparison: the difference of means (of one side: its mean), its interval, the difference of the
outcome beside it (of the area under the curve or, where areas are compared, of its end), and the smallest
difference that so many seeds can see."""


@dataclass(frozen=True)
class Contrast:
    """Two sides on one task, or one side and a number.

    Attributes:
        task: its name.
        line: what is found; None where there is nothing to compare.
        seeds: how many each side has.
        enough: whether they are enough for a verdict.
        lacking: what sides lack, and which: "no finished run of ALM(3)".
        supports, contradicts: one-sided p values; 1 where there are not enough seeds.
        notes: what was left out, and what stands against comparing.
        comparable: whether the numbers of the sides may be compared at all.
        own: which of the runs are one's own; none where a side has no run.
    """

    task: str
    line: Line | None
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
        lines: in numbers, then remarks.
        evidence: whether there is anything to look at.
        tested: whether some contrast had seeds enough for a test.
        complete: whether every one had.
        supports, contradicts: p values of the claim holding by chance, and of it failing by chance.
        worst: the task that speaks most clearly against it, of several.
        settled: the verdict where no test gives it; None: what the p values say.
        own: which of the runs are one's own.
    """

    lines: tuple[Line, ...]
    evidence: bool = False
    tested: bool = False
    complete: bool = False
    supports: float = 1.0
    contradicts: float = 1.0
    worst: str = ""
    settled: Literal["supported", "not comparable"] | None = None
    own: frozenset[RunSpec] = frozenset()

    @property
    def text(self) -> str:
        """All lines as one."""
        return "; ".join(line.text for line in self.lines)

    @property
    def p(self) -> float:
        """Two-sided, before it is corrected for other claims."""
        return min(1.0, 2.0 * min(self.supports, self.contradicts))


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


def concluded(contrasts: Sequence[Contrast], at_least: int | None = None) -> Finding:
    """A claim about all contrasts, or at least so many of them.

    One that compares what may not be compared leaves the claim without a verdict.
    """
    known = [one for one in contrasts if one.enough]
    holding = at_least or len(contrasts)
    failing = len(contrasts) - holding + 1
    found = Finding(
        lines=_lines(contrasts),
        evidence=any(all(one.seeds) for one in contrasts),
        tested=bool(known),
        complete=len(known) == len(contrasts),
        own=frozenset[RunSpec]().union(*(one.own for one in contrasts)),
    )
    if not all(one.comparable for one in contrasts):
        return replace(found, tested=False, settled="not comparable")
    if len(known) >= holding:
        found = replace(found, supports=partial_conjunction([one.supports for one in known], holding))
    if len(known) >= failing:
        contradicts = partial_conjunction([one.contradicts for one in known], failing)
        worst = min(known, key=lambda one: one.contradicts).task
        several = len({one.task for one in contrasts}) > 1
        found = replace(found, contradicts=contradicts, worst=worst if several else "")
    return found


def _lines(contrasts: Sequence[Contrast]) -> tuple[Line, ...]:
    """The contrasts that have numbers, then remarks; what several of them lack is said once."""
    tasks: dict[tuple[str, str], list[str]] = {}
    for one in contrasts:
        for lack in one.lacking:
            if one.task not in tasks.setdefault(lack, []):
                tasks[lack].append(one.task)
    names: dict[tuple[str, str], list[str]] = {}
    for (what, who), where in tasks.items():
        names.setdefault((what, ", ".join(where)), []).append(who)
    remarks = [f"{what} of {', '.join(who)} on {where}" for (what, where), who in names.items()]
    remarks += [note for one in contrasts for note in one.notes]
    lines = [one.line for one in contrasts if one.line]
    return (*lines, *map(Line, dict.fromkeys(remarks)))
