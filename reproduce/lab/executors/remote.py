"""A job on another machine, and the process that carries it out there.

Both machines need the repository at the same path with the same code, and share runs directory and store.
Otherwise the worker refuses, in one sentence.
"""

import os
import platform
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from reproduce.lab.errors import EXIT_INTERRUPTED
from reproduce.lab.executors import Ended, Job
from reproduce.lab.executors.local import start_tied
from reproduce.lab.places import CODE
from reproduce.lab.provenance import Code

_POLL_SECONDS = 0.2
_REFUSED = 2


class Worker:
    """Execution of one job on this machine, by a training process tied to this one.

    Args:
        job: the job; its log and its marks have absolute paths.
        code: the code of the grid that sent it.
    """

    def __init__(self, job: Job, code: Code) -> None:
        self.job, self.code = job, code
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = False

    def carry_out(
        self, stop_requested: Callable[[], bool] = lambda: False, passes_on_sigterm: bool = True
    ) -> Ended:
        """Run the job to its end.

        Args:
            stop_requested: whether the grid asks for checkpoints and an end; so does KeyboardInterrupt.
            passes_on_sigterm: forward SIGTERM to the process; false if an engine sends it to both.
        """
        if refusal := self._refusal():
            return Ended(_REFUSED, refusal)
        if stop_requested():
            return Ended(EXIT_INTERRUPTED, "stopped before it began")
        self._child = start_tied(self.job.arguments, self.job.log)
        with _on_sigterm(self.ask_to_stop) if passes_on_sigterm else nullcontext():
            while True:
                try:
                    return Ended(self._child.wait(_POLL_SECONDS))
                except subprocess.TimeoutExpired:
                    if stop_requested():
                        self.ask_to_stop()
                except KeyboardInterrupt:
                    self.ask_to_stop()

    def ask_to_stop(self) -> None:
        """Ask the process to write its checkpoints and end; once only, as a second signal ends it at once."""
        if self._child is not None and not self._asked:
            # In this order: a signal handler that comes between the two must not wait for what nobody asked.
            self._child.terminate()
            self._asked = True

    def stop(self) -> None:
        """Ask the process to write its checkpoints, and wait for it to end; a signal handler may call it."""
        self.ask_to_stop()
        if self._child is not None:
            # Popen.wait has a lock, which `carry_out` may hold where the signal interrupts it: neither
            # would go on.
            with suppress(ChildProcessError):  # it has been waited for
                os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOWAIT)

    def _refusal(self) -> str:
        """The reason why this machine refuses the job; empty if it does not."""
        node = platform.node()
        if found := Code.here().differences(self.code):
            return (
                f"the worker on {node} has different code from the grid ({', '.join(found)}): bring "
                f"{CODE} and its environment there to the same state, then repeat the command"
            )
        for mark in self.job.marks:
            if not mark.is_file():
                return (
                    f"the worker on {node} does not see the grid's {mark.parent}: choose a --runs-dir and a "
                    "--store on a file system that all nodes share"
                )
        return ""


@contextmanager
def marked(*folders: Path) -> Iterator[tuple[Path, ...]]:
    """A file in each of these directories during the block, by which a worker recognises them.

    The path alone is not enough: a machine that does not share them may have a clone at the same path.
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
    """Append a sentence to a job's log, where the grid looks for the reason of a failure."""
    if words:
        job.log.parent.mkdir(parents=True, exist_ok=True)  # someone may have tidied up
        with job.log.open("a") as file:
            file.write(words + "\n")


@contextmanager
def _on_sigterm(call: Callable[[], None]) -> Iterator[None]:
    """Call a function on SIGTERM during the block; in the main thread, where engines run tasks."""

    def receive(signum: int, frame: Any) -> None:
        del signum, frame
        call()

    before = signal.signal(signal.SIGTERM, receive)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
