"""Learning curves by task, optionally with another metric beneath."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alm.training.scale import scale_named
from paper_figures import captions, panels
from paper_figures.data import FigureData, figure_data
from paper_figures.style import figure_style
from reproduce.exhibits.kinds import FigureExhibit, Series
from reproduce.lab.store import Store, StoredRun


def data(exhibit: FigureExhibit, store: Store, scale: str) -> FigureData:
    """One row per series, task, seed and evaluation: step, training_step, return and, if asked, beneath."""

    def read(run: StoredRun, series: Series) -> pd.DataFrame:
        del series
        frame = returns(run)
        if exhibit.beneath is not None:
            names = (exhibit.beneath.column, exhibit.beneath.otherwise)
            there = [name for name in names if name in run.evaluations]
            frame["beneath"] = run.evaluations[there[0]] if there else np.nan
        return frame

    return figure_data(exhibit, store, scale, read)


def returns(run: StoredRun) -> pd.DataFrame:
    """The return of each evaluation of a run: step, training_step, return."""
    columns = {"step": "step", "training_step": "training_step", "eval/return": "return"}
    return run.evaluations[list(columns)].rename(columns=columns)


@figure_style()
def draw(data: FigureData) -> Figure:
    """Draw one panel per task, one below for a metric ``beneath``, and at paper scale the authors' curves."""
    exhibit, tasks, beneath = data.exhibit, data.tasks, data.exhibit.beneath
    figure, ((tops, *below),) = panels.page(len(tasks), parts=1 if beneath is None else 2)
    also = against_steps(tops, data)
    for bottoms in below:
        for top, axis, task in zip(tops, bottoms, tasks, strict=True):
            top.set_xlabel("")
            _beneath(axis, exhibit, data.points[data.points["task"] == task])
            axis.set_xlim(top.get_xlim())
        panels.name_rows(bottoms, beneath.label if beneath else "")
    panels.seeds_notes(figure, below[-1] if below else tops, data)
    panels.legend(figure, exhibit.series)
    panels.caption(figure, heading(data) + also, data.runs)
    return figure


def against_steps(axes: Sequence[Axes], data: FigureData) -> str:
    """Draw returns against steps, one panel per task; returns sentences for the caption on other content."""
    without, marked = [], ""
    for axis, task in zip(axes, data.tasks, strict=True):
        points = data.points[data.points["task"] == task]
        axis.set_title(task)
        if data.scale == "paper":
            last = max(2.0 * points["step"].max(), 30_000)
            if not panels.published_curve(axis, task, last):
                without.append(task)
        panels.curves(axis, points, data.exhibit.series, "step", "return")
        panels.steps_axis(axis)
        panels.returns_axis(axis)
        marked = panels.read_out(axis, task, data.scale) or marked
    panels.name_rows(axes, "return")
    if data.scale != "paper" or len(without) == len(data.tasks):
        return marked
    return f" {captions.grey(without)}{marked}"


def _beneath(axis: Axes, exhibit: FigureExhibit, points: pd.DataFrame) -> None:
    """Draw the second metric for the series that have it."""
    known = points.dropna(subset="beneath")
    if known.empty:
        panels.empty(axis, "not recorded")
        return
    panels.curves(axis, known, exhibit.series, "step", "beneath")
    panels.steps_axis(axis)
    panels.returns_axis(axis)


def heading(data: FigureData) -> str:
    """The beginning of the caption of learning curves."""
    episodes = scale_named(data.scale).eval_episodes
    several = any(curve.seeds > 1 for curve in data.curves)
    over_seeds = (
        ", mean ± sample standard deviation over seeds if there are several; a curve ends at the earliest "
        "end of its seeds"
    )
    return (
        f"{captions.heading(data)}: mean return of {episodes} greedy evaluation "
        "episodes"
        f"{over_seeds if several else ', one seed each'}. Steps include the random steps of the warm-up."
        f"{captions.sizes(data)}{captions.tasks_left_out(data)}"
    )
