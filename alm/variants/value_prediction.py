"""ALM whose representation is also trained to predict values (Figures 18 and 19).

`ValueEncoderALM` follows the authors' branch of rebuttal experiments. The code behind Figure 19 is
unreleased; `ValueEncoderModelALM` is our interpretation of its caption.
"""

from functools import cached_property

import torch
from torch import Tensor

from alm import objectives
from alm.agent import ALM
from alm.config import ALMConfig
from alm.networks import Networks
from alm.objectives import Diagnostics, Gaussian, Policy, Rollout, sample
from alm.training.agent import Metrics, Noise, NoiseShapes
from alm.training.optimisation import step_together
from alm.training.population import soft_update
from alm.training.replay import Transitions
from alm.training.schedules import Step


class ValueEncoderALM(ALM):
    """ALM whose reward, classifier and critic losses also train the encoder.

    They see z ~ e(s) with gradient and z' ~ ē(s') without. Encoder, heads and critics take one step on the
    sum of the losses. For the encoder it is the update's second step, after that on ALM's own objective.
    """

    def update(
        self, sequences: Transitions, transitions: Transitions, noise: Noise, training_step: Step
    ) -> Metrics:
        """ALM's update, but one step on L_b + L_c, in which each of the three groups is clipped separately.

        That loss does not depend on the model, so the model and its moments do not change, as in torch ≥ 2
        (earlier versions had zero gradients, and Adam's momentum moved the parameters).
        """
        net, config = self.networks, self.config
        policy = self.policy(training_step)
        metrics: Metrics = {}

        self.take_step("encoder_model", self.encoder_model_loss(sequences, noise, policy), metrics)
        state, next_state = self.represent(transitions)
        heads, about_heads = self.heads_loss(transitions, state, next_state, noise)
        critic, about_critic = self.critic_loss(transitions, state, next_state, noise, policy)
        groups = [self.groups[name] for name in ("encoder_model", "heads", "critic")]
        norms = step_together(groups, heads + critic)
        metrics |= {
            "loss/heads": heads.detach(),
            "loss/critic": critic.detach(),
            **about_heads,
            **about_critic,
        }
        for name, norm in zip(("encoder", "heads", "critic"), norms, strict=True):
            metrics[f"grad_norm/{name}"] = norm
        # (d) starts from e(·|s) as it was before its second step, which (b) and (c) have seen.
        self.take_step("actor", self.actor_loss(state, noise, policy), metrics)

        soft_update(net.target_encoder, net.encoder, config.target_rate)
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics

    def represent(self, transitions: Transitions) -> tuple[Gaussian, Gaussian]:
        """e(·|s) with gradient and ē(·|s') without; (d) detaches its initial z_0."""
        with torch.no_grad():
            next_state = self.networks.target_encoder(transitions.next_observation)
        return self.networks.encoder(transitions.observation), next_state

    def represent_for_value(self, observation: Tensor) -> Gaussian:
        """Distribution e(·|s), the one that the critics see."""
        gaussian: Gaussian = self.networks.encoder(observation)
        return gaussian


def value_prediction_objective(
    networks: Networks,
    sequences: Transitions,
    rollout: Rollout,
    noise: Noise,
    config: ALMConfig,
    policy: Policy,
) -> Tensor:
    """Temporal-difference error along a rollout → (S,); trains e (through z_0) and m (through z_{t≥1}).

    Σ_{t<K} ½ Σ_j mean (Q_j(z_t, a_t) − y_t)²,  y_t the critics' target for the replayed transition t.
    """
    size = len(rollout.predictions), sequences.reward.shape[2]
    with torch.no_grad():
        next_state = networks.target_encoder(sequences.next_observation.flatten(1, 2))
        target = objectives.bellman_target(
            networks,
            sequences.reward.flatten(1, 2),
            sequences.terminal.flatten(1, 2),
            sample(next_state, noise["sequence_next_z"].flatten(1, 2)),
            noise["sequence_next_action"].flatten(1, 2),
            config.discount,
            policy,
        )
    values = networks.values(torch.cat(rollout.latents[:-1], dim=1), sequences.action.flatten(1, 2))
    error = torch.unflatten(values - target[:, None], 2, size)
    return 0.5 * error.square().mean(dim=-1).sum(dim=(1, 2))


class ValueEncoderModelALM(ALM):
    """ALM with `value_prediction_objective` added to the encoder-and-model objective."""

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """Shapes of ALM's noise and of the noise for the critics' targets along a rollout."""
        size = self.config.horizon, self.config.batch_size
        return super().noise_shapes | {
            "sequence_next_z": (*size, self.config.latent_size),
            "sequence_next_action": (*size, self.task.action_size),
        }

    def encoder_model_loss(
        self, sequences: Transitions, noise: Noise, policy: Policy
    ) -> tuple[Tensor, Diagnostics]:
        """Encoder-and-model loss (a) plus the critics' errors along its rollout."""
        net, config = self.networks, self.config
        rollout = objectives.unroll(net, net.encoder(sequences.observation[:, 0]), sequences, noise)
        loss, diagnostics = objectives.encoder_model_objective(
            net, self.kl_encoder, sequences, rollout, noise, config, policy
        )
        error = value_prediction_objective(net, sequences, rollout, noise, config, policy)
        return loss + error, {**diagnostics, "model/value_error": error.detach()}
