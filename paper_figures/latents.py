"""Representations that the model predicts, beside those that the encoder sees (Figure 7)."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from paper_figures import panels
from paper_figures.data import FigureData, series_drawn
from paper_figures.style import NOTE, figure_style, looks
from reproduce.exhibits import FigureExhibit

_SHOWN_STEPS = 100


def draw(exhibit: FigureExhibit, scale: str, data: FigureData) -> Figure:
    """Draw a panel of the first coordinate for each series, and one of the error by model steps.

    Args:
        exhibit: what to show, on its one task.
        scale: scale of the runs.
        data: their predictions.
    """
    points, series = data.points, series_drawn(data.coverage)
    with figure_style():
        columns = len(series) + 1
        figure, axes = plt.subplots(1, columns, figsize=(3.4 * columns, 3.2), layout="constrained")
        by_label = looks(exhibit.series)
        for axis, one in zip(axes, series, strict=False):
            rows = points[points["series"] == one.label]
            seed = rows["seed"].min()
            axis.set_title(f"{one.label}, seed {seed}")
            panels.note(axis, panels.coverage_note([entry for entry in data.coverage if entry.series == one]))
            shown = rows[(rows["seed"] == seed) & (rows["step"] <= _SHOWN_STEPS)]
            axis.plot(shown["step"], shown["encoded"], color="0.2", label="encoder")
            axis.plot(shown["step"], shown["predicted"], color=by_label[one.label].colour, label="model")
            axis.plot(
                shown["step"],
                shown["sampled"],
                color=by_label[one.label].colour,
                linewidth=0.6,
                alpha=0.6,
                label="model, sampled",
            )
            axis.set(xlabel="step of the episode", ylabel="first coordinate of z")
            low, high = axis.get_ylim()
            axis.set_ylim(low, high + 0.2 * (high - low))  # room for the legend
            axis.legend(fontsize=7, loc="upper center", ncols=3, handlelength=1.2, columnspacing=1.0)
        _errors(axes[-1], exhibit, points)
        task = exhibit.tasks_at(scale)[0]
        panels.caption(
            figure,
            f"{panels.heading(exhibit, scale, data.coverage)}, {task}. Along the episode: one seed each, "
            "starting at its encoder's mean of the first state and following the recorded actions; each seed "
            "has its own encoder, so that units and ranges of z differ. Right: squared error of the model's "
            "means against the encoder's, averaged over all starts of the episode, divided by the variance "
            "of the encoder's means along it (1: no better than their mean), which makes it large where an "
            "encoder hardly tells the states apart; thin: each seed; with marks: their mean."
            + (f" One episode for all: of {data.policy}, without noise." if data.policy else ""),
            data.protocols,
            data.own,
        )
    return figure


def _errors(axis: plt.Axes, exhibit: FigureExhibit, points: pd.DataFrame) -> None:
    axis.set_title("prediction error")
    known = points.dropna(subset="squared_error")
    by_label = looks(exhibit.series)
    for (label, _), rows in known.groupby(["series", "seed"]):
        axis.plot(rows["step"], rows["squared_error"], color=by_label[label].colour, linewidth=0.6, alpha=0.6)
    means = known.groupby(["series", "step"], as_index=False)["squared_error"].mean()
    panels.curves(axis, means, exhibit.series, "step", "squared_error")
    axis.axhline(1.0, color=NOTE, linewidth=0.8)
    axis.set_yscale("log")
    axis.set_xlabel("model steps")
    axis.set_ylabel("error / variance")
    axis.legend(fontsize=7)
