"""Learning curves by task; where asked also against wall-clock time, or with another metric beneath."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from paper_figures import panels
from paper_figures.data import FigureData, tasks_drawn
from paper_figures.style import figure_style, looks, panel_row
from reproduce.exhibits import FigureExhibit
from reproduce.lab.published import AUTHORS_WARMUP


def draw(exhibit: FigureExhibit, scale: str, data: FigureData, authors: pd.DataFrame) -> Figure:
    """Draw the figure.

    Args:
        exhibit: what to show; ``"return and runtime"`` adds a row against hours and a panel of costs beside
            both, and a metric ``beneath`` a row of its own.
        scale: scale of the runs.
        data: their evaluations.
        authors: the authors' curves, drawn at paper scale (`reproduce.lab.published.authors_curves`).
    """
    runtime, tasks = exhibit.shows == "return and runtime", tasks_drawn(data.coverage)
    shows_authors = False
    columns, rows = len(tasks) + runtime, 1 + (runtime or exhibit.beneath is not None)
    with figure_style():
        figure, axes = plt.subplots(
            rows, columns, figsize=panel_row(columns, 2.9 * rows + 0.4), squeeze=False, layout="constrained"
        )
        if runtime:
            for axis in axes[:, -1]:
                axis.remove()
            _costs(figure.add_subplot(axes[0, -1].get_gridspec()[:, -1]), exhibit, data.costs)
        for column, task in enumerate(tasks):
            points = data.points[data.points["task"] == task]
            coverage = [entry for entry in data.coverage if entry.task == task]
            top = axes[0, column]
            top.set_title(task)
            panels.note(top, panels.coverage_note(coverage))
            if scale == "paper":
                last = max(2.0 * points["step"].max(), 30_000)
                own = authors[authors["task"] == task]
                shows_authors |= panels.published_curve(top, own, AUTHORS_WARMUP, last)
            panels.curves(top, points, exhibit.series, "step", "return")
            panels.steps_axis(top)
            panels.returns_axis(top)
            if runtime:
                _against_hours(axes[1, column], exhibit, points)
            elif exhibit.beneath is not None:
                _beneath(axes[1, column], exhibit, points)
        axes[0, 0].set_ylabel("return")
        if rows == 2:
            axes[1, 0].set_ylabel(exhibit.beneath.label if exhibit.beneath else "return")
        panels.legend(figure, exhibit.series)
        panels.caption(figure, _caption(exhibit, scale, data, shows_authors), data.protocols, data.own)
    return figure


def _against_hours(axis: Axes, exhibit: FigureExhibit, points: pd.DataFrame) -> None:
    learning = points[points["training_step"] > 0]
    timed = learning.dropna(subset="hours")
    if timed.empty:
        panels.empty(axis, "time not recorded")
        return
    if untimed := _untimed(exhibit, learning, timed):
        panels.note(axis, untimed)
    # Seeds that did not train together took different times: their mean places the curve.
    minutes = 60.0 * timed.groupby(["series", "step"])["hours"].transform("mean")
    panels.curves(axis, timed.assign(minutes=minutes), exhibit.series, "minutes", "return")
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("minutes of training for each seed")
    panels.returns_axis(axis)


def _untimed(exhibit: FigureExhibit, every: pd.DataFrame, timed: pd.DataFrame) -> str:
    """A line that names the series whose records do not say how long a seed trained; may be empty."""
    without = set(every["series"]) - set(timed["series"])
    labels = [one.label for one in exhibit.series if one.label in without]
    return f"time not recorded: {'; '.join(labels)}" if labels else ""


def _beneath(axis: Axes, exhibit: FigureExhibit, points: pd.DataFrame) -> None:
    """The second metric, of the series that have it."""
    known = points.dropna(subset="beneath")
    if known.empty:
        panels.empty(axis, "not recorded")
        return
    panels.curves(axis, known, exhibit.series, "step", "beneath")
    panels.steps_axis(axis)


def _costs(axis: Axes, exhibit: FigureExhibit, costs: pd.DataFrame) -> None:
    """Milliseconds for each environment step, mean over the runs of all panels."""
    known = costs.dropna()
    present = [one for one in exhibit.series if one.label in set(known["series"])]
    if not present:
        panels.empty(axis, "time not recorded")
        return
    by_label = looks(exhibit.series)
    for position, one in enumerate(present):
        mean = known.loc[known["series"] == one.label, ["update_ms", "total_ms"]].mean()
        look = by_label[one.label]
        # One above the other: where updates are nearly all of the cost they would hide each other.
        for cost, place, face in (
            (mean["total_ms"], position - 0.12, look.colour),
            (mean["update_ms"], position + 0.12, "white"),
        ):
            axis.plot(cost, place, marker=look.marker, mfc=face, mec=look.colour, ls="", markersize=6)
            axis.annotate(
                f"{cost:.3g} ms", (cost, place), (7, 0), textcoords="offset points", va="center", fontsize=7
            )
    axis.set_xscale("log")
    axis.set_yticks(range(len(present)), [one.label for one in present])
    axis.set_ylim(len(present) - 0.5, -0.5)
    low, high = known["update_ms"].min(), known["total_ms"].max()
    axis.set_xlim(10 ** np.floor(np.log10(0.8 * low)), 4 * high)  # room for the last number
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_title("cost of a step", fontsize=9)
    axis.set_xlabel("ms for each environment step")
    lines = [
        "filled: all but evaluations",
        "open: updates, of the last steps before each evaluation",
        _untimed(exhibit, costs, known),
    ]
    panels.note(axis, "\n".join(filter(None, lines)))


def _caption(exhibit: FigureExhibit, scale: str, data: FigureData, shows_authors: bool) -> str:
    several = any(entry.seeds > 1 for entry in data.coverage)
    over_seeds = (
        ", mean ± sample standard deviation over seeds where there are several; a curve ends where the first "
        "of its seeds does"
    )
    text = (
        f"{panels.heading(exhibit, scale, data.coverage)}: mean return of 5 greedy evaluation episodes"
        f"{over_seeds if several else ', one seed each'}. Steps include the random ones of the warm-up."
        f"{panels.left_out(data.coverage)}"
    )
    if shows_authors:
        text += (
            f" Grey: the authors' published ALM(3) curve, shifted by their {AUTHORS_WARMUP:,} random steps."
        )
    if exhibit.shows == "return and runtime":
        text += (
            " Times are of these runs as they were trained, without evaluations; where seeds trained "
            "together, their time is divided by their number. Runs may have shared the machine with others; "
            "make bench measures costs side by side."
        )
        text += _measured_on(data.costs)
    return text


def _measured_on(costs: pd.DataFrame) -> str:
    """A sentence on the machines that the times are of; with whose they are, where there are several."""
    known = costs.dropna()
    if known.empty:
        return ""
    series = known.groupby("device")["series"].unique()
    if len(series) == 1:
        return f" Measured on {series.index[0]}."
    where = "; ".join(f"{device} ({', '.join(labels)})" for device, labels in series.items())
    return f" Measured on {where}: times of different processors do not compare."
