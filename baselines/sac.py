"""Soft actor-critic with a learned temperature (Haarnoja et al., "SAC Algorithms and Applications", 2018).

The ALM paper does not say which implementation produced its curves. This one follows the conventions of
watchernyu/REDQ for two critics and one update per step: networks, initialisation, log-probability, and losses
that all see the networks and α from before the update. The policy's loss uses the smaller critic, as in
SAC's paper, while REDQ's code uses their mean.

REDQ, MBPO and SAC-SVG are built from the parts below: the tanh-Gaussian policy, `SoftNetworks`, `SoftAgent`,
and the losses.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alm.task_registry import TaskSpec, task_spec
from alm.training.agent import Agent, Metrics, Noise, NoiseShapes
from alm.training.optimisation import OptimiserGroup
from alm.training.population import mlp, soft_update
from alm.training.ranges import Count, Positive, Share, Steps
from alm.training.replay import Replay, Transitions
from alm.training.scale import Scale
from alm.training.schedules import Level, Step
from alm.training.streams import Streams
from alm.training.temperature import Temperature, temperature_objective
from baselines.networks import Critics, MeanLogStd, initialise_xavier, scale_action

Bound = Callable[[Tensor], Tensor]
OverCritics = Callable[[Tensor], Tensor]
"""Map from the values of N critics (S, N, batch) to one value (S, batch)."""
LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0

# Target entropies of MBPO (Janner et al., 2019), also used by REDQ, by robot: a task's observations and
# rewards make no difference.
_TARGET_ENTROPY = {"Hopper": -1.0, "HalfCheetah": -3.0, "Walker2d": -3.0, "Ant": -4.0, "Humanoid": -2.0}


def published_target_entropy(task: str) -> float:
    """Target entropy H̄ that MBPO and REDQ use on a task."""
    return _TARGET_ENTROPY[task_spec(task).robot]


def constant_target_entropy(configured: float | None, task: TaskSpec) -> float:
    """Target entropy H̄ as configured; for ``None``, minus the number of action dimensions."""
    return -float(task.action_size) if configured is None else configured


@dataclass(frozen=True)
class SACConfig:
    """Hyper-parameters of SAC."""

    discount: Share = 0.99
    """γ."""
    target_rate: Share = 0.005
    """τ, step of the target critics towards the online ones."""
    hidden_size: Count = 256
    """Width of both layers of the actor and the critics."""
    batch_size: Count = 256
    """Transitions for one update."""
    learning_rate: Positive = 3e-4
    """Adam's step size for critics, actor and log α."""
    initial_temperature: Positive = 1.0
    """α before the first update."""
    target_entropy: float | None = None
    """H̄; ``None``: minus the number of action dimensions."""
    warmup_steps: Steps = 5000
    """Uniformly random actions before the first update."""
    replay_capacity: Count = 1_000_000
    """Transitions kept."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale, the same for every task."""
        del task
        scale = scale.of_cheap_updates
        return cls(
            warmup_steps=scale.warmup(cls.warmup_steps),
            hidden_size=scale.width(cls.hidden_size),
            batch_size=scale.batch(cls.batch_size),
        )


def clamped_log_std(raw: Tensor) -> Tensor:
    """log σ ∈ [−20, 2] from a network's output, by clamping."""
    return raw.clamp(LOG_STD_MIN, LOG_STD_MAX)


def log_slope(x: Tensor) -> Tensor:
    """log(1 − tanh² x) = 2 (log 2 − x − softplus(−2x)), exact also for large |x|."""
    return 2.0 * (math.log(2.0) - x - F.softplus(-2.0 * x))


class TanhGaussianActor(nn.Module):
    """Policy u = tanh(x), x ~ N(μ(s), σ(s)²), of ``depth`` ReLU layers.

    ``log_std`` turns the network's output into log σ; the attribute ``log_slope`` is part of the density.
    """

    def __init__(
        self,
        seeds: int,
        observation_size: int,
        action_size: int,
        hidden: int,
        depth: int = 2,
        log_std: Bound = clamped_log_std,
    ) -> None:
        super().__init__()
        self.layers = mlp(seeds, (observation_size, *[hidden] * depth, 2 * action_size), nn.ReLU)
        self.log_std, self.log_slope = log_std, log_slope

    def forward(self, observation: Tensor) -> MeanLogStd:
        """Mean and log-std of x, each (S, batch, action)."""
        mean, raw = self.layers(observation).chunk(2, dim=-1)
        return mean, self.log_std(raw)

    def sample(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """An action u (S, batch, action) for each state, and its log-probability (S, batch)."""
        return sample_action(self(observation), noise, self.log_slope)


def sample_action(
    gaussian: MeanLogStd, noise: Tensor, slope: Callable[[Tensor], Tensor] = log_slope
) -> tuple[Tensor, Tensor]:
    """Reparameterised sample u = tanh(μ + σε) in (−1, 1), and its log-probability (S, batch).

    log π(u|s) = Σ_dims [ log N(x; μ, σ²) − log(1 − tanh² x) ],  x = μ + σε.

    This is the density of u, not of the action scaled to the task's bounds: target entropies refer
    to u.
    """
    mean, log_std = gaussian
    x = mean + log_std.exp() * noise
    log_normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    return torch.tanh(x), (log_normal - slope(x)).sum(dim=-1)


class SoftNetworks(nn.Module):
    """Actor π, critics Q_1 … Q_N with targets Q̄ that start as copies, temperature α.

    Args:
        task: observation and action sizes.
        config: ``hidden_size`` and ``initial_temperature``.
        generators: one per seed, for ``initialise``.
        ensemble: N.
        depth: hidden layers of the actor and of each critic.
        log_std: see `TanhGaussianActor`.
        initialise: fills the weights of the actor and the critics.
    """

    def __init__(
        self,
        task: TaskSpec,
        config: Any,
        generators: Sequence[torch.Generator],
        ensemble: int = 2,
        depth: int = 2,
        log_std: Bound = clamped_log_std,
        initialise: Callable[[nn.Module, Sequence[torch.Generator]], None] = initialise_xavier,
    ) -> None:
        super().__init__()
        seeds, sizes = len(generators), (task.observation_size, task.action_size, config.hidden_size)
        self.actor = TanhGaussianActor(seeds, *sizes, depth, log_std)
        self.critic = Critics(seeds, *sizes, ensemble, depth)
        self.temperature = Temperature(seeds, config.initial_temperature)
        initialise(self, generators)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)


def smallest(values: Tensor) -> Tensor:
    """min_j Q_j, an `OverCritics`."""
    return values.amin(dim=1)


def average(values: Tensor) -> Tensor:
    """(1/N) Σ_j Q_j, an `OverCritics`."""
    return values.mean(dim=1)


def soft_return(
    networks: SoftNetworks,
    transitions: Transitions,
    next_value: Tensor,
    next_log_probability: Tensor,
    discount: float,
) -> Tensor:
    """r + γ (1 − d) (Q̄ − α log π(a'|s')), with Q̄ = ``next_value`` (S, batch) → (S, batch)."""
    soft_value = next_value - networks.temperature()[:, None] * next_log_probability
    return transitions.reward + discount * (1.0 - transitions.terminal) * soft_value


@torch.no_grad()
def soft_target(
    networks: SoftNetworks,
    transitions: Transitions,
    noise: Tensor,
    discount: float,
    bounds: tuple[float, float],
) -> Tensor:
    """Regression target of both critics → (S, batch), without gradient.

    y = r + γ (1 − d) (min_j Q̄_j(s', a') − α log π(a'|s')),  a' ~ π(s').
    """
    unit, log_probability = networks.actor.sample(transitions.next_observation, noise)
    next_value = smallest(networks.target_critic(transitions.next_observation, scale_action(unit, bounds)))
    return soft_return(networks, transitions, next_value, log_probability, discount)


def critic_objective(critic: Critics, transitions: Transitions, target: Tensor) -> Tensor:
    """Critic loss (S,) with one target y (S, batch) for all critics; trains Q_1 … Q_N.

    L_Q = Σ_i mean (Q_i(s, a) − sg y)². As it is a sum, each critic's gradient under one shared Adam is
    the same as with an optimiser of its own.
    """
    error = critic(transitions.observation, transitions.action) - target[:, None]
    return error.square().mean(dim=-1).sum(dim=1)


def actor_objective(
    networks: SoftNetworks,
    observation: Tensor,
    noise: Tensor,
    bounds: tuple[float, float],
    over_critics: OverCritics = smallest,
) -> tuple[Tensor, Tensor]:
    """Policy loss (S,), and log π (S, batch) for the temperature; trains π.

    L_π = mean [ sg α · log π(a|s) − Q(s, a) ],  a ~ π(s) reparameterised, Q = ``over_critics`` of all Q_j.
    """
    unit, log_probability = networks.actor.sample(observation, noise)
    value = over_critics(networks.critic(observation, scale_action(unit, bounds)))
    loss = networks.temperature()[:, None] * log_probability - value
    return loss.mean(dim=-1), log_probability


class SoftAgent(Agent):
    """Agent with `SoftNetworks`: acting, and the step of actor and temperature."""

    networks: SoftNetworks
    policy_modules = ("actor",)
    network_class: type[nn.Module] = SoftNetworks

    def optimiser_groups(self) -> dict[str, OptimiserGroup]:
        """Two optimiser groups: all critics, and actor with temperature."""
        net, seeds, lr = self.networks, len(self.seeds), self.config.learning_rate
        return {
            "critic": OptimiserGroup((net.critic,), seeds, lr),
            # Adam is element-wise, so one for both is equivalent to one for each, and cheaper.
            "policy": OptimiserGroup((net.actor, net.temperature), seeds, lr),
        }

    @torch.no_grad()
    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Sampled actions (S, batch, action) for observations (S, batch, observation)."""
        del training_step
        return self.act_with_bonus(observation, streams)[0]

    @torch.no_grad()
    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions: tanh of the mean, scaled to the bounds."""
        del streams
        return scale_action(torch.tanh(self.networks.actor(observation)[0]), self.bounds)

    @torch.no_grad()
    def act_with_bonus(self, observation: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Sampled actions, and −α log π of each (S, batch) (`alm.training.bias_protocol.Estimating`)."""
        noise = streams.normal(observation.shape[1], self.task.action_size, dtype=observation.dtype)
        unit, log_probability = self.networks.actor.sample(observation, noise)
        return scale_action(unit, self.bounds), -self.networks.temperature()[:, None] * log_probability

    def improve_policy(
        self, loss: Tensor, log_probability: Tensor, target_entropy: Level, metrics: Metrics
    ) -> None:
        """One step of the actor on ``loss`` (S,) and one of the temperature on the same actions.

        ``log_probability`` (S, batch) is that of the actions in the loss, which uses the old α.
        """
        net = self.networks
        temperature_loss = temperature_objective(net.temperature, log_probability, target_entropy)
        metrics["loss/actor"] = loss.detach()
        metrics["loss/temperature"] = temperature_loss.detach()
        metrics["actor/entropy"] = -log_probability.detach().mean(dim=-1)
        metrics["actor/temperature"] = net.temperature()
        # Each loss only reaches its own parameters.
        metrics["grad_norm/policy"] = self.groups["policy"].step(loss + temperature_loss)


class SAC(SoftAgent):
    """SAC for a population of seeds (`alm.training.agent.Agent`)."""

    name = "sac"
    faster_compiled = True
    config: SACConfig

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """Shapes of the noise of the target's actions and of the policy's."""
        action = (self.config.batch_size, self.task.action_size)
        return {"next_action": action, "action": action}

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """One update on a fresh batch and noise from the learning streams."""
        transitions = replay.sample(self.config.batch_size, self.learning)
        return self.update(transitions, self.draw_noise(), training_step)

    def update(self, transitions: Transitions, noise: Noise, training_step: Step) -> Metrics:
        """One gradient step of actor, temperature and critics, then the targets; metrics are (S,).

        Each loss sees the networks from before the update: the target is computed first, the policy
        does not see the critics' step, and the losses of actor and critics use the old α.
        """
        del training_step
        net, config = self.networks, self.config
        metrics: Metrics = {}
        target_entropy = constant_target_entropy(config.target_entropy, self.task)
        target = soft_target(net, transitions, noise["next_action"], config.discount, self.bounds)

        policy = actor_objective(net, transitions.observation, noise["action"], self.bounds)
        self.improve_policy(*policy, target_entropy, metrics)
        self.descend("critic", critic_objective(net.critic, transitions, target), metrics)
        metrics["critic/target"] = target.mean(dim=-1)
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics

    @torch.no_grad()
    def estimates(self, observation: Tensor, action: Tensor, streams: Streams) -> dict[str, Tensor]:
        """The smaller of the two critics' values (S, batch) (`alm.training.bias_protocol.Estimating`)."""
        del streams
        return {"min_q": smallest(self.networks.critic(observation, action))}

    def update_often(self, batches: Transitions, noise: Noise, first: int) -> Metrics:
        """Updates numbered from ``first``, each on an entry of the second axis; metrics are their means.

        What only some updates report is averaged over these.
        """
        every = [
            self.update(batches[:, i], {name: value[:, i] for name, value in noise.items()}, first + i)
            for i in range(batches.reward.shape[1])
        ]
        names = dict.fromkeys(name for one in every for name in one)
        return {name: torch.stack([one[name] for one in every if name in one]).mean(dim=0) for name in names}
