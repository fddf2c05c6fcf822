"""Options that several commands share: where runs are kept, stored and shown."""

from dataclasses import dataclass
from pathlib import Path

from reproduce.lab.places import RESULTS, WORKPLACE
from reproduce.lab.store import ReadOnce, Store

RUNS = WORKPLACE / "runs"
"""Runs that are being trained."""
OWN = RUNS / "store"
"""One's own finished runs, which are no part of the repository."""
SHIPPED = RESULTS / "runs"
"""Finished runs of the repository, which commands read and do not write."""


@dataclass(frozen=True, kw_only=True)
class WritesRuns:
    """Options of a command that stores runs."""

    store: Path | None = None
    """Where finished runs are stored; by default your own store, runs/store, beside what the repository
    has in results/runs."""

    def opened(self) -> Store:
        """The store, with the repository's runs beneath unless another one was named."""
        return Store(OWN, SHIPPED) if self.store is None else Store(self.store)


@dataclass(frozen=True, kw_only=True)
class ReadsRuns:
    """Options of a command that shows stored runs."""

    store: Path | None = None
    """A store to show alone, in the place of the repository's runs (results/runs) with your own."""
    own: bool = True
    """Show your own runs (runs/store) with those of the repository; what counts them says so."""

    def opened(self) -> Store:
        """The store as it is now: nothing is stored meanwhile, so a run's file is read once."""
        if self.store is not None:
            return ReadOnce(self.store)
        return ReadOnce(OWN, SHIPPED) if self.own else ReadOnce(SHIPPED)

    def require_store(self) -> None:
        """Make sure that a store which was named is there.

        Raises:
            ValueError: it is not.
        """
        if self.store is not None and not self.store.is_dir():
            raise ValueError(
                f"There is no directory {self.store}: name the store of finished runs with --store."
            )
