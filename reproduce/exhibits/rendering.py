"""Tables of scores in the terminal, in Markdown and in LaTeX."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reproduce.exhibits import TableExhibit
from reproduce.exhibits.cells import Block, Cell
from reproduce.exhibits.formats import escape_latex, seeds_in_words, steps_in_words, steps_reached
from reproduce.exhibits.wording import (
    HOW_TO_READ,
    Document,
    Markers,
    at_label,
    heading,
    left_out,
    mean_in_words,
    window_in_words,
    without_number,
)

__all__ = ["latex", "markdown", "print_table"]

_NARROW = 96
"""Terminals below this width get cells without spaces around ±."""


def _terminal_cell(cell: Cell, block_step: int | None, marker: str, narrow: bool) -> Text:
    """A cell of the terminal: the number with seeds, below it, dim, the window and whatever is unusual."""
    if instead := without_number(cell):
        return Text(instead, style="red" if cell.status == "failed" else "dim")
    number = mean_in_words(cell, "±" if narrow else " ± ")
    unusual = []
    if cell.status == "partial":
        unusual = [f"seeds {cell.seeds} of {cell.seeds_wanted}", steps_reached(cell.step, cell.step_wanted)]
    elif cell.status == "complete":
        seeds = seeds_in_words(cell.seeds, cell.seeds_wanted, of="/")
        number += f"{'' if narrow else ' '}({seeds})"
        if cell.step != block_step:
            unusual = [f"at {steps_in_words(cell.step)} steps"]
    text = Text(number, style="yellow" if cell.status == "partial" else "")
    text.append(marker, style="cyan")
    if window := window_in_words(cell, "±"):
        text.append(f"\nw {window}{' ' * len(marker)}", style="dim")
    for line in unusual + left_out(cell):
        text.append(f"\n{line.removesuffix(' steps') if narrow else line}", style="dim yellow")
    return text


def print_table(exhibit: TableExhibit, blocks: Sequence[Block], markers: Markers, console: Console) -> None:
    """Print a table in the terminal."""
    console.print(Text.assemble((f"Table {exhibit.number}", "bold"), f" · {exhibit.title}"))
    for block in blocks:
        # The title is a line of its own: rich would wrap a table's title to the width of the table.
        console.print(Text(f"\n{block.title}", style="bold"), soft_wrap=True)
        table = Table(
            box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="cyan"
        )
        table.add_column("", no_wrap=True)
        for task in exhibit.tasks:
            table.add_column(heading(task), justify="right", overflow="fold")
        width = {
            task: max(len(markers.at_cell(block.cells[row.label, task])) for row in exhibit.rows)
            for task in exhibit.tasks
        }
        for row, following in zip(exhibit.rows, (*exhibit.rows[1:], None), strict=True):
            cells = [block.cells[row.label, task] for task in exhibit.tasks]
            label = Text(row.label, style="bold" if row.algorithm else "")
            label.append(_superscript(at_label(row, cells, markers)), style="cyan")
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
    console.print(Text(f"\n{HOW_TO_READ}", style="dim"))
    notes = Table.grid(padding=(0, 1, 0, 0))
    for note, letter in markers.letters.items():
        style = "" if note.kind == "misprint" else "dim"
        notes.add_row(Text(letter, style="cyan"), Text(note.short, style=style))
    console.print(notes)


def _superscript(letters: str) -> str:
    return letters.translate(str.maketrans("abcdefghijklmnopqrstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖ𐞥ʳˢᵗᵘᵛʷˣʸᶻ"))


def markdown(exhibit: TableExhibit, document: Document) -> str:
    """The table as a page of Markdown."""
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


def latex(exhibit: TableExhibit, document: Document) -> str:
    """The table for LaTeX, with its footnotes beneath."""
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


def _marked(letters: str, form: str) -> str:
    return form.format(",".join(letters)) if letters else ""
