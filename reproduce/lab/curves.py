"""Learning curves: the evaluations of one run, and ways to read them up to an environment step.

The single evaluation at the step is what the paper prints. The mean over the last 10 % of the steps up to it
is steadier where returns swing between evaluations; the mean over all of them tells how fast a run learns.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alm.errors import UserError


@dataclass(frozen=True, eq=False)
class Curve:
    """The evaluations of one run.

    Attributes:
        steps: shape (evaluations,), environment steps at each evaluation, increasing.
        values: shape (evaluations,), the metric at each evaluation.

    Raises:
        UserError: the shapes differ, there is no evaluation, or the steps do not increase.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.steps.ndim != 1 or self.steps.shape != self.values.shape or self.steps.size == 0:
            raise UserError(
                f"A curve needs as many values as steps, and at least one; "
                f"got shapes {self.steps.shape} and {self.values.shape}."
            )
        if (back := np.flatnonzero(np.diff(self.steps) <= 0)).size:
            before, after = self.steps[back[0]], self.steps[back[0] + 1]
            raise UserError(f"The evaluation steps of a curve must increase, but {after} follows {before}.")

    @property
    def last_step(self) -> int:
        """Environment steps at the last evaluation."""
        return int(self.steps[-1])


def value_at(curve: Curve, step: int) -> float:
    """The metric at the last evaluation at or before ``step`` (environment steps).

    Raises:
        UserError: the first evaluation comes after ``step``.
    """
    return float(curve.values[index_at(curve, step)])


def window_mean(curve: Curve, step: int) -> float:
    """Mean of the metric over the evaluations in (0.9 · ``step``, ``step``]; NaN where there is none."""
    inside = (curve.steps > 0.9 * step) & (curve.steps <= step)
    return float(curve.values[inside].mean()) if inside.any() else float("nan")


def mean_over_steps(curve: Curve, step: int, since: int = 0) -> float:
    """The area under a curve from ``since`` to ``step``, divided by the number of steps.

    It begins at the first evaluation, the end of the warm-up, if that comes after ``since``. The curve is
    linear between evaluations.

    Raises:
        UserError: the first evaluation comes after ``step``.
    """
    until = index_at(curve, step) + 1
    steps, values = curve.steps[:until], curve.values[:until]
    first = max(since, int(steps[0]))
    later = steps > first
    values = np.concatenate([[np.interp(first, steps, values)], values[later]])
    steps = np.concatenate([[first], steps[later]])
    width = steps[-1] - steps[0]
    return float(np.trapezoid(values, steps) / width if width else values[0])


def index_at(curve: Curve, step: int) -> int:
    """Index of the last evaluation at or before ``step``.

    Raises:
        UserError: the first evaluation comes after ``step``.
    """
    index = int(np.searchsorted(curve.steps, step, side="right")) - 1
    if index < 0:
        raise UserError(f"No evaluation is at or before step {step}; the first is at {curve.steps[0]}.")
    return index


def common_steps(curves: Sequence[Curve]) -> NDArray[np.int64]:
    """The steps at which every curve has an evaluation, increasing; may be empty.

    The last is the latest that all have reached.
    """
    steps = set.intersection(*(set(curve.steps.tolist()) for curve in curves)) if curves else set()
    return np.array(sorted(steps), dtype=np.int64)


def first_common_step(curves: Iterable[Curve]) -> int:
    """The latest first evaluation of several curves, the end of the longest warm-up; 0 without curves."""
    return max((int(curve.steps[0]) for curve in curves), default=0)


def run_scalars(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Scalars of a whole run for the store and MLflow, from its lines of evaluations, at least one.

    Hours are those of its process; hours per seed are left out if the number of its seeds is unknown.
    """
    steps = np.array([line["step"] for line in evaluations], np.int64)
    returns = np.array([line["metrics"]["eval/return"] for line in evaluations], np.float64)
    curve, hours = Curve(steps, returns), evaluations[-1]["wall_seconds"] / 3600.0
    population = sharing_seeds(evaluations)
    return {
        "final/return": value_at(curve, curve.last_step),
        "final/window_return": window_mean(curve, curve.last_step),
        "final/step": float(curve.last_step),
        "cost/wall_h": hours,
        **({"cost/seed_h": hours / population} if population else {}),
    }


def sharing_seeds(evaluations: Sequence[Mapping[str, Any]]) -> float | None:
    """How many seeds shared the time of a run's process, from its lines of evaluations; None: not known.

    Where the number changed, since the run went on alone or joined others, it is the one by which all of the
    time is divided to give the run's part of it.
    """
    known = [(line["wall_seconds"], line["population"]) for line in evaluations if line.get("population")]
    if len({seeds for _, seeds in known}) <= 1:
        return known[0][1] if known else None
    total = part = before = 0.0
    for seconds, seeds in known:
        total, part = total + seconds - before, part + (seconds - before) / seeds
        before = seconds
    return total / part
