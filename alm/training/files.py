"""Files that a reader never sees half of, and those of a run by environment step."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], permit: Callable[[], None] = lambda: None
) -> None:
    """Write a file in full under another name, flush it to the disk, then give it its name.

    ``permit`` is called directly before that, and leaves everything as it was by raising an error.
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
    """Remove what killed writers left anywhere under a folder; of a process that lives here, nothing.

    No process of another machine writes files there, whose names begin as given, at the same time.
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
        pass  # it is someone else's
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
        ValueError: it holds NaN or infinity.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n", permit)


class StepFiles:
    """Files of one run in one folder, each named by an environment step.

    Args:
        folder: where they are.
        permit: raises an error if this process may not write them any more.
    """

    suffix: ClassVar[str]
    """What their names end with."""

    def __init__(self, folder: Path, permit: Callable[[], None] = lambda: None) -> None:
        self.folder, self._permit = folder, permit

    def path(self, step: int) -> Path:
        """The file of an environment step, whether or not it is there."""
        return self.folder / f"step-{step:09d}{self.suffix}"

    def steps(self) -> list[int]:
        """Environment steps with a file, newest first; damaged ones are not told apart."""
        names = (path.stem.removeprefix("step-") for path in self.folder.glob(f"step-*{self.suffix}"))
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def drop_after(self, step: int) -> None:
        """Drop the files behind a step, from which the run goes on another time."""
        self._permit()
        for later in self.steps():
            if later > step:
                self.path(later).unlink()
