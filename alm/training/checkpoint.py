"""Checkpoints: one file a seed, written atomically, the previous one kept, loaded without running code.

A checkpoint is a tree of dictionaries and lists whose leaves are tensors, numbers and strings.  In a
population's tree every tensor has a leading axis of S times a whole number; one seed's tree holds its
share.  So a seed can be resumed whoever trained beside it.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alm.training.files import write_atomically

Tree = dict[str, Any]
_KEPT = 2
_NAME = re.compile(r"step-(\d+)\.pt$")
log = logging.getLogger(__name__)


def share_of_seed(tree: Any, seed: int, seeds: int) -> Any:
    """The part of a population's tree that belongs to the seed at position ``seed`` of ``seeds``."""
    if isinstance(tree, Tensor):
        each = tree.shape[0] // seeds
        return tree[seed * each : (seed + 1) * each].clone()
    if isinstance(tree, dict):
        return {key: share_of_seed(value, seed, seeds) for key, value in tree.items()}
    if isinstance(tree, list):
        return [share_of_seed(value, seed, seeds) for value in tree]
    return tree


def join_seeds(trees: Sequence[Any]) -> Any:
    """The population's tree from its seeds'; other leaves than tensors must agree."""
    first = trees[0]
    if isinstance(first, Tensor):
        return torch.cat(list(trees), dim=0)
    if isinstance(first, dict):
        return {key: join_seeds([tree[key] for tree in trees]) for key in first}
    if isinstance(first, list):
        return [join_seeds(list(values)) for values in zip(*trees, strict=True)]
    if any(tree != first for tree in trees):
        raise ValueError(f"seeds disagree about {first!r}: they cannot be resumed as one population")
    return first


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
        write_atomically(self._path(step), lambda file: torch.save(tree, file))
        for old in self.steps()[_KEPT:]:
            self._path(old).unlink()

    def load(self, step: int) -> Tree | None:
        """The state after that step; ``None``, with a warning, if its file is damaged."""
        try:
            return torch.load(self._path(step), map_location="cpu", weights_only=True)
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
