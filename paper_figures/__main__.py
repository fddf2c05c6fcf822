"""``python -m paper_figures NAME``: draw a figure from the stored runs into `results/figures/`."""

import sys
import warnings
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import tyro
from matplotlib.figure import Figure

from alm.training.scale import SCALES
from paper_figures import authors, efficiency, value_bias
from paper_figures.data import FigureData, figure_data
from paper_figures.style import save
from reproduce.algorithms import ALGORITHMS
from reproduce.exhibits import FIGURES, FigureExhibit, Series
from reproduce.published import authors_curves
from reproduce.store import Store, StoreMixError, StoreWarning

RESULTS = Path(__file__).resolve().parents[1] / "results"
_BY_NAME = {exhibit.name: exhibit for exhibit in FIGURES}

# tyro turns the names of these types into the choices of the command line.
Name = Literal["authors", "curves", "figure3", "figure4", "figure8", "figure9"]
Definition = Literal["redq", "paper", "per-state"]


def main(
    figure: Annotated[Name, tyro.conf.Positional],
    bias: Definition = "redq",
    store: Path = RESULTS / "runs",
    out: Path = RESULTS / "figures",
) -> int:
    """Draw a figure as PNG and PDF, with the plotted data as CSV beside it.

    NAME.png is of runs at paper scale, NAME-laptop.png of stored runs at laptop scale; scales never mix.

    Args:
        figure: authors (ALM over its authors' published curves), curves (learning curves, a file for each
            page of docs/algorithms), or the number of a figure of the paper.
        bias: Definition of the value bias in figures 4 and 8: redq (mean and deviation divided by
            |mean return|, at least 10), paper (without that floor), or per-state.
        store: Where finished runs are stored.
        out: Where the files go.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StoreWarning)
        try:
            if figure == "authors":
                drawn = _authors(Store(store))
            elif figure == "curves":
                drawn = _curves(Store(store))
            else:
                drawn = _exhibit(_BY_NAME[figure], Store(store), bias)
        except StoreMixError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    for message in dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, StoreWarning)):
        print(f"warning: {message}", file=sys.stderr)
    if not drawn:
        print(f"error: {store} holds no such run; train one, for instance with: make train", file=sys.stderr)
        return 2
    try:
        for name, (picture, points) in drawn.items():
            save(picture, out / name)
            points.to_csv(out / f"{name}.csv", index=False, lineterminator="\n", float_format="%.6g")
            print(f"wrote {out / name}.png, .pdf and .csv")
    except OSError as error:
        print(f"error: {out} cannot be written ({error.strerror}): name another --out", file=sys.stderr)
        return 2
    return 0


def _authors(store: Store) -> dict[str, tuple[Figure, pd.DataFrame]]:
    runs = authors.evaluations(store)
    return {} if runs.empty else {"authors": (authors.draw(runs, authors_curves()), runs)}


def _curves(store: Store) -> dict[str, tuple[Figure, pd.DataFrame]]:
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
                drawn[file] = (efficiency.draw(exhibit, scale, data, authors_curves()), data.points)
    return drawn


def _file_name(name: str, scale: str) -> str:
    return name if scale == "paper" else f"{name}-{scale}"


def _exhibit(exhibit: FigureExhibit, store: Store, definition: str) -> dict[str, tuple[Figure, pd.DataFrame]]:
    """The figure at paper scale, and at every other scale that has stored runs of it."""
    drawn = {}
    for scale in SCALES:
        if scale == "smoke":
            continue
        data = figure_data(exhibit, store, scale, definition)
        if scale == "paper" or len(data.points):
            drawn[_file_name(exhibit.name, scale)] = (_draw(exhibit, scale, data, definition), data.points)
    return drawn


def _draw(exhibit: FigureExhibit, scale: str, data: FigureData, definition: str) -> Figure:
    if exhibit.shows == "bias":
        return value_bias.draw(exhibit, scale, data, definition)
    return efficiency.draw(exhibit, scale, data, authors_curves())


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main))
