"""The ALM agent: what it does at each step of training, in the order of the authors' code."""

from collections.abc import Sequence

import torch
from torch import Tensor

from alm import objectives
from alm.config import ALMConfig
from alm.networks import Networks
from alm.objectives import sample, straight_through_clamp
from alm.tasks.registry import TaskSpec
from alm.training.learner import Learner, Noise
from alm.training.optimisation import OptimiserGroup
from alm.training.population import soft_update
from alm.training.protocol import Metrics
from alm.training.replay import Replay, Transitions
from alm.training.streams import Purpose, Streams


class ALM(Learner):
    """Aligned Latent Models for a population of seeds (`alm.training.protocol.Agent`).

    Args:
        task: sizes and action bounds.
        config: hyper-parameters.
        seeds: one learner each; outcomes depend on the seed alone, not on its neighbours.
        device, dtype: where and in what precision the networks live.
    """

    name = "alm"
    networks: Networks

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
        self.networks = Networks(
            task.observation_size, task.action_size, config, initialisation.generators
        ).to(device=device, dtype=dtype)
        self.noise_shapes = objectives.noise_shapes(config, task.action_size)
        net, lr, clip = self.networks, config.learning_rate, config.max_grad_norm
        self.groups = {
            "encoder_model": OptimiserGroup((net.model, net.encoder), len(self.seeds), lr, clip),
            "heads": OptimiserGroup((net.reward, net.classifier), len(self.seeds), lr, clip),
            "critic": OptimiserGroup((net.critic,), len(self.seeds), lr, clip),
            "actor": OptimiserGroup((net.actor,), len(self.seeds), lr, clip),
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
        self, sequences: Transitions, transitions: Transitions, noise: Noise, training_step: int
    ) -> Metrics:
        """One gradient step for each group, then the targets; returns metrics of shape (S,).

        The order is the authors': encoder and model; reward and classifier; critics; actor.  Each
        step sees the networks that those before it have changed.
        """
        net, config, bounds = self.networks, self.config, self.bounds
        std = config.exploration_std(training_step)
        metrics: Metrics = {}

        loss, diagnostics = objectives.encoder_model_objective(net, sequences, noise, config, std, bounds)
        self._descend("encoder_model", loss, diagnostics, metrics)

        # The target encoder stands still until the end of the update: (b)–(d) draw their own samples
        # from the same two distributions.
        with torch.no_grad():
            both = torch.cat([transitions.observation, transitions.next_observation], dim=1)
            mean, deviation = net.target_encoder(both)
        (mean, next_mean), (deviation, next_deviation) = mean.chunk(2, dim=1), deviation.chunk(2, dim=1)
        state, next_state = (mean, deviation), (next_mean, next_deviation)

        loss, diagnostics = objectives.heads_objective(net, transitions, state, next_state, noise)
        self._descend("heads", loss, diagnostics, metrics)
        loss, diagnostics = objectives.critic_objective(
            net, transitions, state, next_state, noise, config, std, bounds
        )
        self._descend("critic", loss, diagnostics, metrics)
        loss, diagnostics = objectives.actor_objective(net, state, noise, config, std, bounds)
        self._descend("actor", loss, diagnostics, metrics)

        soft_update(net.target_encoder, net.encoder, config.target_rate)
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics

    def _descend(self, group: str, loss: Tensor, diagnostics: Metrics, metrics: Metrics) -> None:
        self.descend(group, loss, metrics)
        metrics.update(diagnostics)

    @torch.no_grad()
    def value_estimate(self, observation: Tensor, action: Tensor, streams: Streams) -> Tensor:
        """L^K(s, a), the lower bound that the paper's bias analysis compares with returns → (S, batch)."""
        batch, latent = observation.shape[1], self.config.latent_size
        noise = {
            "z": streams.normal(batch, latent, dtype=observation.dtype),
            "model": streams.normal(self.config.horizon, batch, latent, dtype=observation.dtype),
        }
        return objectives.lower_bound(self.networks, observation, action, noise, self.config)

    @torch.no_grad()
    def act_with_bonus(self, observation: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Evaluation actions, which earn no bonus (`alm.training.bias_protocol.Estimating`)."""
        action = self.act_greedily(observation, streams)
        return action, torch.zeros_like(action[..., 0])

    @torch.no_grad()
    def estimates(self, observation: Tensor, action: Tensor, streams: Streams) -> dict[str, Tensor]:
        """L^K(s, a), and min_j Q_j(z, a) at z ~ ē(s), each (S, batch); see `bias_protocol.Estimating`."""
        noise = streams.normal(observation.shape[1], self.config.latent_size, dtype=observation.dtype)
        min_q = self.networks.min_value(sample(self.networks.target_encoder(observation), noise), action)
        return {"lower_bound": self.value_estimate(observation, action, streams), "min_q": min_q}
