"""Synchronisation of run directories with MLflow, during training and afterwards.

The run directory is the source of truth. Training neither imports MLflow nor waits for it: `start_follower`
starts a process that sends what checkpoints have committed while the run continues, and the rest when it has
ended. Sending twice duplicates nothing.
"""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from alm.training.run_directory import RunDirectory, metrics_in
from reproduce.formats import on_one_line
from reproduce.lab.curves import run_scalars
from reproduce.lab.places import WORKPLACE
from reproduce.tracking.client import (
    ENDED,
    KnownRun,
    MlflowRuns,
    Point,
    SyncResult,
    finite_points,
    locked,
    noting,
)
from reproduce.tracking.records import record_of
from reproduce.tracking.uri import TrackingError, resolve_uri, shown_uri

_STATE = "mlflow.json"
_POLL_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 300.0


def sync(directories: Iterable[Path], tracker: MlflowRuns) -> SyncResult:
    """Send committed metrics of run directories that are not yet sent.

    For an unfinished run these are the lines up to its newest checkpoint; later lines are cut off and written
    again when the run resumes.

    Args:
        directories: run directories; those without a ``config.json`` are skipped without a word, since
            `reproduce.lab.run_directories.directories_under`, which finds them, has named those.
        tracker: the MLflow to send to.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    return _Synchroniser(tracker).send_all(directories)


def follow(directories: Iterable[Path], until: Callable[[], bool]) -> None:
    """Send metrics while runs train, and a last time when all have ended or ``until`` is true.

    If MLflow cannot be used, this is printed once and it is retried at growing intervals; it is printed again
    if the last try fails, too. A run that has not ended when ``until`` becomes true is marked as stopped
    (MLflow's KILLED) until it is followed again.

    Args:
        directories: run directories.
        until: whether the trainer is gone, see `process_gone`.
    """
    directories, uri = list(directories), resolve_uri()
    synchroniser: _Synchroniser | None = None
    problems: tuple[str, ...] = ()
    told, wait, due = False, _POLL_SECONDS, 0.0
    while True:
        # Evaluated before the pass, so that the last pass sees everything.
        last = until() or all(RunDirectory(one).status in ("done", "failed") for one in directories)
        if last or time.monotonic() >= due:
            try:
                synchroniser = synchroniser or _Synchroniser(MlflowRuns(uri))
                problems = synchroniser.send_all(directories, going_on=not last).problems
                told, wait = False, _POLL_SECONDS
            except TrackingError as error:
                synchroniser = None
                if last or not told:
                    print(on_one_line(error), file=sys.stderr, flush=True)
                told, wait = True, min(2 * wait, _LONGEST_WAIT_SECONDS)
            due = time.monotonic() + wait
        if last:
            for problem in problems:
                print(on_one_line(problem), file=sys.stderr, flush=True)
            return
        time.sleep(_POLL_SECONDS)


def process_gone(pid: int) -> Callable[[], bool]:
    """A function that tells whether the process that now has this ID has ended."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return lambda: True

    def gone() -> bool:
        try:
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return gone


def start_follower(directories: Sequence[Path]) -> subprocess.Popen[bytes]:
    """Start a process that follows the runs that this process trains; nobody has to wait for it.

    It has its own session, so that Ctrl-C stops the trainer but leaves the follower time to send what the
    last checkpoint committed. It ends by itself soon after this process.

    Raises:
        TrackingError: the tracking URI is not an address.
    """
    # Not an argument, since it may hold a password; absolute, since that process has another directory.
    uri = resolve_uri()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": uri}
    command = [sys.executable, "-m", "reproduce.tracking.following", str(os.getpid())]
    command += [str(directory.absolute()) for directory in directories]
    return subprocess.Popen(
        command, cwd=WORKPLACE, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )


class _Synchroniser:
    """A sender of run directories that remembers between passes which runs MLflow has."""

    def __init__(self, tracker: MlflowRuns) -> None:
        self._tracker, self._uri = tracker, shown_uri(tracker.uri)
        self._verified: dict[str, KnownRun] = {}

    def send_all(self, directories: Iterable[Path], going_on: bool | None = None) -> SyncResult:
        """Send new lines of directories; ``going_on``: whether unfinished runs are in training, if known."""
        total, problems = SyncResult(), list[str]()
        for directory in directories:
            with noting(problems, directory):
                total += self._send_directory(directory, going_on)
        if problems:
            # MLflow takes nothing for a run that was deleted there: the next pass looks it up again.
            self._verified.clear()
        return total + SyncResult(problems=tuple(problems))

    def _send_directory(self, path: Path, going_on: bool | None) -> SyncResult:
        directory = RunDirectory(path)
        if directory.find_json("config.json") is None:
            return SyncResult()
        with locked(path / ".mlflow.lock"):
            run = _DirectoryRun(directory)
            states = directory.find_json(_STATE) or {}
            before = _State(**states.get(self._uri, {}))
            after, points = self._send(run, before, going_on)
            if after != before:
                directory.write_json(_STATE, {**states, self._uri: asdict(after)})
        return SyncResult(int(after != before), points)

    def _send(self, run: "_DirectoryRun", before: "_State", going_on: bool | None) -> tuple["_State", int]:
        """Bring one run up to date; returns its new state and the number of points sent."""
        known, found = self._verified.get(before.run_id), True
        if known is None:
            known, found = self._tracker.find_or_create(run.record)
            self._verified[known.run_id] = known
        trusted = before.run_id == known.run_id
        status = run.status(going_on, before.status)
        sent, size, digest = before.bytes, len(run.committed), _digest(run.committed)
        unchanged = trusted and _digest(run.committed[:sent]) == before.sha256
        new: list[Point] = []
        if trusted and not run.ended and size < sent:
            # Resumed from an older checkpoint: wait until the run has caught up with the sent lines.
            size, digest = sent, before.sha256
        elif not (unchanged and size == sent and status == before.status):
            new = run.points(sent if unchanged else 0, whole_run=status in ("FINISHED", "KILLED"))
            # Compared by step, because rewritten or imported lines have other times.
            imported = known.status in ENDED and known.status != before.status
            if found and (imported or not unchanged):
                new = self._tracker.missing(known.run_id, new)
        if not trusted:
            self._tracker.describe(known.run_id, run.record)
        self._tracker.log(known.run_id, new)
        end_ms = None if status == "RUNNING" else run.end_ms
        # A stopped run may have continued unobserved: it ended with its last point.
        if status != (before.status if trusted else known.status) or (new and end_ms is not None):
            self._tracker.set_status(known.run_id, status, end_ms, run.failure)
        return _State(run_id=known.run_id, bytes=size, sha256=digest, status=status), len(new)


@dataclass(frozen=True, kw_only=True)
class _State:
    """The part of a directory sent to an MLflow: the first ``bytes`` of the metrics, and their digest."""

    run_id: str = ""
    bytes: int = 0
    sha256: str = ""
    status: str = ""


class _DirectoryRun:
    """Snapshot of a run directory.

    Attributes:
        ended: whether the run is done or has failed.
        committed: the metrics that will not be rewritten, whole lines.
        record: metadata of the run.
        failure: reason of its failure; None unless it failed.
    """

    def __init__(self, directory: RunDirectory) -> None:
        # The end is read before the metrics: once a run has ended, its metrics are complete.
        self._done = directory.find_json("DONE")
        self.failure = directory.failure()
        self.ended = self._done is not None or self.failure is not None
        self.committed = directory.committed_metrics()
        self._path = directory.metrics_path
        config = directory.read_json("config.json")
        self.record = record_of(config, directory.find_json("provenance.json") or {})

    @property
    def end_ms(self) -> int:
        """Time of the end or, before it, of the last committed line."""
        finished = (self._done or {}).get("finished_ms")
        return finished or max((line["time_ms"] for line in self._lines(0)), default=self.record.start_ms)

    def status(self, going_on: bool | None, before: str) -> str:
        """MLflow's status; ``before`` is the previous one, kept if ``going_on`` is unknown."""
        if self.ended:
            return "FINISHED" if self.failure is None else "FAILED"
        if going_on is None:
            going_on = before != "KILLED"
        return "RUNNING" if going_on else "KILLED"

    def points(self, offset: int, whole_run: bool) -> list[Point]:
        """The points of the lines from a byte on and, if wanted, those of the whole run so far."""
        points = [
            Point(key, value, line["time_ms"], line["step"])
            for line in self._lines(offset)
            for key, value in line.get("metrics", {}).items()
            if isinstance(value, (int, float))
        ]
        if whole_run:
            lines = [line for line in self._lines(0) if "eval/return" in line.get("metrics", {})]
            if lines:
                last, scalars = lines[-1], run_scalars(lines)
                points += [Point(key, value, last["time_ms"], last["step"]) for key, value in scalars.items()]
        return finite_points(self.record.name, points)

    def _lines(self, offset: int) -> list[dict[str, Any]]:
        place = f"a line of {self._path}"
        return [metrics_in(line, place) for line in self.committed[offset:].splitlines()]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _main() -> None:
    """``python -m reproduce.tracking.following PID DIRECTORY…``: follow runs until PID has ended."""
    trainer, *directories = sys.argv[1:]
    gone = process_gone(int(trainer))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)  # training comes first
    follow(map(Path, directories), gone)


if __name__ == "__main__":
    _main()
