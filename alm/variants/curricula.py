"""ALM with a different policy objective or horizon early in training (two of appendix G's experiments).

The appendix says "training the policy using real data for a fixed time-steps at the start of training" and
"scheduling the sequence length from 1 to K at the start of training"; the details are our interpretation.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor

from alm import objectives
from alm.agent import ALM
from alm.config import ALMConfig
from alm.objectives import Diagnostics, Gaussian, Policy
from alm.training.agent import Metrics, Noise
from alm.training.ranges import Count, Steps
from alm.training.replay import Transitions
from alm.training.scale import Scale
from alm.training.schedules import Step
from alm.variants.td3_loss import td3_actor_objective


@dataclass(frozen=True)
class RealWarmupConfig(ALMConfig):
    """ALM's hyper-parameters, and how long the policy learns from real states alone."""

    real_data_steps: Steps = 5000
    """Training steps for which the policy's objective ignores the model: as many as the warm-up has."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale on a task."""
        return replace(super().at(scale, task), real_data_steps=scale.warmup(cls.real_data_steps))


class RealWarmupALM(ALM):
    """ALM whose policy first maximises the critics at replayed states (`td3_actor_objective`)."""

    config: RealWarmupConfig

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Branch of the latest update; initially that of the first one.
        self._on_real_states = self.branch(1)

    def branch(self, training_step: int) -> bool:
        """Whether the policy still learns from real states alone at a training step."""
        return training_step <= self.config.real_data_steps

    def update(
        self,
        sequences: Transitions,
        transitions: Transitions,
        noise: Noise,
        training_step: Step,
        branch: bool | None = None,
    ) -> Metrics:
        """ALM's update with the policy objective for this training step."""
        self._on_real_states = self.branch(int(training_step)) if branch is None else branch
        return super().update(sequences, transitions, noise, training_step)

    def actor_loss(self, state: Gaussian, noise: Noise, policy: Policy) -> tuple[Tensor, Diagnostics]:
        """Actor loss (d), or TD3's early in training."""
        if self._on_real_states:
            return td3_actor_objective(self.networks, state, noise, policy)
        return super().actor_loss(state, noise, policy)


@dataclass(frozen=True)
class HorizonScheduleConfig(ALMConfig):
    """ALM's hyper-parameters, and how fast the horizon grows to K."""

    steps_per_horizon: Count = 5000
    """Training steps after which the horizon, initially 1, grows by one."""

    @property
    def shortest_horizon(self) -> int:
        """Horizon of the first training step."""
        return 1

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale on a task."""
        return replace(super().at(scale, task), steps_per_horizon=scale.warmup(cls.steps_per_horizon))


class HorizonScheduleALM(ALM):
    """ALM whose two rollouts grow from 1 to K steps; value estimates use K steps from the start."""

    config: HorizonScheduleConfig

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Horizon of the latest update; initially that of the first one.
        self._horizon = self.branch(1)

    def branch(self, training_step: int) -> int:
        """The horizon at a training step."""
        grown = (training_step - 1) // self.config.steps_per_horizon
        return min(1 + grown, self.config.horizon)

    def update(
        self,
        sequences: Transitions,
        transitions: Transitions,
        noise: Noise,
        training_step: Step,
        branch: int | None = None,
    ) -> Metrics:
        """ALM's update at the current horizon, on the first transitions of ``sequences``."""
        self._horizon = self.branch(int(training_step)) if branch is None else branch
        return super().update(sequences[:, : self._horizon], transitions, noise, training_step)

    def actor_loss(self, state: Gaussian, noise: Noise, policy: Policy) -> tuple[Tensor, Diagnostics]:
        """Actor loss (d) at the current horizon."""
        config = replace(self.config, horizon=self._horizon)
        return objectives.actor_objective(self.networks, state, noise, config, policy)
