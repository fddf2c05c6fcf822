"""Evidence for claims: the runs of one scale, and the numbers read from a run, one per seed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from alm.training.scale import scale_named
from reproduce.exhibits.bias import bias_by_step
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.kinds import Series
from reproduce.exhibits.pooling import Pool, pool
from reproduce.exhibits.statistics.intervals import FloatArray
from reproduce.exhibits.statistics.significance import deviations
from reproduce.lab.algorithms import run_length
from reproduce.lab.curves import mean_over_steps, window_mean
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store, StoredRun

Where = str | tuple[str, ...]
"""The exhibit whose tasks a claim is about, or the tasks themselves."""


class Evidence:
    """The stored runs of one scale, and the steps at which exhibits read them.

    Args:
        store: stored runs.
        scale: the only scale that is read.

    Attributes:
        store, scale: as given.
        stored: every stored run of it.

    Raises:
        UserError: there is no such scale.
    """

    def __init__(self, store: Store, scale: str) -> None:
        self.scale, self.store = scale_named(scale).name, store
        self.stored = store.runs(scale=scale)
        self._biases: dict[tuple[RunSpec, str], pd.DataFrame] = {}

    def tasks(self, where: Where) -> tuple[str, ...]:
        """The tasks of a figure or table at this scale, or those named."""
        return EXHIBITS[where].tasks_at(self.scale) if isinstance(where, str) else where

    def pool(self, side: Series, task: str, where: Where) -> Pool:
        """The runs of a side that have reached the read-out: that of an exhibit, or the end of their runs.

        None counts on its way there.
        """
        cell = (side.algorithm, side.variant, side.task(task), self.scale)
        runs = [run for run in self.stored if run.spec.cell == cell]
        end = EXHIBITS[where].end if isinstance(where, str) else run_length
        found = pool(runs, end(runs[0].spec) if runs else 0)
        return found if found.complete else replace(found, runs=())

    def biases(self, run: StoredRun, estimate: str) -> pd.DataFrame:
        """The bias of a run's estimate, normalised as in REDQ, one row per stored measurement."""
        which = run.spec, estimate
        if which not in self._biases:
            self._biases[which] = bias_by_step(self.store.values(run), estimate, "redq")
        return self._biases[which]


class Reading(NamedTuple):
    """What a number of a run is read from.

    Attributes:
        evidence: the stored runs, with their value estimates and predictions.
        run: the run.
        side: the side that it belongs to.
        since: the step at which all runs compared have an evaluation, the end of the longest warm-up.
        step: the read-out.
    """

    evidence: Evidence
    run: StoredRun
    side: Series
    since: int
    step: int


@dataclass(frozen=True)
class Outcome:
    """One number of a run.

    Attributes:
        of: prefix of the number in texts, such as ``"bias of "``; empty for the return.
        read: gives the number of a run; None if the run has none.
        absent: what a side without the number lacks, in words.
        digits: decimals with which it is written.
        resolution: unit in which it counts; 0 for measurements.
        spread: whether to compare the spread of seeds instead of their level.
        aside: name of the number when shown beside another, such as ``"area"``.
        second: the outcome to show beside it.
    """

    of: str
    read: Callable[[Reading], float | None]
    absent: str = "no finished run"
    digits: int = 0
    resolution: float = 0.0
    spread: bool = False
    aside: str = ""
    second: "Outcome | None" = None

    @property
    def seeds_needed(self) -> int:
        """Seeds needed on every side for a verdict."""
        return 5 if self.spread else 3

    def scores(self, evidence: Evidence, side: Series, pooled: Pool, since: int = 0) -> FloatArray:
        """The numbers of the runs of a side (seeds,), whose areas begin at ``since``."""
        found = [self.read(Reading(evidence, run, side, since, pooled.step)) for run in pooled.runs]
        scores = np.array([one for one in found if one is not None])
        return deviations(scores) if self.spread and len(scores) else scores


# --- Of learning curves -------------------------------------------------------------------------------------


def _area(one: Reading) -> float:
    return mean_over_steps(one.run.curve(), one.step, one.since)


def _window(metric: str = "eval/return") -> Callable[[Reading], float]:
    return lambda one: window_mean(one.run.curve(metric), one.step)


_AREA = Outcome("area of ", _area, aside="area")
_END = Outcome("", _window(), aside="end")

RETURN = replace(_END, second=_AREA)
"""The mean return over the last tenth of the steps."""

EFFICIENCY = replace(_AREA, second=_END)
"""The mean return from the end of the longest warm-up of all runs compared to the read-out: of two runs that
end alike, the one that learned sooner has more."""

SPREAD = Outcome(
    "spread of ", _window(), spread=True, second=replace(_AREA, of="spread of area of ", spread=True)
)
"""Distance of a seed's return from the median of all seeds."""

EPISODE_SPREAD = Outcome("deviation over episodes of ", _window("eval/return_std"))
"""Standard deviation of returns over the episodes of an evaluation, in the last tenth of the steps."""


# --- Of value estimates -------------------------------------------------------------------------------------


def _bias(column: str, part: tuple[float, float]) -> Callable[[Reading], float | None]:
    """The mean of a column of the normalised bias (REDQ's definition) over a part of training."""

    def read(one: Reading) -> float | None:
        found = one.evidence.biases(one.run, one.side.estimate)
        warmup = int((one.run.evaluations["step"] - one.run.evaluations["training_step"]).iloc[0])
        first, last = (warmup + share * (one.step - warmup) for share in part)
        inside = found.loc[(found["step"] > first) & (found["step"] <= last), column]
        return None if inside.empty else float(inside.mean())

    return read


def _bias_outcome(of: str, column: str, part: tuple[float, float]) -> Outcome:
    return Outcome(of, _bias(column, part), absent="no stored value estimates", digits=2)


BIAS = _bias_outcome("bias of ", "bias_mean", (0.5, 1.0))
"""Mean of estimate minus return over the second half of training, as a fraction of the mean return."""

BIAS_STD = _bias_outcome("std of bias of ", "bias_std", (0.5, 1.0))
"""Its standard deviation over state–action pairs."""

BIAS_STD_BY_QUARTER = tuple(
    _bias_outcome(f"std of bias in quarter {n + 1} of ", "bias_std", (n / 4, (n + 1) / 4)) for n in range(4)
)
"""The same in each quarter of training."""


def _growth(one: Reading) -> float | None:
    early, late = (_bias("bias_std", part)(one) for part in ((0.0, 0.5), (0.5, 1.0)))
    return late / early if early and late is not None else None


BIAS_STD_GROWTH = Outcome(
    "late / early std of bias of ", _growth, absent="no stored value estimates", digits=2
)
"""The standard deviation over the second half of training, divided by that over the first."""


# --- Of predictions -----------------------------------------------------------------------------------------


def _accurate_steps(one: Reading) -> float | None:
    found = one.evidence.store.latents(one.run)
    if found is None:
        return None
    errors = found[0].dropna(subset="squared_error")
    lost = errors.loc[errors["squared_error"] >= 1.0, "step"]
    return float(lost.iloc[0]) - 1.0 if len(lost) else float(errors["step"].max())


ACCURATE_STEPS = Outcome(
    "accurate steps of ", _accurate_steps, absent="no stored predictions", resolution=1.0
)
"""Model steps before the squared error reaches the variance of the representation, or all measured steps if
it never does."""
