"""The ALM agent: acting and one training step, in the order of the authors' code.

The losses (a) to (d) are those of `alm.objectives`.
"""

import reprlib
from functools import cached_property

import torch
from torch import Tensor, nn

from alm import objectives
from alm.config import ALMConfig
from alm.networks import Networks
from alm.objectives import Diagnostics, Gaussian, Policy, noisy_action, sample, straight_through_clamp
from alm.training.agent import Agent, ContractError, Metrics, Noise, NoiseShapes
from alm.training.optimisation import OptimiserGroup
from alm.training.population import soft_update
from alm.training.replay import Replay, Transitions
from alm.training.schedules import Step
from alm.training.streams import Streams


class ALM(Agent):
    """Aligned Latent Models for a population of seeds (`alm.training.agent.Agent`).

    A variant (`alm.variants`) replaces some of the parts below, such as ``network_class``, ``policy``, a loss
    and its ``noise_shapes``, or how a value is estimated; docs/new_variant.md lists them.
    """

    name = "alm"
    faster_compiled = True
    policy_modules = ("encoder", "actor")
    networks: Networks
    network_class: type[Networks] = Networks
    config: ALMConfig

    def optimiser_groups(self) -> dict[str, OptimiserGroup]:
        """One optimiser group for each entry of `trained`, all with the same step size and clipping."""
        seeds, lr, clip = len(self.seeds), self.config.learning_rate, self.config.max_grad_norm
        return {name: OptimiserGroup(modules, seeds, lr, clip) for name, modules in self.trained().items()}

    def trained(self) -> dict[str, tuple[nn.Module, ...]]:
        """The networks of each optimiser group; "heads" are the reward and the classifier."""
        net = self.networks
        return {
            "encoder_model": (net.model, net.encoder),
            "heads": (net.reward, net.classifier),
            "critic": (net.critic,),
            "actor": (net.actor,),
        }

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """Shapes of the standard normal noise of one update (`alm.objectives.noise_shapes`)."""
        return objectives.noise_shapes(self.config, self.task.action_size)

    @torch.no_grad()
    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Exploratory actions for observations (S, batch, observation), with unclipped noise of std σ_t."""
        batch, config = observation.shape[1], self.config
        noise = streams.normal(batch, config.latent_size + self.task.action_size, dtype=observation.dtype)
        z = sample(self.networks.encoder(observation), noise[..., : config.latent_size])
        mean = self.networks.actor(z)
        std = config.exploration_std(training_step)
        # There is no gradient to pass on here; the clamp is that of updates, just inside the bounds.
        return straight_through_clamp(mean + std * noise[..., config.latent_size :], *self.bounds)

    def exploration_std(self, training_step: int) -> float | None:
        """Standard deviation σ_t of the noise on actions."""
        return float(self.config.exploration_std(training_step))

    @torch.no_grad()
    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions: the actor's mean at a sampled representation, without noise, within bounds."""
        noise = streams.normal(observation.shape[1], self.config.latent_size, dtype=observation.dtype)
        action: Tensor = self.networks.actor(sample(self.networks.encoder(observation), noise))
        return action.clamp(*self.bounds)

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """One training step on fresh batches and noise from the learning streams."""
        config = self.config
        sequences = replay.sample_sequences(
            config.batch_size, config.horizon, self.learning, config.reject_time_limits
        )
        transitions = replay.sample(config.batch_size, self.learning)
        return self.update(sequences, transitions, self.draw_noise(), training_step)

    def update(
        self, sequences: Transitions, transitions: Transitions, noise: Noise, training_step: Step
    ) -> Metrics:
        """One gradient step for each group, then the targets; returns metrics of shape (S,).

        The order is the authors': encoder and model; reward and classifier; critics; actor. Each
        step sees the networks as updated by the steps before it.
        """
        net, config = self.networks, self.config
        policy = self.policy(training_step)
        metrics: Metrics = {}

        self.take_step("encoder_model", self.encoder_model_loss(sequences, noise, policy), metrics)
        # ē does not change until the end of the update, so (b)–(d) draw their own samples from these two
        # distributions.
        state, next_state = self.represent(transitions)
        self.take_step("heads", self.heads_loss(transitions, state, next_state, noise), metrics)
        self.take_step("critic", self.critic_loss(transitions, state, next_state, noise, policy), metrics)
        self.take_step("actor", self.actor_loss(state, noise, policy), metrics)

        soft_update(net.target_encoder, net.encoder, config.target_rate)
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics

    def policy(self, training_step: Step) -> Policy:
        """The policy used inside updates: the actor's mean with clipped Gaussian noise of std σ_t."""
        std, clip = self.config.exploration_std(training_step), self.config.exploration_clip

        def noisy(z: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
            action = noisy_action(self.networks.actor(z), noise, std, clip, self.bounds)
            return action, torch.zeros_like(action[..., 0])

        return noisy

    def encoder_model_loss(
        self, sequences: Transitions, noise: Noise, policy: Policy
    ) -> tuple[Tensor, Diagnostics]:
        """Encoder-and-model loss (a) on sequences (S, K, batch, …)."""
        net = self.networks
        rollout = objectives.unroll(net, net.encoder(sequences.observation[:, 0]), sequences, noise)
        return objectives.encoder_model_objective(
            net, self.kl_encoder, sequences, rollout, noise, self.config, policy
        )

    @property
    def kl_encoder(self) -> nn.Module:
        """The encoder ē that the KL term of (a) pulls the model towards."""
        return self.networks.target_encoder

    @torch.no_grad()
    def represent(self, transitions: Transitions) -> tuple[Gaussian, Gaussian]:
        """ē(·|s) and ē(·|s'), from which (b), (c) and (d) draw."""
        both = torch.cat([transitions.observation, transitions.next_observation], dim=1)
        mean, std = self.networks.target_encoder(both)
        (mean, next_mean), (std, next_std) = mean.chunk(2, dim=1), std.chunk(2, dim=1)
        return (mean, std), (next_mean, next_std)

    def heads_loss(
        self, transitions: Transitions, state: Gaussian, next_state: Gaussian, noise: Noise
    ) -> tuple[Tensor, Diagnostics]:
        """Reward and classifier loss (b) at z ~ ``state``, for the classifier also at z' ~ ``next_state``."""
        return objectives.heads_objective(self.networks, transitions, state, next_state, noise)

    def critic_loss(
        self, transitions: Transitions, state: Gaussian, next_state: Gaussian, noise: Noise, policy: Policy
    ) -> tuple[Tensor, Diagnostics]:
        """Critic loss (c) at z ~ ``state`` and z' ~ ``next_state``."""
        return objectives.critic_objective(
            self.networks, transitions, state, next_state, noise, self.config, policy
        )

    def actor_loss(self, state: Gaussian, noise: Noise, policy: Policy) -> tuple[Tensor, Diagnostics]:
        """Actor loss (d) from z_0 ~ ``state``."""
        return objectives.actor_objective(self.networks, state, noise, self.config, policy)

    def take_step(self, group: str, objective: tuple[Tensor, Diagnostics], metrics: Metrics) -> None:
        """One gradient step of a group on an objective; records loss, gradient norm and diagnostics."""
        if not (isinstance(objective, tuple) and len(objective) == 2 and isinstance(objective[1], dict)):
            raise ContractError(
                f"the objective of the group {group!r} must be a pair of a loss (S,) and a dictionary of "
                f"diagnostics (S,), not {reprlib.repr(objective)}"
            )
        loss, diagnostics = objective
        self.descend(group, loss, metrics)
        metrics.update(diagnostics)

    # --- value estimates, whose bias is measured (Figures 4, 8): `alm.training.bias_protocol.Estimating`

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
