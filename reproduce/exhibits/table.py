"""One table: blocks of rows whose cells are scores or texts, and the notes beneath them.

The text of a cell is composed here, once; `reproduce.exhibits.writing` writes it to terminals, Markdown, CSV,
LaTeX and, with the report's template, HTML.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, groupby, product
from string import ascii_lowercase

import pandas as pd

from reproduce.formats import left_out, mean_and_std, seeds_counted, steps_reached
from reproduce.lab.published import Footnote


@dataclass(frozen=True)
class Score:
    """A number with its origin; one row of the tidy frame.

    Attributes:
        block: ``"printed"`` in the paper, ``"released"`` by its authors, ``"measured"`` here, or
            ``"published"`` by others.
        algorithm: label of the table's row.
        task: task of the runs; ``"unknown"`` for a printed number without a known source.
        mean: mean over seeds of the return at ``step``; NaN if missing.
        std: standard deviation over seeds, as printed or of the sample; NaN for a single seed.
        seeds: number of seeds in ``mean``; None if unknown or missing.
        seeds_wanted: number of seeds of a complete cell; None for printed cells.
        step: environment steps at which the return was read; None if missing.
        step_wanted: environment steps at which it should be read; None if absent.
        scale: scale of the runs; empty for printed cells.
        protocol: task definition and simulator versions; for printed cells the task, if known.
        window_mean: mean return over the last 10 % of the steps; for printed ALM cells from the authors'
            released scores (see the footnote).
        window_std: its sample standard deviation over seeds.
        status: ``"printed"``, ``"published"``, ``"complete"`` (read at the wanted step), ``"partial"`` (no
            run has reached it yet), ``"failed"`` (only failed runs), ``"unpooled"`` (seeds that differ in
            configuration), ``"missing"``, or ``"absent"`` if the block has no such cell.
        unfinished: number of stored runs left out because others got further.
        failed: number of stored runs that failed and are left out.
        own: number of seeds that are the user's own runs.
        source: origin of the number; ``"missing"`` if there is none.
        footnotes: remarks on a printed number, or the reason why a measured one is absent.
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
        """Mean and standard deviation, with all printed digits; or the text in place of a number."""
        instead = {
            "missing": "missing",
            "failed": f"{self.failed} failed",
            "unpooled": "unpooled",
            "absent": "–",
        }
        decimals = 4 if self.block == "printed" else 0
        return instead.get(self.status) or mean_and_std(self.mean, self.std, plus_minus, decimals)

    @property
    def has_number(self) -> bool:
        """Whether the cell has a number."""
        return not math.isnan(self.mean)

    def window(self, plus_minus: str = " ± ") -> str:
        """``"w 74 ± 16"``, the mean over the last steps; empty if there is none."""
        if math.isnan(self.window_mean):
            return ""
        return f"w {mean_and_std(self.window_mean, self.window_std, plus_minus)}"

    @property
    def basis(self) -> str:
        """Seeds and step of a number, and remarks, in brackets; empty for printed numbers."""
        return f"({', '.join([self._seeds, self._steps, *self._remarks])})" if self._has_basis else ""

    def beneath(self, short: bool) -> list[str]:
        """The same as lines beneath a number: its seeds first, and its step if that is not the wanted one.

        Short ones are hardly wider than the number.
        """
        if not self._has_basis:
            return []
        seeds, steps = self._seeds, []
        if self.status == "partial":
            steps = [self._steps]
        elif self.step != self.step_wanted:
            steps = [f"at {self._steps}"]
        if short:
            seeds, steps = seeds.replace(" of ", "/"), [line.removesuffix(" steps") for line in steps]
        return [seeds, *steps, *self._remarks]

    @property
    def parts(self) -> list[str]:
        """The number, its basis if measured, and the window if any."""
        return [part for part in (self.number(), self.basis, self.window()) if part]

    @property
    def _has_basis(self) -> bool:
        return self.block != "printed" and self.has_number

    @property
    def _seeds(self) -> str:
        return seeds_counted(self.seeds, self.seeds_wanted)

    @property
    def _steps(self) -> str:
        return steps_reached(self.step, self.step_wanted if self.status == "partial" else None)

    @property
    def _remarks(self) -> list[str]:
        """How many of its runs are the user's own, and how many are left out."""
        return [*([f"{self.own} own"] if self.own else []), *left_out(self.unfinished, self.failed)]


Cell = Score | str


@dataclass(frozen=True)
class Row:
    """A row; consecutive rows of one group have no line between them."""

    label: str
    cells: tuple[Cell, ...]
    group: str = ""
    bold: bool = False
    """Whether the label stands out on a terminal."""


@dataclass(frozen=True)
class Block:
    """Rows of one origin.

    Attributes:
        title: their origin; may be empty.
        rows: rows with one cell per column.
        on_terminals: whether terminals show it, as files do.
    """

    title: str
    rows: tuple[Row, ...]
    on_terminals: bool = True

    @property
    def groups(self) -> list[list[Row]]:
        """The rows of each group."""
        return [list(rows) for _, rows in groupby(self.rows, key=lambda row: row.group)]


@dataclass(frozen=True)
class Table:
    """A table of scores, or one of texts.

    Attributes:
        name: its file name.
        title: its name in the paper, if it has one, and its content in one line.
        columns: headings; the first is that of the rows' labels.
        blocks: its rows.
        notes: sentences beneath it.
        numbers: for a table of texts, the numbers for programs to read instead; None: the texts.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()
    numbers: pd.DataFrame | None = field(default=None, compare=False)

    @classmethod
    def of_texts(cls, name: str, title: str, rows: Sequence[dict[str, str]], notes: Iterable[str]) -> "Table":
        """A table of texts from rows with the same keys, which are its columns."""
        made = tuple(Row(label, tuple(cells), label) for label, *cells in (row.values() for row in rows))
        return cls(name, title, tuple(rows[0]), (Block("", made),), tuple(notes))

    @property
    def rows(self) -> list[Row]:
        """The rows of all blocks."""
        return [row for block in self.blocks for row in block.rows]

    @property
    def has_scores(self) -> bool:
        """Whether its cells are scores, which are right-aligned, or texts, which are left-aligned."""
        return any(isinstance(cell, Score) for row in self.rows for cell in row.cells)

    @property
    def placed(self) -> list[tuple[str, Score]]:
        """Every score with the heading of its column, row by row."""
        return [
            (column, cell)
            for row in self.rows
            for column, cell in zip(self.columns[1:], row.cells, strict=True)
            if isinstance(cell, Score)
        ]

    @property
    def scores(self) -> list[Score]:
        """Every score, row by row."""
        return [score for _, score in self.placed]

    @property
    def frame(self) -> pd.DataFrame:
        """A tidy frame, one row per score, footnotes as space-separated keys; else the numbers or texts."""
        if self.numbers is not None:
            return self.numbers
        if not self.has_scores:
            return pd.DataFrame([(row.label, *row.cells) for row in self.rows], columns=list(self.columns))
        whole = ["seeds", "seeds_wanted", "step", "step_wanted", "unfinished", "failed", "own"]
        frame = pd.DataFrame(self.scores).astype(dict.fromkeys(whole, "Int64"))
        frame.insert(2, "column", [column for column, _ in self.placed])
        return frame.assign(footnotes=[" ".join(note.key for note in one.footnotes) for one in self.scores])

    # --- Footnotes: at a row's label if every cell of the row carries them, else at the cell ----------------

    @cached_property
    def footnotes(self) -> dict[Footnote, str]:
        """Footnotes and their letters, by first appearance: a to z, then aa, ab and so on."""
        order: dict[Footnote, None] = {}
        for row in self.rows:
            order |= dict.fromkeys(self._of_row(row))
            order |= dict.fromkeys(note for cell in _scores_in(row) for note in cell.footnotes)
        letters = ("".join(one) for length in count(1) for one in product(ascii_lowercase, repeat=length))
        return dict(zip(order, letters, strict=False))

    def row_letters(self, row: Row) -> tuple[str, ...]:
        """Footnote letters of a row's label."""
        return tuple(self.footnotes[note] for note in self._of_row(row))

    def cell_letters(self, row: Row, cell: Cell) -> tuple[str, ...]:
        """Footnote letters of a cell."""
        if isinstance(cell, str):
            return ()
        shared = self._of_row(row)
        return tuple(self.footnotes[note] for note in cell.footnotes if note not in shared)

    def _of_row(self, row: Row) -> tuple[Footnote, ...]:
        notes = [cell.footnotes for cell in _scores_in(row)]
        return tuple(note for note in notes[0] if all(note in others for others in notes)) if notes else ()


def _scores_in(row: Row) -> list[Score]:
    """A row's scores, without absent ones that have no footnote."""
    scores = (cell for cell in row.cells if isinstance(cell, Score))
    return [score for score in scores if score.status != "absent" or score.footnotes]
