"""The tasks as gymnasium environments: the ALM paper's, and those of the benchmark that it quotes.

Importing this package registers ``alm/HalfCheetah-v2``, ``alm/mbbl-Hopper-ET-v1`` and the others, so both
of these work::

    env = alm.tasks.make("HalfCheetah")
    env = gymnasium.make("alm/HalfCheetah-v2")

The simulator is imported only when the first environment is created.
"""

from typing import Any

import gymnasium

from alm.task_registry import TASKS, TaskSpec, task_spec

__all__ = ["make"]

for _spec in TASKS.values():
    gymnasium.register(
        id=_spec.env_id,
        entry_point=_spec.entry_point,
        max_episode_steps=_spec.horizon,
        # gymnasium's two checking wrappers cost time on every step; the environments check what matters.
        disable_env_checker=True,
        order_enforce=False,
    )


def make(task: str | TaskSpec, **kwargs: Any) -> gymnasium.Env:
    """The environment of a task, with its time limit.

    Args:
        task: a name that `alm.task_registry.task_spec` knows, or a spec.
        **kwargs: passed to the environment, for example ``render_mode="rgb_array"``.

    Returns:
        An environment with float64 observations of shape ``(observation_size,)`` and float32 actions of shape
        ``(action_size,)``. Falling is ``terminated``; the time limit is ``truncated`` only.

    Raises:
        alm.task_registry.UnknownTaskError: no task has the name ``task``.
    """
    spec = task if isinstance(task, TaskSpec) else task_spec(task)
    for kind in ("observation_noise", "action_noise"):
        if level := getattr(spec, kind):
            kwargs[kind] = level
    return gymnasium.make(spec.env_id, **kwargs)
