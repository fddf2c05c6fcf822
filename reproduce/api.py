"""Notebook interface: stored curves as a data frame, comparisons, figures.

    import reproduce

    reproduce.load_curves(task="HalfCheetah", scale="paper")
    reproduce.compare("redq", "alm", task="HalfCheetah")
    reproduce.figure("5a", scale="laptop")

Nothing here needs torch, mujoco or MLflow.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import matplotlib.pyplot as plt

from alm.names import nearest
from alm.task_registry import task_spec
from alm.training.scale import SCALES, scale_named
from paper_figures.drawing import drawn, figures_named
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.comparison import Comparison
from reproduce.exhibits.coverage import nothing_shown
from reproduce.exhibits.kinds import BiasDefinition, FigureExhibit
from reproduce.exhibits.pooling import StoreMixError
from reproduce.exhibits.tidy import tidy_curves
from reproduce.lab.algorithms import ALGORITHMS, BASE, variant_named
from reproduce.lab.settings import canonical_variant
from reproduce.lab.specs import variant_parts
from reproduce.lab.store import default_store

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["compare", "figure", "load_curves"]


def load_curves(
    *,
    algorithm: str | None = None,
    variant: str | None = None,
    task: str | None = None,
    scale: str | None = None,
    own: bool = True,
) -> "pd.DataFrame":
    """The stored learning curves, one row per evaluation (`reproduce.exhibits.tidy.COLUMNS`).

    Args:
        algorithm: such as ``"alm"``; None: all.
        variant: such as ``"base"`` or ``"no-kl"``; None: all.
        task: such as ``"HalfCheetah"``; None: all.
        scale: ``"paper"`` or ``"laptop"``; None: all.
        own: whether to include the user's own runs.

    Raises:
        ValueError: the scale or task does not exist, the variant's settings are malformed, or neither the
            suite nor a stored run has the algorithm or variant.
    """
    store = default_store(own)
    if scale is not None:
        scale_named(scale)
    task = None if task is None else task_spec(task).name
    variant = None if variant is None else canonical_variant(variant)
    # A user's own algorithms and variants are known only by their runs.
    if (algorithm is not None or variant is not None) and not store.runs(
        algorithm=algorithm, variant=variant
    ):
        if algorithm is not None and "/" in algorithm:
            first, _, second = algorithm.partition("/")
            raise ValueError(f"{algorithm!r} is a variant: give algorithm={first!r} and variant={second!r}.")
        name = BASE.name if variant is None else variant_parts(variant)[0]
        known = [BASE.name, *(one for of in ALGORITHMS.values() for one in of.variants)]
        if algorithm is not None:
            variant_named(algorithm, name)
        elif name not in known:
            raise ValueError(f"There is no variant {name!r} of any algorithm{nearest(name, known)}.")
    return tidy_curves(store, algorithm=algorithm, variant=variant, task=task, scale=scale)


def compare(
    first: str,
    *others: str,
    task: str | Sequence[str],
    scale: str = "laptop",
    metric: Literal["return", "window"] = "return",
    own: bool = True,
) -> "pd.DataFrame":
    """Comparison of an algorithm or variant with others by their stored runs.

    One row per task and other side, and one per other side for all tasks: its ``task`` is ``"all"``, or
    ``"2 of 3"`` where a task is left out. Tasks, sides and seeds that are left out give a `UserWarning`.

    Unlike the command ``compare``, it does not count runs in training.

    Args:
        first: such as ``"redq"``, ``"alm/no-kl"`` or ``"alm/my-idea"``.
        others: algorithms or variants to compare it with, such as ``"alm"``; all are read at one step.
        task: one task or several.
        scale: scale of the runs.
        metric: ``"return"`` at the last common step, or ``"window"``, over the last tenth of the steps.
        own: whether to include the user's own runs.

    Raises:
        ValueError: a name is unknown, or no task has runs of the first side and of another.
        reproduce.exhibits.pooling.StoreMixError: the runs differ in protocol or simulator.
    """
    tasks = (task,) if isinstance(task, str) else tuple(task)
    comparison = Comparison.of([first, *others], tasks, scale, metric, default_store(own))
    for sentence in comparison.left_out:
        warnings.warn(sentence, UserWarning, stacklevel=2)
    return comparison.numbers()


def figure(
    name: str | int, scale: str = "paper", bias: BiasDefinition = "redq", own: bool = True
) -> "Figure":
    """A figure of the paper from the stored runs, closed in pyplot so that a notebook shows it once.

    Args:
        name: such as ``3``, ``"5a"`` or ``"figure5a"``, ``"authors"``, ``"field"``, ``"curves-sac"``.
        scale: scale of the runs; ignored by figures without runs or of several scales.
        bias: definition of the value bias in figures 4 and 8.
        own: whether to include the user's own runs.

    Raises:
        ValueError: the figure, scale or definition does not exist, nothing the figure shows is stored at this
            scale, or it is several pictures there.
    """
    full, *others = figures_named(str(name))
    if others:
        raise ValueError(f"{name} is several figures; name one of {', '.join((full, *others))}.")
    if bias not in (definitions := get_args(BiasDefinition)):
        raise ValueError(f"There is no bias {bias!r}; its definitions are {', '.join(definitions)}.")
    scale_named(scale)
    store = default_store(own)

    def closed(scale: str) -> "dict[str, Figure]":
        pictures = drawn(full, store, bias, scale=scale)
        for one in pictures:
            plt.close(one.figure)
        return {one.exhibit: one.figure for one in pictures}

    def shown(scale: str) -> bool:
        try:
            return bool(closed(scale))
        except StoreMixError:  # of which only who asks for that scale need hear
            return True

    if len(figures := closed(scale)) > 1:
        raise ValueError(f"{full} is several pictures at {scale} scale; name one of {', '.join(figures)}.")
    if figures:
        return figures.popitem()[1]
    there = ", ".join(other for other in SCALES if shown(other))
    elsewhere = f" ({there} has one)" if there else ""
    exhibit, why = EXHIBITS.get(full), "none of its runs is stored yet"
    if isinstance(exhibit, FigureExhibit):
        why = nothing_shown(exhibit, store, scale)
    raise ValueError(f"There is no picture of {full} at {scale} scale{elsewhere}: {why}")
