"""ALM's objectives one by one: which gradients flow where, and what they are worth."""

import pytest
import torch
from torch.distributions import Independent, Normal

from alm import objectives
from alm.agent import ALM
from alm.config import ALMConfig
from alm.networks import bounded_gaussian
from alm.task_registry import TASKS, TaskSpec
from alm.training.scale import SCALES
from benchmarks.plain_alm import PlainALM
from tests.alm.cases import TASK, build


@pytest.mark.parametrize(
    ("group", "trained"),
    [
        ("encoder_model", {"encoder", "model"}),
        ("heads", {"reward", "classifier"}),
        ("critic", {"critic"}),
        ("actor", {"actor"}),
    ],
)
def test_each_loss_trains_its_own_networks_only(group, trained):
    """An update with all learning rates but one at zero changes just that group's networks."""
    agent, sequences, transitions, noise = build("base", target_rate=0.0)
    for name, optimiser in agent.groups.items():
        if name != group:
            optimiser.learning_rate = 0.0
    before = {name: p.clone() for name, p in agent.networks.named_parameters()}
    agent.update(sequences, transitions, noise, 1)
    changed = {
        name.partition(".")[0]
        for name, p in agent.networks.named_parameters()
        if not torch.equal(p, before[name])
    }
    assert changed == trained


def test_the_policy_gets_no_gradient_through_the_critics_action():
    """With one model step whose output ignores the action, Q cannot move the policy (no ∂Q/∂a path)."""
    agent, _, transitions, noise = build("base", horizon=1, classifier_coefficient=0.0)
    config = agent.config
    with torch.no_grad():
        agent.networks.model.layers[0].weight[:, config.latent_size :] = 0.0  # model blind to the action
        for parameter in agent.networks.reward.parameters():
            parameter.zero_()
        state = agent.networks.target_encoder(transitions.observation)
    loss, _ = objectives.actor_objective(agent.networks, state, noise, config, agent.policy(50_000))
    gradients = torch.autograd.grad(loss.sum(), list(agent.networks.actor.parameters()))
    assert all(torch.count_nonzero(g) == 0 for g in gradients)


PRINTED_WEIGHTS = {
    1: ([1], [0.99]),
    2: ([0.5, 0.9653], [0.0247, 0.9556]),
    3: ([0.3333, 0.6435, 0.9319], [0.0165, 0.0319, 0.9226]),
    4: ([0.25, 0.4826, 0.6989, 0.8999], [0.0124, 0.0239, 0.0346, 0.8909]),
    5: ([0.2, 0.3861, 0.5591, 0.7199, 0.8692], [0.0099, 0.0191, 0.0277, 0.0356, 0.8605]),
}


@pytest.mark.parametrize("horizon", PRINTED_WEIGHTS)
def test_weights_of_rewards_and_values_in_the_policy_objective(horizon):
    """Each reward's and value's weight, measured by making one of them 1 and all others 0."""
    changes = {"horizon": horizon, "classifier_coefficient": 0.0, "batch_size": 2}
    agent, _, transitions, noise = build("base", seeds=(0,), **changes)
    net, config = agent.networks, agent.config
    state = net.target_encoder(transitions.observation)

    def objective(rewards, values):
        net.predict_reward = lambda z, a: torch.tensor(rewards, dtype=z.dtype).repeat_interleave(2)[None]
        net.min_value = lambda z, a: torch.tensor(values, dtype=z.dtype).repeat_interleave(2)[None]
        return -objectives.actor_objective(net, state, noise, config, agent.policy(10**6))[0].item()

    zero, unit = [0.0] * horizon, torch.eye(horizon).tolist()
    on_rewards, on_values = PRINTED_WEIGHTS[horizon]
    assert [objective(u, zero) for u in unit] == pytest.approx(on_rewards, abs=6e-5)
    assert [objective(zero, u) for u in unit] == pytest.approx(on_values, abs=6e-5)


def test_lower_bound_equals_its_formula():
    agent, _, transitions, _ = build("base")
    generator = torch.Generator().manual_seed(1)
    noise = {
        "z": torch.randn(2, 6, 4, generator=generator, dtype=torch.float64),
        "model": torch.randn(2, 3, 6, 4, generator=generator, dtype=torch.float64),
        "action": torch.randn(2, 3, 6, 3, generator=generator, dtype=torch.float64),
    }
    state = agent.networks.target_encoder(transitions.observation)
    bound = objectives.lower_bound(
        agent.networks, state, transitions.action, noise, agent.config, agent.valued_policy
    )
    for i in range(2):
        plain = PlainALM(TASK, agent.config)
        plain.load(agent.networks, i)
        d = plain.target_encoder(transitions.observation[i]).base_dist
        z, action, expected = d.loc + d.scale * noise["z"][i], transitions.action[i], 0.0
        for t in range(3):
            za = torch.cat([z, action], -1)
            d = plain.model(za).base_dist
            next_z = d.loc + d.scale * noise["model"][i, t]
            reward = plain.reward(za).squeeze(-1) + 0.1 * plain.log_ratio(z, action, next_z)
            expected = expected + 0.99**t * reward
            # As it acts greedily: the means of these networks leave the bounds.
            z, mean = next_z, plain.actor(next_z)
            action = mean.clamp(-0.4, 0.4)
            assert not torch.equal(action, mean)
        expected = expected + 0.99**3 * plain.min_q(z, action)
        torch.testing.assert_close(bound[i], expected, rtol=1e-9, atol=1e-9)


def test_bounds_of_the_gaussian():
    raw = torch.tensor([[-1e6, 0.0, 1e6, -1e6, 0.0, 1e6]], dtype=torch.float64)
    mean, std = bounded_gaussian(raw)
    assert mean[0].tolist() == pytest.approx([-30.0, 0.0, 30.0])
    assert std[0].tolist() == pytest.approx([0.1, 0.744, 10.0], abs=1e-3)


@pytest.mark.parametrize(
    ("step", "std"), [(0, 1.0), (1, 0.999991), (50_000, 0.55), (100_000, 0.1), (400_000, 0.1)]
)
def test_exploration_schedule(step, std):
    assert ALMConfig().exploration_std(step) == pytest.approx(std)


def test_published_hyper_parameters():
    """Table 3 of the paper."""
    config = ALMConfig.at(SCALES["paper"], "HalfCheetah")
    assert (config.horizon, config.classifier_coefficient) == (3, 0.1)
    assert (config.discount, config.trace, config.target_rate) == (0.99, 0.95, 0.005)
    assert (config.latent_size, config.hidden_size, config.model_hidden_size) == (50, 512, 1024)
    assert (config.batch_size, config.learning_rate, config.max_grad_norm) == (512, 1e-4, 100.0)
    assert (config.exploration_clip, config.warmup_steps, config.reject_time_limits) == (0.3, 5000, False)
    capacity = {task: ALMConfig.at(SCALES["paper"], task).replay_capacity for task in TASKS}
    assert capacity == {task: 1_000_000 if "Humanoid" in task else 100_000 for task in TASKS}


def test_the_parts_that_are_reported_of_the_models_loss_make_it_up():
    """KL and reward by model step, the value once."""
    agent, sequences, _, noise = build("base")
    loss, parts = agent.encoder_model_loss(sequences, noise, agent.policy(1))
    total = 3 * (parts["model/kl"] - parts["model/reward"]) - parts["model/value"]
    torch.testing.assert_close(loss.detach(), total)


def test_what_is_reported_of_the_classifier_the_targets_and_imagined_steps():
    """Of six log-ratios, the first three of the model's states, two have the right sign."""
    agent, _, transitions, noise = build("base")
    net, (state, next_state) = agent.networks, agent.represent(transitions)
    ratio = torch.tensor([[-1.0, 2.0, 3.0, -1.0, 2.0, -3.0]] * 2, dtype=torch.float64)
    net.log_ratio = lambda z, action, next_z: ratio.repeat(1, z.shape[1] // 6)
    parts = agent.heads_loss(transitions, state, next_state, noise)[1]
    assert parts["classifier/accuracy"].tolist() == pytest.approx([2 / 6] * 2)
    parts = agent.critic_loss(transitions, state, next_state, noise, agent.policy(1))[1]
    assert (parts["critic/target_min"] < parts["critic/target"]).all()
    assert (parts["critic/target_max"] > parts["critic/target"]).all()
    net.predict_reward, net.min_value = (lambda z, action, n=n: 0.0 * z[..., 0] + n for n in (5.0, 7.0))
    parts = agent.actor_loss(state, noise, agent.policy(1))[1]
    assert {name: value.tolist() for name, value in parts.items()} == {
        f"actor/{name}": pytest.approx([value] * 2)
        for name, value in {"reward": 5.0, "log_ratio": 2 / 6, "value": 7.0}.items()
    }


def test_the_spread_of_encoder_and_model_is_that_of_their_gaussians():
    agent, sequences, _, noise = build("base")
    net = agent.networks
    rollout = objectives.unroll(net, net.encoder(sequences.observation[:, 0]), sequences, noise)
    found = agent.encoder_model_loss(sequences, noise, agent.policy(1))[1]
    for name, gaussian in (("encoder", rollout.start), ("model", rollout.predictions[-1])):
        entropy = Independent(Normal(*gaussian), 1).entropy().mean(dim=-1).detach()
        torch.testing.assert_close(found[f"model/{name}_entropy"], entropy)
        torch.testing.assert_close(found[f"model/{name}_std"], gaussian[1].mean(dim=(1, 2)).detach())


def test_parameter_counts_at_paper_size():
    """The counts of the authors' networks on HalfCheetah."""
    task = TaskSpec("HalfCheetah", "alm/HalfCheetah-v2", 17, 6, -1.0, 1.0)
    net = ALM(task, ALMConfig(), (0,)).networks
    counts = {name: sum(p.numel() for p in getattr(net, name).parameters()) for name in (
        "encoder", "model", "reward", "classifier", "critic", "actor")}  # fmt: skip
    assert counts == {
        "encoder": 323_172, "model": 1_210_468, "reward": 293_377, "classifier": 319_490,
        "critic": 586_754, "actor": 291_846,
    }  # fmt: skip
