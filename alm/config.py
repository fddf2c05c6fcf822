"""Configuration of ALM: the paper's Table 3 and the settings that its ablations change.

The scales that every algorithm of the suite shares live in `alm.training.scale`.
"""

from dataclasses import dataclass
from typing import Self

from alm.task_registry import task_spec
from alm.training.ranges import Count, NotNegative, Positive, Share, Steps, window_conflict
from alm.training.scale import Scale
from alm.training.schedules import Level, Step, linear


@dataclass(frozen=True)
class ALMConfig:
    """Hyper-parameters of ALM(K), from Table 3 or, where it is silent, from the authors' code."""

    horizon: Count = 3
    """K: model steps in both rollout objectives and in L^K; length of replayed sequences."""
    classifier_coefficient: NotNegative = 0.1
    """c, the weight of the classifier's log-ratio (intrinsic reward) in the policy objective and in L^K."""
    kl_term: bool = True
    """Keep the KL consistency term in the encoder-and-model objective (Eq. 7)."""
    reward_term: bool = True
    """Keep the predicted rewards in the encoder-and-model objective (Eq. 7)."""
    value_term: bool = True
    """Keep the value at the horizon in the encoder-and-model objective (Eq. 7)."""
    discount: Share = 0.99
    """γ."""
    trace: Share = 0.95
    """λ of the λ-weighted return in the policy objective."""
    target_rate: Share = 0.005
    """τ, step of the target encoder and target critics towards the online networks."""
    latent_size: Count = 50
    """Size of a representation z."""
    hidden_size: Count = 512
    """Width of the encoder, reward, classifier, critic and actor."""
    model_hidden_size: Count = 1024
    """Width of the latent model."""
    batch_size: Count = 512
    """Sequences per update, and also transitions per update."""
    learning_rate: Positive = 1e-4
    """Adam's step size for all four groups."""
    max_grad_norm: Positive = 100.0
    """Largest gradient norm for each seed and group."""
    exploration_start: NotNegative = 1.0
    """σ before the first training step."""
    exploration_end: NotNegative = 0.1
    """σ from ``exploration_steps`` on."""
    exploration_steps: Count = 100_000
    """Training steps over which σ falls linearly."""
    exploration_clip: NotNegative = 0.3
    """Bound on the action noise inside updates; acting does not clip."""
    warmup_steps: Steps = 5000
    """Uniformly random actions before the first update."""
    replay_capacity: Count = 100_000
    """Transitions kept; 1,000,000 on every Humanoid task."""
    reject_time_limits: bool = False
    """Also reject replayed sequences that straddle a time limit (the authors' code keeps them)."""

    def conflict(self) -> str | None:
        """Explanation of why these settings are incompatible; None if they are compatible."""
        if not (self.kl_term or self.value_term):
            if not self.reward_term:
                return "without kl_term, reward_term and value_term nothing trains encoder and model"
            if self.shortest_horizon == 1:
                return "with neither kl_term nor value_term nothing trains the model while the horizon is 1"
        if self.batch_size == 1:
            return "batch_size=1 leaves no imagined half for the classifier"
        return window_conflict(self.replay_capacity, self.warmup_steps, self.horizon)

    @property
    def shortest_horizon(self) -> int:
        """Smallest number of model steps in a training rollout."""
        return self.horizon

    def exploration_std(self, training_step: Step) -> Level:
        """Exploration std σ_t at a training step, counted from the end of the warm-up."""
        return linear(training_step, self.exploration_start, self.exploration_end, self.exploration_steps)

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration for a scale; the replay size is ALM's only per-task hyper-parameter."""
        return cls(
            warmup_steps=scale.warmup(cls.warmup_steps),
            replay_capacity=1_000_000 if task_spec(task).robot == "Humanoid" else cls.replay_capacity,
            hidden_size=scale.width(cls.hidden_size),
            model_hidden_size=scale.width(cls.model_hidden_size),
            batch_size=scale.batch(cls.batch_size),
        )
