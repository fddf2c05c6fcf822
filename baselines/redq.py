"""Randomised ensembled double Q-learning (Chen et al., 2021; code watchernyu/REDQ), and SAC-AVG.

SAC with ten critics, many updates per environment step, and targets from a random pair of the
critics. SAC-AVG ("REDQ-ave" there) uses the mean of all ten target critics instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from alm.task_registry import TaskSpec
from alm.training.agent import Metrics, Noise, NoiseShapes
from alm.training.population import soft_update
from alm.training.ranges import Count
from alm.training.replay import Replay, Transitions
from alm.training.scale import Scale
from alm.training.schedules import Step
from alm.training.streams import Streams
from baselines.networks import scale_action
from baselines.sac import (
    SAC,
    SACConfig,
    SoftNetworks,
    actor_objective,
    average,
    constant_target_entropy,
    critic_objective,
    published_target_entropy,
    smallest,
    soft_return,
)


@dataclass(frozen=True)
class REDQConfig(SACConfig):
    """Hyper-parameters of REDQ: SAC's, and its own."""

    critics: Count = 10
    """N, critics in the ensemble."""
    target_critics: Count | None = 2
    """M, target critics drawn per update, whose minimum is used; ``None``: mean of all N."""
    updates_per_step: Count = 20
    """G, critic updates per environment step; the policy is updated with the last of them."""

    def conflict(self) -> str | None:
        """Explanation of why these settings are incompatible; None if they are compatible."""
        if self.target_critics is not None and self.target_critics > self.critics:
            return f"target_critics={self.target_critics} are more than all critics={self.critics}"
        return None

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale with the target entropy of a task's robot."""
        return cls(
            warmup_steps=scale.warmup(cls.warmup_steps),
            hidden_size=scale.width(cls.hidden_size),
            batch_size=scale.batch(cls.batch_size),
            target_entropy=published_target_entropy(task),
        )


@dataclass(frozen=True)
class SACAverageConfig(REDQConfig):
    """SAC-AVG: REDQ whose target is the mean of all target critics."""

    target_critics: Count | None = None


def draw_members(scores: Tensor, size: int) -> Tensor:
    """``size`` distinct critics of N, drawn uniformly → indices (…, size).

    ``scores`` (…, N) are independent draws from one continuous distribution; the largest are chosen.
    """
    return scores.topk(size, dim=-1).indices


@torch.no_grad()
def critic_target(
    networks: SoftNetworks,
    transitions: Transitions,
    next_action: Tensor,
    next_log_probability: Tensor,
    members: Tensor | None,
    discount: float,
) -> Tensor:
    """Regression target of all N critics → (S, batch), without gradient.

    y = r + γ (1 − d) (V̄ − α log π(a'|s')),  a' ~ π(s'),

    V̄ the minimum of Q̄_i(s', a') over i in ``members`` (S, M), or the mean of all N if that is ``None``.
    """
    if members is None:
        next_value = average(networks.target_critic(transitions.next_observation, next_action))
    else:
        chosen = networks.target_critic.chosen(transitions.next_observation, next_action, members)
        next_value = smallest(chosen)
    return soft_return(networks, transitions, next_value, next_log_probability, discount)


class REDQNetworks(SoftNetworks):
    """`SoftNetworks` with an ensemble of critics."""

    def __init__(self, task: TaskSpec, config: REDQConfig, generators: Sequence[torch.Generator]) -> None:
        super().__init__(task, config, generators, ensemble=config.critics)


def official_log_slope(x: Tensor) -> Tensor:
    """log(1 − tanh² x + 1e-6), as in the reference: at least −13.8 where tanh saturates."""
    return torch.log(1.0 - torch.tanh(x).square() + 1e-6)


class OfficialDensityNetworks(REDQNetworks):
    """`REDQNetworks` with the reference's log-probability."""

    def __init__(self, task: TaskSpec, config: REDQConfig, generators: Sequence[torch.Generator]) -> None:
        super().__init__(task, config, generators)
        self.actor.log_slope = official_log_slope


class REDQ(SAC):
    """REDQ for a population of seeds (`alm.training.agent.Agent`)."""

    name = "redq"
    config: REDQConfig
    network_class = REDQNetworks

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """Shapes of SAC's noise, and of the scores that draw critics."""
        if self.config.target_critics is None:
            return super().noise_shapes
        return super().noise_shapes | {"members": (self.config.critics,)}

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """The G updates of one environment step, with all batches and noise drawn at once."""
        updates = self.config.updates_per_step
        batches = replay.sample((updates, self.config.batch_size), self.learning)
        return self.update_often(batches, self.draw_noise(updates), (training_step - 1) * updates + 1)

    def branch(self, training_step: int) -> bool:
        """Whether the policy is updated as well: in the last of an environment step's updates."""
        return training_step % self.config.updates_per_step == 0

    def update(
        self, transitions: Transitions, noise: Noise, training_step: Step, branch: bool | None = None
    ) -> Metrics:
        """One step of all critics and their targets, in every G-th update also of the policy.

        ``training_step`` counts updates. As in the reference, the policy's loss uses the critics before their
        step. Metrics are (S,).
        """
        net, config = self.networks, self.config
        metrics: Metrics = {}
        with torch.no_grad():
            unit, log_probability = net.actor.sample(transitions.next_observation, noise["next_action"])
            next_action = scale_action(unit, self.bounds)
        members = None
        if config.target_critics is not None:
            members = draw_members(noise["members"], config.target_critics)
        target = critic_target(net, transitions, next_action, log_probability, members, config.discount)

        if self.branch(int(training_step)) if branch is None else branch:
            target_entropy = constant_target_entropy(config.target_entropy, self.task)
            policy = actor_objective(net, transitions.observation, noise["action"], self.bounds, average)
            self.improve_policy(*policy, target_entropy, metrics)
        self.descend("critic", critic_objective(net.critic, transitions, target), metrics)
        metrics["critic/target"] = target.mean(dim=-1)
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics

    @torch.no_grad()
    def estimates(self, observation: Tensor, action: Tensor, streams: Streams) -> dict[str, Tensor]:
        """The mean of the ensemble (S, batch) (`alm.training.bias_protocol.Estimating`)."""
        del streams
        return {"mean_q": average(self.networks.critic(observation, action))}


class SACAverage(REDQ):
    """SAC-AVG: REDQ with `SACAverageConfig`."""

    name = "sac-avg"


class OfficialDensityREDQ(REDQ):
    """REDQ with the reference's log-probability, whose entropy bonus is larger for saturated actions."""

    network_class = OfficialDensityNetworks
