"""ALM's networks (appendix D and Table 4 of the paper; constants from the authors' code).

Shapes: s (S, batch, observation), z (S, batch, latent), a (S, batch, action), with S the seeds of
the population.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alm.config import ALMConfig
from alm.task_registry import TaskSpec
from alm.training.population import Tanh, initialise_orthogonal, mlp

MEAN_BOUND = 30.0
STD_MIN, STD_MAX = 0.1, 10.0


def bounded_gaussian(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a diagonal Gaussian from a network's output (…, 2 · latent).

    The mean is 30·tanh(μ/30); the std is softly bounded to [0.1, 10] and equals 0.744 at raw 0.
    """
    mean, std = raw.chunk(2, dim=-1)
    return MEAN_BOUND * torch.tanh(mean / MEAN_BOUND), bounded_std(std)


def bounded_std(raw: Tensor, low: float = STD_MIN, high: float = STD_MAX) -> Tensor:
    """Standard deviation in [low, high] from a network's output, through two softplus functions."""
    below = high - F.softplus(high - raw)
    return low + F.softplus(below - low)


class GaussianNetwork(nn.Module):
    """An ELU network whose output is a bounded diagonal Gaussian over z: the encoder and the model."""

    def __init__(self, members: int, inputs: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.layers = mlp(members, (inputs, hidden, hidden, 2 * latent))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and std of z, each (S, batch, latent), from the concatenated inputs."""
        return bounded_gaussian(self.layers(torch.cat(inputs, dim=-1)))


class Head(nn.Module):
    """Reward r̂(z, a), classifier logits C(z, a, z') or critics Q_j(z, a) → (S, N, batch, outputs).

    The first hidden layer has layer normalisation and tanh, the second ELU. The N = ``ensemble``
    networks of each seed are members of one batched network.
    """

    def __init__(self, seeds: int, inputs: int, hidden: int, outputs: int, ensemble: int = 1) -> None:
        super().__init__()
        self.seeds, self.ensemble = seeds, ensemble
        self.layers = mlp(seeds * ensemble, (inputs, hidden, hidden, outputs), normalise_first=True)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Outputs (S, N, batch, outputs) from the concatenated inputs, shared by all N networks."""
        x = torch.cat(inputs, dim=-1)
        x = x[:, None].expand(-1, self.ensemble, -1, -1).flatten(0, 1)
        out: Tensor = self.layers(x)
        return out.view(self.seeds, self.ensemble, *out.shape[1:])


class Networks(nn.Module):
    """All networks of ALM, one of each kind per generator in ``generators`` (one generator per seed).

    encoder e(z | s), model m(z' | z, a), reward r̂, classifier C (logits: 0 model, 1 real), twin
    critics Q, actor π, and the target networks ē and Q̄, which start as copies. Weights are
    orthogonal with gain 1, biases zero.
    """

    def __init__(self, task: TaskSpec, config: ALMConfig, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.build(len(generators), task.observation_size, task.action_size, config)
        initialise_orthogonal(self, generators)
        self.target_encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)

    def build(self, seeds: int, observation_size: int, action_size: int, config: ALMConfig) -> None:
        """Make the online networks; weights are initialised in the order of creation."""
        latent, hidden = config.latent_size, config.hidden_size
        pair = latent + action_size
        self.encoder: nn.Module = GaussianNetwork(seeds, observation_size, hidden, latent)
        self.model = GaussianNetwork(seeds, pair, config.model_hidden_size, latent)
        self.reward = Head(seeds, pair, hidden, 1)
        self.classifier: nn.Module = Head(seeds, pair + latent, hidden, 2)
        self.critic = Head(seeds, pair, hidden, 1, ensemble=2)
        self.actor: nn.Module = nn.Sequential(*mlp(seeds, (latent, hidden, hidden, action_size)), Tanh())

    def predict_reward(self, z: Tensor, action: Tensor) -> Tensor:
        """r̂(z, a) → (S, batch)."""
        reward: Tensor = self.reward(z, action)
        return reward[:, 0, :, 0]

    def log_ratio(self, z: Tensor, action: Tensor, next_z: Tensor) -> Tensor:
        """ℓ = log C/(1 − C), the logit of "real" minus that of "model" → (S, batch)."""
        logits: Tensor = self.classifier(z, action, next_z)[:, 0]
        return logits[..., 1] - logits[..., 0]

    def values(self, z: Tensor, action: Tensor) -> Tensor:
        """Both critics, Q_j(z, a) → (S, 2, batch)."""
        values: Tensor = self.critic(z, action)
        return values[..., 0]

    def min_value(self, z: Tensor, action: Tensor) -> Tensor:
        """min_j Q_j(z, a) → (S, batch)."""
        return self.values(z, action).amin(dim=1)
