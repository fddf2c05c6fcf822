"""SVG(1): noise inference, importance weights, and every loss and gradient against a second writing."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

from alm.task_registry import task_spec
from alm.training.population import share_of_seed
from alm.training.replay import Replay, Transitions
from alm.training.scale import SCALES
from alm.training.streams import Purpose, Streams
from baselines.svg import SVG, SVGConfig, importance_weight, model_objective, reproduced
from benchmarks.plain_baselines import copy_member, member_differences
from tests.baselines.cases import SEEDS, TASK, gen, perturb

LOPSIDED = dataclasses.replace(TASK, action_low=-0.2, action_high=1.0)
KNOWN = task_spec("mbbl/Hopper-ET")
SMALL = SVGConfig(actor_hidden_size=8, hidden_sizes=(12, 7), batch_size=6, learning_rate=1e-2)


def build(task=TASK, seeds=SEEDS, **changes):
    agent = SVG(task, dataclasses.replace(SMALL, **changes), seeds, dtype=torch.float64)
    perturb(agent, seeds)
    return agent


def random_inputs(agent, generator, batch=SMALL.batch_size):
    task, shape = agent.task, (len(agent.seeds), batch)

    def normal(*more):
        return torch.randn(*shape, *more, generator=generator, dtype=torch.float64)

    terminal = (torch.rand(shape, generator=generator) < 0.3).double()
    state, action = normal(task.observation_size), normal(task.action_size)
    transitions = Transitions(state, action, normal(), normal(task.observation_size), terminal)
    mean, log_std = agent.networks.actor(state)
    own = Independent(Normal(mean, log_std.exp()), 1).log_prob(action).detach()
    return transitions, own + 2 * normal()


# --- noise inference and weights ------------------------------------------------------------------


def test_inferred_noise_recovers_action_and_next_state():
    agent = build()
    transitions, _ = random_inputs(agent, gen(), batch=200)
    action = reproduced(agent.networks.actor(transitions.observation), transitions.action)
    torch.testing.assert_close(action, transitions.action, rtol=0, atol=1e-12)
    following = reproduced(
        agent.networks.model(transitions.observation, action), transitions.next_observation
    )
    torch.testing.assert_close(following, transitions.next_observation, rtol=0, atol=1e-12)


def test_gradient_of_a_reproduced_sample_holds_the_noise_still():
    mean = torch.tensor([1.0, -2.0], requires_grad=True)
    log_std = torch.tensor([0.5, -0.5], requires_grad=True)
    value = torch.tensor([2.0, 3.0])
    reproduced((mean, log_std), value).sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones(2))
    torch.testing.assert_close(log_std.grad, value - mean.detach())  # σ ε


def test_importance_weight_is_truncated_and_one_for_the_policy_itself():
    agent = build()
    transitions, _ = random_inputs(agent, gen(), batch=300)
    gaussian = agent.networks.actor(transitions.observation)
    mean, log_std = gaussian
    own = Independent(Normal(mean, log_std.exp()), 1).log_prob(transitions.action).detach()
    shift = torch.linspace(-3, 3, 300, dtype=torch.float64).expand(2, 300)
    weight = importance_weight(gaussian, transitions.action, own - shift, 5.0)
    torch.testing.assert_close(weight, shift.exp().clamp(max=5.0))
    assert not weight.requires_grad and (weight == 5.0).any()
    torch.testing.assert_close(
        importance_weight(gaussian, transitions.action, own, 5.0), torch.ones(2, 300, dtype=torch.float64)
    )


def test_log_stds_are_clamped():
    """Those of the policy in units of the half range, 0.4."""
    agent = build()
    with torch.no_grad():
        for layers in (agent.networks.actor.layers, agent.networks.model.layers):
            bias = layers[-1].bias
            bias[..., bias.shape[-1] // 2] = -1e3
            bias[..., -1] = 1e3
    state, action = torch.zeros(2, 1, 5, dtype=torch.float64), torch.zeros(2, 1, 3, dtype=torch.float64)
    _, log_std = agent.networks.model(state, action)
    assert (log_std[..., 0] == -5).all() and (log_std[..., -1] == 2).all()
    log_std = agent.networks.actor(state)[1] - math.log(0.4)
    torch.testing.assert_close(log_std[..., [0, -1]], torch.tensor([-1.0, 2.0]).expand(2, 1, 2).double())


# --- the update against a second writing ----------------------------------------------------------


class Plain:
    """SVG(1) for one seed, with torch's own parts."""

    def __init__(self, task, config, learned):
        o, a, (first, second) = task.observation_size, task.action_size, config.hidden_sizes
        self.low, self.high, self.learned, self.config = task.action_low, task.action_high, learned, config

        def perceptron(inputs, one, two, outputs):
            layers = (
                nn.Linear(inputs, one),
                nn.Tanh(),
                nn.Linear(one, two),
                nn.Tanh(),
                nn.Linear(two, outputs),
            )
            return nn.Sequential(*layers).double()

        self.actor = perceptron(o, config.actor_hidden_size, config.actor_hidden_size, 2 * a)
        self.model = perceptron(o + a, first, second, 2 * o)
        self.value, self.target = perceptron(o, first, second, 1), perceptron(o, first, second, 1)
        self.reward = perceptron(o + a, first, second, 1)
        self.trained = {"actor": self.actor, "model": self.model, "critic": self.value}
        if learned:
            self.trained["reward"] = self.reward
        self.optimisers = {
            name: torch.optim.Adam(module.parameters(), lr=config.learning_rate)
            for name, module in self.trained.items()
        }

    def pairs(self, net, seed):
        yield self.actor, net.actor.layers, seed
        yield self.model, net.model.layers, seed
        yield self.value, net.critic, seed
        yield self.target, net.target_critic, seed
        if self.learned:
            yield self.reward, net.reward, seed

    def paid(self, s, a):
        if self.learned:
            return self.reward(torch.cat([s, a], -1)).squeeze(-1)
        healthy = (s[:, 0] > 0.7) & (s[:, 1].abs() < 0.2)
        return s[:, 5] - 3 * (s[:, 0] - 1.3) ** 2 - 0.1 * (a**2).sum(-1) + healthy.double()

    def losses(self, batch, behaviour):
        config, s, a, following = self.config, batch.observation, batch.action, batch.next_observation
        mean, log_std = self.actor(s).chunk(2, -1)
        half = (self.high - self.low) / 2
        mean, std = self.low + half * (torch.tanh(mean) + 1), half * log_std.clamp(-1, 2).exp()
        policy = Independent(Normal(mean, std), 1)
        weight = (policy.log_prob(a) - behaviour).exp().clamp(max=config.max_importance).detach()
        eta = (a - mean.detach()) / std.detach()
        acted = mean + std * eta

        difference, log_std = self.model(torch.cat([s, acted], -1)).chunk(2, -1)
        xi = ((following - s - difference) / log_std.clamp(-5, 2).exp()).detach()
        reached = s + difference + log_std.clamp(-5, 2).exp() * xi
        goes_on = 1 - batch.terminal
        promised = self.paid(s, acted) + config.discount * goes_on * self.value(reached).squeeze(-1)

        difference, log_std = self.model(torch.cat([s, a], -1)).chunk(2, -1)
        likelihood = Independent(Normal(s + difference, log_std.clamp(-5, 2).exp()), 1).log_prob(following)
        y = (batch.reward + config.discount * goes_on * self.target(following).squeeze(-1)).detach()
        out = {
            "actor": -(weight * promised).mean(),
            "model": -likelihood.mean(),
            "critic": (weight * (self.value(s).squeeze(-1) - y) ** 2 / 2).mean(),
        }
        if self.learned:
            out["reward"] = ((self.paid(s, a) - batch.reward) ** 2).mean()
        return out, y, weight

    def update(self, batch, behaviour):
        losses, y, weight = self.losses(batch, behaviour)
        out = {"critic/target": y.mean().item(), "actor/importance": weight.mean().item()}
        gradients = {
            name: torch.autograd.grad(loss, list(self.trained[name].parameters()), retain_graph=True)
            for name, loss in losses.items()
        }
        for name, loss in losses.items():
            parameters = list(self.trained[name].parameters())
            for parameter, gradient in zip(parameters, gradients[name], strict=True):
                parameter.grad = gradient.clone()
            out[f"loss/{name}"] = loss.item()
            norm = nn.utils.clip_grad_norm_(parameters, self.config.max_grad_norm)
            out[f"grad_norm/{name}"] = norm.item()
            self.optimisers[name].step()
        rate = self.config.target_rate
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.value.parameters(), strict=True):
                slow.copy_((1 - rate) * slow + rate * fast)
        return out


def part(transitions, index):
    return Transitions(*(getattr(transitions, f.name)[index] for f in dataclasses.fields(transitions)))


@pytest.mark.parametrize(
    "settings",
    [{}, {"max_grad_norm": 0.05}, {"max_importance": 2.0, "discount": 0.9, "target_rate": 0.1}],
    ids=["default", "clipped", "other settings"],
)
@pytest.mark.parametrize(
    "task", [TASK, LOPSIDED, KNOWN], ids=["learned reward", "lopsided bounds", "known reward"]
)
def test_updates_equal_the_reference(task, settings):
    """Losses, gradient norms, targets, weights and every parameter, over four updates."""
    agent, generator = build(task, **settings), gen(5)
    references = [Plain(task, agent.config, learned=task is not KNOWN) for _ in SEEDS]
    for i, plain in enumerate(references):
        for mine, theirs, member in plain.pairs(agent.networks, i):
            copy_member(mine, theirs, member)
    for step in range(1, 5):
        transitions, behaviour = random_inputs(agent, generator)
        metrics = agent.update(transitions, behaviour, step)
        for i, plain in enumerate(references):
            expected = plain.update(part(transitions, i), behaviour[i])
            assert set(expected) == set(metrics)
            for name, value in expected.items():
                assert metrics[name][i].item() == pytest.approx(value, rel=1e-8), name
    for i, plain in enumerate(references):
        for pair in plain.pairs(agent.networks, i):
            assert max(member_differences(*pair)) < 1e-9


def test_a_terminal_transition_promises_nothing():
    """Where the task ended the policy learns from the reward alone, whatever the value says."""
    sound, spoilt = build(), build()
    with torch.no_grad():
        spoilt.networks.critic[-1].weight.mul_(100)
    transitions, behaviour = random_inputs(sound, gen())
    transitions = dataclasses.replace(transitions, terminal=torch.ones_like(transitions.terminal))
    for agent in (sound, spoilt):
        agent.update(transitions, behaviour, 1)
    pairs = zip(sound.networks.actor.parameters(), spoilt.networks.actor.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_a_population_equals_its_seeds_alone():
    together, generator = build(), gen(6)
    alone = [build(seeds=(seed,)) for seed in SEEDS]
    for step in range(1, 4):
        transitions, behaviour = random_inputs(together, generator)
        joint = together.update(transitions, behaviour, step)
        for i, agent in enumerate(alone):
            single = agent.update(part(transitions, slice(i, i + 1)), behaviour[i : i + 1], step)
            for name, value in single.items():
                torch.testing.assert_close(joint[name][i : i + 1], value, rtol=1e-10, atol=1e-12)
    for i, agent in enumerate(alone):
        shared = share_of_seed(together.state(), i, len(SEEDS))["networks"]
        for key, value in agent.state()["networks"].items():
            torch.testing.assert_close(shared[key], value, rtol=1e-9, atol=1e-11)


# --- behaviour densities --------------------------------------------------------------------------


def test_the_density_of_an_action_is_that_of_the_policy_that_took_it():
    agent = SVG(TASK, dataclasses.replace(SMALL, replay_capacity=12), SEEDS)
    replay, acting, expected = Replay(2, 12, 5, 3), Streams(SEEDS, Purpose.ACTING), []
    end = torch.zeros(2)
    for _ in range(4):  # the warm-up
        replay.add(torch.randn(2, 5), 0.8 * torch.rand(2, 3) - 0.4, end, torch.randn(2, 5), end, end.bool())
    for step in range(1, 12):  # the ring is overwritten from the ninth on
        observation = torch.randn(2, 5, generator=gen(step))
        mean, log_std = agent.networks.actor(observation[:, None])
        action = agent.act(observation[:, None], step, acting)[:, 0]
        expected.append(Independent(Normal(mean[:, 0], log_std[:, 0].exp()), 1).log_prob(action).detach())
        replay.add(observation, action, end, torch.randn(2, 5), end, end.bool())
        agent.learn(replay, step)
    assert replay.pointer == 3
    torch.testing.assert_close(agent.behaviour[:, 4:].T, torch.stack(expected[:8]))
    torch.testing.assert_close(agent.behaviour[:, :3].T, torch.stack(expected[8:]))
    uniform = torch.full((2,), -3 * math.log(0.8))
    torch.testing.assert_close(agent.behaviour[:, 3], uniform)


def test_an_update_has_replayed_transitions_with_their_own_densities():
    agent = SVG(TASK, dataclasses.replace(SMALL, replay_capacity=12), SEEDS)
    replay, end, seen = Replay(2, 12, 5, 3), torch.zeros(2), []
    for i in range(12):
        number = torch.full((2,), float(i))
        replay.add(torch.randn(2, 5), 0.4 * torch.rand(2, 3), number, torch.randn(2, 5), end, end.bool())
    agent.behaviour[:] = torch.randn(2, 12, generator=gen())
    agent.update = lambda transitions, behaviour, step: seen.append((transitions.reward, behaviour)) or {}
    for step in range(1, 31):
        agent.learn(replay, step)
    position, behaviour = (torch.cat(column, dim=1) for column in zip(*seen, strict=True))
    torch.testing.assert_close(behaviour, agent.behaviour.gather(1, position.long()))
    assert all(row.unique().tolist() == list(range(12)) for row in position)


def test_actions():
    agent, observation = build(), torch.randn(2, 3000, 5, generator=gen(), dtype=torch.float64)
    streams = Streams(SEEDS, Purpose.EVALUATION)
    before = streams.state()
    greedy = agent.act_greedily(observation, streams)
    assert torch.equal(streams.state(), before)
    assert greedy.abs().max() <= 0.4
    mean, log_std = agent.networks.actor(observation)
    assert torch.equal(greedy, mean)
    unit = (agent.act(observation, 1, streams) - mean) / log_std.exp()
    assert unit.mean().abs() < 0.03 and unit.std().item() == pytest.approx(1, abs=0.03)


# --- what it can do -------------------------------------------------------------------------------


def test_model_learns_a_linear_system_and_its_noise():
    agent = SVG(TASK, dataclasses.replace(SMALL, hidden_sizes=(32, 32)), (0,))
    generator = gen(1)
    matrix, control = 0.2 * torch.randn(5, 5, generator=generator), torch.randn(3, 5, generator=generator)
    for _ in range(600):
        state, action = torch.randn(1, 64, 5, generator=generator), torch.randn(1, 64, 3, generator=generator)
        following = state + state @ matrix + action @ control
        following = following + 0.1 * torch.randn(following.shape, generator=generator)
        nothing = torch.zeros(1, 64)
        loss = model_objective(agent.networks.model, Transitions(state, action, nothing, following, nothing))
        agent.groups["model"].step(loss)
    # The entropy of the noise is the least that the loss can be.
    least = 5 * (math.log(0.1) + 0.5 * math.log(2 * math.pi * math.e))
    assert loss.item() < least + 1.5
    mean, log_std = agent.networks.model(state, action)
    assert (mean - following).square().mean().sqrt() < 0.15
    assert log_std.exp().mean().item() == pytest.approx(0.1, abs=0.05)


def test_published_hyper_parameters():
    config = SVGConfig.at(SCALES["paper"], "Hopper")
    assert (config.discount, config.target_rate, config.max_importance) == (0.99, 0.005, 5.0)
    assert (config.actor_hidden_size, config.hidden_sizes) == (100, (400, 200))
    assert (config.batch_size, config.learning_rate, config.max_grad_norm) == (256, 1e-3, 10.0)
    assert (config.warmup_steps, config.replay_capacity) == (1000, 200_000)
    assert SVGConfig.at(SCALES["laptop"], "Hopper").hidden_sizes == (400, 200)


@pytest.mark.parametrize(
    ("task", "learned"), [("mbbl/Ant", False), ("Hopper", True), ("mbbl/Ant-obsnoise-0.1", True)]
)
def test_the_reward_is_learned_where_it_is_not_known(task, learned):
    agent = SVG(task_spec(task), SMALL, (0,))
    assert ("reward" in agent.groups) == learned
