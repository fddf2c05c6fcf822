"""Checkpoints: one file a seed, written atomically, the previous one kept, loaded without running code.

A checkpoint is a tree of dictionaries and lists whose leaves are tensors, numbers and strings, and
holds one seed's share of a population (`alm.training.population.share_of_seed`), so that a seed can be
resumed whoever trained beside it.  torch is imported only to save and load: to look at what is there
needs none.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alm.training.files import write_atomically

Tree = dict[str, Any]
_KEPT = 2
_NAME = re.compile(r"step-(\d+)\.pt$")
log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one run, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """Environment steps with a stored checkpoint, newest first; damaged ones are not told apart."""
        found = (_NAME.search(path.name) for path in self.folder.glob("step-*.pt"))
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def save(self, step: int, tree: Tree) -> None:
        """Store the state after an environment step and drop all but the newest two."""
        import torch

        write_atomically(self._path(step), lambda file: torch.save(tree, file))
        for old in self.steps()[_KEPT:]:
            self._path(old).unlink()

    def load(self, step: int) -> Tree | None:
        """The state after that step; ``None``, with a warning, if its file is damaged."""
        import torch

        try:
            tree: Tree = torch.load(self._path(step), map_location="cpu", weights_only=True)
            return tree
        except Exception as error:  # torch raises many kinds for a damaged archive
            log.warning(
                "checkpoint %s is damaged (%s); falling back to the one before it",
                self._path(step), str(error).splitlines()[0] if str(error) else type(error).__name__,
            )  # fmt: skip
            return None

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:09d}.pt"


def load_newest(stores: Sequence[Checkpoints]) -> tuple[int, list[Tree]] | None:
    """The newest step at which every one of the runs has a sound checkpoint, and these.

    Returns ``None`` where there is none at all.  Runs without a common step cannot be resumed together.

    Raises:
        ValueError: some runs have checkpoints but no step is common to all.
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
    if any(store.steps() for store in stores) and not common:
        raise ValueError(
            "these seeds stand at different steps ("
            + ", ".join(str(store.steps()[0] if store.steps() else 0) for store in stores)
            + "): resume each with a command of its own"
        )
    return None
