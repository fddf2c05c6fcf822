"""The tasks of the ALM paper as gymnasium environments.

Importing this package registers ``alm/HalfCheetah-v2`` and its siblings, so both of these work::

    env = alm.tasks.make("HalfCheetah")
    env = gymnasium.make("alm/HalfCheetah-v2")

The simulator is imported only when the first environment is made.
"""

from typing import Any

import gymnasium

from alm.tasks.registry import TASKS, TaskSpec, UnknownTaskError, task_spec

__all__ = ["TASKS", "TaskSpec", "UnknownTaskError", "make", "task_spec"]

_ENTRY_POINTS = {
    "T-Humanoid": "TruncatedHumanoidEnv",
    "T-Ant": "TruncatedAntEnv",
    "HalfCheetah": "HalfCheetahEnv",
    "Walker2d": "Walker2dEnv",
    "Hopper": "HopperEnv",
    "Ant": "AntEnv",
    "Humanoid": "HumanoidEnv",
}

for _spec in TASKS.values():
    gymnasium.register(
        id=_spec.env_id,
        entry_point=f"alm.tasks.locomotion:{_ENTRY_POINTS[_spec.name]}",
        max_episode_steps=_spec.horizon,
        # gymnasium's two checking wrappers cost time on every step; the environments check what matters.
        disable_env_checker=True,
        order_enforce=False,
    )


def make(task: str | TaskSpec, **kwargs: Any) -> gymnasium.Env:
    """Make the environment of a task, with its time limit.

    Args:
        task: a name from :data:`TASKS`, or a spec.
        **kwargs: passed to the environment, for example ``render_mode="rgb_array"``.

    Returns:
        An environment with float64 observations of shape ``(observation_size,)`` and float32 actions of shape
        ``(action_size,)``. Falling is ``terminated``; the time limit is ``truncated`` only.

    Raises:
        UnknownTaskError: ``task`` is a name that no task has.
    """
    spec = task if isinstance(task, TaskSpec) else task_spec(task)
    return gymnasium.make(spec.env_id, **kwargs)
