"""A job on another machine: the order that travels there, and the process that carries it out.

Both machines have the repository at the same path with the same code, and see the same runs directory and
store. A worker that differs refuses, in one sentence.
"""

import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from reproduce.lab.errors import EXIT_INTERRUPTED
from reproduce.lab.executors import Ended, Job
from reproduce.lab.executors.local import start_tied
from reproduce.lab.places import CODE
from reproduce.lab.provenance import Code

__all__ = ["Order", "Outcome", "Worker", "add_to_log", "marked"]

_POLL_SECONDS = 0.2
_REFUSED = 2


@dataclass(frozen=True)
class Order:
    """A job in a form that travels: plain values.

    Attributes:
        command: program and arguments.
        log: absolute path of the file that receives what it prints.
        code: the submitter's code.
        interpreter: the submitter's Python; a command that begins with it runs by the worker's own.
        marks: absolute paths of files by which a worker knows the folders (`marked`).
    """

    command: tuple[str, ...]
    log: str
    code: Code
    interpreter: str
    marks: tuple[str, ...]

    @classmethod
    def of(cls, job: Job, code: Code) -> "Order":
        """The order of a job."""
        marks = tuple(str(mark.resolve()) for mark in job.marks)
        return cls(job.command, str(job.log.resolve()), code, sys.executable, marks)


@dataclass(frozen=True)
class Outcome:
    """The end of a job, and a sentence for its log where the job itself has not written one."""

    ended: Ended
    words: str = ""


class Worker:
    """One order on this machine: a process that trains, tied to this one."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = False

    def carry_out(
        self, stop_requested: Callable[[], bool] = lambda: False, passes_on_sigterm: bool = True
    ) -> Outcome:
        """Run the command to its end.

        A process that someone else than the grid asked to stop (a machine that is taken away) wrote its
        checkpoints, but has not done what it was started for: it counts as killed by SIGTERM.

        Args:
            stop_requested: whether the grid asks for checkpoints and an end; KeyboardInterrupt asks as well.
            passes_on_sigterm: pass SIGTERM on to the process; false where an engine sends it to both.
        """
        if refusal := self._refusal():
            return Outcome(Ended(_REFUSED), refusal)
        command = list(self.order.command)
        if command[0] == self.order.interpreter:
            command[0] = sys.executable
        wanted = stop_requested()
        if wanted:
            return Outcome(Ended(EXIT_INTERRUPTED), "stopped before it began")
        self._child = start_tied(command, Path(self.order.log))
        with _on_sigterm(self.ask_to_stop) if passes_on_sigterm else nullcontext():
            while (code := self._child.poll()) is None:
                try:
                    self._child.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    if not wanted and stop_requested():
                        wanted = True
                        self.ask_to_stop()
                except KeyboardInterrupt:
                    wanted = True
                    self.ask_to_stop()
        return Outcome(Ended(code) if code >= 0 else Ended(signal=-code))

    def ask_to_stop(self) -> None:
        """Let the process write its checkpoints and end; once, since a second time means at once."""
        if self._child is not None and not self._asked:
            self._asked = True
            self._child.terminate()

    def stop(self) -> None:
        """Let the process write its checkpoints, and wait for its end."""
        self.ask_to_stop()
        if self._child is not None:
            self._child.wait()

    def _refusal(self) -> str:
        """Why this machine does not run the order; empty if it does."""
        node = platform.node()
        if found := Code.here().differences(self.order.code):
            return (
                f"the worker on {node} has other code than the grid ({', '.join(found)}): bring "
                f"{CODE} and its environment there to the same state, then repeat the command"
            )
        for mark in map(Path, self.order.marks):
            if not mark.is_file():
                return (
                    f"the worker on {node} does not see the grid's {mark.parent}: choose a --runs-dir and a "
                    "--store on a file system that all nodes share"
                )
        return ""


@contextmanager
def marked(*folders: Path) -> Iterator[tuple[Path, ...]]:
    """A file in each of these folders while the block runs, by which a worker knows them.

    On a machine that does not share them a folder of the same path may be there all the same, such as that of
    a clone of its own.
    """
    marks = tuple(folder / f".grid-{uuid4().hex}" for folder in folders)
    try:
        for mark in marks:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        yield marks
    finally:
        for mark in marks:
            mark.unlink(missing_ok=True)


def add_to_log(job: Job, words: str) -> None:
    """Append a sentence to a job's log, from which the grid reads why a job failed."""
    if words:
        job.log.parent.mkdir(parents=True, exist_ok=True)  # someone may have tidied up
        with job.log.open("a") as file:
            file.write(words + "\n")


@contextmanager
def _on_sigterm(call: Callable[[], None]) -> Iterator[None]:
    """Act on SIGTERM while the block runs, in a main thread, where engines run their tasks."""

    def receive(signum: int, frame: Any) -> None:
        del signum, frame
        call()

    before = signal.signal(signal.SIGTERM, receive)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
