"""Ranges of settings as types: a configuration annotates each field with the numbers it may hold.

Constraints between several fields are in the configuration's ``conflict``.

A plain ``int`` or ``float`` is unrestricted. Only `reproduce.lab.settings.require_valid` reads these types,
for values from any source.
"""

import math
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Range:
    """Interval of numbers; ``within`` excludes its ends."""

    low: float = -math.inf
    high: float = math.inf
    within: bool = False

    def __contains__(self, value: float) -> bool:
        if self.within:
            return self.low < value < self.high
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if self.high < math.inf:
            return f"between {self.low:g} and {self.high:g}" + (", neither of them" if self.within else "")
        return f"above {self.low:g}" if self.within else f"of at least {self.low:g}"


Count = Annotated[int, Range(1)]
"""A number or size of things: at least one."""
Steps = Annotated[int, Range(0)]
"""A number of steps, possibly zero."""
Positive = Annotated[float, Range(0.0, within=True)]
"""A number above zero."""
NotNegative = Annotated[float, Range(0.0)]
"""A number of at least zero."""
Share = Annotated[float, Range(0.0, 1.0)]
"""A number from zero to one, both included."""
Part = Annotated[float, Range(0.0, 1.0, within=True)]
"""A number between zero and one, both excluded."""


def window_conflict(replay_capacity: int, warmup_steps: int, horizon: int) -> str | None:
    """Explanation of why a replay holds no sequence of ``horizon`` transitions at the first update; None if
    it holds one."""
    sequences = f"horizon={horizon}, the length of replayed sequences"
    if replay_capacity <= horizon:
        return f"replay_capacity={replay_capacity} is not above {sequences}"
    if warmup_steps < horizon:
        return f"warmup_steps={warmup_steps} is below {sequences}"
    return None
