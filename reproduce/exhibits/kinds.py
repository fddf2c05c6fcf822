"""Exhibits: tables of scores, figures of curves, and those that are made of no runs."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from alm.training.scale import SCALES, scale_named
from reproduce.lab.algorithms import ALGORITHMS, BASE, run_length
from reproduce.lab.published import Footnote
from reproduce.lab.specs import RunSpec, method_name, variant_parts

SHOWN_SCALES = tuple(name for name in SCALES if name != "smoke")
"""Scales at which exhibits are made; nothing is learned at the other."""
READ_OUT = 200_000
"""Environment steps, including warm-up, at which the paper reads its tables."""


@dataclass(frozen=True)
class Series:
    """One curve of a figure, the same in all its panels, one row of a table, or one side of a comparison.

    Attributes:
        label: name in the legend or in the paper's table.
        algorithm: registered name.
        variant: variant of ``algorithm``.
        estimate: the plotted estimate, in figures of the value bias.
        noise: noise added to the panel's task, such as ``"obsnoise-0.1"``; empty: none.
        level: position on an ordered scale, such as a coefficient; None in figures without one.
        group: rows of one group are kept together, in tables.
        why_none: the reason why it has no runs, in a table on whose tasks it cannot be trained.
        remark: footnote of a row's measured cells.
        only_at: the only scales at which it is shown, if it is added to what the paper shows; empty: all.
        size: the size of its networks in words, if it is smaller than the paper's at any scale.
    """

    label: str
    algorithm: str
    variant: str = "base"
    estimate: str = ""
    noise: str = ""
    level: float | None = None
    group: str = ""
    why_none: Footnote | None = None
    remark: Footnote | None = None
    only_at: tuple[str, ...] = ()
    size: str = ""

    @property
    def command_name(self) -> str:
        """Its name on the command line: ``"sac"``, ``"alm/no-kl"``."""
        return method_name(self.algorithm, self.variant)

    @property
    def of_suite(self) -> bool:
        """Whether it is an algorithm or variant of the suite, with its settings, not someone's own."""
        known, parts = ALGORITHMS.get(self.algorithm), variant_parts(self.variant)
        return known is not None and not parts.settings and parts.name in (BASE.name, *known.variants)

    @property
    def unchanged(self) -> bool:
        """Whether it is unchanged ALM, the reference of most figures."""
        return (self.algorithm, self.variant, self.noise) == ("alm", "base", "")

    @property
    def added(self) -> bool:
        """Whether it is added to what the paper's exhibit shows."""
        return bool(self.only_at)

    def shown_at(self, scale: str) -> bool:
        """Whether it is a row or curve of what is measured at a scale."""
        return not self.only_at or scale in self.only_at

    def measured_at(self, scale: str) -> bool:
        """Whether it is, and can have runs."""
        return self.why_none is None and self.shown_at(scale)

    def task(self, panel: str) -> str:
        """The task of the runs in a panel: the panel's task, with the series' noise."""
        return f"{panel}-{self.noise}" if self.noise else panel


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A table or figure; without series, one that is made of no runs but of a formula, or the code itself.

    Attributes:
        name: the exhibit's name, such as ``"table1"``, ``"figure5a"`` or ``"figure17-dynamics"``.
        title: what it shows, in one line.
        series: its rows, in the paper's order, or its curves, in the order of the legend.
        beside: those of its series that someone adds.
    """

    name: str
    title: str
    series: tuple[Series, ...] = ()
    beside: tuple[Series, ...] = ()

    @property
    def heading(self) -> str:
        """Its number in the paper and what its name adds, ``"Figure 17, dynamics"``; empty without number."""
        found = re.match(r"(table|figure)(\d.*)", self.name)
        return f"{found[1].capitalize()} {found[2].replace('-', ', ')}" if found else ""

    def tasks_at(self, scale: str) -> tuple[str, ...]:
        """The tasks, without noise, that are measured at a scale."""
        del scale
        return ()

    def end(self, spec: RunSpec) -> int:
        """Environment steps at which a run is read: the end of its row or curve."""
        return run_length(spec)

    def needs(self, scale: str) -> dict[RunSpec, int]:
        """Every run that it reads at a scale, series by series, each with the step at which it is read.

        A run that has reached this step is complete for it.

        Raises:
            UserError: there is no such scale.
        """
        specs = (
            RunSpec(algorithm=one.algorithm, variant=one.variant, task=one.task(task), seed=seed, scale=scale)
            for one in self.series
            if one.measured_at(scale)
            for task in self.tasks_at(scale)
            for seed in scale_named(scale).seeds
        )
        return {spec: self.end(spec) for spec in specs}


@dataclass(frozen=True, kw_only=True)
class TableExhibit(Exhibit):
    """A table of methods by tasks.

    Attributes:
        number: number of the paper's table with its printed scores; None if the paper has no such table.
        columns: tasks on which runs are measured, by the paper's column names, in its order.
        extras: tasks that the paper's table lacks, measured only at scales other than the paper's.
    """

    number: Literal[1, 5] | None
    columns: Mapping[str, str]
    extras: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of all columns."""
        return (*self.columns.values(), *self.extras)

    def tasks_at(self, scale: str) -> tuple[str, ...]:
        """The tasks that are measured at a scale."""
        return tuple(self.columns.values()) if scale == "paper" else self.tasks

    def step(self, scale: str) -> int:
        """Environment steps at which runs of a scale are read: its end, or `READ_OUT` at the paper's.

        Raises:
            UserError: there is no such scale.
        """
        return scale_named(scale).total_steps or READ_OUT

    def end(self, spec: RunSpec) -> int:
        """Environment steps at which a run is read."""
        return self.step(spec.scale)


class Metric(NamedTuple):
    """A column of the stored evaluations, its axis label, and the column that replaces it if absent."""

    column: str
    label: str
    otherwise: str = ""


BiasDefinition = Literal["redq", "paper", "per-state", "authors"]
"""Definition of the value bias (`alm.training.bias.DEFINITIONS`)."""

Content = Literal["return", "return and runtime", "bias", "final return", "latents"]
_BESIDE_EVALUATIONS: Mapping[Content, str] = {
    "bias": "value estimates, which are measured only during training",
    "latents": "predictions, which python -m reproduce latents measures from their last checkpoints",
}


@dataclass(frozen=True, kw_only=True)
class FigureExhibit(Exhibit):
    """A figure of curves over training, one panel per task.

    Attributes:
        shows: ``"return"`` (against steps), ``"return and runtime"`` (also against wall-clock, with
            seconds per step), ``"bias"`` (mean and deviation of the value bias), ``"final return"``
            (against the level of the series) or ``"latents"`` (predicted and encoded representations).
        tasks: panels at paper scale.
        small_tasks: panels at other scales, which have fewer; may be empty.
        beneath: a training metric drawn in a second row; None: there is one row.
        bias: definition of the value bias, in figures that show it.
        read_out: environment steps at which it compares, where its curves end; None: the end of their runs.
    """

    shows: Content
    tasks: tuple[str, ...]
    small_tasks: tuple[str, ...]
    beneath: Metric | None = None
    bias: BiasDefinition = "redq"
    read_out: int | None = None

    def tasks_at(self, scale: str) -> tuple[str, ...]:
        """The panels at a scale."""
        return self.tasks if scale == "paper" else self.small_tasks

    @property
    def beside_evaluations(self) -> str:
        """Data that it reads besides evaluations, and when they are measured, in words; empty if none."""
        return _BESIDE_EVALUATIONS.get(self.shows, "")

    @property
    def telling(self) -> tuple[Series, ...]:
        """The series of its own of which a picture needs at least one to be worth drawing.

        In a comparison of returns, unchanged ALM alone is not: figure after figure would show the same curve.
        Nor are other algorithms alone where variants of ALM are the point, nor what the paper shows where
        the figure has more. A bias can be compared with zero, and predictions with the encoded states.
        """
        series = tuple(one for one in self.series if one not in self.beside)
        if self.shows in ("bias", "latents"):
            return series
        if added := tuple(one for one in series if one.added):
            return added
        variants = tuple(one for one in series if one.algorithm == "alm" and not one.unchanged)
        return variants or tuple(one for one in series if not one.unchanged) or series

    def has_panels(self, scale: str) -> bool:
        """Whether a picture at a scale could be worth drawing, given runs."""
        shown = [one for one in self.series if one.shown_at(scale)]
        return bool(self.tasks_at(scale)) and self.says_something(shown)

    def says_something(self, series: Collection[Series]) -> bool:
        """Whether a picture of only these series is worth drawing.

        Where some are added, it needs one of them; someone's own method may stand beside any other.
        """
        there = [one for one in self.beside if one in series]
        if self.beside and not there:
            return False
        if not all(one.of_suite for one in there):
            return True
        return any(one in self.telling for one in series)

    def end(self, spec: RunSpec) -> int:
        """Environment steps at which the curve of a run ends."""
        return self.read_out or run_length(spec)
