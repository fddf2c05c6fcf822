"""Verdicts on the paper's statements: counts over all checks of one, and the verdict that follows."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from alm.theory.counterexamples import Counterexample
from alm.theory.mdp import Array

TOLERANCE = 1e-9


class Verdict(StrEnum):
    """Verdict of a check on a statement."""

    HOLDS = "holds"
    LOOSE = "holds, looser than it need be"
    CONDITION = "holds under a condition"
    FAILS = "does not hold as printed"
    OTHERWISE = "does not hold"
    """For statements that are not the paper's own."""


@dataclass(frozen=True)
class Finding:
    """One statement, its interpretation, and the result of its check."""

    place: str
    """Place of the statement in the paper."""
    statement: str
    instances: int
    """Number of checks: MDPs, times horizons if the statement has a K."""
    violations: int
    worst: float
    """Largest excess over the claim, or largest difference of an identity."""
    verdict: Verdict
    detail: str
    """Further observations, with their numbers."""
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
        # NaN does not count as confirmation.
        broken = np.isnan(over)
        self.instances += over.size
        self.violations += int((violated | broken).sum())
        self.worst = max(self.worst, float(np.where(broken, np.inf, over).max()))

    def verdict(self, otherwise: Verdict = Verdict.HOLDS) -> Verdict:
        """`Verdict.FAILS` if anything was violated."""
        return Verdict.FAILS if self.violations else otherwise


def _size(numbers: Array) -> Array:
    """Magnitude of numbers, 0 if infinite, so that no tolerance is infinite."""
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
    """A `Finding` from a tally; a counterexample that violates the claim counts as a violation too."""
    if verdict is None:
        verdict = Verdict.FAILS if counterexample else tally.verdict()
    return Finding(
        place, statement, tally.instances, tally.violations, tally.worst, verdict, detail, counterexample
    )
