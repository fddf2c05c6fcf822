"""Atomically written files, and the files of a run indexed by environment step."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], permit: Callable[[], None] = lambda: None
) -> None:
    """Write a file in full under a temporary name, flush it to disk, then rename it.

    ``permit`` is called just before the rename; if it raises an error, nothing changes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}@{socket.gethostname()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        permit()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_abandoned(folder: Path, beginning: str = "") -> None:
    """Remove what killed writers left anywhere under a folder, but not files of living processes here.

    No process on another machine may be writing files with the given prefix there at the same time.
    """
    for path in folder.glob(f"**/.{beginning}*.tmp"):
        name, _, host = path.name.removesuffix(".tmp").partition("@")
        writer = name.rpartition(".")[2]
        here = host in (socket.gethostname(), "")
        if writer.isdigit() and not (here and int(writer) != os.getpid() and _lives(int(writer))):
            path.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it belongs to another user
    return True


def write_bytes(path: Path, content: bytes, permit: Callable[[], None] = lambda: None) -> None:
    """Write ``content``, as `write_atomically` does."""

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_atomically(path, write, permit)


def write_text(path: Path, text: str, permit: Callable[[], None] = lambda: None) -> None:
    """Write ``text`` as UTF-8, as `write_atomically` does."""
    write_bytes(path, text.encode(), permit)


def write_json(path: Path, content: Any, permit: Callable[[], None] = lambda: None) -> None:
    """Write ``content`` as indented JSON, as `write_atomically` does.

    Raises:
        UserError: it holds NaN or infinity.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n", permit)


class StepFiles:
    """Files of one run in one folder, each named after an environment step.

    Args:
        folder: their location.
        permit: raises an error if this process may no longer write them.
    """

    suffix: ClassVar[str]
    """Suffix of their names."""

    def __init__(self, folder: Path, permit: Callable[[], None] = lambda: None) -> None:
        self.folder, self._permit = folder, permit

    def path(self, step: int) -> Path:
        """Path of an environment step's file, whether or not it exists."""
        return self.folder / f"step-{step:09d}{self.suffix}"

    def steps(self) -> list[int]:
        """Environment steps that have a file, newest first, without checking for damage."""
        names = (path.stem.removeprefix("step-") for path in self.folder.glob(f"step-*{self.suffix}"))
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def drop_after(self, step: int) -> None:
        """Delete the files after a step from which the run resumes."""
        self._permit()
        for later in self.steps():
            if later > step:
                self.path(later).unlink()
