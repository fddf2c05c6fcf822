"""Return at the end of training by the level of the series (Figure 20)."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from paper_figures import panels
from paper_figures.data import FigureData, tasks_drawn
from paper_figures.style import figure_style, looks, panel_row
from reproduce.exhibits import FigureExhibit

LAST = 5
"""Evaluations of a seed that are averaged."""


def final_returns(points: pd.DataFrame) -> pd.DataFrame:
    """Mean return of each seed's last evaluations: series, task, seed, return."""
    last = points.groupby(["series", "task", "seed"], sort=False).tail(LAST)
    return last.groupby(["series", "task", "seed"], sort=False, as_index=False)["return"].mean()


def draw(exhibit: FigureExhibit, scale: str, data: FigureData) -> Figure:
    """Draw one panel a task: a point for each seed, their mean and sample standard deviation."""
    tasks = tasks_drawn(data.coverage)
    finals = final_returns(data.points)
    with figure_style():
        figure, axes = plt.subplots(
            1, len(tasks), figsize=panel_row(len(tasks), 3.1), squeeze=False, layout="constrained"
        )
        by_label = looks(exhibit.series)
        for axis, task in zip(axes[0], tasks, strict=True):
            axis.set_title(task)
            panels.note(axis, panels.coverage_note([e for e in data.coverage if e.task == task]))
            own = finals[finals["task"] == task]
            for place, one in enumerate(exhibit.series):
                values, look = own.loc[own["series"] == one.label, "return"], by_label[one.label]
                if values.empty:
                    continue
                axis.plot([place] * len(values), values, ".", color=look.colour, alpha=0.5)
                axis.errorbar(
                    [place], [values.mean()], yerr=[values.std()], color=look.colour, marker=look.marker
                )
            levels = [f"{one.level:g}" for one in exhibit.series]
            axis.set_xticks(range(len(levels)), levels)
            axis.set_xlabel("c")
            panels.returns_axis(axis)
        axes[0, 0].set_ylabel("return")
        panels.caption(
            figure,
            f"{panels.heading(exhibit, scale, data.coverage)}: mean of the last {LAST} evaluations of each "
            "seed (dots), mean ± sample standard deviation over seeds, where the first of a coefficient's "
            f"seeds ends.{panels.left_out(data.coverage)}",
            data.protocols,
            data.own,
        )
    return figure
