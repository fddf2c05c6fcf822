"""Stratified bootstrap intervals of statistics over runs and tasks (Agarwal et al., 2021).

Runs are resampled with replacement within each task and algorithm; the ends of an interval are percentiles
of the statistic over resamples.  The same seed gives the same interval.
With few seeds, intervals are too narrow (`TRUE_CONFIDENCE`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reproduce.exhibits.statistics.aggregates import FloatArray, Scores, by_task

__all__ = ["CONFIDENCE", "TRUE_CONFIDENCE", "RESAMPLES", "Estimate", "bootstrap"]

RESAMPLES = 2000
CONFIDENCE = 0.95

TRUE_CONFIDENCE = {2: 50, 3: 75, 4: 88, 5: 91, 6: 91, 7: 92, 8: 93, 9: 93, 10: 94}
"""Coverage, in per cent, of a 95 % interval of the interquartile mean, by number of seeds; simulated with
normal scores of one task."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A statistic with its interval; all three have the same shape, () for a single number.

    Attributes:
        value: the statistic of the scores themselves.
        low, high: ends of the interval; NaN if there is none (see `bootstrap`).
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def has_interval(self) -> bool:
        """Whether there were enough runs for an interval."""
        return not np.isnan(self.low).any()

    def text(self, digits: int = 0, sign: str = "-") -> str:
        """A single number with its interval, such as ``"+12 [-3, 30]"``; ``sign`` as in format strings."""
        low, value, high = (
            f"{float(number):{sign}z.{digits}f}" for number in (self.low, self.value, self.high)
        )
        return f"{value} [{low}, {high}]" if self.has_interval else f"{value} (no interval)"


def bootstrap(
    statistic: Callable[..., FloatArray],
    *scores: Scores,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """A statistic of one or more algorithms, with a stratified percentile bootstrap interval.

    There is no interval if any algorithm has a single run on any task: its spread is unknown, and resampling
    a single run would suggest that it is zero.

    Args:
        statistic: a statistic like those of `aggregates.py`, of as many scores as are given.
        scores: scores of each algorithm (see `aggregates.py`); a run is drawn whole, with all its steps.
        rng: draws the indices (resamples, runs) of each algorithm and task in turn.
        resamples: number of resamples.
        confidence: share of the resamples between the ends, in (0, 1).

    Raises:
        ValueError: the scores are malformed, there is no resample, or the confidence is out of range.
    """
    if resamples < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(
            "An interval needs at least one draw and a confidence between 0 and 1, not "
            f"{resamples} and {confidence}."
        )
    groups = [by_task(one) for one in scores]
    value = np.asarray(statistic(*groups))
    if any(len(task) < 2 for tasks in groups for task in tasks):
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    # The axis of resamples follows that of runs, where statistics keep it.
    drawn = [
        [np.moveaxis(task[rng.integers(len(task), size=(resamples, len(task)))], 1, 0) for task in tasks]
        for tasks in groups
    ]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(statistic(*drawn), [tail, 1.0 - tail], axis=0)
    return Estimate(value, low, high)
