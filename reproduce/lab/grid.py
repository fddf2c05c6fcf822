"""Trains what exhibits miss: one process a job, several at a time; a job that fails stops no other."""

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from alm.training.run_directory import RunDirectory
from reproduce.lab.algorithms import run_length
from reproduce.lab.planning import Missing
from reproduce.lab.provenance import REPOSITORY

_POLL_SECONDS = 1.0


def default_workers(device: str) -> int:
    """Jobs at a time: one for each core, but one on a GPU, which a population fills."""
    return (psutil.cpu_count(logical=False) or 1) if device == "cpu" else 1


@dataclass(frozen=True)
class Job:
    """One process: seeds of one algorithm, variant and task."""

    group: Missing
    command: tuple[str, ...]

    @property
    def label(self) -> str:
        """The job in words."""
        return f"{self.group.label} seed {self.group.seeds}"


def jobs(missing: Sequence[Missing], device: str, options: Sequence[str]) -> list[Job]:
    """The processes that train missing runs; first seeds first, so that every cell has one early.

    On a CPU each seed is a job, since a population there takes as long as its seeds one after another.

    Args:
        missing: what to train.
        device: torch device.
        options: further options of the train command.
    """
    groups = list(missing)
    if device == "cpu":
        groups = sorted((one for group in missing for one in group.split()), key=lambda g: g.specs[0].seed)
    start = (sys.executable, "-m", "reproduce")
    return [Job(one, (*start, *shlex.split(one.command), "--device", device, *options)) for one in groups]


class _Stopped(Exception):
    """Someone asked the grid to stop."""


def run_grid(work: Sequence[Job], workers: int, runs_dir: Path, console: Console) -> int:
    """Run all jobs; returns 0, 1 if a job failed, 130 if someone stopped the grid (jobs leave checkpoints).

    What a job prints goes to ``<runs_dir>/logs``.
    """
    logs = runs_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    waiting = list(work)
    running: dict[subprocess.Popen[bytes], tuple[Job, Path]] = {}
    failed: list[tuple[Job, Path]] = []

    def stop(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        raise _Stopped

    handlers = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    reached = {job: _steps(job, runs_dir) for job in work}
    total = sum(run_length(spec) for job in work for spec in job.group.specs)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    try:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("environment steps", total=total, completed=sum(reached.values()))
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.pop(0)
                    log = logs / f"{job.label.replace('/', '-').replace(' ', '_')}.log"
                    with log.open("w") as file:
                        # Ctrl-C is for the grid, which stops its jobs in good order.
                        process = subprocess.Popen(
                            job.command,
                            stdout=file,
                            stderr=subprocess.STDOUT,
                            cwd=REPOSITORY,
                            start_new_session=True,
                        )
                    running[process] = job, log
                    progress.console.print(f"started {job.label}")
                time.sleep(_POLL_SECONDS)
                ended = [one for one in running if one.poll() is not None]
                # Only these have written anything since.
                reached |= {job: _steps(job, runs_dir) for job, _ in running.values()}
                for process in ended:
                    job, log = running.pop(process)
                    if process.returncode != 0:
                        failed.append((job, log))
                    outcome = f"failed, see {log}" if process.returncode else "done"
                    progress.console.print(f"{job.label}: {outcome}", soft_wrap=True)
                progress.update(bar, completed=sum(reached.values()))
    except _Stopped:
        for process in running:
            process.send_signal(signal.SIGTERM)
        console.print("stopping; the runs write checkpoints, and the same command goes on from there")
        for process in running:
            process.wait()
        return 130
    finally:
        for which, handler in handlers.items():
            signal.signal(which, handler)
    for job, log in failed:
        last = (log.read_text().strip().splitlines() or ["no output"])[-1]
        console.print(f"failed: {job.label}: {last} ({log})", soft_wrap=True)
    return 1 if failed else 0


def _steps(job: Job, runs_dir: Path) -> int:
    """Environment steps that the runs of a job have behind them, as far as they have written any."""
    steps = 0
    for spec in job.group.specs:
        last = 0
        for line in RunDirectory(runs_dir / spec.relative_dir).metrics():
            last = line["step"]
        steps += last
    return steps
