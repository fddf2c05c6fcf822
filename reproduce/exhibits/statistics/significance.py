"""Significance of differences between few seeds, and the smallest difference that they can detect.

The test is Welch's t, because exact tests cannot decide anything with so few seeds: a permutation test of
three against three seeds has no p below 2 / 20, of five against five none below 2 / 252, and forty claims
corrected for each other need far less. The price of Welch's test is the assumption that the mean of the
scores is about normal. Where one seed in five never learns on both sides, it errs towards "not significant".
Where that happens on one side only, its seeds often do not show it: with equal means, five against five, that
side is called higher in 25 % of cases where 2.5 % are allowed.

B. L. Welch: The generalization of "Student's" problem when several different population variances are
involved, Biometrika 1947. S. Holm: A simple sequentially rejective multiple test procedure, Scandinavian
Journal of Statistics 1979. Y. Benjamini, R. Heller: Screening for partial conjunction hypotheses, Biometrics
2008. M. B. Brown, A. B. Forsythe: Robust tests for the equality of variances, JASA 1974.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from alm.errors import UserError
from reproduce.exhibits.statistics.intervals import FloatArray

LEVEL = 0.05
"""Accepted error rate of a whole family of tested verdicts: those by first, or those by second outcomes."""
POWER = 0.8
"""Probability with which the smallest detectable difference is detected."""


class Summary(NamedTuple):
    """Scores known by their mean, sample standard deviation and number alone."""

    mean: float
    std: float
    seeds: int


@dataclass(frozen=True)
class MeanDifference:
    """The difference of two means with its uncertainty.

    Attributes:
        value: first minus second.
        error: standard error; 0 if all scores of each side are equal.
        degrees: degrees of freedom of the error, after Welch and Satterthwaite; NaN without an error.
    """

    value: float
    error: float
    degrees: float

    @classmethod
    def between(cls, x: FloatArray, y: FloatArray | float, resolution: float = 0.0) -> "MeanDifference":
        """The difference of two sides.

        Args:
            x: scores of the first side, shape (seeds,), at least two.
            y: scores of the second side, or a number that is known exactly.
            resolution: rounding unit of a score, such as 1 for counts; the variance of rounding is added.

        Raises:
            UserError: a side has a single score, whose spread is unknown.
        """
        sides = [x] if isinstance(y, float) else [x, y]
        if min(map(len, sides)) < 2:
            raise UserError("The spread of a single score is not known: a test needs two on every side.")
        # The error of rounding is uniform over one unit.
        rounding = resolution**2 / 12.0
        known = [(float(side.var(ddof=1)) + rounding, len(side)) for side in sides]
        return cls._from_variances(float(np.mean(x) - np.mean(y)), known)

    @classmethod
    def of_summaries(cls, x: Summary, y: Summary) -> "MeanDifference":
        """The difference of two sides of at least two scores each."""
        return cls._from_variances(x.mean - y.mean, [(x.std**2, x.seeds), (y.std**2, y.seeds)])

    @classmethod
    def _from_variances(cls, value: float, sides: Sequence[tuple[float, int]]) -> "MeanDifference":
        """The difference, given the variance and number of scores of each side."""
        errors = [(variance / count, count) for variance, count in sides]
        total = sum(error for error, _ in errors)
        parts = sum(error**2 / (count - 1) for error, count in errors)
        return cls(value, math.sqrt(total), total**2 / parts if total else math.nan)

    @property
    def p_above(self) -> float:
        """Probability of a difference at least this high if there is none; 1 without an error."""
        return float(special.stdtr(self.degrees, -self.value / self.error)) if self.error else 1.0

    @property
    def p_below(self) -> float:
        """Probability of a difference at least this low if there is none; 1 without an error."""
        return float(special.stdtr(self.degrees, self.value / self.error)) if self.error else 1.0

    @property
    def p(self) -> float:
        """Two-sided p value."""
        return min(1.0, 2.0 * min(self.p_above, self.p_below))

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval, which excludes 0 if two-sided p is below 0.05; NaN without an error."""
        width = float(special.stdtrit(self.degrees, 1.0 - LEVEL / 2.0)) * self.error
        return self.value - width, self.value + width

    @property
    def text(self) -> str:
        """The difference with its interval, ``"+12 [-3, +27]"``."""
        low, high = self.interval
        return f"{self.value:+.0f} [{low:+.0f}, {high:+.0f}]"

    @property
    def detectable(self) -> float:
        """The smallest true difference that a two-sided test detects with `POWER` at `LEVEL`, uncorrected.

        From the noncentral t distribution, ignoring detections with the wrong sign; NaN without an error.
        """
        critical = special.stdtrit(self.degrees, 1.0 - LEVEL / 2.0)
        return float(special.nctdtrinc(self.degrees, 1.0 - POWER, critical)) * self.error


def deviations(scores: FloatArray) -> FloatArray:
    """Distances of the scores from their median (seeds,), so that spreads compare as means (Brown, Forsythe).

    This is the only test of spreads that is robust to seeds that never learn: simulated with five seeds per
    side, one in five of which fails, it errs in 0.1 % of cases where 2.5 % are allowed; the F test errs in
    21 %. The price is power: with three seeds it never detects anything, with five normal ones a spread four
    times the other's in 5 % of cases, ten times in 13 %. Deviations of few seeds are smaller, so a side of
    ten is called wider than one of five in 4 to 5 % of cases.
    """
    return np.abs(scores - np.median(scores))


def partial_conjunction(p: Sequence[float], at_least: int) -> float:
    """The p value of "at least this many of these hold", from the p value of each (Benjamini, Heller).

    For all of them it is the largest p; for at least one, Bonferroni's.

    Raises:
        UserError: there are not that many.
    """
    if not 1 <= at_least <= len(p):
        raise UserError(f"At least {at_least} of {len(p)} cannot hold.")
    return min(1.0, (len(p) - at_least + 1) * sorted(p)[at_least - 1])


def holm(p: Sequence[float]) -> list[float]:
    """Every p value corrected for all the others (Holm), in the order given."""
    corrected, largest = [1.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = largest
    return corrected
