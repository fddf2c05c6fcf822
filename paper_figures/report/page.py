"""The page: its contents rendered by a template. Style and script are embedded in the page."""

import math
from collections.abc import Sequence
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined

from paper_figures.report.contents import Contents
from paper_figures.report.entries import address
from paper_figures.report.runs import CURVE_BOX, configuration, curve, origin
from reproduce.exhibits import gallery
from reproduce.exhibits.table import Row
from reproduce.exhibits.writing import with_minus
from reproduce.lab.algorithms import run_length_if_known


def page(contents: Contents, warnings: Sequence[str]) -> str:
    """The page as HTML; the same contents give the same text.

    Args:
        contents: the contents.
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
        "neighbours": _neighbours,
        "address": address,
        "caption": gallery.caption,
        "policy_origin": gallery.origin,
        "curve": curve,
        "origin": origin,
        "configuration": configuration,
        "total_steps": run_length_if_known,
    }
    template = environment.get_template("report.html")
    return template.render(page=contents, warnings=warnings, curve_box=CURVE_BOX)


def _number(value: float, form: str = ",.0f", factor: float = 1.0) -> str:
    """A formatted number; a dash if unknown."""
    return "–" if math.isnan(value) else with_minus(format(value * factor, form))


def _neighbours(rows: Sequence[Row]) -> list[list[Row]]:
    """Consecutive rows of one group."""
    return [list(group) for _, group in groupby(rows, key=lambda row: row.group)]
