"""Numbers that follow the training step, whether it is known to Python or lives in a tensor.

An update that is compiled or captured (`alm.training.execution`) takes its step as a tensor, since a number
would become a constant of the program.
"""

from torch import Tensor

Step = int | Tensor
"""A training step; a tensor has no axes."""
Level = float | Tensor
"""What a schedule gives at a step: a number for a number, a tensor without axes for a tensor."""


def progress(step: Step, steps: int) -> Level:
    """The share of ``steps`` that is over, in [0, 1]."""
    if isinstance(step, Tensor):
        return (step / steps).clamp(0.0, 1.0)
    return min(max(step, 0) / steps, 1.0)
