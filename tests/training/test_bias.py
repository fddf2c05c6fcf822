"""The value-bias protocol on episodes whose values are known exactly."""

from functools import cache
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

from alm.agent import ALM
from alm.config import ALMConfig
from alm.task_registry import TaskSpec
from alm.training.bias import ValueSample, headline_bias, paper_bias, per_state_bias, unpaired_bias
from alm.training.bias_protocol import Estimating, ValueBias, discounted_returns
from alm.training.streams import Purpose, Streams
from baselines.redq import REDQ, REDQConfig
from baselines.sac import SAC, SACConfig
from baselines.td3 import TD3, TD3Config

GAMMA = 0.9
TASK = TaskSpec("Test", "alm/Test", 3, 2, -0.4, 0.4)


class Corridor(gymnasium.Env):
    """Observation (step, noise of the reset, 1); reward 1 + step / 100 + the action's first component."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = gymnasium.spaces.Box(-0.4, 0.4, (2,), np.float32)

    def __init__(self, length, truncates=True):
        self.length, self.truncates = length, truncates

    def _observe(self):
        return np.array([self.time, self.noise, 1.0], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.noise = 0, self.np_random.normal()
        return self._observe(), {}

    def step(self, action):
        reward = 1.0 + self.time / 100 + float(action[0])
        self.time += 1
        over = self.time == self.length
        return self._observe(), reward, over and not self.truncates, over and self.truncates, {}


@cache
def exact_table(length, bonus):
    """The value of each step by its sum: all rewards from there, and the bonus of all later actions."""
    table = []
    for t in range(length):
        ahead = np.arange(length - t)
        reward = 1.0 + (t + ahead) / 100 + 0.25 + bonus * (ahead > 0)
        table.append((GAMMA**ahead * reward).sum())
    return np.array(table)


def exact_value(time, length, bonus=0.0):
    return exact_table(length, bonus)[np.asarray(time, int)]


class Knowing:
    """An agent that takes one action and knows its value, but says ``offset`` more."""

    name, seeds, config, device = "knowing", (0,), SimpleNamespace(discount=GAMMA), "cpu"

    def __init__(self, length, offset=0.0, bonus=0.0):
        self.length, self.offset, self.bonus = length, offset, bonus

    def act_with_bonus(self, observation, streams):
        action = torch.full((*observation.shape[:2], 2), 0.25)
        return action, torch.full(observation.shape[:2], self.bonus)

    def estimates(self, observation, action, streams):
        value = exact_value(observation[0, :, 0].tolist(), self.length, bonus=self.bonus)
        assert action[0, :1000].unique().item() == 0.25
        return {"q": torch.from_numpy(value + self.offset)[None], "zero": torch.zeros(1, len(value))}


def measure(agent, length, truncates=True, **options):
    return ValueBias(lambda: Corridor(length, truncates), agent.seeds, **options).measure(agent, 1000)[0]


@pytest.mark.parametrize("truncates", [True, False])
@pytest.mark.parametrize("bonus", [0.0, 0.7])
def test_a_critic_off_by_a_known_amount_has_that_bias(truncates, bonus):
    """The whole return counts to the end of an episode longer than the cut-off, without a bootstrap."""
    sample = measure(Knowing(360, offset=2.5, bonus=bonus), 360, truncates)
    np.testing.assert_allclose(sample.monte_carlo, exact_value(sample.step, 360, bonus=bonus), rtol=1e-6)
    np.testing.assert_allclose(sample.estimates["q"] - sample.monte_carlo, 2.5, rtol=1e-5)
    np.testing.assert_array_equal(sample.estimates["zero"], 0.0)
    mean = sample.monte_carlo.mean()
    assert mean > 10
    assert headline_bias(sample.estimates["q"], sample.monte_carlo) == pytest.approx(
        (2.5 / mean, 0), abs=1e-5
    )
    assert paper_bias(sample.estimates["q"], sample.monte_carlo) == pytest.approx((2.5 / mean, 0), abs=1e-5)


def test_the_entropy_term_is_of_later_actions_only():
    """An estimate that forgets the bonus is off by exactly its discounted sum; the last pair by nothing."""
    sample = measure(Knowing(40, bonus=0.7), 40)
    without = exact_value(sample.step, 40)
    left = 39 - sample.step
    np.testing.assert_allclose(
        sample.monte_carlo - without, 0.7 * GAMMA * (1 - GAMMA**left) / (1 - GAMMA), rtol=1e-5, atol=1e-7
    )


def test_returns_of_one_episode():
    returns = discounted_returns(np.array([1.0, 2.0, 4.0]), np.array([100.0, 10.0, 20.0]), 0.5)
    # 4;  2 + (4 + 20)/2;  1 + (14 + 10)/2: the first action's bonus is in none.
    assert returns.tolist() == [13.0, 14.0, 4.0]


@pytest.mark.parametrize(
    ("length", "episodes", "each"), [(1000, 3, 350), (350, 3, 350), (333, 4, 333), (100, 10, 100)]
)
def test_the_first_350_pairs_of_whole_episodes_until_1000(length, episodes, each):
    sample = measure(Knowing(length), length)
    np.testing.assert_array_equal(sample.episode, np.repeat(np.arange(episodes), each))
    np.testing.assert_array_equal(sample.step, np.tile(np.arange(each), episodes))
    assert all(len(a) == episodes * each >= 1000 for a in (*sample.estimates.values(), sample.monte_carlo))


class Drawing(Knowing):
    """What it acts on and estimates from, and the first number of its stream at each."""

    def __init__(self):
        super().__init__(40)
        self.noises, self.acting, self.estimating = [], [], []

    def act_with_bonus(self, observation, streams):
        self.noises.append(observation[0, 0, 1].item())
        self.acting.append(streams.normal(1).item())
        return super().act_with_bonus(observation, streams)

    def estimates(self, observation, action, streams):
        self.estimating.append(streams.normal(1).item())
        return {"zero": torch.zeros(observation.shape[:2])}


def test_every_episode_and_stream_is_that_of_its_seed_step_and_number():
    def derived(*detail):  # 4: `Purpose.EVALUATION`, whose numbers never change
        sequence = np.random.SeedSequence(0, spawn_key=(4, *detail))
        return int(sequence.generate_state(1, np.uint64)[0] >> 1)

    agent = Drawing()
    measure(agent, 40, pairs=90)
    begins = [np.random.default_rng(derived(1000, e, 0) % 2**31).normal() for e in range(3)]
    assert agent.noises == pytest.approx(np.repeat(begins, 40))
    for drawn, purpose in ((agent.acting, 1), (agent.estimating, 2)):
        source = torch.Generator().manual_seed(derived(1000, 0, purpose))
        assert drawn == pytest.approx([torch.empty(1).normal_(generator=source).item() for _ in drawn])


def test_definitions_of_bias():
    estimate, monte_carlo = np.array([3.0, 30.0, 110.0]), np.array([-1.0, 20.0, 100.0])
    bias = np.array([4.0, 10.0, 10.0])
    mean = 119 / 3
    assert headline_bias(estimate, monte_carlo) == pytest.approx((8 / mean, bias.std() / mean))
    assert paper_bias(estimate, monte_carlo) == pytest.approx((8 / mean, bias.std() / mean))
    each = np.array([4 / 10, 10 / 20, 10 / 100])
    assert per_state_bias(estimate, monte_carlo) == pytest.approx((each.mean(), each.std()))
    couples = [(e - m) / max(abs(m), 10) for e in estimate for m in monte_carlo]
    assert unpaired_bias(estimate, monte_carlo) == pytest.approx((np.mean(couples), np.std(couples)))
    # Small returns: a floor of 10 for all but the paper's definition. Negative ones: the sign stays.
    assert headline_bias(estimate / 10, monte_carlo / 10).mean == pytest.approx(0.8 / 10)
    assert paper_bias(estimate / 10, monte_carlo / 10).mean == pytest.approx(8 / mean)
    assert headline_bias(-monte_carlo + 1, -monte_carlo).mean == pytest.approx(1 / mean)
    assert per_state_bias(-monte_carlo - 1, -monte_carlo).mean < 0
    assert paper_bias(np.array([1.0, 1.0]), np.array([-1.0, 1.0])).mean == np.inf


def test_a_sample_comes_back_from_a_file(tmp_path):
    sample = measure(Knowing(360, offset=2.5), 360)
    with (tmp_path / "pairs.npz").open("wb") as file:
        sample.write(file)
    with (tmp_path / "pairs.npz").open("rb") as file:
        again = ValueSample.read(file)
    assert again.estimates.keys() == sample.estimates.keys()
    np.testing.assert_allclose(again.estimates["q"], sample.estimates["q"], rtol=1e-6)
    for field in ("monte_carlo", "episode", "step"):
        np.testing.assert_allclose(getattr(again, field), getattr(sample, field), rtol=1e-6)


SMALL = {"hidden_size": 8, "batch_size": 4}
AGENTS = {
    "sac": lambda seeds: SAC(TASK, SACConfig(**SMALL, initial_temperature=0.3), seeds),
    "redq": lambda seeds: REDQ(TASK, REDQConfig(**SMALL), seeds),
    "alm": lambda seeds: ALM(TASK, ALMConfig(**SMALL, model_hidden_size=8, latent_size=4), seeds),
}
NAMES = {"sac": {"min_q"}, "redq": {"mean_q"}, "alm": {"lower_bound", "min_q"}}


@pytest.mark.parametrize("name", AGENTS)
def test_a_seed_is_measured_alike_whoever_its_neighbours_are(name):
    """Also where these need more episodes; and again the same when measured twice."""

    def samples(seeds, alive=None):
        lengths = {2: 30, 5: 200}
        remaining = iter(seeds)
        bias = ValueBias(lambda: Corridor(lengths[next(remaining)]), seeds, pairs=40, cutoff=35)
        agent = AGENTS[name](seeds)
        out = bias.measure(agent, 7, alive=alive)
        bias.close()
        return out

    both, dead = samples((2, 5)), samples((2, 5), alive=(False, True))
    assert set(both[1].estimates) == NAMES[name]
    assert len(both[0].step) == 60 and len(both[1].step) == 70
    assert dead[0] is None
    for one, other in (
        (both[0], samples((2,))[0]),
        (both[1], samples((5,))[0]),
        (both[1], dead[1]),
    ):
        for field in ("monte_carlo", "episode", "step"):
            np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-5)
        for key, value in one.estimates.items():
            np.testing.assert_allclose(value, other.estimates[key], rtol=1e-4, atol=1e-5)


def test_which_agents_estimate():
    assert all(isinstance(make((0,)), Estimating) for make in AGENTS.values())
    assert not isinstance(TD3(TASK, TD3Config(**SMALL), (0,)), Estimating)


@pytest.mark.parametrize("name", ["sac", "redq"])
def test_the_bonus_of_soft_methods_is_minus_the_log_density_times_the_learned_temperature(name):
    agent = AGENTS[name]((4, 5))
    observation = torch.randn(2, 6, 3)

    def act():
        return agent.act_with_bonus(observation, Streams((4, 5), Purpose.ACTING))

    with torch.no_grad():
        agent.networks.temperature.log_alpha.zero_()
    action, minus_log_probability = act()
    mean, log_std = agent.networks.actor(observation)
    unit = action / 0.4
    density = torch.distributions.Normal(mean, log_std.exp()).log_prob(unit.atanh())
    expected = (torch.log1p(-unit.square()) - density).sum(dim=-1).detach()
    torch.testing.assert_close(minus_log_probability, expected, rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        agent.networks.temperature.log_alpha.copy_(torch.tensor([0.5, 3.0]).log())
    again, bonus = act()
    assert torch.equal(action, again)
    torch.testing.assert_close(bonus, torch.tensor([[0.5], [3.0]]) * minus_log_probability)


def test_estimates_are_of_the_online_critics():
    observation, action = torch.randn(2, 6, 3), torch.rand(2, 6, 2)
    streams = Streams((4, 5), Purpose.EVALUATION)
    sac, redq = AGENTS["sac"]((4, 5)), AGENTS["redq"]((4, 5))
    for agent in (sac, redq):
        for parameter in agent.networks.target_critic.parameters():
            parameter.data.fill_(99.0)
    values = sac.networks.critic(observation, action)
    assert torch.equal(sac.estimates(observation, action, streams)["min_q"], values.min(dim=1).values)
    values = redq.networks.critic(observation, action)
    torch.testing.assert_close(redq.estimates(observation, action, streams)["mean_q"], values.sum(1) / 10)


def test_estimates_of_alm():
    """min Q at a sample of the target encoder, L^K from the rest of the stream; no bonus, no noise."""
    agent = AGENTS["alm"]((4, 5))
    net = agent.networks
    with torch.no_grad():  # a target unlike the online encoder
        for parameter in net.target_encoder.parameters():
            parameter += 0.2 * torch.randn(parameter.shape)
    observation, action = torch.randn(2, 6, 3), torch.rand(2, 6, 2)
    streams = Streams((4, 5), Purpose.EVALUATION)
    mean, std = net.target_encoder(observation)
    values = net.values(mean + std * streams.normal(6, 4), action)
    z, model_noise, bound, chosen = mean + std * streams.normal(6, 4), streams.normal(3, 6, 4), 0.0, action
    for t in range(3):
        next_mean, next_std = net.model(z, chosen)
        next_z = next_mean + next_std * model_noise[:, t]
        bound = bound + 0.99**t * (net.predict_reward(z, chosen) + 0.1 * net.log_ratio(z, chosen, next_z))
        z, chosen = next_z, net.actor(next_z).clamp(-0.4, 0.4)
    bound = bound + 0.99**3 * net.min_value(z, chosen)
    estimates = agent.estimates(observation, action, Streams((4, 5), Purpose.EVALUATION))
    torch.testing.assert_close(estimates["min_q"], values.min(dim=1).values)
    torch.testing.assert_close(estimates["lower_bound"], bound)
    assert (bound - estimates["min_q"]).abs().max() > 1e-3

    chosen, bonus = agent.act_with_bonus(observation, Streams((4, 5), Purpose.ACTING))
    assert torch.equal(chosen, agent.act_greedily(observation, Streams((4, 5), Purpose.ACTING)))
    assert bonus.shape == (2, 6) and not bonus.any()
