"""Statistics of scores over runs and tasks with bootstrap intervals, as recommended by Agarwal et al. (2021).

R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville, M. G. Bellemare: Deep Reinforcement Learning at the Edge
of the Statistical Precipice, NeurIPS 2021; definitions as in their library rliable.

Scores are a sequence of arrays (runs[, steps]), one per task, each with at least one run. Every statistic
reduces runs and tasks and keeps the trailing axes, so that curves over steps and resampled scores take the
same path as a single number. Returns of different tasks have different units, so interquartile means are of
one task; only `probability_of_improvement`, which needs no unit, is of several.

Runs are resampled with replacement within each task and algorithm; the ends of an interval are percentiles
of the statistic over resamples. The same scores give the same interval, to the last digit.
With few seeds, intervals are too narrow (`TRUE_CONFIDENCE`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Scores = Sequence[FloatArray]

_RESAMPLES = 2000
_ENDS = (0.025, 0.975)
_SEED = 0

TRUE_CONFIDENCE = {2: 50, 3: 75, 4: 88, 5: 90, 6: 90, 7: 91, 8: 93, 9: 93, 10: 94}
"""Coverage, in per cent, of a 95 % interval of the interquartile mean, by number of seeds; simulated with
normal scores of one task and the draws of `bootstrap` (a test does it again)."""


def interquartile_mean(scores: Scores) -> FloatArray:
    """Mean of the runs of one task without the lowest and the highest quarter.

    Of n runs, ⌊n/4⌋ are cut at each end (``scipy.stats.trim_mean`` with 0.25); fewer than four runs have
    their plain mean.
    """
    (runs,) = scores
    cut = len(runs) // 4
    mean: FloatArray = np.sort(runs, axis=0)[cut : len(runs) - cut].mean(axis=0)
    return mean


def probability_of_improvement(x: Scores, y: Scores) -> FloatArray:
    """Probability that a run of X beats one of Y on the same task, averaged over tasks; ties count half.

    On each task this is the Mann–Whitney U statistic divided by the number of pairs.
    """
    pairs = [(a[:, None], b[None, :]) for a, b in zip(x, y, strict=True)]
    return np.mean([((a > b) + 0.5 * (a == b)).mean(axis=(0, 1)) for a, b in pairs], axis=0)


def difference_of_interquartile_means(x: Scores, y: Scores) -> FloatArray:
    """`interquartile_mean` of X minus that of Y."""
    return interquartile_mean(x) - interquartile_mean(y)


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
        statistic: a statistic like those above, of as many scores as are given.
        scores: scores of each algorithm; a run is drawn whole, with all its steps.
    """
    value = np.asarray(statistic(*scores))
    if any(len(task) < 2 for tasks in scores for task in tasks):
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    rng = np.random.default_rng(_SEED)
    # The axis of resamples follows that of runs, where statistics keep it.
    drawn = [
        [np.moveaxis(task[rng.integers(len(task), size=(_RESAMPLES, len(task)))], 1, 0) for task in tasks]
        for tasks in scores
    ]
    low, high = np.quantile(statistic(*drawn), _ENDS, axis=0)
    return Estimate(value, low, high)
