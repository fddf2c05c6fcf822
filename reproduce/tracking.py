"""Tracking: ships run directories, stored runs and the published numbers to MLflow.

A run's directory is the truth; MLflow is a view of it that can be made again at any time. Training neither
imports MLflow nor waits for it: `start_follower` starts a process that ships what a checkpoint has committed
while the run goes on, and the rest when it has ended. Sending twice doubles nothing.

One MLflow run is one training of one (algorithm, variant, task, seed, scale). Experiments are evaluation
protocols (``alm/<protocol>``), because only curves of one protocol may be compared; runs of scale ``smoke``
are kept apart in ``alm/smoke``, the paper's printed numbers and the authors' curves in ``alm/published``.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from alm.training.files import write_json
from reproduce.mlflow_runs import (
    KnownRun,
    MlflowRuns,
    Point,
    RunRecord,
    TrackingError,
    finite_points,
    locked,
    resolve_uri,
    shown_uri,
)
from reproduce.provenance import REPOSITORY
from reproduce.specs import RunSpec
from reproduce.statistics import Curve, window_mean

if TYPE_CHECKING:
    from reproduce.store import Store, StoredRun

__all__ = [
    "PUBLISHED",
    "Shipped",
    "TrackingError",
    "follow",
    "import_published",
    "import_store",
    "process_gone",
    "run_directories",
    "start_follower",
    "sync",
]

PUBLISHED = "alm/published"
"""Experiment of the numbers and curves that others published."""

_STATE = "mlflow.json"
_COMMITTED = "committed.json"
_POLL_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 300.0
# The first version of the paper, arXiv 2209.08466, 2022-09-18: published numbers need some fixed time.
_PUBLISHED_MS = 1_663_459_200_000
_WARMUP_STEPS = 5000
_ENDED = ("FINISHED", "FAILED")
_NOT_METRICS = ("step", "training_step", "wall_seconds", "time_ms", "eval/returns")


@dataclass(frozen=True)
class Shipped:
    """What one call sent.

    Attributes:
        runs: runs for which anything was sent.
        points: metric values sent.
        problems: one sentence for each run that could not be read; the others were sent.
    """

    runs: int = 0
    points: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: "Shipped") -> "Shipped":
        return Shipped(self.runs + other.runs, self.points + other.points, self.problems + other.problems)


def run_directories(root: Path) -> list[Path]:
    """Every run directory below ``root``, sorted; a directory is one if it has a ``config.json``."""
    return sorted(path.parent for path in Path(root).glob("**/config.json"))


def sync(directories: Iterable[Path], tracking_uri: str | None = None) -> Shipped:
    """Send what is committed in run directories and not yet sent.

    Of an unfinished run, that is what its newest checkpoint has committed: later lines are cut off and
    written again if the run is resumed.

    Args:
        directories: run directories; one without a ``config.json`` is passed over.
        tracking_uri: see `reproduce.mlflow_runs.resolve_uri`.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    directories = list(directories)
    return _Synchroniser(resolve_uri(tracking_uri)).ship_all(directories) if directories else Shipped()


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
        tracking_uri: see `reproduce.mlflow_runs.resolve_uri`.
        poll_seconds: time between two looks at the directories.
        say: gets the sentence about an MLflow that cannot be used; the default prints it to stderr.
    """
    directories, uri = list(directories), resolve_uri(tracking_uri)
    say = say or _print_to_stderr
    synchroniser: _Synchroniser | None = None
    problems: tuple[str, ...] = ()
    told, wait, due = False, poll_seconds, 0.0
    while True:
        # Asked before the pass, so that the last pass sees everything.
        last = until() or all(_has_ended(directory) for directory in directories)
        if last or time.monotonic() >= due:
            try:
                synchroniser = synchroniser or _Synchroniser(uri)
                problems = synchroniser.ship_all(directories, going_on=not last).problems
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
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if tracking_uri:  # not as an argument: it may hold a password
        environment["MLFLOW_TRACKING_URI"] = tracking_uri
    command = [sys.executable, "-m", "reproduce.tracking", str(os.getpid())]
    command += [str(Path(directory).absolute()) for directory in directories]
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )


def import_store(store: "Store", tracking_uri: str | None = None) -> Shipped:
    """Send every stored run that MLflow does not hold yet, with its own times.

    A run that was tracked while it trained is left as it is; if it was tracked in part only, the steps
    that it lacks are added.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    runs = store.runs()
    if not runs:
        return Shipped()
    tracker = MlflowRuns(resolve_uri(tracking_uri))
    return sum((_import_run(tracker, *_stored(run)) for run in runs), Shipped())


def import_published(tracking_uri: str | None = None) -> Shipped:
    """Send the printed numbers of Table 1 and the authors' ALM(3) curves to the experiment `PUBLISHED`.

    A printed number is ``final/return``. The authors' curves are means over seeds by environment step;
    their own steps leave out the 5000 of the warm-up.

    Raises:
        TrackingError: MLflow cannot be used.
    """
    tracker = MlflowRuns(resolve_uri(tracking_uri))
    runs = [*_printed(), *_authors_curves()]
    return sum((_import_run(tracker, record, ended) for record, ended in runs), Shipped())


class _Synchroniser:
    """Ships run directories; remembers between two passes which runs MLflow really has."""

    def __init__(self, uri: str) -> None:
        self._uri = shown_uri(uri)
        self._tracker = MlflowRuns(uri)
        self._verified: dict[str, KnownRun] = {}

    def ship_all(self, directories: Iterable[Path], going_on: bool | None = None) -> Shipped:
        """Ship directories; ``going_on`` says whether unfinished ones are in training, if that is known."""
        total = Shipped()
        for directory in directories:
            try:
                total += self._ship(Path(directory), going_on)
            except TrackingError:
                raise
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                # One damaged directory must not keep the others from MLflow.
                reason = (str(error).splitlines() or [""])[0].rstrip(".")
                if not isinstance(error, (OSError, ValueError)):
                    reason = f"{type(error).__name__}: {reason}"
                total += Shipped(problems=(f"{directory} was not sent to MLflow: {reason}.",))
        return total

    def _ship(self, path: Path, going_on: bool | None) -> Shipped:
        if not (path / "config.json").exists():
            return Shipped()
        with locked(path / ".mlflow.lock"):
            run = _DirectoryRun(path)
            states = _read_json(path / _STATE, {})
            before = _State(**states.get(self._uri, {}))
            after, points = self._send(run, before, going_on)
            if after != before:
                write_json(path / _STATE, {**states, self._uri: asdict(after)})
        return Shipped(int(after != before), points)

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
            imported = known.status in _ENDED and known.status != before.status
            if found and (imported or not unchanged):
                new = self._tracker.missing(known.run_id, new)
        if not trusted:
            self._tracker.describe(known.run_id, run.record)
        self._tracker.log(known.run_id, new)
        if status != (before.status if trusted else known.status):
            end_ms = None if status == "RUNNING" else run.end_ms
            self._tracker.set_status(known.run_id, status, end_ms, run.failure)
        return _State(run_id=known.run_id, bytes=size, sha256=digest, status=status), len(new)


@dataclass(frozen=True, kw_only=True)
class _State:
    """What was sent of a directory to one MLflow: the first ``bytes`` of the metrics, and their digest."""

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

    def __init__(self, path: Path) -> None:
        # How it ended comes first: whoever wrote that had written every metric before.
        self._done = _read_json(path / "DONE")
        failed = _read_json(path / "FAILED")
        self.ended = self._done is not None or failed is not None
        self.failure = None if failed is None else str(failed.get("reason", "failed"))
        metrics = path / "metrics.jsonl"
        content = metrics.read_bytes() if metrics.exists() else b""
        if not self.ended:
            content = content[: _read_json(path / _COMMITTED, {}).get("metrics_offset", 0)]
        self.committed = content[: content.rfind(b"\n") + 1]
        self._path = metrics
        config = _read_json(path / "config.json")
        self.record = _record(
            RunSpec.from_dict(config["spec"]),
            config["digest"],
            config["protocol"],
            config["config"],
            _read_json(path / "provenance.json", {}),
        )

    @property
    def start_ms(self) -> int:
        """When it started, by its provenance or else by its first line."""
        return self.record.start_ms or _start_of(self._lines(0), time.time_ns() // 1_000_000)

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
                points += _final_points(returns, seconds, lines[-1]["time_ms"])
        return finite_points(self.record.name, points)

    def _lines(self, offset: int) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in self.committed[offset:].splitlines()]
        except ValueError as error:
            raise ValueError(f"{self._path} has a line that is not JSON ({error})") from error


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """What is imported of a run besides its record."""

    start_ms: int
    end_ms: int
    points: list[Point]
    status: str = "FINISHED"
    failure: str | None = None


def _import_run(tracker: MlflowRuns, record: RunRecord, run: _Ended) -> Shipped:
    known = tracker.find(record.experiment, record.key)
    if known and record.start_ms is not None and all(r.start_ms != record.start_ms for r in known):
        return Shipped()  # trained here as well: that is the run to look at
    one, found = tracker.find_or_create(record, run.start_ms)
    if found:
        stopped_later = run.status == "KILLED" and (
            one.status == "RUNNING" or (one.status == "KILLED" and (one.end_ms or 0) >= run.end_ms)
        )
        if one.status in _ENDED or stopped_later:
            return Shipped()
    points = finite_points(record.name, run.points)
    if found:
        points = tracker.missing(one.run_id, points)
    tracker.describe(one.run_id, record)
    tracker.log(one.run_id, points)
    # Last: a run with this status is known to be complete.
    tracker.set_status(one.run_id, run.status, run.end_ms, run.failure)
    return Shipped(1, len(points))


def _stored(run: "StoredRun") -> tuple[RunRecord, _Ended]:
    """A stored run as it is imported."""
    record = _record(run.spec, run.digest, run.protocol, run.config, run.provenance)
    rows = run.evaluations.to_dict("records")
    points = [
        Point(key, float(value), int(row["time_ms"]), int(row["step"]))
        for row in rows
        for key, value in row.items()
        # A gap in the frame (an evaluation before the first update has no loss) is no value.
        if key not in _NOT_METRICS and not np.isnan(value)
    ]
    if run.status == "done" and rows:
        last = rows[-1]
        returns = {int(row["step"]): float(row["eval/return"]) for row in rows}
        points += _final_points(returns, float(last["wall_seconds"]), int(last["time_ms"]))
        named = {key if "/" in key else f"final/{key}": value for key, value in run.final.items()}
        for key in named.keys() - {point.key for point in points}:
            points.append(Point(key, named[key], int(last["time_ms"]), run.last_step))
    start_ms = record.start_ms or _start_of(rows, 0)
    last_ms = max((int(row["time_ms"]) for row in rows), default=start_ms)
    return record, _Ended(
        start_ms=start_ms,
        end_ms=int(run.provenance.get("finished_ms") or last_ms),
        points=points,
        status={"done": "FINISHED", "failed": "FAILED", "partial": "KILLED"}[run.status],
        failure=run.reason,
    )


def _printed() -> Iterable[tuple[RunRecord, _Ended]]:
    from reproduce.published import printed_scores

    for cell in printed_scores(1):
        record = RunRecord(
            experiment=PUBLISHED,
            name=f"{cell.algorithm}/{cell.task}/printed",
            key=f"table1/{cell.algorithm}/{cell.task}",
            start_ms=None,
            tags={
                "algo": cell.algorithm,
                "task": cell.task,
                "group": f"{cell.algorithm}@{cell.task}/printed",
                "source": "published",
                "origin": cell.origin,
                "environment": cell.environment,
                "same_task_as_alm": cell.same_task_as_alm,
                "footnotes": " ".join(note.key for note in cell.footnotes),
            },
            params={"algo": cell.algorithm, "task": cell.task},
            artifacts={},
        )
        values = {"final/return": cell.mean, "final/return_std": cell.std}
        points = [Point(key, value, _PUBLISHED_MS, 0) for key, value in values.items()]
        yield record, _Ended(start_ms=_PUBLISHED_MS, end_ms=_PUBLISHED_MS, points=points)


def _authors_curves() -> Iterable[tuple[RunRecord, _Ended]]:
    from reproduce.published import authors_curves

    for task, frame in authors_curves().groupby("task", sort=True):
        record = RunRecord(
            experiment=PUBLISHED,
            name=f"ALM(3)/{task}/authors",
            key=f"authors-curve/{task}",
            start_ms=None,
            tags={
                "algo": "ALM(3)",
                "task": str(task),
                "group": f"ALM(3)@{task}/authors",
                "source": "authors",
                "seeds": str(frame["seeds"].max()),
            },
            params={"algo": "ALM(3)", "task": str(task)},
            artifacts={},
        )
        points = []
        for row in frame.itertuples():
            step = int(row.training_step) + _WARMUP_STEPS
            points.append(Point("eval/return", float(row.return_mean), _PUBLISHED_MS, step))
            # Over seeds; the eval/return_std of our runs is over the episodes of one evaluation.
            points.append(Point("eval/return_std_of_seeds", float(row.return_std), _PUBLISHED_MS, step))
        yield record, _Ended(start_ms=_PUBLISHED_MS, end_ms=_PUBLISHED_MS, points=points)


def _record(
    spec: RunSpec, digest: str, protocol: str, config: dict[str, Any], provenance: dict[str, Any]
) -> RunRecord:
    """The MLflow record of one of our runs."""
    horizon = config.get("agent", {}).get("horizon")
    label = spec.algorithm.upper() + (f"-K{horizon}" if horizon is not None else "")
    if spec.variant != "base":
        label += f"-{spec.variant}"
    identity = {
        "algo": spec.algorithm,
        "variant": spec.variant,
        "task": spec.task,
        "seed": str(spec.seed),
        "scale": spec.scale,
    }
    hardware = provenance.get("hardware", {})
    tags = {
        **identity,
        # What a chart may average over: seeds, never scales.
        "group": f"{spec.algorithm}-{spec.variant}@{spec.task}/{spec.scale}",
        "protocol": protocol,
        "source": "ours",
        "role": _role(spec),
        "git_sha": str(provenance.get("git_sha", "unknown")),
        "mlflow.source.git.commit": str(provenance.get("git_sha", "unknown")),
        "git_dirty": str(provenance.get("git_dirty", "unknown")).lower(),
        "host": str(hardware.get("cpu", "unknown")),  # the kind of machine; its name is nobody's business
        "device": str(provenance.get("device", "unknown")),
    }
    return RunRecord(
        experiment="alm/smoke" if spec.scale == "smoke" else f"alm/{protocol}",
        name=f"{label}/{spec.task}/{spec.scale}/s{spec.seed}",
        key=digest,
        start_ms=provenance.get("started_ms"),
        tags=tags,
        # Identity as parameters too: parallel coordinates show parameters and metrics, not tags.
        params={**identity, **_flat(config)},
        artifacts={
            "config.json": {
                "spec": spec.to_dict(),
                "digest": digest,
                "protocol": protocol,
                "config": config,
            },
            "provenance.json": provenance,
        },
    )


def _role(spec: RunSpec) -> str:
    if spec.algorithm != "alm":
        return "baseline"
    return "method" if spec.variant == "base" else "variant"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as text by dotted name; text stays itself, the rest becomes JSON."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _final_points(returns: Mapping[int, float], wall_seconds: float, time_ms: int) -> list[Point]:
    """Scalars of a whole run at its last evaluation; ``returns`` is the mean return by environment step."""
    curve = Curve(np.array(list(returns), np.int64), np.array(list(returns.values()), np.float64))
    step = curve.last_step
    return [
        Point("final/return", float(curve.values[-1]), time_ms, step),
        Point("final/window_return", window_mean(curve, step), time_ms, step),
        Point("cost/wall_h", wall_seconds / 3600, time_ms, step),
    ]


def _start_of(rows: Sequence[Mapping[str, Any]], otherwise: int) -> int:
    """When a run started, by the time of its first row and the seconds that had passed."""
    if not rows:
        return otherwise
    return int(rows[0]["time_ms"] - 1000 * rows[0]["wall_seconds"])


def _has_ended(directory: Path) -> bool:
    return (Path(directory) / "DONE").exists() or (Path(directory) / "FAILED").exists()


def _read_json(path: Path, otherwise: Any = None) -> Any:
    """The content of a JSON file, or ``otherwise`` if there is no such file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return otherwise
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _print_to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _main() -> None:
    """``python -m reproduce.tracking PID DIRECTORY…``: follow runs until the process PID has ended."""
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
