"""Tables of the paper from what it prints and what the store holds, side by side and never mixed.

A table is first cells, one row each of a tidy frame (`reproduce.exhibits.cells`), then words
(`reproduce.exhibits.wording`), then renderings: terminal, Markdown, LaTeX (`reproduce.exhibits.rendering`).
Its blocks stand apart: the printed numbers, then one measured block for each scale and protocol.
"""

import warnings
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from alm.training.files import write_text
from reproduce.exhibits import TableExhibit
from reproduce.exhibits.cells import collect, tidy
from reproduce.exhibits.formats import decimal
from reproduce.exhibits.rendering import latex, markdown, print_table
from reproduce.exhibits.wording import Document, document_of, markers_of
from reproduce.lab.store import Store, StoreWarning

__all__ = ["render_table", "table_document", "table_frame"]


def table_document(exhibit: TableExhibit, store: Store) -> Document:
    """A table in words.

    Args:
        exhibit: the table.
        store: stored runs.
    """
    blocks = collect(exhibit, store, mix=False)
    return document_of(exhibit, blocks, markers_of(exhibit, blocks))


def table_frame(exhibit: TableExhibit, store_root: Path) -> pd.DataFrame:
    """A table as a tidy frame: the fields of :class:`Cell`, footnotes as their keys separated by spaces.

    Args:
        exhibit: the table.
        store_root: root of the store, ``results/runs``.
    """
    return tidy(collect(exhibit, Store(store_root), mix=False))


def render_table(
    exhibit: TableExhibit,
    store_root: Path,
    out_dir: Path,
    console: Console,
    measured: bool = True,
    mix: bool = False,
) -> pd.DataFrame:
    """Print a table and write it as ``.csv``, ``.md`` and ``.tex`` under the exhibit's name.

    The files depend on the store and the printed data only: the same store gives the same bytes.

    Args:
        exhibit: the table.
        store_root: root of the store, ``results/runs``.
        out_dir: where the files go, ``results/tables``; made if needed.
        console: where the table is printed; made for widths of 80 and more.
        measured: whether measured blocks are shown, too; without them the files are named ``…-printed``.
        mix: whether runs of different protocols share a block, whose title then says so; the files are named
            ``…-mixed``.

    Returns:
        The tidy frame of :func:`table_frame`.

    Raises:
        OSError: a file could not be written.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StoreWarning)
        blocks = collect(exhibit, Store(store_root), mix)[: None if measured else 1]
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        console.print(Text(f"Warning: {message}", style="yellow"), soft_wrap=True)

    frame = tidy(blocks)
    markers = markers_of(exhibit, blocks)
    document = document_of(exhibit, blocks, markers)
    csv = frame.to_csv(index=False, lineterminator="\n", float_format=decimal)
    name = exhibit.name + ("" if measured else "-printed") + ("-mixed" if mix else "")
    for suffix, text in (
        ("csv", csv),
        ("md", markdown(exhibit, document)),
        ("tex", latex(exhibit, document)),
    ):
        write_text(out_dir / f"{name}.{suffix}", text)
    print_table(exhibit, blocks, markers, console)
    where = f"Full footnotes: {out_dir / name}.md (also .csv and .tex)"
    console.print(Text(where, style="dim"), soft_wrap=True)
    return frame
