"""Terminations and rewards as batched functions of observations, for models that imagine transitions.

Termination depends on the state after a step, and the observation contains what is needed. The reward is a
function of observation and action only on the mbbl tasks: v2 tasks pay for the displacement of an unobserved
coordinate.

Shapes: observation and next_observation (…, observation size), action (…, action size), results (…).
"""

from torch import Tensor

from alm.errors import UserError
from alm.task_registry import TaskSpec
from alm.tasks.formulas import HEALTHY, HOPPER_BOUND, MBBL_REWARDS

# Layout of an observation: height of the root, its tilt (planar robots only) and other positions, then
# velocities, starting with the root's along x.
_HEIGHT, _TILT = 0, 1
_VELOCITY = {"HalfCheetah": 8, "Walker2d": 8, "Hopper": 5, "Ant": 13, "Humanoid": 22}
_ANT_STATE = slice(27)
_CONTACT_FORCES = slice(-84, None)


def terminated(task: TaskSpec, next_observation: Tensor) -> Tensor:
    """Whether the step that led to ``next_observation`` ended the episode → bool (…).

    Equals the simulator's flag with one exception: v2's Hopper also ends if a velocity reaches 100 in
    magnitude, but its observed velocities are clipped to ±10. (MBPO's version of that bound for models
    takes the magnitude of the comparison instead of the value, so large negative values pass. Here the
    bound is gym's.)

    Raises:
        UserError: the task's observations are noisy and do not determine the state.
    """
    if not _ends_by_itself(task):
        return next_observation.new_zeros(next_observation.shape[:-1]).bool()
    _require_clean(task)
    healthy = _healthy(task, next_observation)
    if task.family == "v2" and task.robot == "Hopper":
        # The bound excludes x and the height. Comparisons with NaN are false, so NaN is detected too.
        healthy &= (next_observation[..., _TILT:].abs() < HOPPER_BOUND).all(dim=-1)
        healthy &= next_observation[..., _HEIGHT].isfinite()
    if task.family == "v2" and task.robot == "Ant":
        healthy &= next_observation[..., _ANT_STATE].isfinite().all(dim=-1)
    return ~healthy


def has_end(task: TaskSpec) -> bool:
    """Whether `terminated` supports the task: it never ends, or its observations are not noisy."""
    return not (_ends_by_itself(task) and task.observation_noise)


def has_reward(task: TaskSpec) -> bool:
    """Whether `reward` supports the task: an mbbl task whose observations are not noisy."""
    return task.base in MBBL_REWARDS and not task.observation_noise


def reward(task: TaskSpec, observation: Tensor, action: Tensor) -> Tensor:
    """The reward of a step of an mbbl task → (…); see `alm.tasks.formulas.MbblReward`.

    It depends on the state before the step. Exact also for Humanoid-ET: the contact forces that it charges
    are the last 84 of the 376 entries of its observation. Gradients reach ``observation`` and ``action``.

    Raises:
        UserError: the task is a v2 task, whose reward is not a function of observations, or its
            observations are noisy.
    """
    if task.base not in MBBL_REWARDS:
        raise UserError(
            f"The reward of {task.name} is not a function of observations (it pays the displacement of a "
            "coordinate that is not observed): choose a task of the mbbl benchmark, such as mbbl/HalfCheetah."
        )
    _require_clean(task)
    formula = MBBL_REWARDS[task.base]
    total = formula.forward_weight * observation[..., _VELOCITY[task.robot]]
    total = total - formula.control_weight * action.square().sum(dim=-1)
    if formula.height_weight:
        total = total - formula.height_weight * (observation[..., _HEIGHT] - formula.target_height).square()
    if formula.bonus_needs_health:
        total = total + formula.alive_bonus * _healthy(task, observation)
    else:
        total = total + formula.alive_bonus
    if formula.contact_weight:
        forces = observation[..., _CONTACT_FORCES].square().sum(dim=-1)
        total = total - (formula.contact_weight * forces).clamp(max=formula.contact_limit)
    return total


def _ends_by_itself(task: TaskSpec) -> bool:
    return task.base.endswith("-ET") if task.family == "mbbl" else task.robot in HEALTHY


def _healthy(task: TaskSpec, observation: Tensor) -> Tensor:
    healthy: Tensor = HEALTHY[task.robot](observation[..., _HEIGHT], observation[..., _TILT])
    return healthy


def _require_clean(task: TaskSpec) -> None:
    if task.observation_noise:
        raise UserError(
            f"The state of {task.name} cannot be read off its noisy observations: choose {task.base}."
        )
