"""Statistics of an algorithm's scores over runs and tasks, as recommended by Agarwal et al. (2021).

R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville, M. G. Bellemare: Deep Reinforcement Learning at the Edge
of the Statistical Precipice, NeurIPS 2021; definitions as in their library rliable.

Scores are a sequence of arrays (runs[, steps]), one per task.  Every statistic reduces runs and tasks and
keeps the trailing axes, so that curves over steps and resampled scores (`intervals.py`) take the same path
as a single number.
If the numbers of runs differ, every task has the same weight and, within a task, every run.

Returns of different tasks have different units: bring them to a common scale before pooling tasks, or use
`probability_of_improvement`, which needs none.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Scores = Sequence[FloatArray]

_CUT = 0.25


def by_task(scores: Scores) -> list[FloatArray]:
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


def interquartile_mean(scores: Scores) -> FloatArray:
    """Mean of all runs of all tasks without the lowest and the highest quarter.

    Of n runs, ⌊n/4⌋ are cut at each end (``scipy.stats.trim_mean`` with 0.25); fewer than four runs have
    their plain mean.  If tasks have different numbers of runs, a run of task m has the weight n / (M · n_m),
    with M tasks and n_m runs, and the same total weight is cut; the run at a cut may keep part of its weight.
    """
    tasks = by_task(scores)
    count = sum(map(len, tasks))
    weight = np.concatenate([np.full(len(one), count / (len(tasks) * len(one))) for one in tasks])
    pooled = np.concatenate(tasks)
    order = np.argsort(pooled, axis=0)
    cut = np.floor(_CUT * count)
    # The part of each run's weight, laid end to end, that lies between the two cuts.
    end = np.clip(np.cumsum(weight[order], axis=0), cut, count - cut)
    kept = np.diff(end, axis=0, prepend=cut)
    return (kept * np.take_along_axis(pooled, order, axis=0)).sum(axis=0) / (count - 2 * cut)


def probability_of_improvement(x: Scores, y: Scores) -> FloatArray:
    """Probability that a run of X beats one of Y on the same task, averaged over tasks; ties count half.

    On each task this is the Mann–Whitney U statistic divided by the number of pairs.

    Raises:
        ValueError: X and Y have different numbers of tasks.
    """
    ours, theirs = by_task(x), by_task(y)
    if len(ours) != len(theirs):
        raise ValueError(
            f"Two algorithms are compared on the same tasks, not on {len(ours)} and {len(theirs)}."
        )
    pairs = [(a[:, None], b[None, :]) for a, b in zip(ours, theirs, strict=True)]
    return np.mean([((a > b) + 0.5 * (a == b)).mean(axis=(0, 1)) for a, b in pairs], axis=0)


def difference_of_interquartile_means(x: Scores, y: Scores) -> FloatArray:
    """`interquartile_mean` of X minus that of Y."""
    return interquartile_mean(x) - interquartile_mean(y)
