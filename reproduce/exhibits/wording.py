"""A table in words: the text of every cell, and the letters of its footnotes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reproduce.exhibits import Row, TableExhibit
from reproduce.exhibits.cells import Block, Cell
from reproduce.exhibits.formats import decimal, seeds_in_words, steps_in_words, steps_reached
from reproduce.lab.published import Footnote

HOW_TO_READ = (
    "Measured cells: mean ± sample standard deviation over seeds (number of seeds), from single evaluations "
    "at the step named; below, after w, the same for the mean over the last 10 % of the steps. "
    "A cell without a stored run says missing."
)


@dataclass(frozen=True)
class DocumentCell:
    """A cell in words: the number; if measured, its seeds and step; the window if any."""

    block: str
    status: str
    parts: tuple[str, ...]
    markers: str
    """Letters of its footnotes."""


@dataclass(frozen=True)
class DocumentRow:
    """A row of a block in words; rows of one group stand together."""

    label: str
    group: str
    markers: str
    """Letters of the footnotes of all its cells."""
    cells: tuple[DocumentCell, ...]


@dataclass(frozen=True)
class DocumentBlock:
    """Rows of one origin."""

    title: str
    rows: tuple[DocumentRow, ...]


@dataclass(frozen=True)
class Document:
    """A table in words, for renderings that are read on a page."""

    columns: tuple[str, ...]
    blocks: tuple[DocumentBlock, ...]
    footnotes: tuple[tuple[str, Footnote], ...]
    """With their letters."""
    how_to_read: str


@dataclass(frozen=True)
class Markers:
    """Letters of the footnotes, by first appearance, and where they stand."""

    letters: dict[Footnote, str]
    of_row: dict[str, tuple[Footnote, ...]]
    """By row label, the footnotes that every printed cell of the row carries: they stand at the label."""

    def at_row(self, label: str) -> str:
        """Letters that stand at a row's label."""
        return "".join(self.letters[note] for note in self.of_row[label])

    def at_cell(self, cell: Cell) -> str:
        """Letters that stand at a cell."""
        own = (note for note in cell.footnotes if note not in self.of_row[cell.algorithm])
        return "".join(self.letters[note] for note in own)


def markers_of(exhibit: TableExhibit, blocks: Sequence[Block]) -> Markers:
    """The footnotes of a table's printed cells, lettered."""
    printed = blocks[0].cells
    of_row = {}
    order: dict[Footnote, None] = {}
    for row in exhibit.rows:
        cells = (printed[row.label, task] for task in exhibit.tasks)
        notes = [cell.footnotes for cell in cells if cell.status != "absent"]
        shared = tuple(note for note in notes[0] if all(note in others for others in notes))
        of_row[row.label] = shared
        order |= dict.fromkeys(shared) | dict.fromkeys(note for cell in notes for note in cell)
    return Markers({note: chr(ord("a") + index) for index, note in enumerate(order)}, of_row)


def heading(task: str) -> str:
    """A column's heading: the family of its task is in the block's protocol."""
    return task.rpartition("/")[2]


def mean_in_words(cell: Cell, plus_minus: str) -> str:
    """Mean and deviation; printed digits stay as they are."""
    decimals = 4 if cell.block == "printed" else 0
    return _with_deviation(cell.mean, cell.std, plus_minus, decimals)


def window_in_words(cell: Cell, plus_minus: str) -> str:
    """Empty where there is none; the authors' curves give no deviation of a window."""
    return (
        "" if math.isnan(cell.window_mean) else _with_deviation(cell.window_mean, cell.window_std, plus_minus)
    )


def _with_deviation(mean: float, std: float, plus_minus: str, decimals: int = 0) -> str:
    """A number with its deviation; one seed has none."""
    deviation = "" if math.isnan(std) else f"{plus_minus}{decimal(std, decimals)}"
    return f"{decimal(mean, decimals)}{deviation}"


def without_number(cell: Cell) -> str:
    """What stands in a cell that has no number; empty if it has one."""
    return {"missing": "missing", "failed": f"{cell.failed} failed", "absent": "–"}.get(cell.status, "")


def left_out(cell: Cell) -> list[str]:
    """Stored runs that a cell does not count."""
    counts = {"unfinished": cell.unfinished, "failed": cell.failed}
    return [f"{count} {what}" for what, count in counts.items() if count]


def document_of(exhibit: TableExhibit, blocks: Sequence[Block], markers: Markers) -> Document:
    """The whole table in words."""

    def in_words(cell: Cell) -> DocumentCell:
        return DocumentCell(cell.block, cell.status, tuple(_document_parts(cell)), markers.at_cell(cell))

    def rows(block: Block) -> Iterator[DocumentRow]:
        for row in exhibit.rows:
            cells = [block.cells[row.label, task] for task in exhibit.tasks]
            label = at_label(row, cells, markers)
            yield DocumentRow(row.label, row.group, label, tuple(map(in_words, cells)))

    return Document(
        columns=tuple(map(heading, exhibit.tasks)),
        blocks=tuple(DocumentBlock(block.title, tuple(rows(block))) for block in blocks),
        footnotes=tuple((letter, note) for note, letter in markers.letters.items()),
        how_to_read=HOW_TO_READ,
    )


def _document_parts(cell: Cell) -> list[str]:
    """The number; if measured, its seeds and step; the window if any."""
    if text := without_number(cell):
        return [text]
    parts = [mean_in_words(cell, " ± ")]
    if cell.block == "measured":
        if cell.status == "partial":
            about = [f"seeds {cell.seeds} of {cell.seeds_wanted}", steps_reached(cell.step, cell.step_wanted)]
        else:
            seeds = seeds_in_words(cell.seeds, cell.seeds_wanted)
            about = [f"{seeds} seed{'' if seeds == '1' else 's'}", f"{steps_in_words(cell.step)} steps"]
        parts.append(f"({', '.join(about + left_out(cell))})")
    if window := window_in_words(cell, " ± "):
        parts.append(f"w {window}")
    return parts


def at_label(row: Row, cells: Sequence[Cell], markers: Markers) -> str:
    """Letters at the label of a row: those of the printed block."""
    return markers.at_row(row.label) if cells[0].block == "printed" else ""
