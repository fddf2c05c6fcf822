"""What soft methods share: the tanh-Gaussian policy, its objective, soft returns, the learned temperature.

All follows the code of watchernyu/REDQ, which follows Haarnoja et al., "Soft Actor-Critic Algorithms and
Applications" (2018); what SAC-SVG has otherwise is a parameter.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alm.tasks.registry import TaskSpec, task_spec
from alm.training.learner import Learner
from alm.training.optimisation import OptimiserGroup
from alm.training.population import mlp
from alm.training.protocol import Metrics
from alm.training.replay import Transitions
from alm.training.schedules import Level
from alm.training.streams import Streams
from alm.training.temperature import Temperature, temperature_objective
from baselines.networks import Critics, Gaussian, initialise_xavier, scale_action

Bound = Callable[[Tensor], Tensor]
OverCritics = Callable[[Tensor], Tensor]
"""One value (S, batch) from those of N critics (S, N, batch)."""
LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0

# Of each robot, by MBPO (Janner et al., 2019), from which REDQ takes them: what a task observes or rewards
# makes no difference.
_TARGET_ENTROPY = {"Hopper": -1.0, "HalfCheetah": -3.0, "Walker2d": -3.0, "Ant": -4.0, "Humanoid": -2.0}


def published_target_entropy(task: str) -> float:
    """H̄ that MBPO and REDQ use on a task."""
    return _TARGET_ENTROPY[task_spec(task).robot]


def clamped_log_std(raw: Tensor) -> Tensor:
    """log σ ∈ [−20, 2] from a network's output, by clamping."""
    return raw.clamp(LOG_STD_MIN, LOG_STD_MAX)


class TanhGaussianActor(nn.Module):
    """A policy u = tanh(x), x ~ N(μ(s), σ(s)²), of ``depth`` ReLU layers.

    ``log_std`` turns the network's output into log σ.
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
        self.log_std = log_std

    def forward(self, observation: Tensor) -> Gaussian:
        """Mean and log-deviation of x, each (S, batch, action)."""
        mean, raw = self.layers(observation).chunk(2, dim=-1)
        return mean, self.log_std(raw)


def sample_action(gaussian: Gaussian, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A reparameterised sample u = tanh(μ + σε) in (−1, 1), and its log-probability (S, batch).

    log π(u|s) = Σ_dims [ log N(x; μ, σ²) − log(1 − tanh² x) ],  x = μ + σε,

    with log(1 − tanh² x) = 2 (log 2 − x − softplus(−2x)), which stays exact for large |x|, where the
    reference adds 1e-6 inside the logarithm.  It is the density of u, not of the action stretched to the
    task's bounds: target entropies are meant for u.
    """
    mean, log_std = gaussian
    x = mean + log_std.exp() * noise
    log_normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    log_slope = 2.0 * (math.log(2.0) - x - F.softplus(-2.0 * x))
    return torch.tanh(x), (log_normal - log_slope).sum(dim=-1)


def smallest(values: Tensor) -> Tensor:
    """min_j Q_j, an `OverCritics`."""
    return values.amin(dim=1)


def average(values: Tensor) -> Tensor:
    """(1/N) Σ_j Q_j, an `OverCritics`."""
    return values.mean(dim=1)


def actor_objective(
    networks: "SoftNetworks",
    observation: Tensor,
    noise: Tensor,
    bounds: tuple[float, float],
    over_critics: OverCritics = smallest,
) -> tuple[Tensor, Tensor]:
    """Policy → loss (S,), and log π (S, batch) for the temperature; trains π.

    L_π = mean [ sg α · log π(a|s) − Q(s, a) ],  a ~ π(s) reparameterised, Q = ``over_critics`` of all Q_j.
    """
    unit, log_probability = sample_action(networks.actor(observation), noise)
    value = over_critics(networks.critic(observation, scale_action(unit, bounds)))
    loss = networks.temperature()[:, None] * log_probability - value
    return loss.mean(dim=-1), log_probability


def soft_return(
    networks: "SoftNetworks",
    transitions: Transitions,
    next_value: Tensor,
    next_log_probability: Tensor,
    discount: float,
) -> Tensor:
    """r + γ (1 − d) (Q̄ − α log π(a'|s')), with Q̄ = ``next_value`` (S, batch) → (S, batch)."""
    soft_value = next_value - networks.temperature()[:, None] * next_log_probability
    return transitions.reward + discount * (1.0 - transitions.terminal) * soft_value


def constant_target_entropy(configured: float | None, task: TaskSpec) -> float:
    """H̄ as configured; for ``None``, minus the number of action dimensions."""
    return -float(task.action_size) if configured is None else configured


class SoftConfig(Protocol):
    """What `SoftNetworks` and `SoftLearner` read of a configuration."""

    @property
    def hidden_size(self) -> int:
        """Width of the layers of the actor and the critics."""

    @property
    def learning_rate(self) -> float:
        """Adam's step size for critics, actor and log α."""

    @property
    def initial_temperature(self) -> float:
        """α before the first update."""


class SoftNetworks(nn.Module):
    """Actor π, critics Q_1 … Q_N with targets Q̄ that start as copies, temperature α.

    Args:
        task: sizes.
        config: widths, and α at the start.
        ensemble: N.
        generators: one a seed, for ``initialise``.
        depth: hidden layers of the actor and of each critic.
        log_std: how the actor bounds log σ.
        initialise: fills the weights of the actor and the critics.
    """

    def __init__(
        self,
        task: TaskSpec,
        config: SoftConfig,
        ensemble: int,
        generators: Sequence[torch.Generator],
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


class SoftLearner(Learner):
    """A learner with `SoftNetworks`: how it acts, and how actor and temperature step."""

    networks: SoftNetworks

    def __init__(
        self,
        task: TaskSpec,
        config: SoftConfig,
        networks: SoftNetworks,
        seeds: Sequence[int],
        device: str,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(task, seeds, device)
        self.networks = networks.to(device=device, dtype=dtype)
        net, size, lr = self.networks, len(self.seeds), config.learning_rate
        self.groups = {
            "critic": OptimiserGroup((net.critic,), size, lr, max_norm=None),
            # Adam works element by element, so one for both is one for each, and cheaper.
            "policy": OptimiserGroup((net.actor, net.temperature), size, lr, max_norm=None),
        }

    @torch.no_grad()
    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Sampled actions (S, batch, action) for observations (S, batch, observation)."""
        del training_step
        return self.act_with_bonus(observation, streams)[0]

    @torch.no_grad()
    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions: tanh of the mean, stretched to the bounds."""
        del streams
        return scale_action(torch.tanh(self.networks.actor(observation)[0]), self.bounds)

    @torch.no_grad()
    def act_with_bonus(self, observation: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Sampled actions, and −α log π of each (S, batch) (`alm.training.bias_protocol.Estimating`)."""
        noise = streams.normal(observation.shape[1], self.task.action_size, dtype=observation.dtype)
        unit, log_probability = sample_action(self.networks.actor(observation), noise)
        return scale_action(unit, self.bounds), -self.networks.temperature()[:, None] * log_probability

    def improve_policy(
        self, loss: Tensor, log_probability: Tensor, target_entropy: Level, metrics: Metrics
    ) -> None:
        """One step of the actor down ``loss`` (S,), and of the temperature, on the same actions.

        ``log_probability`` (S, batch) is that of the actions in the loss, which has the old α.
        """
        net = self.networks
        temperature_loss = temperature_objective(net.temperature, log_probability, target_entropy)
        metrics["loss/actor"] = loss.detach()
        metrics["loss/temperature"] = temperature_loss.detach()
        metrics["actor/entropy"] = -log_probability.detach().mean(dim=-1)
        metrics["actor/temperature"] = net.temperature()
        # Each loss reaches its own parameters only.
        metrics["grad_norm/policy"] = self.groups["policy"].step(loss + temperature_loss)
