"""Statistics of an algorithm's scores over runs and tasks, as recommended by Agarwal et al. (2021).

R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville, M. G. Bellemare: Deep Reinforcement Learning at the Edge
of the Statistical Precipice, NeurIPS 2021; definitions as in their library rliable.

Scores are a sequence of arrays (runs[, steps]), one per task.  Every statistic reduces runs and tasks and
keeps the trailing axes, so that curves over steps and resampled scores (`intervals.py`) take the same path
as a single number.

Returns of different tasks have different units, so interquartile means are of one task; only
`probability_of_improvement`, which needs no unit, is of several.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Scores = Sequence[FloatArray]


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

    Raises:
        ValueError: X and Y have different numbers of tasks.
    """
    if len(x) != len(y):
        raise ValueError(f"Two algorithms are compared on the same tasks, not on {len(x)} and {len(y)}.")
    pairs = [(a[:, None], b[None, :]) for a, b in zip(x, y, strict=True)]
    return np.mean([((a > b) + 0.5 * (a == b)).mean(axis=(0, 1)) for a, b in pairs], axis=0)


def difference_of_interquartile_means(x: Scores, y: Scores) -> FloatArray:
    """`interquartile_mean` of X minus that of Y."""
    return interquartile_mean(x) - interquartile_mean(y)
