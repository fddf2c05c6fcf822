"""``python -m paper_figures NAME``: draw a figure from the stored runs into `results/figures/`."""

import sys
import warnings
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import tyro
from matplotlib.figure import Figure

from alm.training.scale import SCALES
from paper_figures import authors, final_return, latents, learning_curves, reward_transform, value_bias
from paper_figures.data import figure_data, latent_data
from paper_figures.style import save
from reproduce.exhibits import FIGURES, FigureExhibit, Series
from reproduce.running.algorithms import ALGORITHMS
from reproduce.storing.store import Store, StoreMixError, StoreWarning
from reproduce.tables.published import authors_curves

RESULTS = Path(__file__).resolve().parents[1] / "results"
_BY_NAME = {exhibit.name: exhibit for exhibit in FIGURES}
# Figures that are no exhibits made of runs.
_OTHERS = ("authors", "curves", "figure6")
NAMES = ("all", *sorted((*_BY_NAME, *_OTHERS)))

Drawn = dict[str, tuple[Figure, pd.DataFrame]]
"""Figures with the data they show, by file name without ending."""

# tyro turns the names of this type into the choices of the command line.
Definition = Literal["redq", "paper", "per-state"]


def main(
    figure: Annotated[str, tyro.conf.Positional],
    bias: Definition = "redq",
    mix: bool = False,
    store: Path = RESULTS / "runs",
    out: Path = RESULTS / "figures",
) -> int:
    """Draw a figure as PNG and PDF, with the plotted data as CSV beside it.

    NAME.png is of runs at paper scale, NAME-laptop.png of stored runs at laptop scale; scales never mix.

    Args:
        figure: figure3 to figure20, or a part such as figure5a; authors (ALM over its authors' published
            curves); curves (learning curves, a file for each page of docs/algorithms); or all of them.
        bias: Definition of the value bias in figures 4 and 8: redq (mean and deviation divided by
            |mean return|, at least 10), paper (without that floor), or per-state.
        mix: Draw runs of different task definitions or simulator versions together all the same; the caption
            says so.
        store: Where finished runs are stored.
        out: Where the files go.
    """
    names = NAMES[1:] if figure == "all" else (figure,)
    if unknown := set(names) - set(NAMES):
        known = ", ".join(NAMES)
        print(f"error: there is no figure {unknown.pop()!r}; the figures are {known}", file=sys.stderr)
        return 2
    return max(_draw_and_save(name, bias, mix, store, out) for name in names)


def _draw_and_save(name: str, bias: str, mix: bool, root: Path, out: Path) -> int:
    """Draw the files of one figure; returns the exit code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StoreWarning)
        try:
            drawn = _drawn(name, Store(root), bias, mix)
        except StoreMixError as error:
            print(f"error: {error} To draw them all the same: --mix", file=sys.stderr)
            return 2
    for message in dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, StoreWarning)):
        print(f"warning: {message}", file=sys.stderr)
    if not drawn:
        print(f"error: {root} holds no such run; train one, for instance with: make train", file=sys.stderr)
        return 2
    try:
        for file, (picture, points) in drawn.items():
            save(picture, out / file)
            points.to_csv(out / f"{file}.csv", index=False, lineterminator="\n", float_format="%.6g")
            print(f"wrote {out / file}.png, .pdf and .csv")
    except OSError as error:
        print(f"error: {out} cannot be written ({error.strerror}): name another --out", file=sys.stderr)
        return 2
    return 0


def _drawn(name: str, store: Store, bias: str, mix: bool) -> Drawn:
    if name == "authors":
        return _authors(store)
    if name == "curves":
        return _curves(store)
    if name == "figure6":
        points = reward_transform.values()
        return {name: (reward_transform.draw(points), points)}
    return _exhibit(_BY_NAME[name], store, bias, mix)


def _authors(store: Store) -> Drawn:
    runs = authors.evaluations(store)
    return {} if runs.empty else {"authors": (authors.draw(runs, authors_curves()), runs)}


def _curves(store: Store) -> Drawn:
    """Learning curves of the algorithms of each page, on every task that has stored runs of them."""
    pages: dict[str, list[Series]] = {}
    for name, algorithm in ALGORITHMS.items():
        pages.setdefault(algorithm.page, []).append(Series(algorithm.title, name))
    stored = {(run.spec.algorithm, run.spec.scale, run.spec.task) for run in store.runs()}
    drawn = {}
    for page, series in pages.items():
        for scale in SCALES:
            own = {(one.algorithm, scale) for one in series}
            tasks = tuple(sorted({task for *whose, task in stored if tuple(whose) in own}))
            if tasks:
                exhibit = FigureExhibit(
                    f"curves-{page}", None, "Learning curves", "return", tuple(series), tasks, tasks
                )
                data = figure_data(exhibit, store, scale, "redq")
                file = _file_name(exhibit.name, scale)
                drawn[file] = (learning_curves.draw(exhibit, scale, data, authors_curves()), data.points)
    return drawn


def _file_name(name: str, scale: str) -> str:
    return name if scale == "paper" else f"{name}-{scale}"


def _exhibit(exhibit: FigureExhibit, store: Store, definition: str, mix: bool) -> Drawn:
    """The figure at paper scale, and at every other scale that has stored runs of it."""
    drawn = {}
    for scale in SCALES:
        if scale == "smoke" or not exhibit.tasks_at(scale):
            continue
        picture, points = _at_scale(exhibit, store, scale, definition, mix)
        if scale == "paper" or len(points):
            drawn[_file_name(exhibit.name, scale)] = (picture, points)
    return drawn


def _at_scale(
    exhibit: FigureExhibit, store: Store, scale: str, definition: str, mix: bool
) -> tuple[Figure, pd.DataFrame]:
    if exhibit.shows == "latents":
        predictions = latent_data(exhibit, store, scale)
        return latents.draw(exhibit, scale, predictions), predictions.points
    data = figure_data(exhibit, store, scale, definition, mix)
    if exhibit.shows == "bias":
        return value_bias.draw(exhibit, scale, data, definition), data.points
    if exhibit.shows == "final return":
        return final_return.draw(exhibit, scale, data), final_return.final_returns(data.points)
    return learning_curves.draw(exhibit, scale, data, authors_curves()), data.points


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main))
