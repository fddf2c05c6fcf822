"""Exhibits are data: what a table or figure shows, what it reads from a run, and which runs it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, Protocol

from alm.training.scale import scale_named
from reproduce.specs import RunSpec

__all__ = [
    "EXHIBITS",
    "FIGURES",
    "TABLE1",
    "TABLE1_MBBL",
    "Exhibit",
    "FigureExhibit",
    "Row",
    "Series",
    "TableExhibit",
]


class Exhibit(Protocol):
    """Anything that is regenerated from stored runs."""

    @property
    def name(self) -> str:
        """The exhibit's name, such as ``"table1"``."""

    def needs(self, scale: str) -> list[RunSpec]:
        """Every run that it is made of at a scale."""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        label: the name that the paper prints.
        group: rows of one group stand together.
        algorithm: registered name; None where the suite has no such algorithm, so that the row has
            printed numbers only and needs no runs.
        variant: variant of ``algorithm``.
    """

    label: str
    group: str
    algorithm: str | None = None
    variant: str = "base"


@dataclass(frozen=True)
class TableExhibit:
    """A table of algorithms by tasks.

    Attributes:
        name: the exhibit's name, such as ``"table1"``.
        number: number of the table in the paper.
        title: one line above the table.
        metric: column of the stored evaluations that the cells show.
        rows: algorithms, in the paper's order.
        columns: tasks on which runs are measured, by the paper's name of the column, in its order.
        steps: by scale, the environment steps (warm-up included) at which the metric is read; scales that
            are not named here are read at the end of their runs.
    """

    name: str
    number: Literal[1, 5]
    title: str
    metric: str
    rows: tuple[Row, ...]
    columns: Mapping[str, str]
    steps: Mapping[str, int]

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of the columns."""
        return tuple(self.columns.values())

    def step(self, scale: str, task: str) -> int:
        """Environment steps at which runs of ``scale`` on ``task`` are read.

        Raises:
            UnknownScaleError: there is no such scale.
        """
        return self.steps.get(scale) or scale_named(scale).training(task).total_steps

    def needs(self, scale: str) -> list[RunSpec]:
        """Every run that the measured block of ``scale`` is made of, row by row, with the scale's seeds.

        Raises:
            UnknownScaleError: there is no such scale.
        """
        return _runs(self.rows, self.tasks, scale)


@dataclass(frozen=True)
class Series:
    """One curve of a figure, the same in all its panels.

    Attributes:
        label: name in the legend.
        algorithm: registered name.
        variant: variant of ``algorithm``.
        estimate: in figures of the value bias, the estimate that is plotted.
    """

    label: str
    algorithm: str
    variant: str = "base"
    estimate: str = ""


@dataclass(frozen=True)
class FigureExhibit:
    """A figure of curves over training, one panel a task.

    Attributes:
        name: the exhibit's name, such as ``"figure3"``.
        number: number of the figure in the paper; None if the paper has no such figure.
        title: what it shows, in one line.
        shows: ``"return"`` (against steps), ``"return and runtime"`` (also against wall-clock, with
            seconds per step) or ``"bias"`` (mean and deviation of the value bias).
        series: curves, in the order of the legend.
        tasks: panels at paper scale.
        small_tasks: panels at every other scale, whose grid has fewer tasks.
    """

    name: str
    number: int | None
    title: str
    shows: Literal["return", "return and runtime", "bias"]
    series: tuple[Series, ...]
    tasks: tuple[str, ...]
    small_tasks: tuple[str, ...]

    @property
    def heading(self) -> str:
        """How a caption begins."""
        return self.title if self.number is None else f"Figure {self.number}"

    def tasks_at(self, scale: str) -> tuple[str, ...]:
        """The panels at a scale."""
        return self.tasks if scale == "paper" else self.small_tasks

    def needs(self, scale: str) -> list[RunSpec]:
        """Every run that the figure is made of at ``scale``, series by series, with the scale's seeds.

        Raises:
            UnknownScaleError: there is no such scale.
        """
        return _runs(self.series, self.tasks_at(scale), scale)


def _runs(sources: Sequence[Row | Series], tasks: Sequence[str], scale: str) -> list[RunSpec]:
    """One run a source, task and seed; sources without an algorithm have none."""
    specs = [
        RunSpec(algorithm=source.algorithm, variant=source.variant, task=task, seed=seed, scale=scale)
        for source in sources
        if source.algorithm is not None
        for task in tasks
        for seed in scale_named(scale).seeds
    ]
    return list(dict.fromkeys(specs))


TABLE1 = TableExhibit(
    name="table1",
    number=1,
    title="Mean evaluation return; the paper reads it at 200k environment steps",
    metric="eval/return",
    rows=(
        Row("ALM(3)", "this paper", algorithm="alm"),
        Row("SAC-SVG(2)", "model-based", algorithm="sac-svg2"),
        Row("SAC-SVG(3)", "model-based", algorithm="sac-svg3"),
        Row("SVG(1)", "model-based", algorithm="svg"),
        Row("SLBO", "model-based"),  # needs rewards that are functions of observations: see TABLE1_MBBL
        Row("TD3", "model-free", algorithm="td3"),
        Row("SAC", "model-free", algorithm="sac"),
    ),
    columns=MappingProxyType(
        {task: task for task in ("T-Humanoid", "T-Ant", "HalfCheetah", "Walker2d", "Hopper")}
    ),
    steps=MappingProxyType({"paper": 200_000}),
)
"""Table 1: ALM(3) against model-based and model-free baselines on the five tasks of the benchmark."""

TABLE1_MBBL = replace(
    TABLE1,
    name="table1-mbbl",
    rows=tuple(replace(row, algorithm="slbo") if row.label == "SLBO" else row for row in TABLE1.rows),
    title="Mean evaluation return on the tasks of Wang et al. (2019), the source of most printed baselines",
    columns=MappingProxyType(
        {
            "T-Humanoid": "mbbl/Humanoid-ET",
            "T-Ant": "mbbl/Ant-ET",
            "HalfCheetah": "mbbl/HalfCheetah",
            "Walker2d": "mbbl/Walker2d-ET",
            "Hopper": "mbbl/Hopper-ET",
        }
    ),
)
"""Table 1 with every row, ALM's included, on the tasks that its rows SVG(1) and SLBO were measured on."""

_EFFICIENCY = (
    Series("ALM(3)", "alm"),
    Series("REDQ", "redq"),
    Series("MBPO", "mbpo"),
    Series("SAC", "sac"),
    Series("TD3", "td3"),
)
_ALM_BOUND = Series("ALM(3), lower bound", "alm", estimate="lower_bound")
_REDQ_MEAN = Series("REDQ", "redq", estimate="mean_q")

# The paper does not name the tasks of Figures 3, 4 and 9; its text discusses Ant and Humanoid for Figure 3
# and names Ant and Walker2d for Figure 8.
FIGURES = (
    FigureExhibit(
        name="figure3",
        number=3,
        title="Sample efficiency and runtime against ensembles",
        shows="return and runtime",
        series=_EFFICIENCY,
        tasks=("Ant", "HalfCheetah", "Humanoid"),
        small_tasks=("HalfCheetah", "Hopper"),
    ),
    FigureExhibit(
        name="figure4",
        number=4,
        title="Bias of the value estimate and its deviation",
        shows="bias",
        series=(_ALM_BOUND, _REDQ_MEAN, Series("SAC-AVG", "sac-avg", estimate="mean_q")),
        tasks=("Ant", "Walker2d"),
        small_tasks=("HalfCheetah", "Hopper"),
    ),
    FigureExhibit(
        name="figure8",
        number=8,
        title="Bias of the lower bound, of the critics alone, and of REDQ",
        shows="bias",
        series=(_ALM_BOUND, Series("ALM(3), min Q", "alm", estimate="min_q"), _REDQ_MEAN),
        tasks=("Ant", "Walker2d"),
        small_tasks=("HalfCheetah", "Hopper"),
    ),
    FigureExhibit(
        name="figure9",
        number=9,
        title="Sample efficiency on the other tasks",
        shows="return",
        series=_EFFICIENCY,
        tasks=("Walker2d", "Hopper"),
        small_tasks=("Walker2d", "Hopper"),
    ),
)

EXHIBITS: Mapping[str, Exhibit] = MappingProxyType({e.name: e for e in (TABLE1, TABLE1_MBBL, *FIGURES)})
"""Every declared exhibit by name."""
