"""Runs of this suite at paper scale beside what others published of later methods, a panel a task."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from paper_figures import panels
from paper_figures.data import FigureData, figure_data
from paper_figures.style import figure_style, panel_row
from reproduce.exhibits import FigureExhibit, Series
from reproduce.lab.published import AUTHORS_WARMUP, FIELD, FIELD_TASKS, authors_curves, field_runs
from reproduce.lab.store import Store

_TASKS = tuple(FIELD_TASKS)
_EXHIBIT = FigureExhibit(
    "field",
    None,
    "Beside later methods",
    "return",
    (Series("ALM(3)", "alm"), Series("SAC", "sac"), Series("TD3", "td3")),
    _TASKS,
    (),
)
_LAST = 300_000
_COLOURS = ("#E69F00", "#D55E00", "#CC79A7", "#56B4E9", "#999933", "#882255", "#44AA99")


def data(store: Store) -> FigureData:
    """The stored runs of ALM, SAC and TD3 on these tasks.

    Raises:
        reproduce.lab.store.StoreMixError: they are of different protocols.
    """
    return figure_data(_EXHIBIT, store, "paper", "redq")


def draw(found: FigureData) -> Figure:
    """Draw published means dashed, the authors' ALM in grey, and this suite's runs with a band of one std."""
    with figure_style():
        figure, axes = plt.subplots(1, len(_TASKS), figsize=panel_row(len(_TASKS), 3.4), layout="constrained")
        for axis, task in zip(axes, _TASKS, strict=True):
            axis.set_title(task)
            means = field_runs()[field_runs()["task"] == FIELD_TASKS[task]]
            for (method, label), colour in zip(FIELD.items(), _COLOURS, strict=True):
                curve = _mean(means[means["method"] == method])
                axis.plot(curve.index, curve, color=colour, ls="--", lw=0.9, label=f"{label}, published (v4)")
            authors = authors_curves()
            panels.published_curve(axis, authors[authors["task"] == task], AUTHORS_WARMUP, _LAST)
            own = found.points[found.points["task"] == task] if len(found.points) else found.points
            if len(own):
                panels.curves(axis, own, _EXHIBIT.series, "step", "return")
            panels.note(axis, panels.coverage_note([one for one in found.coverage if one.task == task]))
            panels.steps_axis(axis)
            panels.returns_axis(axis)
            axis.set_xlim(0, _LAST)
        axes[0].set_ylabel("return")
        panels.legend(figure)
        panels.caption(
            figure,
            "Beside later methods, paper scale. Dashed: published means over 5 to 10 seeds on gym's v4 tasks "
            "(Ant-v4 beside T-Ant; results/paper/README.md), context only. Grey: the authors' ALM(3) curve, "
            f"shifted by their {AUTHORS_WARMUP:,} random steps. With marks: stored runs of this suite on "
            "ALM's own tasks, mean ± sample standard deviation over seeds where there are several.",
            found.protocols,
        )
    return figure


def _mean(runs: pd.DataFrame) -> pd.Series:
    """The mean return by step, at steps that every seed has, up to the last one shown."""
    counts = runs.groupby("step")["return"].agg(["mean", "count"])
    return counts.loc[(counts["count"] == runs["seed"].nunique()) & (counts.index <= _LAST), "mean"]
