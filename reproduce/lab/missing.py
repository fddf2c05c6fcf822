"""Missing runs, grouped by the command that trains them; what shows runs finds them."""

import itertools
from dataclasses import dataclass
from pathlib import Path

from alm.training.run_directory import RunDirectory
from reproduce.lab.algorithms import run_length, title_of
from reproduce.lab.specs import RunSpec, train_command


@dataclass(frozen=True)
class Missing:
    """Missing runs that one command trains: an algorithm, a variant, a task, and the missing seeds."""

    specs: tuple[RunSpec, ...]
    reached: tuple[int, ...]
    """Environment steps of each run's newest checkpoint, from which it resumes, up to those wanted; 0 without
    one."""
    wanted: int
    """Environment steps that each run should reach."""

    @property
    def label(self) -> str:
        """The runs in words, without their seeds."""
        first = self.specs[0]
        return f"{title_of(first.algorithm, first.variant)} on {first.task}"

    @property
    def seeds(self) -> str:
        """The seeds, separated by spaces."""
        return " ".join(str(spec.seed) for spec in self.specs)

    @property
    def steps(self) -> int:
        """Remaining environment steps, summed over seeds."""
        return sum(self.wanted - reached for reached in self.reached)

    @property
    def command(self) -> str:
        """The command that trains them, without ``python -m reproduce``."""
        first = self.specs[0]
        until = f" --until {self.wanted}" if self.wanted < run_length(first) else ""
        seeds = [spec.seed for spec in self.specs]
        return train_command(*first.cell, seeds) + until

    def split(self, parts: int) -> "list[Missing]":
        """Up to ``parts`` parts with nearly equal numbers of seeds, in their order; none is empty."""
        n = len(self.specs)
        parts = min(parts, n)
        ends = [n * i // parts for i in range(parts + 1)]
        return [Missing(self.specs[a:b], self.reached[a:b], self.wanted) for a, b in itertools.pairwise(ends)]


def checkpointed(spec: RunSpec, runs_dir: Path | None) -> int:
    """Environment steps of a run's newest checkpoint; 0 without one, or without a directory to search."""
    if runs_dir is None:
        return 0
    return max(RunDirectory(runs_dir / spec.relative_dir).checkpoints.steps(), default=0)
