"""Exhibits are data: what a table shows, what it reads from a run, and which runs it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reproduce.specs import RunSpec

__all__ = ["EXHIBITS", "TABLE1", "ReadOut", "Row", "TableExhibit"]


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
class ReadOut:
    """How the runs of one scale are read.

    Attributes:
        seeds: how many seeds a complete cell has; they are 0, 1, …, seeds − 1.
        step: environment steps, warm-up included, at which the metric is read; None reads the end of
            the finished runs, whose last stored evaluation is at the scale's horizon.
    """

    seeds: int
    step: int | None = None


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
        read_outs: by scale; scales not named here are read by ``default_read_out``.
        default_read_out: for every other scale.
    """

    name: str
    number: int
    title: str
    metric: str
    rows: tuple[Row, ...]
    tasks: tuple[str, ...]
    read_outs: Mapping[str, ReadOut]
    default_read_out: ReadOut

    def read_out(self, scale: str) -> ReadOut:
        """How runs of ``scale`` are read."""
        return self.read_outs.get(scale, self.default_read_out)

    def needs(self, scale: str) -> list[RunSpec]:
        """Every run that the measured block of ``scale`` is made of, row by row."""
        return [
            RunSpec(algorithm=row.algorithm, variant=row.variant, task=task, seed=seed, scale=scale)
            for row in self.rows
            if row.algorithm is not None
            for task in self.tasks
            for seed in range(self.read_out(scale).seeds)
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
        Row("TD3", "model-free"),
        Row("SAC", "model-free"),
    ),
    tasks=("T-Humanoid", "T-Ant", "HalfCheetah", "Walker2d", "Hopper"),
    read_outs=MappingProxyType({"paper": ReadOut(seeds=5, step=200_000), "smoke": ReadOut(seeds=1)}),
    default_read_out=ReadOut(seeds=3),
)
"""Table 1: ALM(3) against model-based and model-free baselines on the five tasks of the benchmark."""

EXHIBITS: Mapping[str, TableExhibit] = MappingProxyType({TABLE1.name: TABLE1})
"""Every declared exhibit by name."""
