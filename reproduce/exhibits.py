"""Exhibits are data: what a table shows, what it reads from a run, and which runs it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from alm.training.scale import scale_named
from reproduce.specs import RunSpec

__all__ = ["EXHIBITS", "TABLE1", "Row", "TableExhibit"]


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
        tasks: columns, in the paper's order.
        steps: by scale, the environment steps (warm-up included) at which the metric is read; scales that
            are not named here are read at the end of their runs.
    """

    name: str
    number: Literal[1, 5]
    title: str
    metric: str
    rows: tuple[Row, ...]
    tasks: tuple[str, ...]
    steps: Mapping[str, int]

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
        seeds = scale_named(scale).seeds
        return [
            RunSpec(algorithm=row.algorithm, variant=row.variant, task=task, seed=seed, scale=scale)
            for row in self.rows
            if row.algorithm is not None
            for task in self.tasks
            for seed in seeds
        ]


TABLE1 = TableExhibit(
    name="table1",
    number=1,
    title="Mean evaluation return; the paper reads it at 200k environment steps",
    metric="eval/return",
    rows=(
        Row("ALM(3)", "this paper", algorithm="alm"),
        Row("SAC-SVG(2)", "model-based"),
        Row("SAC-SVG(3)", "model-based"),
        Row("SVG(1)", "model-based"),
        Row("SLBO", "model-based"),
        Row("TD3", "model-free", algorithm="td3"),
        Row("SAC", "model-free", algorithm="sac"),
    ),
    tasks=("T-Humanoid", "T-Ant", "HalfCheetah", "Walker2d", "Hopper"),
    steps=MappingProxyType({"paper": 200_000}),
)
"""Table 1: ALM(3) against model-based and model-free baselines on the five tasks of the benchmark."""

EXHIBITS: Mapping[str, TableExhibit] = MappingProxyType({TABLE1.name: TABLE1})
"""Every declared exhibit by name."""
