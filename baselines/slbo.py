"""Stochastic lower bounds optimisation, SLBO (Luo et al., 2018; code facebookresearch/slbo).

Model-based policy optimisation in stages: collect steps of the task, then alternate between fitting a
deterministic model to all of them and improving the policy by TRPO inside the model. The model's loss is the
norm, not the squared norm, of errors over two of its own steps; reward and termination of imagined steps use
the task's own formulas. Settings are those of Wang et al. (2019), whose SLBO the ALM paper quotes.

Shapes have a leading axis of one seed: s (1, batch, observation), u (1, batch, action) in units where the
task's bounds are ±1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from alm.errors import UserError
from alm.task_registry import TaskSpec, task_spec
from alm.tasks import analytic, make
from alm.training.agent import Agent, Metrics
from alm.training.optimisation import OptimiserGroup
from alm.training.population import Linear, Tanh, mlp
from alm.training.ranges import Count, NotNegative, Positive, Share, Steps
from alm.training.replay import Replay, Transitions
from alm.training.scale import Scale
from alm.training.streams import Streams
from baselines.networks import MeanLogStd, log_density, scale_action, unit_action
from baselines.trpo import advantages, kl_divergence, trust_region_step

_ENTROPY_LIMIT = 2.0


@dataclass(frozen=True)
class SLBOConfig:
    """Hyper-parameters of SLBO, as in the benchmark."""

    stage_steps: Count = 10_000
    """Environment steps collected before each round of updates."""
    iterations: Count = 20
    """Rounds of model and policy updates per stage."""
    model_updates: Count = 100
    """Model updates per iteration."""
    policy_updates: Count = 40
    """TRPO steps per iteration."""
    discount: Share = 0.99
    """γ."""
    trace: Share = 0.95
    """λ of generalised advantage estimation."""
    noise_pull: NotNegative = 0.15
    """θ of the Ornstein–Uhlenbeck noise on collected actions."""
    noise_std: NotNegative = 0.3
    """σ of that noise, in units where the bounds are ±1."""
    model_hidden_size: Count = 500
    """Width of both layers of the model."""
    model_steps: Count = 2
    """Consecutive model steps in its loss."""
    model_batch_size: Count = 128
    """Sequences for one update of the model."""
    model_learning_rate: Positive = 1e-3
    """Adam's step size for the model."""
    weight_decay: NotNegative = 1e-5
    """Weight of half the squared norm of the model's parameters in its loss."""
    max_grad_norm: Positive = 2.0
    """Largest norm of the model's gradient."""
    policy_hidden_size: Count = 32
    """Width of both layers of the policy."""
    value_hidden_size: Count = 64
    """Width of both layers of the value."""
    value_learning_rate: Positive = 1e-3
    """Adam's step size for the value."""
    value_passes: Count = 5
    """Passes over the imagined steps per fit of the value."""
    value_batch_size: Count = 64
    """Imagined steps for one update of the value."""
    imagined_steps: Count = 4000
    """Model steps for one TRPO step."""
    imagined_horizon: Count = 1000
    """Longest imagined episode."""
    entropy_weight: NotNegative = 0.005
    """Weight of the entropy in the gain."""
    max_kl: Positive = 0.01
    """Trust region of a TRPO step."""
    warmup_steps: Steps = 0
    """Uniformly random actions; the initial policy is noisy enough."""
    replay_capacity: Count = 200_000
    """Transitions kept."""

    @property
    def first_update(self) -> int:
        """Environment step of the first updates: the end of the first stage after the warm-up."""
        return self.warmup_steps + self.stage_steps

    def conflict(self) -> str | None:
        """Explanation of why these settings are incompatible; None if they are compatible."""
        if self.replay_capacity < self.stage_steps:
            return f"replay_capacity={self.replay_capacity} holds no stage of stage_steps={self.stage_steps}"
        return None

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale.

        At laptop scale stages are shorter and have fewer iterations, so the number of updates per environment
        step is that of the benchmark. A stage of smoke scale is as short as a warm-up there.

        Raises:
            UserError: the task's reward is not a function of observations.
        """
        _require_reward(task_spec(task))
        return cls(
            stage_steps=scale.warmup(scale.batch(cls.stage_steps)),
            iterations=max(scale.batch(cls.iterations), 1),
            model_hidden_size=scale.width(cls.model_hidden_size),
            model_batch_size=scale.batch(cls.model_batch_size),
            policy_hidden_size=scale.width(cls.policy_hidden_size),
            value_hidden_size=scale.width(cls.value_hidden_size),
            value_batch_size=scale.batch(cls.value_batch_size),
            imagined_steps=scale.batch(cls.imagined_steps),
        )


def _require_reward(task: TaskSpec) -> None:
    if not analytic.has_reward(task):
        raise UserError(
            f"SLBO plans with the task's own reward, and that of {task.name} is not a function of what is "
            "observed: choose an mbbl task without observation noise, such as mbbl/HalfCheetah."
        )


class Normaliser(nn.Module):
    """Mean and standard deviation of all data seen so far, for centring and scaling vectors.

    They have the networks' precision, since they are updated only once a stage
    (`baselines.standardiser` is for statistics that every step changes).
    """

    mean: Tensor
    std: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 1, size))
        self.register_buffer("std", torch.ones(1, 1, size))
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(x − mean)/std."""
        return (x - self.mean) / self.std.clamp(min=1e-8)

    def inverse(self, x: Tensor) -> Tensor:
        """x · std + mean."""
        return x * self.std + self.mean

    @torch.no_grad()
    def update(self, samples: Tensor) -> None:
        """Add samples (1, n, size), as if all data had been seen at once."""
        old, new = self.count.item(), samples.shape[1]
        total = old + new
        shift = samples.mean(dim=1, keepdim=True) - self.mean
        variance = samples.var(dim=1, keepdim=True, unbiased=False)
        between = shift.square() * (old * new / total)
        self.std.copy_(((self.std.square() * old + variance * new + between) / total).sqrt())
        self.mean.add_(shift * (new / total))
        self.count.fill_(total)


class SLBOPolicy(nn.Module):
    """u ~ N(μ(s), σ²) on normalised observations; σ is independent of the state and starts at 1."""

    def __init__(self, observation_size: int, action_size: int, hidden: int) -> None:
        super().__init__()
        self.layers = mlp(1, (observation_size, hidden, hidden, action_size), Tanh)
        self.log_std = nn.Parameter(torch.zeros(1, 1, action_size))

    def forward(self, normalised: Tensor) -> MeanLogStd:
        """Mean and log-std of the unit action, each (1, batch, action)."""
        mean = self.layers(normalised)
        return mean, self.log_std.expand_as(mean)


class SLBONetworks(nn.Module):
    """Policy, value, model, and the normalisers of states and of their changes."""

    def __init__(self, task: TaskSpec, config: SLBOConfig, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        (generator,) = generators
        observation, action = task.observation_size, task.action_size
        self.policy = SLBOPolicy(observation, action, config.policy_hidden_size)
        value, model = config.value_hidden_size, config.model_hidden_size
        self.value = mlp(1, (observation, value, value, 1), Tanh)
        self.model = mlp(1, (observation + action, model, model, observation), nn.ReLU)
        self.state = Normaliser(observation)
        self.change = Normaliser(observation)
        _initialise_columns(self.policy.layers, generator, last=0.01)
        _initialise_columns(self.value, generator, last=1.0)
        for layer in self.model:
            if isinstance(layer, Linear):
                # As in the reference: the model initially predicts no change.
                nn.init.trunc_normal_(layer.weight, std=1e-5, a=-2e-5, b=2e-5, generator=generator)

    def act(self, observation: Tensor) -> MeanLogStd:
        """The policy at observations (1, batch, observation)."""
        return self.policy(self.state(observation))

    def evaluate(self, observation: Tensor) -> Tensor:
        """The value of observations (1, …, observation) → (1, …)."""
        flat = self.state(observation).flatten(1, -2)
        return self.value(flat)[..., 0].view(observation.shape[:-1])

    def predict(self, observation: Tensor, unit: Tensor) -> Tensor:
        """The next observation (1, batch, observation) after actions in units where the bounds are ±1.

        It is clamped to 100 standard deviations of the data.
        """
        x = torch.cat([self.state(observation), unit.clamp(-1.0, 1.0)], dim=-1)
        following = observation + self.change.inverse(self.model(x))
        return self.state.inverse(self.state(following).clamp(-100.0, 100.0))


@torch.no_grad()
def _initialise_columns(layers: nn.Sequential, generator: torch.Generator, last: float) -> None:
    """Normal weights scaled to norm 1 for every output, or to ``last`` in the last layer.

    Like OpenAI baselines' "normc".
    """
    for layer in layers:
        if isinstance(layer, Linear):
            norm = last if layer is layers[-1] else 1.0
            layer.weight.normal_(generator=generator)
            layer.weight.mul_(norm / layer.weight.norm(dim=1, keepdim=True))


def model_objective(
    networks: SLBONetworks, sequences: Transitions, ended: Tensor, weight_decay: float
) -> Tensor:
    """Multi-step model loss (1,); trains the model.

    L = (1/H) Σ_{t<H} mean ‖(ŝ_{t+1} − ŝ_t − (s'_t − s_t)) / σ_Δ‖_RMS + ½ ``weight_decay`` ‖θ‖²,

    where ŝ_0 = s_0, ŝ_{t+1} = f(ŝ_t, u_t), except that ŝ restarts at s_{t+1} if the episode ended with
    step t; ‖·‖_RMS is the root mean square over dimensions, σ_Δ the standard deviation of changes.

    Args:
        networks: the model and the normalisers.
        sequences: H consecutive transitions, leading axes (1, H, batch), with unit actions.
        ended: whether the next stored transition belongs to another episode (1, H, batch).
        weight_decay: weight decay of all model parameters.
    """
    state, total = sequences.observation[:, 0], torch.zeros(())
    std = networks.change.std.clamp(min=1e-6)
    steps = ended.shape[1]
    for t in range(steps):
        following = networks.predict(state, sequences.action[:, t])
        change = sequences.next_observation[:, t] - sequences.observation[:, t]
        error = (following - state - change) / std
        total = total + error.square().mean(dim=-1).sqrt().mean(dim=-1)
        if t < steps - 1:
            state = torch.where(ended[:, t, :, None], sequences.observation[:, t + 1], following)
    squares = torch.stack([parameter.square().sum() for parameter in networks.model.parameters()]).sum()
    return total / steps + 0.5 * weight_decay * squares


def limited_entropy(gaussian: MeanLogStd) -> Tensor:
    """Entropy term of the gain, summed over dimensions → (…).

    Σ ½ [ (log σ + ½ log 2π) (erf h − erf l) + h e^{−h²} − l e^{−l²} ],  h, l = (±2 − μ)/(√2 σ).

    Intended as the part of the entropy within ±2, so that leaving the bounds gains nothing. The last
    terms differ slightly from those of the integral and are kept as in the reference.
    """
    mean, log_std = gaussian
    scale = math.sqrt(2.0) * log_std.exp()
    high, low = (_ENTROPY_LIMIT - mean) / scale, (-_ENTROPY_LIMIT - mean) / scale
    inside = (log_std + 0.5 * math.log(2 * math.pi)) * (high.erf() - low.erf())
    edges = high * (-high.square()).exp() - low * (-low.square()).exp()
    return 0.5 * (inside + edges).sum(dim=-1)


def policy_gain(
    new: MeanLogStd, old: MeanLogStd, unit: Tensor, advantage: Tensor, entropy_weight: float
) -> Tensor:
    """The objective that TRPO maximises → scalar.

    mean [ π(u|s)/π_old(u|s) · A ] + ``entropy_weight`` · mean entropy,  A (1, batch) the scaled advantage.
    """
    ratio = (log_density(new, unit) - log_density(old, unit)).exp()
    return (ratio * advantage).mean() + entropy_weight * limited_entropy(new).mean()


@dataclass(frozen=True)
class Imagined:
    """Steps of parallel rollouts in the model; axes (steps, rollouts, …)."""

    observation: Tensor
    unit_action: Tensor
    reward: Tensor
    next_observation: Tensor
    terminal: Tensor  # 1.0 where the task ended
    ended: Tensor  # 1.0 there and where the horizon truncated the episode


class SLBO(Agent):
    """SLBO for one seed (`alm.training.agent.Agent`).

    It learns only at the end of a stage; otherwise `learn` returns no metrics.

    There is one seed, because line searches of several would take different numbers of steps.

    Raises:
        UserError: a task whose reward is not a function of observations.
    """

    name = "slbo"
    policy_modules = ("policy", "state")
    one_program = False
    trains_seeds_apart = True
    config: SLBOConfig
    networks: SLBONetworks
    network_class = SLBONetworks

    def __init__(
        self,
        task: TaskSpec,
        config: SLBOConfig,
        seeds: Sequence[int],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        _require_reward(task)
        super().__init__(task, config, seeds, device, dtype)
        # Ornstein–Uhlenbeck noise of the next action; it continues across episodes.
        self.drift = torch.zeros(1, 1, task.action_size, device=device, dtype=dtype)
        self._start: gymnasium.Env | None = None

    def optimiser_groups(self) -> dict[str, OptimiserGroup]:
        """The model and the value; the policy's step is TRPO's."""
        net, config = self.networks, self.config
        return {
            "model": OptimiserGroup((net.model,), 1, config.model_learning_rate, config.max_grad_norm),
            "value": OptimiserGroup((net.value,), 1, config.value_learning_rate),
        }

    # Acting.

    @torch.no_grad()
    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Sampled actions with added noise (1, batch, action), which may leave the bounds."""
        del training_step
        mean, log_std = self.networks.act(observation)
        sample, push = streams.normal(2, *mean.shape[1:], dtype=mean.dtype).unbind(dim=1)
        self.drift = (1.0 - self.config.noise_pull) * self.drift + self.config.noise_std * push
        return scale_action(mean + log_std.exp() * sample + self.drift, self.bounds)

    @torch.no_grad()
    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions: the policy's mean."""
        del streams
        return scale_action(self.networks.act(observation)[0], self.bounds)

    # Learning.

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """All updates of a stage at its end; nothing at other steps."""
        config = self.config
        if training_step % config.stage_steps != 0:
            return {}
        self._normalise(replay)
        kept: list[Metrics] = []
        for _ in range(config.iterations):
            for _ in range(config.model_updates):
                index = self.learning.integers(replay.size, config.model_batch_size)
                kept.append(self.update_model(*self._sequences(replay, index)))
            for _ in range(config.policy_updates):
                imagined = self.imagine()
                advantage = self.advantages(imagined)
                kept.append(self.update_policy(imagined, advantage) | self._fit_value(imagined, advantage))
        names = dict.fromkeys(name for metrics in kept for name in metrics)
        return {
            name: torch.stack([metrics[name] for metrics in kept if name in metrics]).mean(dim=0)
            for name in names
        }

    def _normalise(self, replay: Replay) -> None:
        """Add all data since the last stage to the normalisers; at the first stage, also the warm-up's."""
        new = replay.newest(self.config.stage_steps if self.networks.state.count.item() else replay.size)
        self.networks.state.update(new.observation)
        self.networks.change.update(new.next_observation - new.observation)

    def _sequences(self, replay: Replay, start: Tensor) -> tuple[Transitions, Tensor]:
        """Consecutive transitions from ``start`` (1, batch) on, and where an episode ended.

        A sequence continues into whatever is stored next; the loss restarts there.
        """
        offsets = torch.arange(self.config.model_steps, device=start.device)[None, :, None]
        index = (start[:, None] + offsets) % replay.size
        stored = replay.at(index)
        values = {
            field.name: getattr(stored, field.name).to(self.drift.dtype) for field in fields(Transitions)
        }
        values["action"] = unit_action(values["action"], self.bounds)
        return Transitions(**values), replay.ends(index)

    def update_model(self, sequences: Transitions, ended: Tensor) -> Metrics:
        """One step of the model; see `model_objective`."""
        metrics: Metrics = {}
        loss = model_objective(self.networks, sequences, ended, self.config.weight_decay)
        self.descend("model", loss, metrics)
        return metrics

    @torch.no_grad()
    def imagine(self) -> Imagined:
        """Rollouts of the policy in the model, from initial states of the task."""
        config, net = self.config, self.networks
        rollouts = max(config.imagined_steps // config.imagined_horizon, 1)
        steps = config.imagined_steps // rollouts
        noise = self.learning.normal(steps, rollouts, self.task.action_size, dtype=self.drift.dtype)
        state, age = self._initial_states(rollouts), torch.zeros(rollouts, device=self.device)
        rows = []
        for t in range(steps):
            mean, log_std = net.act(state)
            unit = mean + log_std.exp() * noise[:, t]
            following = net.predict(state, unit)
            reward = analytic.reward(self.task, state, scale_action(unit, self.bounds))
            terminal = analytic.terminated(self.task, following)
            age += 1
            ended = terminal | (age >= config.imagined_horizon)
            rows.append((state, unit, reward, following, terminal, ended))
            if bool(ended.any()):
                following = following.clone()
                following[ended] = self._initial_states(int(ended.sum()))[0]
                age[ended[0]] = 0
            state = following
        columns = (torch.cat(column).to(self.drift.dtype) for column in zip(*rows, strict=True))
        return Imagined(*columns)

    def _initial_states(self, number: int) -> Tensor:
        """Observations (1, number, observation) of initial states of the task; no step is taken."""
        if self._start is None:
            self._start = make(self.task)
        seeds = self.learning.integers(2**31 - 1, number)[0].tolist()
        observations = np.stack([self._start.reset(seed=seed)[0] for seed in seeds])
        return torch.from_numpy(observations).to(self.drift)[None]

    def update_policy(self, imagined: Imagined, advantage: Tensor) -> Metrics:
        """One TRPO step on imagined rollouts and their advantages (steps, rollouts)."""
        net, config = self.networks, self.config
        spread = advantage.std(unbiased=False).clamp(min=1e-8)
        scaled = ((advantage - advantage.mean()) / spread).flatten()[None]
        observation = net.state(imagined.observation.flatten(0, 1)[None])
        unit = imagined.unit_action.flatten(0, 1)[None]
        with torch.no_grad():
            mean, log_std = net.policy(observation)
        old = mean, log_std.clone()  # a copy, however the step writes the parameter that it is a view of

        def evaluate() -> tuple[Tensor, Tensor]:
            new = net.policy(observation)
            gain = policy_gain(new, old, unit, scaled, config.entropy_weight)
            return gain, kl_divergence(old, new).mean()

        step = trust_region_step(list(net.policy.parameters()), evaluate, max_kl=config.max_kl)
        values = {
            "policy/kl": step.kl,
            "policy/improvement": step.improvement,
            "policy/accepted": float(step.accepted),
            "policy/std": net.policy.log_std.detach().mean().exp(),
            "model/reward": imagined.reward.mean(),
        }
        return {name: torch.as_tensor(value, device=self.device).view(1) for name, value in values.items()}

    @torch.no_grad()
    def advantages(self, imagined: Imagined) -> Tensor:
        """Generalised advantages (steps, rollouts) under the current value."""
        value, next_value = (
            self.networks.evaluate(states[None])[0]
            for states in (imagined.observation, imagined.next_observation)
        )
        return advantages(
            imagined.reward,
            value,
            next_value,
            imagined.terminal,
            imagined.ended,
            self.config.discount,
            self.config.trace,
        )

    def _fit_value(self, imagined: Imagined, advantage: Tensor) -> Metrics:
        """Regress the value to the returns A + V under the old value, in passes over shuffled batches."""
        with torch.no_grad():
            states = imagined.observation.flatten(0, 1)[None]
            returns = advantage.flatten()[None] + self.networks.evaluate(states)
        metrics: Metrics = {}
        for _ in range(self.config.value_passes):
            order = torch.randperm(
                states.shape[1], generator=self.learning.generators[0], device=states.device
            )
            for batch in order.split(self.config.value_batch_size):
                self.update_value(states[:, batch], returns[:, batch], metrics)
        return metrics

    def update_value(self, observation: Tensor, target: Tensor, metrics: Metrics) -> None:
        """One step of the value: L_V = mean (V(s) − ``target``)²; records the loss."""
        loss = (self.networks.evaluate(observation) - target).square().mean(dim=-1)
        self.descend("value", loss, metrics)

    def state(self) -> dict[str, Any]:
        """All state that training changes."""
        return super().state() | {"drift": self.drift}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        super().load_state(state)
        self.drift = state["drift"].to(self.drift)
