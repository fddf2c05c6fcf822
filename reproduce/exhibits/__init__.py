"""Exhibits are data: what a table or figure shows, what it reads from a run, and which runs it needs."""

from collections.abc import Mapping
from types import MappingProxyType

from reproduce.exhibits.figures import FIGURES
from reproduce.exhibits.kinds import Exhibit, FigureExhibit, Metric, Plain, Row, Series, TableExhibit
from reproduce.exhibits.tables import TABLE1, TABLE1_MBBL, TABLE5

__all__ = [
    "EXHIBITS",
    "FIGURES",
    "PLAIN",
    "TABLE1",
    "TABLE1_MBBL",
    "TABLE5",
    "Exhibit",
    "FigureExhibit",
    "Metric",
    "Plain",
    "Row",
    "Series",
    "TableExhibit",
    "UnknownExhibitError",
    "exhibit_named",
]

PLAIN = (
    Plain("table2", "How the methods differ"),
    Plain("table3", "Hyper-parameters of ALM"),
    Plain("table4", "Networks of ALM"),
    Plain("figure6", "The transformed reward"),
)
"""Exhibits that no run stands behind."""

EXHIBITS: Mapping[str, Exhibit] = MappingProxyType(
    {exhibit.name: exhibit for exhibit in (TABLE1, TABLE1_MBBL, TABLE5, *PLAIN, *FIGURES)}
)
"""Every declared exhibit by name."""


class UnknownExhibitError(ValueError):
    """An exhibit that does not exist; the message names the ones that do."""


def exhibit_named(name: str) -> Exhibit:
    """The exhibit of that name.

    Raises:
        UnknownExhibitError: there is none; the message names the ones there are.
    """
    if name not in EXHIBITS:
        raise UnknownExhibitError(f"There is no exhibit {name!r}; the exhibits are {', '.join(EXHIBITS)}.")
    return EXHIBITS[name]
