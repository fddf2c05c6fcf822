"""Health limits of the robots and rewards of the mbbl tasks, shared by the simulator and models of it.

Source of the limits: ``gym/envs/mujoco/{hopper,walker2d,ant,humanoid}.py`` of gym 0.17.2, which agree with
``mbbl/env/gym_env/{walker,fixed_walker,humanoid}.py`` of WilsonWangTHU/mbbl, the code of Wang et al.,
"Benchmarking Model-Based Reinforcement Learning" (2019). The rewards are from the latter. This module needs
only the standard library.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HEALTHY: dict[str, Callable[[Any, Any], Any]] = {
    "Walker2d": lambda height, tilt: (height > 0.8) & (height < 2.0) & (abs(tilt) < 1.0),
    "Hopper": lambda height, tilt: (height > 0.7) & (abs(tilt) < 0.2),
    "Ant": lambda height, _: (height >= 0.2) & (height <= 1.0),
    "Humanoid": lambda height, _: (height >= 1.0) & (height <= 2.0),
}
"""Whether a robot stands, by its name in `alm.task_registry`: a function from its root's height (m) and
the next entry of the state (planar robots: the tilt in rad), floats or tensors (…), to a bool or bools (…).
The half-cheetah has no limits."""
HOPPER_BOUND = 100.0
"""Bound on the magnitudes of v2 Hopper's state except x and the height; Wang et al. have none."""


@dataclass(frozen=True, kw_only=True)
class MbblReward:
    """Reward of the state *before* the step (height h, velocity v, forces f) and the action a.

    reward = forward_weight · v − height_weight · (h − target_height)² − control_weight · |a|² + alive_bonus
             − min(contact_weight · |f|², contact_limit)

    Attributes:
        forward_weight: applies to the x velocity of the root, ``qvel[0]`` (m/s).
        height_weight, target_height: apply to the height of the root (m).
        control_weight: applies to the commanded action, even outside the actuators' range.
        alive_bonus: paid on every step or, with ``bonus_needs_health``, only in healthy states.
        contact_weight, contact_limit: apply to the contact forces ``cfrc_ext`` of all bodies (N m, N).
    """

    forward_weight: float = 1.0
    height_weight: float = 0.0
    target_height: float = 0.0
    control_weight: float = 0.1
    alive_bonus: float = 0.0
    bonus_needs_health: bool = False
    contact_weight: float = 0.0
    contact_limit: float = 0.0


def _standing(target_height: float, bonus_needs_health: bool) -> MbblReward:
    return MbblReward(
        height_weight=3.0,
        target_height=target_height,
        alive_bonus=1.0,
        bonus_needs_health=bonus_needs_health,
    )


_SLIM_HUMANOID = MbblReward(forward_weight=0.25 / 0.015, alive_bonus=5.0, bonus_needs_health=True)

MBBL_REWARDS = {
    "mbbl/HalfCheetah": MbblReward(),
    "mbbl/Walker2d": _standing(1.3, bonus_needs_health=False),
    "mbbl/Hopper": _standing(1.3, bonus_needs_health=False),
    "mbbl/Ant": _standing(0.57, bonus_needs_health=False),
    "mbbl/Walker2d-ET": _standing(1.3, bonus_needs_health=True),
    "mbbl/Hopper-ET": _standing(1.3, bonus_needs_health=True),
    "mbbl/Ant-ET": _standing(0.57, bonus_needs_health=True),
    "mbbl/Humanoid-ET": MbblReward(
        forward_weight=0.25 / 0.015,
        alive_bonus=5.0,
        bonus_needs_health=True,
        contact_weight=5e-7,
        contact_limit=10.0,
    ),
    "mbbl/SlimHumanoid-ET": _SLIM_HUMANOID,
    "mbbl/SlimHumanoid": _SLIM_HUMANOID,
}
"""The reward of every mbbl task, by its name in `alm.task_registry`."""
