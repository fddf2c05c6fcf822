"""Tables of the paper from what it prints and what the store holds, side by side and never mixed.

A table is first a tidy frame, one row a cell, and then three renderings of it: terminal, Markdown and LaTeX.
Its blocks stand apart: the printed numbers, then one measured block for each scale and protocol.
"""

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alm.training.files import write_text
from alm.training.scale import SCALES
from reproduce.exhibits import Row, TableExhibit
from reproduce.statistics.curves import Curve, cell_statistics, window_mean
from reproduce.storing.store import Store, StoredRun, StoreWarning
from reproduce.tables.published import Footnote, authors_curve, printed_scores

__all__ = [
    "Cell",
    "Document",
    "DocumentBlock",
    "DocumentCell",
    "DocumentRow",
    "escape_latex",
    "render_table",
    "table_document",
    "table_frame",
]

_PAPER_SEEDS = 5
_PAPER_STEPS = 200_000
_NARROW = 96
"""Terminals below this width get cells without spaces around ±."""

_HOW_TO_READ = (
    "Measured cells: mean ± sample standard deviation over seeds (number of seeds), from single evaluations "
    "at the step named; below, after w, the same for the mean over the last 10 % of the steps. "
    "A cell without a stored run says missing."
)


@dataclass(frozen=True)
class Cell:
    """One cell, and one row of the tidy frame.

    Attributes:
        block: ``"printed"`` or ``"measured"``.
        algorithm: label of the table's row.
        task: name of the table's column.
        mean: over seeds, of the return at ``step``; NaN if missing.
        std: deviation over seeds as printed, or the sample standard deviation; NaN for a single seed.
        seeds: how many seeds ``mean`` is over; None if not known or missing.
        seeds_wanted: how many seeds a complete cell has; None for printed cells.
        step: environment steps at which the return was read; None if missing.
        step_wanted: environment steps at which it should be read; None if absent.
        scale: scale of the runs; empty for printed cells.
        protocol: task definition and simulator versions; for printed cells the task as far as known.
        window_mean: mean return over the last 10 % of the steps; for printed ALM cells from the authors'
            released scores, see the footnote.
        window_std: its sample standard deviation over seeds.
        status: ``"printed"``, ``"complete"`` (read at the wanted step), ``"partial"`` (no run got there yet),
            ``"failed"`` (only failed runs), ``"missing"``, or ``"absent"`` where the block has no such cell.
        unfinished: stored runs that are left out because others got further.
        failed: stored runs that failed, left out.
        source: where the number comes from; ``"missing"`` if there is none.
        footnotes: what is known about a printed number.
    """

    block: str
    algorithm: str
    task: str
    mean: float
    std: float
    seeds: int | None
    seeds_wanted: int | None
    step: int | None
    step_wanted: int | None
    scale: str
    protocol: str
    window_mean: float
    window_std: float
    status: str
    unfinished: int
    failed: int
    source: str
    footnotes: tuple[Footnote, ...] = ()


@dataclass(frozen=True)
class _Block:
    """Cells of one origin; ``cells`` holds every row × task of the exhibit by label and task."""

    title: str
    step: int | None
    """Environment steps at which every cell should be read; None if they differ."""
    cells: dict[tuple[str, str], Cell]


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


def table_document(exhibit: TableExhibit, store: Store) -> Document:
    """A table in words.

    Args:
        exhibit: the table.
        store: stored runs.
    """
    blocks = _blocks(exhibit, store, mix=False)
    return _document(exhibit, blocks, _markers(exhibit, blocks))


def table_frame(exhibit: TableExhibit, store_root: Path) -> pd.DataFrame:
    """A table as a tidy frame: the fields of :class:`Cell`, footnotes as their keys separated by spaces.

    Args:
        exhibit: the table.
        store_root: root of the store, ``results/runs``.
    """
    return _frame(_blocks(exhibit, Store(store_root), mix=False))


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
        blocks = _blocks(exhibit, Store(store_root), mix)[: None if measured else 1]
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        console.print(Text(f"Warning: {message}", style="yellow"), soft_wrap=True)

    frame = _frame(blocks)
    markers = _markers(exhibit, blocks)
    document = _document(exhibit, blocks, markers)
    csv = frame.to_csv(index=False, lineterminator="\n", float_format=_decimal)
    name = exhibit.name + ("" if measured else "-printed") + ("-mixed" if mix else "")
    for suffix, text in (
        ("csv", csv),
        ("md", _markdown(exhibit, document)),
        ("tex", _latex(exhibit, document)),
    ):
        write_text(out_dir / f"{name}.{suffix}", text)
    _print(exhibit, blocks, markers, console)
    where = f"Full footnotes: {out_dir / name}.md (also .csv and .tex)"
    console.print(Text(where, style="dim"), soft_wrap=True)
    return frame


# --- Cells --------------------------------------------------------------------------------------------------


def _blocks(exhibit: TableExhibit, store: Store, mix: bool) -> list[_Block]:
    runs: dict[tuple[str, str], list[StoredRun]] = {("paper", ""): []}
    for row in exhibit.rows:
        if row.algorithm is None:
            continue
        for run in store.runs(algorithm=row.algorithm, variant=row.variant):
            if run.spec.scale not in SCALES:
                known = ", ".join(SCALES)
                warnings.warn(
                    f"{run.spec.label} is not shown: the scales are {known}.", StoreWarning, stacklevel=2
                )
            elif run.spec.task in exhibit.tasks:
                runs.setdefault((run.spec.scale, run.protocol), []).append(run)
    if any(scale == "paper" and protocol for scale, protocol in runs):
        del runs["paper", ""]
    if mix:
        runs = _mixed(runs)
    # The paper's own scale first, then the others by name.
    order = sorted(runs, key=lambda block: (block[0] != "paper", block))
    return [_printed_block(exhibit)] + [_measured_block(exhibit, *block, runs[block]) for block in order]


def _mixed(runs: Mapping[tuple[str, str], list[StoredRun]]) -> dict[tuple[str, str], list[StoredRun]]:
    """One block a scale, under a name that says what was mixed."""
    scales: dict[str, dict[str, list[StoredRun]]] = {}
    for (scale, protocol), own in runs.items():
        scales.setdefault(scale, {})[protocol] = own
    mixed = {}
    for scale, by_protocol in scales.items():
        names = "; ".join(by_protocol)
        title = f"MIXED PROTOCOLS, not comparable: {names}" if len(by_protocol) > 1 else names
        mixed[scale, title] = [run for own in by_protocol.values() for run in own]
    return mixed


def _absent(row: Row, task: str, block: str) -> Cell:
    """A place of a table in which its block has nothing to show."""
    return Cell(
        block=block,
        algorithm=row.label,
        task=task,
        seeds=None,
        seeds_wanted=None,
        step=None,
        step_wanted=None,
        scale="",
        protocol="",
        status="absent",
        unfinished=0,
        failed=0,
        source="",
        mean=math.nan,
        std=math.nan,
        window_mean=math.nan,
        window_std=math.nan,
    )


def _printed_block(exhibit: TableExhibit) -> _Block:
    cells = {
        (row.label, task): _absent(row, task, "printed") for row in exhibit.rows for task in exhibit.extras
    }
    for printed in printed_scores(exhibit.number):
        task = exhibit.columns[printed.task]
        own = printed.same_task_as_alm == "reference"
        # The released scores are those of unchanged ALM.
        curve = authors_curve(printed.task) if printed.algorithm == "ALM(3)" else None
        cells[printed.algorithm, task] = Cell(
            block="printed",
            algorithm=printed.algorithm,
            task=task,
            mean=printed.mean,
            std=printed.std,
            seeds=_PAPER_SEEDS if own else None,
            seeds_wanted=None,
            step=_PAPER_STEPS,
            step_wanted=_PAPER_STEPS,
            scale="",
            protocol=printed.environment,
            window_mean=math.nan if curve is None else window_mean(curve, _PAPER_STEPS),
            window_std=math.nan,
            status="printed",
            unfinished=0,
            failed=0,
            source=f"{printed.source}; from {printed.origin}",
            footnotes=printed.footnotes,
        )
    return _Block("Printed in the paper", _PAPER_STEPS, cells)


def _measured_block(exhibit: TableExhibit, scale: str, protocol: str, runs: list[StoredRun]) -> _Block:
    cells = {}
    for row in exhibit.rows:
        for task in exhibit.tasks:
            if task not in exhibit.tasks_at(scale):
                cells[row.label, task] = _absent(row, task, "measured")
                continue
            own = [
                run
                for run in runs
                if (run.spec.algorithm, run.spec.variant, run.spec.task) == (row.algorithm, row.variant, task)
            ]
            cells[row.label, task] = _measured_cell(exhibit, row, task, scale, protocol, own)
    steps = {exhibit.step(scale, task) for task in exhibit.tasks_at(scale)}
    step = steps.pop() if len(steps) == 1 else None
    at = f"read at {_steps(step)} steps" if step else "read at the end of the runs"
    return _Block(" · ".join(filter(None, ("Measured", f"{scale} scale", at, protocol))), step, cells)


def _measured_cell(
    exhibit: TableExhibit, row: Row, task: str, scale: str, protocol: str, runs: list[StoredRun]
) -> Cell:
    wanted = exhibit.step(scale, task)
    # Whatever became of a run later, a failure included, its value at the step stands.
    reached = [run for run in runs if run.last_step >= wanted]
    failed = sum(run.status == "failed" and run not in reached for run in runs)
    unfinished = [run for run in runs if run.status != "failed" and run not in reached and run.last_step > 0]
    pooled = reached or unfinished
    nothing = Cell(
        block="measured",
        algorithm=row.label,
        task=task,
        mean=math.nan,
        std=math.nan,
        seeds=None,
        seeds_wanted=len(SCALES[scale].seeds),
        step=None,
        step_wanted=wanted,
        scale=scale,
        protocol=protocol,
        window_mean=math.nan,
        window_std=math.nan,
        status="failed" if failed else "missing",
        unfinished=0,
        failed=failed,
        source="failed" if failed else "missing",
    )
    if not pooled:
        return nothing
    # Where no run got to the step, all are read at the last step that every one of them has reached.
    step = wanted if reached else min(run.last_step for run in pooled)
    numbers = cell_statistics([_curve(run, exhibit.metric) for run in pooled], step)
    return replace(
        nothing,
        **asdict(numbers),
        status="complete" if reached else "partial",
        unfinished=len(unfinished) if reached else 0,
        source="measured" if reached else f"measured, partial: {_reached(numbers.step, wanted)}",
    )


def _curve(run: StoredRun, metric: str) -> Curve:
    return Curve(run.evaluations["step"].to_numpy(np.int64), run.evaluations[metric].to_numpy(np.float64))


def _frame(blocks: Sequence[_Block]) -> pd.DataFrame:
    records = []
    for block in blocks:
        for cell in block.cells.values():
            record = {name: getattr(cell, name) for name in Cell.__dataclass_fields__}
            records.append(record | {"footnotes": " ".join(note.key for note in cell.footnotes)})
    frame = pd.DataFrame.from_records(records)
    whole = ["seeds", "seeds_wanted", "step", "step_wanted", "unfinished", "failed"]
    return frame.astype(dict.fromkeys(whole, "Int64"))


# --- Footnotes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Markers:
    """Letters of the footnotes, by first appearance, and where they stand."""

    letters: dict[Footnote, str]
    of_row: dict[str, tuple[Footnote, ...]]
    """By row label, the footnotes that every printed cell of the row carries: they stand at the label."""

    def at_row(self, label: str) -> str:
        return "".join(self.letters[note] for note in self.of_row[label])

    def at_cell(self, cell: Cell) -> str:
        own = (note for note in cell.footnotes if note not in self.of_row[cell.algorithm])
        return "".join(self.letters[note] for note in own)


def _markers(exhibit: TableExhibit, blocks: Sequence[_Block]) -> _Markers:
    printed = blocks[0].cells
    of_row = {}
    order: dict[Footnote, None] = {}
    for row in exhibit.rows:
        cells = (printed[row.label, task] for task in exhibit.tasks)
        notes = [cell.footnotes for cell in cells if cell.status != "absent"]
        shared = tuple(note for note in notes[0] if all(note in others for others in notes))
        of_row[row.label] = shared
        order |= dict.fromkeys(shared) | dict.fromkeys(note for cell in notes for note in cell)
    return _Markers({note: chr(ord("a") + index) for index, note in enumerate(order)}, of_row)


# --- Text of a cell -----------------------------------------------------------------------------------------


def _column(task: str) -> str:
    """A column's heading: the family of its task is in the block's protocol."""
    return task.rpartition("/")[2]


def _decimal(value: float, decimals: int = 4) -> str:
    """Without trailing zeros: 5306, 811.8."""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _steps(step: int | None) -> str:
    """17000 as 17k."""
    return f"{step / 1000:g}k" if step is not None and step >= 1000 else str(step)


def _reached(step: int | None, wanted: int | None) -> str:
    return f"{_steps(step)} of {_steps(wanted)} steps"


def _number(cell: Cell, plus_minus: str) -> str:
    decimals = 4 if cell.block == "printed" else 0  # printed digits stay as they are
    return _with_deviation(cell.mean, cell.std, plus_minus, decimals)


def _window(cell: Cell, plus_minus: str) -> str:
    """Empty where there is none; the authors' curves give no deviation of a window."""
    return (
        "" if math.isnan(cell.window_mean) else _with_deviation(cell.window_mean, cell.window_std, plus_minus)
    )


def _with_deviation(mean: float, std: float, plus_minus: str, decimals: int = 0) -> str:
    """A number with its deviation; one seed has none."""
    deviation = "" if math.isnan(std) else f"{plus_minus}{_decimal(std, decimals)}"
    return f"{_decimal(mean, decimals)}{deviation}"


def _without_number(cell: Cell) -> str:
    """What stands in a cell that has no number; empty if it has one."""
    return {"missing": "missing", "failed": f"{cell.failed} failed", "absent": "–"}.get(cell.status, "")


def _seeds(cell: Cell, of: str) -> str:
    """The number of seeds, and how many there should be if that is another number."""
    return str(cell.seeds) if cell.seeds == cell.seeds_wanted else f"{cell.seeds}{of}{cell.seeds_wanted}"


def _left_out(cell: Cell) -> list[str]:
    counts = {"unfinished": cell.unfinished, "failed": cell.failed}
    return [f"{count} {what}" for what, count in counts.items() if count]


def _document(exhibit: TableExhibit, blocks: Sequence[_Block], markers: _Markers) -> Document:
    def in_words(cell: Cell) -> DocumentCell:
        return DocumentCell(cell.block, cell.status, tuple(_document_parts(cell)), markers.at_cell(cell))

    def rows(block: _Block) -> Iterator[DocumentRow]:
        for row in exhibit.rows:
            cells = [block.cells[row.label, task] for task in exhibit.tasks]
            label = _at_label(row, cells, markers)
            yield DocumentRow(row.label, row.group, label, tuple(map(in_words, cells)))

    return Document(
        columns=tuple(map(_column, exhibit.tasks)),
        blocks=tuple(DocumentBlock(block.title, tuple(rows(block))) for block in blocks),
        footnotes=tuple((letter, note) for note, letter in markers.letters.items()),
        how_to_read=_HOW_TO_READ,
    )


def _document_parts(cell: Cell) -> list[str]:
    """The number; if measured, its seeds and step; the window if any."""
    if text := _without_number(cell):
        return [text]
    parts = [_number(cell, " ± ")]
    if cell.block == "measured":
        if cell.status == "partial":
            about = [f"seeds {cell.seeds} of {cell.seeds_wanted}", _reached(cell.step, cell.step_wanted)]
        else:
            seeds = _seeds(cell, " of ")
            about = [f"{seeds} seed{'' if seeds == '1' else 's'}", f"{_steps(cell.step)} steps"]
        parts.append(f"({', '.join(about + _left_out(cell))})")
    if window := _window(cell, " ± "):
        parts.append(f"w {window}")
    return parts


# --- Renderings ---------------------------------------------------------------------------------------------


def _terminal_cell(cell: Cell, block_step: int | None, marker: str, narrow: bool) -> Text:
    """A cell of the terminal: the number with seeds, below it, dim, the window and whatever is unusual."""
    if without_number := _without_number(cell):
        return Text(without_number, style="red" if cell.status == "failed" else "dim")
    number = _number(cell, "±" if narrow else " ± ")
    unusual = []
    if cell.status == "partial":
        unusual = [f"seeds {cell.seeds} of {cell.seeds_wanted}", _reached(cell.step, cell.step_wanted)]
    elif cell.status == "complete":
        number += f"{'' if narrow else ' '}({_seeds(cell, '/')})"
        if cell.step != block_step:
            unusual = [f"at {_steps(cell.step)} steps"]
    text = Text(number, style="yellow" if cell.status == "partial" else "")
    text.append(marker, style="cyan")
    if window := _window(cell, "±"):
        text.append(f"\nw {window}{' ' * len(marker)}", style="dim")
    for line in unusual + _left_out(cell):
        text.append(f"\n{line.removesuffix(' steps') if narrow else line}", style="dim yellow")
    return text


def _print(exhibit: TableExhibit, blocks: Sequence[_Block], markers: _Markers, console: Console) -> None:
    console.print(Text.assemble((f"Table {exhibit.number}", "bold"), f" · {exhibit.title}"))
    for block in blocks:
        # The title is a line of its own: rich would wrap a table's title to the width of the table.
        console.print(Text(f"\n{block.title}", style="bold"), soft_wrap=True)
        table = Table(
            box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="cyan"
        )
        table.add_column("", no_wrap=True)
        for task in exhibit.tasks:
            table.add_column(_column(task), justify="right", overflow="fold")
        width = {
            task: max(len(markers.at_cell(block.cells[row.label, task])) for row in exhibit.rows)
            for task in exhibit.tasks
        }
        for row, following in zip(exhibit.rows, (*exhibit.rows[1:], None), strict=True):
            cells = [block.cells[row.label, task] for task in exhibit.tasks]
            label = Text(row.label, style="bold" if row.algorithm else "")
            label.append(_superscript(_at_label(row, cells, markers)), style="cyan")
            table.add_row(
                label,
                *(
                    _terminal_cell(
                        cell,
                        block.step,
                        _superscript(markers.at_cell(cell)).ljust(width[cell.task]),
                        narrow=console.width < _NARROW,
                    )
                    for cell in cells
                ),
                end_section=following is not None and following.group != row.group,
            )
        console.print(table)
    console.print(Text(f"\n{_HOW_TO_READ}", style="dim"))
    notes = Table.grid(padding=(0, 1, 0, 0))
    for note, letter in markers.letters.items():
        style = "" if note.kind == "misprint" else "dim"
        notes.add_row(Text(letter, style="cyan"), Text(note.short, style=style))
    console.print(notes)


def _superscript(letters: str) -> str:
    return letters.translate(str.maketrans("abcdefghijklmnopqrstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖ𐞥ʳˢᵗᵘᵛʷˣʸᶻ"))


def _markdown(exhibit: TableExhibit, document: Document) -> str:
    lines = [f"# Table {exhibit.number}", "", f"{exhibit.title}.", "", document.how_to_read]
    for block in document.blocks:
        lines += ["", f"## {block.title}", "", "| | " + " | ".join(document.columns) + " |"]
        lines += ["|---|" + "---:|" * len(document.columns)]
        for row in block.rows:
            texts = [row.label + _marked(row.markers, "<sup>{}</sup>")]
            for cell in row.cells:
                number, *below = cell.parts
                if cell.block == "measured":
                    number = " ".join([number, *below[:1]])
                    below = below[1:]
                texts.append("<br>".join([number + _marked(cell.markers, "<sup>{}</sup>"), *below]))
            lines.append(f"| {' | '.join(texts)} |")
    lines += ["", "## Footnotes", ""]
    for letter, note in document.footnotes:
        full = note.full.replace("*", "\\*")
        lines.append(f"- **{letter}** ({note.kind}) {full}")
    return "\n".join(lines) + "\n"


def _latex(exhibit: TableExhibit, document: Document) -> str:
    columns = len(document.columns)
    lines = [
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{escape_latex(exhibit.title)}. {escape_latex(document.how_to_read)}}}",
        rf"\begin{{tabular}}{{l{'r' * columns}}}",
        r"\toprule",
        " & ".join(["", *map(escape_latex, document.columns)]) + r" \\",
    ]
    for block in document.blocks:
        title = escape_latex(block.title)
        lines += [r"\midrule", rf"\multicolumn{{{columns + 1}}}{{l}}{{\textit{{{title}}}}} \\"]
        for row in block.rows:
            texts = [row.label + _marked(row.markers, r"\textsuperscript{{{}}}")]
            for cell in row.cells:
                number, *below = map(escape_latex, cell.parts)
                number += _marked(cell.markers, r"\textsuperscript{{{}}}")
                text = r"\\".join([number, *below])
                texts.append(rf"\shortstack[r]{{{text}}}" if below else number)
            lines.append(" & ".join(texts) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", "", r"\medskip", r"\begin{minipage}{\textwidth}\scriptsize"]
    for letter, note in document.footnotes:
        lines.append(rf"\textsuperscript{{{letter}}} {escape_latex(note.full)}\par")
    lines += [r"\end{minipage}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _at_label(row: Row, cells: Sequence[Cell], markers: _Markers) -> str:
    return markers.at_row(row.label) if cells[0].block == "printed" else ""


def _marked(letters: str, form: str) -> str:
    return form.format(",".join(letters)) if letters else ""


_LATEX = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"$<$", ">": r"$>$", "±": r"$\pm$", "·": r"$\cdot$", "–": "--", "≠": r"$\ne$", "→": r"$\to$",
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Text for LaTeX, with a minus sign in front of numbers."""
    escaped = "".join(_LATEX.get(character, character) for character in text)
    # A hyphen that starts a number is a minus sign.
    return re.sub(r"(^|(?<= ))-(?=\d)", "$-$", escaped)
