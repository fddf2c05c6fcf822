"""ALM-ENT(K): ALM with a stochastic policy and the entropy bonus of SAC (Table 5).

The paper gives the name and the idea, "as in SAC-SVG"; everything else is our choice. The policy is the
stochastic actor that the authors' code contains but does not use. Its bonus −α log π enters like any other
(`alm.objectives`): at every imagined action, in the critics' targets, and in the lower bound.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from alm.agent import ALM
from alm.config import ALMConfig
from alm.networks import Networks, bounded_std
from alm.objectives import Diagnostics, Gaussian, Policy, sample, straight_through_clamp
from alm.task_registry import task_spec
from alm.training.agent import Metrics, Noise
from alm.training.population import mlp
from alm.training.ranges import Positive
from alm.training.replay import Transitions
from alm.training.scale import Scale
from alm.training.schedules import ENTROPY_SCHEDULES, EntropySchedule, Step
from alm.training.streams import Streams
from alm.training.temperature import Temperature, temperature_objective

STD_MIN, STD_MAX = math.exp(-5.0), math.exp(2.0)
# Robots of Table 5, which compares with SAC-SVG; they use its target entropies.
_OF_TABLE_5 = ("Ant", "Humanoid")


@dataclass(frozen=True)
class EntropyConfig(ALMConfig, EntropySchedule):
    """ALM's hyper-parameters (those of exploration are unused) and those of the temperature."""

    initial_temperature: Positive = 0.1
    """α before the first update."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale on a task; outside Table 5, H̄ is minus the number of actuators."""
        spec = task_spec(task)
        constant = -float(spec.action_size)
        schedule = EntropySchedule(constant, constant, 1.0, 1)
        if spec.robot in _OF_TABLE_5:
            schedule = ENTROPY_SCHEDULES[spec.robot]
        return replace(super().at(scale, task), **asdict(schedule))


class StochasticActor(nn.Module):
    """Gaussian policy on z: mean in (−1, 1) as in ALM's actor, std in [e⁻⁵, e²]."""

    def __init__(self, seeds: int, latent: int, hidden: int, action_size: int) -> None:
        super().__init__()
        self.layers = mlp(seeds, (latent, hidden, hidden, 2 * action_size))

    def forward(self, z: Tensor) -> Tensor:
        """The mean (S, batch, action)."""
        return self.distribution(z)[0]

    def distribution(self, z: Tensor) -> Gaussian:
        """Mean and std, each (S, batch, action); the std is 0.70 at raw 0."""
        mean, std = self.layers(z).chunk(2, dim=-1)
        return torch.tanh(mean), bounded_std(std, STD_MIN, STD_MAX)


class EntropyNetworks(Networks):
    """ALM's networks with a `StochasticActor` and the temperature α."""

    actor: StochasticActor
    temperature: Temperature

    def build(self, seeds: int, observation_size: int, action_size: int, config: ALMConfig) -> None:
        """Make the online networks; ``config`` must be an `EntropyConfig`."""
        assert isinstance(config, EntropyConfig)
        super().build(seeds, observation_size, action_size, config)
        self.actor = StochasticActor(seeds, config.latent_size, config.hidden_size, action_size)
        self.temperature = Temperature(seeds, config.initial_temperature)


def sample_action(
    actor: StochasticActor, z: Tensor, noise: Tensor, bounds: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Action a = clamp(x), straight through, x = μ(z) + σ(z) ε, and log π (S, batch), x's log-density."""
    mean, std = actor.distribution(z)
    log_probability = (-0.5 * noise.square() - std.log() - 0.5 * math.log(2 * math.pi)).sum(dim=-1)
    return straight_through_clamp(mean + std * noise, *bounds), log_probability


class EntropyALM(ALM):
    """ALM-ENT: sampled actions instead of a noise schedule, with an entropy bonus."""

    unused_settings = ("exploration_start", "exploration_end", "exploration_steps", "exploration_clip")
    config: EntropyConfig
    networks: EntropyNetworks
    network_class = EntropyNetworks

    def trained(self) -> dict[str, tuple[nn.Module, ...]]:
        """ALM's optimiser groups and the temperature's."""
        return super().trained() | {"temperature": (self.networks.temperature,)}

    def valued_policy(self, z: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """A sampled action and −α log π (a `Policy`)."""
        action, log_probability = sample_action(self.networks.actor, z, noise, self.bounds)
        return action, -self.networks.temperature()[:, None] * log_probability

    def policy(self, training_step: Step) -> Policy:
        """The same policy at every step."""
        del training_step
        return self.valued_policy

    @torch.no_grad()
    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Sampled actions (S, batch, action) for observations (S, batch, observation)."""
        del training_step
        return self.act_with_bonus(observation, streams)[0]

    def exploration_std(self, training_step: int) -> None:
        """None: actions are sampled."""
        del training_step

    @torch.no_grad()
    def act_with_bonus(self, observation: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Sampled actions at z ~ e(s), and −α log π of each (S, batch)."""
        latent = self.config.latent_size
        noise = streams.normal(observation.shape[1], latent + self.task.action_size, dtype=observation.dtype)
        z = sample(self.networks.encoder(observation), noise[..., :latent])
        return self.valued_policy(z, noise[..., latent:])

    def actor_loss(self, state: Gaussian, noise: Noise, policy: Policy) -> tuple[Tensor, Diagnostics]:
        """Actor loss (d) with bonuses; diagnostics include the entropy of the first imagined actions."""
        loss, diagnostics = super().actor_loss(state, noise, policy)
        with torch.no_grad():
            z = sample(state, noise["actor_z"])
            first = noise["actor_action"][:, 0]
            _, log_probability = sample_action(self.networks.actor, z, first, self.bounds)
        return loss, {**diagnostics, "actor/entropy": -log_probability.mean(dim=-1)}

    def update(
        self, sequences: Transitions, transitions: Transitions, noise: Noise, training_step: Step
    ) -> Metrics:
        """ALM's update, then a temperature step on the first imagined actions of (d)."""
        metrics = super().update(sequences, transitions, noise, training_step)
        temperature = self.networks.temperature
        target = self.config.target_entropy(self.config.warmup_steps + training_step)
        metrics["actor/temperature"] = temperature()
        log_probability = -metrics["actor/entropy"][:, None]
        self.descend("temperature", temperature_objective(temperature, log_probability, target), metrics)
        metrics["actor/target_entropy"] = torch.zeros_like(metrics["actor/entropy"]) + target
        return metrics
