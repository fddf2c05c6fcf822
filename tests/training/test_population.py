"""Steps of an optimiser group are of each seed alone; `tests/alm/test_variants.py` has whole populations."""

from unittest import mock

import pytest
import torch

from alm.training.optimisation import OptimiserGroup
from alm.training.population import LayerNorm, Linear


def test_clipping_is_per_seed_and_over_the_group():
    layers = [Linear(2, 3, 1), Linear(4, 3, 1)]  # a plain network and an ensemble of two a seed
    group = OptimiserGroup(layers, seeds=2, learning_rate=0.0, max_norm=1.0)
    for layer in layers:
        torch.nn.init.constant_(layer.weight, 1.0)
    scale = torch.tensor([0.1, 10.0])

    def loss():
        x = torch.ones(2, 1, 3)
        each = layers[0](x)[:, 0, 0] + layers[1](x.repeat_interleave(2, 0))[:, 0, 0].view(2, 2).sum(1)
        return scale * each

    with mock.patch("alm.training.optimisation.adam") as adam:
        norms = group.step(loss())
    _, captured, *_ = adam.call_args.args
    # Each seed: 3 + 1 gradients of the plain layer and 2·(3 + 1) of the ensemble, all of size `scale`.
    assert norms.tolist() == pytest.approx([0.1 * 12**0.5, 10 * 12**0.5])
    by_seed = torch.cat([g.reshape(2, -1) for g in captured], dim=1).norm(dim=1)
    assert by_seed.tolist() == pytest.approx([0.1 * 12**0.5, 1.0], rel=1e-5)


def test_a_parameter_that_no_loss_has_depended_on_is_resumed_as_adam_begins():
    """The first of two, so that a state without steps would look like one of no step at all."""

    def group():
        layers = Linear(2, 3, 1), Linear(2, 3, 1)
        for layer in layers:
            torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
        return layers, OptimiserGroup(layers, 2, 1e-2)

    def loss(layers):
        return (layers[1](torch.ones(2, 1, 3)) ** 2).sum(dim=(1, 2))

    (layers, before), (others, after) = group(), group()
    for _ in range(3):
        gradients = torch.autograd.grad(loss(layers).sum(), before.parameters, allow_unused=True)
        before.apply(gradients)
    assert before.state()["steps"] == [0, 0, 3, 3]
    after.load_state(before.state())
    for one, other in zip(layers, others, strict=True):
        other.load_state_dict(one.state_dict())
    for both, optimiser in ((layers, before), (others, after)):
        optimiser.step(loss(both) + both[0](torch.ones(2, 1, 3)).sum(dim=(1, 2)))
    for one, other in zip(before.parameters, after.parameters, strict=True):
        assert torch.equal(one, other)


def test_a_gradient_that_is_one_number_seen_many_times_is_taken_as_it_is():
    layer = Linear(2, 3, 4)
    torch.nn.init.zeros_(layer.weight)
    OptimiserGroup((layer,), 2, 1e-2).step(layer.weight.sum(dim=(1, 2)) - layer.bias.sum(dim=(1, 2)))
    torch.testing.assert_close(layer.weight.data, torch.full((2, 3, 4), -1e-2))
    torch.testing.assert_close(layer.bias.data, torch.full((2, 1, 4), 1e-2))


def test_layers_equal_torch_modules():
    x = torch.randn(2, 7, 5, dtype=torch.float64)
    linear, norm = Linear(2, 5, 4).double(), LayerNorm(2, 5).double()
    for p in (*linear.parameters(), *norm.parameters()):
        torch.nn.init.normal_(p)
    for i in range(2):
        plain = torch.nn.functional.linear(x[i], linear.weight[i].T, linear.bias[i, 0])
        torch.testing.assert_close(linear(x)[i], plain)
        plain = torch.nn.functional.layer_norm(x[i], (5,), norm.weight[i, 0], norm.bias[i, 0])
        torch.testing.assert_close(norm(x)[i], plain)
