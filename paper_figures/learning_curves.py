"""Learning curves by task, optionally with another metric beneath."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alm.training.scale import scale_named
from paper_figures import panels
from paper_figures.data import FigureData, figure_data, tasks_drawn
from paper_figures.style import figure_style
from reproduce.exhibits import FigureExhibit, Series
from reproduce.lab.published import AUTHORS_WARMUP, authors_curves
from reproduce.lab.store import Store, StoredRun


def data(exhibit: FigureExhibit, store: Store, scale: str, mix: bool) -> FigureData:
    """One row per series, task, seed and evaluation: step, training_step, return and, if asked, beneath.

    Raises:
        reproduce.lab.store.StoreMixError: the runs are of different protocols, and ``mix`` is off.
    """

    def read(run: StoredRun, series: Series) -> pd.DataFrame:
        del series
        frame = returns(run)
        if exhibit.beneath is not None:
            names = (exhibit.beneath.column, exhibit.beneath.otherwise)
            there = [name for name in names if name in run.evaluations]
            frame["beneath"] = run.evaluations[there[0]] if there else np.nan
        return frame

    return figure_data(exhibit, store, scale, mix, read)


def returns(run: StoredRun) -> pd.DataFrame:
    """The return of each evaluation of a run: step, training_step, return."""
    columns = {"step": "step", "training_step": "training_step", "eval/return": "return"}
    return run.evaluations[list(columns)].rename(columns=columns)


def draw(exhibit: FigureExhibit, scale: str, data: FigureData) -> Figure:
    """Draw one panel per task, with one below for a metric ``beneath``; at paper scale add authors' curves.

    Args:
        exhibit: the figure.
        scale: scale of the runs.
        data: their evaluations.
    """
    tasks, beneath = tasks_drawn(data.coverage), exhibit.beneath
    with figure_style():
        figure, ((tops, *below),) = panels.page(len(tasks), parts=1 if beneath is None else 2)
        also = against_steps(tops, exhibit, scale, data)
        for bottoms in below:
            for top, axis, task in zip(tops, bottoms, tasks, strict=True):
                top.set_xlabel("")
                _beneath(axis, exhibit, data.points[data.points["task"] == task])
                axis.set_xlim(top.get_xlim())
            panels.name_rows(bottoms, beneath.label if beneath else "")
        panels.coverage_notes(figure, below[-1] if below else tops, data.coverage)
        panels.legend(figure, exhibit.series)
        panels.caption(figure, heading(exhibit, scale, data) + also, data.runs)
    return figure


def against_steps(axes: Sequence[Axes], exhibit: FigureExhibit, scale: str, data: FigureData) -> str:
    """Draw returns against steps, one panel per task; returns sentences for the caption on other content."""
    authors, shown, marked = authors_curves(), False, ""
    for axis, task in zip(axes, tasks_drawn(data.coverage), strict=True):
        points = data.points[data.points["task"] == task]
        axis.set_title(task)
        if scale == "paper":
            last = max(2.0 * points["step"].max(), 30_000)
            own = authors[authors["task"] == task]
            shown |= panels.published_curve(axis, own, AUTHORS_WARMUP, last)
        panels.curves(axis, points, exhibit.series, "step", "return")
        panels.steps_axis(axis)
        panels.returns_axis(axis)
        marked = panels.read_out(axis, task, scale) or marked
    panels.name_rows(axes, "return")
    if shown:
        shift = f"{AUTHORS_WARMUP:,} random steps"
        return f" Grey: the authors' published ALM(3) curve, shifted by their {shift}.{marked}"
    return marked


def _beneath(axis: Axes, exhibit: FigureExhibit, points: pd.DataFrame) -> None:
    """Draw the second metric for the series that have it."""
    known = points.dropna(subset="beneath")
    if known.empty:
        panels.empty(axis, "not recorded")
        return
    panels.curves(axis, known, exhibit.series, "step", "beneath")
    panels.steps_axis(axis)
    panels.returns_axis(axis)


def heading(exhibit: FigureExhibit, scale: str, data: FigureData) -> str:
    """The beginning of the caption of learning curves."""
    episodes = scale_named(scale).eval_episodes
    several = any(entry.seeds > 1 for entry in data.coverage)
    over_seeds = (
        ", mean ± sample standard deviation over seeds if there are several; a curve ends at the earliest "
        "end of its seeds"
    )
    return (
        f"{panels.heading(exhibit, scale, data.coverage)}: mean return of {episodes} greedy evaluation "
        "episodes"
        f"{over_seeds if several else ', one seed each'}. Steps include the random steps of the warm-up."
        f"{panels.left_out(data.coverage)}"
    )
