"""A trial in a separate process, and the tally of a class's trials.

A forked child starts in a few milliseconds with everything that its parent has imported; it is a real
process and receives real signals.
"""

import itertools
import json
import logging
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 300.0
"""Longest time for one process; a hanging run is also a failure."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_POLL_SECONDS = 0.002


@dataclass
class Tally:
    """Trials of a class: counts by kind, and failures with the option that repeats them."""

    tried: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, problems: Sequence[str], repeat: str, count: int = 1) -> None:
        """Count trials of a kind, and a failure if there are problems."""
        self.tried[kind] = self.tried.get(kind, 0) + count
        self.failed.setdefault(kind, 0)
        if problems:
            self.failed[kind] += 1
            self.failures.append({"kind": kind, "problems": list(problems), "repeat": repeat})


@dataclass(frozen=True)
class Series:
    """The trials of one class that were asked for, and what they found.

    Attributes:
        name: the class.
        seed: seed of the draws.
        count: number of trials; of the class kills, of kills.
        folder: folder of the trials; those of failed ones are kept.
        only: number of the only trial to run.
        deadline: time of `time.monotonic` after which no trial begins.
    """

    name: str
    seed: int
    count: int
    folder: Path
    only: int | None
    deadline: float
    tally: Tally = field(default_factory=Tally)

    def trials(self) -> Iterator[tuple[int, random.Random, Path]]:
        """Number, random generator and folder of every trial until the deadline, without end."""
        for number in itertools.count() if self.only is None else (self.only,):
            if time.monotonic() > self.deadline:
                return
            draw = random.Random(f"{self.name}/{self.seed}/{number}")
            yield number, draw, self.folder / f"{self.name}-{number}"

    def add(self, number: int, kind: str, problems: Sequence[str], count: int = 1) -> None:
        """Count a trial of a kind, and a failure if there are problems, which is printed."""
        repeat = f"python -m benchmarks.torture --seed {self.seed} --only {self.name}:{number}"
        self.tally.add(kind, problems, repeat, count)
        if problems:
            say(json.dumps(self.tally.failures[-1], indent=1, ensure_ascii=False))


def say(sentence: str) -> None:
    """Print a line of progress."""
    print(sentence, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Ended:
    """End of a process: its exit code, or minus the signal that ended it, and its output."""

    code: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        """Behaviour that no command may ever show."""
        found = []
        if "Traceback (most recent call last)" in self.out + self.err:
            last = (self.out + self.err).strip().splitlines()[-1]
            found.append(f"a traceback: {last}")
        if self.code == _HUNG:
            found.append(f"it was not at its end after {LIMIT_SECONDS:.0f} s")
        return found


_HUNG = -1000


class Process:
    """Forked child that does some work and ends.

    Args:
        work: the work, which returns the exit code.
        folder: folder of its output.
    """

    def __init__(self, work: Callable[[], int], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        sys.stdout.flush(), sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _become(work, self._out, self._err)

    def send(self, which: signal.Signals) -> bool:
        """Send a signal; returns whether the process still existed."""
        if self.ended():
            return False
        os.kill(self.pid, which)
        return True

    def ended(self) -> bool:
        """Whether it has ended, without waiting."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, seconds: float = LIMIT_SECONDS) -> Ended:
        """Wait for its end; kill it after ``seconds``."""
        deadline = time.monotonic() + seconds
        hung = False
        while not self.ended():
            if not hung and time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                hung = True
            time.sleep(_POLL_SECONDS)
        _, status = os.waitpid(self.pid, 0)
        code = _HUNG if hung else os.waitstatus_to_exitcode(status)
        out, err = (_text(path) for path in (self._out, self._err))
        return Ended(code, out, err)


def _text(path: Path) -> str:
    """Output of a child; one killed immediately has not even created the file."""
    return path.read_text(errors="replace") if path.exists() else ""


def _become(work: Callable[[], int], out: Path, err: Path) -> None:
    """Main function of a child, which never returns."""
    code: Any = 1
    try:
        for number, path in ((1, out), (2, err)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, number)
            os.close(descriptor)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
        os.environ["COLUMNS"] = "200"  # so that no name is wrapped
        # As in a process started by a shell, whatever the parent's handlers.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        logging.root.handlers.clear()
        warnings.resetwarnings()
        warnings.simplefilter("ignore", DeprecationWarning)
        code = work()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
        sys.stdout.flush(), sys.stderr.flush()
        os._exit((code or 0) & 0xFF)


def on_writes(act: Callable[[Path, str], None]) -> None:
    """From now on, call ``act`` with path and event before this process changes a file or folder.

    Between these moments a kill leaves different states of the disk: a file is opened for writing, renamed
    or removed.
    """

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int) or not isinstance(flags, int) or not flags & _WRITING:
                return
        elif event in ("os.rename", "os.link", "os.symlink"):
            path = arguments[1]
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate"):
            path = arguments[0]
        else:
            return
        if not isinstance(path, int):
            act(Path(os.path.abspath(os.fsdecode(path))), event)

    sys.addaudithook(hook)
