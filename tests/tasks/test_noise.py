"""Tasks with noise: their names, what is disturbed and what is not, and that the noise can be repeated."""

import pickle
from statistics import NormalDist

import numpy as np
import pytest

import alm.tasks
from alm.task_registry import TASKS, UnknownTaskError, task_spec
from alm.training.environment import TrainingEnvironment

OBSERVATION, ACTION = "HalfCheetah-obsnoise-0.1", "HalfCheetah-dynnoise-0.3"


def actions(number, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (number, 6)).astype(np.float32)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["0.001", "0.01", "0.1", "1", "0.25", "1e-05", "3"])
@pytest.mark.parametrize(("kind", "field"), [("obsnoise", "observation_noise"), ("dynnoise", "action_noise")])
def test_a_level_is_part_of_the_name(level, kind, field):
    spec = task_spec(f"HalfCheetah-{kind}-{level}")
    assert spec.name == f"HalfCheetah-{kind}-{level}"
    assert getattr(spec, field) == float(level)
    clean = TASKS["HalfCheetah"]
    assert (spec.env_id, spec.observation_size, spec.robot) == (clean.env_id, 17, "HalfCheetah")
    assert spec.protocol == clean.protocol
    assert spec.observation_noise * spec.action_noise == 0.0


@pytest.mark.parametrize("written", ["0.10", ".1", "1e-1", "0.1000"])
def test_one_level_has_one_name(written):
    assert task_spec(f"HalfCheetah-obsnoise-{written}") == task_spec(OBSERVATION)


def test_tasks_of_the_benchmark_can_be_noisy_too():
    spec = task_spec("mbbl/Hopper-ET-dynnoise-0.5")
    assert (spec.name, spec.family, spec.action_noise) == ("mbbl/Hopper-ET-dynnoise-0.5", "mbbl", 0.5)


def test_runs_with_noise_are_no_longer_than_the_usual_ones():
    """The 500,000 steps are those of the authors' own curves of Ant and Humanoid."""
    lengths = {"Hopper": 300_000, "Ant": 300_000, "Humanoid": 300_000, "mbbl/Ant": 200_000}
    for kind in ("obsnoise", "dynnoise"):
        assert {name: task_spec(f"{name}-{kind}-0.1").paper_steps for name in lengths} == lengths


@pytest.mark.parametrize("level", ["", "0", "-0.1", "nan", "inf", "much", "0.1.2"])
def test_a_bad_level_is_one_clear_sentence(level):
    with pytest.raises(UnknownTaskError, match=r"ends in one positive level, such as \S+\.$") as caught:
        task_spec(f"HalfCheetah-obsnoise-{level}")
    assert f"'HalfCheetah-obsnoise-{level}'" in str(caught.value)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HalfCheeta-obsnoise-0.1", "did you mean 'HalfCheetah'"),
        ("HalfCheetah-obsnoise-0.1-dynnoise-0.1", "ends in one positive level"),
        ("HalfCheetah-noise-0.1", "did you mean 'HalfCheetah'"),
    ],
)
def test_other_names_are_unknown(name, words):
    with pytest.raises(UnknownTaskError, match=words):
        task_spec(name)


# --- observation noise ----------------------------------------------------------------------------


def test_observation_noise_is_normal_and_leaves_state_and_reward_alone():
    noisy, clean = alm.tasks.make(OBSERVATION), alm.tasks.make("HalfCheetah")
    differences = [noisy.reset(seed=0)[0] - clean.reset(seed=0)[0]]
    for action in actions(999):
        observation, reward, *_ = noisy.step(action)
        expected, expected_reward, *_ = clean.step(action)
        assert reward == expected_reward
        differences.append(observation - expected)
    noise = np.array(differences) / 0.1
    assert noise.shape == (1000, 17)
    assert np.abs(noise[0]).min() > 0, "the first observation is noisy too"
    ranks = (np.arange(noise.size) + 0.5) / noise.size
    distance = np.abs([NormalDist().cdf(value) for value in np.sort(noise.ravel())] - ranks).max()
    assert distance * noise.size**0.5 < 1.63, "Kolmogorov and Smirnov's test at one per cent"
    correlation = np.corrcoef(noise.T) - np.eye(17)
    assert np.abs(correlation).max() < 0.15, "between entries"
    assert abs((noise[1:] * noise[:-1]).mean()) < 0.03, "between steps"


@pytest.mark.parametrize("level", [0.001, 0.01, 1.0])
def test_observation_noise_has_its_level(level):
    noisy, clean = alm.tasks.make(f"HalfCheetah-obsnoise-{level}"), alm.tasks.make("HalfCheetah")
    differences = [noisy.reset(seed=1)[0] - clean.reset(seed=1)[0]]
    for action in actions(300):
        differences.append(noisy.step(action)[0] - clean.step(action)[0])
    assert np.std(differences) == pytest.approx(level, rel=0.05)


# --- noise on the executed action -----------------------------------------------------------------


def test_action_noise_disturbs_what_acts_and_charges_what_was_commanded():
    env = alm.tasks.make(ACTION)
    inner = env.unwrapped
    env.reset(seed=0)
    executed = []
    for _ in range(1000):
        _, _, _, _, info = env.step(np.full(6, 0.2))
        assert info["reward_ctrl"] == pytest.approx(-0.1 * 6 * 0.2**2)
        executed.append(inner.data.ctrl.copy())
    noise = (np.array(executed) - 0.2) / 0.3
    assert np.max(executed) == 1.0 and np.min(executed) >= -1.0
    clipped = np.mean(np.array(executed) == 1.0)
    assert clipped == pytest.approx(1 - NormalDist(0.2, 0.3).cdf(1.0), rel=0.5)
    assert noise.mean() == pytest.approx(0.0, abs=0.05)
    assert noise[np.array(executed) < 1.0].std() == pytest.approx(1.0, abs=0.05)
    assert np.abs(np.corrcoef(noise.T) - np.eye(6)).max() < 0.15


def test_executed_action_moves_the_robot():
    """A clean environment that is given the executed action goes the same way."""
    noisy, clean = alm.tasks.make(ACTION), alm.tasks.make("HalfCheetah")
    inner = noisy.unwrapped
    np.testing.assert_array_equal(noisy.reset(seed=0)[0], clean.reset(seed=0)[0])
    for action in actions(50):
        observation, reward, *_ = noisy.step(action)
        expected, expected_reward, *_ = clean.step(inner.data.ctrl.copy())
        np.testing.assert_array_equal(observation, expected)
        paid_more = 0.1 * (np.square(inner.data.ctrl).sum() - np.square(action.astype(float)).sum())
        assert reward == pytest.approx(expected_reward + paid_more, abs=1e-9)


def test_noise_on_the_benchmark_charges_what_was_commanded():
    env = alm.tasks.make("mbbl/HalfCheetah-dynnoise-0.5")
    inner = env.unwrapped
    env.reset(seed=0)
    before = inner.data.qvel[0]
    _, reward, *_ = env.step(np.full(6, 0.2))
    assert reward == pytest.approx(before - 0.1 * 6 * 0.2**2)
    assert np.abs(inner.data.ctrl - 0.2).max() > 0.05


# --- seeding, copying, replaying ------------------------------------------------------------------


def trace(env, steps, seed):
    start = [env.reset(seed=seed)[0].tobytes()]
    return start + [(o.tobytes(), r) for o, r, *_ in (env.step(action) for action in actions(steps))]


@pytest.mark.parametrize("name", [OBSERVATION, ACTION])
def test_noise_follows_the_seed(name):
    first, second = alm.tasks.make(name), alm.tasks.make(name)
    assert trace(first, 40, seed=0) == trace(second, 40, seed=0)
    assert trace(first, 40, seed=0) != trace(second, 40, seed=1)


@pytest.mark.parametrize("name", [OBSERVATION, ACTION])
def test_a_copy_is_a_fresh_environment_with_the_same_noise(name):
    env = alm.tasks.make(name)
    trace(env, 10, seed=0)
    copy = pickle.loads(pickle.dumps(env))
    inner = copy.unwrapped
    assert inner.data.time == 0.0
    assert trace(copy, 40, seed=1) == trace(env, 40, seed=1)


@pytest.mark.parametrize("name", [OBSERVATION, ACTION])
def test_training_environment_replays_the_noise(name):
    first = TrainingEnvironment(alm.tasks.make(name), 3)
    for action in actions(25):
        first.step(action)
    second = TrainingEnvironment(alm.tasks.make(name), 4)
    second.load_state(first.state())
    for action in actions(25, seed=1):
        one, other = first.step(action), second.step(action)
        assert np.array_equal(one[0], other[0]) and one[1:] == other[1:]
