"""The grid: a queue that runs the jobs of a plan, several at a time, with logs and a display.

Executors decide where jobs run (`reproduce.lab.executors`). A failed job does not stop the others; a killed
or lost job is retried; a job whose runs another process trains is put on hold.
"""

import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from alm.training.lease import EXIT_HELD
from reproduce.lab.errors import EXIT_INTERRUPTED
from reproduce.lab.executors import Ended, Executor, Job
from reproduce.lab.missing import checkpointed
from reproduce.lab.run_states import RunState, counts, state_line, state_of, states_table

RETRIES = 2
"""Retries in a row of a job that was killed or lost without a new checkpoint."""
_POLL_SECONDS = 1.0
# Between checks of runs that another process trains.
_HELD_SECONDS = 15.0
# Between reports where there is no terminal.
_REPORT_SECONDS = 60.0


def default_workers(device: str) -> int:
    """Number of jobs at a time: one per core, or one on a GPU, which a population fills."""
    return (psutil.cpu_count(logical=False) or 1) if device == "cpu" else 1


@dataclass
class _Entry:
    """A job in the queue: queued, held (others train its runs), running, failed or done."""

    job: Job
    runs: list[RunState]
    status: str = "queued"
    attempts: int = 0
    retries: int = 0
    checkpoint: int = 0
    """Environment steps of the newest checkpoints when it was started, summed over its runs."""
    in_vain: int = 0
    """Tries in a row that were killed or lost without a new checkpoint."""
    handle: Any = None
    why: str = ""
    """Reason of its failure."""
    look_again: float = 0.0
    """Time of the next check whether others still train its runs, by the monotonic clock."""

    @property
    def held(self) -> list[RunState]:
        """Its runs that other live processes train; empty if any run is left for it to train."""
        open_ = [run for run in self.runs if run.status not in ("done", "failed")]
        return open_ if all(run.status == "running" for run in open_) else []

    def statuses(self) -> list[str]:
        """The statuses of its runs, given the status of the job."""
        if self.status == "done":
            return ["done"] * len(self.runs)
        return [
            "failed" if self.status == "failed" and one.status != "done" else one.status for one in self.runs
        ]


def run_grid(work: Sequence[Job], executor: Executor, workers: int, runs_dir: Path, console: Console) -> int:
    """Run all jobs; returns 0, 1 if a job failed, 130 if the grid was stopped (jobs leave checkpoints).

    A job that was killed or lost is requeued behind the others: without limit while each try gets further, so
    that preemptions do not fail it, and otherwise `RETRIES` times. A job whose runs are all trained by other
    processes waits until they end or can be taken over.

    Args:
        work: the jobs, in starting order.
        executor: runs the jobs.
        workers: number of jobs at a time.
        runs_dir: directory of their runs.
        console: where to report.
    """
    return _Grid(work, executor, workers, runs_dir, console).run()


class _Grid:
    """The queue during a run of the grid."""

    def __init__(
        self, work: Sequence[Job], executor: Executor, workers: int, runs_dir: Path, console: Console
    ) -> None:
        self.executor, self.workers, self.runs_dir = executor, workers, runs_dir
        self.entries: list[_Entry] = [_Entry(job, self._look(job)) for job in work]
        self.display = _Display(console)

    def run(self) -> int:
        try:
            with _stop_requests() as requests, self.display:
                while not requests and any(
                    one.status in ("queued", "held", "running") for one in self.entries
                ):
                    self._start(requests)
                    self._show()
                    time.sleep(_POLL_SECONDS)
                    self._collect()
                self._show()
                if requests:
                    self._stop()
                    return EXIT_INTERRUPTED
        except KeyboardInterrupt:
            self.display.say("stopped at once; the same command resumes from the last checkpoints")
            return EXIT_INTERRUPTED
        except Exception:
            # Jobs on a cluster would keep training with nobody to notice how they end.
            self._ask_to_stop()
            raise
        failed = [one for one in self.entries if one.status == "failed"]
        for one in failed:
            self.display.say(f"failed: {one.job.label}: {one.why} ({one.job.log})")
        return 1 if failed else 0

    def _look(self, job: Job) -> list[RunState]:
        return [state_of(spec, self.runs_dir, job.until) for spec in job.specs]

    def _running(self) -> list[_Entry]:
        return [one for one in self.entries if one.status == "running"]

    def _start(self, requests: Sequence[int]) -> None:
        """Start jobs whose runs nobody else trains, as long as workers are free."""
        for one in self.entries:
            if requests or len(self._running()) >= self.workers:
                return
            if one.status not in ("queued", "held") or time.monotonic() < one.look_again:
                continue
            one.runs = self._look(one.job)
            if one.held:
                self._hold(one)
            else:
                self._submit(one)

    def _hold(self, one: _Entry) -> None:
        if one.status != "held":
            by = ", ".join(dict.fromkeys(str(run.holder) for run in one.held)) or "another process"
            self.display.say(f"waiting for {one.job.label}, which {by} trains")
        one.status, one.look_again = "held", time.monotonic() + _HELD_SECONDS

    def _submit(self, one: _Entry) -> None:
        job = one.job
        one.attempts += 1
        one.checkpoint = self._checkpoint(job)
        try:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            with job.log.open("a") as log:
                when = time.strftime("%Y-%m-%d %H:%M:%S %Z")
                command = shlex.join([sys.executable, *job.arguments])
                log.write(f"== attempt {one.attempts}, {when}: {command}\n")
            one.handle = self.executor.submit(job)
        except OSError as error:
            self._fail(one, f"cannot be started: {error}")
            return
        one.status = "running"
        self.display.say(f"started {job.label}")

    def _collect(self) -> None:
        """Collect ended jobs, and update the progress of the others."""
        for one in self._running():
            end = self.executor.poll(one.handle)
            # After the poll, so that an ended job is shown in its final state.
            one.runs = self._look(one.job)
            if end is not None:
                self._end(one, end)

    def _end(self, one: _Entry, end: Ended) -> None:
        if end.succeeded:
            one.status = "done"
            self.display.say(f"{one.job.label}: done")
        elif end.code == EXIT_HELD:
            self._hold(one)
        elif not end.by_itself and self._may_try_again(one):
            one.retries += 1
            one.status = "queued"
            self.entries.remove(one)
            self.entries.append(one)
            further = f"{one.in_vain} of {RETRIES}" if one.in_vain else "it had got further"
            self.display.say(f"{one.job.label}: {end}, is tried again ({further})")
        else:
            self._fail(one, _why(one, end))

    def _may_try_again(self, one: _Entry) -> bool:
        """Whether a killed or lost job made progress or has tries left."""
        one.in_vain = 0 if self._checkpoint(one.job) > one.checkpoint else one.in_vain + 1
        return one.in_vain <= RETRIES

    def _checkpoint(self, job: Job) -> int:
        return sum(checkpointed(spec, self.runs_dir) for spec in job.specs)

    def _fail(self, one: _Entry, why: str) -> None:
        one.status, one.why = "failed", why
        self.display.say(f"{one.job.label}: failed, see {one.job.log}")

    def _show(self) -> None:
        shown = [run for one in self.entries if one.status in ("running", "held") for run in one.runs]
        queued = sum(one.status == "queued" for one in self.entries)
        retries = sum(one.retries for one in self.entries)
        parts = [
            f"{queued} job{'' if queued == 1 else 's'} in the queue",
            counts(status for one in self.entries for status in one.statuses()),
            f"{retries} tried again" if retries else "",
        ]
        runs = [run for one in self.entries for run in one.runs]
        self.display.show(
            "; ".join(part for part in parts if part),
            [run for run in shown if run.status != "done"],
            sum(min(run.step, run.wanted) for run in runs),
            sum(run.wanted for run in runs),
        )

    def _stop(self) -> None:
        """Stop cleanly: wait until jobs have written their checkpoints."""
        running = self._ask_to_stop()
        self.display.say("stopping; the runs write checkpoints, and the same command goes on from there")
        while any(self.executor.poll(one.handle) is None for one in running):
            time.sleep(_POLL_SECONDS)

    def _ask_to_stop(self) -> list[_Entry]:
        """Ask every running job to write its checkpoints and end."""
        running = self._running()
        for one in running:
            self.executor.stop(one.handle)
        return running


def _why(one: _Entry, end: Ended) -> str:
    """Why a job failed: the reasons of its runs, its end, or the last line of its log."""
    failed = [f"seed {run.spec.seed} failed ({run.reason})" for run in one.runs if run.status == "failed"]
    if failed:
        return ", ".join(failed)
    try:
        last = (one.job.log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
    except OSError as error:  # someone tidied up
        last = f"its log cannot be read: {error.strerror}"
    last = "no output" if last.startswith("== attempt ") else last
    return last if end.by_itself else f"{end}, {one.attempts} times; {last}"


class _Display:
    """The operator's display: on a terminal a table of running jobs and a bar, elsewhere lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(None),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("steps", total=None)
        self._live = Live(console=console, refresh_per_second=2) if console.is_terminal else None
        self._reported = time.monotonic()

    def __enter__(self) -> None:
        if self._live:
            self._live.start()

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Something that happened, in a line that stays."""
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def show(self, summary: str, runs: Sequence[RunState], step: int, total: int) -> None:
        """How things stand: counts, runs in training, and environment steps of all."""
        if self._live:
            self._bar.update(self._task, completed=step, total=total)
            self._live.update(Group(states_table(runs), Text(summary), self._bar))
        elif time.monotonic() - self._reported >= _REPORT_SECONDS:
            self._reported = time.monotonic()
            self.say(f"{summary}; {step} of {total} steps")
            for run in runs:
                self.say(f"  {state_line(run)}")


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
