"""The paper's tasks as plain data: names, sizes, bounds, and the protocol they follow.

This module needs the standard library only, so tables and run identities can be worked out without a
simulator. The environments themselves are in :mod:`alm.tasks.locomotion`.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import version

__all__ = ["TASKS", "TaskSpec", "UnknownTaskError", "task_spec"]


class UnknownTaskError(ValueError):
    """A task name that is not in :data:`TASKS`."""


@dataclass(frozen=True)
class TaskSpec:
    """What an agent, a run record or a table needs to know about a task.

    Attributes:
        name: the name used in the paper and on the command line, such as ``"HalfCheetah"``.
        env_id: the id registered with gymnasium, such as ``"alm/HalfCheetah-v2"``.
        observation_size: length of the observation vector.
        action_size: length of the action vector.
        action_low: lower bound of every action component (actuator units of the robot's xml).
        action_high: upper bound of every action component.
        horizon: time limit of an episode, in environment steps.
        family: which published definition of the task this is; ``"v2"`` is OpenAI gym's v2 family, the one
            in the ALM authors' repository. Results from different families are not comparable.
    """

    name: str
    env_id: str
    observation_size: int
    action_size: int
    action_low: float
    action_high: float
    horizon: int = 1000
    family: str = "v2"

    @property
    def protocol(self) -> str:
        """Family and simulator versions, for a stored run: ``"v2-gymnasium1.4.0-mujoco4.0.0"``.

        Raises:
            importlib.metadata.PackageNotFoundError: gymnasium or mujoco is not installed.
        """
        return f"{self.family}-{_simulator_versions()}"


@cache
def _simulator_versions() -> str:
    return "-".join(package + version(package) for package in ("gymnasium", "mujoco"))


def _v2(name: str, observation_size: int, action_size: int, action_bound: float) -> TaskSpec:
    return TaskSpec(name, f"alm/{name}-v2", observation_size, action_size, -action_bound, action_bound)


TASKS: dict[str, TaskSpec] = {
    spec.name: spec
    for spec in (
        # The columns of the paper's Table 1, in its order.
        _v2("T-Humanoid", 45, 17, 0.4),
        _v2("T-Ant", 27, 8, 1.0),
        _v2("HalfCheetah", 17, 6, 1.0),
        _v2("Walker2d", 17, 6, 1.0),
        _v2("Hopper", 11, 3, 1.0),
        # The full observations of the learning curves.
        _v2("Ant", 111, 8, 1.0),
        _v2("Humanoid", 376, 17, 0.4),
    )
}
"""Every task by name, the columns of the paper's Table 1 first."""


def task_spec(name: str) -> TaskSpec:
    """Return the task called ``name``.

    Raises:
        UnknownTaskError: no task has that name; the message lists the names and the nearest one.
    """
    if isinstance(name, str) and name in TASKS:
        return TASKS[name]
    by_lower_case = {known.lower(): known for known in TASKS}
    nearest = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.4) if isinstance(name, str) else []
    hint = f" (did you mean {by_lower_case[nearest[0]]!r}?)" if nearest else ""
    raise UnknownTaskError(f"There is no task {name!r}{hint}; the tasks are {', '.join(TASKS)}.")
