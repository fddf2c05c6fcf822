"""Executors: where the jobs of the grid run.

A job is a value and the run directory is its source of truth, so an executor only starts a process, reports
whether it has ended, and can ask it to stop. The grid owns the queue, the names of logs and the display.

    local.py    processes on this machine
    ray.py      tasks of a Ray cluster
    slurm.py    job arrays of a SLURM cluster
    remote.py   the worker that both of these run on another machine
    tied.py     starts a process that ends with its parent
    choosing.py the executor that a command asks for
"""

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from reproduce.lab.errors import EXIT_INTERRUPTED
from reproduce.lab.specs import RunSpec


@dataclass(frozen=True)
class Resources:
    """Resources that a job needs, for executors that share a machine among jobs.

    Attributes:
        cpus: cores.
        gpus: GPUs, or a fraction of one.
        memory_bytes: main memory; None if unknown.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Job:
    """One process of Python that trains runs.

    Attributes:
        label: the job in words.
        arguments: arguments of Python, which runs in the repository.
        specs: the runs that it trains.
        log: existing file to which its output is appended.
        until: environment steps to which each run trains; None: to its end.
        resources: the resources it needs.
        marks: files by which other machines recognise the directories it needs (`remote.marked`).
    """

    label: str
    arguments: tuple[str, ...]
    specs: tuple[RunSpec, ...]
    log: Path
    until: int | None = None
    resources: Resources = Resources()
    marks: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Ended:
    """The end of a job.

    Attributes:
        code: exit code; negative: the signal that killed it, as in `subprocess`; None: it was lost.
        words: a sentence for its log if it has not written one itself.
    """

    code: int | None
    words: str = field(default="", compare=False)

    @property
    def succeeded(self) -> bool:
        """Whether the job completed its work."""
        return self.code == 0

    @property
    def by_itself(self) -> bool:
        """Whether the program ended by itself; if not, repeating the command may succeed.

        A training process asked to stop, for instance because its machine is preempted, has written its
        checkpoints but not completed its work.
        """
        return self.code is not None and self.code >= 0 and self.code != EXIT_INTERRUPTED

    def __str__(self) -> str:
        if self.code == EXIT_INTERRUPTED:
            return "stopped by someone else"
        if self.code is None:
            return "lost"
        if self.code >= 0:
            return f"exit code {self.code}"
        known = {-one.value: one.name for one in signal.Signals}
        return f"killed by {known.get(self.code, f'signal {-self.code}')}"


class Executor(Protocol):
    """A place where jobs run; a handle, whose type is the executor's own, identifies a submitted job."""

    def submit(self, job: Job) -> Any:
        """Start or queue a job and return at once; its output is appended to its log.

        Raises:
            OSError: the job cannot be started.
        """
        ...

    def poll(self, handle: Any) -> Ended | None:
        """The end of a job; None while it waits or runs. Returns at once and may be called repeatedly."""
        ...

    def stop(self, handle: Any) -> None:
        """Ask a job to write its checkpoints and end, and return at once; no effect if it has ended."""
        ...

    def close(self) -> None:
        """Release the place once all jobs have ended or nobody waits for them any more."""
        ...
