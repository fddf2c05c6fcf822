"""Aggregation over seeds: mean and sample standard deviation, read at one environment step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reproduce.lab.curves import Curve, index_at, value_at, window_mean


@dataclass(frozen=True)
class CellStatistics:
    """Statistics of one cell over seeds; deviations are sample standard deviations (NaN for one seed)."""

    mean: float
    std: float
    window_mean: float
    window_std: float
    seeds: int
    step: int
    """Environment steps of the evaluation read, the earliest over seeds."""


def sample_std(values: ArrayLike) -> float:
    """Standard deviation with n − 1 in the denominator; NaN for a single value.

    Raises:
        ValueError: there is no value.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("A standard deviation needs at least one value.")
    return float(np.std(array, ddof=1)) if array.size > 1 else float("nan")


def cell_statistics(curves: Sequence[Curve], step: int) -> CellStatistics:
    """Summarise curves, one per seed, read at ``step`` environment steps.

    The window mean is computed per seed first; its deviation is over seeds, too.

    Raises:
        ValueError: there is no curve, or one has no evaluation at or before ``step``.
    """
    finals = np.array([value_at(curve, step) for curve in curves])
    windows = np.array([window_mean(curve, step) for curve in curves])
    # sample_std refuses an empty sequence first, so the means never see one.
    return CellStatistics(
        std=sample_std(finals),
        mean=float(finals.mean()),
        window_std=sample_std(windows),
        window_mean=float(windows.mean()),
        seeds=len(curves),
        step=min(int(curve.steps[index_at(curve, step)]) for curve in curves),
    )


def mean_over_steps(curve: Curve, step: int, since: int = 0) -> float:
    """The area under a curve from ``since`` to ``step``, divided by the number of steps.

    It begins at the first evaluation, the end of the warm-up, if that comes after ``since``.  The curve is
    linear between evaluations.

    Raises:
        ValueError: the first evaluation comes after ``step``.
    """
    until = index_at(curve, step) + 1
    steps, values = curve.steps[:until], curve.values[:until]
    first = max(since, int(steps[0]))
    later = steps > first
    values = np.concatenate([[np.interp(first, steps, values)], values[later]])
    steps = np.concatenate([[first], steps[later]])
    width = steps[-1] - steps[0]
    return float(np.trapezoid(values, steps) / width if width else values[0])


def common_steps(curves: Sequence[Curve]) -> NDArray[np.int64]:
    """The steps at which every curve has an evaluation, increasing; may be empty.

    The last is the latest that all have reached.
    """
    steps = set.intersection(*(set(curve.steps.tolist()) for curve in curves)) if curves else set()
    return np.array(sorted(steps), dtype=np.int64)
