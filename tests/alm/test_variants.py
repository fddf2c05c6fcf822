"""ALM and every variant against an independent float64 writing; what a variant changes, and nothing else."""

import dataclasses
import math

import pytest
import torch

from alm import objectives
from alm.agent import ALM
from alm.config import ALMConfig
from alm.task_registry import task_spec
from alm.training.population import LayerNorm, Linear, join_seeds, share_of_seed
from alm.training.replay import Transitions
from alm.training.scale import SCALES, TrainingConfig
from alm.training.streams import Purpose, Streams
from alm.training.temperature import Temperature
from alm.variants import VARIANTS
from alm.variants.entropy import EntropyConfig
from alm.variants.joint import joint_objective
from alm.variants.log_reward import FLOOR, count_clamped, logarithm
from alm.variants.td3_loss import td3_actor_objective
from alm.variants.value_prediction import ValueEncoderALM
from benchmarks import plain_variants
from benchmarks.plain_alm import PlainALM
from reproduce.lab.algorithms import algorithm_named
from runs import evaluations, trainer
from tests.alm.cases import FIELDS, SEEDS, SIZES, TASK, build, fresh

PLAIN = {
    "td3-loss": plain_variants.PlainTD3Loss,
    "ent": plain_variants.PlainEntropy,
    "linear-classifier": plain_variants.PlainLinearClassifier,
    "log-naive": plain_variants.PlainLogReward,
    "log-model": plain_variants.PlainLogReward,
    "log-transformed": plain_variants.PlainLogReward,
    "mnm": plain_variants.PlainIdentityEncoder,
    "reconstruction": plain_variants.PlainReconstruction,
    "value-encoder": plain_variants.PlainValueEncoder,
    "value-encoder-model": plain_variants.PlainValueEncoderModel,
    "value-expansion": plain_variants.PlainValueExpansion,
    "real-warmup": plain_variants.PlainRealWarmup,
    "horizon-schedule": plain_variants.PlainHorizonSchedule,
    "time-discount": plain_variants.PlainTimeDiscount,
    "online-kl": plain_variants.PlainOnlineKL,
    "relu": plain_variants.PlainReLU,
    "joint": plain_variants.PlainJoint,
}
"""Variants with an agent of their own; the others change settings that `PlainALM` knows."""

# The losses that differ from ALM(3)'s on the same networks, batches and noise.
CHANGED = {
    "no-kl": {"encoder_model"},
    "no-value": {"encoder_model"},
    "no-classifier": {"actor"},
    **{f"k{k}": {"encoder_model", "actor"} for k in (1, 2, 4, 5)},
    "td3-loss": {"actor"},
    **{f"c-{c}": {"actor"} for c in ("0.05", "0.15", "0.2", "0.5", "1")},
    "log-naive": {"encoder_model", "critic", "heads", "actor"},  # heads and critics by the shift
    "log-model": {"encoder_model", "critic", "heads"},
    "log-transformed": {"encoder_model", "actor"},
    "million": set(),
    "quarter": set(),
    "reconstruction": {"encoder_model", "critic", "heads", "actor"},
    "value-encoder": {"critic", "heads", "actor"},
    "value-encoder-model": {"encoder_model"},
    "value-expansion": {"critic"},
    "real-warmup": {"actor"},
    "horizon-schedule": {"encoder_model", "actor"},
    "time-discount": {"encoder_model"},
    "online-kl": {"encoder_model"},
    "relu": {"encoder_model", "critic", "heads", "actor"},
}


def of_seed(transitions, index):
    return Transitions(*(getattr(transitions, f.name)[index] for f in FIELDS))


@pytest.mark.parametrize("name", ["base", *VARIANTS])
def test_every_layer_starts_orthogonal_and_targets_equal(name):
    """Of all networks, gain 1 and no bias; no two members are alike."""
    net = fresh(name).networks
    online = [module for path, module in net.named_modules() if not path.startswith("target_")]
    weights = []
    for layer in (one for one in online if list(one.parameters(recurse=False))):
        assert isinstance(layer, Linear | LayerNorm | Temperature)
        if isinstance(layer, Linear):
            assert not layer.bias.any()
            for weight in layer.weight.detach():
                gram = weight.T @ weight if weight.shape[0] >= weight.shape[1] else weight @ weight.T
                torch.testing.assert_close(gram, torch.eye(len(gram), dtype=gram.dtype), rtol=0, atol=1e-5)
                weights.append(tuple(weight.flatten().tolist()))
        if isinstance(layer, LayerNorm):
            assert (layer.weight == 1.0).all() and not layer.bias.any()
    assert len(set(weights)) == len(weights)
    for network in ("encoder", "critic"):
        pairs = zip(
            getattr(net, network).parameters(), getattr(net, f"target_{network}").parameters(), strict=True
        )
        assert all(torch.equal(a, b) and not b.requires_grad for a, b in pairs)


# Of ALM(3), settings that no variant has.
SETTINGS = {
    "no reward": {"reward_term": False},
    "clipped gradients": {"max_grad_norm": 0.05},
    "odd sizes": {"batch_size": 7, "latent_size": 5},
}


@pytest.mark.parametrize("name", ["base", *SETTINGS, *VARIANTS])
def test_updates_equal_the_reference(name):
    """Losses, gradient norms and every parameter after three updates, for each seed of a population.

    Equal parameters mean equal gradients of all losses (Adam's first steps are sensitive to the direction and
    its second to the size), the right order, the right clipping and the right targets.
    """
    settings = SETTINGS.get(name, {})
    agent, sequences, transitions, noise = build("base" if settings else name, **settings)
    references = [PLAIN.get(name, PlainALM)(TASK, agent.config) for _ in SEEDS]
    for i, plain in enumerate(references):
        plain.load(agent.networks, i)
    for training_step in (1, 7_000, 40_000):
        metrics = agent.update(sequences, transitions, noise, training_step)
        std = 1.0 - 0.9 * training_step / 100_000
        for i, plain in enumerate(references):
            plain.training_step = training_step
            own = {k: v[i] for k, v in noise.items()}
            losses, norms = plain.update(of_seed(sequences, i), of_seed(transitions, i), own, std)
            assert set(agent.groups) == set(losses)
            for group in losses:
                assert metrics[f"loss/{group}"][i].item() == pytest.approx(losses[group], rel=1e-9, abs=1e-10)
                assert metrics[f"grad_norm/{group}"][i].item() == pytest.approx(norms[group], rel=1e-8)
    for i, plain in enumerate(references):
        assert plain.largest_difference(agent.networks, i) < 1e-8


def losses_on_the_same(agent, sequences, transitions, noise):
    """Each loss of (a)–(d) before any step, of an update's inputs, by recording instead of stepping."""
    recorded = {}

    def record(group, loss, metrics):
        recorded[group] = loss.detach()

    agent.descend = record
    # ValueEncoderALM descends the sum of (b) and (c); ALM's update hands them over one by one.
    update = ALM.update if isinstance(agent, ValueEncoderALM) else type(agent).update
    update(agent, sequences, transitions, noise, 1)
    return recorded


@pytest.mark.parametrize("name", CHANGED)
def test_all_other_losses_are_those_of_alm(name):
    """To the bit, on equal networks (those of ALM start alike in these variants), batches and noise."""
    base, variant = build("base"), build(name)
    shared = base[0].networks.state_dict()
    variant[0].networks.load_state_dict(shared, strict=name != "reconstruction")
    if name.startswith("k"):
        base_losses = losses_on_the_same(base[0], *base[1:3], base[3])
    else:
        base_losses = losses_on_the_same(base[0], *variant[1:3], {k: variant[3][k] for k in base[3]})
    losses = losses_on_the_same(variant[0], *variant[1:])
    same = {group for group in base_losses if torch.equal(losses[group], base_losses[group])}
    assert set(base_losses) - same == CHANGED[name]


def test_every_variant_is_known_to_one_of_the_tests_above():
    own_networks = {"ent", "linear-classifier", "mnm", "joint"}
    assert set(CHANGED) | own_networks == set(VARIANTS)
    assert set(PLAIN) == {name for name, variant in VARIANTS.items() if variant.agent}


@pytest.mark.parametrize("name", PLAIN)
def test_a_setting_is_unused_where_it_changes_nothing(name):
    """What a variant calls unused is refused as a setting; all else may be set, and must then matter."""
    later = 40_000  # beyond what a variant does at the start of training
    agent, *batches = build(name)
    agent.update(*batches, later)
    updated = agent.networks.state_dict()
    for setting, value in {
        "kl_term": False,
        "reward_term": False,
        "value_term": False,
        "trace": 0.5,
        "exploration_start": 3.0,
        "exploration_clip": 0.01,
    }.items():
        other, *batches = build(name, **{setting: value})
        other.update(*batches, later)
        same = all(torch.equal(updated[key], one) for key, one in other.networks.state_dict().items())
        assert same == (setting in agent.unused_settings), setting
    assert (agent.exploration_std(later) is None) == ("exploration_start" in agent.unused_settings)


@pytest.mark.parametrize("name", ["base", *PLAIN])
def test_a_seed_in_a_population_equals_a_seed_alone(name):
    together, *batches = build(name)
    alone, *own = build(name, SEEDS[1:])
    for step in (1, 2):
        joint, single = together.update(*batches, step), alone.update(*own, step)
    assert set(joint) == set(single)
    for key in joint:
        torch.testing.assert_close(joint[key][1:], single[key], rtol=1e-9, atol=1e-10)
    mine = share_of_seed(together.state()["networks"], 1, 2)
    for key, value in alone.state()["networks"].items():
        torch.testing.assert_close(mine[key], value, rtol=1e-9, atol=1e-10)


def test_a_seed_that_is_not_finite_leaves_its_neighbours_alone():
    (sound, *inputs), (broken, *_) = build("base"), build("base")
    with torch.no_grad():
        broken.networks.critic.layers[0].weight[2] = float("nan")  # the second seed's first critic
    metrics = [agent.update(*inputs, 1) for agent in (sound, broken)]
    assert not torch.isfinite(metrics[1]["loss/critic"][1])
    for name, value in metrics[0].items():
        assert value[0] == metrics[1][name][0]
    for a, b in zip(sound.networks.parameters(), broken.networks.parameters(), strict=True):
        each = len(a) // 2
        assert torch.equal(a[:each], b[:each])


@pytest.mark.parametrize("name", PLAIN)
def test_a_state_that_is_taken_up_goes_on_alike(name):
    """Through one checkpoint a seed, as the loop stores it; Adam's counts of steps included."""
    agent, *batches = build(name, dtype=torch.float32)
    agent.update(*batches, 1)
    state = join_seeds([share_of_seed(agent.state(), i, 2) for i in (0, 1)])
    other, *_ = build(name, dtype=torch.float32)
    other.load_state(state)
    first, second = agent.update(*batches, 2), other.update(*batches, 2)
    assert all(torch.equal(first[key], second[key]) for key in first)
    one, two = agent.networks.state_dict(), other.networks.state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("name", VARIANTS)
def test_trains_at_smoke_scale(tmp_path, name):
    """Some steps on a real task, an evaluation and a measurement of the value bias."""
    variant = VARIANTS[name]
    agent_class, config_class = algorithm_named("alm").load(variant)
    config = variant.configuration(config_class, SCALES["smoke"], "Hopper")
    agent = agent_class(task_spec("Hopper"), dataclasses.replace(config, warmup_steps=40), (0,))
    config = TrainingConfig(60, 100, 1, 50)
    run = trainer(tmp_path, (0,), config=config, agent=agent, bias=name in PLAIN)  # of ALM's agent, once
    run.run()
    (directory,) = run.directories
    assert directory.status == "done"
    assert [step for step, _ in evaluations(directory)] == [40, 60]
    metrics = next(line["metrics"] for line in directory.metrics() if line["step"] == 50)
    assert {f"loss/{group}" for group in agent.groups} <= set(metrics)
    assert {"loss/heads", "loss/critic"} <= set(metrics)
    if name.startswith("log"):
        assert "model/clamped" in metrics


# --- single variants --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["base", *PLAIN])
def test_a_value_is_estimated_from_where_the_critics_know_a_state(name):
    agent, _, transitions, _ = build(name)
    state, _ = agent.represent(transitions)
    for found, known in zip(agent.represent_for_value(transitions.observation), state, strict=True):
        torch.testing.assert_close(found, known, rtol=0, atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 10_000.0])
def test_the_logarithm_and_its_clamp(offset):
    x = torch.tensor([[-1e9, -20.0, 0.0, 1e-7, 0.5, 7.0, 20.0]], dtype=torch.float64, requires_grad=True)
    out = logarithm(x, offset)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert out.isfinite().all() and gradient.isfinite().all()
    if offset:
        expected = [offset * (math.log(v + offset) - math.log(offset)) for v in x[0].tolist()[1:]]
        assert out[0].tolist()[0] == pytest.approx(offset * math.log(FLOOR))
        assert out[0].tolist()[1:] == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert count_clamped(x.detach(), offset).tolist() == [1.0]
    else:
        assert out[0].tolist() == pytest.approx([math.log(max(v, FLOOR)) for v in x[0].tolist()])
        assert gradient[0].tolist() == pytest.approx([0, 0, 0, 0, 2.0, 1 / 7, 0.05])
        assert count_clamped(x.detach(), offset).tolist() == [4.0]


def test_negative_predictions_are_counted_and_end_no_run():
    """With a reward head of −5 everywhere each of its K · batch values is clamped, in both objectives."""
    agent, sequences, transitions, noise = build("log-naive")
    with torch.no_grad():
        for parameter in [*agent.networks.reward.parameters(), *agent.networks.critic.parameters()]:
            parameter.zero_()
        agent.networks.reward.layers[-1].bias.fill_(-5.0)
        agent.networks.critic.layers[-1].bias.fill_(-5.0)
    policy = agent.policy(1)
    loss, diagnostics = agent.encoder_model_loss(sequences, noise, policy)
    assert diagnostics["model/clamped"].tolist() == [3 * 6 + 6] * 2 and loss.isfinite().all()
    loss, diagnostics = agent.actor_loss(agent.represent(transitions)[0], noise, policy)
    assert diagnostics["actor/clamped"].tolist() == [2 * 3 * 6] * 2 and loss.isfinite().all()


def test_shifted_rewards_are_learned_from_and_taken_out_of_the_bias():
    """The bonus is in the return from the second reward on; the estimate has the first reward unshifted."""
    agent, _, transitions, _ = build("log-naive")
    plain = ALM(TASK, ALMConfig(**SIZES), SEEDS, dtype=torch.float64)
    plain.networks = agent.networks
    pair, streams = (transitions.observation, transitions.action), lambda: Streams(SEEDS, Purpose.EVALUATION)
    shifted, raw = agent.estimates(*pair, streams()), plain.estimates(*pair, streams())
    assert set(shifted) == set(raw)
    for key in raw:
        torch.testing.assert_close(shifted[key], raw[key] - 20.0)
    action, bonus = agent.act_with_bonus(pair[0], streams())
    assert torch.equal(action, plain.act_greedily(pair[0], streams()))
    assert (bonus == 20.0).all()


@pytest.mark.parametrize(
    ("name", "task", "shift"),
    [
        ("log-naive", "HalfCheetah", 20.0),
        ("log-model", "T-Ant", 20.0),
        ("log-naive", "T-Humanoid", 0.0),
        ("log-model", "T-Humanoid", 20.0),
        ("log-transformed", "HalfCheetah", 0.0),
    ],
)
def test_which_rewards_are_shifted(name, task, shift):
    variant = VARIANTS[name]
    _, config_class = algorithm_named("alm").load(variant)
    assert variant.configuration(config_class, SCALES["paper"], task).reward_shift == shift


def test_the_entropy_bonus_in_the_lower_bound():
    """L^K of ALM-ENT: sampled later actions, each with −α log π, on top of ALM's terms."""
    agent, _, transitions, _ = build("ent")
    net, config = agent.networks, agent.config
    generator = torch.Generator().manual_seed(2)
    noise = {
        name: torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        for name, shape in {"z": (6, 4), "model": (3, 6, 4), "action": (3, 6, 3)}.items()
    }
    state = agent.represent_for_value(transitions.observation)
    bound = objectives.lower_bound(net, state, transitions.action, noise, config, agent.valued_policy)
    z, action, expected = state[0] + state[1] * noise["z"], transitions.action, 0.0
    for t in range(3):
        mean, std = net.model(z, action)
        next_z = mean + std * noise["model"][:, t]
        reward = net.predict_reward(z, action) + 0.1 * net.log_ratio(z, action, next_z)
        z, (mean, std) = next_z, net.actor.distribution(next_z)
        normal = torch.distributions.Normal(mean, std)
        x = mean + std * noise["action"][:, t]
        action = x.clamp(-0.4 + 1e-6, 0.4 - 1e-6)
        bonus = -net.temperature.log_alpha.exp()[:, None] * normal.log_prob(x).sum(-1)
        expected = expected + 0.99**t * reward + 0.99 ** (t + 1) * bonus
    expected = expected + 0.99**3 * net.min_value(z, action)
    torch.testing.assert_close(bound, expected)


def test_alm_ent_acts_by_samples_and_is_evaluated_by_means():
    agent, _, transitions, _ = build("ent")
    streams = [Streams(SEEDS, Purpose.ACTING) for _ in range(3)]
    observation = transitions.observation
    early, late = agent.act(observation, 1, streams[0]), agent.act(observation, 10**6, streams[1])
    assert torch.equal(early, late)  # no schedule
    action, bonus = agent.act_with_bonus(observation, streams[2])
    assert torch.equal(action, early) and bonus.abs().min() > 0
    assert early.abs().max() < 0.4
    mean, std = agent.networks.actor.distribution(torch.zeros(2, 5, 4, dtype=torch.float64))
    assert mean.abs().max() < 1.0 and std.min() > math.exp(-5.0) and std.max() < math.exp(2.0)


def test_target_entropies():
    ant, other = (EntropyConfig.at(SCALES["paper"], task) for task in ("T-Ant", "HalfCheetah"))
    assert ant.target_entropy(0) == 1.0 and ant.target_entropy(200_000) == -3.0
    assert ant.target_entropy(50_000) == pytest.approx(4 * 0.75**0.5 - 3)
    assert other.target_entropy(0) == other.target_entropy(10**6) == -6.0
    assert EntropyConfig.at(SCALES["paper"], "T-Humanoid").target_entropy(123) == -2.0


def test_the_identity_encoder_is_as_large_as_the_observation():
    variant = VARIANTS["mnm"]
    agent_class, config_class = algorithm_named("alm").load(variant)
    config = variant.configuration(config_class, SCALES["smoke"], "T-Ant")
    assert config.latent_size == 27
    observation = 50.0 * torch.randn(1, 4, 27)
    mean, std = agent_class(task_spec("T-Ant"), config, (0,)).networks.encoder(observation)
    assert torch.equal(mean, observation) and std.min() >= 0.1


def test_one_step_of_value_expansion_is_alm():
    """With K = 1 nothing is imagined: ALM's own targets, to the bit."""
    agent, _, transitions, noise = build("value-expansion")
    agent.config = dataclasses.replace(agent.config, horizon=1)
    inputs = transitions, *agent.represent(transitions), noise, agent.policy(1)
    (loss, about), (expected, about_it) = agent.critic_loss(*inputs), ALM.critic_loss(agent, *inputs)
    torch.testing.assert_close(loss, expected, rtol=1e-14, atol=0)
    assert all(torch.equal(about[key], about_it[key]) for key in about_it)


def test_schedules_at_the_start_of_training():
    """Ends of the steps on real states, and of each horizon, to the step."""
    warm, growing = build("real-warmup")[0], build("horizon-schedule")[0]
    assert [warm.branch(step) for step in (1, 5000, 5001)] == [True, True, False]
    assert [growing.branch(step) for step in (1, 5000, 5001, 10_000, 10_001, 300_000)] == [1, 1, 2, 2, 3, 3]
    for name, field in (("real-warmup", "real_data_steps"), ("horizon-schedule", "steps_per_horizon")):
        _, config_class = algorithm_named("alm").load(VARIANTS[name])
        assert getattr(config_class.at(SCALES["paper"], "HalfCheetah"), field) == 5000
        assert getattr(config_class.at(SCALES["smoke"], "HalfCheetah"), field) == 200


def test_before_any_update_the_policy_has_the_first_ones_objective():
    def found_and_inputs(name):
        agent, _, transitions, noise = build(name)
        inputs = agent.represent(transitions)[0], noise
        return agent.actor_loss(*inputs, agent.policy(1))[0], agent, inputs

    loss, warm, inputs = found_and_inputs("real-warmup")
    assert torch.equal(loss, td3_actor_objective(warm.networks, *inputs, warm.policy(1))[0])
    loss, growing, inputs = found_and_inputs("horizon-schedule")
    config = dataclasses.replace(growing.config, horizon=1)
    expected, _ = objectives.actor_objective(growing.networks, *inputs, config, growing.policy(1))
    assert torch.equal(loss, expected)


def test_the_policy_of_joint_alm_learns_of_its_intrinsic_reward_by_the_score_function_alone():
    """Without rewards and values, and with c = 0, it has no gradient; encoder and model have the KL's."""
    agent, sequences, _, noise = build("joint")
    net = agent.networks
    with torch.no_grad():
        for parameter in [*net.reward.parameters(), *net.critic.parameters()]:
            parameter.zero_()
    for c, learns in ((0.0, False), (0.1, True)):
        config = dataclasses.replace(agent.config, intrinsic_coefficient=c)
        loss, _ = joint_objective(net, net.target_encoder, sequences, noise, config, 0.5, agent.bounds)
        parts = {"actor": net.actor, "encoder": net.encoder, "model": net.model}
        moved = {
            name: any(
                bool(g.any())
                for g in torch.autograd.grad(loss.sum(), [*part.parameters()], retain_graph=True)
            )
            for name, part in parts.items()
        }
        assert moved == {"actor": learns, "encoder": True, "model": True}


def test_the_second_step_of_the_encoder_leaves_the_model_alone():
    """With (a) replaced by a loss without effect, (b) and (c) move the encoder and leave the model."""
    agent, *batches = build("value-encoder")

    def nothing(sequences, noise, policy):
        every = agent.groups["encoder_model"].parameters
        return sum((0.0 * p).flatten(1).sum(dim=1) for p in every), {}

    agent.encoder_model_loss = nothing
    before = {name: p.clone() for name, p in agent.networks.named_parameters()}
    agent.update(*batches, 1)
    after = dict(agent.networks.named_parameters())
    moved = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert "encoder" in moved and "model" not in moved
    model, encoder = (len(list(net.parameters())) for net in (agent.networks.model, agent.networks.encoder))
    assert agent.groups["encoder_model"].state()["steps"] == [1] * model + [2] * encoder


@pytest.mark.parametrize("name", ["base", "log-model", "value-encoder-model", "time-discount", "joint"])
def test_another_encoder_holds_the_model_in_every_variant(name):
    """`kl_encoder` is what a plugin replaces; the targets of these networks differ from what learns."""
    usual, other = (build(name) for _ in range(2))
    online = type("Online", (type(other[0]),), {"kl_encoder": property(lambda self: self.networks.encoder)})
    other[0].__class__ = online
    losses = [agent.update(*inputs, 1) for agent, *inputs in (usual, other)]
    group = "loss/joint" if name == "joint" else "loss/encoder_model"
    assert not torch.allclose(losses[0][group], losses[1][group], rtol=1e-6)
