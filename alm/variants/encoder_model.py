"""ALM with other encoder-and-model objectives: without a target encoder, or with discounted model steps.

Two of appendix G's experiments, which says "using a target encoder for the KL term in Eq. 7 helped reduce
variance", and "down-scaling the learning rate of future time-steps using a temporal discount factor".
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from alm import objectives
from alm.agent import ALM
from alm.config import ALMConfig
from alm.networks import Networks
from alm.objectives import Diagnostics, Policy, Rollout
from alm.training.agent import Noise
from alm.training.ranges import Share
from alm.training.replay import Transitions
from alm.training.schedules import powers


class OnlineKLALM(ALM):
    """ALM whose KL target is the online encoder, sg e(·|s_{t+1}), instead of sg ē(·|s_{t+1}).

    The stop-gradient stays, so that only the target network is removed.
    """

    @property
    def kl_encoder(self) -> nn.Module:
        """The online encoder."""
        return self.networks.encoder


@dataclass(frozen=True)
class TimeDiscountConfig(ALMConfig):
    """ALM's hyper-parameters and the discount of the model's later steps."""

    temporal_discount: Share = 0.5
    """ρ, the weight of each step relative to the previous one; value from TD-MPC (Hansen et al., 2022)."""


def discounted_objective(
    networks: Networks,
    target: nn.Module,
    sequences: Transitions,
    rollout: Rollout,
    noise: Noise,
    config: TimeDiscountConfig,
    policy: Policy,
) -> tuple[Tensor, Diagnostics]:
    """Discounted encoder-and-model loss; trains e and m.

    L_a = E[ Σ_{t<K} ρ^t ( KL(m(·|z_t, a_t) ‖ sg ē(·|s_{t+1})) − r̂(z_t, a_t) ) − ρ^K min_j Q_j(z_K, sg a_K) ]

    Each term's gradient, and thus its contribution to a step, is ρ^t times that in ALM.
    """
    horizon, (*visited, z) = config.horizon, rollout.latents
    kl = objectives.divergences(rollout, target, sequences).mean(dim=-1)
    rewards = networks.predict_reward(torch.cat(visited, dim=1), sequences.action.flatten(1, 2))
    reward = torch.unflatten(rewards, 1, (horizon, -1)).mean(dim=-1)
    with torch.no_grad():
        action, _ = policy(z, noise["sequence_action"])
    value = networks.min_value(z, action).mean(dim=-1)
    weights = powers(config.temporal_discount, horizon, kl)
    loss = (weights * (kl - reward)).sum(dim=1) - config.temporal_discount**horizon * value
    return loss, {
        "model/kl": kl.detach().mean(dim=1),
        "model/reward": reward.detach().mean(dim=1),
        "model/value": value.detach(),
        **rollout.spread(),
    }


class TimeDiscountALM(ALM):
    """ALM with `discounted_objective`; the policy's objective is discounted already and unchanged."""

    unused_settings = ("kl_term", "reward_term", "value_term")
    config: TimeDiscountConfig

    def encoder_model_loss(
        self, sequences: Transitions, noise: Noise, policy: Policy
    ) -> tuple[Tensor, Diagnostics]:
        """Encoder-and-model loss (a) with discounted steps."""
        net = self.networks
        rollout = objectives.unroll(net, net.encoder(sequences.observation[:, 0]), sequences, noise)
        return discounted_objective(net, self.kl_encoder, sequences, rollout, noise, self.config, policy)
