"""Runs of this suite at paper scale beside published results of other methods, one panel per task."""

import pandas as pd
from matplotlib.figure import Figure

from paper_figures import captions, panels
from paper_figures.data import FigureData
from paper_figures.style import figure_style
from reproduce.exhibits.catalogue import QUARTER
from reproduce.exhibits.kinds import FigureExhibit, Series
from reproduce.lab.published import FIELD, FIELD_TASKS, field_runs

_TASKS = tuple(FIELD_TASKS)
EXHIBIT = FigureExhibit(
    name="field",
    title="Beside other methods, as published",
    shows="return",
    series=(Series("ALM(3)", "alm"), QUARTER, Series("SAC", "sac"), Series("TD3", "td3")),
    tasks=_TASKS,
    small_tasks=(),
)
_LAST = 300_000
_DOTTED, _DASHED, _MIXED = (0, (1, 1.2)), (0, (5, 1.6)), (0, (5, 1.2, 1, 1.2))
_PUBLISHED = (
    ("#7A4A00", _DASHED),
    ("#D55E00", _MIXED),
    ("#CC79A7", _DASHED),
    ("#56B4E9", _MIXED),
    ("#999933", _DOTTED),
    ("#8A2BE2", _DASHED),
    ("#000000", _DOTTED),
)
"""Colours and dashes in the order of `FIELD`; none has a colour of this suite's curves in these panels."""


@figure_style()
def draw(data: FigureData) -> Figure:
    """Draw this suite's runs with bands of one std, the authors' ALM in grey, published means broken."""
    figure, ((axes,),) = panels.page(len(_TASKS))
    notes, without, marked = [], [], ""
    for axis, task in zip(axes, _TASKS, strict=True):
        axis.set_title(task)
        if not panels.published_curve(axis, task, _LAST):
            without.append(task)
        means = field_runs()[field_runs()["task"] == FIELD_TASKS[task]]
        for (method, label), (colour, dashes) in zip(FIELD.items(), _PUBLISHED, strict=True):
            curve = _mean(means[means["method"] == method])
            axis.plot(curve.index, curve, color=colour, ls=dashes, lw=1.2, label=f"{label}, published")
        own = data.points[data.points["task"] == task]
        panels.curves(axis, own, EXHIBIT.series, "step", "return")
        stored = [one for one in data.curves if one.task == task and one.seeds]
        notes.append(captions.seeds_note(stored) or "no run of this suite")
        panels.steps_axis(axis)
        panels.returns_axis(axis)
        axis.set_xlim(0, _LAST)
        marked = panels.read_out(axis, task, "paper") or marked
    panels.name_rows(axes, "return")
    panels.notes(figure, axes, notes)
    panels.legend(figure, EXHIBIT.series)
    panels.caption(
        figure,
        f"{EXHIBIT.title}, paper scale. With markers: this suite's runs, listed under each panel, on "
        "ALM's own tasks; mean ± sample standard deviation over seeds if there are several. "
        f"{captions.grey(without)} Broken lines: published means over 5 to 10 seeds, without bands, on gym's "
        "v4 tasks (Ant-v4 beside T-Ant; T-Humanoid has none; results/paper/README.md), context only."
        f"{captions.sizes(data)}{marked}",
        data.runs,
    )
    return figure


def _mean(runs: pd.DataFrame) -> pd.Series:
    """The mean return by step, at steps common to all seeds, up to the last step shown."""
    counts = runs.groupby("step")["return"].agg(["mean", "count"])
    return counts.loc[(counts["count"] == runs["seed"].nunique()) & (counts.index <= _LAST), "mean"]
