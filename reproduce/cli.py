"""The command line: train runs, see what is stored, print tables.

Bad input ends with one sentence and exit code 2.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from reproduce.provenance import REPOSITORY

_RUNS = REPOSITORY / "runs"


@dataclass(frozen=True)
class Train:
    """Train an algorithm on a task; the same command resumes what was interrupted and skips what is done."""

    task: str
    """Task, such as HalfCheetah (see the README for all)."""
    algorithm: str = "alm"
    """Algorithm to train."""
    variant: str = "base"
    """Named change of the algorithm; base is the algorithm unchanged."""
    seeds: tuple[int, ...] = (0,)
    """Seeds to train, together as one population."""
    scale: str = "laptop"
    """Size of the run: paper, laptop or smoke."""
    device: str = "cpu"
    """Torch device: cpu, cuda, cuda:1 …"""
    threads: int = 1
    """CPU threads for tensor operations; results are bit-exact for the same number only."""
    runs_dir: Path = _RUNS
    """Where runs are kept while they train."""

    def run(self) -> int:
        from alm.training.loop import Interrupted
        from reproduce.training import Plan, group_by_step, open_run, train_population

        plan = Plan.of(self.algorithm, self.variant, self.task, self.seeds, self.scale)
        opened = []
        for spec in plan.specs:
            directory = open_run(plan, spec, self.runs_dir, self.device, self.threads)
            if directory is None:
                print(f"{spec.label}: has ended already, see {self.runs_dir / spec.relative_dir}")
            else:
                opened.append(directory)
        try:
            for group in group_by_step(opened):
                train_population(plan, group, self.device, self.threads)
        except Interrupted as stop:
            print(stop, file=sys.stderr)
            return 130
        finally:
            for directory in opened:
                directory.close()
        return 0



def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    command = tyro.extras.subcommand_cli_from_dict({"train": Train}, prog="reproduce", args=arguments)
    try:
        return command.run()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
