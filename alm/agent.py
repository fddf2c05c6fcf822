"""The ALM agent: what it does at each step of training, in the order of the authors' code."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alm import objectives
from alm.config import ALMConfig
from alm.networks import Networks
from alm.objectives import Diagnostics, Gaussian, Policy, sample, straight_through_clamp
from alm.tasks.registry import TaskSpec
from alm.training.learner import Learner, Noise
from alm.training.optimisation import OptimiserGroup
from alm.training.population import soft_update
from alm.training.protocol import Metrics
from alm.training.replay import Replay, Transitions
from alm.training.schedules import Step
from alm.training.streams import Purpose, Streams


class ALM(Learner):
    """Aligned Latent Models for a population of seeds (`alm.training.protocol.Agent`).

    A variant (`alm.variants`) replaces one of the parts below: ``network_class``, ``trained``, ``policy``,
    ``represent``, one of the three losses, or how a value is estimated.

    Args:
        task: sizes and action bounds.
        config: hyper-parameters.
        seeds: one learner each; outcomes depend on the seed alone, not on its neighbours.
        device, dtype: where and in what precision the networks live.
    """

    name = "alm"
    networks: Networks
    network_class: type[Networks] = Networks

    def __init__(
        self,
        task: TaskSpec,
        config: ALMConfig,
        seeds: Sequence[int],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(task, seeds, device)
        self.config = config
        initialisation = Streams(self.seeds, Purpose.INITIALISATION)
        self.networks = self.network_class(
            task.observation_size, task.action_size, config, initialisation.generators
        ).to(device=device, dtype=dtype)
        self.noise_shapes = objectives.noise_shapes(config, task.action_size)
        self.groups = {
            name: OptimiserGroup(modules, len(self.seeds), config.learning_rate, config.max_grad_norm)
            for name, modules in self.trained().items()
        }

    def trained(self) -> dict[str, tuple[nn.Module, ...]]:
        """The networks of each optimiser group."""
        net = self.networks
        return {
            "encoder_model": (net.model, net.encoder),
            "heads": (net.reward, net.classifier),
            "critic": (net.critic,),
            "actor": (net.actor,),
        }

    @torch.no_grad()
    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Exploring actions for observations (S, batch, observation): unclipped noise σ_t."""
        batch, config = observation.shape[1], self.config
        noise = streams.normal(batch, config.latent_size + self.task.action_size, dtype=observation.dtype)
        z = sample(self.networks.encoder(observation), noise[..., : config.latent_size])
        mean = self.networks.actor(z)
        std = config.exploration_std(training_step)
        return straight_through_clamp(mean + std * noise[..., config.latent_size :], *self.bounds)

    @torch.no_grad()
    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions: the actor's mean at a sampled representation, neither noisy nor clamped."""
        noise = streams.normal(observation.shape[1], self.config.latent_size, dtype=observation.dtype)
        return self.networks.actor(sample(self.networks.encoder(observation), noise))

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

        The order is the authors': encoder and model; reward and classifier; critics; actor.  Each
        step sees the networks that those before it have changed.
        """
        net, config = self.networks, self.config
        policy = self.policy(training_step)
        metrics: Metrics = {}

        self._descend("encoder_model", self.encoder_model_loss(sequences, noise, policy), metrics)
        # No encoder that (b)–(d) see moves before the end of the update: they draw their own samples from
        # the same two distributions.
        state, next_state = self.represent(transitions)
        self.learn_values(transitions, state, next_state, noise, policy, metrics)
        self._descend("actor", self.actor_loss(state, noise, policy), metrics)

        soft_update(net.target_encoder, net.encoder, config.target_rate)
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics

    def policy(self, training_step: Step) -> Policy:
        """The policy inside updates: noise of deviation σ_t, clipped."""
        config = self.config
        return objectives.exploring(
            self.networks, config.exploration_std(training_step), config.exploration_clip, self.bounds
        )

    def encoder_model_loss(
        self, sequences: Transitions, noise: Noise, policy: Policy
    ) -> tuple[Tensor, Diagnostics]:
        """(a) on sequences (S, K, batch, …)."""
        net = self.networks
        rollout = objectives.unroll(net, net.encoder(sequences.observation[:, 0]), sequences, noise)
        return objectives.encoder_model_objective(net, sequences, rollout, noise, self.config, policy)

    @torch.no_grad()
    def represent(self, transitions: Transitions) -> tuple[Gaussian, Gaussian]:
        """ē(·|s) and ē(·|s'), from which (b), (c) and (d) draw."""
        both = torch.cat([transitions.observation, transitions.next_observation], dim=1)
        mean, deviation = self.networks.target_encoder(both)
        (mean, next_mean), (deviation, next_deviation) = mean.chunk(2, dim=1), deviation.chunk(2, dim=1)
        return (mean, deviation), (next_mean, next_deviation)

    def learn_values(
        self,
        transitions: Transitions,
        state: Gaussian,
        next_state: Gaussian,
        noise: Noise,
        policy: Policy,
        metrics: Metrics,
    ) -> None:
        """A step of (b), reward and classifier, then one of (c), the critics."""
        net = self.networks
        heads = objectives.heads_objective(net, transitions, state, next_state, noise)
        self._descend("heads", heads, metrics)
        critic = objectives.critic_objective(net, transitions, state, next_state, noise, self.config, policy)
        self._descend("critic", critic, metrics)

    def actor_loss(self, state: Gaussian, noise: Noise, policy: Policy) -> tuple[Tensor, Diagnostics]:
        """(d) from z_0 ~ ``state``."""
        return objectives.actor_objective(self.networks, state, noise, self.config, policy)

    def _descend(self, group: str, objective: tuple[Tensor, Diagnostics], metrics: Metrics) -> None:
        loss, diagnostics = objective
        self.descend(group, loss, metrics)
        metrics.update(diagnostics)

    def represent_for_value(self, observation: Tensor) -> Gaussian:
        """The representation of a state whose value is asked for, as the critics know it: ē(·|s)."""
        return self.networks.target_encoder(observation)

    def valued_policy(self, z: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The policy whose value is estimated (a `Policy`): the actor's mean, whatever the noise."""
        del noise
        action = self.networks.actor(z)
        return action, torch.zeros_like(action[..., 0])

    @torch.no_grad()
    def value_estimate(self, observation: Tensor, action: Tensor, streams: Streams) -> Tensor:
        """L^K(s, a), the lower bound that the paper's bias analysis compares with returns → (S, batch)."""
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
