"""The registry: what is in it, what it refuses, and what it costs to import."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import alm.tasks
from alm.task_registry import TASKS, TaskSpec, UnknownTaskError, task_spec

SIZES = {
    # name: observation, action, bound
    "T-Humanoid": (45, 17, 0.4),
    "T-Ant": (27, 8, 1.0),
    "HalfCheetah": (17, 6, 1.0),
    "Walker2d": (17, 6, 1.0),
    "Hopper": (11, 3, 1.0),
    "Ant": (111, 8, 1.0),
    "Humanoid": (376, 17, 0.4),
    "mbbl/HalfCheetah": (17, 6, 1.0),
    "mbbl/Walker2d": (17, 6, 1.0),
    "mbbl/Hopper": (11, 3, 1.0),
    "mbbl/Ant": (27, 8, 1.0),
    "mbbl/Walker2d-ET": (17, 6, 1.0),
    "mbbl/Hopper-ET": (11, 3, 1.0),
    "mbbl/Ant-ET": (27, 8, 1.0),
    "mbbl/Humanoid-ET": (376, 17, 0.4),
    "mbbl/SlimHumanoid-ET": (45, 17, 0.4),
    "mbbl/SlimHumanoid": (45, 17, 0.4),
}


def test_tasks_and_their_order():
    assert list(TASKS) == list(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_spec_agrees_with_table_and_environment(name):
    spec = task_spec(name)
    observation_size, action_size, bound = SIZES[name]
    family, _, bare = name.rpartition("/")
    expected = (name, f"alm/mbbl-{bare}-v1", "mbbl") if family else (name, f"alm/{name}-v2", "v2")
    assert (spec.name, spec.env_id, spec.family) == expected
    assert spec.robot in name
    assert (spec.observation_size, spec.action_size) == (observation_size, action_size)
    assert (spec.action_low, spec.action_high, spec.horizon) == (-bound, bound, 1000)

    env = alm.tasks.make(name)
    assert env.spec is not None and env.spec.id == spec.env_id
    assert env.spec.max_episode_steps == spec.horizon
    assert isinstance(env.action_space, gymnasium.spaces.Box)
    assert env.observation_space.shape == (observation_size,)
    assert env.action_space.shape == (action_size,)
    np.testing.assert_array_equal(env.action_space.low, np.float32(-bound))
    np.testing.assert_array_equal(env.action_space.high, np.float32(bound))
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space


def test_lengths_of_runs_follow_the_paper():
    steps = {name: 200_000 if name.startswith("mbbl") else 300_000 for name in SIZES}
    steps |= {"Ant": 500_000, "Humanoid": 500_000}
    assert {name: spec.paper_steps for name, spec in TASKS.items()} == steps


def test_make_takes_a_spec_and_passes_options_on():
    env = alm.tasks.make(TASKS["Hopper"], width=32)
    assert env.spec is not None and env.spec.id == "alm/Hopper-v2"
    assert env.unwrapped.width == 32


def test_make_adds_the_time_limit_and_no_other_wrapper():
    env = alm.tasks.make("Hopper")
    assert isinstance(env, gymnasium.wrappers.TimeLimit)
    assert env.env is env.unwrapped


def test_protocol_names_family_and_versions():
    versions = f"gymnasium{version('gymnasium')}-mujoco{version('mujoco')}"
    assert TASKS["Ant"].protocol == f"v2-{versions}"
    other = TaskSpec("x", "x", 1, 1, -1.0, 1.0, family="mbbl")
    assert other.protocol == f"mbbl-{versions}"


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("Hoper", "Hopper"),
        ("halfcheetah", "HalfCheetah"),
        ("HalfCheetah-v2", "HalfCheetah"),
        ("t-ant", "T-Ant"),
        ("HOPPER", "Hopper"),
        ("Walker", "Walker2d"),
        ("mbbl/hopper-et", "mbbl/Hopper-ET"),
        ("mbbl_Hopper", "mbbl/Hopper"),
    ],
)
def test_unknown_name_is_answered_with_the_names_and_the_nearest(wrong, nearest):
    with pytest.raises(UnknownTaskError) as caught:
        alm.tasks.make(wrong)
    message = str(caught.value)
    assert message == (
        f"There is no task {wrong!r} (did you mean {nearest!r}?); the tasks are "
        "T-Humanoid, T-Ant, HalfCheetah, Walker2d, Hopper, Ant, Humanoid, mbbl/HalfCheetah, mbbl/Walker2d, "
        "mbbl/Hopper, mbbl/Ant, mbbl/Walker2d-ET, mbbl/Hopper-ET, mbbl/Ant-ET, mbbl/Humanoid-ET, "
        "mbbl/SlimHumanoid-ET, mbbl/SlimHumanoid, and each of them with noise, such as "
        "HalfCheetah-obsnoise-0.1 or HalfCheetah-dynnoise-0.3."
    )
    assert isinstance(caught.value, ValueError)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("wrong", ["", "qqqq", None, ["Ant"]])
def test_nothing_near_gives_no_suggestion(wrong):
    with pytest.raises(UnknownTaskError, match=r"^There is no task [^(]*; the tasks are T-Humanoid, .*\.$"):
        task_spec(wrong)


def test_importing_the_registry_does_not_import_a_simulator_or_torch():
    code = (
        "import sys, alm.task_registry as r; r.TASKS['Ant'].protocol; "
        "names = ('mujoco', 'torch', 'alm.tasks.locomotion', 'alm.tasks.mbbl'); "
        "print([name for name in names if name in sys.modules])"
    )
    root = Path(alm.tasks.__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"
