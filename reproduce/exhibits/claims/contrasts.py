"""Results of checks: contrasts of two sides, p values for and against a region, a finding over all tasks.

Most claims say that a difference lies in some region: above zero, above −20 % of the other's return, within
20 % of it, below −50 %. One p value is for the claim and one against it; if neither is small, the claim
remains open.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from reproduce.exhibits.statistics.intervals import FloatArray
from reproduce.exhibits.statistics.significance import MeanDifference, partial_conjunction
from reproduce.lab.specs import RunSpec

MARGIN = 0.2
"""Fraction of the other's return that counts as "about the same"."""


@dataclass(frozen=True)
class Region:
    """Bounds of a difference if a claim holds, as fractions of the other's absolute mean."""

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
    """One line of a finding.

    Attributes:
        compared: the two sides and the task; or a remark.
        found: the outcome in words; empty for a remark.
        seeds: the number of seeds; empty for a remark.
        numbers: the outcome as numbers, by the names of `NUMBERS`; unknown ones are missing.
    """

    compared: str
    found: str = ""
    seeds: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


NUMBERS = ("difference", "low", "high", "area", "end", "can see")
"""Numbers of a comparison: the difference of means (for one side, its mean), its interval, the difference in
the second outcome (the area under the curve or, if areas are compared, the end), and the smallest difference
that this number of seeds can detect."""


@dataclass(frozen=True)
class TaskContrast:
    """Two sides on one task, or one side and a number.

    Attributes:
        task: name of the task.
        seeds: number of seeds of each side.
        line: the result; None if there is nothing to compare.
        enough: whether they are enough for a verdict.
        lacking: what is lacking, and of which side: "no finished run of ALM(3)".
        supports, contradicts: one-sided p values; 1 if there are too few seeds.
        notes: what was left out, and objections to comparing.
        comparable: whether the numbers of the sides may be compared at all.
        own: which of the runs are the user's own; empty if a side has no run.
    """

    task: str
    seeds: tuple[int, ...]
    line: Line | None = None
    enough: bool = False
    lacking: tuple[tuple[str, str], ...] = ()
    supports: float = 1.0
    contradicts: float = 1.0
    notes: tuple[str, ...] = ()
    comparable: bool = True
    own: frozenset[RunSpec] = frozenset()


@dataclass(frozen=True)
class ClaimFinding:
    """The result of a check.

    Attributes:
        lines: results in numbers, then remarks.
        evidence: whether there is any evidence.
        tested: whether some contrast had enough seeds for a test.
        complete: whether every contrast had.
        supports, contradicts: p values of the claim holding by chance, and of it failing by chance.
        worst: the task with the clearest evidence against the claim, of several.
        settled: a verdict without a test; None: that of the p values.
        own: which of the runs are the user's own.
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
    def p(self) -> float:
        """Two-sided p value, not corrected for other claims."""
        return min(1.0, 2.0 * min(self.supports, self.contradicts))


def p_values(x: FloatArray, y: FloatArray | float, region: Region, resolution: float) -> tuple[float, float]:
    """One-sided p values for x − y being in a region, and against it.

    At an end of the region, x is compared with y + end · |y|, a multiple of y, so that the error of y scales
    with it. For: x − y must lie within both ends, so the larger p counts. Against: it must lie beyond one
    end, so the smaller p counts, doubled if there are two ends.
    """
    scale = np.sign(np.mean(y)) * y if isinstance(y, np.ndarray) else abs(y) or 1.0
    ends = []
    for end, inward in ((region.low, 1), (region.high, -1)):
        if math.isfinite(end):
            found = MeanDifference.between(x, y + end * scale, resolution)
            ends.append((found.p_above, found.p_below)[::inward])
    inside, outside = zip(*ends, strict=True)
    return max(inside), partial_conjunction(outside, 1)


def concluded(contrasts: Sequence[TaskContrast], at_least: int | None = None) -> ClaimFinding:
    """The finding of a claim about all contrasts, or about at least a number of them.

    A contrast that is not comparable leaves the claim without a verdict.
    """
    known = [one for one in contrasts if one.enough]
    holding = at_least or len(contrasts)
    failing = len(contrasts) - holding + 1
    found = ClaimFinding(
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


def _lines(contrasts: Sequence[TaskContrast]) -> tuple[Line, ...]:
    """The contrasts that have numbers, then remarks; what several of them lack is mentioned once."""
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
