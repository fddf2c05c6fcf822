"""Model-based policy optimisation (Janner et al., 2019; code jannerm/mbpo).

SAC with many updates per environment step, mostly on imagined transitions: an ensemble of dynamics models is
retrained regularly, and the policy is rolled out in it for a few steps from real states.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import torch
from torch import Tensor

from alm.errors import UserError
from alm.task_registry import TaskSpec, task_spec
from alm.tasks import analytic
from alm.training.agent import Metrics
from alm.training.ranges import Count, Share, Steps
from alm.training.replay import Replay, Transitions
from alm.training.scale import Scale
from alm.training.streams import Purpose, Streams
from baselines.ensemble_dynamics import EnsembleConfig, EnsembleDynamics, multi_step_error
from baselines.sac import SAC, SACConfig, published_target_entropy

_EPOCH = 1000  # environment steps per epoch of the rollout schedule
_MODEL = 1  # stream of the dynamics model's initial weights
# Number of recorded sequences on which the model's error is measured, and the last index of their evaluation
# stream (training step, episode 0, index); `alm.training.bias_protocol` uses indices 0, 1 and 2.
_ERROR_SEQUENCES, _ERROR = 256, 3

# Settings by robot. Those of Ant and Humanoid with full observations were not published; they use
# the rows of their shortened observations.
_ROBOTS: dict[str, dict[str, Any]] = {
    "HalfCheetah": {"rollout_schedule": (20, 150, 1, 1), "updates_per_step": 40},
    "Hopper": {"rollout_schedule": (20, 150, 1, 15)},
    "Walker2d": {"rollout_schedule": (20, 150, 1, 1)},
    "Ant": {"rollout_schedule": (20, 100, 1, 25)},
    "Humanoid": {"rollout_schedule": (20, 300, 1, 25), "retrain_every": 1000, "retain_epochs": 5},
}
_MODEL_WIDTH = {"Humanoid": 400}


@dataclass(frozen=True)
class MBPOConfig(SACConfig):
    """Hyper-parameters of MBPO: those of its SAC and those of the model."""

    updates_per_step: Count = 20
    """SAC updates per environment step."""
    real_share: Share = 0.05
    """Fraction of real transitions in a batch, rounded down to whole transitions."""
    retrain_every: Count = 250
    """Environment steps between model trainings, each followed by rollouts; divides 1000."""
    rollouts: Count = 100_000
    """Rollouts after each model training, each from a real state."""
    rollout_schedule: tuple[Steps, Steps, Count, Count] = (20, 150, 1, 1)
    """e_0, e_1, k_0, k_1: rollouts have k_0 steps until epoch e_0, and k_1 from e_1; see `rollout_length`."""
    retain_epochs: Count = 1
    """Epochs of 1000 environment steps whose imagined transitions are kept."""
    error_horizon: Count = 5
    """Largest number of steps ahead for which the model's error is reported; does not affect training."""
    model: EnsembleConfig = field(default_factory=EnsembleConfig)
    """The ensemble."""

    def conflict(self) -> str | None:
        """Explanation of why these settings are incompatible; None if they are compatible."""
        if _EPOCH % self.retrain_every:
            return f"retrain_every={self.retrain_every} does not divide an epoch's {_EPOCH} steps"
        first, last, shortest, longest = self.rollout_schedule
        if first >= last:
            return f"rollout_schedule={self.rollout_schedule} does not begin before it ends"
        if shortest > longest:
            return f"rollout_schedule={self.rollout_schedule} makes rollouts shorter, but the pool only grows"
        first_data = min(self.replay_capacity, self.warmup_steps + 1)
        if self.model.held_out(first_data) == 0:
            return (
                f"with replay_capacity={self.replay_capacity} and warmup_steps={self.warmup_steps} the model "
                f"learns first from {first_data} transitions, and model.holdout_share="
                f"{self.model.holdout_share:g} of them is none"
            )
        return None

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale with the settings of a task's robot.

        Raises:
            UserError: the task's observations do not determine where a rollout ends.
        """
        spec = task_spec(task)
        if not analytic.has_end(spec):
            raise UserError(
                f"MBPO tells from predicted observations where the task ends, and those of {spec.name} are "
                f"noisy: choose {spec.base}."
            )
        robot = spec.robot
        return cls(
            warmup_steps=scale.warmup(cls.warmup_steps),
            hidden_size=scale.width(cls.hidden_size),
            batch_size=scale.batch(cls.batch_size),
            target_entropy=published_target_entropy(task),
            rollouts=scale.batch(cls.rollouts),
            model=EnsembleConfig(
                hidden_size=scale.width(_MODEL_WIDTH.get(robot, EnsembleConfig.hidden_size))
            ),
            **_ROBOTS[robot],
        )

    @property
    def real_batch_size(self) -> int:
        """Real transitions in a batch: 12 of 256."""
        return int(self.real_share * self.batch_size)

    def rollout_length(self, epoch: int) -> int:
        """Rollout length k, which rises linearly from k_0 at epoch e_0 to k_1 at e_1, rounded down."""
        first, last, shortest, longest = self.rollout_schedule
        progress = min(max((epoch - first) / (last - first), 0.0), 1.0)
        return int(progress * (longest - shortest) + shortest)

    def pool_size(self, length: int) -> int:
        """Imagined transitions kept: all of the retained epochs, for rollouts of the given length."""
        return self.retain_epochs * length * self.rollouts * (_EPOCH // self.retrain_every)


class MBPO(SAC):
    """MBPO for one seed (`alm.training.agent.Agent`), since the data decide when its model stops learning."""

    name = "mbpo"
    trains_seeds_apart = True
    config: MBPOConfig

    def __init__(
        self,
        task: TaskSpec,
        config: MBPOConfig,
        seeds: Sequence[int],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(task, config, seeds, device, dtype)
        (generator,) = Streams(self.seeds, Purpose.INITIALISATION, _MODEL).generators
        self.dynamics = EnsembleDynamics(
            task.observation_size, task.action_size, config.model, generator, device, dtype
        )
        self.pool = self._empty_pool(config.pool_size(config.rollout_length(0)))

    def _empty_pool(self, capacity: int) -> Replay:
        sizes = self.task.observation_size, self.task.action_size
        return Replay(1, capacity, *sizes, device=self.device)

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """The updates of one environment step, preceded by model training and rollouts when due."""
        due = (training_step - 1) % self.config.retrain_every == 0
        renewed = self._renew_model(replay, training_step) if due else {}
        batches, noise = self._mixed_batches(replay), self.draw_noise(self.config.updates_per_step)
        return self.update_often(batches, noise, training_step) | renewed

    def _renew_model(self, replay: Replay, training_step: int) -> Metrics:
        """Train the model on all real transitions, then imagine k(e) steps with the current policy."""
        config = self.config
        length = config.rollout_length((training_step - 1) // _EPOCH)
        metrics = self.dynamics.fit(replay.stored(), self.learning)
        for ahead, error in enumerate(self._model_error(replay, training_step), start=1):
            metrics[f"model/error_{ahead}"] = error[None]

        capacity = config.pool_size(length)
        if capacity != self.pool.capacity:
            self.pool = self.pool.grown(capacity)
        states = replay.stored().observation
        start = states[:, self.learning.integers(replay.size, config.rollouts)[0]]
        added = 0
        for transitions in self.imagine(start, length):
            self.pool.extend(transitions, transitions.terminal > 0)
            added += transitions.reward.shape[1]
        metrics["model/rollout_length"] = start.new_tensor([length])
        metrics["model/rollout_mean_length"] = start.new_tensor([added / config.rollouts])
        metrics["model/pool_size"] = start.new_tensor([self.pool.size])
        return metrics

    def imagine(self, observation: Tensor, length: int) -> Iterator[Transitions]:
        """Rollouts of the stochastic policy from observations (1, n, observation).

        Yields the transitions (1, m ≤ n) of every step; a rollout stops where the task is predicted to end.
        """
        for _ in range(length):
            action, _ = self.act_with_bonus(observation, self.learning)
            reward, after = self.dynamics.sample(observation, action, self.learning)
            ended = analytic.terminated(self.task, after)
            yield Transitions(observation, action, reward, after, ended.to(reward.dtype))
            observation = after[:, ~ended[0]]
            if observation.shape[1] == 0:
                return

    def _model_error(self, replay: Replay, training_step: int) -> Tensor:
        """`multi_step_error` on recorded sequences (K,); NaN, which logs omit, while all are too short."""
        horizon = self.config.error_horizon
        # Listed rather than drawn until they fit: if the horizon is near an episode's length, hardly any fit.
        starts = replay.starts_within_episodes(horizon)
        if not len(starts):
            return torch.full((horizon,), torch.nan, device=self.device)
        streams = Streams(self.seeds, Purpose.EVALUATION, training_step, 0, _ERROR, device=self.device)
        start = starts[streams.integers(len(starts), _ERROR_SEQUENCES)]
        return multi_step_error(self.dynamics, replay.sequences_from(start, horizon))

    def _mixed_batches(self, replay: Replay) -> Transitions:
        """Batches for all updates of a step (1, updates, batch): real transitions, then imagined ones."""
        updates, real = self.config.updates_per_step, self.config.real_batch_size
        parts = (
            replay.sample((updates, real), self.learning),
            self.pool.sample((updates, self.config.batch_size - real), self.learning),
        )
        return Transitions(
            *(torch.cat([getattr(p, f.name) for p in parts], dim=2) for f in fields(Transitions))
        )

    def state(self) -> dict[str, Any]:
        """State of every agent, plus the model and its imagined transitions."""
        return super().state() | {
            "dynamics": self.dynamics.state(),
            "pool": self.pool.state(),
            "pool_capacity": self.pool.capacity,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        super().load_state(state)
        self.dynamics.load_state(state["dynamics"])
        self.pool = self._empty_pool(state["pool_capacity"])
        self.pool.load_state(state["pool"])
