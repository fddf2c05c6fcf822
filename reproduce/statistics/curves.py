"""From learning curves to the numbers of a table cell.

A *curve* is one run: its evaluation steps and the metric at each. A *cell* summarises the curves of
several seeds, read at one step. Two readings are given: the single evaluation at that step, which is what the
paper prints, and the mean over the last 10 % of the steps, which is steadier where returns swing from one
evaluation to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CellStatistics",
    "Curve",
    "cell_statistics",
    "common_steps",
    "run_scalars",
    "sample_std",
    "value_at",
    "window_mean",
]


@dataclass(frozen=True, eq=False)
class Curve:
    """The evaluations of one run.

    Attributes:
        steps: shape (evaluations,), environment steps at each evaluation, increasing.
        values: shape (evaluations,), the metric at each evaluation.

    Raises:
        ValueError: the shapes differ, there is no evaluation, or the steps do not increase.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.steps.ndim != 1 or self.steps.shape != self.values.shape or self.steps.size == 0:
            raise ValueError(
                f"A curve needs as many values as steps, and at least one; "
                f"got shapes {self.steps.shape} and {self.values.shape}."
            )
        if np.any(np.diff(self.steps) <= 0):
            raise ValueError("The evaluation steps of a curve must increase.")

    @property
    def last_step(self) -> int:
        """Environment steps at the last evaluation."""
        return int(self.steps[-1])


@dataclass(frozen=True)
class CellStatistics:
    """Numbers of one cell, over seeds; deviations are sample standard deviations (NaN for one seed)."""

    mean: float
    std: float
    window_mean: float
    window_std: float
    seeds: int
    step: int
    """Environment steps of the evaluation that was read, the earliest over the seeds."""


def sample_std(values: ArrayLike) -> float:
    """Standard deviation with n − 1 in the denominator; NaN for a single value.

    Raises:
        ValueError: there is no value.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("A standard deviation needs at least one value.")
    return float(np.std(array, ddof=1)) if array.size > 1 else float("nan")


def value_at(curve: Curve, step: int) -> float:
    """The metric at the last evaluation at or before ``step`` (environment steps).

    Raises:
        ValueError: the first evaluation comes after ``step``.
    """
    return float(curve.values[_index_at(curve, step)])


def window_mean(curve: Curve, step: int) -> float:
    """Mean of the metric over the evaluations in (0.9 · ``step``, ``step``]; NaN where there is none."""
    inside = (curve.steps > 0.9 * step) & (curve.steps <= step)
    return float(curve.values[inside].mean()) if inside.any() else float("nan")


def cell_statistics(curves: Sequence[Curve], step: int) -> CellStatistics:
    """Summarise one curve a seed, read at ``step`` environment steps.

    The window mean is taken within each seed first; its deviation is over seeds, too.

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
        step=min(int(curve.steps[_index_at(curve, step)]) for curve in curves),
    )


def _index_at(curve: Curve, step: int) -> int:
    index = int(np.searchsorted(curve.steps, step, side="right")) - 1
    if index < 0:
        raise ValueError(f"No evaluation is at or before step {step}; the first is at {curve.steps[0]}.")
    return index


def common_steps(curves: Sequence[Curve]) -> NDArray[np.int64]:
    """The steps at which every curve has an evaluation, increasing; the last is the latest that all reached.

    Raises:
        ValueError: there is no such step, or no curve.
    """
    steps = sorted(set.intersection(*(set(curve.steps.tolist()) for curve in curves)) if curves else ())
    if not steps:
        raise ValueError("The runs have no evaluation at a common environment step yet: let them train on.")
    return np.array(steps, dtype=np.int64)


def run_scalars(curve: Curve, wall_seconds: float) -> dict[str, float]:
    """What the store and MLflow say of a whole run, from its evaluation returns and its seconds."""
    return {
        "final/return": value_at(curve, curve.last_step),
        "final/window_return": window_mean(curve, curve.last_step),
        "cost/wall_h": wall_seconds / 3600.0,
    }
