"""Random numbers of a reference code, replaced by given ones in the order of its requests."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor


class DrawError(RuntimeError):
    """Mismatch between the draws that a reference requests and the next given ones, or too few requests."""


class Draws:
    """Standard normal draws and choices among indices, each in order.

    Args:
        normals: tensors of the shapes that the reference requests.
        choices: return values of ``numpy.random.choice``.
    """

    def __init__(self, normals: Iterable[Tensor], choices: Iterable[np.ndarray] = ()) -> None:
        self._normals, self._choices = list(normals), list(choices)

    @contextmanager
    def handed_out(self) -> Iterator[None]:
        """Context in which all draws come from here; all of them must be used.

        Raises:
            DrawError: they are not.
        """
        normal = torch.distributions.normal
        with ExitStack() as stack:
            for place, name, function in (
                (torch, "normal", lambda mean, std: mean + std * self._standard(mean.shape)),
                (torch, "randn_like", lambda x: self._standard(x.shape)),
                (normal, "_standard_normal", lambda shape, dtype, device: self._standard(shape)),
                (torch.distributions.utils, "_standard_normal", lambda shape, **_: self._standard(shape)),
                (np.random, "choice", lambda *_, **__: self._choices.pop(0)),
            ):
                stack.enter_context(mock.patch.object(place, name, function))
            yield
        if self._normals or self._choices:
            left = f"{len(self._normals)} draws and {len(self._choices)} choices"
            raise DrawError(f"The reference did not ask for {left}: it is another version.")

    def _standard(self, shape: Any) -> Tensor:
        if not self._normals:
            raise DrawError(f"A draw of shape {tuple(shape)} is asked for, and none is left.")
        draw = self._normals.pop(0)
        if draw.shape != torch.Size(shape):
            raise DrawError(f"A draw of shape {tuple(shape)} is asked for, and {tuple(draw.shape)} is next.")
        return draw.clone()


class Given:
    """Given draws in place of `alm.training.streams.Streams` of one seed."""

    def __init__(self, *draws: Tensor) -> None:
        self._draws = list(draws)

    def normal(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """The next draws (1, *shape)."""
        draw = self._draws.pop(0)[None]
        assert draw.shape == (1, *shape) and draw.dtype == dtype
        return draw
