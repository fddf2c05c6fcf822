"""The ensemble of dynamics models: its loss, its training, and what it predicts."""

import dataclasses
import math
from collections import Counter
from types import SimpleNamespace

import pytest
import torch

from alm.training.population import share_of_seed
from alm.training.replay import Transitions
from alm.training.streams import Purpose, Streams
from baselines import ensemble_dynamics
from baselines.ensemble_dynamics import (
    EnsembleConfig,
    EnsembleDynamics,
    GaussianEnsemble,
    ensemble_objective,
    multi_step_error,
)
from tests.baselines.cases import gen

SMALL = EnsembleConfig(members=4, elites=2, hidden_size=6, batch_size=16)


def streams(seed=0):
    return Streams([seed], Purpose.LEARNING)


def dynamics(config=SMALL, dtype=torch.float32):
    return EnsembleDynamics(2, 1, config, gen(), dtype=dtype)


def numbered(count, shift=0.0):
    """Transitions whose first state component is their number."""
    noise = torch.randn(count, 5, generator=gen(count))
    observation = torch.stack([torch.arange(count) + shift, noise[:, 0]], dim=1)
    return Transitions(
        observation[None], noise[None, :, 1:2], noise[None, :, 2], (observation + noise[:, 3:])[None],
        torch.zeros(1, count),
    )  # fmt: skip


def weights_of(model):
    return [p.detach().clone() for p in model.network.layers.parameters()]


# --- the loss against a second writing ------------------------------------------------------------


def plain_loss(parameters, upper, lower, mean, deviation, x, y):
    """The loss of jannerm/mbpo with loops over members, layers and samples; no code is shared."""
    total = torch.zeros((), dtype=torch.float64)
    outputs = y.shape[-1]
    for member, layers in enumerate(parameters):
        errors = []
        for sample in range(x.shape[1]):
            h = (x[member, sample] - mean) / deviation
            for depth, (weight, bias) in enumerate(layers):
                h = h @ weight + bias
                if depth < 4:
                    h = h * torch.sigmoid(h)
            for j in range(outputs):
                raw = h[outputs + j]
                v = upper[j] - torch.log1p(torch.exp(upper[j] - raw))
                v = lower[j] + torch.log1p(torch.exp(v - lower[j]))
                errors.append((h[j] - y[member, sample, j]) ** 2 / torch.exp(v) + v)
        total = total + sum(errors) / len(errors)
        decays = (0.000025, 0.00005, 0.000075, 0.000075, 0.0001)
        for decay, (weight, _) in zip(decays, layers, strict=True):
            total = total + decay * (weight**2).sum() / 2
    return total + 0.01 * upper.sum() - 0.01 * lower.sum()


def test_loss_gradients_and_steps_equal_a_second_writing():
    """Of one loss every gradient; then two steps of Adam on others, with the configured step size."""
    model = dynamics(dataclasses.replace(SMALL, learning_rate=5e-3), torch.float64)
    network, generator = model.network, gen(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)

    def batch():
        x, y = torch.randn(2, 4, 5, 3, generator=generator, dtype=torch.float64)
        return 2.0 + 3.0 * x, y

    x, y = batch()
    network.standardise(x.flatten(0, 1))

    flat = x.reshape(-1, 3)
    mean = flat.sum(0) / len(flat)
    deviation = ((flat - mean) ** 2).sum(0).div(len(flat)).sqrt()
    copies = [
        [
            (w[i].detach().clone().requires_grad_(), b[i, 0].detach().clone().requires_grad_())
            for w, b in pairs
        ]
        for i, pairs in enumerate([[(layer.weight, layer.bias) for layer in network.linears]] * 4)
    ]
    upper, lower = (
        bound[0, 0].detach().clone().requires_grad_()
        for bound in (network.max_log_variance, network.min_log_variance)
    )
    expected = plain_loss(copies, upper, lower, mean, deviation, x, y)
    loss = ensemble_objective(network, x, y)
    assert loss.shape == (1,)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    expected.backward()
    loss.sum().backward()
    for depth, layer in enumerate(network.linears):
        for i in range(4):
            weight, bias = copies[i][depth]
            torch.testing.assert_close(layer.weight.grad[i], weight.grad, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(layer.bias.grad[i, 0], bias.grad, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(network.max_log_variance.grad[0, 0], upper.grad, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(network.min_log_variance.grad[0, 0], lower.grad, rtol=1e-9, atol=1e-12)

    every = [*(p for layers in copies for pair in layers for p in pair), upper, lower]
    adam = torch.optim.Adam(every, lr=5e-3)
    for _ in range(2):
        x, y = batch()
        adam.zero_grad()
        plain_loss(copies, upper, lower, mean, deviation, x, y).backward()
        adam.step()
        model.optimiser.step(ensemble_objective(network, x, y))
    for depth, layer in enumerate(network.linears):
        for i in range(4):
            weight, bias = copies[i][depth]
            torch.testing.assert_close(layer.weight[i], weight, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(layer.bias[i, 0], bias, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(network.max_log_variance[0, 0], upper, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(network.min_log_variance[0, 0], lower, rtol=1e-9, atol=1e-9)


# --- networks -------------------------------------------------------------------------------------


def test_weights_start_as_a_normal_truncated_at_two_deviations():
    network = GaussianEnsemble(20, 15, EnsembleConfig(hidden_size=100), gen())
    assert len(network.linears) == 5
    for layer in network.linears:
        std = 0.5 / math.sqrt(layer.weight.shape[1])
        weight = layer.weight.detach()
        assert 1.9 * std < weight.abs().max() <= 2 * std
        # A normal cut at ±2 has 0.8796 of the deviation; a uniform or an uncut one would not.
        assert weight.std().item() == pytest.approx(0.8796 * std, rel=0.02)
        assert (weight.abs() < std).float().mean().item() == pytest.approx(0.7152, abs=0.02)
        assert not layer.bias.any()
        assert not torch.equal(weight[0], weight[1])


def test_bounds_of_the_log_variance_are_soft_and_trained():
    model = dynamics()
    upper, lower = model.network.max_log_variance, model.network.min_log_variance
    assert (upper == 0.5).all() and (lower == -10).all()
    with torch.no_grad():
        model.network.linears[-1].bias[..., 3:] = torch.tensor([1e3, 0.0, -1e3])
        _, v = model.network(torch.zeros(4, 1, 3))
    # At the upper end the lower bound's softplus still adds log(1 + e^−10.5).
    assert v[0, 0].tolist() == pytest.approx([0.5, 0.5 - math.log1p(math.exp(0.5)), -10], abs=1e-3)
    model = dynamics()
    model.fit(numbered(60), streams())
    for bound, start in ((model.network.max_log_variance, 0.5), (model.network.min_log_variance, -10.0)):
        assert bound.requires_grad
        assert ((bound - start).abs() > 1e-3).all()


def test_constant_inputs_keep_their_scale():
    network = GaussianEnsemble(3, 2, SMALL, gen())
    inputs = torch.randn(1000, 3, generator=gen())
    inputs[:, 1], inputs[:, 2] = 0.1, 0.0
    network.standardise(inputs)
    assert network.input_deviation.flatten().tolist()[1:] == [1.0, 1.0]
    assert network.input_deviation[0, 0, 0].item() == pytest.approx(inputs[:, 0].std(correction=0).item())


# --- training -------------------------------------------------------------------------------------


def test_a_member_sees_one_bootstrap_in_changing_order(monkeypatch):
    seen, original = [], ensemble_dynamics.ensemble_objective

    def spy(network, inputs, targets):
        seen.append(inputs[..., 0].detach().clone())
        return original(network, inputs, targets)

    monkeypatch.setattr(ensemble_dynamics, "ensemble_objective", spy)
    model, held = dynamics(), []
    error = model._squared_error
    monkeypatch.setattr(
        model, "_squared_error", lambda inputs, targets: held.append(inputs[:, 0]) or error(inputs, targets)
    )
    metrics = model.fit(numbered(100), streams())
    epochs = int(metrics["model/epochs"])
    assert len(seen) == epochs * 5 and seen[4].shape == (4, 16)  # 80 of 100 transitions, 16 at a time
    orders = [torch.cat(seen[5 * e : 5 * e + 5], dim=1).int() for e in range(epochs)]
    for member in range(4):
        rows = [order[member].tolist() for order in orders]
        assert all(Counter(row) == Counter(rows[0]) for row in rows)  # drawn once
        assert len({tuple(row) for row in rows}) == epochs  # shuffled
        assert max(Counter(rows[0]).values()) > 1  # with replacement
    assert len({tuple(sorted(order)) for order in orders[0].tolist()}) == 4  # each member its own
    # Members are compared on transitions that none has learned from.
    assert all(torch.equal(one, held[0]) for one in held) and len(held[0].unique()) == 20
    assert not set(held[0].int().tolist()) & set(torch.cat(orders).flatten().tolist())


def test_the_last_batch_of_an_epoch_is_the_rest(monkeypatch):
    sizes, original = [], ensemble_dynamics.ensemble_objective

    def spy(network, inputs, targets):
        sizes.append(inputs.shape[1])
        return original(network, inputs, targets)

    monkeypatch.setattr(ensemble_dynamics, "ensemble_objective", spy)
    dynamics().fit(numbered(50), streams())
    assert sizes[:6] == [16, 16, 8] * 2


def test_each_member_ends_with_its_own_best_weights(monkeypatch):
    """Scripted holdout errors: bests at different epochs; gains of up to 1 % count for nothing."""
    errors = [
        [4.0, 4.0, 4.0, 4.0],
        [2.0, 5.0, 3.97, 1.0],  # members 0 and 3 improve; member 2 by less than 1 %
        [3.0, 1.5, 3.98, 9.0],  # member 1 improves
        *[[1.99, 1.49, 3.97, 0.995]] * 6,  # nobody does, six times
    ]
    model, history = dynamics(), []

    def scripted(inputs, targets):
        history.append(weights_of(model))
        return torch.tensor(errors[len(history) - 1])

    monkeypatch.setattr(model, "_squared_error", scripted)
    metrics = model.fit(numbered(60), streams())
    assert int(metrics["model/epochs"]) == len(history) == 9
    assert model.elites.tolist() == [3, 1]
    assert metrics["model/holdout_mse"].item() == pytest.approx((1.0 + 1.5) / 2)
    for member, epoch in enumerate((1, 2, 0, 1)):
        for weight, then in zip(weights_of(model), history[epoch], strict=True):
            assert torch.equal(weight[member], then[member])


def test_a_further_training_goes_on_from_the_weights_and_refits_the_inputs(monkeypatch):
    model, first_weights, original = dynamics(), [], ensemble_dynamics.ensemble_objective
    model.fit(numbered(60), streams())
    before = weights_of(model)
    moments = model.optimiser.state()["steps"]

    def spy(network, inputs, targets):
        first_weights.append(weights_of(model))
        return original(network, inputs, targets)

    monkeypatch.setattr(ensemble_dynamics, "ensemble_objective", spy)
    standardised = []
    standardise = model.network.standardise
    monkeypatch.setattr(
        model.network, "standardise", lambda inputs: (standardised.append(inputs), standardise(inputs))
    )
    model.fit(numbered(60, shift=1000.0), streams(1))
    assert all(torch.equal(a, b) for a, b in zip(before, first_weights[0], strict=True))
    assert model.optimiser.state()["steps"] == moments + len(first_weights)
    assert standardised[0].shape == (48, 3)  # without the holdout
    torch.testing.assert_close(model.network.input_mean[0, 0], standardised[0].mean(0))
    assert model.network.input_mean[0, 0, 0] > 1000


def test_holdout_is_a_fifth_but_not_more_than_the_limit(monkeypatch):
    for limit, expected in ((5000, 20), (7, 7)):
        model, sizes = dynamics(EnsembleConfig(members=2, elites=1, hidden_size=4, holdout_limit=limit)), []

        def error(inputs, targets, sizes=sizes):
            sizes.append(len(inputs))
            return torch.ones(2)

        monkeypatch.setattr(model, "_squared_error", error)
        model.fit(numbered(100), streams())
        assert sizes == [expected] * 7


def test_too_few_transitions_are_one_clear_error():
    with pytest.raises(ValueError, match="4 transitions are too few"):
        dynamics().fit(numbered(4), streams())


def test_training_from_a_stored_state_is_the_same_training():
    model, again = dynamics(), dynamics()
    source = streams()
    model.fit(numbered(60), source)
    state, stream_state = share_of_seed(model.state(), 0, 1), source.state()
    one = model.fit(numbered(80), source)
    again.load_state(state)
    source.load_state(stream_state)
    other = again.fit(numbered(80), source)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(model), weights_of(again), strict=True))
    assert torch.equal(model.elites, again.elites)


# --- predictions ----------------------------------------------------------------------------------


def test_samples_are_of_random_elites_only():
    model = dynamics(dtype=torch.float64)
    model.elites = torch.tensor([3, 1])
    with torch.no_grad():
        for parameter in model.network.layers.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=gen(), dtype=torch.float64)
            parameter[[0, 2]] = float("nan")  # the others have no say
    observation = torch.randn(1, 50, 2, generator=gen(1), dtype=torch.float64)
    action = torch.randn(1, 50, 1, generator=gen(2), dtype=torch.float64)
    reward, after = model.sample(observation, action, streams())
    source = streams()
    choice = model.elites[source.integers(2, 50)[0]]
    noise = source.normal(50, 3, dtype=torch.float64)[0]
    assert set(choice.tolist()) == {1, 3}
    mean, log_variance = model.network(torch.cat([observation, action], -1).expand(4, -1, -1))
    for i in range(50):
        y = mean[choice[i], i] + log_variance[choice[i], i].exp().sqrt() * noise[i]
        assert reward[0, i].item() == pytest.approx(y[0].item())
        torch.testing.assert_close(after[0, i], observation[0, i] + y[1:])


def test_a_noisy_linear_system_is_learned_to_its_noise():
    """Error and likelihood reach those of the true system, and errors add up with the steps ahead."""
    generator, count = gen(), 3000
    matrix = torch.tensor([[0.1, -0.3], [0.2, -0.1], [0.5, 0.4]])
    weights, deviations = torch.tensor([[1.0], [-0.5], [0.3]]), torch.tensor([0.1, 0.05, 0.2])
    pairs = torch.rand(count, 3, generator=generator) * 4 - 2
    truth = pairs @ torch.cat([weights, matrix], dim=1)
    seen, fresh = truth + deviations * torch.randn(2, count, 3, generator=generator)
    observation = pairs[:, :2]
    data = Transitions(
        observation[None],
        pairs[None, :, 2:],
        seen[None, :, 0],
        (observation + seen[:, 1:])[None],
        torch.zeros(1, count),
    )
    model, source = dynamics(EnsembleConfig(members=3, elites=2, hidden_size=32, batch_size=64)), streams()
    for _ in range(3):
        metrics = model.fit(data, source)
    floor = deviations.square().mean().item()
    assert floor * 0.85 < metrics["model/holdout_mse"].item() < floor * 1.2
    mean, log_variance = model.network(pairs.expand(2, -1, -1), model.elites)
    surprise = ((mean - fresh).square() * (-log_variance).exp() + log_variance).mean().item()
    assert surprise == pytest.approx((1 + 2 * deviations.log()).mean().item(), abs=0.15)
    reward, after = model.sample(data.observation, data.action, source)
    drawn = torch.cat([reward[0, :, None], after[0] - observation], dim=1)
    torch.testing.assert_close((drawn - truth).std(dim=0), deviations, rtol=0.2, atol=0.01)

    # Steps of the true system without noise, small enough to stay where the data is.
    state = torch.rand(200, 2, generator=generator) - 0.5
    steps = []
    for _ in range(3):
        action = torch.rand(200, 1, generator=generator) - 0.5
        after = state + torch.cat([state, action], dim=1) @ matrix
        steps.append((state, action, torch.zeros(200), after, torch.zeros(200)))
        state = after
    sequences = Transitions(*(torch.stack(field)[None] for field in zip(*steps, strict=True)))
    errors = multi_step_error(model, sequences)
    assert errors.shape == (3,)
    assert 0 < errors[0] < errors[2] < 0.02


def test_multi_step_error_follows_each_elites_own_predictions():
    """Models that are off by δ a step are off by kδ after k steps; the error is squared, then averaged."""
    offsets = {1: 0.1, 2: -0.3}

    def network(pairs, rows):
        step = pairs[..., 2:] + torch.tensor([offsets[i] for i in rows.tolist()])[:, None, None]
        return torch.cat([torch.full_like(step, 99.0), step, step], dim=-1), None

    model = SimpleNamespace(elites=torch.tensor([1, 2]), network=network)
    action = torch.randn(1, 4, 7, 1, generator=gen())
    state = torch.cumsum(torch.cat([torch.zeros(1, 1, 7, 1), action], dim=1), dim=1).expand(-1, -1, -1, 2)
    zeros = torch.zeros(1, 4, 7)
    errors = multi_step_error(model, Transitions(state[:, :4], action, zeros, state[:, 1:], zeros))
    expected = [((0.1 * k) ** 2 + (0.3 * k) ** 2) / 2 for k in range(1, 5)]
    assert errors.tolist() == pytest.approx(expected, rel=1e-4)
