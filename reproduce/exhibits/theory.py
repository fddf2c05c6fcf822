"""The theory's exhibits as stored in `results/theory/`: rows and tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from alm.theory.results import Exhibits, document_tables
from reproduce.exhibits.table import Table

TITLES = {
    "theory-statements": "What the paper states, checked on finite MDPs",
    "theory-counterexamples": "Counterexamples for pen and paper",
}
"""Titles of the exhibits that are tables."""

LONG_TITLES = {
    "theory-joint": "What each learner reaches",
    "theory-duel": "Each learner beside the separate one with the same K",
}
"""Titles of summaries of figures' rows that are too long for a page: they have files of their own."""

_NOTES = {
    "theory-statements": (
        "Violations are counted over MDPs and K. “Does not hold as printed” refers to what the paper prints, "
        "“does not hold” to readings that it does not claim."
    ),
    "theory-counterexamples": "Left and right are the two sides of the claim.",
    "theory-joint": (
        "Means over random MDPs, quartiles of the score, medians of the ratios. A score of 0 is the return "
        "of the uniform policy, 1 that of the best policy on states."
    ),
    "theory-duel": "Random MDPs on which the joint learner's score is higher, level within 0.01, or lower.",
}


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """A block that uses the rows of a file: any error in them becomes one kind.

    Raises:
        ValueError: the rows are not as the checks wrote them; the message is one sentence.
    """
    try:
        yield
    except (IndexError, KeyError, TypeError, ValueError):
        raise ValueError(
            f"{path} is not what the checks of the theory wrote: remake it with: python -m reproduce "
            f"theory --out {path.parent}"
        ) from None


def read(folder: Path, name: str = "*") -> Exhibits:
    """Rows of every exhibit in ``folder``, by name, as returned by `alm.theory.results.run`.

    Args:
        folder: directory of the stored exhibits.
        name: name of one exhibit; by default all of them.

    Raises:
        ValueError: a file is damaged, or has other columns.
    """
    found: Exhibits = {}
    for path in sorted(folder.glob(f"{name}.csv")):
        with sound(path):
            found[path.stem] = pd.read_csv(path, keep_default_na=False).to_dict("records")
            document_tables({path.stem: found[path.stem]})
    return found


def tables(exhibits: Exhibits) -> dict[str, Table]:
    """Tables of statements and counterexamples, and long summaries, by name, of the given exhibits."""
    titles = TITLES | LONG_TITLES
    found = {name: of for name, of in document_tables(exhibits).items() if name in titles}
    return {
        name: Table.of_texts(
            name, titles[name], [dict(zip(header, row, strict=True)) for row in rows], [_NOTES[name]]
        )
        for name, (header, rows) in found.items()
    }
