"""SAC-SVG(H): soft actor-critic whose policy maximises a short differentiable rollout of a learned model.

Amos, Stanton, Yarats, Wilson, "On the model-based stochastic value gradient for continuous reinforcement
learning" (L4DC 2021). Written from the method's description alone. A horizon H counts policy evaluations:
H − 1 model steps with predicted rewards, then the critics. Tables name it by model steps: SAC-SVG(2) has
H = 3, SAC-SVG(3) has H = 4.

Everything below uses standardised observations x and actions u in (−1, 1).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alm.task_registry import TaskSpec, task_spec
from alm.training.agent import Metrics, Noise, NoiseShapes
from alm.training.optimisation import OptimiserGroup
from alm.training.population import initialise_orthogonal, mlp, soft_update
from alm.training.ranges import Count, Positive, Range, Share, Steps, window_conflict
from alm.training.replay import Replay, Transitions
from alm.training.scale import Scale
from alm.training.schedules import ENTROPY_SCHEDULES, EntropySchedule, Step, powers
from alm.training.streams import Streams
from baselines.networks import unit_action
from baselines.recurrent_dynamics import RecurrentDynamics, prediction_errors
from baselines.sac import (
    SoftAgent,
    SoftNetworks,
    actor_objective,
    critic_objective,
    soft_target,
)
from baselines.standardiser import Standardiser

UNIT = (-1.0, 1.0)
DEPTH = 4
"""Hidden layers of the actor and of each critic."""
LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0


@dataclass(frozen=True)
class SACSVGConfig(EntropySchedule):
    """Hyper-parameters of SAC-SVG(2)."""

    horizon: Annotated[int, Range(3)] = 3
    """H, one more than the model steps in the policy's objective; also the length of replayed sequences.
    With a single model step from a zero state, the GRU's recurrent weights would have no gradient."""
    discount: Share = 0.99
    """γ."""
    target_rate: Share = 0.005
    """τ, step of the target critics towards the online ones."""
    hidden_size: Count = 512
    """Width of every layer of every network, the GRU included."""
    batch_size: Count = 1024
    """Transitions for one update of reward, termination, critics and policy."""
    learning_rate: Positive = 1e-4
    """Adam's step size for critics, actor and log α."""
    initial_temperature: Positive = 0.1
    """α before the first update."""
    model_updates: Count = 4
    """Updates of the dynamics per environment step."""
    model_batch_size: Count = 512
    """Sequences for one update of the dynamics."""
    model_learning_rate: Positive = 1e-3
    """Adam's step size for dynamics, reward and termination."""
    model_max_grad_norm: Positive = 1.0
    """Largest norm of the dynamics' gradient for each seed."""
    plain_steps: Steps = 10_000
    """Environment steps (with warm-up) until the policy switches from SAC's to the rollout's objective."""
    warmup_steps: Steps = 1000
    """Uniformly random actions before the first update."""
    replay_capacity: Count = 1_000_000
    """Transitions kept."""

    def conflict(self) -> str | None:
        """Explanation of why these settings are incompatible; None if they are compatible."""
        return window_conflict(self.replay_capacity, self.warmup_steps, self.horizon)

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale with the entropy schedule of a task's robot.

        SAC's objective is used for the first 10,000 steps, or for the warm-up and a quarter of a shorter run.
        """
        warmup, steps = scale.warmup(cls.warmup_steps), scale.training(task).total_steps
        return cls(
            hidden_size=scale.width(cls.hidden_size),
            batch_size=scale.batch(cls.batch_size),
            model_batch_size=scale.batch(cls.model_batch_size),
            plain_steps=min(cls.plain_steps, warmup + steps // 4),
            warmup_steps=warmup,
            **asdict(ENTROPY_SCHEDULES[task_spec(task).robot]),
        )


@dataclass(frozen=True)
class SACSVG3Config(SACSVGConfig):
    """Hyper-parameters of SAC-SVG(3): one more model step."""

    horizon: Annotated[int, Range(3)] = 4


def squashed_log_std(raw: Tensor) -> Tensor:
    """log σ ∈ [−5, 2] from a network's output, by a tanh."""
    return LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (torch.tanh(raw) + 1.0)


class SACSVGNetworks(SoftNetworks):
    """`SoftNetworks` with dynamics, reward r̂(x, u) and the logit of termination d̂(x, u)."""

    def __init__(self, task: TaskSpec, config: SACSVGConfig, generators: Sequence[torch.Generator]) -> None:
        super().__init__(
            task,
            config,
            generators,
            depth=DEPTH,
            log_std=squashed_log_std,
            initialise=initialise_orthogonal,
        )
        seeds, hidden = len(generators), config.hidden_size
        self.model = RecurrentDynamics(seeds, task.observation_size, task.action_size, hidden)
        self.model.initialise(generators)
        sizes = (task.observation_size + task.action_size, hidden, hidden, 1)
        self.reward, self.done = (mlp(seeds, sizes, nn.ReLU) for _ in range(2))
        initialise_orthogonal(self.reward, generators)
        initialise_orthogonal(self.done, generators)

    def predict_reward(self, x: Tensor, u: Tensor) -> Tensor:
        """r̂(x, u) → (S, batch)."""
        return self.reward(torch.cat([x, u], dim=-1))[..., 0]

    def done_logit(self, x: Tensor, u: Tensor) -> Tensor:
        """Log-odds that the task ends with this transition → (S, batch)."""
        return self.done(torch.cat([x, u], dim=-1))[..., 0]


def reward_objective(networks: SACSVGNetworks, transitions: Transitions) -> Tensor:
    """Reward loss (S,): mean (r̂(x, u) − r)²; trains r̂."""
    predicted = networks.predict_reward(transitions.observation, transitions.action)
    return (predicted - transitions.reward).square().mean(dim=-1)


def done_objective(networks: SACSVGNetworks, transitions: Transitions) -> Tensor:
    """Termination loss (S,), a class-balanced cross-entropy; trains d̂.

    L_d = −mean [ w d log σ(l) + (1 − d) log (1 − σ(l)) ],  l = d̂(x, u),

    w the batch's ratio of non-terminal to terminal transitions; without terminal ones it has no effect.
    """
    logit, ends = networks.done_logit(transitions.observation, transitions.action), transitions.terminal
    positive = ends.sum(dim=-1, keepdim=True)
    weight = (ends.shape[-1] - positive) / positive.clamp(min=1.0)
    return F.binary_cross_entropy_with_logits(logit, ends, pos_weight=weight, reduction="none").mean(dim=-1)


def value_gradient_objective(
    networks: SACSVGNetworks, observation: Tensor, noise: Tensor, discount: float
) -> tuple[Tensor, Tensor]:
    """Policy loss (S,) on an imagined rollout, and log π of first actions (S, batch); trains π.

    L_π = −mean (1/H) Σ_{t<H} γ^t [ ν_t g_t − sg α · log π(u_t|x_t) ],  u_t ~ π(x_t) reparameterised,

    from x_0 of the replay through x_{t+1} of the dynamics.  g_t = r̂(x_t, u_t), but min_j Q_j(x_t, u_t) at
    the last step; ν_t = Π_{i<t} (1 − σ(d̂(x_i, u_i))) is the probability that the rollout has not ended.
    Gradients flow through all of it, including the policy's inputs and ν.

    Args:
        networks: all networks.
        observation: x_0 (S, batch, observation).
        noise: standard normal (S, H, batch, action).
        discount: γ.
    """
    horizon, batch = noise.shape[1:3]
    x, hidden = observation, networks.model.START
    states: list[Tensor] = []
    actions: list[Tensor] = []
    log_probabilities: list[Tensor] = []
    for t in range(horizon):
        if t > 0:
            x, hidden = networks.model(x, actions[-1], hidden)
        u, log_probability = networks.actor.sample(x, noise[:, t])
        states.append(x)
        actions.append(u)
        log_probabilities.append(log_probability)

    steps = torch.cat(states[:-1], dim=1), torch.cat(actions[:-1], dim=1)
    reward = networks.predict_reward(*steps).unflatten(1, (horizon - 1, batch))
    goes_on = torch.sigmoid(-networks.done_logit(*steps)).unflatten(1, (horizon - 1, batch))
    survival = torch.cat([torch.ones_like(goes_on[:, :1]), goes_on.cumprod(dim=1)], dim=1)
    gain = torch.cat([reward, networks.critic(x, actions[-1]).amin(dim=1, keepdim=True)], dim=1)
    bonus = -networks.temperature()[:, None, None] * torch.stack(log_probabilities, dim=1)
    weight = powers(discount, horizon, gain)[:, None]
    value = (weight * (survival * gain + bonus)).mean(dim=1)
    return -value.mean(dim=-1), log_probabilities[0]


class SACSVG(SoftAgent):
    """SAC-SVG(2) for a population of seeds (`alm.training.agent.Agent`)."""

    name = "sac-svg2"
    config: SACSVGConfig
    networks: SACSVGNetworks
    network_class = SACSVGNetworks

    def __init__(
        self,
        task: TaskSpec,
        config: SACSVGConfig,
        seeds: Sequence[int],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(task, config, seeds, device, dtype)
        self.standardiser = Standardiser(len(self.seeds), task.observation_size, device)

    def optimiser_groups(self) -> dict[str, OptimiserGroup]:
        """SAC's optimiser groups, and one each for dynamics, reward and termination."""
        net, seeds, lr = self.networks, len(self.seeds), self.config.model_learning_rate
        return super().optimiser_groups() | {
            "model": OptimiserGroup((net.model,), seeds, lr, self.config.model_max_grad_norm),
            "reward": OptimiserGroup((net.reward,), seeds, lr),
            "done": OptimiserGroup((net.done,), seeds, lr),
        }

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """Shapes of the noise of the target's actions and of the H actions of the policy's rollout."""
        action = (self.config.batch_size, self.task.action_size)
        return {"next_action": action, "action": (self.config.horizon, *action)}

    def policy_state(self) -> dict[str, Tensor]:
        """The actor, and the statistics that standardise observations."""
        statistics = {"standardiser.mean": self.standardiser.mean, "standardiser.std": self.standardiser.std}
        return super().policy_state() | statistics

    @torch.no_grad()
    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions of a soft agent, at standardised observations."""
        return super().act_greedily(self.standardiser(observation), streams)

    @torch.no_grad()
    def act_with_bonus(self, observation: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Actions and bonus of a soft agent, at standardised observations."""
        return super().act_with_bonus(self.standardiser(observation), streams)

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """One update on fresh batches and noise, after adding new observations to the statistics."""
        # One environment step has passed since the last call, the whole warm-up before the first.
        new = 1 if self.standardiser.count else replay.size
        self.standardiser.add(replay.newest(new).observation)
        config = self.config
        sequences = replay.sample_sequences(
            config.model_updates * config.model_batch_size,
            config.horizon,
            self.learning,
            reject_time_limits=True,
        )
        transitions = replay.sample(config.batch_size, self.learning)
        return self.update(sequences, transitions, self.draw_noise(), training_step)

    def branch(self, training_step: int) -> bool:
        """Whether the policy still uses SAC's objective."""
        return self.config.warmup_steps + training_step <= self.config.plain_steps

    def update(
        self,
        sequences: Transitions,
        transitions: Transitions,
        noise: Noise,
        training_step: Step,
        branch: bool | None = None,
    ) -> Metrics:
        """The updates of one environment step, in this order; metrics are (S,).

        Dynamics (on equal parts of ``sequences`` (S, H, updates · batch, …)), reward, termination,
        critics, policy and temperature, target critics. Each sees the results of those before it.
        """
        net, config = self.networks, self.config
        environment_step = config.warmup_steps + training_step
        sequences, transitions = self._in_units(sequences), self._in_units(transitions)
        metrics: Metrics = {}

        self._improve_model(sequences, metrics)
        self.descend("reward", reward_objective(net, transitions), metrics)
        self.descend("done", done_objective(net, transitions), metrics)
        target = soft_target(net, transitions, noise["next_action"], config.discount, UNIT)
        self.descend("critic", critic_objective(net.critic, transitions, target), metrics)
        metrics["critic/target"] = target.mean(dim=-1)

        x = transitions.observation
        if self.branch(int(training_step)) if branch is None else branch:
            policy = actor_objective(net, x, noise["action"][:, 0], UNIT)
        else:
            policy = value_gradient_objective(net, x, noise["action"], config.discount)
        target_entropy = config.target_entropy(environment_step)
        self.improve_policy(*policy, target_entropy, metrics)
        metrics["actor/target_entropy"] = torch.zeros_like(metrics["actor/entropy"]) + target_entropy
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics

    def _improve_model(self, sequences: Transitions, metrics: Metrics) -> None:
        """One step of the dynamics on each part of the sequences; metrics are means over the parts."""
        updates = self.config.model_updates
        norms, errors = [], []
        for x, u in zip(
            sequences.observation.chunk(updates, dim=2), sequences.action.chunk(updates, dim=2), strict=True
        ):
            error = prediction_errors(self.networks.model, x, u)
            norms.append(self.groups["model"].step(error.mean(dim=1)))
            errors.append(error.detach())
        by_step = torch.stack(errors).mean(dim=0)
        metrics["loss/model"] = by_step.mean(dim=1)
        metrics["grad_norm/model"] = torch.stack(norms).mean(dim=0)
        metrics |= {f"model/error_{t + 1}": error for t, error in enumerate(by_step.unbind(dim=1))}

    def _in_units(self, transitions: Transitions) -> Transitions:
        """Transitions with standardised observations and actions in (−1, 1)."""
        return replace(
            transitions,
            observation=self.standardiser(transitions.observation),
            next_observation=self.standardiser(transitions.next_observation),
            action=unit_action(transitions.action, self.bounds),
        )

    def state(self) -> dict[str, Any]:
        """State of every agent, plus the statistics of the observations."""
        return super().state() | {"standardiser": self.standardiser.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        super().load_state(state)
        self.standardiser.load_state(state["standardiser"])


class SACSVG3(SACSVG):
    """SAC-SVG(3): SAC-SVG with `SACSVG3Config`."""

    name = "sac-svg3"
