"""Running standardisation of observations, separate for each seed."""

from typing import Any

import torch
from torch import Tensor

STD_MIN, STD_MAX = 0.1, 10.0


class Standardiser:
    """(x − mean) / std with the mean and std of all data so far; the identity before there are any.

    The statistics are float64 whatever the networks' precision, as sums over a whole run drift in float32.

    Args:
        seeds: size S of the population.
        size: length of an observation.
        device: device of the statistics.
    """

    def __init__(self, seeds: int, size: int, device: str = "cpu") -> None:
        self.count = 0
        self.mean = torch.zeros(seeds, size, dtype=torch.float64, device=device)
        self.squares = torch.zeros_like(self.mean)
        """Sum of squared deviations from the mean."""
        self.std = torch.ones_like(self.mean)
        """Population std (S, size) of all data, clipped to [0.1, 10]; 1 before there are any."""

    def add(self, values: Tensor) -> None:
        """Add values (S, n, size) by the pairwise update of Chan, Golub and LeVeque (1979)."""
        values, new = values.double(), values.shape[1]
        mean = values.mean(dim=1)
        shift, total = mean - self.mean, self.count + new
        spread = (values - mean[:, None]).square().sum(dim=1)
        # In place: a captured update reads the same memory every time.
        self.squares.add_(spread).add_(shift.square() * (self.count * new / total))
        self.mean.add_(shift * (new / total))
        self.count = total
        self._renew_std()

    def _renew_std(self) -> None:
        if self.count:
            self.std.copy_((self.squares / self.count).sqrt().clamp(STD_MIN, STD_MAX))

    def __call__(self, values: Tensor) -> Tensor:
        """Standardised values (S, …, size), in their original precision."""
        shape = (len(self.mean), *[1] * (values.dim() - 2), -1)
        return ((values - self.mean.view(shape)) / self.std.view(shape)).to(values.dtype)

    def state(self) -> dict[str, Any]:
        """The number of values, and the statistics (S, size)."""
        return {"count": self.count, "mean": self.mean, "squares": self.squares}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.count = state["count"]
        self.mean.copy_(state["mean"])
        self.squares.copy_(state["squares"])
        self._renew_std()
