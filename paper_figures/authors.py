"""Every stored run of ALM at paper scale over its authors' curves, one panel per task."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from alm.training.scale import scale_named
from paper_figures import captions, learning_curves, panels
from paper_figures.style import figure_style, looks
from reproduce import formats
from reproduce.exhibits.kinds import Series
from reproduce.lab.published import authors_curves
from reproduce.lab.store import Store, StoredRun

_SERIES = (Series("ALM(3)", "alm"), Series("ALM(3), bf16", "alm", "base+bf16"))
_FURTHER = 5_000
"""Steps by which the authors' curve is drawn beyond the last evaluation of this suite."""


def data(store: Store) -> tuple[pd.DataFrame, tuple[StoredRun, ...]]:
    """One row per precision, task, seed and evaluation, and the runs that they are from.

    Seeds are never averaged, so each counts up to its own end; tasks without an authors' curve are left out.
    """
    tasks = set(authors_curves()["task"])
    runs, frames = [], []
    for series in _SERIES:
        for run in store.runs(algorithm=series.algorithm, variant=series.variant, scale="paper"):
            frame = learning_curves.returns(run)
            if run.spec.task in tasks and not frame.empty:
                runs.append(run)
                frames.append(frame.assign(series=series.label, task=run.spec.task, seed=run.spec.seed))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(), tuple(runs)


@figure_style()
def draw(runs: Sequence[StoredRun]) -> Figure:
    """Draw one line per seed over the mean and std of the authors' five."""
    tasks = sorted({run.spec.task for run in runs})
    by_variant, look_of = {one.variant: one for one in _SERIES}, looks(_SERIES)
    figure, ((axes,),) = panels.page(len(tasks))
    notes, wanted = [], len(scale_named("paper").seeds)
    for axis, task in zip(axes, tasks, strict=True):
        axis.set_title(task)
        own = [run for run in runs if run.spec.task == task]
        panels.published_curve(axis, task, max(run.last_step for run in own) + _FURTHER)
        ends: dict[str, list[str]] = {}
        for run in own:
            label, line = by_variant[run.spec.variant].label, learning_curves.returns(run)
            look = look_of[label]
            # A label only once, for the legend.
            name = None if label in ends else label
            axis.plot(line["step"], line["return"], color=look.colour, marker=look.marker, label=name)
            lost = " (failed)" if run.status == "failed" else ""
            ends.setdefault(label, []).append(f"{formats.steps_in_words(run.last_step)}{lost}")
        notes.append(
            "\n".join(
                f"{label}: {formats.seeds_counted(len(steps), wanted)}, to {', '.join(steps)} steps"
                for label, steps in ends.items()
            )
        )
        panels.steps_axis(axis)
        panels.returns_axis(axis)
    panels.name_rows(axes, "return")
    panels.notes(figure, axes, notes)
    panels.legend(figure, _SERIES)
    panels.caption(
        figure,
        "ALM over its authors' curves, paper scale: mean return of "
        f"{scale_named('paper').eval_episodes} greedy evaluation episodes, one line per seed. Steps "
        f"include the random steps of the warm-up. {captions.grey(())}",
        runs,
    )
    return figure
