"""The grid: a queue of jobs that train what exhibits miss, several at a time, their logs, and a display.

Where jobs run is an executor's business (`reproduce.lab.executors`). A job that fails stops no other.
"""

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from alm.training.run_directory import RunDirectory
from reproduce.lab.algorithms import run_length
from reproduce.lab.executors import Ended, Executor, Handle, Job, Resources
from reproduce.lab.planning import Missing

_POLL_SECONDS = 1.0


def default_workers(device: str) -> int:
    """Jobs at a time: one for each core, but one on a GPU, which a population fills."""
    return (psutil.cpu_count(logical=False) or 1) if device == "cpu" else 1


def jobs(
    missing: Sequence[Missing],
    device: str,
    options: Sequence[str],
    runs_dir: Path,
    resources: Callable[[Missing], Resources] = lambda _: Resources(),
) -> list[Job]:
    """The jobs that train missing runs; first seeds first, so that every cell has one early.

    On a CPU each seed is a job, since a population there takes as long as its seeds one after another.

    Args:
        missing: what to train.
        device: torch device.
        options: further options of the train command.
        runs_dir: where runs are kept while they train; logs go to its folder ``logs``.
        resources: what the job of a group takes of a machine.
    """
    groups = list(missing)
    if device == "cpu":
        groups = sorted((one for group in missing for one in group.split()), key=lambda g: g.specs[0].seed)
    start = (sys.executable, "-m", "reproduce")
    work = []
    for group in groups:
        label = f"{group.label} seed {group.seeds}"
        command = (*start, *shlex.split(group.command), "--device", device, *options)
        log = runs_dir / "logs" / f"{label.replace('/', '-').replace(' ', '_')}.log"
        work.append(Job(label, command, group.specs, log, resources(group)))
    return work


def run_grid(
    work: Sequence[Job], executor: Executor[Handle], workers: int, runs_dir: Path, console: Console
) -> int:
    """Run all jobs; returns 0, 1 if a job failed, 130 if someone stopped the grid (jobs leave checkpoints).

    Args:
        work: the jobs, in the order in which they start.
        executor: what runs them.
        workers: jobs at a time.
        runs_dir: where they keep their runs, for the display.
        console: where to say what happens.
    """
    for job in work:
        job.log.parent.mkdir(parents=True, exist_ok=True)
    waiting = list(work)
    running: list[tuple[Job, Handle]] = []
    failed: list[tuple[Job, Ended]] = []
    reached = {job: _steps(job, runs_dir) for job in work}
    total = sum(run_length(spec) for job in work for spec in job.specs)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with _stop_requests() as requests:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("environment steps", total=total, completed=sum(reached.values()))
            while (waiting or running) and not requests:
                while waiting and len(running) < workers and not requests:
                    job = waiting.pop(0)
                    running.append((job, executor.submit(job)))
                    progress.console.print(f"started {job.label}")
                time.sleep(_POLL_SECONDS)
                ends = [(job, handle, executor.poll(handle)) for job, handle in running]
                # Only these have written anything since.
                reached |= {job: _steps(job, runs_dir) for job, _ in running}
                for job, _, end in ends:
                    if end is not None:
                        if not end.succeeded:
                            failed.append((job, end))
                        outcome = "done" if end.succeeded else f"failed, see {job.log}"
                        progress.console.print(f"{job.label}: {outcome}", soft_wrap=True)
                running = [(job, handle) for job, handle, end in ends if end is None]
                progress.update(bar, completed=sum(reached.values()))
        if requests:
            for _, handle in running:
                executor.stop(handle)
            console.print("stopping; the runs write checkpoints, and the same command goes on from there")
            while any(executor.poll(handle) is None for _, handle in running):
                time.sleep(_POLL_SECONDS)
            return 130
    for job, end in failed:
        last = (job.log.read_text().strip().splitlines() or ["no output"])[-1]
        killed = f"{end}; " if end.signal is not None else ""
        console.print(f"failed: {job.label}: {killed}{last} ({job.log})", soft_wrap=True)
    return 1 if failed else 0


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """A list that receives SIGINT or SIGTERM; a second one acts as it did before."""
    requests: list[int] = []

    def restore() -> None:
        for which, handler in handlers.items():
            signal.signal(which, handler)

    def receive(signum: int, frame: FrameType | None) -> None:
        del frame
        requests.append(signum)
        restore()

    handlers = {which: signal.signal(which, receive) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requests
    finally:
        restore()


def _steps(job: Job, runs_dir: Path) -> int:
    """Environment steps that the runs of a job have behind them, as far as they have written any."""
    steps = 0
    for spec in job.specs:
        last = 0
        for line in RunDirectory(runs_dir / spec.relative_dir).metrics():
            last = line["step"]
        steps += last
    return steps
