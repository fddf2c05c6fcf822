"""RNG streams, a separate one for each seed and purpose.

A stream is derived from (seed, purpose) by `numpy.random.SeedSequence`, so streams are independent
of each other and of which seeds train together.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor


class Purpose(IntEnum):
    """Purpose of a stream; the number is part of the derivation and never changes."""

    INITIALISATION = 0
    LEARNING = 1
    ACTING = 2
    ENVIRONMENT = 3
    EVALUATION = 4


def derive_seed(seed: int, purpose: Purpose, *detail: int) -> int:
    """A 63-bit seed for one purpose (and, if given, one step or episode) of a run's seed."""
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(int(purpose), *detail))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def environment_seed(seed: int, purpose: Purpose, *detail: int) -> int:
    """Like `derive_seed`, but within the 32 bits that environments commonly accept."""
    return derive_seed(seed, purpose, *detail) & 0x7FFFFFFF


class Streams:
    """Generators of a whole population for one purpose; draws have a leading axis of size S."""

    def __init__(self, seeds: Sequence[int], purpose: Purpose, *detail: int, device: str = "cpu"):
        self.generators = [
            torch.Generator(device).manual_seed(derive_seed(seed, purpose, *detail)) for seed in seeds
        ]

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal draws (S, *shape)."""
        device = self.generators[0].device
        out = torch.empty(len(self.generators), *shape, dtype=dtype, device=device)
        for row, source in zip(out, self.generators, strict=True):
            row.normal_(generator=source)
        return out

    def uniform(self, *shape: int, low: float, high: float) -> Tensor:
        """Uniform draws on [low, high) (S, *shape), float32."""
        out = torch.empty(len(self.generators), *shape, device=self.generators[0].device)
        for row, source in zip(out, self.generators, strict=True):
            row.uniform_(low, high, generator=source)
        return out

    def integers(self, high: int, *shape: int) -> Tensor:
        """Uniform integers on [0, high) (S, *shape), int64."""
        device = self.generators[0].device
        out = torch.empty(len(self.generators), *shape, dtype=torch.int64, device=device)
        for row, source in zip(out, self.generators, strict=True):
            row.random_(high, generator=source)
        return out

    def permutations(self, size: int, count: int) -> Tensor:
        """``count`` independent random permutations of 0 … size − 1 (S, count, size), int64."""
        device = self.generators[0].device
        out = torch.empty(len(self.generators), count, size, dtype=torch.int64, device=device)
        for rows, source in zip(out, self.generators, strict=True):
            for row in rows:
                torch.randperm(size, generator=source, out=row)
        return out

    def state(self) -> Tensor:
        """The generators' states (S, bytes)."""
        return torch.stack([source.get_state() for source in self.generators])

    def load_state(self, states: Tensor) -> None:
        """Restore what `state` returned."""
        for source, state in zip(self.generators, states, strict=True):
            # torch (2.13) ignores a view's offset and reads its storage from the start.
            source.set_state(state.clone())
