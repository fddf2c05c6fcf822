"""Mean and deviation of the value bias over training (Figures 4 and 8)."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from paper_figures import panels
from paper_figures.data import FigureData, series_drawn, tasks_drawn
from paper_figures.style import NOTE, figure_style, panel_row
from reproduce.exhibits import FigureExhibit

_FORMULAS = {
    "redq": "estimate − return, its mean and deviation each divided by max(|mean return|, 10), as in "
    "REDQ's figures",
    "paper": "(estimate − return) / |mean return|, as the ALM paper writes it",
    "per-state": "(estimate − return) / max(|return|, 10) of each pair, as the published codes log it",
}


def draw(exhibit: FigureExhibit, scale: str, data: FigureData, definition: str) -> Figure:
    """Draw the mean of the bias above, its deviation over pairs below, one column a task.

    Args:
        exhibit: what to show.
        scale: scale of the runs.
        data: their biases.
        definition: the definition they are of (`alm.training.bias.DEFINITIONS`), for the caption.
    """
    tasks = tasks_drawn(data.coverage)
    with figure_style():
        figure, axes = plt.subplots(
            2,
            len(tasks),
            figsize=panel_row(len(tasks), 5.6, 3.6),
            squeeze=False,
            sharex="col",
            layout="constrained",
        )
        for column, task in enumerate(tasks):
            top, bottom = axes[:, column]
            points = data.points[data.points["task"] == task]
            top.set_title(task)
            panels.note(bottom, panels.coverage_note([e for e in data.coverage if e.task == task]))
            # Before the first update an estimate says nothing about training.
            trained = points[points["training_step"] > 0]
            if trained.empty:
                panels.empty(top, "no update yet")
                panels.empty(bottom, "no update yet")
                continue
            for axis, quantity in ((top, "bias_mean"), (bottom, "bias_std")):
                panels.curves(axis, trained, exhibit.series, "step", quantity)
                _fit(axis, trained, quantity)
            top.axhline(0.0, color=NOTE, linewidth=0.8)
            panels.steps_axis(bottom)
        axes[0, 0].set_ylabel("mean of normalised bias")
        axes[1, 0].set_ylabel("std of normalised bias")
        panels.legend(figure, exhibit.series)
        panels.caption(figure, _caption(exhibit, scale, data, definition), data.protocols, data.own)
    return figure


def _fit(axis: plt.Axes, points: pd.DataFrame, quantity: str) -> None:
    """Leave outliers above the view if they would flatten everything else."""
    low, high = points[quantity].quantile([0.02, 0.98])
    margin = 0.35 * (high - low) + 1e-3
    bottom, top = axis.get_ylim()
    floor = 0.0 if quantity == "bias_std" else -float("inf")
    axis.set_ylim(max(bottom, low - margin, floor), min(top, high + margin))


def _caption(exhibit: FigureExhibit, scale: str, data: FigureData, definition: str) -> str:
    soft = [one.label for one in series_drawn(data.coverage) if one.algorithm in ("redq", "sac-avg")]
    return (
        f"{panels.heading(exhibit, scale, data.coverage)}. Bias = {_FORMULAS[definition]}; positive is "
        "overestimation. Return: discounted, Monte Carlo, to the end of the episode, of the first 350 pairs "
        "of whole episodes, at least 1000 pairs"
        + (f"; with the entropy bonus at the learned temperature for {' and '.join(soft)}" if soft else "")
        + ". Curves: mean ± sample standard deviation over seeds, without the measurement before "
        "the first update; what lies far outside may leave the view (all of it is in the CSV)."
        f"{panels.left_out(data.coverage)}"
    )
