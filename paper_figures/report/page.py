"""The page: a summary, exhibits, claims, the theory, learning curves, policies, every stored run.

A template renders what `contents` collects. Style and script are embedded in the page.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from alm.training.scale import SCALES
from paper_figures.report.entries import (
    Entry,
    address,
    claims_entry,
    curve_entries,
    exhibit_entry,
    theory_entries,
)
from paper_figures.report.runs import CURVE_BOX, configuration, curve, origin
from reproduce.exhibits import gallery
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.kinds import SHOWN_SCALES, BiasDefinition
from reproduce.exhibits.writing import with_minus
from reproduce.lab.algorithms import run_length_if_known
from reproduce.lab.store import STATUSES, Store, StoredRun

STEPS = len(EXHIBITS) + 2
"""Number of steps that `contents` announces."""


def contents(
    store: Store, bias: BiasDefinition, theory: Path, clips: Path, begin: Callable[[str], None]
) -> dict[str, Any]:
    """Everything that the page shows of a store, by the names of the template.

    Args:
        store: stored runs.
        bias: definition of the value bias in figures that show it.
        theory: directory of the checks of the theory.
        clips: directory of clips and cards of policies.
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
    return {
        "scales": [_summary(scale, runs, claims.get(scale)) for scale in (*SHOWN_SCALES, *others)],
        "tables": [entry for entry in entries if entry.name.startswith("table")],
        "figures": [entry for entry in entries if entry.name.startswith("figure")],
        "claims": list(claims.values()),
        "theory": theory_entries(theory),
        "curves": curve_entries(store),
        "clips": gallery.shown(gallery.cards(clips)),
        "runs": runs,
    }


def _place(name: str) -> tuple[int, str]:
    """Sort key: number, then part; exhibits that the paper lacks come last."""
    number = re.search(r"(\d+)(.*)", name)
    return (int(number[1]), number[2]) if number else (len(EXHIBITS), name)


def _summary(scale: str, runs: Sequence[StoredRun], claims: Entry | None) -> dict[str, Any]:
    """The stored runs of a scale in numbers; hours are per seed, as far as known."""
    own = [run for run in runs if run.spec.scale == scale]
    statuses = Counter(run.status for run in own)
    known = [hours for run in own if not math.isnan(hours := run.seed_hours)]
    return {
        "scale": scale,
        "about": SCALES[scale].summary if scale in SCALES else "a scale that this version does not know",
        "runs": len(own),
        "statuses": {status: statuses[status] for status in STATUSES if statuses[status]},
        "hours": sum(known),
        "untimed": len(own) - len(known),
        "verdicts": claims.verdicts if claims else {},
    }


def page(found: dict[str, Any], warnings: Sequence[str]) -> str:
    """The page as HTML; the same contents give the same text.

    Args:
        found: its `contents`.
        warnings: what is left out of it, and why, one sentence each.
    """
    environment = Environment(
        loader=PackageLoader("paper_figures.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "minus": with_minus,
        "address": address,
        "caption": gallery.caption,
        "policy_origin": gallery.origin,
        "curve": curve,
        "origin": origin,
        "configuration": configuration,
        "total_steps": run_length_if_known,
    }
    template = environment.get_template("report.html")
    return template.render(page=found, warnings=warnings, curve_box=CURVE_BOX, no_clip=gallery.NOTHING)


def _number(value: float, form: str = ",.0f", factor: float = 1.0) -> str:
    """A formatted number; a dash if unknown."""
    return "–" if math.isnan(value) else with_minus(format(value * factor, form))
