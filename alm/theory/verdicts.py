"""Verdicts on the paper's statements: what was counted over all checks of one, and what follows from it."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from alm.theory.counterexamples import Counterexample
from alm.theory.mdp import Array

TOLERANCE = 1e-9


class Verdict(StrEnum):
    """What a check says of a statement."""

    HOLDS = "holds"
    LOOSE = "holds, looser than it need be"
    CONDITION = "holds under a condition"
    FAILS = "does not hold as printed"
    OTHERWISE = "does not hold"
    """Of statements that are not the paper's own."""


@dataclass(frozen=True)
class Finding:
    """One statement, how it was read, and what was found."""

    place: str
    """Where the paper states it."""
    statement: str
    instances: int
    """Checks made: MDPs times horizons where the statement has a K."""
    violations: int
    worst: float
    """The largest excess over what is claimed, or the largest difference of an identity."""
    verdict: Verdict
    detail: str
    """What was found besides, with its number."""
    counterexample: Counterexample | None = None


@dataclass
class Tally:
    """Counts over all checks of one statement."""

    instances: int = 0
    violations: int = 0
    worst: float = -np.inf

    def excess(self, left: Array, right: Array) -> None:
        """Count ``left`` ≤ ``right``."""
        left, right = np.broadcast_arrays(left, right)
        with np.errstate(invalid="ignore"):
            over = np.where(left == right, 0.0, left - right)
        self._count(over, over > TOLERANCE * (1 + np.maximum(_size(left), _size(right))))

    def difference(self, left: Array, right: Array) -> None:
        """Count ``left`` = ``right``."""
        left, right = np.broadcast_arrays(left, right)
        with np.errstate(invalid="ignore"):
            apart = np.where(left == right, 0.0, np.abs(left - right))
        self._count(apart, apart > TOLERANCE * (1 + _size(right)))

    def _count(self, over: Array, violated: np.ndarray) -> None:
        # What is no number is no confirmation.
        broken = np.isnan(over)
        self.instances += over.size
        self.violations += int((violated | broken).sum())
        self.worst = max(self.worst, float(np.where(broken, np.inf, over).max()))

    def verdict(self, otherwise: Verdict = Verdict.HOLDS) -> Verdict:
        """`Verdict.FAILS` if anything was violated."""
        return Verdict.FAILS if self.violations else otherwise


def _size(numbers: Array) -> Array:
    """Their magnitude; 0 of what is infinite, so that no tolerance is."""
    sizes: Array = np.abs(np.where(np.isfinite(numbers), numbers, 0.0))
    return sizes


def share(tally: Tally) -> str:
    """The violations of a tally in per cent."""
    return f"{100 * tally.violations / tally.instances:.3g} %"


def finding(
    place: str,
    statement: str,
    tally: Tally,
    detail: str,
    verdict: Verdict | None = None,
    counterexample: Counterexample | None = None,
) -> Finding:
    """A `Finding` from a tally; a counterexample that violates what is claimed is a violation too."""
    if verdict is None:
        verdict = Verdict.FAILS if counterexample else tally.verdict()
    return Finding(
        place, statement, tally.instances, tally.violations, tally.worst, verdict, detail, counterexample
    )
