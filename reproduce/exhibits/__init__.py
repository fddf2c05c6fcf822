"""Exhibits: the paper's tables and figures as data, and everything that presents stored runs.

docs/architecture.md lists its modules. Nothing here trains: runs come from `reproduce.lab.store`.
"""

from reproduce.exhibits.catalogue import (
    EXHIBITS,
    FIGURES,
    TABLE1,
    TABLE1_MBBL,
    TABLE5,
    TABLES,
    UnknownExhibitError,
    exhibits_named,
)
from reproduce.exhibits.kinds import (
    BiasDefinition,
    CodeExhibit,
    Exhibit,
    FigureExhibit,
    Metric,
    Series,
    TableExhibit,
)

__all__ = [
    "EXHIBITS",
    "FIGURES",
    "TABLE1",
    "TABLE1_MBBL",
    "TABLE5",
    "TABLES",
    "BiasDefinition",
    "CodeExhibit",
    "Exhibit",
    "FigureExhibit",
    "Metric",
    "Series",
    "TableExhibit",
    "UnknownExhibitError",
    "exhibits_named",
]
