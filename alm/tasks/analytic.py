"""Termination as a formula of observations, for agents that imagine what their task does.

The thresholds are those of the simulated tasks (`alm.tasks.locomotion`), read off an observation: its first
entry is the torso's height, and for the planar robots the second is its angle.
"""

import torch
from torch import Tensor

from alm.tasks.registry import TaskSpec

__all__ = ["terminated"]


def terminated(task: TaskSpec, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
    """Whether the task ends with the transition → bool tensor (…).

    Args:
        task: which task.
        observation, action: not used by any of these tasks.
        next_observation: (…, observation size), in the task's units.

    Raises:
        ValueError: the task's rule is not known.
    """
    del observation, action
    height, angle = next_observation[..., 0], next_observation[..., 1]
    match task.name:
        case "HalfCheetah":
            return torch.zeros_like(height, dtype=torch.bool)
        case "Hopper":
            sound = next_observation.isfinite().all(-1) & (next_observation[..., 1:].abs() < 100).all(-1)
            return ~(sound & (height > 0.7) & (angle.abs() < 0.2))
        case "Walker2d":
            return ~((height > 0.8) & (height < 2.0) & (angle.abs() < 1.0))
        case "Ant" | "T-Ant":
            return ~(next_observation.isfinite().all(-1) & (height >= 0.2) & (height <= 1.0))
        case "Humanoid" | "T-Humanoid":
            return ~((height >= 1.0) & (height <= 2.0))
    raise ValueError(f"There is no formula for when {task.name} ends.")
