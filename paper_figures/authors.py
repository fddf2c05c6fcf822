"""ALM's stored runs over the authors' published curves, a panel for each task."""

import math

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alm.training.scale import scale_named
from paper_figures import panels
from paper_figures.style import LOOKS, NOTE, figure_style, panel_row
from reproduce.exhibits.formats import seeds_counted
from reproduce.lab.store import Store

_COLUMNS = 3


def evaluations(store: Store, authors: pd.DataFrame) -> pd.DataFrame:
    """Every stored evaluation of unchanged ALM that the authors' curves are a counterpart of, tidy.

    Theirs are of the paper's networks and batches, so runs of other scales have none.
    """
    frames, published, scale = [], set(authors["task"]), scale_named("paper")
    for run in store.runs(algorithm="alm", variant="base", scale="paper"):
        if run.spec.task not in published:
            continue
        frame = run.evaluations[["step", "training_step"]].copy()
        frame["return"] = run.evaluations["eval/return"]
        frame = frame.assign(
            task=run.spec.task,
            seed=run.spec.seed,
            seeds_wanted=len(scale.seeds),
            total_steps=scale.training(run.spec.task).total_steps,
        )
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def draw(runs: pd.DataFrame, authors: pd.DataFrame) -> Figure:
    """Draw one panel for each task that has runs.

    Args:
        runs: tidy evaluations with columns task, seed, seeds_wanted, total_steps, step, training_step and
            return.
        authors: the authors' curves with columns task, training_step, return_mean and return_std (means
            and sample deviations of five seeds, after the warm-up).
    """
    groups = list(runs.groupby("task", sort=False))
    columns = min(len(groups), _COLUMNS)
    rows = math.ceil(len(groups) / columns)
    with figure_style():
        figure, axes = plt.subplots(
            rows, columns, figsize=panel_row(columns, 2.9 * rows, 3.4), squeeze=False, layout="constrained"
        )
        for axis, (task, panel) in zip(axes.flat, groups, strict=False):
            _panel(axis, str(task), panel, authors[authors["task"] == task])
        for axis in axes.flat[len(groups) :]:
            axis.set_axis_off()
        for axis in axes[:, 0]:
            axis.set_ylabel("return of 5 evaluation episodes")
        panels.legend(figure)
    return figure


def _panel(axis: Axes, task: str, panel: pd.DataFrame, authors: pd.DataFrame) -> None:
    last = int(panel["training_step"].max())
    wanted, total = int(panel["seeds_wanted"].iloc[0]), int(panel["total_steps"].iloc[0])
    panels.published_curve(axis, authors, 0, max(1.5 * last, 25_000))
    for _, run in panel.groupby("seed"):
        axis.plot(run["training_step"], run["return"], color=LOOKS["alm"].colour, alpha=0.45, linewidth=0.8)
    # The mean goes only as far as every seed does.
    common = panel.groupby("training_step")["return"].agg(["mean", "count"])
    common = common[common["count"] == panel["seed"].nunique()]
    axis.plot(
        common.index, common["mean"], color=LOOKS["alm"].colour, label="this suite, mean (thin: each seed)"
    )
    axis.set_title(f"{task}, paper scale", pad=16)
    panels.steps_axis(axis, "training steps (after 5,000 random ones)")
    seeds = seeds_counted(panel["seed"].nunique(), wanted)
    axis.text(
        0.5,
        1.02,
        f"{seeds}, {panel['step'].max() / 1000:g}k of {total / 1000:g}k steps",
        transform=axis.transAxes,
        ha="center",
        va="bottom",
        fontsize=7,
        color=NOTE,
    )
