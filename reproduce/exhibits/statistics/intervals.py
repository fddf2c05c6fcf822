"""Stratified bootstrap intervals of statistics over runs and tasks (Agarwal et al., 2021).

Runs are resampled with replacement within each task and algorithm; the ends of an interval are percentiles
of the statistic over resamples.  The same scores give the same interval, to the last digit.
With few seeds, intervals are too narrow (`TRUE_CONFIDENCE`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reproduce.exhibits.statistics.aggregates import FloatArray, Scores

_RESAMPLES = 2000
_ENDS = (0.025, 0.975)
_SEED = 0

TRUE_CONFIDENCE = {2: 50, 3: 75, 4: 88, 5: 90, 6: 90, 7: 91, 8: 93, 9: 93, 10: 94}
"""Coverage, in per cent, of a 95 % interval of the interquartile mean, by number of seeds; simulated with
normal scores of one task and the draws of `bootstrap` (a test does it again)."""


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


def bootstrap(statistic: Callable[..., FloatArray], *scores: Scores) -> Estimate:
    """A statistic of one or more algorithms, with a stratified percentile bootstrap interval of 95 %.

    There is no interval if any algorithm has a single run on any task: its spread is unknown, and resampling
    a single run would suggest that it is zero.

    Args:
        statistic: a statistic like those of `aggregates.py`, of as many scores as are given.
        scores: scores of each algorithm (see `aggregates.py`); a run is drawn whole, with all its steps.

    Raises:
        ValueError: the scores are malformed.
    """
    groups = [_by_task(one) for one in scores]
    value = np.asarray(statistic(*groups))
    if any(len(task) < 2 for tasks in groups for task in tasks):
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    rng = np.random.default_rng(_SEED)
    # The axis of resamples follows that of runs, where statistics keep it.
    drawn = [
        [np.moveaxis(task[rng.integers(len(task), size=(_RESAMPLES, len(task)))], 1, 0) for task in tasks]
        for tasks in groups
    ]
    low, high = np.quantile(statistic(*drawn), _ENDS, axis=0)
    return Estimate(value, low, high)


def _by_task(scores: Scores) -> list[FloatArray]:
    """The scores of each task, (runs[, steps]), after a check that statistics can be made of them.

    Raises:
        ValueError: there is no task, a task has no run, tasks have different numbers of steps, or a score is
            not finite.
    """
    tasks = [np.asarray(one, dtype=np.float64) for one in scores]
    if not tasks or any(one.ndim == 0 or len(one) == 0 for one in tasks):
        raise ValueError("Scores need at least one task, and every task at least one run.")
    if len({one.shape[1:] for one in tasks}) > 1:
        raise ValueError(
            f"All tasks need the same number of steps, not {', '.join(str(one.shape[1:]) for one in tasks)}."
        )
    if not all(np.isfinite(one).all() for one in tasks):
        raise ValueError(
            "A score is not finite: leave out a run that failed, or give it a score, and say so."
        )
    return tasks
