"""From the name of a figure to its pictures, one per scale that has runs, with their data."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType

from alm.errors import UserError
from alm.task_registry import TASKS
from paper_figures import (
    authors,
    field,
    final_return,
    latents,
    learning_curves,
    reward_transform,
    runtime,
    theory,
    value_bias,
)
from paper_figures.data import FigureData
from paper_figures.pictures import Picture
from reproduce.exhibits.catalogue import EXHIBITS, FIGURES, names_meant
from reproduce.exhibits.kinds import SHOWN_SCALES, BiasDefinition, Content, FigureExhibit, Series
from reproduce.exhibits.pooling import ProtocolMixError, StoreMixError, require_comparable
from reproduce.exhibits.sides import with_beside
from reproduce.exhibits.theory import read
from reproduce.lab.algorithms import ALGORITHMS, run_length_if_known
from reproduce.lab.places import RESULTS
from reproduce.lab.store import Store, StoreWarning


def figures_named(word: str) -> tuple[str, ...]:
    """The names of the figures that a word means: all parts of ``5``, say, or every figure for ``figures``.

    Raises:
        UserError: there is none; the message lists those that exist.
    """
    if word == "figures":
        return NAMES
    return names_meant(word, (*NAMES, *_PAGES), "figure", listed=(*NAMES, *_PAGES[:1], "…"))


def declaration(name: str, store: Store, beside: Sequence[str] = ()) -> FigureExhibit | None:
    """The declaration of a figure of runs, with curves of further methods; None: the figure has none.

    Args:
        name: one of those that `figures_named` gives.
        store: finished and partial runs.
        beside: methods such as ``"alm/my-idea"``, each with stored runs on a task of the figure.

    Raises:
        UserError: the figure is not of curves of returns, or a method cannot be added to it.
    """
    exhibit = EXHIBITS.get(name)
    figure = exhibit if isinstance(exhibit, FigureExhibit) else None
    if not beside:
        return figure
    if figure is None or figure.shows not in ("return", "return and runtime"):
        raise UserError(f"Curves can be added to figures of the paper's returns only, and {name} is none.")
    return with_beside(figure, beside, store)


_KINDS: Mapping[Content, ModuleType] = {
    "return": learning_curves,
    "return and runtime": runtime,
    "bias": value_bias,
    "final return": final_return,
    "latents": latents,
}
"""The module of each kind: its ``data`` reads what a figure shows at a scale, and ``draw`` draws that."""


def drawn(
    figure: str | FigureExhibit,
    store: Store,
    bias: BiasDefinition = "redq",
    mix: bool = False,
    scale: str | None = None,
) -> list[Picture]:
    """The pictures of a figure, one for each scale with enough stored runs to show.

    Args:
        figure: one of the names that `figures_named` gives, or a `declaration` with further curves, whose
            files are named ``…-beside`` and drawn only at scales at which one of these has runs and, unless
            it is someone's own, one of the figure's own that is worth a picture.
        store: finished and partial runs.
        bias: definition of the value bias in figures that show it.
        mix: whether a picture may combine runs of different protocols, in which case its caption says so.
        scale: the only scale to draw, besides pictures of no scale or of several; None: all.

    Raises:
        reproduce.exhibits.pooling.StoreMixError: the runs of one picture are of different protocols, and
            ``mix`` is off.
    """
    if isinstance(figure, str):
        found = EXHIBITS.get(figure)
        if not isinstance(found, FigureExhibit):
            return _undeclared(figure, store, mix, scale)
        figure = found
    file = f"{figure.name}-beside" if figure.beside else figure.name
    kind, pictures = _KINDS[figure.shows], []
    for one in SHOWN_SCALES:
        if scale not in (None, one) or not figure.has_panels(one):
            continue
        shown = tuple(series for series in figure.series if series.shown_at(one))
        data: FigureData = kind.data(replace(figure, series=shown, bias=bias), store, one)
        require_comparable(data.runs, mix)
        if figure.says_something(data.series):
            pictures.append(Picture(file, one, kind.draw(data), data.points))
    return pictures


def _undeclared(name: str, store: Store, mix: bool, scale: str | None) -> list[Picture]:
    """The pictures of a figure that is not declared as curves of certain runs."""
    if name == "figure6":
        points = reward_transform.values()
        return [Picture(name, "", reward_transform.draw(points), points)]
    if name in theory.FIGURES:
        return theory.pictures(read(RESULTS / "theory", name))
    if name not in ("field", "authors"):
        return _curves(name, store, mix, scale)
    # Published curves are of the paper's scale: the authors' have its networks and batches.
    if scale not in (None, "paper"):
        return []
    if name == "field":
        data = learning_curves.data(field.EXHIBIT, store, "paper")
        require_comparable(data.runs, mix)
        return [Picture(name, "paper", field.draw(data), data.points)] if data.runs else []
    points, runs = authors.data(store)
    require_comparable(runs, mix)
    return [Picture(name, "paper", authors.draw(runs), points)] if runs else []


def _page_name(page: str, family: str) -> str:
    """The name of the learning curves of a page's algorithms on one family of tasks."""
    return f"curves-{page}" if family == "v2" else f"curves-{page}-{family}"


def _curves(wanted: str, store: Store, mix: bool, only: str | None) -> list[Picture]:
    """Learning curves of the algorithms of each page, or of one, on every task with stored runs of them."""
    tasks: dict[tuple[str, str, str], set[str]] = {}
    for run in store.runs():
        algorithm = ALGORITHMS.get(run.spec.algorithm)
        # Where the curve of another version's scale or task ends is not known.
        if algorithm and run.spec.variant == "base" and run_length_if_known(run.spec) is not None:
            # A picture shows one family of tasks, which is the first part of their protocols.
            key = algorithm.page, run.protocol.partition("-")[0], run.spec.scale
            tasks.setdefault(key, set()).add(run.spec.task)
    pictures = []
    for (page, family, scale), own in sorted(tasks.items()):
        name = _page_name(page, family)
        if only not in (None, scale) or wanted not in ("curves", name):
            continue
        shown = tuple(sorted(own))
        series = tuple(Series(one.title, key) for key, one in ALGORITHMS.items() if one.page == page)
        title = ", ".join(one.label for one in series)
        if family != "v2":
            title = f"{title} on {family} tasks"
        exhibit = FigureExhibit(
            name=name,
            title="Learning curves",
            shows="return",
            series=series,
            tasks=shown,
            small_tasks=shown,
        )
        try:
            data = learning_curves.data(exhibit, store, scale)
            require_comparable(data.runs, mix)
        except StoreMixError as error:
            if wanted == name:
                raise
            # No reason to lose the other pages.
            forced = isinstance(error, ProtocolMixError)
            hint = " To draw it nevertheless: python -m reproduce figure curves --mix" if forced else ""
            warnings.warn(
                f"{name} at {scale} scale is left out: {error}{hint}",
                StoreWarning,
                stacklevel=2,
            )
            continue
        if not data.points.empty:
            pictures.append(Picture(name, scale, learning_curves.draw(data), data.points, title))
    return pictures


_PAGES = tuple(
    dict.fromkeys(
        _page_name(algorithm.page, task.family)
        for algorithm in ALGORITHMS.values()
        for task in TASKS.values()
    )
)
"""Names of single pages of learning curves."""


def _place(name: str) -> tuple[bool, int, str]:
    """The place of a figure among all: those with a number first, by that."""
    number = re.match(r"figure(\d+)", name)
    return number is None, int(number[1]) if number else 0, name


NAMES = tuple(
    sorted(
        {*(one.name for one in FIGURES), *theory.FIGURES, "authors", "curves", "field", "figure6"}, key=_place
    )
)
"""Names of all figures; ``curves`` has every page."""
