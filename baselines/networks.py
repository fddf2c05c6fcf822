"""Parts of the baselines' networks: ensembles of critics, action bounds, initialisation.

Shapes: s (S, batch, observation), a (S, batch, action), with S the seeds of the population.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from alm.training.population import Linear, forward_rows, mlp

MeanLogStd = tuple[Tensor, Tensor]
"""Mean and log-std of a diagonal Gaussian, of equal shapes."""


class Critics(nn.Module):
    """N critics Q_i(s, a) of ``depth`` ReLU layers per seed, all in one batched network.

    Members are seed-major: row ``s * N + i`` of a parameter belongs to critic i of seed s.
    """

    def __init__(
        self, seeds: int, observation_size: int, action_size: int, hidden: int, ensemble: int, depth: int = 2
    ) -> None:
        super().__init__()
        self.seeds, self.ensemble = seeds, ensemble
        sizes = (observation_size + action_size, *[hidden] * depth, 1)
        self.layers = mlp(seeds * ensemble, sizes, nn.ReLU)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """All values Q_i(s, a) → (S, N, batch)."""
        x = self.layers(_repeated(observation, action, self.ensemble))
        return x.unflatten(0, (self.seeds, self.ensemble))[..., 0]

    def chosen(self, observation: Tensor, action: Tensor, members: Tensor) -> Tensor:
        """Values of only the critics ``members`` (S, M) of each seed → (S, M, batch)."""
        first = torch.arange(self.seeds, device=members.device)[:, None] * self.ensemble
        rows = (members + first).flatten()
        x = forward_rows(self.layers, _repeated(observation, action, members.shape[1]), rows)
        return x.unflatten(0, members.shape)[..., 0]


def _repeated(observation: Tensor, action: Tensor, copies: int) -> Tensor:
    """Pair (s, a) repeated for each of a seed's critics → (S · copies, batch, observation + action)."""
    x = torch.cat([observation, action], dim=-1)
    return x[:, None].expand(-1, copies, -1, -1).flatten(0, 1)


def log_density(gaussian: MeanLogStd, value: Tensor) -> Tensor:
    """Σ_dims log N(value; μ, σ²) of a diagonal Gaussian → (…).

    ``gaussian`` and ``value`` have shapes (…, dims).
    """
    mean, log_std = gaussian
    unit = (value - mean) * (-log_std).exp()
    return (-0.5 * unit.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(dim=-1)


def scale_action(unit: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Action in (−1, 1), as given by tanh, scaled to the task's bounds."""
    low, high = bounds
    return unit * ((high - low) / 2) + (high + low) / 2


def unit_action(action: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Action within the task's bounds, rescaled to (−1, 1): the inverse of `scale_action`."""
    low, high = bounds
    return (action - (high + low) / 2) / ((high - low) / 2)


def _members(
    module: nn.Module, generators: Sequence[torch.Generator]
) -> Iterator[tuple[Tensor, Tensor, torch.Generator]]:
    """Weight, bias and generator of every member of every `Linear`; one (CPU) generator per seed."""
    for layer in module.modules():
        if isinstance(layer, Linear):
            per_seed = layer.weight.shape[0] // len(generators)
            for member, (weight, bias) in enumerate(zip(layer.weight.data, layer.bias.data, strict=True)):
                yield weight, bias, generators[member // per_seed]


def initialise_xavier(module: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Xavier-uniform weights (gain 1) and zero biases, as in watchernyu/REDQ."""
    for weight, bias, generator in _members(module, generators):
        # The bound depends on fan-in plus fan-out, so the layout (inputs, outputs) does not matter.
        nn.init.xavier_uniform_(weight, generator=generator)
        bias.zero_()


def initialise_fan_in(module: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Weights and biases uniform within ±1/√fan-in, torch.nn.Linear's default, as in sfujim/TD3."""
    for weight, bias, generator in _members(module, generators):
        bound = weight.shape[0] ** -0.5  # layout (inputs, outputs)
        weight.uniform_(-bound, bound, generator=generator)
        bias.uniform_(-bound, bound, generator=generator)
