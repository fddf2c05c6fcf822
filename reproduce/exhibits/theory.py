"""The theory's exhibits as `results/theory/` stores them: their rows, tables, and parts of docs/theory.md."""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from alm.theory.results import DOCUMENT_TABLES, Exhibits, document_tables
from reproduce.exhibits.table import Table
from reproduce.exhibits.writing import markdown_grid

__all__ = ["TITLES", "blocks", "read", "tables"]

TITLES = {
    "theory-statements": "What the paper states, checked on finite MDPs",
    "theory-counterexamples": "Counterexamples for pen and paper",
}
"""Exhibits that are tables, with what each shows."""

_NOTES = {
    "theory-statements": (
        "Violations count MDPs times K. “Does not hold as printed” is said of what the paper prints, "
        "“does not hold” of readings that it does not claim."
    ),
    "theory-counterexamples": "Left and right are the two sides of the claim.",
}
_NUMBER = re.compile(r"[+−]?(\d[\d.,]*(e[+−]\d+)?|∞)( %)?|–")


def read(folder: Path) -> Exhibits:
    """Rows of every exhibit that ``folder`` holds, by name; as `alm.theory.results.run` returned them."""
    return {
        path.stem: pd.read_csv(path, keep_default_na=False).to_dict("records")
        for path in sorted(folder.glob("*.csv"))
    }


def tables(exhibits: Exhibits) -> dict[str, Table]:
    """Statements and counterexamples by name, of those exhibits that there are."""
    found = {name: of for name, of in document_tables(exhibits).items() if name in TITLES}
    return {
        name: Table.of_texts(
            name, TITLES[name], [dict(zip(header, row, strict=True)) for row in rows], [_NOTES[name]]
        )
        for name, (header, rows) in found.items()
    }


def blocks(folder: Path) -> Mapping[str, str]:
    """Generated parts of docs/theory.md by the name of their block."""
    found = document_tables(read(folder))
    return {name: _grid(*found[name]) if name in found else "Not computed." for name in DOCUMENT_TABLES}


def _grid(header: list[str], rows: list[list[str]]) -> str:
    return markdown_grid(header, [[cell.replace("|", "\\|") for cell in row] for row in rows])
