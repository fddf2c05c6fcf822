"""Cards of stored policies in words, and the few whose clips pages show."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from alm.names import place_among
from alm.training.scale import SCALES
from reproduce.lab.algorithms import ALGORITHMS, title_of
from reproduce.lab.gallery import Card
from reproduce.lab.policies import Policy
from reproduce.lab.store import StoreWarning

STRIP = 6
"""Most clips in a strip."""
NOTHING = "No clip of a policy is stored here."


def title(card: Card) -> str:
    """Algorithm, variant and task, such as ``"TD3 on T-Ant"``."""
    spec = card.policy.spec
    return f"{title_of(spec.algorithm, spec.variant)} on {spec.task}"


def caption(card: Card) -> str:
    """Title, scale, steps and return in half a line."""
    policy = card.policy
    return f"{title(card)}, {policy.spec.scale} scale, {policy.step:,} steps: return {policy.mean:.0f}"


def origin(policy: Policy) -> str:
    """How a policy was saved."""
    if policy.source == "evaluation":
        return "as evaluated"
    return "from the last checkpoint; evaluated at that step"


def cards(folder: Path) -> list[Card]:
    """The cards in a directory that have a clip, by scale (largest first), algorithm, and length of training.

    Scales and algorithms unknown to this version come last. A file that is no card gives a
    `StoreWarning` and is skipped.
    """
    found = []
    for path in sorted(folder.glob("*-seed-*.json")):
        try:
            found.append(Card.read(path))
        except (OSError, ValueError) as error:
            warnings.warn(str(error), StoreWarning, stacklevel=2)

    def place(card: Card) -> tuple[int, int, int]:
        spec = card.policy.spec
        return place_among(spec.scale, SCALES), place_among(spec.algorithm, ALGORITHMS), -card.policy.step

    return sorted((card for card in found if card.clip.exists()), key=place)


def shown(found: Sequence[Card]) -> list[Card]:
    """The cards of the strip, at most `STRIP`; no algorithm has two before all have one."""
    rounds: dict[str, int] = {}
    turns = []
    for card in found:
        algorithm = card.policy.spec.algorithm
        turn = rounds[algorithm] = rounds.get(algorithm, -1) + 1
        turns.append((turn, card))
    return [card for _, card in sorted(turns, key=lambda one: one[0])][:STRIP]
