"""The directory of one run (one seed): the truth about it, while it goes on and afterwards.

config.json       the resolved configuration, written before the first step
provenance.json   code version, package versions, hardware, command
metrics.jsonl     append-only; one JSON object a line for each evaluation or log interval
checkpoints/      the newest two states
policies/         the best and the last policy up to each of these, and those since (`alm.training.policies`)
plugin.py         the file that a variant of someone's own came from, if it did
values/           raw value estimates and returns of each measurement (`alm.training.bias`)
population.json   seeds that began to train together, this one among them
committed.json    bytes of metrics that the newest checkpoint covers; a resumed run rewrites the rest
DONE, FAILED      how it ended (JSON); a directory with neither is unfinished
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from alm.training.bias import ValueSample
from alm.training.checkpoint import Checkpoints
from alm.training.files import remove_abandoned, write_atomically, write_json
from alm.training.policies import Policies

PLUGIN_COPY = "plugin.py"


class RunLockedError(RuntimeError):
    """Another process trains this run."""


class RunDirectory:
    """Reads and writes one run's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = Checkpoints(path / "checkpoints")
        self.policies = Policies(path / "policies")
        self._metrics: TextIO | None = None
        self._lock: TextIO | None = None

    @property
    def status(self) -> str:
        """ "done", "failed", "unfinished" (started) or "new" (nothing there)."""
        if (self.path / "DONE").exists():
            return "done"
        if (self.path / "FAILED").exists():
            return "failed"
        return "unfinished" if (self.path / "config.json").exists() else "new"

    def open(self) -> None:
        """Create the directory and take the run's lock until `close` or the process ends.

        Files that a killed process had not finished are removed.

        Raises:
            RunLockedError: another process holds it.
            OSError: the directory cannot be created or written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise RunLockedError(
                f"run {self.path} is being trained by process {owner}: wait for it or stop it first"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        remove_abandoned(self.path)

    def write_json(self, name: str, content: Any) -> None:
        """Write one of the JSON files, atomically."""
        write_json(self.path / name, content)

    def read_json(self, name: str) -> Any:
        """Read one of the JSON files.

        Raises:
            FileNotFoundError: it is not there.
            ValueError: it is not JSON.
        """
        path = self.path / name
        try:
            return json.loads(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path} is not JSON ({error})") from error

    def find_json(self, name: str) -> Any | None:
        """Read one of the JSON files; None if it is not there.

        Raises:
            ValueError: it is not JSON.
        """
        try:
            return self.read_json(name)
        except FileNotFoundError:
            return None

    @property
    def metrics_path(self) -> Path:
        """The file of the metrics."""
        return self.path / "metrics.jsonl"

    def metrics_offset(self) -> int:
        """Bytes of metrics written so far; all of them are on the disk when this returns."""
        if self._metrics is None:
            return 0
        self._metrics.flush()
        os.fsync(self._metrics.fileno())
        return self._metrics.tell()

    def start_metrics(self, offset: int) -> None:
        """Begin to append metrics at a byte offset; what lies behind it is cut off.

        Lines written after the checkpoint that a run resumes from would otherwise appear twice.

        Raises:
            ValueError: the file ends before that.
        """
        size = self.metrics_path.stat().st_size if self.metrics_path.exists() else 0
        if size < offset:
            raise ValueError(
                f"{self.metrics_path} has lost lines ({size} bytes; the checkpoint covers {offset}), so "
                "the run cannot go on: put a copy back, or move its directory away to begin anew"
            )
        self.commit_metrics(offset)
        self._metrics = self.metrics_path.open("a")
        self._metrics.truncate(offset)
        self._metrics.seek(0, os.SEEK_END)

    def commit_metrics(self, offset: int) -> None:
        """Record up to which byte the newest checkpoint covers the metrics."""
        self.write_json("committed.json", {"metrics_offset": offset})

    def append_metrics(self, step: int, training_step: int, wall_seconds: float, **content: Any) -> None:
        """Append one line; NaN and Inf are refused (ValueError)."""
        assert self._metrics is not None, "start_metrics comes first"
        line = {
            "step": step,
            "training_step": training_step,
            "wall_seconds": round(wall_seconds, 3),
            "time_ms": time.time_ns() // 1_000_000,
            **content,
        }
        self._metrics.write(json.dumps(line, allow_nan=False) + "\n")
        self._metrics.flush()

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The lines written so far; an unfinished last line is left out."""
        if self.metrics_path.exists():
            with self.metrics_path.open() as file:
                yield from (json.loads(line) for line in file if line.endswith("\n"))

    def committed_metrics(self) -> bytes:
        """The metrics that will not be written again, whole lines; all of them once the run has ended."""
        # The status comes first: whoever ended the run had written every metric before.
        ended = self.status in ("done", "failed")
        content = self.metrics_path.read_bytes() if self.metrics_path.exists() else b""
        if not ended:
            content = content[: (self.find_json("committed.json") or {}).get("metrics_offset", 0)]
        return content[: content.rfind(b"\n") + 1]

    def write_values(self, step: int, sample: ValueSample) -> None:
        """Keep the measurement of an environment step, in place of an earlier one of the same step."""
        write_atomically(self.path / "values" / f"{step:08d}.npz", sample.write)

    def values(self) -> Iterator[tuple[int, ValueSample]]:
        """The measurements by step.

        A run that resumed makes those behind its checkpoint once more, and they come out the same.
        """
        for path in sorted((self.path / "values").glob("*.npz")):
            with path.open("rb") as file:
                yield int(path.stem), ValueSample.read(file)

    def drop_after(self, step: int) -> None:
        """Drop checkpoints, policies and measurements behind a step, from which the run goes on."""
        self.checkpoints.drop_after(step)
        self.policies.drop_after(step)
        for path in (self.path / "values").glob("*.npz"):
            if int(path.stem) > step:
                path.unlink()

    def close(self) -> None:
        """Close the files and release the lock."""
        for file in (self._metrics, self._lock):
            if file is not None:
                file.close()
        self._metrics = self._lock = None
