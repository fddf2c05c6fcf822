"""Representations predicted by the model, beside those of the encoder (Figure 7)."""

from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_figures import captions, panels
from paper_figures.data import FigureData, curves_of
from paper_figures.style import NOTE, figure_style, looks
from reproduce.exhibits.kinds import FigureExhibit
from reproduce.exhibits.pooling import StoreMixError
from reproduce.lab.store import Store

_SHOWN_STEPS = 100


def data(exhibit: FigureExhibit, store: Store, scale: str) -> FigureData:
    """The stored predictions of a figure on its one task.

    One row per series, seed and step of the episode, with `reproduce.lab.store.LATENT_COLUMNS`.

    Raises:
        reproduce.exhibits.pooling.StoreMixError: the predictions follow different episodes.
    """
    points, curves, used, policies = [], [], [], set()
    for curve in curves_of(exhibit, store, scale):
        measured = 0
        for run in curve.pool.runs:
            if (found := store.latents(run)) is None:
                continue
            frame, policy = found
            points.append(frame.assign(series=curve.series.label, seed=run.spec.seed))
            policies.add(policy)
            used.append(run)
            measured += 1
        curves.append(replace(curve, seeds=measured, last_step=curve.pool.step))
    if len(policies) > 1:
        (task,) = exhibit.tasks_at(scale)
        raise StoreMixError(
            f"Predictions along different episodes are not comparable ({', '.join(sorted(policies))}): "
            f"measure all again with: python -m reproduce latents --task {task} --scale {scale}"
        )
    frame = pd.concat(points, ignore_index=True) if points else pd.DataFrame()
    return FigureData(exhibit, scale, frame, tuple(curves), tuple(used), "".join(policies))


@figure_style()
def draw(data: FigureData) -> Figure:
    """Draw a panel of the first coordinate for each series, and one of the error by model steps."""
    exhibit, points, series = data.exhibit, data.points, data.series
    figure, ((axes,),) = panels.page(len(series) + 1)
    by_label, notes = looks(exhibit.series), []
    for axis, one in zip(axes, series, strict=False):
        rows = points[points["series"] == one.label]
        seed = rows["seed"].min()
        axis.set_title(f"{one.label}, seed {seed}")
        notes.append(captions.seeds_note([curve for curve in data.curves if curve.series == one]))
        shown = rows[(rows["seed"] == seed) & (rows["step"] <= _SHOWN_STEPS)]
        axis.plot(shown["step"], shown["encoded"], color="0.2", label="encoder")
        axis.plot(shown["step"], shown["predicted"], color=by_label[one.label].colour)
        axis.plot(
            shown["step"],
            shown["sampled"],
            color=by_label[one.label].colour,
            linewidth=0.6,
            alpha=0.6,
        )
        axis.set(xlabel="step of the episode")
    panels.name_rows(axes, "first coordinate of z")
    _errors(axes[-1], exhibit, points)
    panels.notes(figure, axes[:-1], notes)
    panels.legend(figure, exhibit.series)
    (task,) = exhibit.tasks_at(data.scale)
    panels.caption(
        figure,
        f"{captions.heading(data)}, {task}. Along the episode, for one seed each: "
        "encoder (black) and model (thick: means; thin: samples), which starts at the encoder's "
        "mean of the first state and follows the recorded actions. Each seed has its own encoder, so "
        "units and ranges of z differ. Last panel: squared error of the model's "
        "means against the encoder's, averaged over all starting points in the episode and divided by "
        "the variance of the encoder's means along it (1: no better than their mean), so it is large if "
        "an encoder hardly distinguishes states; thin: each seed; with markers: their mean."
        f" All share one episode, of {data.policy}, without noise.{captions.sizes(data)}",
        data.runs,
    )
    return figure


def _errors(axis: Axes, exhibit: FigureExhibit, points: pd.DataFrame) -> None:
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
