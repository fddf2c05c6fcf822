"""The tasks of the mbbl benchmark (Wang et al., 2019), on which part of the paper's Table 1 was measured.

They are gym's robots with rewards that are functions of observation and action
(`alm.tasks.formulas`), so model-based methods can compute them for imagined states. They differ from
the v2 tasks of `alm.tasks.locomotion` in three ways. The reward is that of the state *before* the step,
with the root's velocity in place of a displacement. Velocities are observed unclipped. Whether a fall ends
the episode is part of the task's name ("ET": early termination).

Restated from ``mbbl/env/gym_env/{walker,fixed_walker,humanoid}.py`` of WilsonWangTHU/mbbl, on gymnasium's
robots and today's MuJoCo. The benchmark reports the 1000-step limit as termination; here it is truncation.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from alm.tasks.formulas import MBBL_REWARDS, MbblReward
from alm.tasks.locomotion import (
    HalfCheetahEnv,
    HopperEnv,
    HumanoidEnv,
    LocomotionEnv,
    TruncatedAntEnv,
    TruncatedHumanoidEnv,
    Walker2dEnv,
)

Array = NDArray[np.float64]


class MbblEnv(LocomotionEnv):
    """Mixin shared by the ten tasks, listed before the robot's class in the bases.

    ``info`` splits the reward as in the v2 tasks, with the height cost as ``reward_height``.
    """

    formula: ClassVar[MbblReward]
    ends_early: ClassVar[bool] = False
    """Whether an unhealthy state ends the episode."""
    _last_contact_cost = 0.0

    def _height(self) -> float:
        """The height of the root (m)."""
        return self._qpos.item(self.hidden_positions)

    def _get_obs(self) -> Array:
        return np.concatenate(self._observed)

    def _act(self, action: Array) -> dict[str, float]:
        formula = self.formula
        healthy = self._healthy() if formula.bonus_needs_health else True
        parts = {
            "reward_forward": formula.forward_weight * self._qvel.item(0),
            "reward_survive": formula.alive_bonus if healthy else 0.0,
            "reward_height": -formula.height_weight * (self._height() - formula.target_height) ** 2,
            "reward_ctrl": -formula.control_weight * float(np.square(action, dtype=np.float64).sum()),
            "reward_contact": -self._last_contact_cost,
        }
        self._apply(action)
        self._advance()
        self._last_contact_cost = self._observed_contact_cost()
        return parts

    def _observed_contact_cost(self) -> float:
        """Cost of the contact forces in the current observation."""
        return 0.0

    def _fallen(self) -> bool:
        return self.ends_early and not self._healthy()

    def _initial_state(self) -> tuple[Array, Array]:
        qpos, qvel = super()._initial_state()
        qpos[: self.hidden_positions] = 0.0
        return qpos, qvel

    def set_state(self, qpos: Array, qvel: Array) -> None:
        """Place the robot; see `LocomotionEnv.set_state`."""
        super().set_state(qpos, qvel)
        self._last_contact_cost = self._observed_contact_cost()


class MbblHalfCheetahEnv(MbblEnv, HalfCheetahEnv):
    """gym_cheetah: 17 observations, 6 actions in ±1. Never terminates."""

    formula = MBBL_REWARDS["mbbl/HalfCheetah"]


class MbblWalker2dEnv(MbblEnv, Walker2dEnv):
    """gym_walker2d: 17 observations, 6 actions in ±1. Never terminates; a fall costs via its height."""

    formula = MBBL_REWARDS["mbbl/Walker2d"]


class MbblWalker2dETEnv(MbblWalker2dEnv):
    """gym_fwalker2d: gym_walker2d that ends unless 0.8 m < height < 2 m and the tilt is below 1 rad."""

    formula = MBBL_REWARDS["mbbl/Walker2d-ET"]
    ends_early = True


class MbblHopperEnv(MbblEnv, HopperEnv):
    """gym_hopper: 11 observations, 3 actions in ±1. Never terminates."""

    formula = MBBL_REWARDS["mbbl/Hopper"]


class MbblHopperETEnv(MbblHopperEnv):
    """gym_fhopper: gym_hopper that ends unless its height is above 0.7 m and its tilt below 0.2 rad."""

    formula = MBBL_REWARDS["mbbl/Hopper-ET"]
    ends_early = True


class MbblAntEnv(MbblEnv, TruncatedAntEnv):
    """gym_ant: 27 observations, 8 actions in ±1, no contact cost. Never terminates."""

    formula = MBBL_REWARDS["mbbl/Ant"]


class MbblAntETEnv(MbblAntEnv):
    """gym_fant: gym_ant that ends unless 0.2 m ≤ height ≤ 1 m."""

    formula = MBBL_REWARDS["mbbl/Ant-ET"]
    ends_early = True


class MbblSlimHumanoidEnv(MbblEnv, TruncatedHumanoidEnv):
    """gym_nostopslimhumanoid: 45 observations, no contact cost. Never terminates."""

    formula = MBBL_REWARDS["mbbl/SlimHumanoid"]


class MbblSlimHumanoidETEnv(MbblSlimHumanoidEnv):
    """gym_slimhumanoid: the same, but ends unless 1 m ≤ height ≤ 2 m."""

    formula = MBBL_REWARDS["mbbl/SlimHumanoid-ET"]
    ends_early = True


class MbblHumanoidETEnv(MbblEnv, HumanoidEnv):
    """gym_humanoid: 376 observations; ends unless 1 m ≤ height ≤ 2 m.

    Charges the contact forces of the observation before the step, its last 84 entries.
    """

    formula = MBBL_REWARDS["mbbl/Humanoid-ET"]
    ends_early = True

    def _observed_contact_cost(self) -> float:
        forces = self._contact_forces
        return min(self.formula.contact_weight * float(forces.dot(forces)), self.formula.contact_limit)
