"""Run directories under a root, and damage in them.

A damaged directory may raise any error where it is read: `reading` and `passing_over` make it one sentence.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

from alm.errors import UserError
from alm.training.run_directory import RunDirectory
from reproduce.lab.errors import reason_of
from reproduce.lab.specs import RunFields, RunSpec, may_hold, spec_in
from reproduce.lab.store import StoreWarning


class UnreadableRunError(UserError):
    """Damage in a run directory; the message is one sentence that names it, the reason and what to do.

    Args:
        directory: the run directory.
        error: the reason.
        wanted: what could not be done with it: it was not ``"read"`` or not ``"stored"``.
    """

    def __init__(self, directory: Path, error: Exception, wanted: str = "read") -> None:
        super().__init__(
            f"{directory} cannot be {wanted} ({reason_of(error)}); mend it, put a sound copy back, or move "
            "it away"
        )


@contextmanager
def reading(directory: RunDirectory) -> Iterator[None]:
    """Turn every error of the block, which damage may cause of any kind, into an `UnreadableRunError`."""
    try:
        yield
    except Exception as error:
        raise UnreadableRunError(directory.path, error) from error


@contextmanager
def passing_over(directory: RunDirectory, category: type[Warning] = StoreWarning) -> Iterator[None]:
    """Turn every error of the block into a warning of the same sentence."""
    try:
        yield
    except Exception as error:
        warnings.warn(str(UnreadableRunError(directory.path, error)), category, stacklevel=3)


def directories_under(root: Path, **wanted: Unpack[RunFields]) -> dict[RunSpec, RunDirectory]:
    """The directory of every run under a root whose specification has the wanted values, sorted by path.

    A directory whose path does not name a run, or whose ``config.json`` is lost, damaged or of another run,
    gives a `StoreWarning` and is skipped. Where the former is in a folder that no wanted run could be
    in, nothing wanted is left out, and the warning is a plain `UserWarning`.
    """
    found = {}
    for path in sorted(root.glob("*/*/*/*/seed-*")):
        directory, place = RunDirectory(path), path.relative_to(root)
        category = StoreWarning if may_hold(place.parent, **wanted) else UserWarning
        with passing_over(directory, category):
            if directory.status != "new" and RunSpec.from_relative_dir(place).matches(**wanted):
                found[spec_in(directory.read_json("config.json"), place)] = directory
    return found
