"""Progress display of a run: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Reporter(Protocol):
    """Progress display of a training run, notified of every step and evaluation."""

    def start(self, step: int, total: int, warmup: int) -> None:
        """Training begins or resumes at ``step``; the first ``warmup`` steps have no updates."""

    def step(self, step: int) -> None:
        """An environment step is over."""

    def evaluation(self, step: int, returns: Sequence[float | None]) -> None:
        """Mean evaluation returns of the seeds; ``None`` for one that has failed."""

    def message(self, text: str) -> None:
        """A message for the user."""

    def close(self) -> None:
        """Training is over or interrupted."""


def _format_returns(returns: Sequence[float | None]) -> str:
    return " ".join("failed" if value is None else f"{value:.0f}" for value in returns)


def _beginning(title: str, step: int, total: int) -> str:
    return f"{title}: {'resumes at' if step else 'from'} step {step:,} of {total:,}"


class _LeftColumn(TimeRemainingColumn):
    """Time left, shown once updates have begun: the warm-up's speed says nothing about it."""

    def render(self, task: Task) -> Text:
        """The time left, or a placeholder."""
        return super().render(task) if task.fields["learning"] else Text("-:--:--")


class _SpeedColumn(ProgressColumn):
    """Steps per second over the last minute."""

    def render(self, task: Task) -> Text:
        """The speed; empty while it is unknown."""
        return Text(f"{task.speed:.1f} steps/s" if task.speed else "")


class BarReporter:
    """A progress bar with steps per second, time left and the latest evaluation returns."""

    def __init__(self, title: str, console: Console) -> None:
        self._progress = Progress(
            # A variant's settings in square brackets are not markup.
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _SpeedColumn(),
            TimeElapsedColumn(),
            TextColumn("eta"),
            _LeftColumn(),
            TextColumn("return [cyan]{task.fields[returns]}"),
            console=console,
            refresh_per_second=4,
            speed_estimate_period=60,
        )
        self._title = title
        self._task = self._progress.add_task(title, total=None, returns="–", learning=False)
        self._shown, self._warmup = 0.0, 0

    def start(self, step: int, total: int, warmup: int) -> None:
        """Show where training begins."""
        self._warmup = warmup
        self._progress.reset(self._task, total=total, completed=step, returns="–", learning=step >= warmup)
        self.message(_beginning(self._title, step, total))
        self._progress.start()

    def step(self, step: int) -> None:
        """Show the step."""
        now = time.monotonic()
        if step == self._warmup:
            (task,) = self._progress.tasks
            began, returns = task.start_time, task.fields["returns"]
            # Discards the warm-up's speed, but not its start time.
            self._progress.reset(self._task, completed=step, returns=returns, learning=True)
            task.start_time = began
        if now - self._shown < 0.2:  # the bar must not slow training down
            return
        self._shown = now
        self._progress.update(self._task, completed=step)

    def evaluation(self, step: int, returns: Sequence[float | None]) -> None:
        """Show the returns of the seeds."""
        self._progress.update(self._task, completed=step, returns=_format_returns(returns))

    def message(self, text: str) -> None:
        """Print a line."""
        self._progress.console.print(text, highlight=False, markup=False)

    def close(self) -> None:
        """End the bar."""
        self._progress.stop()


class LineReporter:
    """One plain line per evaluation, and at least one per minute."""

    def __init__(self, title: str, console: Console, every_seconds: float = 60.0) -> None:
        self._title, self._console, self._every = title, console, every_seconds
        self._returns = "–"
        self._total, self._warmup = 0, 0

    def start(self, step: int, total: int, warmup: int) -> None:
        """Show where training begins."""
        self._total, self._warmup = total, warmup
        self._shown, self._shown_step = time.monotonic(), step
        self.message(_beginning(self._title, step, total))

    def step(self, step: int) -> None:
        """Show the step."""
        if time.monotonic() - self._shown >= self._every:
            self._line(step)

    def evaluation(self, step: int, returns: Sequence[float | None]) -> None:
        """Show the returns of the seeds."""
        self._returns = _format_returns(returns)
        self._line(step)

    def message(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Lines need no closing."""

    def _line(self, step: int) -> None:
        now = time.monotonic()
        rate = (step - self._shown_step) / max(now - self._shown, 1e-9)
        # The warm-up's speed says nothing about the time left.
        known = rate > 0 and self._shown_step >= self._warmup
        left = f"{(self._total - step) / rate / 60:.0f} min" if known else "–"
        self._shown, self._shown_step = now, step
        self.message(
            f"{self._title}: step {step}/{self._total}  {rate:.1f} steps/s  "
            f"eta {left}  return {self._returns}"
        )


def reporter(title: str, console: Console | None = None) -> Reporter:
    """A bar on an interactive terminal, lines elsewhere."""
    console = console or Console(stderr=True)
    return BarReporter(title, console) if console.is_terminal else LineReporter(title, console)
