"""Ends and rewards as functions of observations against what the simulator says of real transitions."""

from functools import cache

import numpy as np
import pytest
import torch

import alm.tasks
from alm.task_registry import TASKS, task_spec
from alm.tasks.analytic import reward, terminated

MBBL = [name for name, spec in TASKS.items() if spec.family == "mbbl"]
# Of these all but the ant fall within 250 steps of hardly moving.
ENDING = [
    name
    for name, spec in TASKS.items()
    if (spec.family == "v2" or name.endswith("-ET")) and "Cheetah" not in name
]


@cache
def transitions(name):
    """Real transitions: random actions, then small ones, with the ends that they lead to."""
    spec, env = TASKS[name], alm.tasks.make(name)
    rows = []
    for size, steps in ((1.0, 500), (0.05, 250)):
        rng = np.random.default_rng(1)
        observation, _ = env.reset(seed=int(steps))
        for _ in range(steps):
            action = size * rng.uniform(-1, 1, spec.action_size)
            following, paid, ended, truncated, _ = env.step(action)
            rows.append((observation, action, following, paid, ended))
            observation = env.reset()[0] if ended or truncated else following
    return tuple(torch.from_numpy(np.array(column)) for column in zip(*rows, strict=True))


@pytest.mark.parametrize("name", TASKS)
def test_ends_equal_the_simulator(name):
    _, _, following, _, ended = transitions(name)
    found = terminated(TASKS[name], following)
    assert found.dtype == torch.bool and torch.equal(found, ended)
    if TASKS[name].robot != "Ant":
        assert bool(ended.any()) == (name in ENDING)
    # The axes in front do not matter.
    shaped = terminated(TASKS[name], following.view(5, 150, -1))
    assert torch.equal(shaped, ended.view(5, 150))


@pytest.mark.parametrize("name", ["T-Ant", "Ant", "mbbl/Ant-ET"])
def test_ends_of_an_ant_that_is_thrown(name):
    """Random ants seldom end: place them at each side of the limits."""
    env = alm.tasks.make(name)
    inner, outcomes = env.unwrapped, []
    for seed, height in enumerate(np.linspace(0.1, 1.2, 45)):
        env.reset(seed=seed)
        qpos = inner.init_qpos.copy()
        qpos[2] = height
        inner.set_state(qpos, inner.init_qvel)
        following, _, ended, *_ = env.step(np.zeros(8))
        found = terminated(TASKS[name], torch.from_numpy(following))
        assert found.item() is ended
        outcomes.append(ended)
    assert 5 < sum(outcomes) < 40


@pytest.mark.parametrize(
    ("robots", "entry", "limit", "ended"),
    [
        # An entry of the observation that is its limit exactly.
        (("Hopper", "mbbl/Hopper-ET"), 0, 0.7, True),
        (("Hopper", "mbbl/Hopper-ET"), 1, 0.2, True),
        (("Hopper",), 2, 100.0, True),
        (("Walker2d", "mbbl/Walker2d-ET"), 0, 0.8, True),
        (("Walker2d", "mbbl/Walker2d-ET"), 0, 2.0, True),
        (("Walker2d", "mbbl/Walker2d-ET"), 1, 1.0, True),
        (("Walker2d", "mbbl/Walker2d-ET"), 1, -1.0, True),
        (("T-Ant", "Ant", "mbbl/Ant-ET"), 0, 0.2, False),
        (("T-Ant", "Ant", "mbbl/Ant-ET"), 0, 1.0, False),
        (("T-Humanoid", "Humanoid", "mbbl/Humanoid-ET", "mbbl/SlimHumanoid-ET"), 0, 1.0, False),
        (("T-Humanoid", "Humanoid", "mbbl/Humanoid-ET", "mbbl/SlimHumanoid-ET"), 0, 2.0, False),
    ],
)
def test_ends_at_the_limit_itself(robots, entry, limit, ended):
    for name in robots:
        inner = alm.tasks.make(name).unwrapped
        qpos = inner.init_qpos.copy()
        qpos[inner.hidden_positions + entry] = limit
        inner.set_state(qpos, inner.init_qvel)
        seen = torch.from_numpy(inner._get_obs())
        assert seen[entry] == limit
        assert (inner._fallen(), terminated(TASKS[name], seen).item()) == (ended, ended), name


@pytest.mark.parametrize("name", MBBL)
def test_rewards_equal_the_simulator(name):
    observation, action, _, paid, _ = transitions(name)
    found = reward(TASKS[name], observation, action)
    torch.testing.assert_close(found, paid, rtol=0, atol=1e-9)
    in_float32 = reward(TASKS[name], observation.float(), action.float())
    torch.testing.assert_close(in_float32, paid.float(), rtol=1e-4, atol=1e-4)
    assert not torch.equal(found, found.roll(1))
    shaped = reward(TASKS[name], observation.view(5, 150, -1), action.view(5, 150, -1))
    torch.testing.assert_close(shaped, paid.view(5, 150), rtol=0, atol=1e-9)


def test_rewards_of_a_robot_on_the_floor():
    """Without ends a fallen robot goes on; slim humanoids then lose the bonus, hoppers do not."""
    for name, bonus in (("mbbl/SlimHumanoid", 0.0), ("mbbl/Hopper", 1.0)):
        observation, action, _, paid, _ = transitions(name)
        fallen = observation[:, 0] < 0.7
        assert fallen.sum() > 50
        found = reward(TASKS[name], observation[fallen], action[fallen])
        torch.testing.assert_close(found, paid[fallen], rtol=0, atol=1e-9)
        scaled = TASKS[name].robot == "Humanoid"
        speed = observation[fallen, 22] / 0.06 if scaled else observation[fallen, 5]
        height = torch.zeros(1) if scaled else 3 * (observation[fallen, 0] - 1.3) ** 2
        expected = speed - height - 0.1 * action[fallen].square().sum(-1) + bonus
        torch.testing.assert_close(found, expected.to(found), rtol=0, atol=1e-9)


def test_contact_cost_is_limited_and_of_the_last_entries():
    spec = TASKS["mbbl/Humanoid-ET"]
    observation, action = torch.zeros(3, 376, dtype=torch.float64), torch.zeros(3, 17, dtype=torch.float64)
    observation[:, 0] = 1.4
    observation[1, -84] = observation[2, -84] = 1000.0
    observation[2, -1] = 1e5
    torch.testing.assert_close(
        reward(spec, observation, action), torch.tensor([5.0, 4.5, -5.0], dtype=torch.float64)
    )


def test_gradients_of_the_reward():
    spec = TASKS["mbbl/Hopper-ET"]
    observation = torch.tensor([[1.2, 0.1, 0.0, 0.0, 0.0, 2.0, 0, 0, 0, 0, 0]], requires_grad=True)
    action = torch.tensor([[0.5, -1.0, 0.0]], requires_grad=True)
    reward(spec, observation, action).sum().backward()
    expected = torch.zeros(1, 11)
    expected[0, 0], expected[0, 5] = -6 * (1.2 - 1.3), 1.0
    torch.testing.assert_close(observation.grad, expected)
    torch.testing.assert_close(action.grad, -0.2 * action.detach())


@pytest.mark.parametrize(
    ("changes", "ended"),
    [
        ({}, False),
        ({2: 99.0}, False),
        ({2: 101.0}, True),
        ({2: -101.0}, True),  # passes MBPO's test
        ({7: float("nan")}, True),
        ({7: float("inf")}, True),
        ({0: 0.69}, True),
        ({0: float("inf")}, True),
        (
            {0: 150.0},
            False,
        ),  # gym bounds the state from its third entry on, which leaves out x and the height
        ({1: -0.21}, True),
    ],
)
def test_bound_of_the_hopper(changes, ended):
    state = torch.tensor([1.2, 0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, 0])
    for index, value in changes.items():
        state[index] = value
    assert terminated(TASKS["Hopper"], state).item() is ended
    # The benchmark's hopper knows height and tilt only.
    assert terminated(TASKS["mbbl/Hopper-ET"], state).item() is (
        ended and not {2, 7} & {*changes} and changes.get(0) != float("inf")
    )


@pytest.mark.parametrize("index", [0, 5, 26])
def test_an_ant_that_is_not_finite_ends(index):
    state = torch.zeros(111)
    state[0] = 0.5
    state[-1] = float("nan")  # contact forces are not part of the state
    assert not terminated(TASKS["Ant"], state)
    state[index] = float("nan")
    assert terminated(TASKS["Ant"], state)


@pytest.mark.parametrize("name", [name for name, spec in TASKS.items() if spec.family == "v2"])
def test_reward_of_a_v2_task_is_refused_in_one_sentence(name):
    with pytest.raises(ValueError, match=rf"^The reward of {name} is not a function of observations .*\.$"):
        reward(TASKS[name], torch.zeros(1, 17), torch.zeros(1, 6))


def test_noise():
    """Noise on the executed action changes nothing; noisy observations do not show the state."""
    observation, action, following, paid, ended = transitions("mbbl/Hopper-ET")
    spec = task_spec("mbbl/Hopper-ET-dynnoise-0.3")
    assert torch.equal(terminated(spec, following), ended)
    torch.testing.assert_close(reward(spec, observation, action), paid, rtol=0, atol=1e-9)
    spec = task_spec("mbbl/Hopper-ET-obsnoise-0.1")
    for function, seen in ((terminated, (following,)), (reward, (observation, action))):
        with pytest.raises(ValueError, match=r"noisy observations: choose mbbl/Hopper-ET\.$"):
            function(spec, *seen)
    cheetah = torch.zeros(2, 17)
    assert not terminated(task_spec("HalfCheetah-obsnoise-0.1"), cheetah).any()
