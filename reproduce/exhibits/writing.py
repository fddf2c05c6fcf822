"""The writer of every table: terminal, Markdown, CSV, LaTeX (HTML: ``paper_figures/report/report.html``)."""

import re
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from alm.training.files import write_text
from reproduce.exhibits.table import Block, Cell, Row, Table
from reproduce.formats import decimal, seeds_in_words

# Cells that begin with a number, or state that there is none.
_NUMBER = re.compile(r"[+<−-]?[\d∞]|(–|\?|missing|not .*)?$")
_NARROW = 96
"""Terminals below this width get cells without spaces around ±."""
_PAGE = 100
"""Characters of small print in a line of a LaTeX page."""


def render(table: Table, out: Path, console: Console) -> None:
    """Print a table and write it as ``.csv``, ``.md`` and ``.tex`` under its name.

    The files depend only on the table's content: the same store gives the same bytes.

    Args:
        table: the table.
        out: output directory, created if needed.
        console: where the table is printed, at least 80 columns wide.

    Raises:
        OSError: a file could not be written.
    """
    csv = table.frame.to_csv(index=False, lineterminator="\n", float_format=_as_number)
    for suffix, text in (("csv", csv), ("md", markdown(table)), ("tex", latex(table))):
        write_text(out / f"{table.name}.{suffix}", text)
    terminal(table, console)
    elsewhere = ["Full footnotes"] if table.footnotes else []
    for what in (*elsewhere, *(block.title for block in table.blocks if not block.on_terminals)):
        where = f"{what}: {out / table.name}.md (also .csv and .tex)"
        console.print(Text(where, style="dim"), soft_wrap=True)


def _as_number(value: float) -> str:
    """For programs: as many decimals as everywhere, unless all of them would be zeros, as of a small p."""
    text = decimal(value)
    return f"{value:.2g}" if text == "0" and value else text


# --- Terminal -----------------------------------------------------------------------------------------------


def terminal(table: Table, console: Console) -> None:
    """Print a table."""
    console.print(Text(table.title, style="bold"))
    for block in table.blocks:
        if not block.on_terminals:
            continue
        if block.title:
            # On its own line: rich would wrap a table's title to the width of the table.
            console.print(Text(f"\n{block.title}", style="bold"), soft_wrap=True)
        console.print((_scores if table.has_scores else _texts)(table, block, console.width))
    if table.notes:
        console.print(Text("\n".join(("", *table.notes)), style="dim"))
    if table.footnotes:
        notes = Grid.grid(padding=(0, 1, 0, 0))
        for note, letter in table.footnotes.items():
            style = "" if note.kind == "misprint" else "dim"
            notes.add_row(Text(letter, style="cyan"), Text(note.short, style=style))
        console.print(notes)


def terminal_grid() -> Grid:
    """An empty table in the look of all tables on a terminal."""
    return Grid(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="cyan")


def _texts(table: Table, block: Block, width: int) -> RenderableType:
    grid = terminal_grid()
    columns = list(zip(table.columns, *map(_words, block.rows), strict=True))
    # Columns are two apart.
    widths = _widths(columns, width - 2 * (len(columns) - 1))
    if not widths:
        return _records(table, block)
    for column, own in zip(table.columns, widths, strict=True):
        grid.add_column(column, overflow="fold", width=own)
    for group in block.groups:
        for row in group:
            grid.add_row(*_words(row))
        grid.add_section()
    return grid


def _words(row: Row) -> list[str]:
    """The label and the texts of a row."""
    return [row.label, *(cell for cell in row.cells if isinstance(cell, str))]


def _records(table: Table, block: Block) -> Text:
    """Rows printed one below the other, one line per cell, for when columns would break words."""
    text = Text()
    for row in block.rows:
        text.append(f"\n{row.label}\n", style="bold")
        for column, cell in zip(table.columns[1:], row.cells, strict=True):
            text.append(f"  {column}: ", style="cyan").append(f"{cell}\n")
    return text


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths of text columns that break no word; empty if there is not enough room.

    Spare width goes, character by character, to the column with the most text per width.
    """
    widths = _longest_words(columns)
    if sum(widths) > room:
        return []
    letters, longest = ([how(map(len, column)) for column in columns] for how in (sum, max))
    for _ in range(room - sum(widths)):
        wanting = [index for index, width in enumerate(widths) if width < longest[index]]
        if wanting:
            widths[max(wanting, key=lambda index: letters[index] / widths[index])] += 1
    return widths


def _longest_words(columns: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(word) for text in column for word in text.split()) for column in columns]


def _scores(table: Table, block: Block, width: int) -> Grid:
    grid = terminal_grid()
    grid.add_column(table.columns[0], no_wrap=True)
    for column in table.columns[1:]:
        grid.add_column(column, justify="right", overflow="fold")
    # Numbers of a column end at one place, whatever letters follow them.
    room = [
        max(len(_superscript(table.cell_letters(row, row.cells[column]))) for row in block.rows)
        for column in range(len(table.columns) - 1)
    ]
    for group in block.groups:
        for row in group:
            label = Text(row.label, style="bold" if row.bold else "")
            label.append(_superscript(table.row_letters(row)), style="cyan")
            cells = [
                _score(cell, _superscript(table.cell_letters(row, cell)).ljust(space), width < _NARROW)
                for cell, space in zip(row.cells, room, strict=True)
            ]
            grid.add_row(label, *cells)
        grid.add_section()
    return grid


def _score(cell: Cell, letters: str, narrow: bool) -> Text:
    """The number with its seeds; below it, dim, the window and anything unusual."""
    if isinstance(cell, str):
        return Text(cell)
    number = cell.number("±" if narrow else " ± ")
    if not cell.has_number:
        return Text(number, style="red" if cell.status == "failed" else "dim")
    below = cell.beneath(short=narrow)
    seeds = seeds_in_words(cell.seeds, cell.seeds_wanted, of="/")
    if below and cell.status != "partial" and not (narrow and "/" in seeds):
        number += f"{'' if narrow else ' '}({seeds})"
        below = below[1:]
    text = Text(number, style="yellow" if cell.status == "partial" else "")
    text.append(letters, style="cyan")
    if window := cell.window("±"):
        text.append(f"\n{window}{' ' * len(letters)}", style="dim")
    for line in below:
        text.append(f"\n{line}", style="dim yellow")
    return text


def _superscript(letters: Sequence[str]) -> str:
    # Without a comma, a and ab would be aa and b.
    joined = ("" if all(len(one) == 1 for one in letters) else ",").join(letters)
    return joined.translate(str.maketrans(ascii_lowercase, "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖ𐞥ʳˢᵗᵘᵛʷˣʸᶻ"))


# --- Markdown -----------------------------------------------------------------------------------------------


def markdown(table: Table) -> str:
    """A table as a page of Markdown."""
    lines = [f"# {table.title}"]
    for block in table.blocks:
        lines += ["", f"## {block.title}", ""] if block.title else [""]
        rows = [_markdown_row(table, row) for row in block.rows]
        lines.append(markdown_grid(table.columns, rows))
    lines += ["", *table.notes] if table.notes else []
    lines += ["", "## Footnotes", ""] if table.footnotes else []
    for note, letter in table.footnotes.items():
        full = note.full.replace("*", "\\*")
        lines.append(f"- **{letter}** ({note.kind}) {full}")
    return "\n".join(lines) + "\n"


def markdown_grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Header and rows of texts as a Markdown table; columns of numbers are right-aligned."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(header)
    aligned = ["---:" if column and all(map(_NUMBER.match, column)) else "---" for column in columns]
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    lines = (f"| {' | '.join(line)} |" for line in (header, aligned, *escaped))
    return "\n".join(re.sub(r"\|  (?=\|)", "| ", line) for line in lines)


def _markdown_row(table: Table, row: Row) -> list[str]:
    texts = [row.label + _marked(table.row_letters(row), "<sup>{}</sup>")]
    for cell in row.cells:
        if isinstance(cell, str):
            texts.append(cell)
            continue
        first = cell.number() + (f" {cell.basis}" if cell.basis else "")
        first += _marked(table.cell_letters(row, cell), "<sup>{}</sup>")
        texts.append("<br>".join(part for part in (first, cell.window()) if part))
    return texts


# --- LaTeX --------------------------------------------------------------------------------------------------


def latex(table: Table) -> str:
    """A table for LaTeX, over as many pages as it takes, with notes and footnotes as paragraphs below."""
    columns = len(table.columns)
    header = " & ".join(map(escape_latex, table.columns)) + r" \\"
    lines = [
        r"% Needs \usepackage{array,booktabs,longtable}.",
        r"\begingroup",
        r"\footnotesize\setlength{\tabcolsep}{4pt}\setlength{\LTcapwidth}{\linewidth}",
        rf"\begin{{longtable}}{{{'l' + 'r' * (columns - 1) if table.has_scores else _latex_widths(table)}}}",
        rf"\caption{{{escape_latex(table.title)}}}\\",
        *(r"\toprule", header, r"\midrule", r"\endfirsthead"),
        *(r"\toprule", header, r"\midrule", r"\endhead"),
        *(r"\bottomrule", r"\endfoot"),
    ]
    for place, block in enumerate(table.blocks):
        if place:
            lines.append(r"\midrule")
        if block.title:
            title = escape_latex(block.title)
            lines.append(rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{title}}}}} \\*")
        lines += [" & ".join(_latex_row(table, row)) + r" \\" for row in block.rows]
    lines.append(r"\end{longtable}")
    lines += [rf"\noindent {escape_latex(note)}\par" for note in table.notes]
    for note, letter in table.footnotes.items():
        lines.append(rf"\noindent\textsuperscript{{{letter}}} {escape_latex(note.full)}\par")
    return "\n".join([*lines, r"\endgroup"]) + "\n"


def _latex_widths(table: Table) -> str:
    """Columns of text for a page of text, as wide as in a terminal of `_PAGE` characters."""
    rows = [_words(row) for block in table.blocks for row in block.rows]
    columns = list(zip(table.columns, *rows, strict=True))
    widths = _widths(columns, _PAGE) or _longest_words(columns)
    shares = (f"{width / sum(widths):.3f}" for width in widths)
    return "".join(
        rf">{{\raggedright\arraybackslash}}p{{\dimexpr{share}\linewidth-2\tabcolsep\relax}}"
        for share in shares
    )


def _latex_row(table: Table, row: Row) -> list[str]:
    texts = [escape_latex(row.label) + _marked(table.row_letters(row), r"\textsuperscript{{{}}}")]
    for cell in row.cells:
        if isinstance(cell, str):
            texts.append(escape_latex(cell))
            continue
        lines = (cell.number(), *cell.beneath(short=True), cell.window())
        number, *below = (escape_latex(line) for line in lines if line)
        number += _marked(table.cell_letters(row, cell), r"\textsuperscript{{{}}}")
        text = r"\\".join([number, *below])
        texts.append(rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{text}\end{{tabular}}" if below else number)
    return texts


def with_minus(text: str) -> str:
    """The text with a minus sign for each hyphen that is one."""
    return re.sub(r"(?<![\w-])-(?=\d)", "−", text)


_LATEX = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_\allowbreak{}", "{": r"\{", "}": r"\}",
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"$<$", ">": r"$>$", "±": r"$\pm$", "·": r"$\cdot$", "–": "--", "≠": r"$\ne$", "→": r"$\to$",
    "−": "$-$", "×": r"$\times$", "∈": r"$\in$", "≤": r"$\le$", "≥": r"$\ge$", "∞": r"$\infty$",
    "ẑ": r"$\hat z$", "…": r"\ldots{}", "“": "``", "”": "''",
    "γ": r"$\gamma$", "θ": r"$\theta$", "λ": r"$\lambda$", "μ": r"$\mu$", "π": r"$\pi$", "σ": r"$\sigma$",
    "τ": r"$\tau$", "φ": r"$\phi$",
}  # fmt: skip


_CODE = re.compile(r"(`[^`]+`|(?<![\w-])--[a-z][a-z-]*)")


def escape_latex(text: str) -> str:
    """Text escaped for LaTeX, in characters that pdflatex knows without packages.

    What stands between backticks, and options such as ``--scale``, are code, in which two dashes stay two.
    """
    # Every second piece is code, since the pattern is a group.
    return "".join(
        _typed(piece.strip("`")) if place % 2 else _escaped(with_minus(piece))
        for place, piece in enumerate(_CODE.split(text))
    )


def _typed(code: str) -> str:
    return rf"\texttt{{{_escaped(code).replace('--', '-{}-')}}}"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _marked(letters: Sequence[str], form: str) -> str:
    return form.format(",".join(letters)) if letters else ""
