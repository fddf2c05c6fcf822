"""Names among those that are known: the one that a misspelt one probably means, and the place of one."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the one known name most similar to a misspelt one, whatever their case; empty if none is.

    Names below difflib's own limit of similarity are unlike: huber is no misspelt quarter.
    """
    by_lower_case = {one.lower(): one for one in known}
    close = get_close_matches(name.lower(), by_lower_case, n=1)
    return did_you_mean([by_lower_case[one] for one in close])


def did_you_mean(names: Sequence[str]) -> str:
    """``" (did you mean 'figure5a' or 'figure5b'?)"``; empty without names."""
    return f" (did you mean {' or '.join(map(repr, names))}?)" if names else ""


def place_among(name: str, ordered: Iterable[str]) -> int:
    """The position of a name among ordered ones, for sorting; an unknown one comes after all of them."""
    names = list(ordered)
    return names.index(name) if name in names else len(names)
