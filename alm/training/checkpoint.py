"""Checkpoints: one file per seed, written atomically, the previous one kept, loaded without running code.

A checkpoint is a tree of dictionaries, lists and tuples whose leaves are tensors, numbers, text,
bytes and None.
It holds one seed's share of a population (`alm.training.population.share_of_seed`), so a seed can resume in
any population.  torch's output is followed by its SHA-256, because torch itself loads most files with a
flipped bit.  torch is imported only for saving and loading, not for listing checkpoints.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from alm.errors import UserError
from alm.training.files import StepFiles, write_atomically

Tree = dict[str, Any]
_KEPT = 2
_DAMAGED = ".damaged"
_SEAL = b"alm-sha256:"
_SEAL_BYTES = len(_SEAL) + hashlib.sha256().digest_size
log = logging.getLogger(__name__)


class DamagedError(UserError):
    """Damage to a checkpoint, or to all that a run has."""


class Checkpoints(StepFiles):
    """The checkpoints of one run."""

    suffix = ".pt"

    def save(self, step: int, tree: Tree) -> None:
        """Store the state after an environment step and drop all but the newest two."""
        write_atomically(self.path(step), lambda file: _write_sealed(tree, file), self._permit)
        for old in self.steps()[_KEPT:]:
            self.path(old).unlink()

    def load(self, step: int) -> Tree | None:
        """The state after a step; ``None``, with a warning, if its file is damaged.

        A damaged file is renamed and kept beside the sound ones, so that it is reported only once.

        Raises:
            OSError: the file cannot be read or renamed.
        """
        path = self.path(step)
        try:
            return read_checkpoint(path)
        except DamagedError:
            kept = path.with_name(path.name + _DAMAGED)
            path.replace(kept)
            log.warning(
                "checkpoint %s is damaged, kept as %s; falling back to the one before it", path, kept.name
            )
            return None

    def require_sound(self) -> None:
        """Prevent a run whose checkpoints are all damaged from silently starting over.

        Raises:
            DamagedError: there are checkpoints, and all are damaged.
        """
        damaged = sorted(path.name for path in self.folder.glob(f"step-*.pt{_DAMAGED}"))
        if damaged and not self.steps():
            raise DamagedError(
                f"no checkpoint of {self.folder.parent} can be read any more ({', '.join(damaged)}), so it "
                "cannot go on: put a sound copy back, or move the directory away to begin this run anew"
            )


def read_checkpoint(path: Path) -> Tree:
    """The state stored in a file.

    Raises:
        DamagedError: the file is damaged.
        UserError: the file is sound, but torch refuses to load it.
        OSError: the file cannot be read.
        MemoryError, RuntimeError: its contents do not fit in memory.
    """
    import torch

    _require_seal(path)
    try:
        tree: Tree = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError, RuntimeError):
        raise  # says nothing about the file
    except Exception as error:  # with advice that does not fit
        raise UserError(
            f"{path} is as it was written, but holds what torch does not load without running code: move the "
            "directory of its run away to begin it anew"
        ) from error
    return tree


class _Hashed:
    """A file whose content is hashed as it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()


def _write_sealed(tree: Tree, file: BinaryIO) -> None:
    import torch

    hashed = _Hashed(file)
    torch.save(tree, cast(BinaryIO, hashed))
    # torch searches for its archive's directory from the end and skips what follows it.
    file.write(_SEAL + hashed.digest.digest())


def _require_seal(path: Path) -> None:
    """Check that a file is what was written.

    Raises:
        DamagedError: it has no seal, or its content does not match it.
    """
    with path.open("rb") as file:
        left = max(file.seek(0, os.SEEK_END) - _SEAL_BYTES, 0)
        file.seek(left)
        seal = file.read()
        file.seek(0)
        digest = hashlib.sha256()
        while left:
            part = file.read(min(left, 1 << 20))
            digest.update(part)
            left -= len(part)
    if seal != _SEAL + digest.digest():
        raise DamagedError("its content is not what was written")


def load_newest(stores: Sequence[Checkpoints]) -> tuple[int, list[Tree]] | None:
    """The newest step at which all runs have a sound checkpoint, and these checkpoints.

    Returns ``None`` if the runs start from the beginning: none has a checkpoint, or they were stopped
    while writing their first ones. Runs without a common step cannot be resumed together.

    Raises:
        DamagedError: all checkpoints of a run are damaged.
        UserError: some runs have checkpoints, but no step has a sound one for every run.
    """
    common = set(stores[0].steps()).intersection(*(store.steps() for store in stores[1:]))
    for step in sorted(common, reverse=True):
        trees = []
        for store in stores:
            tree = store.load(step)
            if tree is None:
                break
            trees.append(tree)
        else:
            return step, trees
    for store in stores:
        store.require_sound()
    held = [store.steps() for store in stores]
    within_the_first = not all(held) and max(map(len, held)) <= 1
    if not within_the_first:
        raise UserError(
            "these seeds stand at different steps ("
            + ", ".join(str(steps[0] if steps else 0) for steps in held)
            + "): resume each with a command of its own"
        )
    return None
