"""Networks for a population: S independent learners in one batched tensor program.

Every parameter has a leading axis of *members*. A plain network for S seeds has S members; an
ensemble of N networks per seed (twin critics: N = 2) has S·N members, seed-major: row ``s * N + j``
belongs to seed ``s``. A layer is one batched matrix product (`torch.baddbmm`); with one member it
costs the same as `torch.nn.Linear`.

Losses are means over the batch and sums over seeds, so each seed's gradient is its own and, but for
rounding, no outcome depends on a seed's neighbours.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alm.errors import UserError


class Linear(nn.Module):
    """One affine layer per member."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(members, batch, inputs) → (members, batch, outputs)."""
        if torch.compiler.is_compiling():
            # A compiler adds the bias in one pass with what follows; baddbmm would begin by copying it.
            y = torch.bmm(x, self.weight)
            return y + self.bias.to(y.dtype)
        return torch.baddbmm(self.bias, x, self.weight)


class Output(Linear):
    """Last layer of a network; its results have the precision of its parameters.

    If autocast lowers the precision of layers (`alm.training.execution`), losses are still computed in full.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(members, batch, inputs) → (members, batch, outputs)."""
        if self.weight.shape[-1] == 1 and x.is_cpu:
            # CPU libraries lack a fast batched product for a single column: this takes a quarter of the time.
            return (x * self.weight.mT).sum(-1, keepdim=True) + self.bias
        return super().forward(x).to(self.weight.dtype)


class LayerNorm(nn.Module):
    """Layer normalisation over the last axis, with a scale and shift per member."""

    def __init__(self, members: int, features: int) -> None:
        super().__init__()
        self.features = features
        self.weight = nn.Parameter(torch.ones(members, 1, features))
        self.bias = nn.Parameter(torch.zeros(members, 1, features))

    def forward(self, x: Tensor) -> Tensor:
        """(members, batch, features) → the same."""
        return torch.addcmul(self.bias, F.layer_norm(x, (self.features,)), self.weight)


class Tanh(nn.Module):
    """The hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise, of the same shape."""
        # Compiled code evaluates tanh with a slow, but sigmoid with a fast function; eager torch the reverse.
        return 2.0 * torch.sigmoid(2.0 * x) - 1.0 if torch.compiler.is_compiling() else torch.tanh(x)


def mlp(
    members: int,
    sizes: Sequence[int],
    activation: Callable[..., nn.Module] = nn.ELU,
    normalise_first: bool = False,
) -> nn.Sequential:
    """A multilayer perceptron with ``sizes`` = (inputs, hidden …, outputs) and a linear output.

    With ``normalise_first`` the first hidden layer is followed by layer normalisation and tanh
    instead of the activation, as in the heads of DrQ-v2 and of the authors' ALM code.
    """
    layers: list[nn.Module] = []
    for depth, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        if depth == len(sizes) - 2:
            layers.append(Output(members, inputs, outputs))
            break
        layers.append(Linear(members, inputs, outputs))
        if depth == 0 and normalise_first:
            layers += [LayerNorm(members, outputs), Tanh()]
        else:
            # In place: nothing else reads the layer's output, and the backward passes of ELU, ReLU and tanh
            # need only their results (SiLU's keeps its input). Tanh has no such form.
            layers.append(activation() if activation is Tanh else activation(inplace=True))
    return nn.Sequential(*layers)


def forward_rows(layers: nn.Sequential, x: Tensor, rows: Tensor) -> Tensor:
    """Forward pass of members ``rows`` (M,) of an `mlp`: x (M, batch, inputs) → (M, batch, outputs).

    Other members are not evaluated: copying a few members' parameters is far cheaper than evaluating all.
    """
    for layer in layers:
        x = torch.baddbmm(layer.bias[rows], x, layer.weight[rows]) if isinstance(layer, Linear) else layer(x)
    return x.to(next(layers.parameters()).dtype)


def initialise_orthogonal(module: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Fill every `Linear` weight with an orthogonal matrix (gain 1) drawn from its seed's generator.

    ``generators`` has one (CPU) generator per seed; members are assigned seed-major. Biases stay 0.
    """
    for layer in module.modules():
        if isinstance(layer, Linear):
            per_seed = layer.weight.shape[0] // len(generators)
            for member, weight in enumerate(layer.weight.data):
                nn.init.orthogonal_(weight, generator=generators[member // per_seed])


@torch.no_grad()
def soft_update(target: nn.Module, online: nn.Module, tau: float) -> None:
    """Move ``target`` a fraction ``tau`` towards ``online``, in place (Polyak averaging)."""
    torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), tau)


def share_of_seed(tree: Any, seed: int, seeds: int) -> Any:
    """Part of a population's tree that belongs to the seed at position ``seed`` of ``seeds``.

    A tree consists of dictionaries, lists and tuples; the leading axis of its tensors is a multiple of S.
    """
    if isinstance(tree, Tensor):
        each = tree.shape[0] // seeds
        return tree[seed * each : (seed + 1) * each].clone()
    if isinstance(tree, dict):
        return {key: share_of_seed(value, seed, seeds) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(share_of_seed(value, seed, seeds) for value in tree)
    return tree


def join_seeds(trees: Sequence[Any]) -> Any:
    """Population's tree from its seeds' trees; leaves other than tensors must agree."""
    first = trees[0]
    if isinstance(first, Tensor):
        return torch.cat(list(trees), dim=0)
    if isinstance(first, dict):
        return {key: join_seeds([tree[key] for tree in trees]) for key in first}
    if isinstance(first, (list, tuple)):
        return type(first)(join_seeds(list(values)) for values in zip(*trees, strict=True))
    if any(tree != first for tree in trees):
        raise UserError(f"seeds disagree about {first!r}: they cannot be resumed as one population")
    return first
