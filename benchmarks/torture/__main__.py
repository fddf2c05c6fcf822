"""``make torture`` and ``python -m benchmarks.torture``: stress the suite and print the results."""

import os

# Before any import that creates threads: a process with threads must not be forked.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.timing import write_record
from benchmarks.torture import damage, kills, lines, world
from benchmarks.torture.trials import Series, Tally, say


@dataclass(frozen=True)
class Torture:
    """Kill runs, damage files and type nonsense as often as requested; exit code 1 if anything failed."""

    seed: int = 0
    """Seed of all draws."""
    kills: int = 60
    """Kills of runs of all algorithms and of populations of one to three."""
    damage: int = 150
    """Files to damage, each followed by a command."""
    lines: int = 150
    """Command lines to type."""
    minutes: float | None = None
    """Time limit of each class in minutes."""
    only: str | None = None
    """One class (kills, damage, lines), or one trial of it (kills:17), as named in a failure."""
    tracked_every: int = 10
    """Check MLflow too for every n-th killed run; 0: for none."""
    folder: Path | None = None
    """Folder of the runs; by default a temporary one of the system. Failed trials are kept there."""
    record: bool = False
    """Write out/benchmarks/torture_<class>.json, which make record shows in docs/reliability.md."""

    def run(self) -> int:
        """Run all classes; returns the exit code."""
        chosen, colon, number = (self.only or "").partition(":")
        # A single trial of kills is checked in MLflow whatever its number, unless none is.
        every = min(self.tracked_every, 1) if number else self.tracked_every
        classes: dict[str, tuple[int, Callable[[Series], None]]] = {
            "kills": (self.kills, lambda series: kills.torture(series, every)),
            "damage": (self.damage, lambda series: damage.torture(series, self.tracked_every > 0)),
            "lines": (self.lines, lines.torture),
        }
        if self.only is not None and (chosen not in classes or (colon and not number.isdecimal())):
            say(f"error: --only {self.only} is no class: {', '.join(classes)}, or a trial such as kills:17")
            return 2
        world.make_tiny()
        folder = Path(tempfile.mkdtemp(prefix="torture-", dir=self.folder))
        console, failures = Console(), 0
        for name, (count, work) in classes.items():
            if chosen not in ("", name):
                continue
            began = time.monotonic()
            deadline = began + 60 * self.minutes if self.minutes else float("inf")
            series = Series(name, self.seed, count, folder / name, int(number) if number else None, deadline)
            work(series)
            tally, seconds = series.tally, round(time.monotonic() - began)
            _show(name, tally, console)
            failures += len(tally.failures)
            if self.record:
                # Descriptions of problems quote paths of this machine.
                repeat = [{"kind": one["kind"], "repeat": one["repeat"]} for one in tally.failures]
                results = {"tried": tally.tried, "failed": tally.failed}
                write_record(f"torture_{name}", results, seed=self.seed, seconds=seconds, failures=repeat)
        if failures:
            console.print(f"what failed lies in {folder}", highlight=False, soft_wrap=True)
        else:
            shutil.rmtree(folder)
        return 1 if failures else 0


def _show(name: str, tally: Tally, console: Console) -> None:
    table = Table(title=name, title_justify="left")
    for column in ("", "tried", "failed"):
        table.add_column(column, justify="right" if column else "left")
    for kind in sorted(tally.tried):
        table.add_row(kind, str(tally.tried[kind]), str(tally.failed[kind]))
    table.add_row("together", str(sum(tally.tried.values())), str(len(tally.failures)), style="bold")
    console.print(table)
    for failure in tally.failures:
        console.print(f"{failure['kind']}: {'; '.join(failure['problems'])}", highlight=False, soft_wrap=True)
        console.print(f"  {failure['repeat']}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(tyro.cli(Torture).run())
