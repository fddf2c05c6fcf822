"""Cards of stored policies in words, and the few whose clips pages show."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from alm.names import place_among
from alm.training.scale import SCALES
from reproduce.lab.algorithms import ALGORITHMS, title_of

STRIP = 6
"""Most clips in a strip."""
NOTHING = "No clip of a policy is stored here."


@dataclass(frozen=True)
class Card:
    """A policy and its clip; fields as in `reproduce.lab.gallery.card`, with ``mean`` for the return."""

    algorithm: str
    variant: str
    task: str
    scale: str
    seed: int
    steps: int
    evaluated_step: int
    mean: float
    episodes: int
    source: str
    digest: str
    commit: str
    uncommitted_changes: bool
    clip: Path

    @property
    def title(self) -> str:
        """Algorithm, variant and task, such as ``"TD3 on T-Ant"``."""
        return f"{title_of(self.algorithm, self.variant)} on {self.task}"

    @property
    def caption(self) -> str:
        """Title, scale, steps and return in half a line."""
        return f"{self.title}, {self.scale} scale, {self.steps:,} steps: return {self.mean:.0f}"

    @property
    def origin(self) -> str:
        """How the policy was saved."""
        if self.source == "evaluation":
            return "as evaluated"
        return "from the last checkpoint; evaluated at " + (
            "that step" if self.evaluated_step == self.steps else f"step {self.evaluated_step:,}"
        )


_TYPES: dict[str, Any] = {one.name: one.type for one in fields(Card) if one.name not in ("mean", "clip")}


def cards(folder: Path) -> list[Card]:
    """The cards in a directory that have a clip, by scale (largest first), then by the order of algorithms.

    Scales and algorithms unknown to this version come last.

    Raises:
        ValueError: a file is not a card.
    """
    found = []
    for path in sorted(folder.glob("*-seed-*.json")):
        try:
            held = json.loads(path.read_bytes())
            values = {name: held[name] for name in _TYPES}
            if not all(isinstance(values[name], _TYPES[name]) for name in values):
                raise TypeError
            one = Card(**values, mean=float(held["return"]), clip=path.with_suffix(".gif"))
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"{path} is not a card of a policy: remake it with: python -m reproduce gallery"
            ) from None
        if one.clip.exists():
            found.append(one)

    def place(card: Card) -> tuple[int, int]:
        return place_among(card.scale, SCALES), place_among(card.algorithm, ALGORITHMS)

    return sorted(found, key=place)


def shown(found: Sequence[Card]) -> list[Card]:
    """The cards of the strip, at most `STRIP`; no algorithm has two before all have one."""
    rounds: dict[str, int] = {}
    ordered = []
    for position, card in enumerate(found):
        turn = rounds[card.algorithm] = rounds.get(card.algorithm, -1) + 1
        ordered.append((turn, position, card))
    return [card for _, _, card in sorted(ordered, key=lambda one: one[:2])][:STRIP]
