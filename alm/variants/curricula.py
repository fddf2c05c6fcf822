"""ALM whose policy or horizon is another at the start of training (two of appendix G's experiments).

The appendix says "training the policy using real data for a fixed time-steps at the start of training" and
"scheduling the sequence length from 1 to K at the start of training"; how long, and how, is our reading.
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
    """Training steps in which the policy's objective leaves out the model: as many as the random actions."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale on a task."""
        return replace(super().at(scale, task), real_data_steps=scale.warmup(cls.real_data_steps))


class RealWarmupALM(ALM):
    """ALM whose policy first maximises the critics at replayed states (`td3_actor_objective`)."""

    config: RealWarmupConfig

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The branch of the latest update; before any, the first one's.
        self._on_real_states = self.branch(1)

    def branch(self, training_step: int) -> bool:
        """Whether the policy still learns from real states alone."""
        return training_step <= self.config.real_data_steps

    def update(
        self,
        sequences: Transitions,
        transitions: Transitions,
        noise: Noise,
        training_step: Step,
        branch: bool | None = None,
    ) -> Metrics:
        """As in ALM, with the objective of the policy that is due."""
        self._on_real_states = self.branch(int(training_step)) if branch is None else branch
        return super().update(sequences, transitions, noise, training_step)

    def actor_loss(self, state: Gaussian, noise: Noise, policy: Policy) -> tuple[Tensor, Diagnostics]:
        """(d), or for some time TD3's."""
        if self._on_real_states:
            return td3_actor_objective(self.networks, state, noise, policy)
        return super().actor_loss(state, noise, policy)


@dataclass(frozen=True)
class HorizonScheduleConfig(ALMConfig):
    """ALM's hyper-parameters, and how fast the horizon grows to K."""

    steps_per_horizon: Count = 5000
    """Training steps after which the horizon, 1 at first, grows by one."""

    @property
    def shortest_horizon(self) -> int:
        """That of the first training step."""
        return 1

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale on a task."""
        return replace(super().at(scale, task), steps_per_horizon=scale.warmup(cls.steps_per_horizon))


class HorizonScheduleALM(ALM):
    """ALM whose two rollouts have 1, 2, …, K steps in turn; the value estimates have K from the start."""

    config: HorizonScheduleConfig

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The horizon of the latest update; before any, the first one's.
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
        """As in ALM, at the horizon that is due: the first transitions of ``sequences``."""
        self._horizon = self.branch(int(training_step)) if branch is None else branch
        return super().update(sequences[:, : self._horizon], transitions, noise, training_step)

    def actor_loss(self, state: Gaussian, noise: Noise, policy: Policy) -> tuple[Tensor, Diagnostics]:
        """(d) at the present horizon."""
        config = replace(self.config, horizon=self._horizon)
        return objectives.actor_objective(self.networks, state, noise, config, policy)
