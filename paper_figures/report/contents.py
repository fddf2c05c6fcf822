"""Contents of the page: a summary, exhibits, claims, the theory, learning curves, every stored run."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alm.training.scale import SCALES
from paper_figures.report.entries import (
    Entry,
    claims_entry,
    clips_entry,
    curve_entries,
    exhibit_entry,
    theory_entries,
)
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.kinds import SHOWN_SCALES, BiasDefinition
from reproduce.lab.store import STATUSES, Store, StoredRun

STEPS = len(EXHIBITS) + 2
"""Number of steps that `contents` announces."""


@dataclass(frozen=True)
class ScaleSummary:
    """The stored runs of a scale in numbers.

    Attributes:
        scale: name of the scale.
        about: its description, in half a line.
        runs: number of runs.
        statuses: number of runs by status, without zeros.
        hours: total hours per seed, as far as known.
        untimed: number of runs whose hours are unknown.
        verdicts: number of claims by verdict; empty if claims could not be checked.
    """

    scale: str
    about: str
    runs: int
    statuses: Mapping[str, int]
    hours: float
    untimed: int
    verdicts: Mapping[str, int]


@dataclass(frozen=True)
class Contents:
    """The whole page."""

    scales: tuple[ScaleSummary, ...]
    tables: tuple[Entry, ...]
    figures: tuple[Entry, ...]
    claims: tuple[Entry, ...]
    theory: tuple[Entry, ...]
    curves: tuple[Entry, ...]
    policies: Entry
    runs: tuple[StoredRun, ...]


def contents(
    store: Store,
    bias: BiasDefinition,
    theory: Path,
    gallery: Path,
    begin: Callable[[str], None] = lambda what: None,
) -> Contents:
    """Everything that the page shows of a store.

    Args:
        store: stored runs.
        bias: definition of the value bias in figures that show it.
        theory: directory of the checks of the theory.
        gallery: directory of clips and cards of policies.
        begin: called with the name of each of the `STEPS` as it begins.
    """
    runs = store.runs()
    begin("claims")
    claims = {scale: claims_entry(store, scale) for scale in SHOWN_SCALES}
    entries = []
    for name in sorted(EXHIBITS, key=_place):
        begin(name)
        entries.append(exhibit_entry(EXHIBITS[name], store, bias))
    begin("theory and learning curves")
    others = sorted({run.spec.scale for run in runs} - set(SHOWN_SCALES))
    return Contents(
        scales=tuple(_summary(scale, runs, claims.get(scale)) for scale in (*SHOWN_SCALES, *others)),
        tables=tuple(entry for entry in entries if entry.name.startswith("table")),
        figures=tuple(entry for entry in entries if entry.name.startswith("figure")),
        claims=tuple(claims.values()),
        theory=tuple(theory_entries(theory)),
        curves=tuple(curve_entries(store)),
        policies=clips_entry(gallery),
        runs=tuple(runs),
    )


def _place(name: str) -> tuple[int, str]:
    """Sort key: number, then part; exhibits that the paper lacks come last."""
    number = re.search(r"(\d+)(.*)", name)
    return (int(number[1]), number[2]) if number else (len(EXHIBITS), name)


def _summary(scale: str, runs: Sequence[StoredRun], claims: Entry | None) -> ScaleSummary:
    own = [run for run in runs if run.spec.scale == scale]
    statuses = Counter(run.status for run in own)
    known = [hours for run in own if not math.isnan(hours := run.seed_hours)]
    return ScaleSummary(
        scale=scale,
        about=SCALES[scale].summary if scale in SCALES else "a scale that this version does not know",
        runs=len(own),
        statuses={status: statuses[status] for status in STATUSES if statuses[status]},
        hours=sum(known),
        untimed=len(own) - len(known),
        verdicts=claims.verdicts if claims else {},
    )
