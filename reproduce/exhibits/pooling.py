"""Pooling: which stored runs make a number, and which may not together, in every table, figure and claim.

Every stored seed that has reached the read-out counts, even if it failed later or the scale asks for fewer
seeds. If no seed has reached it, the seeds that have not failed are read at the last step common to all of
them, without those that are too far behind.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from alm.errors import UserError
from reproduce.exhibits.statistics.intervals import FloatArray
from reproduce.lab.curves import Curve, index_at, value_at, window_mean
from reproduce.lab.specs import method_name
from reproduce.lab.store import StoredRun

_NAMED = 5
"""Most settings that a message names."""
_ABREAST = 0.5
"""Share of the furthest run's steps below which another run is too far behind to count."""


class StoreMixError(UserError):
    """An attempt to pool runs that are not comparable."""


class ProtocolMixError(StoreMixError):
    """The runs differ in the task's definition or simulator: the one mixture that may be forced."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The runs behind one number, and that number if there is a run.

    Deviations are sample standard deviations over seeds, NaN for one seed.

    Attributes:
        runs: the runs that count, by seed; may be empty.
        step: environment steps at which they are read; 0 without a run.
        complete: whether ``step`` is the read-out.
        unfinished: number of runs left out because others got further or their first evaluation comes later.
        failed: number of runs left out because they failed before the read-out.
    """

    runs: tuple[StoredRun, ...]
    step: int
    complete: bool
    unfinished: int
    failed: int

    def each(self, read: Callable[[Curve, int], float]) -> FloatArray:
        """The number that is read of each run's returns at ``step``, shape (runs,)."""
        return np.array([read(run.curve(), self.step) for run in self.runs])

    @property
    def mean(self) -> float:
        """Mean return of the evaluations at ``step``."""
        return float(self.each(value_at).mean())

    @property
    def std(self) -> float:
        """Its deviation."""
        return sample_std(self.each(value_at))

    @property
    def window_mean(self) -> float:
        """Mean return over the last tenth of the steps up to ``step``, of each seed first."""
        return float(self.each(window_mean).mean())

    @property
    def window_std(self) -> float:
        """Its deviation."""
        return sample_std(self.each(window_mean))

    @property
    def evaluated(self) -> int:
        """Environment steps of the evaluation read at ``step``, the earliest over seeds."""
        curves = [run.curve() for run in self.runs]
        return min(int(curve.steps[index_at(curve, self.step)]) for curve in curves)


def sample_std(values: ArrayLike) -> float:
    """Standard deviation with n − 1 in the denominator; NaN for a single value."""
    array = np.asarray(values, dtype=np.float64)
    return float(np.std(array, ddof=1)) if array.size > 1 else float("nan")


def pool(runs: Iterable[StoredRun], read_out: int) -> Pool:
    """The runs of one algorithm, variant, task and scale that count at a read-out in environment steps."""
    every = list(runs)
    # A run whose warm-up ends after the read-out has nothing to read there.
    begun = [run for run in every if run.curve().steps[0] <= read_out]
    reached = [run for run in begun if run.last_step >= read_out]
    failed = [run for run in every if run.status == "failed" and run not in reached]
    under_way = [run for run in every if run not in reached and run not in failed]
    used = reached or abreast([run for run in under_way if run in begun])
    step = read_out if reached else min((run.last_step for run in used), default=0)
    unfinished = len([run for run in under_way if run not in used])
    return Pool(tuple(used), step, bool(reached), unfinished, len(failed))


def abreast(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """The runs that are at least half as far as the furthest of them."""
    furthest = max((run.last_step for run in runs), default=0)
    return [run for run in runs if run.last_step >= _ABREAST * furthest]


def require_comparable(runs: Iterable[StoredRun], mix: bool = False) -> None:
    """Refuse runs of a scale that may not make one number; with ``mix``, different protocols are accepted.

    Raises:
        StoreMixError: the runs differ in protocol (which names the simulator's version), or seeds of one
            variant in configuration.
    """
    runs = list(runs)
    require_one_configuration(runs)
    protocols = {run.protocol for run in runs}
    if len(protocols) > 1 and not mix:
        found = ", ".join(sorted(protocols))
        raise ProtocolMixError(f"Runs of different protocols may not be pooled: {found}.{_without_own(runs)}")


def require_one_configuration(runs: Iterable[StoredRun]) -> None:
    """Refuse seeds of one algorithm, variant and task with different configurations.

    Raises:
        StoreMixError: the configurations differ.
    """
    first: dict[tuple[str, str, str], StoredRun] = {}
    for run in runs:
        spec = run.spec
        other = first.setdefault((spec.algorithm, spec.variant, spec.task), run)
        if run.config != other.config:
            differing = _differing(run.config, other.config)
            settings = ", ".join(differing[:_NAMED]) + (", …" if len(differing) > _NAMED else "")
            raise StoreMixError(
                f"Seeds {other.spec.seed} and {spec.seed} of {method_name(spec.algorithm, spec.variant)} on "
                f"{spec.task} may not be pooled, because their configurations differ ({settings}): train "
                f"them again as one variant, or move {other.spec.relative_dir} or {spec.relative_dir} away."
                f"{_without_own([other, run])}"
            )


def _differing(one: Any, other: Any, name: str = "") -> list[str]:
    """Names of the settings that differ, ``"agent.horizon"``."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [] if one == other else [name]
    return [
        found
        for key in {**one, **other}
        for found in _differing(one.get(key, ...), other.get(key, ...), f"{name}.{key}" if name else key)
    ]


def _without_own(runs: Iterable[StoredRun]) -> str:
    """A sentence on how to leave out runs of one's own; empty if there are none."""
    own = sum(run.own for run in runs)
    return f" Your own runs ({own} of them) are left out with --no-own." if own else ""
