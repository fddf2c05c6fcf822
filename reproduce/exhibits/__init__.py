"""Exhibits: the paper's tables and figures as data, and whatever shows stored runs in words and numbers.

kinds.py        what an exhibit is made of          catalogue.py    every exhibit, declared
coverage.py     how much of an exhibit is stored    statistics/     aggregates over runs, with intervals
table.py        one table and its writer            scores.py · code_tables.py · claims/ · comparison.py
inventory.py    what is stored and what is missing  documents.py    measured numbers in the pages

Nothing here trains: runs come from `reproduce.lab.store`.
"""

from reproduce.exhibits.catalogue import (
    EXHIBITS,
    FIGURES,
    TABLE1,
    TABLE1_MBBL,
    TABLE5,
    UnknownExhibitError,
    exhibit_named,
)
from reproduce.exhibits.kinds import (
    BiasDefinition,
    CodeExhibit,
    Exhibit,
    FigureExhibit,
    Metric,
    Row,
    Series,
    TableExhibit,
)

__all__ = [
    "EXHIBITS",
    "FIGURES",
    "TABLE1",
    "TABLE1_MBBL",
    "TABLE5",
    "BiasDefinition",
    "CodeExhibit",
    "Exhibit",
    "FigureExhibit",
    "Metric",
    "Row",
    "Series",
    "TableExhibit",
    "UnknownExhibitError",
    "exhibit_named",
]
