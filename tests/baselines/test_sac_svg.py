"""What is particular to SAC-SVG: dynamics, standardiser, rollouts, termination, schedules."""

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from alm.task_registry import TASKS
from alm.training.optimisation import OptimiserGroup
from alm.training.population import Linear, join_seeds, share_of_seed
from alm.training.replay import Replay, Transitions
from alm.training.scale import SCALES
from alm.training.streams import Purpose, Streams
from baselines.networks import scale_action, unit_action
from baselines.recurrent_dynamics import RecurrentDynamics, prediction_errors
from baselines.sac import sample_action
from baselines.sac_svg import (
    SACSVG,
    SACSVG3Config,
    SACSVGConfig,
    done_objective,
    squashed_log_std,
    value_gradient_objective,
)
from baselines.standardiser import Standardiser
from tests.baselines.cases import (
    SEEDS,
    TASK,
    build,
    gen,
    normal,
    random_inputs,
    random_transitions,
    seen_observations,
)

# --- dynamics -------------------------------------------------------------------------------------


def test_recurrent_layers_are_torchs_gru_from_zeros():
    """Two layers of two members over four steps, against torch.nn.GRU's own loop and initial state."""
    model = RecurrentDynamics(2, 5, 3, 8).double()
    model.initialise([gen(seed) for seed in SEEDS])
    x, u = normal(2, 6, 5), normal(4, 2, 6, 3, seed=1)
    inputs, outputs, hidden = [], [], model.START
    for step in u:
        inputs.append(model.encoder(torch.cat([x, step], -1)))
        after, hidden = model(x, step, hidden)
        outputs.append(after - x)
    for member in range(2):
        gru, decoder = nn.GRU(8, 8, num_layers=2).double(), nn.Linear(8, 5).double()
        with torch.no_grad():
            for layer, cell in enumerate(model.cells):
                for theirs, mine in (("ih", cell.input), ("hh", cell.state)):
                    getattr(gru, f"weight_{theirs}_l{layer}").copy_(mine.weight[member].T)
                    getattr(gru, f"bias_{theirs}_l{layer}").copy_(mine.bias[member, 0])
            decoder.weight.copy_(model.decoder.weight[member].T)
        expected = decoder(gru(torch.stack(inputs)[:, member])[0]) - decoder.bias
        torch.testing.assert_close(torch.stack(outputs)[:, member], expected)


def test_recurrent_layers_start_as_torchs_and_the_others_orthogonal():
    model = RecurrentDynamics(2, 5, 3, 64)
    model.initialise([gen(seed) for seed in SEEDS])
    for cell in model.cells:
        for parameter in cell.parameters():
            assert 0.95 / 8 < parameter.abs().max() <= 1 / 8
            assert parameter.std().item() == pytest.approx(1 / 8 / 3**0.5, rel=0.1)
            assert not torch.equal(parameter[0], parameter[1])
    for linear in (layer for layer in (*model.encoder, model.decoder) if isinstance(layer, Linear)):
        weight = linear.weight.detach()[1]
        gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
        torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)
        assert not linear.bias.any()


class ScalarModel:
    """x' = a x + u + b m, m' = m + c u: small enough to differentiate by hand."""

    START = (None,)

    def __init__(self):
        self.a, self.b, self.c = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (2, 3, 5))

    def __call__(self, x, u, hidden):
        memory = (0.0 if hidden[0] is None else hidden[0]) + self.c * u
        return self.a * x + u + self.b * memory, (memory,)


def test_predictions_are_detached_between_steps_and_the_hidden_state_is_not():
    """x0 = 1, u = (1, 2): m = 5, 15; x̂1 = 2 + 1 + 15 = 18; x̂2 = 36 + 2 + 45 = 83; real x1 = 10, x2 = 80.

    With x̂1 detached, ∂x̂2/∂a = x̂1 = 18 (not x̂1 + a x0 = 20), ∂x̂2/∂b = m2 = 15 (not 15 + a m1 = 25) and
    ∂x̂2/∂c = b (u0 + u1) = 9 (not 9 + a b u0 = 15, and not b u1 = 6, which a detached memory would give).
    """
    model = ScalarModel()
    observation = torch.tensor([1.0, 10.0, 80.0], dtype=torch.float64).reshape(1, 3, 1, 1)
    action = torch.tensor([1.0, 2.0], dtype=torch.float64).reshape(1, 2, 1, 1)
    errors = prediction_errors(model, observation, action)
    assert errors.tolist() == [[64.0, 9.0]]
    second = torch.autograd.grad(errors[0, 1], (model.a, model.b, model.c), retain_graph=True)
    assert [g.item() for g in second] == [2 * 3 * 18, 2 * 3 * 15, 2 * 3 * 9]
    first = torch.autograd.grad(errors[0, 0], (model.a, model.b, model.c))
    assert [g.item() for g in first] == [2 * 8 * 1, 2 * 8 * 5, 2 * 8 * 3]


def test_dynamics_learn_a_linear_system():
    """x' = x + A x + B u: from an error of the order of the steps' variance to a hundredth of it."""
    drift, gain = 0.3 * normal(2, 2), normal(1, 2, seed=1)
    model = RecurrentDynamics(1, 2, 1, 24).double()
    model.initialise([gen(3)])
    group = OptimiserGroup((model,), 1, 3e-3, max_norm=1.0)
    losses = []
    for update in range(150):
        x, u = [normal(1, 64, 2, seed=100 + update)], normal(1, 2, 64, 1, seed=1000 + update)
        for t in range(2):
            x.append(x[-1] + x[-1] @ drift + u[:, t] @ gain)
        errors = prediction_errors(model, torch.stack(x, dim=1), u)
        losses.append(errors.detach()[0])
        group.step(errors.mean(dim=1))
    still = torch.stack([(x[t] - x[0]).square().mean() for t in (1, 2)])  # of a model that never moves
    assert (losses[0] > 0.5 * still).all()
    assert (torch.stack(losses[-10:]).mean(dim=0) < 0.02 * still).all()


def test_prediction_error_by_step_is_in_units_of_the_data_s_deviation():
    """A model that never moves errs by how far the sequence moves, divided by the (clipped) deviation."""
    agent = build("sac-svg2")
    with torch.no_grad():
        agent.networks.model.decoder.weight.zero_()
        agent.networks.model.decoder.bias.zero_()
    sequences = random_transitions((2, 5, 4), gen())  # longer than those of training
    units = agent._in_units(sequences)
    errors = prediction_errors(agent.networks.model, units.observation, units.action).detach()
    assert errors.shape == (2, 4)
    for i, seen in enumerate(seen_observations().numpy()):
        moved = (sequences.observation[i, 1:] - sequences.observation[i, :1]).numpy()
        expected = (moved / np.clip(seen.std(axis=0), 0.1, 10)) ** 2
        np.testing.assert_allclose(errors[i], expected.mean(axis=(1, 2)), rtol=1e-10)


# --- standardiser ---------------------------------------------------------------------------------


def test_standardiser_equals_numpy_over_all_data():
    data = seen_observations().float() + 1000.0  # a large mean, where sums of squares would lose digits
    standardiser = Standardiser(2, 5)
    assert torch.equal(standardiser(data), data)  # before any data
    for part in data.split([1, 7, 1, 31], dim=1):
        standardiser.add(part)
    exact = data.double().numpy()
    mean, std = exact.mean(axis=1), exact.std(axis=1)
    assert (std < 0.1).any() and (std > 10).any() and ((std > 0.1) & (std < 10)).any()
    np.testing.assert_allclose(standardiser.mean, mean, rtol=1e-14)
    np.testing.assert_allclose(standardiser.std, np.clip(std, 0.1, 10), rtol=1e-10)
    sequences = normal(2, 3, 4, 5) + 1000.0
    expected = (sequences.numpy() - mean[:, None, None]) / np.clip(std, 0.1, 10)[:, None, None]
    np.testing.assert_allclose(standardiser(sequences), expected, rtol=1e-10)


def small_replay(seeds):
    return Replay(len(seeds), 30, 5, 3)


def play(replay, steps, history):
    """Add transitions of every seed, drawn from the step alone; time limits and ends at times."""
    for step in steps:
        observation = normal(replay.seeds, 5, seed=step).float() * 4
        ended = torch.full((replay.seeds,), step % 10 == 9)
        zero = torch.zeros(replay.seeds)
        replay.add(observation, torch.zeros(replay.seeds, 3), zero, observation, zero, ended)
        history.append(observation.numpy())


def test_learning_counts_every_observation_once_round_the_ring_and_after_a_resume():
    agent, replay, history = build("sac-svg2"), small_replay(SEEDS), []
    agent.standardiser = Standardiser(2, 5)
    play(replay, range(20), history)
    for step in range(1, 26):  # over the end of the ring of 30
        play(replay, [19 + step], history)
        if step > 1:
            agent.learn(cast(replay), step)
            continue
        agent.learn(cast(replay), step)
        assert agent.standardiser.count == 21
        state = join_seeds([share_of_seed(agent.state(), i, 2) for i in range(2)])
        agent = build("sac-svg2")
        agent.load_state(state)
    data = np.stack(history, axis=1).astype(np.float64)
    assert agent.standardiser.count == data.shape[1] == 45
    np.testing.assert_allclose(agent.standardiser.mean, data.mean(axis=1), rtol=1e-10)
    np.testing.assert_allclose(agent.standardiser.std, data.std(axis=1), rtol=1e-10)


def cast(replay):
    """A replay whose samples are float64, as the agents of these tests are."""

    def double(sampler):
        def sample(*arguments, **options):
            drawn = sampler(*arguments, **options)
            return Transitions(*(getattr(drawn, f.name).double() for f in dataclasses.fields(drawn)))

        return sample

    return SimpleNamespace(
        size=replay.size,
        newest=replay.newest,
        sample=double(replay.sample),
        sample_sequences=double(replay.sample_sequences),
    )


def test_actions_depend_on_standardised_observations_only():
    """The same agent on shifted and stretched observations, once it has seen them so, acts the same."""
    plain, moved = build("sac-svg2"), build("sac-svg2")
    observation, seen = normal(2, 4, 5, seed=9), 0.5 + normal(2, 200, 5)
    for agent, factor, shift in ((plain, 1.0, 0.0), (moved, 3.0, 7.0)):
        agent.standardiser = Standardiser(2, 5)
        agent.standardiser.add(factor * seen + shift)
    for act in ("act_greedily", "act_with_bonus"):
        streams = [Streams(SEEDS, Purpose.ACTING) for _ in range(2)]
        one, other = (
            getattr(agent, act)(x, stream)
            for agent, x, stream in zip(
                (plain, moved), (observation, 3 * observation + 7), streams, strict=True
            )
        )
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_units_of_actions():
    u = torch.rand(2, 4, 3, generator=gen(), dtype=torch.float64) * 2 - 1
    torch.testing.assert_close(unit_action(scale_action(u, (-0.4, 0.4)), (-0.4, 0.4)), u)
    assert unit_action(torch.tensor([1.0, 2.0, 4.0]), (1.0, 4.0)).tolist() == pytest.approx([-1, -1 / 3, 1])
    assert scale_action(torch.tensor([-1.0, 0.0, 1.0]), (1.0, 4.0)).tolist() == [1.0, 2.5, 4.0]


# --- replayed sequences ---------------------------------------------------------------------------


def test_dynamics_learn_from_windows_of_h_within_one_episode():
    agent = SACSVG(TASK, dataclasses.replace(SACSVGConfig(), hidden_size=8, model_batch_size=40), (0,))
    replay, seen = small_replay((0,)), []
    for step in range(30):  # episodes of five, told apart by their first observation
        observation = torch.full((1, 5), float(step // 5))
        zero = torch.zeros(1)
        replay.add(observation, torch.zeros(1, 3), zero, observation, zero, torch.tensor([step % 5 == 4]))
    agent.update = lambda sequences, *rest: seen.append(sequences) or {}
    agent.learn(replay, 1)
    assert seen[0].observation.shape == (1, 3, 160, 5)
    assert (seen[0].observation == seen[0].observation[:, :1]).all()
    assert seen[0].observation.unique().numel() > 3


# --- the policy's rollout -------------------------------------------------------------------------


def chain(rewards, ends, value, horizon):
    """Networks by hand: x counts steps, r̂ and d̂ are read off it, the policy is N(0, 1) in front of tanh."""
    logits = torch.tensor([math.log(p / (1 - p)) for p in ends], dtype=torch.float64)
    table = torch.tensor(rewards, dtype=torch.float64)

    def model(x, u, hidden):
        return x + 1.0, hidden

    model.START = None
    return SimpleNamespace(
        model=model,
        actor=SimpleNamespace(sample=lambda x, noise: sample_action((x * 0, x * 0), noise)),
        critic=lambda x, u: torch.stack([x[..., 0] * 0 + value, x[..., 0] * 0 + value + 1], dim=1),
        predict_reward=lambda x, u: table[x[..., 0].long()],
        done_logit=lambda x, u: logits[x[..., 0].long()],
        temperature=lambda: torch.tensor([0.3], dtype=torch.float64),
    )


@pytest.mark.parametrize("horizon", [3, 4])
def test_rollout_is_weighted_with_the_probability_of_still_going_on(horizon):
    """ν = 1, n₀, n₀n₁, n₀n₁n₂ in front of rewards and of the smaller critic, not of the entropy."""
    ends, rewards, gamma = [0.2, 0.5, 0.1][: horizon - 1], [1.0, 10.0, 100.0][: horizon - 1], 0.9
    noise = normal(1, horizon, 1, 1)
    loss, first = value_gradient_objective(
        chain(rewards, ends, 7.0, horizon), torch.zeros(1, 1, 1, dtype=torch.float64), noise, gamma
    )
    zero = torch.zeros(1, 1, 1, dtype=torch.float64)
    entropy = [-0.3 * sample_action((zero, zero), noise[:, t])[1].item() for t in range(horizon)]
    survival, total = 1.0, 0.0
    for t in range(horizon):
        gain = 7.0 if t == horizon - 1 else rewards[t]
        total += gamma**t * (survival * gain + entropy[t])
        if t < horizon - 1:
            survival *= 1 - ends[t]
    assert loss.item() == pytest.approx(-total / horizon)
    assert first.item() == pytest.approx(-entropy[0] / 0.3)


def test_the_policy_leaves_sac_after_the_plain_steps():
    """A spoilt model is first noticed at the environment step after the last plain one (4: warm-up 2)."""
    sound, spoilt = build("sac-svg2", model_learning_rate=0.0), build("sac-svg2", model_learning_rate=0.0)
    with torch.no_grad():
        spoilt.networks.model.decoder.bias += 5.0
    noticed = []
    for step in (1, 2, 3):
        inputs = random_inputs(sound, gen(step))
        one, other = (agent.update(*inputs, step)["loss/actor"] for agent in (sound, spoilt))
        noticed.append(not torch.equal(one, other))
    assert noticed == [False, False, True]


def test_dynamics_are_clipped_in_one_case_of_the_reference_and_not_in_the_other():
    norms = {
        name: build(name).update(*random_inputs(build(name), gen()), 1)["grad_norm/model"]
        for name in ("sac-svg2", "sac-svg3")
    }
    assert (norms["sac-svg2"] > 1.0).all() and (norms["sac-svg3"] < 1e3).all()


# --- termination ----------------------------------------------------------------------------------


def done_gradient(terminal):
    """Gradient of the loss with respect to logits that are all zero, and the loss."""
    logit = torch.zeros(1, len(terminal), dtype=torch.float64, requires_grad=True)
    networks = SimpleNamespace(done_logit=lambda x, u: logit)
    transitions = SimpleNamespace(
        observation=None, action=None, terminal=torch.tensor([terminal], dtype=torch.float64)
    )
    loss = done_objective(networks, transitions)
    (gradient,) = torch.autograd.grad(loss.sum(), logit)
    return gradient[0].tolist(), loss.item()


def test_both_classes_of_the_termination_weigh_the_same():
    gradient, loss = done_gradient([1.0, 0, 0, 0, 0, 0, 1, 0])
    assert gradient == pytest.approx([-0.5 * 3 / 8, *[0.5 / 8] * 5, -0.5 * 3 / 8, 0.5 / 8])
    assert sum(gradient) == pytest.approx(0.0)
    assert loss == pytest.approx(math.log(2) * (6 + 2 * 3) / 8)


def test_a_batch_of_one_class_is_finite():
    assert done_gradient([0.0, 0, 0, 0]) == (pytest.approx([0.125] * 4), pytest.approx(math.log(2)))
    assert done_gradient([1.0, 1, 1, 1]) == (pytest.approx([0.0] * 4), 0.0)


# --- policy and configuration ---------------------------------------------------------------------


def test_log_std_is_squashed():
    raw = torch.tensor([-1e3, -1.0, 0.0, 1.0, 1e3], dtype=torch.float64)
    expected = [-5, -5 + 3.5 * (1 - math.tanh(1)), -1.5, -5 + 3.5 * (1 + math.tanh(1)), 2]
    assert squashed_log_std(raw).tolist() == pytest.approx(expected)


ROWS = {
    "HalfCheetah": (2e5, -1, -2.5, -3.25, -4),
    "Hopper": (2e5, 1, 0.5**32, 0.25**32, 0),
    "Walker2d": (2e5, -2, -16 + 14 * 0.5 ** (1 / 64), -16 + 14 * 0.25 ** (1 / 64), -16),
    "T-Ant": (2e5, 1, -3 + 4 * 0.5**0.5, -1, -3),
    "T-Humanoid": (5e6, -2, -2, -2, -2),
}


@pytest.mark.parametrize("task", ROWS)
def test_target_entropies_at_the_start_the_middle_three_quarters_and_the_end(task):
    config = SACSVGConfig.at(SCALES["paper"], task)
    steps, *expected = ROWS[task]
    at = [0, steps / 2, 3 * steps / 4, steps]
    assert [config.target_entropy(int(t)) for t in at] == pytest.approx(expected, abs=1e-12)
    assert config.target_entropy(int(2 * steps)) == expected[-1]


def test_the_robot_decides_on_the_schedule():
    def schedule(task, scale="paper"):
        config = SACSVG3Config.at(SCALES[scale], task)
        return config.entropy_start, config.entropy_end, config.entropy_power, config.entropy_steps

    assert schedule("Ant") == schedule("T-Ant") == schedule("mbbl/Ant-ET") == (1, -3, 0.5, 200_000)
    assert schedule("Humanoid") == schedule("T-Humanoid") == (-2, -2, 1, 5_000_000)
    assert schedule("mbbl/Hopper-ET") == schedule("Hopper") == schedule("Hopper", "laptop")
    assert {len(schedule(task)) for task in TASKS} == {4}


def test_published_hyper_parameters_of_sac_svg():
    two, three = (c.at(SCALES["paper"], "HalfCheetah") for c in (SACSVGConfig, SACSVG3Config))
    assert (two.horizon, three.horizon) == (3, 4)
    assert dataclasses.asdict(three) == dataclasses.asdict(two) | {"horizon": 4}
    assert (two.discount, two.target_rate, two.hidden_size, two.batch_size) == (0.99, 0.005, 512, 1024)
    assert (two.learning_rate, two.initial_temperature) == (1e-4, 0.1)
    assert (two.model_updates, two.model_batch_size) == (4, 512)
    assert (two.model_learning_rate, two.model_max_grad_norm) == (1e-3, 1.0)
    assert (two.warmup_steps, two.plain_steps, two.replay_capacity) == (1000, 10_000, 1_000_000)
    assert SACSVGConfig() == two
    json.dumps(dataclasses.asdict(two))
    laptop = SACSVGConfig.at(SCALES["laptop"], "Hopper")
    assert (laptop.model_batch_size, laptop.plain_steps, laptop.warmup_steps) == (128, 10_000, 1000)
