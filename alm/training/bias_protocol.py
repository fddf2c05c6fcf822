"""Value-bias protocol: an agent's value estimates against the returns of its policy.

This is the protocol of Chen et al. (REDQ, 2021), which the ALM authors' code follows. Whole episodes are
played in a separate environment until there are at least 1000 state–action pairs, the first 350 of each
episode. Each pair's return is discounted to the end of the episode, without a bootstrap at the time limit.
The cut-off excludes pairs whose return is truncated by the time limit.

The definition of "the bias" is chosen when the raw pairs are plotted (`alm.training.bias`).
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
import torch
from torch import Tensor

from alm.training.agent import require_shape, require_tensors
from alm.training.bias import ValueSample
from alm.training.streams import Purpose, Streams, environment_seed

PAIRS = 1000
CUTOFF = 350
# Uses of a seed's evaluation stream, added to step and episode. `alm.training.evaluation` derives its
# streams from step and episode alone, so no stream is shared with it.
_ENVIRONMENT, _ACTING, _ESTIMATING = 0, 1, 2


@runtime_checkable
class Estimating(Protocol):
    """Agent that estimates the value of its policy; the training loop measures the bias of such agents.

    Its ``config`` has the ``discount`` γ that the estimates use; its tensors are on ``device``.
    """

    config: Any
    device: str

    def act_with_bonus(self, observation: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Actions (S, batch, action) of the policy being estimated, and their bonus (S, batch).

        The bonus is what the agent's definition of value adds to the reward for the action:
        −α log π(a|s) with the learned α for soft methods, zero for others.
        """

    def estimates(self, observation: Tensor, action: Tensor, streams: Streams) -> dict[str, Tensor]:
        """Estimated values of the pairs by name of the estimate, each (S, batch)."""


class ValueBias:
    """Value-bias measurement of every seed of a population, in lockstep.

    Like an evaluation, a measurement is a function of the agent, the seed and the step, and changes no
    training run.

    Args:
        make: builds one environment, whose episodes end.
        seeds: seeds of the population.
        pairs: episodes are played until a seed has this many pairs.
        cutoff: number of pairs taken from the beginning of each episode.
    """

    def __init__(
        self,
        make: Callable[[], gymnasium.Env],
        seeds: tuple[int, ...],
        pairs: int = PAIRS,
        cutoff: int = CUTOFF,
    ) -> None:
        self._environments = [make() for _ in seeds]
        self._seeds, self._pairs, self._cutoff = seeds, pairs, cutoff
        (self._observation_size,) = self._environments[0].observation_space.shape or ()
        (self._action_size,) = self._environments[0].action_space.shape or ()

    def measure(
        self, agent: Estimating, step: int, alive: tuple[bool, ...] | None = None
    ) -> list[ValueSample | None]:
        """A sample of every seed at an environment step; ``None`` for seeds that are not ``alive``."""
        living = [i for i in range(len(self._seeds)) if alive is None or alive[i]]
        rollouts = self._play(agent, step, living)
        # The same number of rows for every seed, so that the estimates' noise does not depend on neighbours.
        rows = self._pairs + self._cutoff - 1
        observation = np.zeros((len(self._seeds), rows, self._observation_size), np.float32)
        action = np.zeros((len(self._seeds), rows, self._action_size), np.float32)
        for i, rollout in rollouts.items():
            observation[i, : len(rollout.step)] = rollout.observation
            action[i, : len(rollout.step)] = rollout.action
        estimates = agent.estimates(
            torch.from_numpy(observation).to(agent.device),
            torch.from_numpy(action).to(agent.device),
            Streams(self._seeds, Purpose.EVALUATION, step, 0, _ESTIMATING, device=agent.device),
        )
        require_tensors("what `estimates` returns", estimates, (len(self._seeds), rows), "(S, batch)")
        values = {name: value.cpu().numpy() for name, value in estimates.items()}
        return [
            ValueSample(
                {
                    name: value[i, : len(rollouts[i].step)].astype(np.float64)
                    for name, value in values.items()
                },
                np.array(rollouts[i].monte_carlo),
                np.array(rollouts[i].episode),
                np.array(rollouts[i].step),
            )
            if i in rollouts
            else None
            for i in range(len(self._seeds))
        ]

    def _play(self, agent: Estimating, step: int, living: list[int]) -> dict[int, "_Rollout"]:
        """Whole episodes of every living seed until it has enough pairs; one batched `act` per step."""
        streams = Streams(self._seeds, Purpose.EVALUATION, step, 0, _ACTING, device=agent.device)
        rollouts = {i: _Rollout(self._cutoff) for i in living}
        observations = np.zeros((len(self._seeds), 1, self._observation_size), np.float32)
        discount = agent.config.discount

        def reset(i: int) -> None:
            episode = rollouts[i].episodes
            seed = environment_seed(self._seeds[i], Purpose.EVALUATION, step, episode, _ENVIRONMENT)
            observations[i, 0] = self._environments[i].reset(seed=seed)[0]

        active = list(living)
        for i in active:
            reset(i)
        while active:
            chosen, bonus = agent.act_with_bonus(torch.from_numpy(observations).to(agent.device), streams)
            shape = (len(self._seeds), 1)
            require_shape(
                "actions of `act_with_bonus`", chosen, (*shape, self._action_size), "(S, batch, action)"
            )
            require_shape("the bonus of `act_with_bonus`", bonus, shape, "(S, batch)")
            actions, bonuses = chosen[:, 0].cpu().numpy(), bonus[:, 0].cpu().numpy()
            for i in tuple(active):
                before = observations[i, 0].copy()
                after, reward, terminated, truncated, _ = self._environments[i].step(actions[i])
                rollouts[i].add(before, actions[i], float(reward), float(bonuses[i]))
                observations[i, 0] = after
                if terminated or truncated:
                    rollouts[i].end_episode(discount)
                    if len(rollouts[i].step) >= self._pairs:
                        active.remove(i)
                    else:
                        reset(i)
        return rollouts

    def close(self) -> None:
        """Release the simulators."""
        for environment in self._environments:
            environment.close()


class _Rollout:
    """One seed's pairs so far, and the rewards and bonuses of its current episode."""

    def __init__(self, cutoff: int) -> None:
        self._cutoff = cutoff
        self.episodes = 0
        self.observation: list[np.ndarray] = []
        self.action: list[np.ndarray] = []
        self.monte_carlo: list[float] = []
        self.episode: list[int] = []
        self.step: list[int] = []
        self._rewards: list[float] = []
        self._bonuses: list[float] = []

    def add(self, observation: np.ndarray, action: np.ndarray, reward: float, bonus: float) -> None:
        if len(self._rewards) < self._cutoff:
            self.observation.append(observation)
            self.action.append(action)
            self.episode.append(self.episodes)
            self.step.append(len(self._rewards))
        self._rewards.append(reward)
        self._bonuses.append(bonus)

    def end_episode(self, discount: float) -> None:
        returns = discounted_returns(np.array(self._rewards), np.array(self._bonuses), discount)
        self.monte_carlo.extend(returns[: self._cutoff].tolist())
        self.episodes += 1
        self._rewards, self._bonuses = [], []


def discounted_returns(rewards: np.ndarray, bonuses: np.ndarray, discount: float) -> np.ndarray:
    """Returns G_t of one whole episode, with the bonuses of later actions only → (T,).

    G_t = r_t + γ (G_{t+1} + b_{t+1}),  G_T = b_T = 0:  Q(s, a) is conditioned on its first action.
    """
    returns = np.zeros(len(rewards))
    following = 0.0
    for t in reversed(range(len(rewards))):
        returns[t] = rewards[t] + discount * following
        following = returns[t] + bonuses[t]
    return returns
