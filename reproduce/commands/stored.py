"""The commands about stored runs: list them, archive them, measure their models."""

from dataclasses import dataclass
from pathlib import Path

from reproduce.commands.console import plain_console, say, store_warnings
from reproduce.commands.options import ReadsRuns, WritesRuns
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.lab.archive import archive
from reproduce.lab.places import RUNS
from reproduce.lab.run_directories import UnreadableRunError, directories_under
from reproduce.lab.selecting import wanted_runs


@dataclass(frozen=True)
class Runs(ReadsRuns):
    """List stored runs, runs in training here, and how much of every exhibit is stored."""

    all: bool = False
    """Print one line per run instead of one per task."""
    algorithm: str | None = None
    """Only runs of this algorithm."""
    variant: str | None = None
    """Only runs of this variant, such as base or no-kl."""
    task: str | None = None
    """Only runs on this task."""
    scale: str | None = None
    """Only runs of this scale."""
    runs_dir: Path = RUNS
    """Directory of runs in training."""

    def run(self) -> int:
        """Print the list."""
        from reproduce.exhibits.inventory import print_inventory

        store = self.opened()
        wanted = wanted_runs(store, self.algorithm, self.variant, self.task, self.scale, self.runs_dir)
        print_inventory(store, self.runs_dir, plain_console(), self.all, **wanted)
        return 0


@dataclass(frozen=True)
class Archive(WritesRuns):
    """Store the runs of the runs directory, unfinished ones as partial, and their policies.

    For each algorithm, variant, task and scale, the last and best policies of one seed are stored.
    """

    runs_dir: Path = RUNS
    """Directory of runs in training."""

    def run(self) -> int:
        """Archive all but smoke runs; an unreadable run does not hold back the others."""
        store = self.opened()
        with store_warnings() as unread:
            directories = directories_under(self.runs_dir)
        for spec, directory in directories.items():
            if spec.scale == "smoke":
                continue
            try:
                files = list(archive(directory, store))
            except UnreadableRunError as error:
                unread.append(str(error))
                say("warning", unread[-1])
            else:
                for path in files:
                    print(f"stored {path}")
                if not files:
                    print(f"nothing new in {directory.path}")
        if not (directories or unread):
            print(f"there are no runs in {self.runs_dir}")
        elif smoke := sum(spec.scale == "smoke" for spec in directories):
            print(f"smoke runs are not stored: {smoke} in {self.runs_dir}")
        return 1 if unread else 0


@dataclass(frozen=True)
class Latents(WritesRuns):
    """Measure the predictions of trained models along one episode, for Figure 7.

    Needs the last checkpoints of finished runs, which exist only where the runs were trained.
    """

    task: str = "HalfCheetah"
    """Task of the runs."""
    scale: str = "laptop"
    """paper, laptop or smoke."""
    runs_dir: Path = RUNS
    """Directory in which the runs were trained."""

    def run(self) -> int:
        """Measure every run of the figure whose checkpoint is here."""
        from reproduce.lab.latents import measure_latents

        needed = EXHIBITS["figure7"].needs(self.scale)
        for path in measure_latents(needed, self.task, self.scale, self.opened(), self.runs_dir):
            print(f"wrote {path}")
        return 0
