"""Pooling: which stored runs make a number, the same in every table, figure and claim.

Every stored seed that has reached the read-out counts, even if it failed later or the scale asks for fewer
seeds.  If no seed has reached it, the seeds that have not failed are read at the last step common to all of
them, without those that are too far behind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alm.task_registry import UnknownTaskError
from alm.training.scale import SCALES
from reproduce.lab.algorithms import run_length
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import StoredRun

__all__ = ["Pool", "abreast", "pool", "whole_length"]

_ABREAST = 0.5
"""Share of the furthest run's steps below which another run is too far behind to count."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The runs behind one number.

    Attributes:
        runs: the runs that count, by seed; may be empty.
        step: environment steps at which they are read; 0 without a run.
        complete: whether ``step`` is the read-out.
        unfinished: number of runs left out because others got further.
        failed: number of runs left out because they failed before the read-out.
    """

    runs: tuple[StoredRun, ...]
    step: int
    complete: bool
    unfinished: int
    failed: int


def pool(runs: Iterable[StoredRun], read_out: int) -> Pool:
    """The runs of one algorithm, variant, task and scale that count at a read-out in environment steps."""
    every = [run for run in runs if run.last_step > 0 or run.status == "failed"]
    reached = [run for run in every if run.last_step >= read_out]
    failed = [run for run in every if run.status == "failed" and run not in reached]
    under_way = [run for run in every if run not in reached and run not in failed]
    used = reached or abreast(under_way)
    step = read_out if reached else min((run.last_step for run in used), default=0)
    unfinished = len([run for run in under_way if run not in used])
    return Pool(tuple(used), step, bool(reached), unfinished, len(failed))


def whole_length(spec: RunSpec) -> int | None:
    """Environment steps of a whole run; None for a scale or task unknown to this version."""
    try:
        return run_length(spec) if spec.scale in SCALES else None
    except UnknownTaskError:
        return None


def abreast(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """The runs that are at least half as far as the furthest of them."""
    furthest = max((run.last_step for run in runs), default=0)
    return [run for run in runs if run.last_step >= _ABREAST * furthest]
