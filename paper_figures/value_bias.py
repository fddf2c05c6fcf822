"""Mean and deviation of the value bias over training (Figures 4 and 8)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_figures import captions, panels
from paper_figures.data import FigureData, figure_data
from paper_figures.style import NOTE, figure_style
from reproduce.exhibits.bias import bias_by_step
from reproduce.exhibits.kinds import FigureExhibit, Series
from reproduce.lab.store import Store, StoredRun

_FORMULAS = {
    "redq": "estimate − return, its mean and deviation each divided by max(|mean return|, 10), as in "
    "REDQ's figures",
    "paper": "(estimate − return) / |mean return|, as the ALM paper writes it",
    "per-state": "(estimate − return) / max(|return|, 10) of each pair, as REDQ's code logs it",
    "authors": "(estimate − return) / max(|return|, 10) of each estimate with every return, as ALM's code "
    "logs it",
}


def data(exhibit: FigureExhibit, store: Store, scale: str) -> FigureData:
    """One row per series, task, seed and measurement: step, training_step, bias_mean, bias_std."""

    def read(run: StoredRun, series: Series) -> pd.DataFrame:
        biases = bias_by_step(store.values(run), series.estimate, exhibit.bias)
        return biases.merge(run.evaluations[["step", "training_step"]], on="step")

    return figure_data(exhibit, store, scale, read)


@figure_style()
def draw(data: FigureData) -> Figure:
    """Draw the mean of the bias above its deviation over pairs, one column per task."""
    series, tasks = data.exhibit.series, data.tasks
    figure, ((tops, bottoms),) = panels.page(len(tasks), parts=2)
    for top, bottom, task in zip(tops, bottoms, tasks, strict=True):
        points = data.points[data.points["task"] == task]
        top.set_title(task)
        # An estimate before the first update says nothing about training.
        trained = points[points["training_step"] > 0]
        if trained.empty:
            panels.empty(top, "no update yet")
            panels.empty(bottom, "no update yet")
            continue
        for axis, quantity in ((top, "bias_mean"), (bottom, "bias_std")):
            panels.curves(axis, trained, series, "step", quantity)
            _fit(axis, trained, quantity)
            panels.steps_axis(axis)
        top.axhline(0.0, color=NOTE, linewidth=0.8)
        top.set_xlabel("")
    panels.name_rows(tops, "mean of normalised bias")
    panels.name_rows(bottoms, "std of normalised bias")
    panels.seeds_notes(figure, bottoms, data)
    panels.legend(figure, series)
    panels.caption(figure, _caption(data), data.runs)
    return figure


def _fit(axis: Axes, points: pd.DataFrame, quantity: str) -> None:
    """Cut off outliers that would flatten everything else."""
    low, high = points[quantity].quantile([0.02, 0.98])
    margin = 0.35 * (high - low) + 1e-3
    bottom, top = axis.get_ylim()
    floor = 0.0 if quantity == "bias_std" else -float("inf")
    axis.set_ylim(max(bottom, low - margin, floor), min(top, high + margin))


def _caption(data: FigureData) -> str:
    soft = [one.label for one in data.series if one.algorithm in ("redq", "sac-avg")]
    return (
        f"{captions.heading(data)}. Bias = {_FORMULAS[data.exhibit.bias]}; positive is "
        "overestimation. Return: discounted Monte Carlo return to the end of the episode, for the first 350 "
        "pairs of each episode, of as many whole episodes as give 1000 pairs"
        + (f"; with the entropy bonus at the learned temperature for {' and '.join(soft)}" if soft else "")
        + ". Curves: mean ± sample standard deviation over seeds, without the measurement before "
        "the first update; far outliers may be cut off (the CSV has all values). While a seed's returns turn "
        "from negative to positive, the bias of small estimates falls from about 1 to about −1, and its "
        "deviation is divided by returns near zero: bands are wide where seeds do so at different steps."
        f"{captions.sizes(data)}{captions.tasks_left_out(data)}"
    )
