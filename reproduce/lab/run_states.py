"""States of runs, read from their directories alone, for the running grid and for `grid --status`.

A run is ``waiting`` (no directory yet), ``running`` (a live process holds its lease), ``stale`` (its holder
no longer gives a sign of life, so it can be taken over), ``unfinished`` (started, held by nobody),
``failed`` or ``done``.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from alm.training.lease import Holder, holder_of
from alm.training.run_directory import RunDirectory
from reproduce.formats import steps_in_words
from reproduce.lab.algorithms import run_length
from reproduce.lab.run_directories import directories_under
from reproduce.lab.specs import RunSpec

STATES = ("waiting", "running", "stale", "unfinished", "failed", "done")
# Lines of metrics over which speed is measured: a few thousand steps.
_SPEED_LINES = 10


@dataclass(frozen=True)
class RunState:
    """Progress of one run."""

    spec: RunSpec
    status: str
    """One of `STATES`."""
    step: int
    """Environment steps of its last line of metrics."""
    wanted: int
    """Environment steps at which it will end."""
    steps_per_second: float
    """Speed over its last lines, by the run's own clock; NaN if not known yet."""
    last_return: float
    """Mean return of the last evaluation; NaN before the first."""
    holder: Holder | None = None
    """The process that holds it, or was last known to."""
    reason: str = ""
    """Reason of its failure."""

    @property
    def seconds_to_go(self) -> float:
        """Estimated time to the end at its speed; NaN if unknown."""
        left = max(0, self.wanted - self.step)
        return left / self.steps_per_second if self.steps_per_second else math.nan


def state_of(spec: RunSpec, runs_dir: Path, until: int | None = None) -> RunState:
    """Progress of a run; ``until`` is the environment step to which it trains (None: its whole length)."""
    directory = RunDirectory(runs_dir / spec.relative_dir)
    status, reason = directory.status, ""
    try:
        holder, living = holder_of(directory.path) or (None, False)
    except OSError:
        # The run's own command says so, and a look at it stops no other.
        holder, living = None, False
    if status == "failed":
        reason = why_failed(directory)
    elif status != "done" and holder is not None:
        status = "running" if living else "stale"
    elif status == "new":
        status = "waiting"
    try:
        lines = directory.last_metrics()
        config = directory.find_json("config.json")
        length = config["config"]["training"]["total_steps"] if config else run_length(spec)
        returns = [float(line["metrics"]["eval/return"]) for line in lines if "returns" in line]
        speed = _speed(lines[-_SPEED_LINES:])
    except Exception:
        # Its own command says so, too.
        lines, length, returns, speed = [], run_length(spec), [], math.nan
    return RunState(
        spec,
        status,
        lines[-1]["step"] if lines else 0,
        min(length, until or length),
        speed,
        returns[-1] if returns else math.nan,
        holder,
        reason,
    )


def why_failed(directory: RunDirectory) -> str:
    """Why and when a run failed, in words; or that the record of the failure is damaged."""
    try:
        return directory.failure() or ""
    except Exception:
        return "its record is damaged"


def states_under(runs_dir: Path) -> list[RunState]:
    """Progress of every run with a directory under a root, ordered by path."""
    return [state_of(spec, runs_dir) for spec in directories_under(runs_dir)]


def _speed(lines: Sequence[dict]) -> float:
    if len(lines) < 2:
        return math.nan
    first, last = lines[0], lines[-1]
    seconds = last["wall_seconds"] - first["wall_seconds"]
    return (last["step"] - first["step"]) / seconds if seconds > 0 else math.nan


def counts(statuses: Iterable[str]) -> str:
    """Counts of states, without zeros: ``"3 running, 1 failed, 12 done"``."""
    found = Counter(statuses)
    return ", ".join(f"{found[one]} {one}" for one in STATES if found[one]) or "no runs"


def state_line(state: RunState) -> str:
    """One run as a line of plain text."""
    parts = [f"{state.spec.label}: {state.status}", *_numbers(state)]
    return "  ".join(part for part in parts if part)


def states_table(states: Sequence[RunState]) -> Table:
    """A table of runs that fits 80 columns."""
    table = Table(box=None, pad_edge=False, expand=False)
    table.add_column("run", overflow="fold")
    table.add_column("state", overflow="fold")
    for column in ("step", "steps/s", "eta", "return"):
        table.add_column(column, justify="right", no_wrap=True)
    for state in states:
        step, *rest = _cells(state)
        table.add_row(state.spec.label, _where(state), step, *rest)
    return table


def print_states(states: Sequence[RunState], console: Console) -> None:
    """Print the progress of runs, as a table on a terminal, else as lines, and the counts of states."""
    if console.is_terminal:
        console.print(states_table(states))
    else:
        for state in states:
            console.print(state_line(state), soft_wrap=True, highlight=False)
    console.print(counts(state.status for state in states), highlight=False)


def _where(state: RunState) -> str:
    """State, with the holder as ``host:process`` or the reason of a failure."""
    holder = state.holder if state.status in ("running", "stale") else None
    more = f"{holder.host.partition('.')[0]}:{holder.pid}" if holder else state.reason
    return f"{state.status} {more}".rstrip()


def _cells(state: RunState) -> tuple[str, str, str, str]:
    going_on = state.status == "running"
    return (
        f"{steps_in_words(state.step)}/{steps_in_words(state.wanted)}",
        _known(state.steps_per_second, f"{state.steps_per_second:.3g}") if going_on else "",
        _duration(state.seconds_to_go) if going_on else "",
        _known(state.last_return, f"{state.last_return:.0f}"),
    )


def _numbers(state: RunState) -> list[str]:
    step, speed, eta, last = _cells(state)
    holder = f"process {state.holder.pid} on {state.holder.host}" if state.holder else ""
    return [
        state.reason,
        holder if state.status in ("running", "stale") else "",
        f"step {step}",
        speed and f"{speed} steps/s",
        eta and f"eta {eta}",
        last and f"return {last}",
    ]


def _known(value: float, text: str) -> str:
    return "" if math.isnan(value) else text


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return ""
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours} h {minutes:02d}" if hours else f"{minutes} min"
