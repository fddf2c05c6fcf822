"""A table by its declaration, made from the stored runs or from the code."""

from reproduce.exhibits.code_tables import CODE_TABLES
from reproduce.exhibits.kinds import CodeExhibit, TableExhibit
from reproduce.exhibits.scores import score_table
from reproduce.exhibits.table import Table
from reproduce.lab.store import Store


def table_of_exhibit(
    exhibit: TableExhibit | CodeExhibit,
    store: Store,
    measured: bool = True,
    mix: bool = False,
    context: bool = False,
) -> Table:
    """The table of an exhibit; `score_table` explains the options, which tables of the code do not have."""
    if isinstance(exhibit, TableExhibit):
        return score_table(exhibit, store, measured, mix, context)
    return CODE_TABLES[exhibit.name](store)
