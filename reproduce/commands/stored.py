"""The commands about stored runs: what there is, what to keep, what to measure of it once more."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reproduce.commands.console import plain_console
from reproduce.commands.options import RUNS, ReadsRuns, WritesRuns

if TYPE_CHECKING:
    from alm.training.run_directory import RunDirectory
    from reproduce.lab.store import Store


@dataclass(frozen=True)
class Runs(ReadsRuns):
    """Say what is stored, what is being trained here, and how much of every exhibit is there."""

    all: bool = False
    """A line for each run, in the place of one for each task."""
    runs_dir: Path = RUNS
    """Where runs are kept while they train."""

    def run(self) -> int:
        """Print the list."""
        from reproduce.exhibits.inventory import print_inventory

        print_inventory(self.opened(), self.runs_dir, plain_console(), self.all)
        return 0


@dataclass(frozen=True)
class Archive(WritesRuns):
    """Store runs of the runs directory as far as they got, the unfinished ones as partial, and policies.

    The last and the best policy of one seed of each algorithm, variant, task and scale is stored; of a run
    that began with a version that kept none, the last alone, from its newest checkpoint.
    """

    runs_dir: Path = RUNS
    """Where runs are kept while they train."""

    def run(self) -> int:
        """Archive all but smoke runs; one that cannot be read keeps no other back."""
        from reproduce.lab.archive import UnreadableRunError, archive_run, directories_under

        store, unread = self.opened(), 0
        for directory in directories_under(self.runs_dir):
            if directory.read_json("config.json")["spec"]["scale"] != "smoke":
                try:
                    path = archive_run(directory, store)
                except UnreadableRunError as error:
                    print(f"warning: not stored: {error}", file=sys.stderr)
                    unread += 1
                else:
                    print(f"stored {path}" if path else f"nothing new in {directory.path}")
                    keep_policies(directory, store)
        return 1 if unread else 0


def keep_policies(directory: "RunDirectory", store: "Store") -> None:
    """Store the policies of a stored run; one that cannot be is said, and no reason to fail."""
    from reproduce.lab.policies import archive_policies

    try:
        for path in archive_policies(directory, store):
            print(f"stored {path}")
    except (OSError, ValueError) as error:
        # Also that this version knows its variant no more, by which a policy is taken from a checkpoint.
        print(f"warning: no policy is kept of {directory.path}: {error}", file=sys.stderr)


@dataclass(frozen=True)
class Latents(WritesRuns):
    """Measure what trained models predict along one episode: the data of Figure 7.

    Needs the last checkpoints of finished runs, which stay where the runs were trained.
    """

    task: str = "HalfCheetah"
    """Task of the runs."""
    scale: str = "laptop"
    """paper, laptop or smoke."""
    runs_dir: Path = RUNS
    """Where the runs were trained."""

    def run(self) -> int:
        """Measure every run of the figure that is here."""
        from reproduce.exhibits import exhibit_named
        from reproduce.lab.latents import measure_latents

        needed = exhibit_named("figure7").needs(self.scale)
        for path in measure_latents(needed, self.task, self.scale, self.opened(), self.runs_dir):
            print(f"wrote {path}")
        return 0
