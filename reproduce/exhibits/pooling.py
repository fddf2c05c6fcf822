"""Pooling: which stored runs make a number, the same in every table, figure and claim.

Every stored seed that has reached the read-out counts, whatever became of it later and however many seeds a
scale asks for.  Where none has, those that have not failed are read at the last step that each of them has
reached; one that has just begun does not pull the others back.
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
"""The share of the furthest run's steps below which another has only begun."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The runs behind one number.

    Attributes:
        runs: those that count, by seed; may be none.
        step: environment steps at which they are read; 0 without a run.
        complete: whether that is the read-out.
        unfinished: runs that are left out because others got further.
        failed: runs that failed before the read-out, left out.
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
    """Environment steps of a whole run; None for a scale or a task that this version does not know."""
    try:
        return run_length(spec) if spec.scale in SCALES else None
    except UnknownTaskError:
        return None


def abreast(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Those of some runs that have come at least half as far as the furthest of them."""
    furthest = max((run.last_step for run in runs), default=0)
    return [run for run in runs if run.last_step >= _ABREAST * furthest]
