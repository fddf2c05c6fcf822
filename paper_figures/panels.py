"""Elements common to all figures: panels, curves with bands, axes, and what stands around them."""

import itertools
import math
import textwrap
from collections import Counter
from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from paper_figures import captions
from paper_figures.data import FigureData
from paper_figures.style import NOTE, PAGE, PUBLISHED, THOUSANDS, looks
from reproduce import formats
from reproduce.exhibits.catalogue import QUARTER, TABLE1
from reproduce.exhibits.kinds import READ_OUT, Series
from reproduce.lab.published import authors_curves
from reproduce.lab.store import StoredRun

_MARKERS_A_CURVE = 12
# Most curves of a panel whose bands can be told apart where they overlap.
_FEW_CURVES = 4
# Characters of small print per inch.
_CAPTION_PITCH = 19
# The same for notes, whose panel has an axis at its side.
_NOTE_PITCH = 16
# Points from a panel down to its notes.
_NOTE_BELOW = 34
# Characters of a legend per inch, and inches of the handle before a label.
_LEGEND_PITCH, _LEGEND_HANDLE = 13, 0.55
# Inches per row of the legend and per line of small print.
_LEGEND_ROW, _SMALL_LINE = 0.2, 0.115


def page(*counts: int, parts: int = 1) -> tuple[Figure, list[list[list[Axes]]]]:
    """A figure with groups of panels below each other, each as wide as the figure, or all in one row.

    Args:
        counts: number of panels of each group: up to three in a row, four as two by two.
        parts: number of panels stacked at each place, such as 2 for a return and another metric.

    Returns:
        The figure, and the panels of each group and part.
    """
    if len(counts) > 1 and sum(counts) <= 3:
        figure, (row,) = page(sum(counts), parts=parts)
        ends = itertools.accumulate(counts)
        return figure, [[part[end - n : end] for part in row] for n, end in zip(counts, ends, strict=True)]
    rows = [(count, start, _columns(count)) for count in counts for start in range(0, count, _columns(count))]
    most = max(columns for _, _, columns in rows)
    cells = math.lcm(*(columns for _, _, columns in rows))
    width, height = PAGE[most]
    figure = plt.figure(figsize=(width, height * parts * len(rows)), layout="constrained")
    grid = figure.add_gridspec(parts * len(rows), cells)
    groups: list[list[list[Axes]]] = []
    for number, (count, start, columns) in enumerate(rows):
        if start == 0:
            groups.append([[] for _ in range(parts)])
        span = cells // columns
        for column in range(min(columns, count - start)):
            for part, panels in enumerate(groups[-1]):
                place = grid[parts * number + part, span * column : span * (column + 1)]
                panels.append(figure.add_subplot(place))
    return figure, groups


def _columns(count: int) -> int:
    return 2 if count == 4 else min(count, 3)


def name_rows(axes: Sequence[Axes], label: str) -> None:
    """Label the y axis of the first panel of each row."""
    for axis in axes:
        if _place(axis).is_first_col():
            axis.set_ylabel(label)


def _place(axis: Axes) -> SubplotSpec:
    place = axis.get_subplotspec()
    assert place is not None, "panels come from page()"
    return place


def curves(axis: Axes, points: pd.DataFrame, series: Sequence[Series], x: str, y: str) -> None:
    """Draw the mean over seeds of ``y`` with a band of one sample standard deviation.

    Unchanged ALM and ALM quarter, the references of most figures, lie on top; bands are fainter where they
    are many.

    Args:
        axis: the panel.
        points: rows of one panel; all seeds of a series have the same x values.
        series: curves in the order of the legend; those without points are left out.
        x, y: names of columns.
    """
    present = [one for one in series if one.label in set(points["series"])]
    by_label = looks(series)
    for one in present:
        look, rows = by_label[one.label], points[points["series"] == one.label]
        sns.lineplot(
            rows,
            x=x,
            y=y,
            ax=axis,
            errorbar="sd",
            color=look.colour,
            marker=look.marker,
            markevery=max(1, rows[x].nunique() // _MARKERS_A_CURVE),
            linestyle=look.line,
            markersize=6 if look.hollow else 4,
            markerfacecolor="none" if look.hollow else look.colour,
            markeredgecolor=look.colour if look.hollow else "white",
            markeredgewidth=0.8 if look.hollow else 0.4,
            err_kws={"alpha": 0.18 if len(present) <= _FEW_CURVES else 0.1, "linewidth": 0},
            zorder=2.1 if one.unchanged or one == QUARTER else 2.0,
            label=one.label,
            legend=False,
        )
    axis.set(xlabel="", ylabel="")


def published_curve(axis: Axes, task: str, last: float) -> bool:
    """Draw the authors' mean and std of five seeds on a task in grey, up to ``last`` environment steps.

    Returns:
        Whether there is such a curve.
    """
    authors = authors_curves()
    shown = authors[(authors["task"] == task) & (authors["step"] <= last)]
    if shown.empty:
        return False
    x, mean, std = shown["step"], shown["return_mean"], shown["return_std"]
    axis.fill_between(x, mean - std, mean + std, color=PUBLISHED, alpha=0.25, linewidth=0)
    axis.plot(x, mean, color=PUBLISHED, label="ALM(3), authors' 5 seeds")
    return True


def steps_axis(axis: Axes) -> None:
    """Format the x axis as steps in thousands, from 0."""
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(THOUSANDS)
    axis.set_xlabel("environment steps")


def returns_axis(axis: Axes) -> None:
    """Format the y axis as returns, in thousands if they are large."""
    if max(map(abs, axis.get_ylim())) >= 2000:
        axis.yaxis.set_major_formatter(THOUSANDS)


def read_out(axis: Axes, task: str, scale: str) -> str:
    """Mark the step at which Table 1 reads a task, if on the axis; returns a sentence for the caption."""
    if scale != "paper" or task not in TABLE1.tasks or axis.get_xlim()[1] < READ_OUT:
        return ""
    axis.axvline(READ_OUT, color=NOTE, linewidth=0.8, linestyle=":", zorder=1)
    return f" Dotted: {formats.steps_in_words(READ_OUT)} steps, the read-out of Table 1."


def notes(figure: Figure, axes: Sequence[Axes], texts: Sequence[str]) -> None:
    """Small print under each panel of a group, as wide as the panel; the figure grows."""
    lines: Counter[int] = Counter()
    for axis, text in zip(axes, texts, strict=True):
        place = _place(axis)
        inches = figure.get_figwidth() * len(place.colspan) / place.get_gridspec().ncols
        wrapped = [
            part
            for line in text.splitlines()
            # "c = 0.1" stays on one line.
            for part in textwrap.wrap(
                line.replace(" = ", "\u00a0=\u00a0"),
                int(inches * _NOTE_PITCH),
                subsequent_indent="  ",
                break_on_hyphens=False,
            )
        ]
        lines[place.rowspan.start] = max(lines[place.rowspan.start], len(wrapped))
        axis.annotate(
            "\n".join(wrapped),
            (0, 0),
            (0, -_NOTE_BELOW),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            fontsize=6.5,
            color=NOTE,
        )
    _make_room(figure, _SMALL_LINE * lines.total())


def seeds_notes(figure: Figure, axes: Sequence[Axes], data: FigureData) -> None:
    """Notes on the seeds behind the curves, under the panel of each task that has one."""
    of_tasks = ([curve for curve in data.curves if curve.task == task] for task in data.tasks)
    notes(figure, axes, [captions.seeds_note(shown) for shown in of_tasks])


def empty(axis: Axes, why: str) -> None:
    """State in a panel why it is empty."""
    axis.text(0.5, 0.5, why, transform=axis.transAxes, ha="center", va="center", color=NOTE)
    axis.set(xticks=[], yticks=[])


def legend(figure: Figure, series: Sequence[Series] = ()) -> None:
    """One legend above all panels, each label once, those of ``series`` first."""
    there = {
        label: handle
        for axis in figure.axes
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    own = [one.label for one in series if one.label in there]
    handles = {label: there[label] for label in (*own, *there)}
    if handles:
        columns = legend_columns(list(handles), figure.get_figwidth())
        # matplotlib fills column by column; the first columns have one label more.
        labels = [label for column in columns for label in column]
        shown = [handles[label] for label in labels]
        figure.legend(shown, labels, loc="outside upper center", ncols=len(columns))
        _make_room(figure, _LEGEND_ROW * len(columns[0]))


def legend_columns(labels: Sequence[str], width: float) -> list[list[str]]:
    """The columns of a legend that reads row by row, for ``width`` inches.

    It has as few rows as fit, with at most five columns, and no more columns than those rows need; one column
    if nothing fits.
    """
    most = min(5, len(labels))
    choices = [[list(labels[start::count]) for start in range(count)] for count in range(1, most + 1)]

    def inches(columns: list[list[str]]) -> float:
        return sum(max(map(len, column)) / _LEGEND_PITCH + _LEGEND_HANDLE for column in columns)

    fitting = [columns for columns in choices if inches(columns) <= width] or choices[:1]
    # Of several with equally few rows, min takes the first, which has the fewest columns.
    return min(fitting, key=lambda columns: len(columns[0]))


def caption(figure: Figure, text: str, runs: Sequence[StoredRun] = ()) -> None:
    """Small print under the figure: what is drawn, and how it was measured.

    Several protocols of the ``runs`` drawn add a warning at its start; the user's own are counted at its end.
    """
    own, protocols = sum(run.own for run in runs), sorted({run.protocol for run in runs})
    text += f" Your own runs, not the repository's: {own}." if own else ""
    if len(protocols) > 1:
        text = f"MIXED PROTOCOLS, not comparable: {'; '.join(protocols)}. {text}"
    lines = textwrap.wrap(text, int(figure.get_figwidth() * _CAPTION_PITCH))
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=6.5, color=NOTE)
    _make_room(figure, _SMALL_LINE * len(lines))


def _make_room(figure: Figure, inches: float) -> None:
    """Enlarge a figure for text above or below its panels, so that these keep their height."""
    figure.set_figheight(figure.get_figheight() + inches)
