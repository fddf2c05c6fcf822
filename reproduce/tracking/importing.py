"""Import of stored runs, the paper's printed numbers and the authors' curves into MLflow, each once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from alm.training.forms import TIMES
from reproduce.lab.published import authors_curves, printed_scores
from reproduce.lab.store import Store, StoredRun
from reproduce.tracking.client import ENDED, KnownRun, MlflowRuns, Point, SyncResult, finite_points, noting
from reproduce.tracking.records import RunRecord, record_of

PUBLISHED = "alm/published"
"""Experiment of the numbers and curves that others published."""

# Published numbers need a fixed time: that of the paper's first version, arXiv 2209.08466, 2022-09-18.
_PUBLISHED_MS = 1_663_459_200_000
_NOT_METRICS = (*TIMES, "eval/returns", "eval/lengths")


def import_store(store: Store, tracker: MlflowRuns) -> SyncResult:
    """Send every stored run that MLflow lacks, with its original times.

    A run tracked during training is left unchanged; if it was tracked only in part, its missing steps are
    added.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    total, problems, by_key = SyncResult(), list[str](), cache(tracker.by_key)
    for run in store.runs():
        with noting(problems, store.place(run)):
            total += _import(tracker, _stored(run), by_key)
    return total + SyncResult(problems=tuple(problems))


def import_published(tracker: MlflowRuns) -> SyncResult:
    """Send the printed numbers of Table 1 and the authors' ALM(3) curves to the experiment `PUBLISHED`.

    A printed number is ``final/return``. The authors' curves are means over seeds by environment step; the
    5000 warm-up steps that their logs leave out are added.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    by_key = cache(tracker.by_key)
    return sum((_import(tracker, run, by_key) for run in (*_printed(), *_authors_curves())), SyncResult())


@dataclass(frozen=True, kw_only=True)
class _EndedRun:
    """An ended run to import."""

    record: RunRecord
    end_ms: int
    points: list[Point]
    status: str = "FINISHED"
    failure: str | None = None


def _import(
    tracker: MlflowRuns, run: _EndedRun, by_key: Callable[[str], Mapping[str, list[KnownRun]]]
) -> SyncResult:
    """Send a run that MLflow lacks; ``by_key`` gives the runs that an experiment had before, by key."""
    record = run.record
    known = by_key(record.experiment).get(record.key, [])
    if known and all(r.start_ms != record.start_ms for r in known):
        return SyncResult()  # trained here as well: that run takes precedence
    one, found = tracker.find_or_create(record, known)
    if found:
        stopped_later = run.status == "KILLED" and (
            one.status == "RUNNING" or (one.status == "KILLED" and (one.end_ms or 0) >= run.end_ms)
        )
        if one.status in ENDED or stopped_later:
            return SyncResult()
    points = finite_points(record.name, run.points)
    if found:
        points = tracker.missing(one.run_id, points)
    tracker.describe(one.run_id, record)
    tracker.log(one.run_id, points)
    # Last, since this status marks a run as complete.
    tracker.set_status(one.run_id, run.status, run.end_ms, run.failure)
    return SyncResult(1, len(points))


def _stored(run: StoredRun) -> _EndedRun:
    record = record_of(run.record, run.provenance)
    rows = run.evaluations.to_dict("records")
    points = [
        Point(key, float(value), int(row["time_ms"]), int(row["step"]))
        for row in rows
        for key, value in row.items()
        # NaN is a gap in the frame: an evaluation before the first update has no loss.
        if key not in _NOT_METRICS and not np.isnan(value)
    ]
    if run.status != "failed":
        # Early versions stored neither the last step nor the hours per seed.
        final = {**run.final, "final/step": float(run.last_step), "cost/seed_h": run.seed_hours}
        time_ms = int(rows[-1]["time_ms"])
        points += [
            Point(key, value, time_ms, run.last_step) for key, value in final.items() if not np.isnan(value)
        ]
    last_ms = max(int(row["time_ms"]) for row in rows)
    return _EndedRun(
        record=record,
        end_ms=int(run.provenance.get("finished_ms") or last_ms),
        points=points,
        status={"done": "FINISHED", "failed": "FAILED", "partial": "KILLED"}[run.status],
        failure=run.reason,
    )


def _printed() -> Iterable[_EndedRun]:
    for cell in printed_scores(1):
        tags = {
            "source": "published",
            "origin": cell.origin,
            "environment": cell.environment,
            "same_task_as_alm": cell.same_task_as_alm,
            "footnotes": " ".join(note.key for note in cell.footnotes),
        }
        values = {"final/return": cell.mean, "final/return_std": cell.std}
        points = [Point(key, value, _PUBLISHED_MS, 0) for key, value in values.items()]
        yield _published(f"table1/{cell.algorithm}", "printed", cell.algorithm, cell.task, tags, points)


def _authors_curves() -> Iterable[_EndedRun]:
    for task, frame in authors_curves().groupby("task", sort=True):
        tags = {"source": "authors", "seeds": str(frame["seeds"].max())}
        points = []
        for row in frame.itertuples():
            step = int(row.step)
            points.append(Point("eval/return", float(row.return_mean), _PUBLISHED_MS, step))
            # Std over seeds; the eval/return_std of our runs is over the episodes of one evaluation.
            points.append(Point("eval/return_std_of_seeds", float(row.return_std), _PUBLISHED_MS, step))
        yield _published("authors-curve", "authors", "ALM(3)", str(task), tags, points)


def _published(
    place: str, whose: str, algorithm: str, task: str, tags: dict[str, str], points: list[Point]
) -> _EndedRun:
    """Numbers that others published, as a run; ``place`` begins its key."""
    identity = {"algo": algorithm, "task": task}
    record = RunRecord(
        experiment=PUBLISHED,
        name=f"{algorithm} {task} {whose}",
        key=f"{place}/{task}",
        start_ms=_PUBLISHED_MS,
        tags={**identity, "method": f"{algorithm} {whose}", **tags},
        params=identity,
        artifacts={},
    )
    return _EndedRun(record=record, end_ms=_PUBLISHED_MS, points=points)
