"""The tasks as plain data, one entry each: name, environment, sizes, bounds, protocol, run length.

This module needs only the standard library, so tables and run identities can be computed without a
simulator. The environments themselves are in `alm.tasks.locomotion` and `alm.tasks.mbbl`.
"""

import math
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import Any

from alm.errors import UserError
from alm.names import nearest

# Steps in the authors' released score files, except for the two full-observation tasks (500k).
PAPER_STEPS = 300_000
# Steps per run in Wang et al. (2019).
_MBBL_STEPS = 200_000
_NOISY = re.compile(r"(.+)-(obsnoise|dynnoise)-(.*)")


class UnknownTaskError(UserError):
    """Unknown task name; the message lists the known ones."""


@dataclass(frozen=True)
class TaskSpec:
    """One task: name, environment, sizes, bounds, protocol and run length.

    Attributes:
        name: the name used in the paper and on the command line, such as ``"HalfCheetah"``.
        env_id: the id registered with gymnasium, such as ``"alm/HalfCheetah-v2"``.
        observation_size: length of the observation vector.
        action_size: length of the action vector.
        action_low: lower bound of every action component (actuator units of the robot's xml).
        action_high: upper bound of every action component.
        horizon: time limit of an episode, in environment steps.
        family: the published definition of the task: ``"v2"`` is OpenAI gym's v2 family, used in the ALM
            authors' repository; ``"mbbl"`` is that of Wang et al. (2019). Results from different
            families are not comparable.
        robot: ``"Hopper"``, ``"Walker2d"``, ``"HalfCheetah"``, ``"Ant"`` or ``"Humanoid"``, whatever part
            of its state is observed. Robot-specific hyper-parameters are looked up by it.
        entry_point: the environment's class, ``"module:class"``, as gymnasium imports it.
        paper_steps: environment steps of a run at paper scale.
        observation_noise, action_noise: standard deviations of the noise, 0 for tasks without noise; see
            `alm.tasks.locomotion.LocomotionEnv`.
    """

    name: str
    env_id: str
    observation_size: int
    action_size: int
    action_low: float
    action_high: float
    horizon: int = 1000
    family: str = "v2"
    robot: str = ""
    entry_point: str = ""
    paper_steps: int = PAPER_STEPS
    observation_noise: float = 0.0
    action_noise: float = 0.0

    @property
    def base(self) -> str:
        """The task's name without its noise suffix."""
        noisy = _NOISY.fullmatch(self.name)
        return noisy[1] if noisy else self.name

    @property
    def protocol(self) -> str:
        """Family and simulator versions recorded with a stored run: ``"v2-gymnasium1.4.0-mujoco4.0.0"``.

        Raises:
            importlib.metadata.PackageNotFoundError: gymnasium or mujoco is not installed.
        """
        return f"{self.family}-{_simulator_versions()}"


@cache
def _simulator_versions() -> str:
    return "-".join(package + version(package) for package in ("gymnasium", "mujoco"))


_ACTIONS = {
    # robot: number of actuators, action bound
    "Humanoid": (17, 0.4),
    "Ant": (8, 1.0),
    "HalfCheetah": (6, 1.0),
    "Walker2d": (6, 1.0),
    "Hopper": (3, 1.0),
}


def _task(name: str, env_id: str, observation_size: int, **more: Any) -> TaskSpec:
    robot = next(robot for robot in _ACTIONS if robot in name)
    size, bound = _ACTIONS[robot]
    return TaskSpec(name, env_id, observation_size, size, -bound, bound, robot=robot, **more)


def _v2(name: str, environment: str, observation_size: int, paper_steps: int = PAPER_STEPS) -> TaskSpec:
    return _task(
        name,
        f"alm/{name}-v2",
        observation_size,
        entry_point=f"alm.tasks.locomotion:{environment}",
        paper_steps=paper_steps,
    )


def _mbbl(name: str, environment: str, observation_size: int) -> TaskSpec:
    return _task(
        f"mbbl/{name}",
        f"alm/mbbl-{name}-v1",
        observation_size,
        family="mbbl",
        entry_point=f"alm.tasks.mbbl:{environment}",
        paper_steps=_MBBL_STEPS,
    )


TASKS: dict[str, TaskSpec] = {
    spec.name: spec
    for spec in (
        # The columns of the paper's Table 1, in its order.
        _v2("T-Humanoid", "TruncatedHumanoidEnv", 45),
        _v2("T-Ant", "TruncatedAntEnv", 27),
        _v2("HalfCheetah", "HalfCheetahEnv", 17),
        _v2("Walker2d", "Walker2dEnv", 17),
        _v2("Hopper", "HopperEnv", 11),
        # The full observations of the learning curves.
        _v2("Ant", "AntEnv", 111, paper_steps=500_000),
        _v2("Humanoid", "HumanoidEnv", 376, paper_steps=500_000),
        # The benchmark that the paper quotes; ET: a fall ends the episode.
        _mbbl("HalfCheetah", "MbblHalfCheetahEnv", 17),
        _mbbl("Walker2d", "MbblWalker2dEnv", 17),
        _mbbl("Hopper", "MbblHopperEnv", 11),
        _mbbl("Ant", "MbblAntEnv", 27),
        _mbbl("Walker2d-ET", "MbblWalker2dETEnv", 17),
        _mbbl("Hopper-ET", "MbblHopperETEnv", 11),
        _mbbl("Ant-ET", "MbblAntETEnv", 27),
        _mbbl("Humanoid-ET", "MbblHumanoidETEnv", 376),
        _mbbl("SlimHumanoid-ET", "MbblSlimHumanoidETEnv", 45),
        _mbbl("SlimHumanoid", "MbblSlimHumanoidEnv", 45),
    )
}
"""Noise-free tasks by name: the columns of the paper's Table 1, full observations, then mbbl."""


def task_spec(name: str) -> TaskSpec:
    """The task called ``name``: one of `TASKS`, or a noisy version of one.

    ``"HalfCheetah-obsnoise-0.1"`` has noise of that standard deviation on its observations,
    ``"HalfCheetah-dynnoise-0.3"`` on the executed actions; the level may be any positive number. The
    spec's name contains its shortest representation.

    Raises:
        UnknownTaskError: no task has that name; the message lists the names and the nearest one.
    """
    if isinstance(name, str):
        if name in TASKS:
            return TASKS[name]
        if noisy := _NOISY.fullmatch(name):
            return _with_noise(task_spec(noisy[1]), noisy[2], noisy[3])
    hint = nearest(name, TASKS) if isinstance(name, str) else ""
    raise UnknownTaskError(
        f"There is no task {name!r}{hint}; the tasks are {', '.join(TASKS)}, and each of them with noise, "
        "such as HalfCheetah-obsnoise-0.1 or HalfCheetah-dynnoise-0.3."
    )


def _with_noise(task: TaskSpec, kind: str, text: str) -> TaskSpec:
    """Noisy version of a task, with the standard deviation given in ``text``."""
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if task.observation_noise or task.action_noise or not 0.0 < level < math.inf:
        raise UnknownTaskError(
            f"There is no task {f'{task.name}-{kind}-{text}'!r}: a task with noise ends in one positive "
            "level, such as HalfCheetah-obsnoise-0.1."
        )
    # The authors' longer runs are on tasks without noise.
    noisy = replace(
        task,
        name=f"{task.name}-{kind}-{repr(level).removesuffix('.0')}",
        paper_steps=min(task.paper_steps, PAPER_STEPS),
    )
    if kind == "obsnoise":
        return replace(noisy, observation_noise=level)
    return replace(noisy, action_noise=level)
