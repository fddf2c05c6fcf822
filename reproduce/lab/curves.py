"""Learning curves: the evaluations of one run, and two ways to read them at an environment step.

One is the single evaluation at the step, as the paper prints; the other is the mean over the last 10 % of
the steps up to it, which is steadier where returns swing between evaluations.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        if (back := np.flatnonzero(np.diff(self.steps) <= 0)).size:
            before, after = self.steps[back[0]], self.steps[back[0] + 1]
            raise ValueError(f"The evaluation steps of a curve must increase, but {after} follows {before}.")

    @property
    def last_step(self) -> int:
        """Environment steps at the last evaluation."""
        return int(self.steps[-1])


def value_at(curve: Curve, step: int) -> float:
    """The metric at the last evaluation at or before ``step`` (environment steps).

    Raises:
        ValueError: the first evaluation comes after ``step``.
    """
    return float(curve.values[index_at(curve, step)])


def window_mean(curve: Curve, step: int) -> float:
    """Mean of the metric over the evaluations in (0.9 · ``step``, ``step``]; NaN where there is none."""
    inside = (curve.steps > 0.9 * step) & (curve.steps <= step)
    return float(curve.values[inside].mean()) if inside.any() else float("nan")


def index_at(curve: Curve, step: int) -> int:
    """Index of the last evaluation at or before ``step``.

    Raises:
        ValueError: the first evaluation comes after ``step``.
    """
    index = int(np.searchsorted(curve.steps, step, side="right")) - 1
    if index < 0:
        raise ValueError(f"No evaluation is at or before step {step}; the first is at {curve.steps[0]}.")
    return index


def run_scalars(curve: Curve, wall_seconds: float, population: float | None) -> dict[str, float]:
    """Scalars of a whole run for the store and MLflow, from its returns and its process's wall-clock time.

    That time is shared by the ``population`` seeds of the process; None if their number is unknown.
    """
    hours = wall_seconds / 3600.0
    return {
        "final/return": value_at(curve, curve.last_step),
        "final/window_return": window_mean(curve, curve.last_step),
        "cost/wall_h": hours,
        **({"cost/seed_h": hours / population} if population else {}),
    }


def sharing_seeds(evaluations: Iterable[Mapping[str, Any]]) -> float | None:
    """How many seeds shared the time of a run's process, from its lines of evaluations; None: not known.

    Where the number changed, since the run went on alone or joined others, it is the one by which all of the
    time is divided to give the run's part of it.
    """
    known = [(line["wall_seconds"], line["population"]) for line in evaluations if line.get("population")]
    if len({seeds for _, seeds in known}) <= 1:
        return known[0][1] if known else None
    total = part = before = 0.0
    for seconds, seeds in known:
        passed, before = max(seconds - before, 0.0), seconds
        total, part = total + passed, part + passed / seeds
    return total / part
