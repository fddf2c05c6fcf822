"""ALM whose policy pays for large actions."""

from dataclasses import dataclass

from torch import Tensor

from alm.agent import ALM
from alm.config import ALMConfig
from alm.objectives import Diagnostics, Gaussian, Policy, sample
from alm.training.agent import Noise
from alm.variants import Variant


@dataclass(frozen=True)
class CalmConfig(ALMConfig):
    """ALM's settings and one more."""

    action_cost: float = 0.01
    """Weight of the mean squared action in the policy objective."""


class CalmALM(ALM):
    """ALM whose actor also makes its actions small."""

    config: CalmConfig

    def actor_loss(self, state: Gaussian, noise: Noise, policy: Policy) -> tuple[Tensor, Diagnostics]:
        """ALM's loss (S,) and the cost of the mean actions at z ~ state."""
        loss, diagnostics = super().actor_loss(state, noise, policy)
        action = self.networks.actor(sample(state, noise["actor_z"]))
        cost = action.square().mean(dim=(1, 2))
        return loss + self.config.action_cost * cost, {**diagnostics, "actor/action_cost": cost.detach()}


VARIANTS = {
    "alm": [
        Variant("my-idea", "actions cost 0.01", agent=CalmALM, config=CalmConfig),
        Variant("my-idea-0.1", "0.1", agent=CalmALM, config=CalmConfig, changes={"action_cost": 0.1}),
        Variant("my-slow", "half the learning rate, nothing else", changes={"learning_rate": 5e-5}),
    ]
}
