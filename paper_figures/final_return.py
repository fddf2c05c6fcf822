"""Return at the end of training against the level of the series (Figure 20)."""

from dataclasses import replace

from matplotlib.figure import Figure

from paper_figures import captions, learning_curves, panels
from paper_figures.data import FigureData
from paper_figures.style import figure_style, looks
from reproduce.exhibits.kinds import FigureExhibit
from reproduce.lab.store import Store

LAST = 5
"""Number of last evaluations averaged per seed."""


def data(exhibit: FigureExhibit, store: Store, scale: str) -> FigureData:
    """Mean return of each seed's last evaluations, one row per series, task and seed."""
    curves = learning_curves.data(exhibit, store, scale)
    if curves.points.empty:
        return curves
    by_seed = ["series", "task", "seed"]
    last = curves.points.groupby(by_seed, sort=False).tail(LAST)
    return replace(curves, points=last.groupby(by_seed, sort=False, as_index=False)["return"].mean())


@figure_style()
def draw(data: FigureData) -> Figure:
    """Draw one panel per task: a point for each seed, with mean and sample standard deviation."""
    series, tasks = data.exhibit.series, data.tasks
    figure, ((axes,),) = panels.page(len(tasks))
    by_label = looks(series)
    for axis, task in zip(axes, tasks, strict=True):
        axis.set_title(task)
        own = data.points[data.points["task"] == task]
        for place, one in enumerate(series):
            values, look = own.loc[own["series"] == one.label, "return"], by_label[one.label]
            if values.empty:
                continue
            axis.plot([place] * len(values), values, ".", color=look.colour, alpha=0.5)
            axis.errorbar(
                [place], [values.mean()], yerr=[values.std()], color=look.colour, marker=look.marker
            )
        levels = [f"{one.level:g}" for one in series]
        axis.set_xticks(range(len(levels)), levels)
        axis.set_xlabel("c")
        panels.returns_axis(axis)
    panels.name_rows(axes, "return")
    panels.seeds_notes(figure, axes, data)
    panels.caption(
        figure,
        f"{captions.heading(data)}: mean of the last {LAST} evaluations of each "
        "seed (dots), and mean ± sample standard deviation over seeds, at the earliest end of a "
        f"coefficient's seeds.{captions.sizes(data)}{captions.tasks_left_out(data)}",
        data.runs,
    )
    return figure
