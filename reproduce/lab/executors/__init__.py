"""Executors: where the jobs of the grid run.

A job is a value and a run directory is the truth, so an executor only starts a command somewhere, tells
whether it has ended, and can ask it to stop. The queue, the logs' names and the display are the grid's.

    local.py    processes of this machine
    ray.py      tasks of a Ray cluster
    slurm.py    job arrays of a SLURM cluster
    remote.py   what both of these run on another machine
    tied.py     starts a process that ends with its parent
    choosing.py which of them a command asks for
"""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from reproduce.lab.errors import EXIT_INTERRUPTED
from reproduce.lab.specs import RunSpec

__all__ = ["Ended", "Executor", "Job", "Resources"]

Handle = TypeVar("Handle")


@dataclass(frozen=True)
class Resources:
    """What a job takes of a machine; an executor that divides machines goes by it.

    Attributes:
        cpus: cores.
        gpus: GPUs, or the share of one.
        memory_bytes: main memory; None where it is not known.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Job:
    """One process that trains runs.

    Attributes:
        label: the job in words.
        command: program and arguments, to be run in the repository.
        specs: the runs that it trains.
        log: file to which what it prints is appended; it is there.
        until: environment steps to which each run trains; None: to its end.
        resources: what it takes of a machine.
        marks: files by which other machines know the folders that it needs (`remote.marked`).
    """

    label: str
    command: tuple[str, ...]
    specs: tuple[RunSpec, ...]
    log: Path
    until: int | None = None
    resources: Resources = Resources()
    marks: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Ended:
    """The end of a job: an exit code, or the signal that killed it, or neither: it was lost."""

    code: int | None = None
    signal: int | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it did what it was started for."""
        return self.code == 0

    @property
    def by_itself(self) -> bool:
        """Whether its program ended it; else the same command may well do better another time.

        A training process that someone asked to stop, a machine that is taken away say, has written its
        checkpoints, but not done what it was started for.
        """
        return self.code not in (None, EXIT_INTERRUPTED)

    def __str__(self) -> str:
        if self.code == EXIT_INTERRUPTED:
            return "stopped by someone else"
        if self.code is not None:
            return f"exit code {self.code}"
        if self.signal is None:
            return "lost"
        known = {one.value: one.name for one in signal.Signals}
        return f"killed by {known.get(self.signal, f'signal {self.signal}')}"


class Executor(Protocol[Handle]):
    """A place where jobs run; a ``Handle`` is what it knows a submitted job by."""

    def submit(self, job: Job) -> Handle:
        """Start a job, or queue it, and return at once; what it prints is appended to its log.

        Raises:
            OSError: the job cannot be started.
        """
        ...

    def poll(self, handle: Handle) -> Ended | None:
        """The end of a job; None while it waits or runs. Returns at once, and may be asked again."""
        ...

    def stop(self, handle: Handle) -> None:
        """Ask a job to write its checkpoints and end, and return at once; nothing if it has ended."""
        ...

    def close(self) -> None:
        """Let go of the place, when all jobs have ended or nobody waits for them any more."""
        ...
