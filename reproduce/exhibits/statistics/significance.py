"""Whether a difference between few seeds is more than chance, and how small a one they can see at all.

The test is Welch's of means, because every other lets seeds decide nothing: an exact permutation test of
three and three seeds has no p below 2 / 20, one of five and five none below 2 / 252, and forty claims
corrected for each other need far less.  What Welch's test buys with this is the assumption that the mean of
the scores is about normal.  Where one seed in five never learns on both sides alike, it errs towards "not
significant".  Where that happens on one side alone, its seeds often show nothing of it: of means that are
equal, five against five, that side is called higher in 25 % of cases where 2.5 % are allowed.

B. L. Welch: The generalization of "Student's" problem when several different population variances are
involved, Biometrika 1947.  S. Holm: A simple sequentially rejective multiple test procedure, Scandinavian
Journal of Statistics 1979.  Y. Benjamini, R. Heller: Screening for partial conjunction hypotheses, Biometrics
2008.  M. B. Brown, A. B. Forsythe: Robust tests for the equality of variances, JASA 1974.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from reproduce.exhibits.statistics.aggregates import FloatArray

__all__ = ["LEVEL", "POWER", "MeanDifference", "deviations", "holm", "partial_conjunction"]

LEVEL = 0.05
"""Share of false verdicts, of all that are given together, that is put up with."""
POWER = 0.8
"""How often a difference of the smallest size that can be seen is seen."""


@dataclass(frozen=True)
class MeanDifference:
    """The difference of two means and how well it is known.

    Attributes:
        value: first minus second.
        error: standard error; 0 where no score differs from the others of its side.
        degrees: of freedom of the error, after Welch and Satterthwaite; NaN without an error.
    """

    value: float
    error: float
    degrees: float

    @classmethod
    def between(cls, x: FloatArray, y: FloatArray | float, resolution: float = 0.0) -> "MeanDifference":
        """That of two sides.

        Args:
            x: shape (seeds,), at least two scores.
            y: the same of the other side, or a number that is known exactly.
            resolution: of a score, such as 1 for counts; what rounding hides of a variance is added to it.

        Raises:
            ValueError: a side has a single score, whose spread nobody knows.
        """
        sides = [x] if isinstance(y, float) else [x, y]
        if min(map(len, sides)) < 2:
            raise ValueError("The spread of a single score is not known: a test needs two on every side.")
        # A number rounded to the next multiple is off by anything up to half of one, evenly.
        rounding = resolution**2 / 12.0
        known = [(float(side.var(ddof=1)) + rounding, len(side)) for side in sides]
        return cls._from_variances(float(np.mean(x) - np.mean(y)), known)

    @classmethod
    def from_summary(cls, x: FloatArray, mean: float, std: float, seeds: int) -> "MeanDifference":
        """That of scores (seeds,), at least two, and of others known by their mean and sample deviation."""
        return cls._from_variances(
            float(np.mean(x) - mean), [(float(x.var(ddof=1)), len(x)), (std**2, seeds)]
        )

    @classmethod
    def _from_variances(cls, value: float, sides: Sequence[tuple[float, int]]) -> "MeanDifference":
        """From the variance of a score and the number of scores of each side."""
        errors = [(variance / count, count) for variance, count in sides]
        total = sum(error for error, _ in errors)
        parts = sum(error**2 / (count - 1) for error, count in errors)
        return cls(value, math.sqrt(total), total**2 / parts if total else math.nan)

    @property
    def p_above(self) -> float:
        """How probable a difference as high as this is where there is none; 1 without an error."""
        return float(special.stdtr(self.degrees, -self.value / self.error)) if self.error else 1.0

    @property
    def p_below(self) -> float:
        """How probable a difference as low as this is where there is none; 1 without an error."""
        return float(special.stdtr(self.degrees, self.value / self.error)) if self.error else 1.0

    @property
    def p(self) -> float:
        """Of both directions together, two-sided."""
        return min(1.0, 2.0 * min(self.p_above, self.p_below))

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval: 0 is outside where two-sided p is below 0.05; NaN without an error."""
        width = float(special.stdtrit(self.degrees, 1.0 - LEVEL / 2.0)) * self.error
        return self.value - width, self.value + width

    @property
    def detectable(self) -> float:
        """The smallest true difference that a two-sided test sees with `POWER` at `LEVEL`, uncorrected.

        From the noncentral t distribution, without the chance of seeing it with the wrong sign; NaN without
        an error.
        """
        critical = special.stdtrit(self.degrees, 1.0 - LEVEL / 2.0)
        return float(special.nctdtrinc(self.degrees, 1.0 - POWER, critical)) * self.error


def deviations(scores: FloatArray) -> FloatArray:
    """How far each score is from the median of all (seeds,): spreads compared as means (Brown, Forsythe).

    This is the one test of spreads that seeds which never learn do not lead astray: simulated with five
    seeds a side, one in five of which fails, it errs in 0.1 % of cases where 2.5 % are allowed, the F test in
    21 %.  It pays with power: from three seeds it never sees anything, and from five, normal ones, a spread
    four times the other's in 5 % of cases, ten times in 13 %.  Deviations of few seeds are smaller, so a side
    of ten is called wider than one of five in 4 to 5 % of cases.
    """
    return np.abs(scores - np.median(scores))


def partial_conjunction(p: Sequence[float], at_least: int) -> float:
    """The p value of "at least so many of these hold", from the p value of each (Benjamini, Heller).

    All of them: the largest p; at least one: Bonferroni's.

    Raises:
        ValueError: there are not so many.
    """
    if not 1 <= at_least <= len(p):
        raise ValueError(f"At least {at_least} of {len(p)} cannot hold.")
    return min(1.0, (len(p) - at_least + 1) * sorted(p)[at_least - 1])


def holm(p: Sequence[float]) -> list[float]:
    """Every p value corrected for all the others (Holm), in the order given."""
    corrected, largest = [1.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = largest
    return corrected
