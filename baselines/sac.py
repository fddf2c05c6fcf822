"""Soft actor-critic with a learned temperature (Haarnoja et al., 2018).

The ALM paper does not say which implementation produced its curves.  This one has the conventions of
watchernyu/REDQ, of which SAC is the case of two critics and one update a step: networks, initialisation,
log-probability, and that every loss of an update is taken before any of its steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alm.tasks.registry import TaskSpec
from alm.training.learner import Noise
from alm.training.population import soft_update
from alm.training.protocol import Metrics
from alm.training.replay import Replay, Transitions
from alm.training.scale import Scale
from alm.training.schedules import Step
from alm.training.streams import Purpose, Streams
from baselines.networks import critic_objective, scale_action
from baselines.soft_policy import (
    SoftLearner,
    SoftNetworks,
    actor_objective,
    constant_target_entropy,
    sample_action,
    smallest,
    soft_return,
)


@dataclass(frozen=True)
class SACConfig:
    """Hyper-parameters of SAC."""

    discount: float = 0.99
    """γ."""
    target_rate: float = 0.005
    """τ, step of the target critics towards the online ones."""
    hidden_size: int = 256
    """Width of both layers of the actor and the critics."""
    batch_size: int = 256
    """Transitions for one update."""
    learning_rate: float = 3e-4
    """Adam's step size for critics, actor and log α."""
    initial_temperature: float = 1.0
    """α before the first update."""
    target_entropy: float | None = None
    """H̄; ``None``: minus the number of action dimensions."""
    warmup_steps: int = 5000
    """Uniformly random actions before the first update."""
    replay_capacity: int = 1_000_000
    """Transitions kept."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> "SACConfig":
        """The configuration of a scale; nothing depends on the task."""
        del task
        return cls(
            warmup_steps=scale.warmup(cls.warmup_steps),
            hidden_size=scale.width(cls.hidden_size),
            batch_size=scale.batch(cls.batch_size),
        )


@torch.no_grad()
def soft_target(
    networks: SoftNetworks,
    transitions: Transitions,
    noise: Tensor,
    discount: float,
    bounds: tuple[float, float],
) -> Tensor:
    """What both critics regress to → (S, batch), without gradient.

    y = r + γ (1 − d) (min_j Q̄_j(s', a') − α log π(a'|s')),  a' ~ π(s').
    """
    unit, log_probability = sample_action(networks.actor(transitions.next_observation), noise)
    next_value = smallest(networks.target_critic(transitions.next_observation, scale_action(unit, bounds)))
    return soft_return(networks, transitions, next_value, log_probability, discount)


class SAC(SoftLearner):
    """SAC for a population of seeds (`alm.training.protocol.Agent`).

    Args:
        task: sizes and action bounds.
        config: hyper-parameters.
        seeds: one learner each; outcomes depend on the seed alone, not on its neighbours.
        device, dtype: where and in what precision the networks live.
    """

    name = "sac"

    def __init__(
        self,
        task: TaskSpec,
        config: SACConfig,
        seeds: Sequence[int],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        generators = Streams(seeds, Purpose.INITIALISATION).generators
        networks = SoftNetworks(task, config, 2, generators)
        super().__init__(task, config, networks, seeds, device, dtype)
        self.config = config
        self.target_entropy = constant_target_entropy(config.target_entropy, task)
        action = (config.batch_size, task.action_size)
        self.noise_shapes = {"next_action": action, "action": action}

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """One update on a fresh batch and noise from the learning streams."""
        transitions = replay.sample(self.config.batch_size, self.learning)
        return self.update(transitions, self.draw_noise(), training_step)

    def update(self, transitions: Transitions, noise: Noise, training_step: Step) -> Metrics:
        """One gradient step of actor, temperature and critics, then the targets; metrics are (S,).

        The order gives each loss the networks as they were before the update: the target is taken
        first, the policy does not see the critics' step, the actor's and critics' losses see the old α.
        """
        del training_step
        net, config = self.networks, self.config
        metrics: Metrics = {}
        target = soft_target(net, transitions, noise["next_action"], config.discount, self.bounds)

        policy = actor_objective(net, transitions.observation, noise["action"], self.bounds)
        self.improve_policy(*policy, self.target_entropy, metrics)
        self.descend("critic", critic_objective(net.critic, transitions, target), metrics)
        metrics["critic/target"] = target.mean(dim=-1)
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics

    @torch.no_grad()
    def estimates(self, observation: Tensor, action: Tensor, streams: Streams) -> dict[str, Tensor]:
        """The smaller of the two critics' values (S, batch) (`alm.training.bias_protocol.Estimating`)."""
        del streams
        return {"min_q": smallest(self.networks.critic(observation, action))}
