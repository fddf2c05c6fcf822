"""ALM's representation with the policy loss of TD3 (Figures 5c and 10c): does ALM's policy objective matter?

The authors' code contains this loss but does not use it.
"""

from torch import Tensor

from alm.agent import ALM
from alm.networks import Networks
from alm.objectives import Diagnostics, Gaussian, Policy, sample
from alm.training.agent import Noise


def td3_actor_objective(
    networks: Networks, state: Gaussian, noise: Noise, policy: Policy
) -> tuple[Tensor, Diagnostics]:
    """Policy loss L_d = −mean min_j Q_j(z, a), z ~ ``state``, a from ``policy`` at z; trains π through a."""
    z = sample(state, noise["actor_z"])
    action, _ = policy(z, noise["actor_action"][:, 0])
    value = networks.min_value(z, action).mean(dim=-1)
    return -value, {"actor/value": value.detach()}


class TD3LossALM(ALM):
    """ALM with `td3_actor_objective` at every step, without a target actor or delay."""

    unused_settings = ("trace",)

    def actor_loss(self, state: Gaussian, noise: Noise, policy: Policy) -> tuple[Tensor, Diagnostics]:
        """Actor loss (d) without the model."""
        return td3_actor_objective(self.networks, state, noise, policy)
