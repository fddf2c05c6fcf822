"""ALM with logarithms of rewards and values (Figures 6 and 12), as the lower bound's derivation requires.

Reward and critics are trained on plain rewards; the logarithm is applied to their predictions where an
objective of ALM uses them. The authors applied it to raw outputs, and negative ones ended runs in NaN.
Here its argument is clamped from below, and the metrics count the clamped predictions.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from alm import objectives
from alm.agent import ALM
from alm.config import ALMConfig
from alm.networks import Networks
from alm.objectives import Diagnostics, Gaussian, Policy
from alm.task_registry import task_spec
from alm.training.agent import Metrics, Noise
from alm.training.ranges import NotNegative
from alm.training.replay import Transitions
from alm.training.scale import Scale
from alm.training.schedules import Step
from alm.training.streams import Streams

FLOOR = 1e-6
"""Smallest argument of a logarithm."""


@dataclass(frozen=True)
class LogRewardConfig(ALMConfig):
    """ALM's hyper-parameters, and which logarithm is used where."""

    log_offset: NotNegative = 0.0
    """a of φ(x) = a (log(x + a) − log a); 0: φ(x) = log x."""
    log_in_policy: bool = True
    """Whether φ is also used in the policy objective, not only in the encoder-and-model objective."""
    reward_shift: float = 20.0
    """Constant added to every training reward, so that most are positive; 0 in `log-naive` on Humanoid tasks,
    whose alive bonus makes rewards positive."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale on a task."""
        shift = 0.0 if task_spec(task).robot == "Humanoid" else cls.reward_shift
        return replace(super().at(scale, task), reward_shift=shift)


def logarithm(x: Tensor, offset: float) -> Tensor:
    """φ(x) = a (log(x + a) − log a) = a log(1 + x/a), or log x for a = 0; arguments of the log ≥ FLOOR."""
    if offset:
        return offset * torch.log1p((x / offset).clamp(min=FLOOR - 1.0))
    return x.clamp(min=FLOOR).log()


def count_clamped(x: Tensor, offset: float) -> Tensor:
    """Number of entries of ``x`` (S, …) that `logarithm` clamps, per seed → (S,)."""
    below = x / offset < FLOOR - 1.0 if offset else x < FLOOR
    return below.flatten(1).sum(dim=1).to(x.dtype)


class LogNetworks(Networks):
    """View of ALM's networks for an objective, with φ(r̂) and φ(min_j Q_j) in place of r̂ and min_j Q_j.

    It shares the modules of ``networks`` and counts the predictions that φ clamps.
    """

    def __init__(self, networks: Networks, offset: float) -> None:
        nn.Module.__init__(self)
        self._modules = networks._modules
        self._offset = offset
        self._clamped: list[Tensor] = []

    def predict_reward(self, z: Tensor, action: Tensor) -> Tensor:
        """φ(r̂(z, a)) → (S, batch)."""
        return self._logarithm(super().predict_reward(z, action))

    def min_value(self, z: Tensor, action: Tensor) -> Tensor:
        """φ(min_j Q_j(z, a)) → (S, batch)."""
        return self._logarithm(super().min_value(z, action))

    def _logarithm(self, x: Tensor) -> Tensor:
        self._clamped.append(count_clamped(x.detach(), self._offset))
        return logarithm(x, self._offset)

    def clamped(self) -> Tensor:
        """Number of predictions that φ has clamped in this view, per seed → (S,)."""
        return torch.stack(self._clamped).sum(dim=0)


class LogRewardALM(ALM):
    """ALM with φ applied to rewards and values in one or both objectives, on shifted rewards."""

    config: LogRewardConfig

    def update(
        self, sequences: Transitions, transitions: Transitions, noise: Noise, training_step: Step
    ) -> Metrics:
        """ALM's update on shifted rewards; the rewards of ``sequences`` are never read."""
        shifted = replace(transitions, reward=transitions.reward + self.config.reward_shift)
        return super().update(sequences, shifted, noise, training_step)

    def encoder_model_loss(
        self, sequences: Transitions, noise: Noise, policy: Policy
    ) -> tuple[Tensor, Diagnostics]:
        """Encoder-and-model loss (a) with φ; diagnostics count the predictions that φ clamped."""
        net = LogNetworks(self.networks, self.config.log_offset)
        rollout = objectives.unroll(net, net.encoder(sequences.observation[:, 0]), sequences, noise)
        loss, diagnostics = objectives.encoder_model_objective(
            net, self.kl_encoder, sequences, rollout, noise, self.config, policy
        )
        return loss, {**diagnostics, "model/clamped": net.clamped()}

    def actor_loss(self, state: Gaussian, noise: Noise, policy: Policy) -> tuple[Tensor, Diagnostics]:
        """Actor loss (d), with φ and its count if configured."""
        if not self.config.log_in_policy:
            return super().actor_loss(state, noise, policy)
        net = LogNetworks(self.networks, self.config.log_offset)
        loss, diagnostics = objectives.actor_objective(net, state, noise, self.config, policy)
        return loss, {**diagnostics, "actor/clamped": net.clamped()}

    @torch.no_grad()
    def act_with_bonus(self, observation: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Evaluation actions; their bonus is the shift of the critics' rewards."""
        action = self.act_greedily(observation, streams)
        return action, torch.full_like(action[..., 0], self.config.reward_shift)

    @torch.no_grad()
    def estimates(self, observation: Tensor, action: Tensor, streams: Streams) -> dict[str, Tensor]:
        """ALM's estimates minus the first reward's shift: returns count bonuses from the second step on."""
        shift = self.config.reward_shift
        return {
            name: value - shift for name, value in super().estimates(observation, action, streams).items()
        }
