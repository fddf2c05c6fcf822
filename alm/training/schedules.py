"""Schedules: quantities that depend on the training step, whether it is a Python number or a tensor.

A compiled or captured update (`alm.training.execution`) takes its step as a tensor, since a number
would become a constant of the program.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from alm.training.ranges import Count, Positive

Step = int | Tensor
"""A training step; a tensor has no axes."""
Level = float | Tensor
"""The value of a schedule at a step: a number for a number, a tensor without axes for a tensor."""


def progress(step: Step, steps: int) -> Level:
    """Fraction of ``steps`` completed, in [0, 1]."""
    if isinstance(step, Tensor):
        return (step / steps).clamp(0.0, 1.0)
    return min(max(step, 0) / steps, 1.0)


def linear(step: Step, start: float, end: float, steps: int) -> Level:
    """Value that moves linearly from ``start`` to ``end`` over ``steps`` and then stays there."""
    return start + (end - start) * progress(step, steps)


def powers(base: float, count: int, like: Tensor) -> Tensor:
    """Powers 1, b, b², … (count,) with the type and device of ``like``.

    Each is filled in by a kernel, since a copy from the host could not be captured.
    """
    return torch.stack([like.new_full((), base**exponent) for exponent in range(count)])


@dataclass(frozen=True)
class EntropySchedule:
    """Settings of a policy's target entropy over environment steps (Amos et al., 2021)."""

    entropy_start: float = -1.0
    """H₀, target entropy at the first environment step; this and the fields below depend on the robot."""
    entropy_end: float = -4.0
    """H₁, target entropy from ``entropy_steps`` on."""
    entropy_power: Positive = 1.0
    """κ: above 1 the target falls early, below 1 late."""
    entropy_steps: Count = 200_000
    """T, environment steps over which the target moves; the published runs' length at every scale."""

    def target_entropy(self, environment_step: Step) -> Level:
        """H̄(t) = (H₀ − H₁)(1 − t/T)^κ + H₁, and H₁ after T."""
        remaining = 1.0 - progress(environment_step, self.entropy_steps)
        return (self.entropy_start - self.entropy_end) * remaining**self.entropy_power + self.entropy_end


# Tuned schedules of Amos et al. (2021) by robot, from their runs on the POPLIN tasks, which Table 1 of the
# ALM paper quotes; that of the humanoid, which POPLIN lacks, is from their runs on the MBPO tasks.
ENTROPY_SCHEDULES = {
    "HalfCheetah": EntropySchedule(),
    "Hopper": EntropySchedule(1.0, 0.0, 32.0, 200_000),
    "Walker2d": EntropySchedule(-2.0, -16.0, 1 / 64, 200_000),
    "Ant": EntropySchedule(1.0, -3.0, 0.5, 200_000),
    "Humanoid": EntropySchedule(-2.0, -2.0, 1.0, 5_000_000),
}
