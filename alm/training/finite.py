"""Notices losses and gradient norms that are no longer finite numbers, without making the device wait."""

from typing import NamedTuple

import torch
from torch import Tensor

from alm.training.agent import Metrics

# Reading from a device makes the host wait for it; on a CPU there is nothing to wait for.
_READ_EVERY = 100
# Later than any step.
_NEVER = 1 << 40


class Failure(NamedTuple):
    """The first number of a seed that was not finite."""

    seed: int  # position in the population
    metric: str
    step: int


class FiniteCheck:
    """Notes on the device, for each seed and metric, the first step at which it was not finite.

    Args:
        device: where the metrics live.
    """

    def __init__(self, device: str) -> None:
        self._every = 1 if torch.device(device).type == "cpu" else _READ_EVERY
        self._unread = 0
        self._names: list[str] = []
        self._first: Tensor | None = None
        """(metrics, S) int64: the step, or `_NEVER`."""

    def note(self, metrics: Metrics, step: int) -> list[Failure]:
        """Take the metrics of an update in; returns what `read` does where that is due, else nothing."""
        names = [name for name in metrics if name.startswith(("loss/", "grad_norm/"))]
        failures = self.read() if names != self._names else []
        finite = torch.stack([metrics[name] for name in names]).isfinite()
        if names != self._names or self._first is None:
            self._names = names
            self._first = torch.full_like(finite, _NEVER, dtype=torch.int64)
        self._first = self._first.minimum(torch.where(finite, _NEVER, step))
        self._unread += 1
        return failures + self.read() if self._unread >= self._every else failures

    def read(self) -> list[Failure]:
        """The first failure of every seed that has one, as far as noted."""
        self._unread = 0
        if self._first is None:
            return []
        rows = torch.arange(len(self._names), device=self._first.device)[:, None]
        # Of metrics that fail at one step, the first in an update's order is meant.
        earliest = (self._first * len(self._names) + rows).amin(dim=0).cpu()
        found = [divmod(number, len(self._names)) for number in earliest.tolist()]
        return [
            Failure(seed, self._names[row], step) for seed, (step, row) in enumerate(found) if step < _NEVER
        ]
