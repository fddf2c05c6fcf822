"""SLBO and its TRPO: every loss and gradient against a second writing, and what each part can do."""

import copy
import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from alm.task_registry import task_spec
from alm.tasks import make
from alm.training.replay import Replay, Transitions
from alm.training.scale import SCALES
from alm.training.streams import Purpose, Streams
from baselines import trpo
from baselines.slbo import (
    SLBO,
    Normaliser,
    SLBOConfig,
    limited_entropy,
    model_objective,
    policy_gain,
)
from baselines.trpo import (
    StepOutcome,
    advantages,
    conjugate_gradient,
    fisher_product,
    trust_region_step,
)
from benchmarks.plain_baselines import copy_member, member_differences
from tests.baselines.cases import gen, normal

TASK = task_spec("mbbl/Hopper-ET")
SMALL = SLBOConfig(
    stage_steps=40, iterations=2, model_updates=3, policy_updates=2, model_hidden_size=12, model_batch_size=8,
    model_learning_rate=1e-2, policy_hidden_size=6, value_hidden_size=7, value_learning_rate=5e-3,
    imagined_steps=60, imagined_horizon=20,
)  # fmt: skip


def build(seed=3, task=TASK, **changes):
    """A float64 agent with weights of some size and normalisers that have seen data."""
    agent = SLBO(task, dataclasses.replace(SMALL, **changes), (seed,), dtype=torch.float64)
    generator = gen(seed)
    with torch.no_grad():
        for parameter in agent.networks.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    size = task.observation_size
    agent.networks.state.update(1 + 2 * normal(1, 50, size, seed=1))
    agent.networks.change.update(0.1 + 0.5 * normal(1, 50, size, seed=2))
    return agent


# --- TRPO -----------------------------------------------------------------------------------------


def test_conjugate_gradient_solves_a_dense_system():
    root = normal(12, 12)
    matrix, target = root @ root.T + torch.eye(12), normal(12, seed=1)
    solution = conjugate_gradient(lambda v: matrix @ v, target, steps=50)
    torch.testing.assert_close(solution, torch.linalg.solve(matrix, target), rtol=1e-5, atol=1e-6)
    # After k steps the error has left the Krylov space of k products: two distinct eigenvalues, two steps.
    two = torch.diag(torch.tensor([1.0, 5.0] * 6, dtype=torch.float64))
    solution = conjugate_gradient(lambda v: two @ v, target, steps=2)
    torch.testing.assert_close(solution, torch.linalg.solve(two, target))


def old_and_new(agent, observation):
    normalised = agent.networks.state(observation)
    with torch.no_grad():
        old = agent.networks.policy(normalised)
    return old, lambda: agent.networks.policy(normalised)


def dense_fisher(gaussian, parameters):
    """Mean outer product of a policy's score at 30 states, which for Gaussians needs no sampled actions."""
    mean, log_std = gaussian
    size = sum(p.numel() for p in parameters)
    fisher = torch.zeros(size, size, dtype=torch.float64)
    for output, weight in ((mean, (-2 * log_std).exp()), (log_std, torch.full_like(log_std, 2.0))):
        for i in range(30):
            for j in range(3):
                row = torch.autograd.grad(output[0, i, j], parameters, retain_graph=True, allow_unused=True)
                row = torch.cat([
                    (torch.zeros_like(p) if g is None else g).flatten()
                    for g, p in zip(row, parameters, strict=True)
                ])  # fmt: skip
                fisher += weight[0, i, j].detach() * torch.outer(row, row) / 30
    return fisher


def test_natural_direction_against_a_dense_fisher_matrix():
    agent = build(policy_hidden_size=3)
    observation = normal(1, 30, 11, seed=4)
    parameters = list(agent.networks.policy.parameters())
    old, new = old_and_new(agent, observation)
    fisher = dense_fisher(new(), parameters)
    size = len(fisher)
    divergence = trpo.kl_divergence(old, new()).mean()
    assert divergence.item() == pytest.approx(0.0, abs=1e-12)
    product = fisher_product(divergence, parameters, damping=0.1)
    vector = normal(size, seed=5)
    torch.testing.assert_close(product(vector), fisher @ vector + 0.1 * vector, rtol=1e-8, atol=1e-10)
    solution = conjugate_gradient(product, vector, steps=2 * size)
    dense = torch.linalg.solve(fisher + 0.1 * torch.eye(size, dtype=torch.float64), vector)
    torch.testing.assert_close(solution, dense, rtol=1e-4, atol=1e-4)


def test_divergence_equals_torchs():
    old, new = ((normal(4, 3, seed=i), 0.5 * normal(4, 3, seed=i + 1)) for i in (0, 2))
    expected = kl_divergence(*(Independent(Normal(m, s.exp()), 1) for m, s in (old, new)))
    torch.testing.assert_close(trpo.kl_divergence(old, new), expected)


@pytest.mark.parametrize(("max_kl", "halvings"), [(0.01, 0), (2.0, 1)])
def test_a_step_equals_a_second_writing(max_kl, halvings):
    """Ten conjugate gradients on the dense F + 0.1 I, and the longest of the steps that is within the limit.

    The advantage pays for a smaller σ, in which the KL grows faster than its quadratic form.
    """
    agent = build(policy_hidden_size=3)
    parameters = list(agent.networks.policy.parameters())
    old, new = old_and_new(agent, normal(1, 30, 11, seed=4))
    noise = normal(1, 30, 3, seed=5)
    action, advantage = old[0] + old[1].exp() * noise, -noise.square().sum(-1)

    def evaluate():
        then, now = (Independent(Normal(mean, log_std.exp()), 1) for mean, log_std in (old, new()))
        ratio = (now.log_prob(action) - then.log_prob(action)).exp()
        return (ratio * advantage).mean(), kl_divergence(then, now).mean()

    before = evaluate()[0]
    gradient = parameters_to_vector(torch.autograd.grad(before, parameters))
    fisher = dense_fisher(new(), parameters)
    damped = fisher + 0.1 * torch.eye(len(fisher), dtype=torch.float64)
    solution, residual, direction = torch.zeros_like(gradient), gradient, gradient
    for _ in range(10):
        length = residual @ residual / (direction @ damped @ direction)
        solution, after = solution + length * direction, residual - length * damped @ direction
        direction = after + (after @ after) / (residual @ residual) * direction
        residual = after
    step = torch.sqrt(2 * max_kl / (solution @ damped @ solution)) * solution

    start = parameters_to_vector(parameters).detach().clone()
    outcome = trust_region_step(parameters, evaluate, max_kl=max_kl)
    moved = parameters_to_vector(parameters).detach() - start
    torch.testing.assert_close(moved, step / 2**halvings, rtol=1e-6, atol=1e-9)
    assert outcome.accepted
    for halved in range(halvings + 1):
        vector_to_parameters(start + step / 2**halved, parameters)
        gain, kl = evaluate()
        assert gain > before and (kl <= 1.5 * max_kl) == (halved == halvings)


def step_on(agent, scale=1.0, max_kl=0.01):
    observation, unit = normal(1, 200, 11, seed=4), None
    old, new = old_and_new(agent, observation)
    unit = old[0] + old[1].exp() * normal(1, 200, 3, seed=5)
    advantage = scale * unit[..., 0]  # the first action is to grow

    def evaluate():
        now = new()
        return policy_gain(now, old, unit, advantage, 0.005), trpo.kl_divergence(old, now).mean()

    before = evaluate()[0].item()
    step = trust_region_step(list(agent.networks.policy.parameters()), evaluate, max_kl=max_kl)
    return step, before, *(value.item() for value in evaluate())


@pytest.mark.parametrize("max_kl", [1e-4, 0.01, 0.1])
def test_a_step_improves_the_gain_within_the_trust_region(max_kl):
    step, before, after, divergence = step_on(build(), max_kl=max_kl)
    assert step.accepted
    assert after > before and step.improvement == pytest.approx(after - before)
    assert step.kl == pytest.approx(divergence)
    assert 0.2 * max_kl < divergence <= 1.5 * max_kl  # half steps have a quarter of the divergence


def test_no_gradient_and_no_good_step_leave_the_policy_alone():
    for scale, max_kl in ((float("nan"), 0.01), (1.0, 1e9)):
        agent = build()
        before = copy.deepcopy(agent.networks.policy.state_dict())
        step, *_ = step_on(agent, scale, max_kl)
        assert not step.accepted
        assert (step.kl, step.improvement) == (0.0, 0.0)
        assert all(
            torch.equal(value, before[key]) for key, value in agent.networks.policy.state_dict().items()
        )


def test_backtracking_gives_up_after_its_tries():
    parameter = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    calls = []

    def evaluate():
        calls.append(parameter.detach().clone())
        first = len(calls) == 1
        return (parameter.sum() if first else -parameter.abs().sum()), (parameter**2).sum()

    step = trust_region_step([parameter], evaluate, max_kl=0.01, damping=0.0)
    assert not step.accepted and len(calls) == 11
    assert torch.equal(parameter, torch.zeros(2, dtype=torch.float64))
    for longer, shorter in zip(calls[1:], calls[2:], strict=False):
        torch.testing.assert_close(shorter, longer / 2)
    # x = √(2 · 0.01 / yᵀFy) y with F = 2 I and y = (½, ½)
    torch.testing.assert_close(calls[1], torch.full((2,), math.sqrt(0.02) * 0.5, dtype=torch.float64))


def test_advantages_against_enumeration():
    """A_t = Σ_k (γλ)^k δ_{t+k} up to the end of the episode, from the definition."""
    steps, rollouts, discount, trace = 9, 4, 0.9, 0.7
    reward, value, next_value = (normal(steps, rollouts, seed=i) for i in range(3))
    terminal = (torch.rand(steps, rollouts, generator=gen(3)) < 0.2).double()
    ended = torch.maximum(terminal, (torch.rand(steps, rollouts, generator=gen(4)) < 0.2).double())
    assert (ended > terminal).any() and terminal.any()
    found = advantages(reward, value, next_value, terminal, ended, discount, trace)
    expected = enumerated_advantages(reward, value, next_value, terminal, ended, discount, trace)
    torch.testing.assert_close(found, expected)


def enumerated_advantages(reward, value, next_value, terminal, ended, discount, trace):
    steps, rollouts = reward.shape
    found = torch.zeros_like(reward)
    for n in range(rollouts):
        for t in range(steps):
            weight = 1.0
            for k in range(t, steps):
                target = reward[k, n] + discount * (0.0 if terminal[k, n] else next_value[k, n])
                found[t, n] += weight * (target - value[k, n])
                weight *= discount * trace
                if ended[k, n]:
                    break
    return found


# --- the losses against a second writing ----------------------------------------------------------


def test_normaliser_sees_all_data_as_if_at_once():
    data = 3 + 2 * normal(1, 90, 4)
    normaliser = Normaliser(4).double()
    for part in data.split([20, 50, 20], dim=1):
        normaliser.update(part)
    torch.testing.assert_close(normaliser.mean[0, 0], data[0].mean(0))
    torch.testing.assert_close(normaliser.std[0, 0], data[0].std(0, unbiased=False))
    assert normaliser.count.item() == 90
    torch.testing.assert_close(normaliser.inverse(normaliser(data)), data)


def plain_model(agent):
    layers = nn.Sequential(
        nn.Linear(14, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 11)
    ).double()  # fmt: skip
    copy_member(layers, agent.networks.model, 0)
    return layers


def random_sequences(batch=8, seed=0):
    state, following = normal(1, 2, batch, 11, seed=seed), normal(1, 2, batch, 11, seed=seed + 1)
    action, nothing = 1.5 * normal(1, 2, batch, 3, seed=seed + 2), torch.zeros(1, 2, batch)
    ended = torch.rand(1, 2, batch, generator=gen(seed + 3)) < 0.3
    return Transitions(state, action, nothing, following, nothing), ended


def test_model_updates_equal_the_reference():
    """Loss with weight decay, clipped gradient and parameters, over four updates."""
    agent = build(max_grad_norm=0.05, weight_decay=0.01)
    plain, net = plain_model(agent), agent.networks
    optimiser = torch.optim.Adam(plain.parameters(), lr=1e-2)
    state_mean, state_std = net.state.mean[0, 0], net.state.std[0, 0]
    change_mean, change_std = net.change.mean[0, 0], net.change.std[0, 0]

    def predict(s, u):
        change = plain(torch.cat([(s - state_mean) / state_std, u.clamp(-1, 1)], -1))
        return s + change * change_std + change_mean

    for update in range(4):
        sequences, ended = random_sequences(seed=10 * update)
        s, u, following = (getattr(sequences, k)[0] for k in ("observation", "action", "next_observation"))
        losses = []
        for i in range(8):
            first = predict(s[0, i], u[0, i])
            second_start = s[1, i] if ended[0, 0, i] else first
            second = predict(second_start, u[1, i])
            errors = (
                (first - s[0, i] - (following[0, i] - s[0, i])) / change_std,
                (second - second_start - (following[1, i] - s[1, i])) / change_std,
            )
            losses.append(sum(torch.sqrt((e**2).mean()) for e in errors) / 2)
        loss = torch.stack(losses).mean() + 0.01 * sum((p**2).sum() / 2 for p in plain.parameters())
        optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(plain.parameters(), 0.05)
        optimiser.step()
        metrics = agent.update_model(sequences, ended)
        assert norm > 0.05
        assert metrics["loss/model"].item() == pytest.approx(loss.item(), rel=1e-9)
        assert metrics["grad_norm/model"].item() == pytest.approx(norm.item(), rel=1e-9)
    assert max(member_differences(plain, net.model, 0)) < 1e-9


def test_predictions_stay_within_a_hundred_deviations():
    agent = build()
    with torch.no_grad():
        agent.networks.model[-1].bias += 1e6
    net = agent.networks
    reached = net.predict(normal(1, 5, 11), normal(1, 5, 3))
    torch.testing.assert_close(net.state(reached), torch.full((1, 5, 11), 100.0, dtype=torch.float64))


def test_gain_and_its_gradient():
    old = (normal(1, 6, 3), 0.3 * normal(1, 6, 3, seed=1))
    mean, log_std = normal(1, 6, 3, seed=2).requires_grad_(), (0.3 * normal(1, 6, 3, seed=3)).requires_grad_()
    action, advantage = normal(1, 6, 3, seed=4), normal(1, 6, seed=5)
    found = policy_gain((mean, log_std), old, action, advantage, 0.7)

    then, now = (Independent(Normal(m, s.exp()), 1) for m, s in (old, (mean, log_std)))
    ratio = (now.log_prob(action) - then.log_prob(action)).exp()
    sigma = log_std.exp()
    h, low = ((limit - mean) / sigma / math.sqrt(2) for limit in (2.0, -2.0))
    entropy = 0.5 * (log_std + math.log(2 * math.pi) / 2) * (torch.erf(h) - torch.erf(low)) + 0.5 * (
        torch.exp(-h * h) * h - torch.exp(-low * low) * low
    )
    expected = (ratio * advantage).mean() + 0.7 * entropy.sum(-1).mean()
    assert found.item() == pytest.approx(expected.item())
    for one, other in zip(
        torch.autograd.grad(found, (mean, log_std)),
        torch.autograd.grad(expected, (mean, log_std)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_entropy_does_not_reward_leaving_the_bounds():
    """Within ±2 it grows with σ as an entropy does; a policy far outside has none."""
    inside = [limited_entropy((torch.zeros(1), torch.tensor([math.log(s)]))).item() for s in (0.1, 0.2, 0.4)]
    assert inside == sorted(inside)
    assert limited_entropy((torch.full((1,), 30.0), torch.zeros(1))).item() == pytest.approx(0.0, abs=1e-6)


def test_value_updates_equal_the_reference():
    agent = build()
    plain = nn.Sequential(nn.Linear(11, 7), nn.Tanh(), nn.Linear(7, 7), nn.Tanh(), nn.Linear(7, 1)).double()
    copy_member(plain, agent.networks.value, 0)
    optimiser = torch.optim.Adam(plain.parameters(), lr=5e-3)
    for update in range(4):
        observation, target = normal(1, 9, 11, seed=update), normal(1, 9, seed=update + 50)
        metrics = {}
        agent.update_value(observation, target, metrics)
        normalised = (observation[0] - agent.networks.state.mean[0]) / agent.networks.state.std[0]
        loss = nn.functional.mse_loss(plain(normalised).squeeze(-1), target[0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert metrics["loss/value"].item() == pytest.approx(loss.item(), rel=1e-9)
    assert max(member_differences(plain, agent.networks.value, 0)) < 1e-9


def test_the_value_is_fitted_to_advantages_plus_values_of_before(monkeypatch):
    """Advantages of the agent's own value, discount and trace; each state once a pass, with its target."""
    agent = build(value_passes=2, value_batch_size=7, imagined_horizon=15, discount=0.9, trace=0.7)
    imagined = agent.imagine()
    assert imagined.terminal.any() and (imagined.ended > imagined.terminal).any()
    value, next_value = (
        agent.networks.evaluate(states.flatten(0, 1)[None])[0].view(15, 4).detach()
        for states in (imagined.observation, imagined.next_observation)
    )
    expected = enumerated_advantages(
        imagined.reward, value, next_value, imagined.terminal, imagined.ended, 0.9, 0.7
    )
    torch.testing.assert_close(agent.advantages(imagined), expected)

    handed = []
    monkeypatch.setattr(agent, "update_value", lambda states, targets, _: handed.append((states, targets)))
    agent._fit_value(imagined, agent.advantages(imagined))
    assert [targets.shape[1] for _, targets in handed] == 2 * [*[7] * 8, 4]
    targets = {
        tuple(s.tolist()): y
        for s, y in zip(imagined.observation.flatten(0, 1), (expected + value).flatten(), strict=True)
    }
    for batches in (handed[:9], handed[9:]):
        seen = {tuple(s.tolist()): y for states, ys in batches for s, y in zip(states[0], ys[0], strict=True)}
        assert seen.keys() == targets.keys()
        for state, target in targets.items():
            assert seen[state].item() == pytest.approx(target.item())


# --- rollouts in the model ------------------------------------------------------------------------


def test_imagined_steps_follow_model_reward_and_ends():
    agent = build()
    imagined = agent.imagine()
    assert imagined.observation.shape == (20, 3, 11)  # 60 steps in episodes of 20
    net = agent.networks
    for n in range(3):
        age = 0
        for t in range(20):
            s, u = imagined.observation[t, n], imagined.unit_action[t, n]
            following = net.predict(s[None, None], u[None, None])[0, 0]
            torch.testing.assert_close(imagined.next_observation[t, n], following)
            height, tilt = s[0].item(), s[1].item()
            bonus = float(height > 0.7 and abs(tilt) < 0.2)
            expected = s[5] - 3 * (height - 1.3) ** 2 - 0.1 * u.square().sum() + bonus
            assert imagined.reward[t, n].item() == pytest.approx(expected.item())
            fallen = not (following[0] > 0.7 and abs(following[1]) < 0.2)
            age += 1
            assert imagined.terminal[t, n].item() == fallen
            assert imagined.ended[t, n].item() == (fallen or age == 20)
            if t < 19 and not imagined.ended[t, n]:
                torch.testing.assert_close(imagined.observation[t + 1, n], following)
            elif t < 19:
                assert abs(imagined.observation[t + 1, n, 0] - 1.25) < 0.006, "an initial state of the task"
                age = 0
    assert imagined.terminal.any()


def test_imagined_actions_are_paid_for_in_the_tasks_units():
    """Of the humanoid, whose bounds are ±0.4."""
    imagined = build(task=task_spec("mbbl/SlimHumanoid")).imagine()
    s, u = imagined.observation, imagined.unit_action
    upright = ((s[..., 0] >= 1) & (s[..., 0] <= 2)).double()
    expected = 0.25 / 0.015 * s[..., 22] - 0.1 * (0.4 * u).square().sum(-1) + 5 * upright
    torch.testing.assert_close(imagined.reward, expected)


def test_imagined_episodes_are_cut_at_the_horizon():
    agent = build(task=task_spec("mbbl/HalfCheetah"), imagined_steps=50)
    imagined = agent.imagine()
    assert imagined.observation.shape == (25, 2, 17) and not imagined.terminal.any()
    assert imagined.ended.sum() == 2 and imagined.ended[19].all()
    assert imagined.observation[[0, 20], :, :8].abs().max() <= 0.1, "initial states of the task"
    assert not torch.equal(imagined.observation[0], imagined.observation[20])


def test_imagined_actions_are_the_policys():
    agent = build(imagined_steps=4000, imagined_horizon=40)
    imagined = agent.imagine()
    mean, log_std = agent.networks.act(imagined.observation.flatten(0, 1)[None])
    unit = (imagined.unit_action.flatten(0, 1)[None] - mean) / log_std.exp()
    assert unit.mean().abs() < 0.04 and unit.std().item() == pytest.approx(1.0, abs=0.03)


def test_a_policy_update_improves_what_is_imagined():
    agent = build()
    imagined = agent.imagine()
    before = copy.deepcopy(agent.networks.policy.state_dict())
    metrics = agent.update_policy(imagined, agent.advantages(imagined))
    assert metrics["policy/accepted"].item() == 1.0
    assert 0.0 < metrics["policy/kl"].item() <= 1.5 * 0.01
    assert metrics["policy/improvement"].item() >= 0.0
    assert any(
        not torch.equal(value, before[key]) for key, value in agent.networks.policy.state_dict().items()
    )


def test_the_policy_climbs_on_scaled_advantages_of_its_own_actions(monkeypatch):
    """Mean 0 and deviation 1, whatever the reward's scale; step by step, and in each the rollouts."""
    seen = []
    monkeypatch.setattr(
        "baselines.slbo.policy_gain", lambda *arguments: seen.append(arguments) or policy_gain(*arguments)
    )
    agent = build(entropy_weight=0.03)
    imagined = agent.imagine()
    imagined = dataclasses.replace(imagined, reward=100 * imagined.reward)

    def rows(values):
        return torch.stack([values[t, n] for t in range(20) for n in range(3)])[None]

    expected = agent.networks.act(rows(imagined.observation))[0].detach()
    metrics = agent.update_policy(imagined, agent.advantages(imagined))
    _, (old, _), action, advantage, entropy_weight = seen[0]
    torch.testing.assert_close(old, expected)
    assert torch.equal(action, rows(imagined.unit_action)) and entropy_weight == 0.03
    found = rows(agent.advantages(imagined))
    torch.testing.assert_close(advantage, (found - found.mean()) / found.std(unbiased=False))
    assert metrics["model/reward"].item() == pytest.approx(imagined.reward.mean().item())


def test_the_policy_stays_in_the_configured_region_around_what_it_was(monkeypatch):
    """What TRPO gets: the policy's parameters, KL(old ‖ new) averaged over states, and the limit."""
    handed = []
    monkeypatch.setattr(
        "baselines.slbo.trust_region_step",
        lambda *arguments, **limits: (
            handed.append((*arguments, limits)) or StepOutcome(0.0, 0.0, accepted=False)
        ),
    )
    agent = build(max_kl=0.03)
    imagined = agent.imagine()
    agent.update_policy(imagined, agent.advantages(imagined))
    ((parameters, evaluate, limits),) = handed
    assert limits == {"max_kl": 0.03}
    policy = agent.networks.policy
    assert list(map(id, parameters)) == list(map(id, policy.parameters()))
    observation = imagined.observation.flatten(0, 1)[None]
    gaussians = [agent.networks.act(observation)]
    moved = parameters_to_vector(parameters).detach()
    vector_to_parameters(moved + 0.2 * normal(*moved.shape), parameters)
    gaussians.append(agent.networks.act(observation))
    old, new = (Independent(Normal(mean, log_std.exp()), 1) for mean, log_std in gaussians)
    torch.testing.assert_close(evaluate()[1], kl_divergence(old, new).mean())


# --- stages ---------------------------------------------------------------------------------------


def filled(agent, steps, horizon=7):
    """A replay of a linear system, episodes of a few steps."""
    replay, state = Replay(1, 200, 11, 3), torch.zeros(1, 11)
    generator = gen(9)
    for step in range(steps):
        action = torch.rand(1, 3, generator=generator) * 2 - 1
        following = 0.9 * state + torch.cat([action, -action, action, action[:, :2]], dim=1)
        ended = torch.tensor([(step + 1) % horizon == 0])
        replay.add(state, action, torch.zeros(1), following, torch.zeros(1), ended)
        state = torch.zeros(1, 11) if ended else following
    return replay


def test_sequences_follow_each_other_and_know_where_episodes_end():
    agent = SLBO(TASK, SMALL, (0,))
    replay = filled(agent, 40)
    sequences, ended = agent._sequences(replay, torch.arange(40)[None])
    joined = ~ended[0, 0]
    assert joined.sum() == 40 - 5 - 1  # five ends of episodes, and nothing follows the newest
    assert not ended[0, 0, 0] and ended[0, 0, 6] and ended[0, 0, 39]
    torch.testing.assert_close(sequences.observation[0, 1][joined], sequences.next_observation[0, 0][joined])
    humanoid = SLBO(task_spec("mbbl/SlimHumanoid"), SMALL, (0,))
    replay = Replay(1, 3, 45, 17)
    nothing = torch.zeros(1)
    replay.add(
        torch.zeros(1, 45), torch.full((1, 17), 0.2), nothing, torch.zeros(1, 45), nothing, nothing.bool()
    )
    unit, _ = humanoid._sequences(replay, torch.zeros(1, 1, dtype=torch.int64))
    torch.testing.assert_close(unit.action, torch.full((1, 2, 1, 17), 0.5))


def test_it_learns_at_the_end_of_a_stage_only():
    agent = SLBO(TASK, SMALL, (0,))
    before = copy.deepcopy(agent.networks.state_dict())
    replay = filled(agent, 40)
    for step in (1, 39, 41):
        assert agent.learn(replay, step) == {}
    assert all(torch.equal(value, before[key]) for key, value in agent.networks.state_dict().items())
    metrics = agent.learn(replay, 40)
    assert {"loss/model", "loss/value", "grad_norm/model", "policy/kl", "model/reward"} <= set(metrics)
    assert all(value.shape == (1,) and value.isfinite().all() for value in metrics.values())
    changed = {
        k.split(".")[0] for k, v in agent.networks.state_dict().items() if not torch.equal(v, before[k])
    }
    assert changed == {"policy", "value", "model", "state", "change"}
    assert agent.groups["model"].state()["steps"] == 2 * 3
    assert agent.groups["value"].state()["steps"] == 2 * 2 * 5  # passes over one batch of 60
    assert agent.networks.state.count.item() == 40


def test_the_model_learns_from_all_that_is_stored(monkeypatch):
    """Sequences start at every transition, of this stage and of those before."""
    agent = SLBO(TASK, dataclasses.replace(SMALL, iterations=1, model_updates=100), (0,))
    starts, sequences = [], agent._sequences
    monkeypatch.setattr(
        agent, "_sequences", lambda replay, start: starts.append(start) or sequences(replay, start)
    )
    for name in ("update_model", "update_policy", "_fit_value"):
        monkeypatch.setattr(agent, name, lambda *_: {})
    agent.learn(filled(agent, 80), 80)
    assert torch.cat(starts).unique().tolist() == list(range(80))


def test_the_policy_climbs_in_fresh_rollouts_and_the_value_follows_it(monkeypatch):
    """In each iteration the model first; in each of the policy's updates rollouts, TRPO, then the value.

    Both take the advantages under the value from before.
    """
    agent, order, rollouts = SLBO(TASK, SMALL, (0,)), [], []
    monkeypatch.setattr(agent, "update_model", lambda *_: order.append("model") or {})
    monkeypatch.setattr(agent, "imagine", lambda: rollouts.append(object()) or rollouts[-1])
    monkeypatch.setattr(agent, "advantages", lambda imagined: order.append("advantages") or [imagined])
    for name in ("update_policy", "_fit_value"):
        monkeypatch.setattr(agent, name, lambda *given, name=name: order.append((name, *given)) or {})
    agent.learn(filled(agent, 40), 40)
    steps = [["advantages", ("update_policy", r, [r]), ("_fit_value", r, [r])] for r in rollouts]
    assert order == [*["model"] * 3, *steps[0], *steps[1], *["model"] * 3, *steps[2], *steps[3]]


@pytest.mark.parametrize("warmup", [0, 15])
def test_every_transition_enters_the_normalisers_once(warmup):
    """Those of the warm-up with the first stage's, as its model learns from them too."""
    config = dataclasses.replace(SMALL, iterations=1, policy_updates=1, warmup_steps=warmup)
    agent = SLBO(TASK, config, (0,))
    for step in (40, 80):
        seen = filled(agent, warmup + step)
        agent.learn(seen, step)
        observation = seen.stored().observation
        change = seen.stored().next_observation - observation
        assert agent.networks.state.count.item() == agent.networks.change.count.item() == warmup + step
        torch.testing.assert_close(agent.networks.state.mean, observation.mean(1, keepdim=True))
        torch.testing.assert_close(agent.networks.state.std, observation.std(1, keepdim=True, correction=0))
        torch.testing.assert_close(agent.networks.change.mean, change.mean(1, keepdim=True))
        torch.testing.assert_close(agent.networks.change.std, change.std(1, keepdim=True, correction=0))


def test_noise_on_collected_actions_is_an_ornstein_uhlenbeck_process():
    agent = SLBO(TASK, SMALL, (0,))
    with torch.no_grad():
        for parameter in agent.networks.policy.parameters():
            parameter.zero_()
        agent.networks.policy.log_std.fill_(-20.0)  # the policy itself is silent
    streams = Streams((0,), Purpose.ACTING)
    actions = torch.cat([agent.act(torch.zeros(1, 1, 11), step, streams)[0] for step in range(6000)])
    assert actions.std().item() == pytest.approx(0.3 / math.sqrt(1 - 0.85**2), rel=0.1)
    lag = (actions[1:] * actions[:-1]).mean() / actions.square().mean()
    assert lag.item() == pytest.approx(0.85, abs=0.03)
    assert not agent.act_greedily(torch.ones(1, 4, 11), streams).any()
    again = SLBO(TASK, SMALL, (0,))
    again.load_state(agent.state())
    assert torch.equal(again.drift, agent.drift) and again.drift.any()


def test_actions_are_stretched_to_the_tasks_bounds():
    """Of the humanoid, ±0.4: the policy's sample and the noise on top, both in units."""
    agent, observation = build(task=task_spec("mbbl/SlimHumanoid")), normal(1, 1, 45)
    mean, log_std = agent.networks.act(observation)
    sample, push = Streams((0,), Purpose.ACTING).normal(2, 1, 17, dtype=torch.float64)[0]
    expected = 0.4 * (mean + log_std.exp() * sample + 0.3 * push)  # the first push of the noise
    torch.testing.assert_close(agent.act(observation, 1, Streams((0,), Purpose.ACTING)), expected)
    torch.testing.assert_close(agent.act_greedily(observation, Streams((0,), Purpose.EVALUATION)), 0.4 * mean)


def test_model_learns_a_linear_system():
    agent = SLBO(TASK, dataclasses.replace(SMALL, model_hidden_size=64, model_batch_size=64), (0,))
    replay = filled(agent, 150, horizon=30)
    stage = replay.at(torch.arange(150)[None])
    agent.networks.state.update(stage.observation)
    agent.networks.change.update(stage.next_observation - stage.observation)
    losses = []
    for _ in range(500):
        index = agent.learning.integers(150, 64)
        losses.append(agent.update_model(*agent._sequences(replay, index))["loss/model"].item())
    assert losses[0] > 0.7 and sum(losses[-20:]) / 20 < 0.15
    error = agent.networks.predict(stage.observation, stage.action) - stage.next_observation
    assert error.square().mean().sqrt() < 0.15 * agent.networks.change.std.mean()


# --- what it refuses, and its configuration -------------------------------------------------------


def test_more_than_one_seed_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"^slbo trains one seed at a time, not 2: train them in turn\.$"):
        SLBO(TASK, SMALL, (0, 1))
    assert SLBO.trains_seeds_apart


@pytest.mark.parametrize("task", ["HalfCheetah", "T-Ant", "mbbl/Hopper-obsnoise-0.1"])
def test_tasks_without_a_known_reward_are_refused_in_one_sentence(task):
    words = rf"that of {task} is not a function of what is observed: choose an mbbl task .*\.$"
    with pytest.raises(ValueError, match=words):
        SLBOConfig.at(SCALES["paper"], task)
    with pytest.raises(ValueError, match=words):
        SLBO(task_spec(task), SMALL, (0,))


def test_hyper_parameters_of_the_benchmark():
    config = SLBOConfig.at(SCALES["paper"], "mbbl/HalfCheetah")
    assert (config.stage_steps, config.iterations, config.model_updates, config.policy_updates) == (
        10_000, 20, 100, 40
    )  # fmt: skip
    assert (config.imagined_steps, config.imagined_horizon, config.max_kl) == (4000, 1000, 0.01)
    assert (config.model_batch_size, config.model_steps, config.entropy_weight) == (128, 2, 0.005)
    assert (config.discount, config.trace, config.noise_pull, config.noise_std) == (0.99, 0.95, 0.15, 0.3)
    assert (config.weight_decay, config.max_grad_norm, config.model_learning_rate) == (1e-5, 2.0, 1e-3)
    assert (config.value_passes, config.value_batch_size, config.value_learning_rate) == (5, 64, 1e-3)
    assert (config.model_hidden_size, config.policy_hidden_size, config.value_hidden_size) == (500, 32, 64)
    assert (trpo.KL_SLACK, trpo.DAMPING, trpo.CONJUGATE_STEPS, trpo.BACKTRACKS) == (1.5, 0.1, 10, 10)
    assert trust_region_step.__kwdefaults__ == {"damping": trpo.DAMPING}
    laptop = SLBOConfig.at(SCALES["laptop"], "mbbl/HalfCheetah")
    assert laptop.stage_steps / laptop.iterations == config.stage_steps / config.iterations
    assert SLBOConfig.at(SCALES["smoke"], "mbbl/HalfCheetah").stage_steps <= 200


def test_networks_start_as_in_the_reference():
    net = SLBO(TASK, SLBOConfig(), (0,)).networks
    for layers, last in ((net.policy.layers, 0.01), (net.value, 1.0)):
        for layer in (layers[0], layers[2], layers[4]):
            norms = layer.weight.norm(dim=1)
            torch.testing.assert_close(norms, torch.full_like(norms, last if layer is layers[4] else 1.0))
    assert not net.policy.log_std.any()
    assert all(0 < net.model[i].weight.abs().max() <= 2e-5 for i in (0, 2, 4))
    env = make(TASK)
    observation = torch.from_numpy(env.reset(seed=0)[0]).float()[None, None]
    torch.testing.assert_close(net.predict(observation, torch.ones(1, 1, 3)), observation)


def test_loss_of_a_single_step_is_the_mean_norm():
    agent = build(weight_decay=0.0)
    sequences, ended = random_sequences()
    one = Transitions(*(getattr(sequences, f.name)[:, :1] for f in dataclasses.fields(Transitions)))
    loss = model_objective(agent.networks, one, ended[:, :1], 0.0)
    error = agent.networks.predict(one.observation[:, 0], one.action[:, 0]) - one.next_observation[:, 0]
    norm = (error / agent.networks.change.std).norm(dim=-1) / math.sqrt(11)
    torch.testing.assert_close(loss, norm.mean(dim=-1))
