"""ALM's stored runs over the authors' published curves, a panel for each task and scale."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from paper_figures.style import COLOURS, PUBLISHED, figure_style


def draw(runs: pd.DataFrame, authors: pd.DataFrame) -> Figure:
    """Draw one panel for each task and scale that has runs.

    Args:
        runs: tidy evaluations with columns task, scale, seed, seeds_wanted, total_steps, step,
            training_step and return.
        authors: the authors' curves with columns task, training_step, return_mean and return_std (means
            and sample deviations of five seeds, after the warm-up).
    """
    panels = list(runs.groupby(["scale", "task"], sort=False))
    with figure_style():
        figure, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 2.7), squeeze=False)
        for axis, ((scale, task), panel) in zip(axes[0], panels, strict=True):
            _panel(axis, f"{task}, {scale} scale", panel, authors[authors["task"] == task])
        axes[0, 0].set_ylabel("return of 5 evaluation episodes")
        handles = {
            label: handle
            for axis in axes[0]
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            list(handles.values()), list(handles), loc="upper center", ncol=4, bbox_to_anchor=(0.5, 1.09)
        )
        figure.tight_layout()
    return figure


def _panel(axis: Axes, title: str, panel: pd.DataFrame, authors: pd.DataFrame) -> None:
    last = int(panel["training_step"].max())
    wanted, total = int(panel["seeds_wanted"].iloc[0]), int(panel["total_steps"].iloc[0])
    if panel["scale"].iloc[0] == "paper" and len(authors):
        shown = authors[authors["training_step"] <= max(1.5 * last, 25_000)]
        x, mean, std = (shown[name] for name in ("training_step", "return_mean", "return_std"))
        axis.fill_between(x, mean - std, mean + std, color=PUBLISHED, alpha=0.25, linewidth=0)
        axis.plot(x, mean, color=PUBLISHED, label="authors, mean ± std of 5 seeds")
    for _, run in panel.groupby("seed"):
        axis.plot(run["training_step"], run["return"], color=COLOURS["alm"], alpha=0.45, linewidth=0.8)
    # The mean goes only as far as every seed does.
    common = panel.groupby("training_step")["return"].agg(["mean", "count"])
    common = common[common["count"] == panel["seed"].nunique()]
    axis.plot(common.index, common["mean"], color=COLOURS["alm"], label="this suite, mean (thin: each seed)")
    axis.set_title(title)
    axis.set_xlabel("training steps (after 5,000 random ones)")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}k"))
    axis.text(
        0.03,
        0.97,
        f"seeds {panel['seed'].nunique()} of {wanted}\n"
        f"{panel['step'].max() / 1000:g}k of {total / 1000:g}k steps",
        transform=axis.transAxes,
        va="top",
        fontsize=7,
        color="0.35",
    )
