"""The executor that a command asks for, and the options that apply to it."""

import math
from dataclasses import dataclass
from pathlib import Path

from alm.errors import UserError
from reproduce.lab.executors import Executor
from reproduce.lab.executors.local import LocalProcesses

ENGINES = ("local", "ray", "slurm")
_DEFAULT_HOURS = 24.0


@dataclass(frozen=True)
class Engine:
    """Options of a command that decide where jobs run; None if not given.

    Attributes:
        name: local, ray or slurm.
        device: torch device of the jobs.
        address: address of the Ray cluster.
        partition: SLURM partition.
        hours: time limit of a SLURM allocation.
        per_gpu: jobs that share a GPU.

    Raises:
        UserError: an option does not apply there, or a value is out of range; one sentence.
    """

    name: str
    device: str
    address: str | None = None
    partition: str | None = None
    hours: float | None = None
    per_gpu: int | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise UserError(f"Jobs run on {', '.join(ENGINES[:-1])} or {ENGINES[-1]}, not on {self.name!r}.")
        meant_for = {
            "--address": (self.address, "ray"),
            "--partition": (self.partition, "slurm"),
            "--hours": (self.hours, "slurm"),
            "--per-gpu": (self.per_gpu, "ray"),
        }
        for option, (value, engine) in meant_for.items():
            if value is not None and self.name != engine:
                raise UserError(f"{option} has no meaning with --on {self.name}: it is for --on {engine}.")
        if self.per_gpu is not None and not self.on_gpu:
            raise UserError(f"--per-gpu has no meaning with --device {self.device}: it is for --device cuda.")
        if self.elsewhere and ":" in self.device:
            raise UserError(
                f"--device {self.device} has no meaning with --on {self.name}, which chooses the GPU: give "
                "--device cuda."
            )
        if self.per_gpu is not None and self.per_gpu < 1:
            raise UserError(f"The number of jobs on a GPU must be at least 1, not {self.per_gpu}.")
        if self.hours is not None and not 0 < self.hours < math.inf:
            raise UserError(f"The number of hours must be above 0 and finite, not {self.hours:g}.")

    @property
    def elsewhere(self) -> bool:
        """Whether jobs run on other machines."""
        return self.name != "local"

    @property
    def on_gpu(self) -> bool:
        """Whether jobs take a GPU or a share of one."""
        return self.device != "cpu"

    @property
    def gpus(self) -> float:
        """GPUs that a job takes."""
        return 1.0 / (self.per_gpu or 1) if self.on_gpu else 0.0

    def executor(self, runs_dir: Path) -> Executor:
        """The executor of the jobs.

        Args:
            runs_dir: directory of their runs.

        Raises:
            UserError: a required package is not installed, or there is no such cluster here.
            UserError: no cluster answers.
        """
        if self.name == "ray":
            from reproduce.lab.executors.ray import RayTasks

            return RayTasks(self.address or "auto")
        if self.name == "slurm":
            from reproduce.lab.executors.slurm import SlurmJobs

            folder, hours = runs_dir / "logs" / "slurm", self.hours or _DEFAULT_HOURS
            return SlurmJobs(folder, self.partition, hours)
        return LocalProcesses()
