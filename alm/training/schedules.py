"""Schedules: quantities that depend on the training step, whether it is a Python number or a tensor.

An update that is compiled or captured (`alm.training.execution`) takes its step as a tensor, since a number
would become a constant of the program.
"""

from torch import Tensor

Step = int | Tensor
"""A training step; a tensor has no axes."""
Level = float | Tensor
"""The value of a schedule at a step: a number for a number, a tensor without axes for a tensor."""


def progress(step: Step, steps: int) -> Level:
    """The share of ``steps`` that is over, in [0, 1]."""
    if isinstance(step, Tensor):
        return (step / steps).clamp(0.0, 1.0)
    return min(max(step, 0) / steps, 1.0)


def linear(step: Step, start: float, end: float, steps: int) -> Level:
    """A value that moves linearly from ``start`` to ``end`` over ``steps``, and stays there."""
    return start + (end - start) * progress(step, steps)


def scheduled_entropy(step: Step, start: float, end: float, power: float, steps: int) -> Level:
    """Target entropy H̄(t) = (H₀ − H₁)(1 − t/T)^κ + H₁ of Amos et al. (2021), and H₁ after T ``steps``."""
    return (start - end) * (1.0 - progress(step, steps)) ** power + end
