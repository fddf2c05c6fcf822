"""The ten mbbl tasks against a second statement of their formulas, with plain MuJoCo calls.

As in ``test_locomotion.py`` the reference has its own model and data and is given an initial state and
actions only. Rewards are restated as the code of Wang et al. has them, of the observation before the step.
"""

import numpy as np
import pytest

import alm.tasks
from alm.task_registry import TASKS
from alm.training.environment import TrainingEnvironment
from tests.tasks.cases import Robot, episode, make, random_actions

MBBL = [name for name, spec in TASKS.items() if spec.family == "mbbl"]
ENDING = [name for name in MBBL if name.endswith("-ET")]
# name of the robot: file, simulation steps, hidden positions
ROBOTS = {
    "HalfCheetah": ("half_cheetah.xml", 5, 1),
    "Walker2d": ("walker2d.xml", 4, 1),
    "Hopper": ("hopper.xml", 4, 1),
    "Ant": ("ant.xml", 5, 2),
    "Humanoid": ("humanoid.xml", 5, 2),
}
# Mean and deviation of the random policy's return in the benchmark's table of results.
PUBLISHED_RANDOM = {
    "mbbl/HalfCheetah": (-288, 66),
    "mbbl/Walker2d": (-2457, 345),
    "mbbl/Hopper": (-2573, 631),
    "mbbl/Ant": (474, 41),
    "mbbl/Walker2d-ET": (-2.8, 4),
    "mbbl/Hopper-ET": (13, 8),
    "mbbl/Ant-ET": (125, 145),
    "mbbl/Humanoid-ET": (51, 57),
    "mbbl/SlimHumanoid-ET": (42, 47),
    "mbbl/SlimHumanoid": (-1173, 757),
}


class Reference(Robot):
    """A task of mbbl on a MuJoCo model of its own."""

    def __init__(self, name):
        self.name = name.removeprefix("mbbl/")
        xml, self.substeps, self.hidden = ROBOTS[TASKS[name].robot]
        super().__init__(xml)

    def place(self, qpos, qvel):
        super().place(qpos, qvel)
        self.observation = self.observe()
        return self.observation

    def observe(self):
        d = self.data
        blocks = [d.qpos[self.hidden :], d.qvel]
        if self.name == "Humanoid-ET":
            blocks += [d.cinert, d.cvel, d.qfrc_actuator, d.cfrc_ext]
        return np.concatenate([block.flatten() for block in blocks])

    def step(self, action):
        reward = self.reward(self.observation, action)
        self.advance(action, self.substeps)
        self.observation = self.observe()
        return self.observation, reward, self.name.endswith("-ET") and self.unhealthy(self.observation)

    def unhealthy(self, s):
        if "Walker" in self.name:
            return bool(s[0] >= 2.0 or s[0] <= 0.8 or abs(s[1]) >= 1.0)
        if "Hopper" in self.name:
            return bool(s[0] <= 0.7 or abs(s[1]) >= 0.2)
        if "Ant" in self.name:
            return bool(s[0] > 1.0 or s[0] < 0.2)
        return bool(s[0] > 2.0 or s[0] < 1.0)

    def reward(self, s, a):
        control = 0.1 * np.square(a).sum()
        if self.name == "HalfCheetah":
            return s[8] - control
        if "Humanoid" in self.name:
            impact = min(5e-7 * np.square(s[-84:]).sum(), 10) if self.name == "Humanoid-ET" else 0.0
            return 0.25 / 0.015 * s[22] + 5.0 * (not self.unhealthy(s)) - control - impact
        alive = 1.0 if not self.name.endswith("-ET") else float(not self.unhealthy(s))
        if "Ant" in self.name:
            return s[13] - 3 * (s[0] - 0.57) ** 2 - control + alive
        return s[{"W": 8, "H": 5}[self.name[0]]] - 3 * (s[0] - 1.3) ** 2 - control + alive


@pytest.mark.parametrize("name", MBBL)
def test_environment_equals_the_formulas(name):
    env, inner = make(name)
    sim = Reference(name)
    first, _ = env.reset(seed=7)
    assert np.array_equal(first, sim.place(inner.data.qpos, inner.data.qvel))
    terminations = falls = contacts = 0
    for number, action in enumerate(random_actions(name, 1500)):
        observation, reward, terminated, truncated, info = env.step(action)
        expected_observation, expected_reward, done = sim.step(action.astype(np.float64))
        assert observation.dtype == np.float64
        assert np.array_equal(observation, expected_observation), number
        assert isinstance(reward, float) and abs(reward - expected_reward) < 1e-9, number
        assert terminated is done, number
        assert sum(info.values()) == pytest.approx(reward, abs=1e-9)
        terminations += terminated
        falls += sim.unhealthy(observation) and name != "mbbl/HalfCheetah"
        contacts += info["reward_contact"] < -1e-6
        if terminated or truncated:
            first, _ = env.reset()
            assert np.array_equal(first, sim.place(inner.data.qpos, inner.data.qvel))
    assert (terminations > 0) == (name in ENDING), "the comparison above must have met a terminal step"
    assert falls or name in ("mbbl/HalfCheetah", "mbbl/Ant"), "and, without ends, states of a fallen robot"
    assert (contacts > 20) == (name == "mbbl/Humanoid-ET")


@pytest.mark.parametrize("name", MBBL)
def test_robot_starts_on_the_origin_with_the_v2_noise(name):
    _, inner = make(name)
    base = alm.tasks.make(TASKS[name].robot).unwrapped
    inner.reset(seed=5)
    base.reset(seed=5)
    hidden = ROBOTS[TASKS[name].robot][2]
    assert not inner.data.qpos[:hidden].any()
    np.testing.assert_array_equal(inner.data.qpos[hidden:], base.data.qpos[hidden:])
    np.testing.assert_array_equal(inner.data.qvel, base.data.qvel)


@pytest.mark.parametrize("name", ["mbbl/Hopper", "mbbl/Walker2d-ET"])
def test_velocities_are_not_clipped(name):
    env, inner = make(name)
    env.reset(seed=0)
    velocity = inner.init_qvel.copy()
    velocity[:] = 25.0
    inner.set_state(inner.init_qpos, velocity)
    assert env.step(np.zeros(TASKS[name].action_size))[0].max() > 15


@pytest.mark.parametrize("name", ["mbbl/SlimHumanoid", "mbbl/SlimHumanoid-ET", "mbbl/Humanoid-ET"])
def test_humanoid_pays_for_the_commanded_action(name):
    env, _ = make(name)
    env.reset(seed=0)
    within = env.step(np.full(17, 0.4))[0]
    env.reset(seed=0)
    beyond, _, _, _, info = env.step(np.ones(17))
    assert info["reward_ctrl"] == pytest.approx(-1.7)
    np.testing.assert_array_equal(beyond, within)


@pytest.mark.parametrize(
    ("name", "pays", "ends"),
    [
        ("mbbl/Walker2d", 1.0, False),
        ("mbbl/Walker2d-ET", 0.0, True),
        ("mbbl/Hopper", 1.0, False),
        ("mbbl/Hopper-ET", 0.0, True),
        ("mbbl/Ant", 1.0, False),
        ("mbbl/Ant-ET", 0.0, True),
        ("mbbl/SlimHumanoid", 0.0, False),
        ("mbbl/SlimHumanoid-ET", 0.0, True),
        ("mbbl/Humanoid-ET", 0.0, True),
    ],
)
def test_bonus_and_end_of_a_fallen_state(name, pays, ends):
    env, inner = make(name)
    env.reset(seed=0)
    qpos = inner.init_qpos.copy()
    qpos[inner.hidden_positions] = 2.5
    inner.set_state(qpos, inner.init_qvel)
    # The first step begins high up: in the planar robots that counts as a fall for Walker2d only.
    if "Hopper" in name:
        qpos[2] = 0.3
        inner.set_state(qpos, inner.init_qvel)
    _, _, terminated, _, info = env.step(np.zeros(TASKS[name].action_size))
    assert (info["reward_survive"], terminated) == (pays, ends)


@pytest.mark.parametrize("name", MBBL)
def test_random_policy_earns_what_the_benchmark_reports(name):
    env, inner = make(name)
    returns = []
    # What a fall does not end varies little between episodes, but takes a thousand steps.
    for seed in range(40 if name in ENDING else 6):
        env.reset(seed=seed)
        inner.action_space.seed(seed)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(inner.action_space.sample())
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    mean, deviation = PUBLISHED_RANDOM[name]
    assert abs(np.mean(returns) - mean) <= deviation, np.mean(returns)


def test_time_limit_truncates():
    env, _ = make("mbbl/Hopper")
    env.reset(seed=0)
    ends = [env.step(action)[2:4] for action in random_actions("mbbl/Hopper", 1000)]
    assert ends == [(False, False)] * 999 + [(False, True)]


@pytest.mark.parametrize("name", MBBL)
def test_a_seed_fixes_the_episodes(name):
    first, second = make(name)[0], make(name)[0]
    trace = episode(first, name, 0, 180)
    assert trace == episode(second, name, 0, 180)
    assert trace[0] != episode(second, name, 1, 1)[0]


@pytest.mark.parametrize("name", ["mbbl/Hopper-ET", "mbbl/Ant"])
def test_training_environment_replays_an_episode(name):
    first = TrainingEnvironment(alm.tasks.make(name), 3)
    for action in random_actions(name, 12, scale=0.2):
        first.step(action)
    second = TrainingEnvironment(alm.tasks.make(name), 4)
    second.load_state(first.state())
    for action in random_actions(name, 30, seed=1):
        one, other = first.step(action), second.step(action)
        assert np.array_equal(one[0], other[0]) and one[1:] == other[1:]
        if one[2]:
            first.reset()
            second.reset()
