"""Synchronisation of run directories with MLflow, while they train and afterwards.

A run's directory is the truth. Training neither imports MLflow nor waits for it: `start_follower` starts a
process that sends what a checkpoint has committed while the run goes on, and the rest when it has ended.
Sending twice doubles nothing.
"""

import argparse
import hashlib
import json
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

from alm.training.run_directory import RunDirectory
from reproduce.lab.curves import sharing_seeds
from reproduce.lab.places import WORKPLACE
from reproduce.lab.specs import RunSpec
from reproduce.tracking.client import (
    ENDED,
    KnownRun,
    MlflowRuns,
    Point,
    TrackingError,
    finite_points,
    locked,
    resolve_uri,
    shown_uri,
)
from reproduce.tracking.records import SyncResult, final_points, record_of, start_of

_STATE = "mlflow.json"
_POLL_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 300.0


def sync(directories: Iterable[Path], tracker: MlflowRuns) -> SyncResult:
    """Send what is committed in run directories and not yet sent.

    Of an unfinished run, that is what its newest checkpoint has committed: later lines are cut off and
    written again if the run is resumed.

    Args:
        directories: run directories; one without a ``config.json`` is passed over.
        tracker: where to.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    return _Synchroniser(tracker).send_all(directories)


def follow(
    directories: Iterable[Path],
    until: Callable[[], bool] = lambda: False,
    tracking_uri: str | None = None,
    poll_seconds: float = _POLL_SECONDS,
    say: Callable[[str], None] | None = None,
) -> None:
    """Send while runs go on, and a last time when every one has ended or ``until`` is true.

    If MLflow cannot be used, that is said once; it is tried again after growing times, and if the last
    try fails too, it is said once more. A run that has not ended when ``until`` becomes true is marked as
    stopped (MLflow's KILLED) until it is followed again.

    Args:
        directories: run directories.
        until: whether the trainer is gone, see `process_gone`.
        tracking_uri: see `reproduce.tracking.client.resolve_uri`.
        poll_seconds: time between two looks at the directories.
        say: gets the sentence about an MLflow that cannot be used; the default prints it to stderr.
    """
    directories, uri = [Path(one) for one in directories], resolve_uri(tracking_uri)
    say = say or _print_to_stderr
    synchroniser: _Synchroniser | None = None
    problems: tuple[str, ...] = ()
    told, wait, due = False, poll_seconds, 0.0
    while True:
        # Asked before the pass, so that the last pass sees everything.
        last = until() or all(RunDirectory(one).status in ("done", "failed") for one in directories)
        if last or time.monotonic() >= due:
            try:
                synchroniser = synchroniser or _Synchroniser(MlflowRuns(uri))
                problems = synchroniser.send_all(directories, going_on=not last).problems
                told, wait = False, poll_seconds
            except TrackingError as error:
                synchroniser = None
                if last or not told:
                    say(str(error))
                told, wait = True, min(2 * wait, _LONGEST_WAIT_SECONDS)
            due = time.monotonic() + wait
        if last:
            for problem in problems:
                say(problem)
            return
        time.sleep(poll_seconds)


def process_gone(pid: int) -> Callable[[], bool]:
    """A function that tells whether the process that has this identifier now has ended since."""
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


def start_follower(directories: Sequence[Path], tracking_uri: str | None = None) -> subprocess.Popen[bytes]:
    """Start a process that follows runs which this process trains; nobody need wait for it.

    It has a session of its own, so that Ctrl-C, which stops the trainer, leaves it time for what the
    trainer's last checkpoint committed. It ends by itself soon after this process.

    Raises:
        TrackingError: the tracking URI is no address.
    """
    # No argument, since it may hold a password, and no relative path, since that process works elsewhere.
    uri = resolve_uri(tracking_uri)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": uri}
    command = [sys.executable, "-m", "reproduce.tracking.following", str(os.getpid())]
    command += [str(Path(directory).absolute()) for directory in directories]
    return subprocess.Popen(
        command, cwd=WORKPLACE, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )


class _Synchroniser:
    """A sender of run directories, which remembers between two passes which runs MLflow really has."""

    def __init__(self, tracker: MlflowRuns) -> None:
        self._tracker, self._uri = tracker, shown_uri(tracker.uri)
        self._verified: dict[str, KnownRun] = {}

    def send_all(self, directories: Iterable[Path], going_on: bool | None = None) -> SyncResult:
        """Send what is new in directories.

        ``going_on`` says whether unfinished ones are in training, if that is known.
        """
        total = SyncResult()
        for directory in directories:
            try:
                total += self._send_directory(Path(directory), going_on)
            except TrackingError:
                raise
            except Exception as error:
                # One damaged directory, in whatever way, must not keep the others from MLflow.
                reason = (str(error).splitlines() or [""])[0].rstrip(".")
                if not isinstance(error, (OSError, ValueError)):
                    reason = f"{type(error).__name__}: {reason}"
                total += SyncResult(problems=(f"{directory} was not sent to MLflow: {reason}.",))
        return total

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
            known, found = self._tracker.find_or_create(run.record, run.start_ms)
            self._verified[known.run_id] = known
        trusted = before.run_id == known.run_id
        status = run.status(going_on, before.status)
        sent, size, digest = before.bytes, len(run.committed), _digest(run.committed)
        unchanged = trusted and _digest(run.committed[:sent]) == before.sha256
        new: list[Point] = []
        if trusted and not run.ended and size < sent:
            # Resumed from an older checkpoint: wait until the run has caught up with what was sent.
            size, digest = sent, before.sha256
        elif not (unchanged and size == sent and status == before.status):
            new = run.points(sent if unchanged else 0)
            # By step, because lines that were written again or imported from the store have other times.
            imported = known.status in ENDED and known.status != before.status
            if found and (imported or not unchanged):
                new = self._tracker.missing(known.run_id, new)
        if not trusted:
            self._tracker.describe(known.run_id, run.record)
        self._tracker.log(known.run_id, new)
        end_ms = None if status == "RUNNING" else run.end_ms
        # A run that was stopped may have gone on unseen: it ended with the last of its points.
        if status != (before.status if trusted else known.status) or (new and end_ms is not None):
            self._tracker.set_status(known.run_id, status, end_ms, run.failure)
        return _State(run_id=known.run_id, bytes=size, sha256=digest, status=status), len(new)


@dataclass(frozen=True, kw_only=True)
class _State:
    """The part of a directory that one MLflow was sent: the first ``bytes`` of the metrics, their digest."""

    run_id: str = ""
    bytes: int = 0
    sha256: str = ""
    status: str = ""


class _DirectoryRun:
    """A run directory at one moment.

    Attributes:
        ended: whether it is done or has failed.
        committed: the metrics that will not be written again, whole lines.
        record: what the run is.
        failure: why it failed; None unless it did.
    """

    def __init__(self, directory: RunDirectory) -> None:
        # How it ended comes before the metrics, of which everything is there by then.
        self._done = directory.find_json("DONE")
        self.failure = directory.failure()
        self.ended = self._done is not None or self.failure is not None
        self.committed = directory.committed_metrics()
        self._path = directory.metrics_path
        config = directory.read_json("config.json")
        self.record = record_of(
            RunSpec.from_dict(config["spec"]),
            config["digest"],
            config["protocol"],
            config["config"],
            directory.find_json("provenance.json") or {},
        )

    @property
    def start_ms(self) -> int:
        """When it started, by its provenance or else by its first line."""
        return self.record.start_ms or start_of(self._lines(0), time.time_ns() // 1_000_000)

    @property
    def end_ms(self) -> int:
        """When it ended or, as far as it is committed, went on last."""
        finished = (self._done or {}).get("finished_ms")
        return finished or max((line["time_ms"] for line in self._lines(0)), default=self.start_ms)

    def status(self, going_on: bool | None, before: str) -> str:
        """MLflow's status; ``before`` is the last one, which stands where ``going_on`` is not known."""
        if self.ended:
            return "FINISHED" if self.failure is None else "FAILED"
        if going_on is None:
            going_on = before != "KILLED"
        return "RUNNING" if going_on else "KILLED"

    def points(self, offset: int) -> list[Point]:
        """The points of the lines from a byte on and, if the run is done, those about the whole of it."""
        points = [
            Point(key, value, line["time_ms"], line["step"])
            for line in self._lines(offset)
            for key, value in line.get("metrics", {}).items()
            if isinstance(value, (int, float))
        ]
        if self._done is not None and self.failure is None:
            lines = [line for line in self._lines(0) if "eval/return" in line.get("metrics", {})]
            returns = {line["step"]: line["metrics"]["eval/return"] for line in lines}
            if lines:
                seconds = self._done.get("wall_seconds", lines[-1]["wall_seconds"])
                points += final_points(returns, seconds, sharing_seeds(lines), lines[-1]["time_ms"])
        return finite_points(self.record.name, points)

    def _lines(self, offset: int) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in self.committed[offset:].splitlines()]
        except ValueError as error:
            raise ValueError(f"{self._path} has a line that is not JSON ({error})") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _print_to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _main() -> None:
    """``python -m reproduce.tracking.following PID DIRECTORY…``: follow runs until PID has ended."""
    parser = argparse.ArgumentParser(description="Send runs to MLflow while a process trains them.")
    parser.add_argument("trainer", type=int, help="process identifier of the trainer")
    parser.add_argument("directories", type=Path, nargs="+", help="run directories")
    arguments = parser.parse_args()
    gone = process_gone(arguments.trainer)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)  # training comes first
    follow(arguments.directories, gone)


if __name__ == "__main__":
    _main()
