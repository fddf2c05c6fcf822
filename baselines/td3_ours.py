"""The paper's "TD3 (ours)": ALM without a model, a twin-critic method on raw observations.

It shows what ALM's objectives add (Fig. 5c): actor, critics, exploration and learning parameters are
ALM's, the representation is the observation itself, and the actor maximises the critics directly. Despite
the name there is no target actor and no delayed update. The authors did not release it; their code contains
the actor's loss but does not use it.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor, nn

from alm.config import ALMConfig
from alm.networks import Head
from alm.objectives import noisy_action, straight_through_clamp
from alm.task_registry import TaskSpec
from alm.training.agent import Agent, Metrics, Noise, NoiseShapes
from alm.training.optimisation import OptimiserGroup
from alm.training.population import Tanh, initialise_orthogonal, mlp, soft_update
from alm.training.ranges import Count, NotNegative, Positive, Share, Steps
from alm.training.replay import Replay, Transitions
from alm.training.scale import Scale
from alm.training.schedules import Level, Step, linear
from alm.training.streams import Streams


@dataclass(frozen=True)
class TD3OursConfig:
    """Hyper-parameters of "TD3 (ours)": those of ALM that remain without a model."""

    discount: Share = ALMConfig.discount
    """γ."""
    target_rate: Share = ALMConfig.target_rate
    """τ, step of the target critics towards the online ones."""
    hidden_size: Count = ALMConfig.hidden_size
    """Width of the actor and the critics."""
    batch_size: Count = ALMConfig.batch_size
    """Transitions for one update."""
    learning_rate: Positive = ALMConfig.learning_rate
    """Adam's step size for both groups."""
    max_grad_norm: Positive = ALMConfig.max_grad_norm
    """Largest gradient norm for each seed and group."""
    exploration_start: NotNegative = ALMConfig.exploration_start
    """σ before the first training step."""
    exploration_end: NotNegative = ALMConfig.exploration_end
    """σ from ``exploration_steps`` on."""
    exploration_steps: Count = ALMConfig.exploration_steps
    """Training steps over which σ falls linearly."""
    exploration_clip: NotNegative = ALMConfig.exploration_clip
    """Bound on the action noise inside updates; acting does not clip."""
    warmup_steps: Steps = ALMConfig.warmup_steps
    """Uniformly random actions before the first update."""
    replay_capacity: Count = ALMConfig.replay_capacity
    """Transitions kept; as many as for ALM on the same task."""

    def exploration_std(self, training_step: Step) -> Level:
        """Exploration std σ_t at a training step, counted from the end of the warm-up."""
        return linear(training_step, self.exploration_start, self.exploration_end, self.exploration_steps)

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The applicable part of ALM's configuration of a scale and task."""
        alm = ALMConfig.at(scale, task)
        return cls(
            warmup_steps=alm.warmup_steps,
            replay_capacity=alm.replay_capacity,
            hidden_size=alm.hidden_size,
            batch_size=alm.batch_size,
        )


class TD3OursNetworks(nn.Module):
    """ALM's actor π (ELU, tanh) and twin critics Q (layer norm, tanh, ELU) on s, and targets Q̄."""

    def __init__(self, task: TaskSpec, config: TD3OursConfig, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        seeds, hidden = len(generators), config.hidden_size
        layers = mlp(seeds, (task.observation_size, hidden, hidden, task.action_size))
        self.actor = nn.Sequential(*layers, Tanh())
        self.critic = Head(seeds, task.observation_size + task.action_size, hidden, 1, ensemble=2)
        initialise_orthogonal(self, generators)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)


def critic_objective(
    networks: TD3OursNetworks,
    transitions: Transitions,
    noise: Tensor,
    config: TD3OursConfig,
    exploration_std: Level,
    bounds: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """Critic loss (S,) (ALM's Eq. 10 with z := s), and the targets y (S, batch); trains Q_1 and Q_2.

    L_c = ½ Σ_j mean (Q_j(s, a) − y)²,  y = r + γ (1 − d) min_j Q̄_j(s', clamp(π(s') + clip(σ_t ε))).
    """
    with torch.no_grad():
        mean = networks.actor(transitions.next_observation)
        action = noisy_action(mean, noise, exploration_std, config.exploration_clip, bounds)
        next_value = networks.target_critic(transitions.next_observation, action)[..., 0].amin(dim=1)
        target = transitions.reward + config.discount * (1.0 - transitions.terminal) * next_value
    error = networks.critic(transitions.observation, transitions.action)[..., 0] - target[:, None]
    return 0.5 * error.square().mean(dim=-1).sum(dim=1), target


def actor_objective(
    networks: TD3OursNetworks,
    observation: Tensor,
    noise: Tensor,
    config: TD3OursConfig,
    exploration_std: Level,
    bounds: tuple[float, float],
) -> Tensor:
    """Policy loss (S,); trains π through the critics' action and a straight-through clamp.

    L_π = −mean min_j Q_j(s, clamp(π(s) + clip(σ_t ε))).
    """
    mean = networks.actor(observation)
    action = noisy_action(mean, noise, exploration_std, config.exploration_clip, bounds)
    return -networks.critic(observation, action)[..., 0].amin(dim=1).mean(dim=-1)


class TD3Ours(Agent):
    """The agent "TD3 (ours)" for a population of seeds (`alm.training.agent.Agent`)."""

    name = "td3-ours"
    faster_compiled = True
    policy_modules = ("actor",)
    config: TD3OursConfig
    networks: TD3OursNetworks
    network_class = TD3OursNetworks

    def optimiser_groups(self) -> dict[str, OptimiserGroup]:
        """Two optimiser groups, both critics and the actor, clipped as in ALM."""
        net, config, seeds = self.networks, self.config, len(self.seeds)
        return {
            "critic": OptimiserGroup((net.critic,), seeds, config.learning_rate, config.max_grad_norm),
            "actor": OptimiserGroup((net.actor,), seeds, config.learning_rate, config.max_grad_norm),
        }

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """Shapes of the noise of the target's actions and of the policy's."""
        action = (self.config.batch_size, self.task.action_size)
        return {"next_action": action, "action": action}

    @torch.no_grad()
    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Exploratory actions (S, batch, action) with unclipped noise, clamped to the bounds as in ALM."""
        mean = self.networks.actor(observation)
        noise = streams.normal(*mean.shape[1:], dtype=mean.dtype)
        return straight_through_clamp(mean + self.config.exploration_std(training_step) * noise, *self.bounds)

    def exploration_std(self, training_step: int) -> float:
        """Standard deviation σ_t of the noise on actions."""
        return float(self.config.exploration_std(training_step))

    @torch.no_grad()
    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions: the actor's mean in (−1, 1), without noise, within bounds, as in ALM."""
        del streams
        return self.networks.actor(observation).clamp(*self.bounds)

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """One update on a fresh batch and noise from the learning streams."""
        transitions = replay.sample(self.config.batch_size, self.learning)
        return self.update(transitions, self.draw_noise(), training_step)

    def update(self, transitions: Transitions, noise: Noise, training_step: Step) -> Metrics:
        """One step of the critics, one of the actor on the new critics, then the targets; metrics (S,)."""
        net, config = self.networks, self.config
        std = config.exploration_std(training_step)
        metrics: Metrics = {}
        loss, target = critic_objective(net, transitions, noise["next_action"], config, std, self.bounds)
        self.descend("critic", loss, metrics)
        metrics["critic/target"] = target.mean(dim=-1)
        loss = actor_objective(net, transitions.observation, noise["action"], config, std, self.bounds)
        self.descend("actor", loss, metrics)
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics
