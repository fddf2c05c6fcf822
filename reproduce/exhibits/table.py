"""One table: blocks of rows whose cells are scores or texts, and what must be said beneath them.

What a cell says is worded here, once; `reproduce.exhibits.writing` puts it on a terminal, into Markdown, CSV,
LaTeX and, with the report's template, HTML.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from reproduce.formats import decimal, left_out, seeds_counted, steps_reached
from reproduce.lab.footnote import Footnote

__all__ = ["Block", "Cell", "Row", "Score", "Table"]


@dataclass(frozen=True)
class Score:
    """A number with where it comes from, and one row of the tidy frame.

    Attributes:
        block: ``"printed"`` in the paper, ``"measured"`` here, or ``"published"`` by others.
        algorithm: label of the table's row.
        task: name of the table's column.
        mean: over seeds, of the return at ``step``; NaN if missing.
        std: standard deviation over seeds as printed, or that of the sample; NaN for a single seed.
        seeds: how many seeds ``mean`` is over; None if not known or missing.
        seeds_wanted: how many seeds a complete cell has; None for printed cells.
        step: environment steps at which the return was read; None if missing.
        step_wanted: environment steps at which it should be read; None if absent.
        scale: scale of the runs; empty for printed cells.
        protocol: task definition and simulator versions; for printed cells the task as far as known.
        window_mean: mean return over the last 10 % of the steps; for printed ALM cells from the authors'
            released scores, see the footnote.
        window_std: its sample standard deviation over seeds.
        status: ``"printed"``, ``"published"``, ``"complete"`` (read at the wanted step), ``"partial"`` (no
            run got there yet), ``"failed"`` (only failed runs), ``"missing"``, or ``"absent"`` where the
            block has no such cell.
        unfinished: stored runs that are left out because others got further.
        failed: stored runs that failed, left out.
        own: how many of the seeds are one's own runs.
        source: where the number comes from; ``"missing"`` if there is none.
        footnotes: what is known about a printed number, or why a measured one is absent.
    """

    block: str
    algorithm: str
    task: str
    mean: float = math.nan
    std: float = math.nan
    seeds: int | None = None
    seeds_wanted: int | None = None
    step: int | None = None
    step_wanted: int | None = None
    scale: str = ""
    protocol: str = ""
    window_mean: float = math.nan
    window_std: float = math.nan
    status: str = "absent"
    unfinished: int = 0
    failed: int = 0
    own: int = 0
    source: str = ""
    footnotes: tuple[Footnote, ...] = ()

    def number(self, plus_minus: str = " ± ") -> str:
        """Mean and standard deviation, printed digits as they are; or what stands in place of a number."""
        instead = {"missing": "missing", "failed": f"{self.failed} failed", "absent": "–"}
        decimals = 4 if self.block == "printed" else 0
        return instead.get(self.status) or _with_std(self.mean, self.std, plus_minus, decimals)

    @property
    def has_number(self) -> bool:
        """Whether there is one."""
        return not math.isnan(self.mean)

    def window(self, plus_minus: str = " ± ") -> str:
        """``"w 74 ± 16"``, the mean over the last steps; empty where there is none."""
        if math.isnan(self.window_mean):
            return ""
        return f"w {_with_std(self.window_mean, self.window_std, plus_minus)}"

    @property
    def extra(self) -> list[str]:
        """What else there is to say about its runs: whose they are, and what was left out."""
        return [*([f"{self.own} own"] if self.own else []), *left_out(self.unfinished, self.failed)]

    @property
    def basis(self) -> str:
        """Seeds and step behind a number, in brackets; empty for one of the paper's."""
        if self.block == "printed" or not self.has_number:
            return ""
        partial = self.status == "partial"
        steps = steps_reached(self.step, self.step_wanted if partial else None)
        return f"({', '.join([seeds_counted(self.seeds, self.seeds_wanted), steps, *self.extra])})"

    @property
    def parts(self) -> list[str]:
        """The number; if measured, its basis; the window if any."""
        return [part for part in (self.number(), self.basis, self.window()) if part]


Cell = Score | str


def _with_std(mean: float, std: float, plus_minus: str, decimals: int = 0) -> str:
    """A number with its standard deviation; one seed has none."""
    spread = "" if math.isnan(std) else f"{plus_minus}{decimal(std, decimals)}"
    return f"{decimal(mean, decimals)}{spread}"


@dataclass(frozen=True)
class Row:
    """A row; neighbours of one group stand together, without a line between them."""

    label: str
    cells: tuple[Cell, ...]
    group: str = ""
    bold: bool = False
    """Whether the label stands out on a terminal."""


@dataclass(frozen=True)
class Block:
    """Rows of one origin.

    Attributes:
        title: where they come from; may be empty.
        rows: one cell a column each.
        step: environment steps at which every score should be read; None if they differ, or for texts.
    """

    title: str
    rows: tuple[Row, ...]
    step: int | None = None


@dataclass(frozen=True)
class Table:
    """A table of scores, or one of texts.

    Attributes:
        name: its file name.
        heading: how the paper calls it, such as ``"Table 1"``; empty if the title says it.
        title: what it shows, in one line.
        columns: headings; the first is that of the rows' labels.
        blocks: its rows.
        how_to_read: what must be known before it is read; may be empty.
        notes: sentences beneath it.
        numbers: of a table of texts, what programs read in its place; None: the texts.
    """

    name: str
    heading: str
    title: str
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]
    how_to_read: str = ""
    notes: tuple[str, ...] = ()
    numbers: pd.DataFrame | None = field(default=None, compare=False)

    @classmethod
    def of_texts(cls, name: str, title: str, rows: Sequence[dict[str, str]], notes: Iterable[str]) -> "Table":
        """A table of texts from rows with the same keys, which are its columns."""
        made = tuple(Row(label, tuple(cells), label) for label, *cells in (row.values() for row in rows))
        return cls(name, "", title, tuple(rows[0]), (Block("", made),), notes=tuple(notes))

    @property
    def rows(self) -> list[Row]:
        """The rows of all blocks."""
        return [row for block in self.blocks for row in block.rows]

    @property
    def has_scores(self) -> bool:
        """Whether its cells are scores, which stand to the right; texts are read from the left."""
        return any(isinstance(cell, Score) for row in self.rows for cell in row.cells)

    @property
    def scores(self) -> list[Score]:
        """Every score, row by row."""
        return [cell for row in self.rows for cell in row.cells if isinstance(cell, Score)]

    @property
    def frame(self) -> pd.DataFrame:
        """A tidy frame, a row a score, footnotes as their keys with spaces between; or numbers, or texts."""
        if self.numbers is not None:
            return self.numbers
        if not self.has_scores:
            return pd.DataFrame([(row.label, *row.cells) for row in self.rows], columns=list(self.columns))
        records = []
        for score in self.scores:
            record = {name: getattr(score, name) for name in Score.__dataclass_fields__}
            records.append(record | {"footnotes": " ".join(note.key for note in score.footnotes)})
        whole = ["seeds", "seeds_wanted", "step", "step_wanted", "unfinished", "failed", "own"]
        return pd.DataFrame.from_records(records).astype(dict.fromkeys(whole, "Int64"))

    # --- Footnotes: at a row's label if every cell of the row carries them, else at the cell ----------------

    @cached_property
    def footnotes(self) -> dict[Footnote, str]:
        """Footnotes and their letters, by first appearance."""
        order: dict[Footnote, None] = {}
        for row in self.rows:
            order |= dict.fromkeys(self._of_row(row))
            order |= dict.fromkeys(note for cell in _scores_in(row) for note in cell.footnotes)
        return {note: chr(ord("a") + index) for index, note in enumerate(order)}

    def row_letters(self, row: Row) -> str:
        """Letters that stand at a row's label."""
        return "".join(self.footnotes[note] for note in self._of_row(row))

    def cell_letters(self, row: Row, cell: Cell) -> str:
        """Letters that stand at a cell of a row."""
        if isinstance(cell, str):
            return ""
        shared = self._of_row(row)
        return "".join(self.footnotes[note] for note in cell.footnotes if note not in shared)

    def _of_row(self, row: Row) -> tuple[Footnote, ...]:
        notes = [cell.footnotes for cell in _scores_in(row)]
        return tuple(note for note in notes[0] if all(note in others for others in notes)) if notes else ()


def _scores_in(row: Row) -> list[Score]:
    """Its scores, but for absent ones of which there is nothing to say."""
    scores = (cell for cell in row.cells if isinstance(cell, Score))
    return [score for score in scores if score.status != "absent" or score.footnotes]
