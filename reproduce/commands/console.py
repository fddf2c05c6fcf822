"""Console output of commands: plain text, progress bars, errors and warnings, each in one line and once."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from reproduce.formats import on_one_line, printable
from reproduce.lab.store import StoreWarning


class _PlainConsole(Console):
    """A console that prints what names hold as text: markup, and characters that a terminal obeys."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Cells of tables, before they are measured, and lines."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            # Not all text comes as a string.
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def plain_console() -> Console:
    """A console that prints ``[horizon=7]`` in a variant's name, or a control character in it, as text."""
    console = _PlainConsole(markup=False)
    if not console.width:  # some programs give their terminals no columns
        console.width = 80
    return console


def say(kind: Literal["error", "warning"], sentence: object) -> None:
    """Print one line on stderr, such as ``error: There is no task 'Hoper'.``"""
    print(f"{kind}: {on_one_line(sentence)}", file=sys.stderr)


def show_warnings() -> None:
    """Show every warning in one line, and once, until `warnings.catch_warnings` ends."""
    shown = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            with suppress(OSError):  # a warning that nobody can read ends no command
                say("warning", message)

    warnings.showwarning = show


@contextmanager
def store_warnings() -> Iterator[list[str]]:
    """The warnings about files of the store in a block, each once; they are shown like all others."""
    messages: list[str] = []
    show = warnings.showwarning

    def listed(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, StoreWarning) and str(message) not in messages:
            messages.append(str(message))
        show(message, category, *where, **more)

    with warnings.catch_warnings():
        # Python would leave out those that it has given before.
        warnings.simplefilter("always", StoreWarning)
        warnings.showwarning = listed
        yield messages


@contextmanager
def steps(count: int) -> Iterator[Callable[[str], None]]:
    """A progress bar, on a terminal only; the yielded function takes the name of each step as it begins."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        # -1, because a step that begins is not done yet.
        task = progress.add_task("", total=count, completed=-1)

        def begin(step: str) -> None:
            progress.update(task, description=step, advance=1, refresh=True)

        yield begin
