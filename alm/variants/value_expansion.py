"""ALM whose critics also learn along the model's rollouts (appendix G's "value expansion").

The appendix only says "training the critic using data generated from the model rollouts"; this is
the value expansion of Feinberg et al. (2018), "Model-Based Value Estimation for Efficient Model-Free
Reinforcement Learning", with its targets for every state along a rollout.
"""

from functools import cached_property

import torch
from torch import Tensor

from alm.agent import ALM
from alm.config import ALMConfig
from alm.networks import Networks
from alm.objectives import Diagnostics, Gaussian, Policy, sample
from alm.training.agent import Noise, NoiseShapes
from alm.training.replay import Transitions


def expansion_objective(
    networks: Networks,
    transitions: Transitions,
    state: Gaussian,
    next_state: Gaussian,
    noise: Noise,
    config: ALMConfig,
    policy: Policy,
) -> tuple[Tensor, Diagnostics]:
    """Critic loss along a rollout of K steps, the first of which is real; trains Q_1 and Q_2.

    z_0 ~ ē(s), a_0 = a, r_0 = r, z_1 ~ ē(s'); then a_t is π's noisy action at z_t, r_t = r̂(z_t, a_t),
    z_{t+1} ~ m(z_t, a_t). Targets are computed backwards from the rollout's end; after a terminal transition
    there are none:

    y_K = min_j Q̄_j(z_K, a_K),  y_t = r_t + γ y_{t+1},  y_0 = r_0 + γ (1 − d) y_1,
    L_c = (1/K) Σ_{t<K} ½ Σ_j mean w_t (Q_j(z_t, a_t) − y_t)²,  w_0 = 1, w_t = 1 − d.

    With K = 1 this is ALM's own critic loss.
    """
    horizon, goes_on = config.horizon, 1.0 - transitions.terminal
    latents, actions = [sample(state, noise["critic_z"])], [transitions.action]
    rewards = [transitions.reward]
    with torch.no_grad():
        z = sample(next_state, noise["critic_next_z"])
        for t in range(horizon - 1):
            action, _ = policy(z, noise["expansion_action"][:, t])
            latents.append(z)
            actions.append(action)
            rewards.append(networks.predict_reward(z, action))
            z = sample(networks.model(z, action), noise["expansion_model"][:, t])
        last_action, _ = policy(z, noise["critic_action"])
        target = networks.target_critic(z, last_action)[..., 0].amin(dim=1)
        targets: list[Tensor] = []
        for t in reversed(range(horizon)):
            target = rewards[t] + config.discount * (goes_on if t == 0 else 1.0) * target
            targets.insert(0, target)

    values = networks.values(torch.cat(latents, dim=1), torch.cat(actions, dim=1))
    error = torch.unflatten(values - torch.cat(targets, dim=1)[:, None], 2, (horizon, -1))
    weight = torch.stack([torch.ones_like(goes_on), *[goes_on] * (horizon - 1)], dim=1)
    loss = 0.5 * (weight[:, None] * error.square()).mean(dim=-1).sum(dim=(1, 2)) / horizon
    return loss, {
        "critic/target": targets[0].mean(dim=-1),
        "critic/target_min": targets[0].amin(dim=-1),
        "critic/target_max": targets[0].amax(dim=-1),
    }


class ValueExpansionALM(ALM):
    """ALM with `expansion_objective` for its critics."""

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """Shapes of ALM's noise and of the noise for the critics' rollouts."""
        size = self.config.horizon - 1, self.config.batch_size
        return super().noise_shapes | {
            "expansion_action": (*size, self.task.action_size),
            "expansion_model": (*size, self.config.latent_size),
        }

    def critic_loss(
        self, transitions: Transitions, state: Gaussian, next_state: Gaussian, noise: Noise, policy: Policy
    ) -> tuple[Tensor, Diagnostics]:
        """Critic loss (c) along rollouts."""
        return expansion_objective(self.networks, transitions, state, next_state, noise, self.config, policy)
