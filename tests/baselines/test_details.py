"""What is particular to each baseline: its actions, temperature, ensemble, delays, and configuration."""

import dataclasses
import json
import math
from types import SimpleNamespace

import pytest
import torch

from alm.config import ALMConfig
from alm.task_registry import TASKS
from alm.training.replay import Replay
from alm.training.scale import SCALES
from alm.training.streams import Purpose, Streams
from baselines import redq
from baselines.networks import Critics
from baselines.redq import REDQ, REDQConfig, SACAverageConfig, draw_members
from baselines.sac import SACConfig, constant_target_entropy, sample_action
from baselines.svg import SVG, SVGConfig
from baselines.td3 import TD3Config, smoothed_target
from baselines.td3_ours import TD3OursConfig
from reproduce.lab.algorithms import ALGORITHMS
from tests.baselines.cases import CASES, SEEDS, TASK, build, gen, random_inputs

BASELINES = ("sac", "td3", "redq", "sac-avg", "td3-ours", "sac-svg2", "sac-svg3")
# Algorithms whose networks below start with orthogonal weights.
ORTHOGONAL = {
    "td3-ours": ("actor", "critic"),
    "sac-svg2": ("actor", "critic", "reward", "done"),
    "sac-svg3": ("actor", "critic", "reward", "done"),
    "svg": ("actor", "critic", "model", "reward"),
}


def networks_state(agent):
    return {name: value.clone() for name, value in agent.networks.state_dict().items()}


def changed(agent, before):
    """Names of the networks that an update has changed."""
    return {
        name.partition(".")[0]
        for name, value in agent.networks.state_dict().items()
        if not torch.equal(value, before[name])
    }


# --- the tanh-Gaussian policy ---------------------------------------------------------------------


def test_log_probability_against_a_numeric_change_of_variables():
    """The density of u = tanh(x) as the slope of its distribution function Φ((artanh u − μ)/σ)."""
    mean = torch.randn(1, 50, 2, generator=gen(), dtype=torch.float64)
    log_std = 0.5 * torch.randn(1, 50, 2, generator=gen(1), dtype=torch.float64) - 0.5
    noise = torch.randn(1, 50, 2, generator=gen(2), dtype=torch.float64)
    u, log_probability = sample_action((mean, log_std), noise)

    def below(v):
        return torch.special.ndtr((v.atanh() - mean) / log_std.exp())

    step = 1e-4 * (1 - u.square())
    density = (below(u + step) - below(u - step)) / (2 * step)
    torch.testing.assert_close(log_probability, density.log().sum(-1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("x", [-40.0, -9.0, 0.0, 9.0, 40.0])
def test_log_probability_stays_exact_where_tanh_saturates(x):
    mean, log_std = torch.full((1, 1, 1), x), torch.zeros(1, 1, 1)
    u, log_probability = sample_action((mean, log_std), torch.zeros(1, 1, 1))
    log_cosh = abs(x) + math.log1p(math.exp(-2 * abs(x))) - math.log(2)
    assert log_probability.item() == pytest.approx(-0.5 * math.log(2 * math.pi) + 2 * log_cosh, rel=1e-6)
    assert abs(u.item()) <= 1


def test_log_std_is_clamped():
    agent = build("sac")
    with torch.no_grad():
        agent.networks.actor.layers[-1].bias[..., 3:] = torch.tensor([-1e3, 0.0, 1e3])
    _, log_std = agent.networks.actor(torch.zeros(2, 1, 5, dtype=torch.float64))
    assert (log_std[..., 0] == -20).all() and (log_std[..., 2] == 2).all()
    assert (log_std[..., 1].abs() < 19).all()


@pytest.mark.parametrize("name", ["sac", "redq", "sac-svg2"])
def test_the_temperature_starts_as_configured(name):
    agent_class, config = CASES[name]
    agent = agent_class(TASK, dataclasses.replace(config, initial_temperature=0.3), SEEDS)
    assert agent.networks.temperature().tolist() == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize("name", ["sac", "redq", "sac-avg"])
@pytest.mark.parametrize(("target_entropy", "direction"), [(50.0, 1), (-50.0, -1)])
def test_temperature_grows_where_the_entropy_is_below_its_target(name, target_entropy, direction):
    agent = build(name, target_entropy=target_entropy)
    before = agent.networks.temperature.log_alpha.detach().clone()
    metrics = agent.update(*random_inputs(agent, gen()), 2)
    assert ((target_entropy - metrics["actor/entropy"]) * direction > 0).all()
    moved = agent.networks.temperature.log_alpha.detach() - before
    torch.testing.assert_close(moved, torch.full_like(moved, direction * 1e-2))  # Adam's first step


# --- actions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_greedy_actions_are_the_mean_and_draw_nothing(name):
    agent, observation = build(name), torch.randn(2, 7, 5, generator=gen(), dtype=torch.float64)
    streams = Streams(SEEDS, Purpose.EVALUATION)
    before = streams.state()
    action = agent.act_greedily(observation, streams)
    assert torch.equal(streams.state(), before)
    assert torch.equal(action, agent.act_greedily(observation, streams))
    if hasattr(agent.networks, "temperature"):
        if name.startswith("sac-svg"):
            observation = agent.standardiser(observation)
        expected = 0.4 * torch.tanh(agent.networks.actor.layers(observation)[..., :3])
    else:
        mean = agent.networks.actor(observation)
        expected = mean.clamp(-0.4, 0.4) if name == "td3-ours" else 0.4 * mean
    torch.testing.assert_close(action, expected)


@pytest.mark.parametrize("name", BASELINES)
def test_exploring_actions_vary_inside_the_bounds(name):
    agent, observation = build(name), torch.randn(2, 300, 5, generator=gen(), dtype=torch.float64)
    streams = Streams(SEEDS, Purpose.ACTING)
    one, other = (agent.act(observation, 1, streams) for _ in range(2))
    assert one.shape == (2, 300, 3)
    assert (one != other).any(dim=1).all()
    assert one.abs().max() <= 0.4 and one.max() > 0.3 and one.min() < -0.3
    if hasattr(agent.networks, "temperature"):
        x = agent.standardiser(observation) if name.startswith("sac-svg") else observation
        mean, log_std = agent.networks.actor(x)
        noise = Streams(SEEDS, Purpose.ACTING).normal(300, 3, dtype=mean.dtype)
        torch.testing.assert_close(one, 0.4 * torch.tanh(mean + log_std.exp() * noise))
    assert (agent.exploration_std(1) is not None) == name.startswith("td3")


def test_exploration_noise_of_td3_is_a_tenth_of_the_largest_action():
    agent = build("td3")
    with torch.no_grad():
        for parameter in agent.networks.actor.parameters():
            parameter.zero_()
    action = agent.act(torch.zeros(2, 4000, 5, dtype=torch.float64), 1, Streams(SEEDS, Purpose.ACTING))
    assert action.std().item() == pytest.approx(0.04, rel=0.03)
    assert agent.exploration_std(1) == 0.1


def test_exploration_of_td3_ours_follows_alms_schedule():
    """a = clamp(π(s) + σ_t ε): inside updates σ_t ε is clipped at 0.3 as well."""
    mine, alm = TD3OursConfig(), ALMConfig()
    agent, observation = build("td3-ours"), torch.randn(2, 300, 5, generator=gen(), dtype=torch.float64)
    mean = agent.networks.actor(observation)
    for step in (0, 1, 30_000, 100_000, 400_000):
        assert mine.exploration_std(step) == alm.exploration_std(step) == agent.exploration_std(step)
        noise = alm.exploration_std(step) * Streams(SEEDS, Purpose.ACTING).normal(300, 3, dtype=mean.dtype)
        action = agent.act(observation, step, Streams(SEEDS, Purpose.ACTING))
        torch.testing.assert_close(action, (mean + noise).clamp(-0.4, 0.4), rtol=0, atol=2e-6)
        assert (((noise.abs() > 0.3) & (action.abs() < 0.39)).any()) == (step < 100_000)


# --- ensembles ------------------------------------------------------------------------------------


def test_chosen_critics_are_rows_of_all():
    critics = Critics(2, 5, 3, 16, ensemble=4)
    for parameter in critics.parameters():
        torch.nn.init.normal_(parameter, generator=gen())
    observation, action = torch.randn(2, 6, 5, generator=gen(1)), torch.randn(2, 6, 3, generator=gen(2))
    every = critics(observation, action)
    members = torch.tensor([[2, 0], [3, 1]])
    chosen = critics.chosen(observation, action, members)
    torch.testing.assert_close(chosen, torch.stack([every[0, [2, 0]], every[1, [3, 1]]]))
    assert every.unique().numel() == every.numel()


def test_members_are_drawn_uniformly_without_replacement():
    members = draw_members(torch.randn(2, 6000, 5, generator=gen()), 2)
    assert members.shape == (2, 6000, 2)
    assert (members[..., 0] != members[..., 1]).all()
    pairs = members.sort(dim=-1).values
    counts = torch.bincount((pairs[..., 0] * 5 + pairs[..., 1]).flatten())
    counts = counts[counts > 0]
    assert len(counts) == 10  # all pairs of five
    assert (counts - 1200).abs().max() < 150  # more than four standard deviations


def filled_replay(agent, size=50):
    replay, seeds = Replay(len(agent.seeds), size, 5, 3), agent.seeds
    generators = [gen(seed) for seed in seeds]
    for _ in range(size):
        rows = [torch.randn(15, generator=g) for g in generators]
        observation, action, reward, after, terminal = torch.stack(rows).split([5, 3, 1, 5, 1], dim=1)
        ended = terminal[:, 0] > 1
        replay.add(observation, 0.4 * action.tanh(), reward[:, 0], after, ended.float(), ended)
    return replay


def test_each_update_of_redq_draws_its_own_pair_for_each_seed(monkeypatch):
    """What `learn` hands to the target: one pair a seed and update, the same for all critics."""
    seen = []
    original = redq.critic_target

    def spy(*arguments):
        seen.append(arguments[4])
        return original(*arguments)

    monkeypatch.setattr(redq, "critic_target", spy)
    agent = REDQ(TASK, REDQConfig(hidden_size=8, batch_size=4), SEEDS)
    replay = filled_replay(agent)
    for step in (1, 2):
        agent.learn(replay, step)
    pairs = torch.stack(seen)  # (updates, S, M)
    assert pairs.shape == (40, 2, 2)
    assert (pairs[..., 0] != pairs[..., 1]).all()
    assert pairs.flatten().unique().tolist() == list(range(10))
    for seed in range(2):
        assert len({frozenset(pair) for pair in pairs[:, seed].tolist()}) > 10
    assert not torch.equal(pairs[:20], pairs[20:]) and not torch.equal(pairs[:, 0], pairs[:, 1])


def test_all_critics_of_redq_learn_from_the_pair_alone():
    """Spoiling the target critics outside of the pair changes nothing; spoiling one of the pair, all."""
    sound, spoilt, hit = (build("redq", (3,), updates_per_step=1) for _ in range(3))
    transitions, noise = random_inputs(sound, gen())
    pair = noise["members"][0].topk(2).indices.tolist()
    outside = next(i for i in range(4) if i not in pair)
    with torch.no_grad():
        spoilt.networks.target_critic.layers[-1].bias[outside] -= 1000.0
        hit.networks.target_critic.layers[-1].bias[pair[0]] -= 1000.0
    metrics = [agent.update(transitions, noise, 1) for agent in (sound, spoilt, hit)]
    assert metrics[0]["loss/critic"] == metrics[1]["loss/critic"]
    for a, b, c in zip(*(agent.networks.critic.parameters() for agent in (sound, spoilt, hit)), strict=True):
        assert torch.equal(a, b)
        assert ((a != c).flatten(1).any(dim=1)).all()


# --- TD3 ------------------------------------------------------------------------------------------


def test_td3_updates_actor_and_targets_at_every_second_step_only():
    agent = build("td3")
    for step, expected in (
        (1, {"critic"}),
        (2, {"critic", "actor", "target_actor", "target_critic"}),
        (3, {"critic"}),
        (4, {"critic", "actor", "target_actor", "target_critic"}),
    ):
        before = networks_state(agent)
        metrics = agent.update(*random_inputs(agent, gen(step)), step)
        assert changed(agent, before) == expected
        assert ("loss/actor" in metrics) == ("actor" in expected)


def test_td3_reports_on_its_actor_when_it_was_updated():
    agent_class, config = CASES["td3"]
    agent = agent_class(TASK, config, SEEDS)
    replay = filled_replay(agent)
    reported = ["loss/actor" in agent.learn(replay, step) for step in range(1, 5)]
    assert reported == [False, True, False, True]


def test_td3_smooths_its_target_within_the_clip_and_the_bounds():
    """Noise of 0.2 units clipped at 0.5, the action at 1, all in units of the largest action 0.4."""
    seen = []

    def target_critic(observation, action):
        seen.append(action)
        return torch.zeros(1, 2, 4, dtype=torch.float64)

    mean = torch.tensor([0.0, 0.0, 0.3, 0.9], dtype=torch.float64).reshape(1, 4, 1).expand(1, 4, 3)
    networks = SimpleNamespace(target_actor=lambda observation: mean, target_critic=target_critic)
    agent = build("td3", (3,), batch_size=4)
    transitions, _ = random_inputs(agent, gen())
    noise = torch.tensor([1.0, -10.0, 10.0, 2.0], dtype=torch.float64).reshape(1, 4, 1).expand(1, 4, 3)
    smoothed_target(networks, transitions, noise, agent.config, (-0.4, 0.4))
    assert seen[0][0, :, 0].tolist() == pytest.approx([0.08, -0.2, 0.32, 0.4])


# --- learning from replay -------------------------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_learning_from_replay_depends_on_the_own_seed_only(name):
    agent_class, config = CASES[name]
    together = agent_class(TASK, config, SEEDS)
    alone = [agent_class(TASK, config, (seed,)) for seed in SEEDS]
    replays = [filled_replay(agent) for agent in (together, *alone)]
    for step in range(1, 4):
        joint = together.learn(replays[0], step)
        for i, agent in enumerate(alone):
            single = agent.learn(replays[1 + i], step)
            for metric, value in single.items():
                torch.testing.assert_close(joint[metric][i : i + 1], value, rtol=2e-4, atol=2e-5)
    assert not torch.allclose(joint["loss/critic"][0], joint["loss/critic"][1])


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in ("redq", "sac-avg")])
def test_an_update_has_batches_and_noise_of_the_learning_stream_and_the_step(name):
    agent_class, config = CASES[name]
    agent, seen = agent_class(TASK, config, SEEDS), []
    replay, streams = filled_replay(agent), Streams(SEEDS, Purpose.LEARNING)
    agent.update = lambda *inputs: seen.extend(inputs) or {}
    agent.learn(replay, 7)
    *batches, noise, step = seen
    expected = []
    if name.startswith("sac-svg"):
        size = config.model_updates * config.model_batch_size
        expected.append(replay.sample_sequences(size, config.horizon, streams, reject_time_limits=True))
    expected.append(replay.sample(config.batch_size, streams))
    for found, drawn in zip(batches, expected, strict=True):
        assert all(map(torch.equal, vars(found).values(), vars(drawn).values()))
    draws = torch.cat([value.flatten(1) for value in noise.values()], dim=1)
    assert torch.equal(draws, streams.normal(draws.shape[1]))
    assert {key: value.shape[1:] for key, value in noise.items()} == agent.noise_shapes and step == 7


@pytest.mark.parametrize("name", ["redq", "sac-avg"])
def test_updates_of_one_step_have_batches_and_noise_of_the_learning_stream_and_their_numbers(name):
    agent_class, config = CASES[name]
    agent, seen = agent_class(TASK, config, SEEDS), []
    replay, streams = filled_replay(agent), Streams(SEEDS, Purpose.LEARNING)
    agent.update = lambda *inputs: seen.append(inputs) or {}
    agent.learn(replay, 7)
    assert config.updates_per_step == 2 and [number for *_, number in seen] == [13, 14]
    expected = replay.sample((2, config.batch_size), streams)
    for i, (batch, _, _) in enumerate(seen):
        assert all(map(torch.equal, vars(batch).values(), vars(expected[:, i]).values()))
    noises = [noise for _, noise, _ in seen]
    assert {key: value.shape[1:] for key, value in noises[0].items()} == agent.noise_shapes
    draws = [torch.stack([noise[key] for noise in noises], dim=1).flatten(1) for key in agent.noise_shapes]
    draws = torch.cat(draws, dim=1)
    assert torch.equal(draws, streams.normal(draws.shape[1]))


@pytest.mark.parametrize("name", ["redq", "sac-avg"])
def test_metrics_of_one_step_are_the_means_of_its_updates_that_have_them(name):
    agent_class, config = CASES[name]
    agent = agent_class(TASK, dataclasses.replace(config, updates_per_step=4), SEEDS)
    update, seen = agent.update, []
    agent.update = lambda *inputs: seen.append(update(*inputs)) or seen[-1]
    metrics = agent.learn(filled_replay(agent), 1)
    assert ["loss/actor" in one for one in seen] == [False, False, False, True]
    assert metrics["loss/actor"].equal(seen[-1]["loss/actor"]) and set(metrics) == set(seen[-1])
    losses = torch.stack([one["loss/critic"] for one in seen])
    torch.testing.assert_close(metrics["loss/critic"], losses.mean(dim=0))


# --- configuration and registration ---------------------------------------------------------------


def test_published_hyper_parameters():
    paper = SCALES["paper"]
    sac, td3 = SACConfig.at(paper, "HalfCheetah"), TD3Config.at(paper, "HalfCheetah")
    ours = TD3OursConfig.at(paper, "Humanoid")
    for config in (sac, td3, REDQConfig.at(paper, "Hopper")):
        assert (config.discount, config.target_rate, config.learning_rate) == (0.99, 0.005, 3e-4)
        assert (config.hidden_size, config.batch_size, config.replay_capacity) == (256, 256, 1_000_000)
    assert (sac.warmup_steps, sac.initial_temperature) == (5000, 1.0)
    assert constant_target_entropy(sac.target_entropy, TASK) == -3.0
    assert (td3.warmup_steps, td3.exploration_std, td3.target_std, td3.target_clip, td3.policy_delay) == (
        25_000, 0.1, 0.2, 0.5, 2
    )  # fmt: skip
    assert (ours.learning_rate, ours.hidden_size, ours.batch_size, ours.max_grad_norm) == (
        1e-4,
        512,
        512,
        100,
    )
    assert (ours.warmup_steps, ours.replay_capacity, ours.exploration_clip) == (5000, 1_000_000, 0.3)


def test_redq_and_its_target_entropies():
    config, average = (c.at(SCALES["paper"], "Ant") for c in (REDQConfig, SACAverageConfig))
    assert (config.critics, config.target_critics, config.updates_per_step) == (10, 2, 20)
    assert dataclasses.asdict(average) == dataclasses.asdict(config) | {"target_critics": None}
    assert {task: REDQConfig.at(SCALES["paper"], task).target_entropy for task in TASKS} == {
        "T-Humanoid": -2, "T-Ant": -4, "HalfCheetah": -3, "Walker2d": -3, "Hopper": -1, "Ant": -4,
        "Humanoid": -2,
        "mbbl/HalfCheetah": -3, "mbbl/Walker2d": -3, "mbbl/Hopper": -1, "mbbl/Ant": -4,
        "mbbl/Walker2d-ET": -3, "mbbl/Hopper-ET": -1, "mbbl/Ant-ET": -4,
        "mbbl/Humanoid-ET": -2, "mbbl/SlimHumanoid-ET": -2, "mbbl/SlimHumanoid": -2,
    }  # fmt: skip
    assert REDQConfig.at(SCALES["paper"], "HalfCheetah-obsnoise-0.1").target_entropy == -3


def test_random_steps_of_td3_take_an_eighth_of_a_run_at_most():
    steps = {name: TD3Config.at(scale, "Hopper").warmup_steps for name, scale in SCALES.items()}
    assert steps == {"paper": 25_000, "laptop": 6250, "smoke": 75}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_has_its_name_and_a_configuration_that_can_be_stored(name):
    agent_class, config_class = ALGORITHMS[name].load()
    assert agent_class.name == name
    assert agent_class.trains_seeds_apart == (name in ("mbpo", "slbo"))
    config = config_class.at(SCALES["paper"], "mbbl/Hopper")
    json.dumps(dataclasses.asdict(config), allow_nan=False)  # part of a run's identity


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_baseline_has_every_scale(name, scale):
    _, config_class = ALGORITHMS[name].load()
    config = config_class.at(SCALES[scale], "Hopper")
    paper = config_class.at(SCALES["paper"], "Hopper")
    size = SCALES[scale].of_cheap_updates if name in ("sac", "td3") else SCALES[scale]
    assert config.hidden_size == size.width(paper.hidden_size)
    assert config.batch_size == size.batch(paper.batch_size)


@pytest.mark.parametrize("name", ["sac", "td3", "svg"])
def test_cheap_updates_keep_the_papers_size_at_laptop_scale(name):
    _, config_class = ALGORITHMS[name].load()
    laptop, paper = (config_class.at(SCALES[scale], "Hopper") for scale in ("laptop", "paper"))
    assert dataclasses.replace(laptop, warmup_steps=paper.warmup_steps) == paper


def test_widths_are_quartered_but_not_below_128_at_laptop_scale():
    widths = {paper: SCALES["laptop"].width(paper) for paper in (1024, 512, 400, 200, 64)}
    assert widths == {1024: 256, 512: 128, 400: 128, 200: 128, 64: 64}


@pytest.mark.parametrize("name", [*BASELINES, "svg"])
def test_networks_start_as_in_the_reference(name):
    svg = SVG, SVGConfig(actor_hidden_size=16, hidden_sizes=(16, 12))
    agent_class, config = svg if name == "svg" else CASES[name]
    networks = agent_class(TASK, config, SEEDS).networks
    for network in ORTHOGONAL.get(name, ("actor", "critic")):
        layers = getattr(networks, network)
        linears = [
            layer for layer in layers.modules() if hasattr(layer, "weight") and layer.weight.dim() == 3
        ]
        for linear in (layer for layer in linears if layer.weight.shape[1] > 1):
            fan_in, fan_out = linear.weight.shape[1:]
            flat = linear.weight.detach().flatten(1)
            assert not torch.equal(flat[0], flat[1])
            if name in ORTHOGONAL:
                assert not linear.bias.any()
                gram = linear.weight.detach()[0]
                gram = gram.T @ gram if fan_in >= fan_out else gram @ gram.T
                torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)
                continue
            bound = fan_in**-0.5 if name == "td3" else (6 / (fan_in + fan_out)) ** 0.5
            assert 0.7 * bound < flat.abs().max() <= bound
            assert flat.std().item() == pytest.approx(bound / 3**0.5, rel=0.15)
            assert bool(linear.bias.any()) == (name == "td3")
    for target in ("critic", "actor") if name == "td3" else ("critic",):
        pairs = zip(
            getattr(networks, target).parameters(),
            getattr(networks, f"target_{target}").parameters(),
            strict=True,
        )
        assert all(torch.equal(a, b) and not b.requires_grad for a, b in pairs)
