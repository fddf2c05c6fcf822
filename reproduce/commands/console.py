"""What commands print to: plain text, the progress of a few long steps, warnings once each."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


def plain_console() -> Console:
    """A console for text with names of variants, in which ``[horizon=7]`` is no markup."""
    return Console(markup=False)


@contextmanager
def steps(count: int) -> Iterator[Callable[[str], None]]:
    """A bar with the time left, on a terminal only; what is yielded is told each step as it begins."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        # A step that begins is not done yet.
        task = progress.add_task("", total=count, completed=-1)

        def begin(step: str) -> None:
            progress.update(task, description=step, advance=1, refresh=True)

        yield begin


@contextmanager
def store_warnings_said() -> Iterator[list[str]]:
    """Say once each, however the block ends, what was wrong with files of the store; the list fills then."""
    from reproduce.lab.store import StoreWarning

    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StoreWarning)
        try:
            yield messages
        finally:
            messages += dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, StoreWarning))
            for message in messages:
                print(f"warning: {message}", file=sys.stderr)
