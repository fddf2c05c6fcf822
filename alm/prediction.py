"""Prediction errors of the latent model: encoded and imagined representations along a recorded episode.

Figure 7 of the paper shows them. Shapes: the episode's s (T + 1, observation) and a (T, action); z has D
components.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from alm.errors import UserError
from alm.networks import Networks
from alm.objectives import kl_divergence, sample


@dataclass(frozen=True)
class Path:
    """The representation's first coordinate along the episode, each (T + 1,).

    Attributes:
        encoded: that of the mean of e(·|s_t).
        predicted: that of the model's means, unrolled from the mean of e(·|s_0) with the recorded actions.
        sampled: that of samples instead of means at every step, including the first.
    """

    encoded: Tensor
    predicted: Tensor
    sampled: Tensor


@dataclass(frozen=True)
class PredictionErrors:
    """Errors after 1 … H model steps, each (H,), averaged over all starts followed by H steps.

    Attributes:
        squared_error: mean squared error over components of the model's unrolled means against the encoder's
            means, divided by the variance of the encoder's means along the episode.
        divergence: KL from the model's last Gaussian to the encoder's, in nats.
    """

    squared_error: Tensor
    divergence: Tensor


@torch.no_grad()
def latent_path(networks: Networks, observation: Tensor, action: Tensor, generator: torch.Generator) -> Path:
    """Model rollout over a whole episode from its first state; all arguments must be on one device."""
    mean, std = networks.encoder(observation[None])
    z = mean[:, :1]

    def noise() -> Tensor:
        return torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)

    z_sampled = sample((z, std[:, :1]), noise())
    predicted, sampled = [z[0, 0, 0]], [z_sampled[0, 0, 0]]
    for a in action:
        z = networks.model(z, a[None, None])[0]
        z_sampled = sample(networks.model(z_sampled, a[None, None]), noise())
        predicted.append(z[0, 0, 0])
        sampled.append(z_sampled[0, 0, 0])
    return Path(mean[0, :, 0], torch.stack(predicted), torch.stack(sampled))


@torch.no_grad()
def prediction_errors(
    networks: Networks, observation: Tensor, action: Tensor, horizon: int
) -> PredictionErrors:
    """Errors of rollouts of H = ``horizon`` steps from every state with at least H more after it.

    Raises:
        UserError: the episode is shorter than H steps.
    """
    steps = len(action)
    if steps < horizon:
        raise UserError(f"an episode of {steps} steps is too short to predict {horizon} of them")
    mean, std = networks.encoder(observation[None])
    variance = mean[0].var(dim=0).mean()
    starts = steps - horizon + 1
    z = mean[:, :starts]
    errors, divergences = [], []
    for k in range(1, horizon + 1):
        predicted = networks.model(z, action[None, k - 1 : k - 1 + starts])
        z = predicted[0]
        truth = mean[:, k : k + starts], std[:, k : k + starts]
        errors.append((z - truth[0]).square().mean() / variance)
        divergences.append(kl_divergence(predicted, truth).mean())
    return PredictionErrors(torch.stack(errors), torch.stack(divergences))
