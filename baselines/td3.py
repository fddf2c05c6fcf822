"""Twin delayed deep deterministic policy gradient (Fujimoto et al., 2018; code sfujim/TD3)."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor, nn

from alm.task_registry import TaskSpec
from alm.training.agent import Agent, Metrics, Noise, NoiseShapes
from alm.training.optimisation import OptimiserGroup
from alm.training.population import Tanh, mlp, soft_update
from alm.training.ranges import Count, NotNegative, Positive, Share, Steps
from alm.training.replay import Replay, Transitions
from alm.training.scale import Scale
from alm.training.schedules import Step
from alm.training.streams import Streams
from baselines.networks import Critics, initialise_fan_in, scale_action


@dataclass(frozen=True)
class TD3Config:
    """Hyper-parameters of TD3; the defaults are those of the authors' code.

    Noise is in units of the largest action: 0.1 is a tenth of half the action range.
    """

    discount: Share = 0.99
    """γ."""
    target_rate: Share = 0.005
    """τ, step of all target networks towards the online ones, at each delayed update."""
    hidden_size: Count = 256
    """Width of both layers of the actor and the critics."""
    batch_size: Count = 256
    """Transitions for one update."""
    learning_rate: Positive = 3e-4
    """Adam's step size for critics and actor."""
    exploration_std: NotNegative = 0.1
    """Standard deviation of the exploration noise on actions."""
    target_std: NotNegative = 0.2
    """Standard deviation of the noise on the target's actions (target policy smoothing)."""
    target_clip: NotNegative = 0.5
    """Bound on the noise on the target's actions."""
    policy_delay: Count = 2
    """Critic updates per update of the actor and the targets."""
    warmup_steps: Steps = 25_000
    """Uniformly random actions before the first update."""
    replay_capacity: Count = 1_000_000
    """Transitions kept."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale.

        The warm-up takes at most an eighth of a run: the authors' 25,000 steps at paper scale, but 6250
        of the 50,000 steps at laptop scale.
        """
        scale = scale.of_cheap_updates
        eighth = scale.training(task).total_steps // 8
        return cls(
            warmup_steps=min(scale.warmup(cls.warmup_steps), eighth),
            hidden_size=scale.width(cls.hidden_size),
            batch_size=scale.batch(cls.batch_size),
        )


class TD3Networks(nn.Module):
    """Actor π and twin critics Q_1 and Q_2, with targets π̄ and Q̄ that start as copies."""

    def __init__(self, task: TaskSpec, config: TD3Config, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        seeds, hidden = len(generators), config.hidden_size
        layers = mlp(seeds, (task.observation_size, hidden, hidden, task.action_size), nn.ReLU)
        self.actor = nn.Sequential(*layers, Tanh())
        self.critic = Critics(seeds, task.observation_size, task.action_size, hidden, ensemble=2)
        initialise_fan_in(self, generators)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)


@torch.no_grad()
def smoothed_target(
    networks: TD3Networks,
    transitions: Transitions,
    noise: Tensor,
    config: TD3Config,
    bounds: tuple[float, float],
) -> Tensor:
    """Regression target of both critics → (S, batch), without gradient.

    y = r + γ (1 − d) min_j Q̄_j(s', a'),  a' = clip(π̄(s') + clip(σ ε, ±c), ±1),

    with σ = ``target_std``, c = ``target_clip``, and actions in units of the largest one.
    """
    smoothing = (config.target_std * noise).clamp(-config.target_clip, config.target_clip)
    unit = (networks.target_actor(transitions.next_observation) + smoothing).clamp(-1.0, 1.0)
    next_value = networks.target_critic(transitions.next_observation, scale_action(unit, bounds)).amin(dim=1)
    return transitions.reward + config.discount * (1.0 - transitions.terminal) * next_value


def critic_objective(critic: Critics, transitions: Transitions, target: Tensor) -> Tensor:
    """Critic loss (S,) with one target y (S, batch) for both critics; trains Q_1 and Q_2.

    L_Q = Σ_j mean (Q_j(s, a) − sg y)².
    """
    error = critic(transitions.observation, transitions.action) - target[:, None]
    return error.square().mean(dim=-1).sum(dim=1)


def actor_objective(networks: TD3Networks, observation: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Policy loss (S,); trains π.

    L_π = −mean Q_1(s, π(s)).
    """
    action = scale_action(networks.actor(observation), bounds)
    first = torch.zeros(len(observation), 1, dtype=torch.int64, device=observation.device)
    return -networks.critic.chosen(observation, action, first)[:, 0].mean(dim=-1)


class TD3(Agent):
    """TD3 for a population of seeds (`alm.training.agent.Agent`)."""

    name = "td3"
    faster_compiled = True
    policy_modules = ("actor",)
    config: TD3Config
    networks: TD3Networks
    network_class = TD3Networks

    def optimiser_groups(self) -> dict[str, OptimiserGroup]:
        """Two optimiser groups: both critics, and the actor."""
        net, seeds, lr = self.networks, len(self.seeds), self.config.learning_rate
        return {
            "critic": OptimiserGroup((net.critic,), seeds, lr),
            "actor": OptimiserGroup((net.actor,), seeds, lr),
        }

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """Shapes of the noise of the target's actions."""
        return {"next_action": (self.config.batch_size, self.task.action_size)}

    @torch.no_grad()
    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Exploratory actions (S, batch, action): the actor's plus Gaussian noise, within the bounds."""
        del training_step
        unit = self.networks.actor(observation)
        noise = streams.normal(*unit.shape[1:], dtype=unit.dtype)
        return scale_action((unit + self.config.exploration_std * noise).clamp(-1.0, 1.0), self.bounds)

    def exploration_std(self, training_step: int) -> float:
        """Standard deviation of the noise on actions, as a share of the largest action."""
        del training_step
        return self.config.exploration_std

    @torch.no_grad()
    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions: the actor's, without noise."""
        del streams
        return scale_action(self.networks.actor(observation), self.bounds)

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """One update on a fresh batch and noise from the learning streams."""
        transitions = replay.sample(self.config.batch_size, self.learning)
        return self.update(transitions, self.draw_noise(), training_step)

    def branch(self, training_step: int) -> bool:
        """Whether actor and targets are updated at this step."""
        return training_step % self.config.policy_delay == 0

    def update(
        self, transitions: Transitions, noise: Noise, training_step: Step, branch: bool | None = None
    ) -> Metrics:
        """One step of the critics; after every ``policy_delay``-th one also of the actor and the targets.

        The actor maximises the just-updated critic. Metrics are (S,).
        """
        net, config = self.networks, self.config
        metrics: Metrics = {}
        target = smoothed_target(net, transitions, noise["next_action"], config, self.bounds)
        self.descend("critic", critic_objective(net.critic, transitions, target), metrics)
        metrics["critic/target"] = target.mean(dim=-1)
        if self.branch(int(training_step)) if branch is None else branch:
            loss = actor_objective(net, transitions.observation, self.bounds)
            self.descend("actor", loss, metrics)
            soft_update(net.target_critic, net.critic, config.target_rate)
            soft_update(net.target_actor, net.actor, config.target_rate)
        return metrics
