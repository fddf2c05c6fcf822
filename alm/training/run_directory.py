"""Directory of one run (one seed): the authoritative record, during and after training.

config.json       the resolved configuration, written before the first step
provenance.json   code version, package versions, hardware, command
metrics.jsonl     append-only; one line of JSON per evaluation or log interval
checkpoints/      the newest two states
policies/         the best and the last policy up to each of these, and all since (`alm.training.policies`)
plugin.py         source file of a user's own variant, if it is one
values/           raw value estimates and returns of each measurement (`alm.training.bias`)
population.json   seeds that started training together, including this one
committed.json    bytes of metrics that the newest checkpoint covers, and their SHA-256; a resumed run
                  rewrites the rest
DONE, FAILED      how it ended (JSON); a directory with neither is unfinished
lease.…           lease of the process that trains it (`alm.training.lease`)
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from alm.errors import UserError
from alm.training.bias import ValueSample
from alm.training.checkpoint import Checkpoints
from alm.training.files import remove_abandoned, write_atomically, write_json
from alm.training.forms import CONFIG, COUNT, FINITE, PROVENANCE, TIMES, Form, listed, misfit, within
from alm.training.lease import LIFETIME_SECONDS, Lease
from alm.training.policies import Policies

PLUGIN_COPY = "plugin.py"
# A line takes 0.5 to 2 KB.
_LAST_BYTES = 2**16
# Forms of the fields that are read from the records; readers handle missing fields.
_FORMS: dict[str, Form] = {
    "config.json": {"config": CONFIG},
    "provenance.json": PROVENANCE,
    "population.json": {"seeds": list},
    "committed.json": {"metrics_offset": COUNT},
    "DONE": {"peak_memory_bytes": COUNT, "finished_ms": COUNT},
    "FAILED": {"step": COUNT, "reason": str},
}
_LINE: Form = {
    **TIMES,
    "metrics": {"eval/return": FINITE},
    "returns": listed(FINITE, least=1),
    "lengths": listed(within(0)),
    "population": within(1, whole=True),
}


class RunDirectory:
    """Reader and writer of one run's directory.

    If it was opened for training and its lease has been lost since, every write raises
    `alm.training.lease.LeaseLostError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = Checkpoints(path / "checkpoints", self.require_held)
        self.policies = Policies(path / "policies", self.require_held)
        self._metrics: TextIO | None = None
        self._lease: Lease | None = None

    @property
    def status(self) -> str:
        """ "done", "failed", "unfinished" (started) or "new" (nothing trained)."""
        if (self.path / "DONE").exists():
            return "done"
        if (self.path / "FAILED").exists():
            return "failed"
        # What a run has trained tells of it even if its configuration is lost.
        started = any((self.path / name).exists() for name in ("config.json", "metrics.jsonl", "checkpoints"))
        return "unfinished" if started else "new"

    def open(self, lifetime: float = LIFETIME_SECONDS) -> None:
        """Create the directory and take the run's lease until `close` or the process ends.

        Unfinished files of killed processes are removed.

        Args:
            lifetime: lifetime of the lease in seconds.

        Raises:
            alm.training.lease.RunLockedError: another process holds the lease.
            OSError: the directory cannot be created or written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lease = Lease(self.path, lifetime)
        remove_abandoned(self.path)

    def require_held(self) -> None:
        """Check that this process still holds the run, if it opened it for training.

        Raises:
            alm.training.lease.LeaseLostError: another process has taken it.
        """
        if self._lease is not None:
            self._lease.require()

    def write_json(self, name: str, content: Any) -> None:
        """Write one of the JSON files, atomically."""
        write_json(self.path / name, content, self.require_held)

    def read_json(self, name: str) -> Any:
        """Content of one of the JSON files.

        Raises:
            FileNotFoundError: it does not exist.
            UserError: it is not JSON, or a field has a wrong type or is out of range.
        """
        path = self.path / name
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is not JSON ({error})") from error
        if name in _FORMS and (problem := misfit(content, _FORMS[name])):
            raise UserError(f"{path} is no such record: {problem}")
        return content

    def find_json(self, name: str) -> Any | None:
        """Content of one of the JSON files; None if it does not exist.

        Raises:
            UserError: it is not JSON, or a field has a wrong type or is out of range.
        """
        try:
            return self.read_json(name)
        except FileNotFoundError:
            return None

    def failure(self) -> str | None:
        """Reason and step of a failure, ``"loss/critic is not finite at step 6100"``; None if there was none.

        Raises:
            UserError: its record is damaged.
        """
        if (record := self.find_json("FAILED")) is None:
            return None
        if lacking := ", ".join(sorted({"reason", "step"} - set(record))):
            raise UserError(f"{self.path / 'FAILED'} is no such record: it lacks {lacking}")
        return f"{record['reason']} at step {record['step']}"

    @property
    def metrics_path(self) -> Path:
        """Path of the metrics file."""
        return self.path / "metrics.jsonl"

    def metrics_offset(self) -> int:
        """Bytes of metrics written so far, all of them flushed to disk on return."""
        if self._metrics is None:
            return 0
        self._metrics.flush()
        os.fsync(self._metrics.fileno())
        return self._metrics.tell()

    def start_metrics(self, offset: int) -> None:
        """Start appending metrics at a byte offset, cutting off the rest of the file.

        Otherwise lines written after the checkpoint from which a run resumes would appear twice.

        Raises:
            UserError: the file ends before the offset, or its committed part has been altered.
        """
        size = self.metrics_path.stat().st_size if self.metrics_path.exists() else 0
        if size < offset:
            raise UserError(
                f"{self.metrics_path} has lost lines ({size} bytes; the checkpoint covers {offset}), so "
                "the run cannot go on: put a copy back, or move its directory away to begin anew"
            )
        if offset:
            self._sound_metrics()
        self.commit_metrics(offset)
        kept = self.metrics_path.read_bytes()[:offset] if size else b""
        # A new file of the same name, so that a process that lost this run does not have it open.
        write_atomically(self.metrics_path, lambda file: file.write(kept), self.require_held)
        self._metrics = self.metrics_path.open("a")
        self._metrics.seek(0, os.SEEK_END)

    def commit_metrics(self, offset: int) -> None:
        """Record the number of bytes of metrics that the newest checkpoint covers."""
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
        self.require_held()
        self._metrics.write(json.dumps(line, allow_nan=False) + "\n")
        self._metrics.flush()

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The lines written so far, without an unfinished last line.

        Raises:
            UserError: the file has been altered, or a line is not valid.
        """
        content, _ = self._sound_metrics()
        for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
            yield metrics_in(line, f"line {number} of {self.metrics_path}")

    def last_metrics(self) -> list[dict[str, Any]]:
        """The newest few dozen lines, without reading the others.

        Raises:
            UserError: one of them is not valid.
        """
        if not self.metrics_path.exists():
            return []
        with self.metrics_path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = max(0, size - _LAST_BYTES)
            file.seek(begin)
            lines = file.read().splitlines(keepends=True)
        # The first may be part of a line.
        whole = [line for line in lines[bool(begin) :] if line.endswith(b"\n")]
        return [metrics_in(line, f"a line of {self.metrics_path}") for line in whole]

    def committed_metrics(self) -> bytes:
        """The metrics that will not be rewritten, in whole lines; all metrics once the run has ended."""
        # The status is read first: the process that ended the run had written all metrics before.
        ended = self.status in ("done", "failed")
        content, offset = self._sound_metrics()
        if not ended:
            content = content[:offset]
        return content[: content.rfind(b"\n") + 1]

    def _sound_metrics(self) -> tuple[bytes, int]:
        """Content of the metrics file, and the number of bytes committed.

        Raises:
            UserError: the committed part has been altered; runs of earlier versions have no digest.
        """
        while True:
            committed = self.find_json("committed.json") or {}
            content = self.metrics_path.read_bytes() if self.metrics_path.exists() else b""
            offset = committed.get("metrics_offset", 0)
            if committed.get("sha256") in (None, _sha256(content[:offset])):
                return content, offset
            # A resuming run truncates its metrics, perhaps just now.
            if committed == self.find_json("committed.json"):
                raise UserError(
                    f"{self.metrics_path} is not what was written: put a sound copy back, or move the "
                    "directory of the run away"
                )

    def write_values(self, step: int, sample: ValueSample) -> None:
        """Save the measurement of an environment step, replacing an earlier one of the same step."""
        write_atomically(self.path / "values" / f"{step:08d}.npz", sample.write, self.require_held)

    def values(self) -> Iterator[tuple[int, ValueSample]]:
        """Measurements by step.

        A resumed run repeats those after its checkpoint, with the same results.
        """
        for step, path in self._measurements():
            with path.open("rb") as file:
                yield step, ValueSample.read(file)

    def _measurements(self) -> list[tuple[int, Path]]:
        """The files of measurements by step; others are none of the run's."""
        paths = sorted((self.path / "values").glob("*.npz"))
        return [(int(path.stem), path) for path in paths if path.stem.isdecimal()]

    def drop_after(self, step: int) -> None:
        """Delete checkpoints, policies and measurements after the step from which the run resumes."""
        self.checkpoints.drop_after(step)
        self.policies.drop_after(step)
        for measured, path in self._measurements():
            if measured > step:
                path.unlink()

    def close(self) -> None:
        """Close the files and release the lease."""
        metrics, lease = self._metrics, self._lease
        self._metrics = self._lease = None
        try:
            if metrics is not None:
                metrics.close()
        finally:  # even if the disk is full and closing cannot write the remaining lines
            if lease is not None:
                lease.release()


def metrics_in(line: bytes, place: str) -> dict[str, Any]:
    """The values of a line of metrics.

    Args:
        line: the line.
        place: where it is, for the message.

    Raises:
        UserError: it is not valid.
    """
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is not JSON ({error})") from None
    problem = misfit(values, _LINE) or ("it has no step" if "step" not in values else None)
    if problem:
        raise UserError(f"{place} is none of a run: {problem}")
    return cast(dict[str, Any], values)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
