"""Coverage: how much of an exhibit is stored, for the plan, the inventory, the documents and the report."""

from collections import Counter
from dataclasses import dataclass

from reproduce.exhibits.kinds import Exhibit
from reproduce.lab.planning import Missing, missing_runs
from reproduce.lab.store import STATUSES, Store


@dataclass(frozen=True)
class Coverage:
    """How much of an exhibit is stored at a scale.

    Attributes:
        scale: its name.
        needed: runs that the exhibit is made of; 0 if it is made of none.
        done: how many of them are stored to the end.
        partial: how many are stored as far as they got.
        failed: how many failed.
        missing: what is not stored to the end; what failed is not missing.
    """

    scale: str
    needed: int
    done: int
    partial: int
    failed: int
    missing: tuple[Missing, ...]

    @property
    def stored(self) -> int:
        """Runs that are there, whatever became of them."""
        return self.done + self.partial + self.failed

    @property
    def text(self) -> str:
        """``"3 of 12"``; a dash where no run is needed."""
        return f"{self.done} of {self.needed}" if self.needed else "–"


def coverage(exhibit: Exhibit, store: Store, scale: str) -> Coverage:
    """What of an exhibit's runs a store holds at a scale."""
    needs = exhibit.needs(scale)
    stored = {run.spec: run.status for run in store.runs(scale=scale)}
    statuses = Counter(stored.get(spec) for spec in needs)
    done, partial, failed = (statuses[status] for status in STATUSES)
    missing = tuple(missing_runs(needs, store, scale))
    return Coverage(scale, len(needs), done, partial, failed, missing)
