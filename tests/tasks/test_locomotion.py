"""The seven environments against a second statement of gym 0.17.2's v2 formulas, with plain MuJoCo calls.

The reference shares the engine and the robot files with the environments, and nothing else: it has its own
model and data (`Robot`), advances them one simulation step at a time, and is given only an initial state and
the actions. So the tests check formulas, layout and termination, not equality with trajectories of mjpro150.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

import alm.tasks
from alm.task_registry import TASKS as ALL_TASKS
from tests.tasks.cases import Robot, episode, make, random_actions

TASKS = {name: spec for name, spec in ALL_TASKS.items() if spec.family == "v2"}
FALLING = [name for name in TASKS if name != "HalfCheetah"]


def half_cheetah(sim, action):
    d = sim.data
    before = d.qpos[0]
    sim.advance(action, 5)
    reward = (d.qpos[0] - before) / 0.05 - 0.1 * np.sum(action**2)
    return np.r_[d.qpos[1:], d.qvel], reward, False


def hopper(sim, action):
    d = sim.data
    before = d.qpos[0]
    sim.advance(action, 4)
    reward = (d.qpos[0] - before) / 0.008 + 1 - 1e-3 * np.sum(action**2)
    state = np.r_[d.qpos, d.qvel]
    alive = (
        np.isfinite(state).all()
        and (np.abs(state[2:]) < 100).all()
        and state[1] > 0.7
        and abs(state[2]) < 0.2
    )
    return np.r_[d.qpos[1:], np.clip(d.qvel, -10, 10)], reward, not alive


def walker2d(sim, action):
    d = sim.data
    before = d.qpos[0]
    sim.advance(action, 4)
    reward = (d.qpos[0] - before) / 0.008 + 1 - 1e-3 * np.sum(action**2)
    alive = 0.8 < d.qpos[1] < 2 and abs(d.qpos[2]) < 1
    return np.r_[d.qpos[1:], np.clip(d.qvel, -10, 10)], reward, not alive


def ant(sim, action):
    d = sim.data
    before = d.body("torso").xpos[0]
    sim.advance(action, 5)
    forces = np.clip(d.cfrc_ext, -1, 1)
    velocity = (d.body("torso").xpos[0] - before) / 0.05
    reward = velocity + 1 - 0.5 * np.sum(action**2) - 5e-4 * np.sum(forces**2)
    alive = np.isfinite(d.qpos).all() and np.isfinite(d.qvel).all() and 0.2 <= d.qpos[2] <= 1
    return np.r_[d.qpos[2:], d.qvel, forces.flatten()], reward, not alive


def truncated_ant(sim, action):
    observation, reward, done = ant(sim, action)
    return observation[:27], reward, done


def humanoid(sim, action):
    d = sim.data

    def centre_of_mass():
        return np.sum(sim.model.body_mass * d.xipos[:, 0]) / np.sum(sim.model.body_mass)

    before = centre_of_mass()
    control = np.clip(action, -0.4, 0.4)
    sim.advance(control, 5)
    contact = min(5e-7 * np.sum(d.cfrc_ext**2), 10)
    velocity = (centre_of_mass() - before) / 0.015
    reward = 1.25 * velocity + 5 - 0.1 * np.sum(control**2) - contact
    blocks = (d.qpos[2:], d.qvel, d.cinert, d.cvel, d.qfrc_actuator, d.cfrc_ext)
    return np.concatenate([block.flatten() for block in blocks]), reward, d.qpos[2] < 1 or d.qpos[2] > 2


def truncated_humanoid(sim, action):
    observation, reward, done = humanoid(sim, action)
    return observation[:45], reward, done


REFERENCES = {
    "T-Humanoid": ("humanoid.xml", truncated_humanoid),
    "T-Ant": ("ant.xml", truncated_ant),
    "HalfCheetah": ("half_cheetah.xml", half_cheetah),
    "Walker2d": ("walker2d.xml", walker2d),
    "Hopper": ("hopper.xml", hopper),
    "Ant": ("ant.xml", ant),
    "Humanoid": ("humanoid.xml", humanoid),
}


@pytest.mark.parametrize("name", TASKS)
def test_environment_equals_the_v2_formulas(name):
    env, inner = make(name)
    xml, reference_step = REFERENCES[name]
    sim = Robot(xml)
    env.reset(seed=7)
    sim.place(inner.data.qpos, inner.data.qvel)
    terminations = contacts = 0
    for number, action in enumerate(random_actions(name, 3000)):
        observation, reward, terminated, truncated, info = env.step(action)
        expected_observation, expected_reward, done = reference_step(sim, action.astype(np.float64))
        assert observation.dtype == np.float64
        assert observation.shape == expected_observation.shape
        assert np.array_equal(observation, expected_observation), number
        assert isinstance(reward, float) and abs(reward - expected_reward) < 1e-9, number
        assert terminated is bool(done), number
        assert sum(info.values()) == pytest.approx(reward, abs=1e-9)
        terminations += terminated
        contacts += info["reward_contact"] < -1e-4
        if terminated or truncated:
            env.reset()
            sim.place(inner.data.qpos, inner.data.qvel)
    assert (terminations > 0) == (name in FALLING), "the comparison above must have met a terminal step"
    assert (contacts > 100) == ("Ant" in name or "Humanoid" in name)


@pytest.mark.parametrize(
    ("name", "v5", "options"),
    [
        ("Hopper", "Hopper-v5", {}),
        ("Walker2d", "Walker2d-v5", {"xml_file": "walker2d.xml"}),
        ("T-Ant", "Ant-v5", {"include_cfrc_ext_in_observation": False}),
    ],
)
def test_gymnasium_v5_differs_by_the_bonus_of_the_terminal_step_only(name, v5, options):
    ours, theirs = alm.tasks.make(name), gymnasium.make(v5, **options)
    ours.reset(seed=2)
    theirs.reset(seed=2)
    # v2's initial states have a root quaternion of length one.
    theirs.unwrapped.set_state(ours.unwrapped.data.qpos, ours.unwrapped.data.qvel)
    for action in random_actions(name, 1000):
        observation, reward, terminated, *_ = ours.step(action)
        other_observation, other_reward, other_terminated, *_ = theirs.step(action)
        np.testing.assert_array_equal(observation, other_observation)
        assert terminated == other_terminated
        assert float(reward) - float(other_reward) == pytest.approx(float(terminated), abs=1e-6)
        if terminated:
            return
    pytest.fail("no terminal step")


@pytest.mark.parametrize("name", TASKS)
def test_initial_state_follows_the_table(name):
    env, inner = make(name)
    observation, _ = env.reset(seed=5)
    rng = np.random.default_rng(5)
    sim = Robot(REFERENCES[name][0])
    nq, nv = sim.model.nq, sim.model.nv
    qpos, qvel = sim.data.qpos.copy(), sim.data.qvel.copy()
    if name in ("HalfCheetah", "T-Ant", "Ant"):
        qpos += rng.uniform(-0.1, 0.1, nq)
        qvel += 0.1 * rng.standard_normal(nv)
    else:
        noise = 0.01 if "Humanoid" in name else 0.005
        qpos += rng.uniform(-noise, noise, nq)
        qvel += rng.uniform(-noise, noise, nv)
    if "Ant" in name or "Humanoid" in name:
        assert abs(np.linalg.norm(qpos[3:7]) - 1) > 1e-4, "the noise must have changed the norm"
        qpos[3:7] /= np.linalg.norm(qpos[3:7])
        qpos_seen = qpos[2:]
    else:
        qpos_seen = qpos[1:]
    np.testing.assert_allclose(inner.data.qpos, qpos, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(inner.data.qvel, qvel)
    seen = np.r_[qpos_seen, qvel]
    np.testing.assert_allclose(observation[: seen.size], seen, rtol=0, atol=1e-15)
    if name == "Humanoid":
        sim.place(inner.data.qpos, inner.data.qvel)
        blocks = (sim.data.cinert, sim.data.cvel, np.zeros(23), np.zeros(84))
        np.testing.assert_array_equal(observation[45:], np.concatenate([block.flatten() for block in blocks]))
    else:
        assert not observation[seen.size :].any()


EULER, RK4 = mujoco.mjtIntegrator.mjINT_EULER, mujoco.mjtIntegrator.mjINT_RK4


@pytest.mark.parametrize(
    ("name", "substeps", "timestep", "integrator"),
    [
        ("T-Humanoid", 5, 0.003, RK4),
        ("T-Ant", 5, 0.01, RK4),
        ("HalfCheetah", 5, 0.01, EULER),
        ("Walker2d", 4, 0.002, RK4),
        ("Hopper", 4, 0.002, RK4),
        ("Ant", 5, 0.01, RK4),
        ("Humanoid", 5, 0.003, RK4),
    ],
)
def test_time_step_and_integrator_follow_the_table(name, substeps, timestep, integrator):
    env, inner = make(name)
    assert inner.frame_skip == substeps
    assert inner.model.opt.timestep == timestep
    assert inner.model.opt.integrator == integrator
    env.reset(seed=0)
    env.step(np.zeros(TASKS[name].action_size))
    assert inner.data.time == pytest.approx(substeps * timestep)


def test_robots_follow_the_table():
    assert make("HalfCheetah")[1].model.body_mass.sum() == pytest.approx(14)
    walker = make("Walker2d")[1].model
    assert walker.geom("foot_geom").friction[0] == 0.9
    assert walker.geom("foot_left_geom").friction[0] == 1.9
    humanoid_options = make("Humanoid")[1].model.opt
    assert humanoid_options.solver == mujoco.mjtSolver.mjSOL_PGS
    assert humanoid_options.iterations == 50


@pytest.mark.parametrize(
    ("name", "changes", "terminated"),
    [
        # name, entries of the initial state to change before one step without control, whether it terminates
        ("HalfCheetah", {"qpos": {1: 3.0, 2: 3.1}}, False),
        ("Hopper", {}, False),
        ("Hopper", {"qpos": {1: 0.69}}, True),
        ("Hopper", {"qpos": {1: 0.71}}, False),
        ("Hopper", {"qpos": {1: 5.0}}, False),
        ("Hopper", {"qpos": {2: 0.21}}, True),
        ("Hopper", {"qpos": {2: 0.19}}, False),
        ("Hopper", {"qpos": {2: -0.21}}, True),
        ("Hopper", {"qpos": {2: -0.19}}, False),
        ("Hopper", {"qvel": {0: 101.0}}, True),
        ("Hopper", {"qvel": {0: 99.0}}, False),
        ("Hopper", {"qpos": {0: 101.0}}, False),
        ("Walker2d", {}, False),
        ("Walker2d", {"qpos": {1: 0.79}}, True),
        ("Walker2d", {"qpos": {1: 0.81}}, False),
        ("Walker2d", {"qpos": {1: 2.01}}, True),
        ("Walker2d", {"qpos": {1: 1.99}}, False),
        ("Walker2d", {"qpos": {2: 1.01}}, True),
        ("Walker2d", {"qpos": {2: 0.99}}, False),
        ("Walker2d", {"qpos": {2: -1.01}}, True),
        ("Walker2d", {"qpos": {2: -0.99}}, False),
        ("Walker2d", {"qvel": {0: 101.0}}, False),
        # The ant's joint limits lift its torso by 2 cm in this step.
        ("T-Ant", {}, False),
        ("T-Ant", {"qpos": {2: 0.17}}, True),
        ("T-Ant", {"qpos": {2: 0.19}}, False),
        ("T-Ant", {"qpos": {2: 0.97}}, False),
        ("T-Ant", {"qpos": {2: 0.99}}, True),
        ("T-Humanoid", {}, False),
        ("T-Humanoid", {"qpos": {2: 0.99}}, True),
        ("T-Humanoid", {"qpos": {2: 1.01}}, False),
        ("T-Humanoid", {"qpos": {2: 2.01}}, True),
        ("T-Humanoid", {"qpos": {2: 1.99}}, False),
    ],
)
def test_termination_on_each_side_of_each_limit(name, changes, terminated):
    env, inner = make(name)
    # Without contacts the floor does not throw up a robot that is placed inside it.
    inner.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    env.reset(seed=0)
    state = {"qpos": inner.init_qpos.copy(), "qvel": inner.init_qvel.copy()}
    for part, entries in changes.items():
        for index, value in entries.items():
            state[part][index] = value
    inner.set_state(**state)
    assert env.step(np.zeros(TASKS[name].action_size))[2] is terminated


@pytest.mark.parametrize(
    ("name", "part", "index", "value"),
    [
        ("T-Ant", "qpos", 0, np.inf),
        ("T-Ant", "qvel", 13, np.nan),
        ("Hopper", "qpos", 0, np.nan),  # of x and height the bound of 100 knows nothing
        ("Hopper", "qpos", 1, np.inf),
        ("Hopper", "qvel", 5, np.nan),
    ],
)
def test_a_state_that_is_not_finite_terminates(name, part, index, value):
    env, inner = make(name)
    env.reset(seed=0)
    assert not inner._fallen()
    getattr(inner.data, part)[index] = value
    assert inner._fallen()


@pytest.mark.parametrize("name", ["T-Ant", "T-Humanoid"])
def test_set_state_normalises_the_root_and_leaves_its_arguments_alone(name):
    _, inner = make(name)
    qpos, qvel = inner.init_qpos.copy(), inner.init_qvel.copy()
    qpos[3:7] = (3.0, 0.0, 4.0, 0.0)
    inner.set_state(qpos, qvel)
    np.testing.assert_array_equal(qpos[3:7], (3.0, 0.0, 4.0, 0.0))
    np.testing.assert_allclose(inner.data.qpos[3:7], (0.6, 0.0, 0.8, 0.0), rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", ["T-Ant", "T-Humanoid"])
def test_set_state_starts_the_displacement_anew(name):
    env, inner = make(name)
    env.reset(seed=0)
    qpos, qvel = inner.data.qpos.copy(), inner.data.qvel.copy()
    _, reward, *_ = env.step(np.zeros(TASKS[name].action_size))
    env.reset(seed=1)
    qpos[0] += 10.0
    inner.set_state(qpos, qvel)
    assert env.step(np.zeros(TASKS[name].action_size))[1] == pytest.approx(reward, abs=1e-9)


@pytest.mark.parametrize("name", ["T-Humanoid", "Humanoid"])
def test_humanoid_pays_for_the_clipped_control(name):
    env, inner = make(name)
    action = random_actions(name, 1)[0]
    assert np.abs(action).max() > 0.5
    outcomes = []
    for sent in (action, np.clip(action, -0.4, 0.4)):
        env.reset(seed=0)
        observation, reward, _, _, info = env.step(sent)
        cost = 0.1 * np.sum(np.clip(action.astype(np.float64), -0.4, 0.4) ** 2)
        assert -info["reward_ctrl"] == pytest.approx(cost, abs=1e-7)
        outcomes.append((observation, reward))
    # A float32 0.4 is not the engine's 0.4, hence a tolerance.
    np.testing.assert_allclose(outcomes[0][0], outcomes[1][0], atol=1e-4)
    assert outcomes[0][1] == pytest.approx(outcomes[1][1], abs=1e-6)
    env.reset(seed=0)
    assert env.step(np.ones(17))[4]["reward_ctrl"] == pytest.approx(-0.272)


@pytest.mark.parametrize(
    ("name", "weight"), [("HalfCheetah", 0.1), ("T-Ant", 0.5), ("Hopper", 1e-3), ("Walker2d", 1e-3)]
)
def test_other_tasks_pay_for_the_action_as_given(name, weight):
    env, _ = make(name)
    size = TASKS[name].action_size
    env.reset(seed=0)
    within = env.step(np.ones(size))[0]
    env.reset(seed=0)
    beyond, _, _, _, info = env.step(np.full(size, 3.0))
    assert info["reward_ctrl"] == pytest.approx(-weight * 9 * size)
    np.testing.assert_array_equal(beyond, within)


def test_humanoid_contact_cost_is_limited():
    env, inner = make("T-Humanoid")
    env.reset(seed=0)
    qvel = inner.init_qvel.copy()
    qvel[2] = -30.0
    inner.set_state(inner.init_qpos, qvel)
    _, _, _, _, info = env.step(np.zeros(17))
    assert 5e-7 * np.sum(inner.data.cfrc_ext**2) > 20
    assert info["reward_contact"] == -10.0


def test_contact_forces_are_observed():
    for name, limit in (("Ant", 1.0), ("Humanoid", np.inf)):
        env, inner = make(name)
        env.reset(seed=0)
        largest = 0.0
        for action in random_actions(name, 60):
            observation = env.step(action)[0]
            forces = inner.data.cfrc_ext.flatten()
            np.testing.assert_array_equal(observation[-84:], np.clip(forces, -limit, limit))
            largest = max(largest, np.abs(forces).max())
        assert largest > 10


def test_time_limit_truncates_and_does_not_terminate():
    env, _ = make("HalfCheetah")
    env.reset(seed=0)
    ends = [env.step(action)[2:4] for action in random_actions("HalfCheetah", 1000)]
    assert ends[:-1] == [(False, False)] * 999
    assert ends[-1] == (False, True)


@pytest.mark.parametrize("shape", [(), (1,), (2,), (4,), (1, 3)])
def test_action_of_the_wrong_shape_is_refused(shape):
    env, _ = make("Hopper")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"An action must have shape \(3,\), not "):
        env.step(np.zeros(shape))


def test_observations_are_new_arrays():
    for name in TASKS:
        env, _ = make(name)
        first, _ = env.reset(seed=0)
        kept = first.copy()
        second = env.step(np.zeros(TASKS[name].action_size))[0]
        np.testing.assert_array_equal(first, kept)
        assert not np.shares_memory(first, second)


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_fixes_the_episodes(name):
    first, second = make(name)[0], make(name)[0]
    # 200 steps: every task that can fall does, so that the draws of the following reset are compared too.
    trace = episode(first, name, 0, 200)
    assert any(isinstance(entry, bytes) for entry in trace[1:]) or name in ("HalfCheetah", "T-Ant", "Ant")
    assert trace == episode(second, name, 0, 200)
    assert trace == episode(first, name, 0, 200), "and the past of the environment does not matter"
    assert trace[0] != episode(second, name, 1, 1)[0]


def run_elsewhere(code, folder, *options):
    """Run Python code in another process whose working directory is ``folder``; return what it printed."""
    run = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(alm.tasks.__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_nothing_is_written_to_the_working_directory_and_warnings_reach_python(tmp_path):
    printed = run_elsewhere(
        """
        import os, warnings
        import numpy as np
        import alm.tasks

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            envs = {name: alm.tasks.make(name) for name in alm.tasks.TASKS}
            for env in envs.values():
                env.reset(seed=0)
                env.step(env.action_space.sample())
            print(len(caught))
            envs["HalfCheetah"].step(np.full(6, np.nan))
            print([str(warning.message) for warning in caught])
        print(os.listdir())
        """,
        tmp_path,
    ).splitlines()
    assert printed[0] == "0", "making and stepping the tasks warns of nothing"
    assert "MuJoCo: Nan, Inf or huge value in CTRL" in printed[1]
    assert printed[2] == "[]"
    assert list(tmp_path.iterdir()) == []


def test_warnings_as_errors_raise_from_the_step(tmp_path):
    printed = run_elsewhere(
        """
        import numpy as np
        import alm.tasks

        env = alm.tasks.make("HalfCheetah")
        env.reset(seed=0)
        try:
            env.step(np.full(6, np.nan))
        except RuntimeWarning as error:
            print(error)
        env.reset(seed=0)
        env.step(np.zeros(6))
        """,
        tmp_path,
        "-W",
        "error::RuntimeWarning",
    )
    assert "Nan, Inf or huge value in CTRL" in printed


def test_a_warning_handler_of_the_user_is_kept(tmp_path):
    printed = run_elsewhere(
        """
        import mujoco
        mujoco.set_mju_user_warning(lambda message: print("mine:", message))
        import alm.tasks
        alm.tasks.make("HalfCheetah")
        """,
        tmp_path,
    )
    assert printed.startswith("mine:")
    assert list(tmp_path.iterdir()) == []
