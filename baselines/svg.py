"""SVG(1): one-step stochastic value gradients on replayed transitions (Heess et al., 2015).

The policy a = π(s, η) and the model s' = f(s, a, ξ) are functions of noise. The noise that explains a real
transition is inferred, and the gradient of r(s, a) + γ V(s') flows back through the model's Jacobian at the
real transition; the model's own predictions are never followed. Transitions of older policies are
importance-weighted.

Neither Heess et al. nor Wang et al. (2019), whose SVG(1) the ALM paper quotes, published code.
Hyper-parameters and the form of the losses are those of the re-implementation 0xangelo/raylab, without its KL
penalty (of weight zero by default).
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from alm.task_registry import TaskSpec
from alm.tasks import analytic
from alm.training.agent import Agent, Metrics
from alm.training.optimisation import OptimiserGroup
from alm.training.population import Tanh, initialise_orthogonal, mlp, soft_update
from alm.training.ranges import Count, Positive, Share, Steps
from alm.training.replay import Replay, Transitions
from alm.training.scale import Scale
from alm.training.streams import Streams
from baselines.networks import MeanLogStd, log_density, scale_action

Reward = Callable[[Tensor, Tensor], Tensor]
"""Reward function r(s, a) → (S, batch)."""

_MODEL_LOG_STD = (-5.0, 2.0)
# Nothing in the objective keeps the policy stochastic. If its std could shrink freely, the density of
# replayed actions would vanish and with it their weights: 0.002 on average after 20,000 steps on
# HalfCheetah, compared with 0.1 under this bound.
_POLICY_LOG_STD = (-1.0, 2.0)


@dataclass(frozen=True)
class SVGConfig:
    """Hyper-parameters of SVG(1)."""

    discount: Share = 0.99
    """γ."""
    target_rate: Share = 0.005
    """τ, step of the target value towards the online one."""
    max_importance: Positive = 5.0
    """Bound on the importance weight of a replayed action."""
    actor_hidden_size: Count = 100
    """Width of both layers of the policy."""
    hidden_sizes: tuple[Count, Count] = (400, 200)
    """Layer widths of the value, the model and, if it is learned, the reward."""
    batch_size: Count = 256
    """Transitions for one update."""
    learning_rate: Positive = 1e-3
    """Adam's step size for every network."""
    max_grad_norm: Positive = 10.0
    """Largest gradient norm for each seed and network."""
    warmup_steps: Steps = 1000
    """Uniformly random actions before the first update."""
    replay_capacity: Count = 200_000
    """Transitions kept."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale, the same for every task."""
        del task
        scale = scale.of_cheap_updates
        first, second = cls.hidden_sizes
        return cls(
            warmup_steps=scale.warmup(cls.warmup_steps),
            actor_hidden_size=scale.width(cls.actor_hidden_size),
            hidden_sizes=(scale.width(first), scale.width(second)),
            batch_size=scale.batch(cls.batch_size),
        )


class GaussianPolicy(nn.Module):
    """a ~ N(μ(s), σ(s)²), with the mean within the task's bounds.

    Samples may leave the bounds. The simulator moves by the clipped action but, except on the v2 humanoids,
    charges the cost of control for the commanded one. They are stored as commanded, so densities and
    inferred noise are exact.
    """

    def __init__(self, seeds: int, task: TaskSpec, hidden: int) -> None:
        super().__init__()
        self.bounds = (task.action_low, task.action_high)
        self.layers = mlp(seeds, (task.observation_size, hidden, hidden, 2 * task.action_size), Tanh)

    def forward(self, observation: Tensor) -> MeanLogStd:
        """Mean and log-std of the action, each (S, batch, action)."""
        mean, log_std = self.layers(observation).chunk(2, dim=-1)
        half_range = (self.bounds[1] - self.bounds[0]) / 2
        log_std = log_std.clamp(*_POLICY_LOG_STD) + math.log(half_range)
        return scale_action(mean.tanh(), self.bounds), log_std


class GaussianModel(nn.Module):
    """s' ~ N(s + μ(s, a), σ(s, a)²)."""

    def __init__(self, seeds: int, task: TaskSpec, hidden: tuple[int, int]) -> None:
        super().__init__()
        sizes = (task.observation_size + task.action_size, *hidden, 2 * task.observation_size)
        self.layers = mlp(seeds, sizes, Tanh)

    def forward(self, observation: Tensor, action: Tensor) -> MeanLogStd:
        """Mean and log-std of the next observation, each (S, batch, observation)."""
        difference, log_std = self.layers(torch.cat([observation, action], dim=-1)).chunk(2, dim=-1)
        return observation + difference, log_std.clamp(*_MODEL_LOG_STD)


class SVGNetworks(nn.Module):
    """Policy π, model f, value V, its target V̄ (initially a copy), and r̂ if rewards are learned."""

    def __init__(self, task: TaskSpec, config: SVGConfig, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        seeds, observation = len(generators), task.observation_size
        self.actor = GaussianPolicy(seeds, task, config.actor_hidden_size)
        self.model = GaussianModel(seeds, task, config.hidden_sizes)
        self.critic = mlp(seeds, (observation, *config.hidden_sizes, 1), Tanh)
        self.reward: nn.Module | None = None
        if not analytic.has_reward(task):
            self.reward = mlp(seeds, (observation + task.action_size, *config.hidden_sizes, 1), Tanh)
        initialise_orthogonal(self, generators)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)


def reproduced(gaussian: MeanLogStd, value: Tensor) -> Tensor:
    """Sample μ + σ · sg ε equal to ``value``, with inferred ε = (value − μ)/σ; gradients reach μ and σ."""
    mean, log_std = gaussian
    std = log_std.exp()
    return mean + std * ((value - mean) / std).detach()


@torch.no_grad()
def importance_weight(gaussian: MeanLogStd, action: Tensor, behaviour: Tensor, largest: float) -> Tensor:
    """Importance weight w = min(π(a|s)/μ(a|s), ``largest``) → (S, batch), without gradient.

    ``gaussian`` is π's at s; ``behaviour`` (S, batch) is log μ(a|s) under the policy that acted.
    """
    return (log_density(gaussian, action) - behaviour).exp().clamp(max=largest)


def model_objective(model: GaussianModel, transitions: Transitions) -> Tensor:
    """Maximum-likelihood loss (S,); trains f.

    L_f = −mean log f(s'|s, a).
    """
    gaussian = model(transitions.observation, transitions.action)
    return -log_density(gaussian, transitions.next_observation).mean(dim=-1)


def reward_objective(reward: nn.Module, transitions: Transitions) -> Tensor:
    """Reward loss (S,); trains r̂.

    L_r = mean (r̂(s, a) − r)².
    """
    predicted = learned_reward(reward, transitions.observation, transitions.action)
    return (predicted - transitions.reward).square().mean(dim=-1)


def learned_reward(reward: nn.Module, observation: Tensor, action: Tensor) -> Tensor:
    """r̂(s, a) → (S, batch)."""
    return reward(torch.cat([observation, action], dim=-1))[..., 0]


def critic_objective(
    networks: SVGNetworks, transitions: Transitions, weight: Tensor, discount: float
) -> tuple[Tensor, Tensor]:
    """Importance-weighted value loss (S,), and the targets y (S, batch); trains V.

    L_V = mean ½ w (V(s) − y)²,  y = r + γ (1 − d) V̄(s').
    """
    with torch.no_grad():
        next_value = networks.target_critic(transitions.next_observation)[..., 0]
        target = transitions.reward + discount * (1.0 - transitions.terminal) * next_value
    error = networks.critic(transitions.observation)[..., 0] - target
    return 0.5 * (weight * error.square()).mean(dim=-1), target


def actor_objective(
    networks: SVGNetworks,
    transitions: Transitions,
    gaussian: MeanLogStd,
    weight: Tensor,
    reward: Reward,
    discount: float,
) -> Tensor:
    """Value-gradient policy loss (S,); trains π.

    L_π = −mean w [ r(s, a) + γ (1 − d) V(s') ],  a = π(s, sg η),  s' = f(s, a, sg ξ),

    where ``gaussian`` is π's at s, η and ξ are inferred, so a and s' have the replayed values, and
    gradients flow through r, V and f into π.
    """
    observation = transitions.observation
    action = reproduced(gaussian, transitions.action)
    following = reproduced(networks.model(observation, action), transitions.next_observation)
    value = networks.critic(following)[..., 0]
    total = reward(observation, action) + discount * (1.0 - transitions.terminal) * value
    return -(weight * total).mean(dim=-1)


class SVG(Agent):
    """SVG(1) for a population of seeds (`alm.training.agent.Agent`).

    The reward is known on the mbbl tasks and learned on the others, whose reward is not a function of
    observations (`alm.tasks.analytic`).
    """

    name = "svg"
    faster_compiled = True
    policy_modules = ("actor",)
    config: SVGConfig
    networks: SVGNetworks
    network_class = SVGNetworks

    def __init__(
        self,
        task: TaskSpec,
        config: SVGConfig,
        seeds: Sequence[int],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(task, config, seeds, device, dtype)
        learned = self.networks.reward
        self.reward: Reward = (
            partial(analytic.reward, task) if learned is None else partial(learned_reward, learned)
        )
        # log μ(a|s) of the stored actions by replay position; those of the warm-up are uniform.
        uniform = -task.action_size * math.log(task.action_high - task.action_low)
        self.behaviour = torch.full((len(self.seeds), config.replay_capacity), uniform, device=device)

    def optimiser_groups(self) -> dict[str, OptimiserGroup]:
        """One optimiser group per network."""
        net, config = self.networks, self.config
        modules = {"actor": net.actor, "model": net.model, "critic": net.critic, "reward": net.reward}
        return {
            name: OptimiserGroup((module,), len(self.seeds), config.learning_rate, config.max_grad_norm)
            for name, module in modules.items()
            if module is not None
        }

    @torch.no_grad()
    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Sampled actions (S, batch, action), which may leave the bounds."""
        del training_step
        mean, log_std = self.networks.actor(observation)
        return mean + log_std.exp() * streams.normal(*mean.shape[1:], dtype=mean.dtype)

    @torch.no_grad()
    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions: the policy's mean."""
        del streams
        return self.networks.actor(observation)[0]

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """One update on a fresh batch, after storing the newest action's log-density."""
        self._note_behaviour(replay)
        index = self.learning.integers(replay.size, self.config.batch_size)
        return self.update(replay.at(index), self.behaviour.gather(1, index), training_step)

    @torch.no_grad()
    def _note_behaviour(self, replay: Replay) -> None:
        """Store log μ of the newest action: the policy has not moved since it acted."""
        position = (replay.pointer - 1) % replay.capacity
        newest = replay.at(torch.full((len(self.seeds), 1), position, device=self.device))
        gaussian = self.networks.actor(newest.observation)
        self.behaviour[:, position] = log_density(gaussian, newest.action)[:, 0]

    def update(self, transitions: Transitions, behaviour: Tensor, training_step: int) -> Metrics:
        """One step of every network, each given the networks from before the update; metrics are (S,).

        ``behaviour`` (S, batch) is log μ(a|s) of the transitions' actions.
        """
        del training_step
        net, config = self.networks, self.config
        metrics: Metrics = {}
        gaussian = net.actor(transitions.observation)
        weight = importance_weight(gaussian, transitions.action, behaviour, config.max_importance)
        # The actor goes first, so that it sees the model and value from before the update.
        loss = actor_objective(net, transitions, gaussian, weight, self.reward, config.discount)
        self.descend("actor", loss, metrics)
        self.descend("model", model_objective(net.model, transitions), metrics)
        if net.reward is not None:
            self.descend("reward", reward_objective(net.reward, transitions), metrics)
        loss, target = critic_objective(net, transitions, weight, config.discount)
        self.descend("critic", loss, metrics)
        metrics["critic/target"] = target.mean(dim=-1)
        metrics["actor/importance"] = weight.mean(dim=-1)
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics

    def state(self) -> dict[str, Any]:
        """All state that training changes."""
        return super().state() | {"behaviour": self.behaviour}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        super().load_state(state)
        self.behaviour.copy_(state["behaviour"])
