"""Cards of stored policies in words, and the few whose clips pages show."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from alm.names import place_among
from alm.training.scale import SCALES
from reproduce.lab.algorithms import ALGORITHMS, title_of
from reproduce.lab.gallery import Card
from reproduce.lab.store import StoreWarning

STRIP = 6
"""Most clips in a strip."""
NOTHING = "No clip of a policy is stored here."


def title(card: Card) -> str:
    """Algorithm, variant and task, such as ``"TD3 on T-Ant"``."""
    return f"{title_of(card.algorithm, card.variant)} on {card.task}"


def caption(card: Card) -> str:
    """Title, scale, steps and return in half a line."""
    return f"{title(card)}, {card.scale} scale, {card.steps:,} steps: return {card.mean:.0f}"


def origin(card: Card) -> str:
    """How the policy was saved."""
    if card.source == "evaluation":
        return "as evaluated"
    return "from the last checkpoint; evaluated at " + (
        "that step" if card.evaluated_step == card.steps else f"step {card.evaluated_step:,}"
    )


def cards(folder: Path) -> list[Card]:
    """The cards in a directory that have a clip, by scale (largest first), algorithm, and length of training.

    Scales and algorithms unknown to this version come last. A file that is no card gives a
    :class:`StoreWarning` and is skipped.
    """
    found = []
    for path in sorted(folder.glob("*-seed-*.json")):
        try:
            found.append(Card.read(path))
        except (OSError, ValueError) as error:
            warnings.warn(str(error), StoreWarning, stacklevel=2)

    def place(card: Card) -> tuple[int, int, int]:
        return place_among(card.scale, SCALES), place_among(card.algorithm, ALGORITHMS), -card.steps

    return sorted((card for card in found if card.clip.exists()), key=place)


def shown(found: Sequence[Card]) -> list[Card]:
    """The cards of the strip, at most `STRIP`; no algorithm has two before all have one."""
    rounds: dict[str, int] = {}
    ordered = []
    for position, card in enumerate(found):
        turn = rounds[card.algorithm] = rounds.get(card.algorithm, -1) + 1
        ordered.append((turn, position, card))
    return [card for _, _, card in sorted(ordered, key=lambda one: one[:2])][:STRIP]
