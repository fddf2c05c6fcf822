"""The directory of one run (one seed): the truth about it, while it goes on and afterwards.

config.json       the resolved configuration, written before the first step
provenance.json   code version, package versions, hardware, command
metrics.jsonl     append-only; one JSON object a line for each evaluation or log interval
checkpoints/      the newest two states
plugin.py         the file that a variant of someone's own came from, if it did
values/           raw value estimates and returns of each measurement (`alm.training.bias`)
population.json   seeds that began to train together, this one among them
committed.json    bytes of metrics that the newest checkpoint covers, and their SHA-256; the rest is written
                  again by a resumed run
DONE, FAILED      how it ended (JSON); a directory with neither is unfinished
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from alm.training.bias import ValueSample
from alm.training.checkpoint import Checkpoints
from alm.training.files import remove_abandoned, write_atomically, write_json

PLUGIN_COPY = "plugin.py"
_NUMBER = (int, float)
# Types of what someone reads in the records; a field may be missing, of which its reader takes care.
_FORMS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "config.json": {},
    "provenance.json": {"command": str},
    "population.json": {"seeds": list},
    "committed.json": {"metrics_offset": int},
    "DONE": {"wall_seconds": _NUMBER, "peak_memory_bytes": int, "finished_ms": int},
    "FAILED": {"step": int, "reason": str},
}
_LINE: dict[str, type | tuple[type, ...]] = {
    "step": int,
    "wall_seconds": _NUMBER,
    "time_ms": int,
    "metrics": dict,
}


class RunLockedError(RuntimeError):
    """Another process trains this run."""


class RunDirectory:
    """Reads and writes one run's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = Checkpoints(path / "checkpoints")
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
            ValueError: it is not JSON, or not such a record.
        """
        path = self.path / name
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not JSON ({error})") from error
        if name in _FORMS and (problem := _misfit(content, _FORMS[name])):
            raise ValueError(f"{path} is no such record: {problem}")
        return content

    def find_json(self, name: str) -> Any | None:
        """Read one of the JSON files; None if it is not there.

        Raises:
            ValueError: it is not JSON, or not such a record.
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
            ValueError: the file ends before that, or what is committed of it is not what was written.
        """
        size = self.metrics_path.stat().st_size if self.metrics_path.exists() else 0
        if size < offset:
            raise ValueError(
                f"{self.metrics_path} has lost lines ({size} bytes; the checkpoint covers {offset}), so "
                "the run cannot go on: put a copy back, or move its directory away to begin anew"
            )
        if offset:
            self._sound_metrics()
        self.commit_metrics(offset)
        self._metrics = self.metrics_path.open("a")
        self._metrics.truncate(offset)
        self._metrics.seek(0, os.SEEK_END)

    def commit_metrics(self, offset: int) -> None:
        """Record up to which byte the newest checkpoint covers the metrics."""
        content = self.metrics_path.read_bytes()[:offset] if offset else b""
        self.write_json("committed.json", {"metrics_offset": offset, "sha256": _sha256(content)})

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
        """The lines written so far; an unfinished last line is left out.

        Raises:
            ValueError: they are not what was written, or a line is none.
        """
        content, _ = self._sound_metrics()
        for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
            try:
                values = json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number} of {self.metrics_path} is not JSON ({error})") from None
            problem = _misfit(values, _LINE) or ("it has no step" if "step" not in values else None)
            if problem:
                raise ValueError(f"line {number} of {self.metrics_path} is none of a run: {problem}")
            yield values

    def committed_metrics(self) -> bytes:
        """The metrics that will not be written again, whole lines; all of them once the run has ended."""
        # The status comes first: whoever ended the run had written every metric before.
        ended = self.status in ("done", "failed")
        content, offset = self._sound_metrics()
        if not ended:
            content = content[:offset]
        return content[: content.rfind(b"\n") + 1]

    def _sound_metrics(self) -> tuple[bytes, int]:
        """The content of the metrics, and how much of it is committed.

        Raises:
            ValueError: what is committed is not what was written; runs of earlier versions have no digest.
        """
        while True:
            committed = self.find_json("committed.json") or {}
            content = self.metrics_path.read_bytes() if self.metrics_path.exists() else b""
            offset = committed.get("metrics_offset", 0)
            if committed.get("sha256") in (None, _sha256(content[:offset])):
                return content, offset
            # A run that resumes cuts its metrics back, perhaps just now.
            if committed == self.find_json("committed.json"):
                raise ValueError(
                    f"{self.metrics_path} is not what was written: put a sound copy back, or move the "
                    "directory of the run away"
                )

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
        """Drop checkpoints and measurements behind a step, from which the run goes on."""
        self.checkpoints.drop_after(step)
        for path in (self.path / "values").glob("*.npz"):
            if int(path.stem) > step:
                path.unlink()

    def close(self) -> None:
        """Close the files and release the lock."""
        for file in (self._metrics, self._lock):
            if file is not None:
                file.close()
        self._metrics = self._lock = None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _misfit(content: Any, form: Mapping[str, type | tuple[type, ...]]) -> str | None:
    """Why JSON content is no object whose fields, as far as they are there, have the types of a form."""
    if not isinstance(content, dict):
        return f"it is a {type(content).__name__}, not an object"
    for name, kind in form.items():
        value = content.get(name)
        if name in content and (not isinstance(value, kind) or isinstance(value, bool)):
            return f"its {name!r} is {value!r:.40}"
    return None
