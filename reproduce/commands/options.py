"""Options that several commands share: which runs are shown, and where new ones are stored."""

from dataclasses import dataclass
from pathlib import Path

from alm.errors import UserError
from reproduce.lab.store import Store, default_store


@dataclass(frozen=True, kw_only=True)
class WritesRuns:
    """Options of a command that stores runs."""

    store: Path | None = None
    """Directory for finished runs; by default your own store, runs/store, which is read together with the
    repository's runs in results/runs."""

    def opened(self) -> Store:
        """The store; the repository's runs lie beneath it unless --store names another one."""
        return default_store() if self.store is None else Store(self.store)


@dataclass(frozen=True, kw_only=True)
class ReadsRuns:
    """Options of a command that shows stored runs."""

    store: Path | None = None
    """Show only the runs of this store, instead of the repository's (results/runs) and your own."""
    own: bool = True
    """Include your own runs (runs/store); numbers that count them say so."""

    def opened(self) -> Store:
        """The store.

        Raises:
            UserError: --store names no directory.
        """
        if self.store is not None:
            if not self.store.is_dir():
                raise UserError(
                    f"There is no directory {self.store}: name the store of finished runs with --store."
                )
            return Store(self.store)
        return default_store(self.own)


def require_positive(number: int | None, what: str) -> None:
    """Check an option that counts something.

    Raises:
        UserError: it was given and is below one.
    """
    if number is not None and number < 1:
        raise UserError(f"The number of {what} must be at least 1, not {number}.")
