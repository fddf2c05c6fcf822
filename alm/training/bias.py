"""Bias of value estimates: the raw pairs of a measurement and the definitions of their bias.

Raw estimates and returns are stored; the definition of "the bias" is chosen when they are plotted:
`headline_bias`, `paper_bias`, `per_state_bias` or `unpaired_bias`. In all of them a positive bias is
overestimation. `alm.training.bias_protocol` makes the measurements.
"""

from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np

# Floor of the returns that normalise a bias (as in REDQ's code).
RETURN_FLOOR = 10.0
# Arrays of a sample that are not estimates; an estimate's array carries this prefix in a file.
_PAIRS = ("monte_carlo", "episode", "step")
_ESTIMATE = "estimate_"


@dataclass(frozen=True)
class ValueSample:
    """One seed's state–action pairs in the order visited; all arrays have length n ≥ 1000."""

    estimates: dict[str, np.ndarray]
    """The agent's estimates by name."""
    monte_carlo: np.ndarray
    """Discounted return from the pair to the end of its episode."""
    episode: np.ndarray
    """Number of the pair's episode, from 0."""
    step: np.ndarray
    """The pair's step within its episode, from 0; less than 350."""

    def write(self, file: BinaryIO) -> None:
        """Write the arrays, values as float32, in numpy's ``.npz`` format."""
        arrays = {name: getattr(self, name) for name in _PAIRS}
        arrays |= {_ESTIMATE + name: values for name, values in self.estimates.items()}
        kinds = {"episode": np.int32, "step": np.int32}
        np.savez(file, **{name: a.astype(kinds.get(name, np.float32)) for name, a in arrays.items()})

    @classmethod
    def read(cls, file: BinaryIO) -> "ValueSample":
        """The sample stored by `write`; loading executes no code."""
        with np.load(file, allow_pickle=False) as arrays:
            estimates = {
                name.removeprefix(_ESTIMATE): arrays[name] for name in arrays if name.startswith(_ESTIMATE)
            }
            return cls(estimates, **{name: arrays[name] for name in _PAIRS})


class Bias(NamedTuple):
    """Mean and (population) standard deviation over pairs of a normalised bias."""

    mean: float
    std: float


def headline_bias(estimate: np.ndarray, monte_carlo: np.ndarray) -> Bias:
    """Mean and std of estimate − MC, each divided by max(|mean MC|, 10), as in REDQ's figures."""
    bias = estimate - monte_carlo
    scale = max(abs(monte_carlo.mean()), RETURN_FLOOR)
    return Bias(float(bias.mean() / scale), float(bias.std() / scale))


def per_state_bias(estimate: np.ndarray, monte_carlo: np.ndarray) -> Bias:
    """Mean and std over pairs of (estimate − MC) / max(|MC|, 10), as logged by REDQ's code."""
    bias = (estimate - monte_carlo) / np.maximum(np.abs(monte_carlo), RETURN_FLOOR)
    return Bias(float(bias.mean()), float(bias.std()))


def paper_bias(estimate: np.ndarray, monte_carlo: np.ndarray) -> Bias:
    """Mean and std of (L − Q) / |E Q| as in the ALM paper, without a floor.

    Not finite if the mean return is zero.
    """
    bias = estimate - monte_carlo
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.abs(monte_carlo.mean())
        return Bias(float(bias.mean() / scale), float(bias.std() / scale))


def unpaired_bias(estimate: np.ndarray, monte_carlo: np.ndarray) -> Bias:
    """Mean and std of (estimate of one pair − MC of another) / max(|MC|, 10) over all n² couples.

    The ALM authors' code logs this (with the opposite sign): its estimates have shape (n, 1), its returns
    (n,) (``_eval_bias`` in ``workspaces/mujoco_workspace.py``).
    """
    bias = (estimate[:, None] - monte_carlo) / np.maximum(np.abs(monte_carlo), RETURN_FLOOR)
    return Bias(float(bias.mean()), float(bias.std()))


DEFINITIONS = {
    "redq": headline_bias,
    "paper": paper_bias,
    "per-state": per_state_bias,
    "authors": unpaired_bias,
}
"""Definitions of the bias by the names used in figures."""
