"""Console output of commands: plain text, progress bars, errors and warnings, each in one line and once."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from rich.console import Console

from reproduce.lab.store import StoreWarning


def plain_console() -> Console:
    """A console that prints ``[horizon=7]`` in a variant's name as text, not as markup."""
    return Console(markup=False)


def on_one_line(text: object) -> str:
    """A sentence on one line, control characters escaped: names of files that it quotes may hold any."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(text))


def say(kind: Literal["error", "warning"], sentence: object) -> None:
    """Print one line on stderr, such as ``error: There is no task 'Hoper'.``"""
    print(f"{kind}: {on_one_line(sentence)}", file=sys.stderr)


def format_of_warnings() -> Callable[..., str]:
    """A `warnings.formatwarning` of one line; a text that has been shown becomes empty."""
    shown = set()

    def line(message: Warning | str, *_: object, **__: object) -> str:
        text = f"warning: {on_one_line(message)}\n"
        if text in shown:
            return ""
        shown.add(text)
        return text

    return line


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


@contextmanager
def store_warnings_said() -> Iterator[list[str]]:
    """Warnings about files of the store: each is printed and listed once, however the block ends."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StoreWarning)
        try:
            yield messages
        finally:
            messages += dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, StoreWarning))
            for message in messages:
                say("warning", message)
