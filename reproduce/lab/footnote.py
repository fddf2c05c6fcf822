"""Footnotes on numbers of tables; this module does without pandas."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Footnote:
    """A footnote on a number of a table, printed or absent, in short and in full.

    Attributes:
        key: name by which cells refer to it.
        kind: ``misprint``, ``provenance`` (where the number came from), ``protocol`` (what task it was
            measured on) or ``caveat``.
        short: half a line, for terminals.
        full: full sentences with sources.
    """

    key: str
    kind: str
    short: str
    full: str
