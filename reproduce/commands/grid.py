"""The commands that find which runs exhibits lack, and train them."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from reproduce.commands.console import plain_console
from reproduce.commands.options import ReadsRuns, WritesRuns, require_positive
from reproduce.exhibits.catalogue import EXHIBITS, exhibits_named
from reproduce.exhibits.coverage import missing_of
from reproduce.exhibits.kinds import Exhibit
from reproduce.lab.jobs import jobs, with_resources
from reproduce.lab.missing import Missing
from reproduce.lab.places import RUNS
from reproduce.lab.run_states import print_states, state_of, states_under
from reproduce.lab.store import Store
from reproduce.lab.training import check_machine
from reproduce.tracking.uri import resolve_uri


@dataclass(frozen=True)
class LackingRuns:
    """Options that choose the runs which exhibits lack."""

    exhibits: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Names of tables and figures, such as table1, figure5a, figure5 for all of its parts, or figures for all
    of them; without names, all tables and figures."""
    scale: str = "laptop"
    """paper, laptop or smoke."""
    first_seeds: int | None = None
    """Only the first N seeds of every cell."""
    runs_dir: Path = RUNS
    """Directory for runs in training; one with a checkpoint there resumes from it. The output of the grid's
    jobs goes to its subdirectory logs."""

    def chosen(self) -> list[Exhibit]:
        """The exhibits.

        Raises:
            UserError: there is none of that name.
        """
        return [exhibit for name in self.exhibits or EXHIBITS for exhibit in exhibits_named(name)]

    def lacking(self, store: Store) -> list[Missing]:
        """The runs that they lack in a store, with what is trained of them in the runs directory.

        Raises:
            UserError: there is no exhibit of a name.
        """
        stored = store.runs(scale=self.scale)
        return missing_of(self.chosen(), stored, self.scale, self.first_seeds, self.runs_dir)


@dataclass(frozen=True)
class Plan(LackingRuns, ReadsRuns):
    """List the runs that exhibits lack, with steps, operations, estimated hours and training commands."""

    workers: int | None = None
    """Also print the wall-clock time on N cores, and on N GPUs."""

    def run(self) -> int:
        """Print the plan."""
        from reproduce.exhibits.plan import print_plan

        require_positive(self.workers, "workers")
        require_positive(self.first_seeds, "first seeds")
        exhibits, store = self.chosen(), self.opened()
        missing, console = self.lacking(store), plain_console()
        print_plan(exhibits, missing, store, self.scale, console, self.workers, self.runs_dir)
        return 0


@dataclass(frozen=True)
class Grid(LackingRuns, WritesRuns):
    """Train the runs that exhibits lack, several at a time.

    A failed run does not stop the others, a killed run is retried, and a run that another process is training
    is waited for. Repeating the command after an interruption skips stored runs and resumes those that were
    started.
    """

    on: str = "local"
    """Where runs train: local (processes on this machine), ray (a Ray cluster) or slurm (job arrays). The
    latter two need the extra [ray] or [slurm]; see docs/scaling.md."""
    address: str | None = None
    """With ray: the cluster's address; by default auto, the cluster this machine belongs to."""
    partition: str | None = None
    """With slurm: the partition; by default SLURM's own."""
    hours: float | None = None
    """With slurm: time limit of a job, by default 24. Shortly before it ends, runs write checkpoints and are
    requeued."""
    per_gpu: int | None = None
    """With ray and cuda: number of jobs that share a GPU, by default 1."""
    workers: int | None = None
    """Number of jobs at a time; by default one per core, or one population on a GPU; with ray and slurm, as
    many as the cluster has room for."""
    device: str = "cpu"
    """Torch device, such as cpu, cuda or cuda:1."""
    track: bool = True
    """Log to MLflow while training."""
    status: bool = False
    """Train nothing: show the progress of the runs that these exhibits lack or, without names, of every run
    in the runs directory. Works on any machine that shares this directory."""

    def run(self) -> int:
        """Print the plan, then train."""
        require_positive(self.workers, "workers")
        require_positive(self.first_seeds, "first seeds")
        if self.status:
            return self._print_states()
        from reproduce.exhibits.plan import print_plan
        from reproduce.lab.executors.choosing import Engine
        from reproduce.lab.executors.remote import marked
        from reproduce.lab.grid import default_workers, run_grid

        engine = Engine(self.on, self.device, self.address, self.partition, self.hours, self.per_gpu)
        if not engine.elsewhere:
            check_machine(self.device, threads=1)
        exhibits, store, console = self.chosen(), self.opened(), plain_console()
        runs_dir = self.runs_dir.resolve()  # jobs have another working directory
        missing = self.lacking(store)
        print_plan(exhibits, missing, store, self.scale, console, runs_dir=runs_dir)
        options = ["--runs-dir", str(runs_dir)]
        options += ["--store", str(self.store.resolve())] if self.store else []
        track = self.track
        if track and engine.elsewhere and not os.environ.get("MLFLOW_TRACKING_URI"):
            console.print(
                "MLFLOW_TRACKING_URI names no server for all nodes: send the runs later with: "
                "python -m reproduce sync"
            )
            track = False
        options += [] if track else ["--no-track"]
        if not missing:
            return 0
        if uri := os.environ.get("MLFLOW_TRACKING_URI"):
            # Jobs run in the repository, where a relative path would point elsewhere.
            os.environ["MLFLOW_TRACKING_URI"] = resolve_uri(uri)
        workers = self.workers or default_workers(self.device)
        if engine.elsewhere and self.workers is None:
            workers = sum(len(group.specs) for group in missing)  # an engine queues by itself
        work = jobs(missing, self.device, options, runs_dir, workers)
        work = with_resources(work, store, engine.gpus)
        executor = engine.executor(runs_dir)
        try:
            with marked(*((runs_dir, store.root.resolve()) if engine.elsewhere else ())) as marks:
                work = [replace(job, marks=marks) for job in work]
                return run_grid(work, executor, workers, runs_dir, console)
        finally:
            executor.close()

    def _print_states(self) -> int:
        if self.exhibits:
            missing = self.lacking(self.opened())
            wanted = ((spec, group.wanted) for group in missing for spec in group.specs)
            states = [state_of(spec, self.runs_dir, until) for spec, until in wanted]
        else:
            states = states_under(self.runs_dir)
        print_states(states, plain_console())
        return 0
