"""Notebook interface: curves, tables and claims as data frames, comparisons, figures, policies.

    import reproduce

    reproduce.load_curves(task="HalfCheetah", scale="paper")
    reproduce.compare("redq", "alm", task="HalfCheetah")
    reproduce.table(1)
    reproduce.claims("laptop")
    reproduce.figure("5a", scale="laptop")

docs/python.md explains every function. None needs torch, mujoco or MLflow, but for Tables 2 to 4, which are
made from the code, and `load_policy`.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import matplotlib.pyplot as plt

from alm.errors import UserError
from alm.training.scale import scale_named
from paper_figures.drawing import declaration, drawn, figures_named
from reproduce.exhibits.catalogue import table_named
from reproduce.exhibits.claims.verdicts import claims_table
from reproduce.exhibits.code_tables import CODE_TABLES
from reproduce.exhibits.comparison import Comparison
from reproduce.exhibits.coverage import nothing_shown
from reproduce.exhibits.kinds import SHOWN_SCALES, BiasDefinition, TableExhibit
from reproduce.exhibits.scores import score_table
from reproduce.exhibits.tidy import published_curves as published_curves
from reproduce.exhibits.tidy import tidy_curves
from reproduce.lab.places import RUNS
from reproduce.lab.plugins import load_plugin
from reproduce.lab.policies import find_policy
from reproduce.lab.selecting import wanted_runs
from reproduce.lab.store import default_store

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from reproduce.lab.playing import Actor


def load_curves(
    *,
    algorithm: str | None = None,
    variant: str | None = None,
    task: str | None = None,
    scale: str | None = None,
    columns: str | Sequence[str] = (),
    own: bool = True,
) -> "pd.DataFrame":
    """The stored learning curves, one row per evaluation (`reproduce.exhibits.tidy.COLUMNS`).

    Args:
        algorithm: such as ``"alm"``; None: all.
        variant: such as ``"base"`` or ``"no-kl"``; None: all.
        task: such as ``"HalfCheetah"``; None: all.
        scale: ``"paper"`` or ``"laptop"``; None: all.
        columns: further columns of the stored evaluations, such as ``"eval/length"``; NaN where a run lacks
            one.
        own: whether to include the user's own runs.

    Raises:
        UserError: the scale or task does not exist, the variant's settings are malformed, neither the suite
            nor a stored run has the algorithm or variant, or none of the runs has a column.
    """
    store = default_store(own)
    return tidy_curves(store, _each(columns), **wanted_runs(store, algorithm, variant, task, scale))


def compare(
    first: str,
    *others: str,
    task: str | Sequence[str],
    scale: str = "laptop",
    metric: Literal["return", "window", "area"] = "return",
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
        metric: ``"return"`` at the last common step; ``"window"``, its mean over the last tenth of the steps;
            or ``"area"``, its mean since the end of the longest warm-up, which says how fast a side learns.
        own: whether to include the user's own runs.

    Raises:
        UserError: a name is unknown, or no task has runs of the first side and of another.
        reproduce.exhibits.pooling.StoreMixError: the runs differ in protocol or simulator.
    """
    comparison = Comparison.of([first, *others], _each(task), scale, metric, default_store(own))
    for sentence in comparison.left_out:
        warnings.warn(sentence, UserWarning, stacklevel=2)
    return comparison.numbers()


def table(name: str | int, own: bool = True, beside: str | Sequence[str] = ()) -> "pd.DataFrame":
    """A table of the paper, one row per number with its seeds, step, protocol and source.

    Tables of texts, 2 to 4, have the rows and columns that they are printed with.

    Args:
        name: such as ``1``, ``"5"`` or ``"table1-mbbl"``.
        own: whether to include the user's own runs.
        beside: algorithms or variants that have a row, too, such as ``"alm/my-idea"``.

    Raises:
        UserError: there is no such table, or no such row can be added to it.
    """
    exhibit, store = table_named(str(name)), default_store(own)
    if isinstance(exhibit, TableExhibit):
        return score_table(exhibit, store, beside=_each(beside)).frame
    if beside:
        raise UserError("Rows can be added to tables of returns only, 1 and 5: leave beside out.")
    return CODE_TABLES[exhibit.name](store).frame


def claims(scale: str, own: bool = True) -> "pd.DataFrame":
    """The verdicts of the runs of a scale on the paper's claims, one row per comparison.

    Args:
        scale: scale of the runs.
        own: whether to include the user's own runs.

    Raises:
        UserError: the scale does not exist.
    """
    return claims_table(default_store(own), scale).frame


def figure(
    name: str | int,
    scale: str | None = None,
    bias: BiasDefinition = "redq",
    own: bool = True,
    beside: str | Sequence[str] = (),
) -> "Figure":
    """A figure of the paper from the stored runs, closed in pyplot so that a notebook shows it once.

    Args:
        name: such as ``3``, ``"5a"`` or ``"figure5a"``, ``"authors"``, ``"field"``, ``"curves-sac"``.
        scale: scale of the runs; None: paper, or laptop if the runs at paper scale make no picture. Ignored
            by figures without runs or of several scales.
        bias: definition of the value bias in figures 4 and 8.
        own: whether to include the user's own runs.
        beside: algorithms or variants with a curve in a figure of returns, too, such as ``"alm/my-idea"``.

    Raises:
        UserError: the figure, scale or definition does not exist, nothing the figure shows is stored, it is
            several pictures, or no such curve can be added to it.
        reproduce.exhibits.pooling.StoreMixError: its runs differ in protocol or simulator.
    """
    full, *others = figures_named(str(name))
    if others:
        raise UserError(f"{name} is several figures; name one of {', '.join((full, *others))}.")
    if bias not in (definitions := get_args(BiasDefinition)):
        raise UserError(f"There is no bias {bias!r}; its definitions are {', '.join(definitions)}.")
    if scale is not None:
        scale_named(scale)
    store, scales = default_store(own), SHOWN_SCALES if scale is None else (scale,)
    exhibit = declaration(full, store, _each(beside))
    for one in scales:
        pictures = drawn(exhibit or full, store, bias, scale=one)
        for picture in pictures:
            plt.close(picture.figure)
        if len(pictures) > 1:
            names = ", ".join(picture.exhibit for picture in pictures)
            raise UserError(f"{full} is several pictures at {one} scale; name one of {names}.")
        if pictures:
            return pictures[0].figure
    where = f" at {scale} scale" if scale else ""
    why = "no such run is stored"
    if exhibit is not None:
        why = "; ".join(nothing_shown(exhibit, store, one) for one in scales)
    raise UserError(f"There is no picture of {full}{where}: {why}")


def load_policy(
    algorithm: str,
    task: str,
    *,
    variant: str = "base",
    scale: str | None = None,
    seed: int | None = None,
    kind: Literal["last", "best"] | None = None,
    plugin: str | Path | None = None,
) -> "Actor":
    """A trained policy, whose method ``act`` gives the greedy action at an observation (imports torch).

    What is None defaults to what exists: the largest scale, the smallest seed, the last policy.

    Args:
        algorithm: such as ``"td3"``.
        task: such as ``"Hopper"``.
        variant: such as ``"no-kl"``.
        scale: scale of the run.
        seed: seed of the run.
        kind: ``"last"``, of the end of training, or ``"best"``, of the best evaluation.
        plugin: the Python file that declares the variant or algorithm, if it is the user's own.

    Raises:
        UserError: there is no such policy, or it is damaged or of another version of the code.
    """
    from reproduce.lab.playing import Actor

    declared = load_plugin(Path(plugin)) if plugin else None
    found = find_policy(
        default_store(),
        RUNS,
        algorithm=algorithm,
        task=task,
        variant=variant,
        scale=scale,
        seed=seed,
        kind=kind,
        plugin=declared,
    )
    return Actor.of(found, declared)


def _each(names: str | Sequence[str]) -> tuple[str, ...]:
    """One name or several."""
    return (names,) if isinstance(names, str) else tuple(names)
