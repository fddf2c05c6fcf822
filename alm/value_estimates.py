"""Value estimates of ALM: the lower bound L^K and the critics' minimum, for the value-bias analysis.

`alm.training.bias_protocol` compares them with the policy's actual returns.
"""

import torch
from torch import Tensor

from alm import objectives
from alm.config import ALMConfig
from alm.networks import Networks
from alm.objectives import Gaussian, sample
from alm.training.agent import Agent
from alm.training.streams import Streams


class ValueEstimates(Agent):
    """The part of `alm.agent.ALM` that makes it an `alm.training.bias_protocol.Estimating` agent."""

    networks: Networks
    config: ALMConfig

    def represent_for_value(self, observation: Tensor) -> Gaussian:
        """Distribution of z used to estimate a state's value, the one that the critics see: ē(·|s)."""
        gaussian: Gaussian = self.networks.target_encoder(observation)
        return gaussian

    def valued_policy(self, z: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The policy whose value is estimated (a `Policy`): greedy actions, ignoring the noise."""
        del noise
        action = self.networks.actor(z).clamp(*self.bounds)
        return action, torch.zeros_like(action[..., 0])

    @torch.no_grad()
    def value_estimate(self, observation: Tensor, action: Tensor, streams: Streams) -> Tensor:
        """Lower bound L^K(s, a), which the paper's bias analysis compares with returns → (S, batch)."""
        batch, latent = observation.shape[1], self.config.latent_size
        noise = {
            "z": streams.normal(batch, latent, dtype=observation.dtype),
            "model": streams.normal(self.config.horizon, batch, latent, dtype=observation.dtype),
            "action": streams.normal(self.config.horizon, *action.shape[1:], dtype=observation.dtype),
        }
        state = self.represent_for_value(observation)
        return objectives.lower_bound(self.networks, state, action, noise, self.config, self.valued_policy)

    @torch.no_grad()
    def act_with_bonus(self, observation: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Evaluation actions, which earn no bonus (`alm.training.bias_protocol.Estimating`)."""
        action = self.act_greedily(observation, streams)
        return action, torch.zeros_like(action[..., 0])

    @torch.no_grad()
    def estimates(self, observation: Tensor, action: Tensor, streams: Streams) -> dict[str, Tensor]:
        """L^K(s, a), and min_j Q_j(z, a) at z ~ ē(s), each (S, batch); see `bias_protocol.Estimating`."""
        noise = streams.normal(observation.shape[1], self.config.latent_size, dtype=observation.dtype)
        min_q = self.networks.min_value(sample(self.represent_for_value(observation), noise), action)
        return {"lower_bound": self.value_estimate(observation, action, streams), "min_q": min_q}
