"""The tasks as gymnasium environments: the ALM paper's, and those of the benchmark that it quotes.

Importing this package registers ``alm/HalfCheetah-v2``, ``alm/mbbl-Hopper-ET-v1`` and their siblings, so both
of these work::

    env = alm.tasks.make("HalfCheetah")
    env = gymnasium.make("alm/HalfCheetah-v2")

The simulator is imported only when the first environment is made.
"""

from typing import Any

import gymnasium

from alm.tasks.registry import TASKS, TaskSpec, UnknownTaskError, task_spec

__all__ = ["TASKS", "TaskSpec", "UnknownTaskError", "make", "task_spec"]

_ENTRY_POINTS = {
    "T-Humanoid": "locomotion:TruncatedHumanoidEnv",
    "T-Ant": "locomotion:TruncatedAntEnv",
    "HalfCheetah": "locomotion:HalfCheetahEnv",
    "Walker2d": "locomotion:Walker2dEnv",
    "Hopper": "locomotion:HopperEnv",
    "Ant": "locomotion:AntEnv",
    "Humanoid": "locomotion:HumanoidEnv",
    "mbbl/HalfCheetah": "mbbl:MbblHalfCheetahEnv",
    "mbbl/Walker2d": "mbbl:MbblWalker2dEnv",
    "mbbl/Hopper": "mbbl:MbblHopperEnv",
    "mbbl/Ant": "mbbl:MbblAntEnv",
    "mbbl/Walker2d-ET": "mbbl:MbblWalker2dETEnv",
    "mbbl/Hopper-ET": "mbbl:MbblHopperETEnv",
    "mbbl/Ant-ET": "mbbl:MbblAntETEnv",
    "mbbl/Humanoid-ET": "mbbl:MbblHumanoidETEnv",
    "mbbl/SlimHumanoid-ET": "mbbl:MbblSlimHumanoidETEnv",
    "mbbl/SlimHumanoid": "mbbl:MbblSlimHumanoidEnv",
}

for _spec in TASKS.values():
    gymnasium.register(
        id=_spec.env_id,
        entry_point=f"alm.tasks.{_ENTRY_POINTS[_spec.name]}",
        max_episode_steps=_spec.horizon,
        # gymnasium's two checking wrappers cost time on every step; the environments check what matters.
        disable_env_checker=True,
        order_enforce=False,
    )


def make(task: str | TaskSpec, **kwargs: Any) -> gymnasium.Env:
    """Make the environment of a task, with its time limit.

    Args:
        task: a name that :func:`task_spec` knows, or a spec.
        **kwargs: passed to the environment, for example ``render_mode="rgb_array"``.

    Returns:
        An environment with float64 observations of shape ``(observation_size,)`` and float32 actions of shape
        ``(action_size,)``. Falling is ``terminated``; the time limit is ``truncated`` only.

    Raises:
        UnknownTaskError: ``task`` is a name that no task has.
    """
    spec = task if isinstance(task, TaskSpec) else task_spec(task)
    for kind in ("observation_noise", "action_noise"):
        if level := getattr(spec, kind):
            kwargs[kind] = level
    return gymnasium.make(spec.env_id, **kwargs)
