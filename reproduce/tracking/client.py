"""Connection to an MLflow tracking server or database.

It creates the database on first use, finds runs by key, so that each is written once, and turns every
MLflow error into one sentence with the URI and what to do. MLflow takes seconds to import, so it is
imported only when a connection is opened.
"""

import hashlib
import logging
import math
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reproduce.lab.errors import reason_of
from reproduce.lab.places import installing
from reproduce.tracking.records import RunRecord
from reproduce.tracking.uri import (
    TrackingError,
    artifact_root,
    require_answer,
    resolve_uri,
    shown_uri,
    sqlite_file,
    without_password,
)

_BATCH = 1000  # MLflow refuses more metrics in one request
_PAGE = 1000
_LONGEST_NAME = 250
_EXTRAS = {"mlflow": ("mlflow", "train"), "psycopg": ("psycopg, which speaks to Postgres", "server")}
log = logging.getLogger(__name__)

QUIET: Mapping[str, str] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
"""Environment of MLflow: quiet, private, short timeouts; variables already set take precedence."""

ENDED = ("FINISHED", "FAILED")
"""MLflow statuses of runs that are complete: nothing is added to them."""


class RefusedError(TrackingError):
    """A refusal of MLflow to take something that a run holds; ``reason`` is its own."""

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Point(NamedTuple):
    """One value of a metric; ``step`` counts environment steps, ``time_ms`` milliseconds since 1970."""

    key: str
    value: float
    time_ms: int
    step: int


@dataclass(frozen=True)
class SyncResult:
    """The result of a synchronisation.

    Attributes:
        runs: number of runs for which anything was sent.
        points: number of metric values sent.
        problems: one sentence for each run that was not sent; the others were.
    """

    runs: int = 0
    points: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: "SyncResult") -> "SyncResult":
        return SyncResult(self.runs + other.runs, self.points + other.points, self.problems + other.problems)


@dataclass(frozen=True, kw_only=True)
class KnownRun:
    """State of a run in MLflow when it was looked up; times in milliseconds since 1970."""

    run_id: str
    start_ms: int
    end_ms: int | None
    status: str


class MlflowRuns:
    """The runs of one MLflow server or database, found by key.

    The first use creates the database, one process at a time: concurrent MLflow migrations crash.

    Args:
        uri: see `reproduce.tracking.uri.resolve_uri`.

    Raises:
        TrackingError: from every method, if MLflow cannot be reached, read or written.
    """

    def __init__(self, uri: str | None = None) -> None:
        self.uri = resolve_uri(uri)
        self._experiments: dict[str, str] = {}
        with self._one_sentence():
            require_answer(self.uri)
            for name, value in QUIET.items():
                os.environ.setdefault(name, value)
            from mlflow import MlflowClient

            # MLflow may have been imported before the variable was set.
            logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])
            with self._exclusive():
                self._client = MlflowClient(tracking_uri=self.uri)

    def experiments(self) -> dict[str, str]:
        """Names and identifiers of this suite's active experiments, whatever else a server holds."""
        with self._one_sentence():
            found = self._client.search_experiments(max_results=_PAGE, filter_string="name LIKE 'alm/%'")
        return {e.name: e.experiment_id for e in sorted(found, key=lambda e: e.name)}

    def search(self, experiment_id: str) -> Iterator[Any]:
        """The active runs of an experiment as MLflow entities, newest first."""
        token = None
        while token != "":
            with self._one_sentence():
                page = self._client.search_runs([experiment_id], max_results=_PAGE, page_token=token)
            yield from page
            token = page.token or ""

    def by_key(self, experiment: str) -> dict[str, list[KnownRun]]:
        """All runs of an experiment by key, for looking up many."""
        found = defaultdict(list)
        for run in self.search(self._experiment_id(experiment)):
            found[run.data.tags.get("run_key", "")].append(_known(run))
        return found

    def find_or_create(self, record: RunRecord, known: Iterable[KnownRun] = ()) -> tuple[KnownRun, bool]:
        """The run of a record, and whether it existed; if not, it is created.

        MLflow is queried only if none of the ``known`` runs, which have the record's key, is the run.

        A run of the same key with another start time is a different training: it is left alone and does not
        count as found. If several runs were created for the record, by two machines at the same moment or
        by a request repeated because its answer was lost, the one with the smallest identifier is kept and
        the others are deleted.
        """
        experiment_id = self._experiment_id(record.experiment)

        def matching(runs: Iterable[KnownRun]) -> list[KnownRun]:
            return sorted((r for r in runs if r.start_ms == record.start_ms), key=lambda run: run.run_id)

        def search() -> list[KnownRun]:
            query = f"tags.run_key = '{record.key}'"
            return matching(map(_known, self._client.search_runs([experiment_id], query)))

        found = matching(known)
        if len(found) == 1:
            return found[0], True
        # The lock keeps two processes on this machine from creating it at once.
        with self._one_sentence(), self._exclusive():
            found = search()
            was_there = bool(found)
            if not found:
                tags = {"run_key": record.key, **record.tags}
                self._client.create_run(experiment_id, record.start_ms, tags, record.name)
                found = search()
            run, *doubles = found
            for double in doubles:
                self._client.delete_run(double.run_id)
        return run, was_there

    def experiment_tags(self, experiment_id: str) -> dict[str, str]:
        """The tags of an experiment; its description is one of them."""
        with self._one_sentence():
            return dict(self._client.get_experiment(experiment_id).tags)

    def tag_experiment(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of an experiment."""
        with self._one_sentence():
            for key, value in tags.items():
                self._client.set_experiment_tag(experiment_id, key, value)

    def describe(self, run_id: str, record: RunRecord) -> None:
        """Write the record's artifacts and those of its parameters that the run lacks."""
        from mlflow.entities import Param

        with self._one_sentence():
            present = self._client.get_run(run_id).data.params
            params = [Param(key, value) for key, value in record.params.items() if key not in present]
            self._client.log_batch(run_id, params=params)
            for name, content in record.artifacts.items():
                self._client.log_dict(run_id, content, name)

    def missing(self, run_id: str, points: Sequence[Point]) -> list[Point]:
        """The points whose metric has no value at their step yet."""
        with self._one_sentence():
            names = {point.key for point in points} & self._client.get_run(run_id).data.metrics.keys()
            present = {
                (name, metric.step)
                for name in names
                for metric in self._client.get_metric_history(run_id, name)
            }
        return [point for point in points if (point.key, point.step) not in present]

    def log(self, run_id: str, points: Sequence[Point]) -> None:
        """Write points in batches; points already there, to the millisecond, are not duplicated."""
        from mlflow.entities import Metric

        with self._one_sentence():
            for start in range(0, len(points), _BATCH):
                batch = [Metric(p.key, p.value, p.time_ms, p.step) for p in points[start : start + _BATCH]]
                self._client.log_batch(run_id, metrics=batch)

    def set_status(
        self, run_id: str, status: str, end_ms: int | None = None, reason: str | None = None
    ) -> None:
        """Set a run's status and, if they apply, its end time and the reason of its failure."""
        with self._one_sentence():
            if reason:
                self._client.set_tag(run_id, "failure", reason)
            if end_ms is None:
                self._client.update_run(run_id, status)
            else:
                self._client.set_terminated(run_id, status, end_ms)

    def _experiment_id(self, name: str) -> str:
        if name not in self._experiments:
            with self._one_sentence(), self._exclusive():
                found = self._client.get_experiment_by_name(name)
                if found is not None and found.lifecycle_stage != "active":
                    raise TrackingError(
                        f"The experiment {name} was deleted from MLflow at {shown_uri(self.uri)}: "
                        "restore it with `mlflow experiments restore "
                        f"--experiment-id {found.experiment_id}`."
                    )
                self._experiments[name] = found.experiment_id if found else self._create_experiment(name)
        return self._experiments[name]

    def _create_experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        root = artifact_root(self.uri)
        try:
            return self._client.create_experiment(name, f"{root}/{name}" if root else None)
        except MlflowException:
            # Another machine may have created it, or the answer to a first try was lost.
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Lock that keeps other processes on this machine from creating databases, experiments and runs."""
        file = sqlite_file(self.uri)
        if file:
            path = file.with_name(f"{file.name}.lock")
        else:
            digest = hashlib.sha256(self.uri.encode()).hexdigest()[:16]
            path = Path(tempfile.gettempdir(), f"alm-mlflow-{os.getuid()}-{digest}.lock")
        with locked(path):
            yield

    @contextmanager
    def _one_sentence(self) -> Iterator[None]:
        """Turn exceptions of MLflow and the libraries beneath it into a `TrackingError`."""
        try:
            yield
        except TrackingError:
            raise
        except Exception as error:
            # Imported late: most failures to reach a server come before MLflow is needed at all.
            if not _is_foreign(error):
                raise
            sentence = _sentence(self.uri, error)
            if getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE":
                raise RefusedError(sentence, _reason(self.uri, error)) from error
            raise TrackingError(sentence) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, after waiting for any other holder."""
    import fcntl  # not everywhere, and not needed to read results

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def noting(problems: list[str], what: object) -> Iterator[None]:
    """Send one run in the block; what is wrong with it is a problem, and keeps no other from MLflow.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    try:
        yield
    except RefusedError as error:
        problems.append(
            f"{what} was not sent to MLflow ({error.reason}); tables and figures have it all the same"
        )
    except TrackingError:
        raise
    except Exception as error:
        problems.append(
            f"{what} was not sent to MLflow ({reason_of(error)}); mend it, put a sound copy back, or move it "
            "away"
        )


def finite_points(label: str, points: Sequence[Point]) -> list[Point]:
    """Points without NaN/Inf, with names that MLflow accepts.

    One infinite value ruins the axis of every chart that shows it, so NaN/Inf are left out, with a warning
    that names their metrics.
    """
    kept, refused = [], set()
    for point in points:
        if math.isfinite(point.value):
            kept.append(point._replace(key=_metric_name(point.key)))
        else:
            refused.add(point.key)
    if refused:
        log.warning("%s: NaN/Inf in %s; MLflow lacks these values", label, ", ".join(sorted(refused)))
    return kept


def _metric_name(name: str) -> str:
    # MLflow takes names for paths, and refuses those that lead elsewhere or have parts without a name.
    parts = re.sub(r"[^\w\-. :/]", "_", name).split("/")
    whole = "/".join("_" if part in ("", ".", "..") else part for part in parts)
    return whole[:_LONGEST_NAME].rstrip("/")


def _known(run: Any) -> KnownRun:
    return KnownRun(
        run_id=run.info.run_id,
        start_ms=run.info.start_time,
        end_ms=run.info.end_time,
        status=run.info.status,
    )


def _is_foreign(error: Exception) -> bool:
    # requests' errors are OSErrors; a driver may be missing; a host name may be invalid.
    if isinstance(error, (OSError, ImportError, UnicodeError)):
        return True
    from alembic.util import CommandError  # raised for a database with other tables
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, (CommandError, MlflowException, SQLAlchemyError))


def _sentence(uri: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        what, extra = _EXTRAS[error.name]
        how = installing(extra)
        return f"MLflow at {shown_uri(uri)} cannot be used without {what}: install it with `{how}`."
    return (
        f"MLflow at {shown_uri(uri)} cannot be used ({_reason(uri, error)}); no run is lost, each is in its "
        f"directory: once it answers, send them with `python -m reproduce sync`."
    )


def _reason(uri: str, error: Exception) -> str:
    reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
    reason = without_password(reason, uri)
    return (f"{reason[:160].rstrip()} …" if len(reason) > 160 else reason).rstrip(".")
