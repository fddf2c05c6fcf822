"""Evaluation: greedy episodes in separate environments.

An evaluation is a function of the agent, the seed and the step, from which its environments and noise are
seeded. So it has no state to store, and the frequency of evaluations does not affect training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch

from alm.training.agent import Agent, require_shape
from alm.training.environment import Workers
from alm.training.streams import Purpose, Streams, environment_seed


@dataclass(frozen=True)
class Evaluation:
    """Undiscounted returns and lengths of one seed's episodes."""

    returns: list[float]
    lengths: list[int]


class Evaluator:
    """Evaluator of all seeds in lockstep, with one batched action call per step.

    Args:
        make: builds one environment.
        seeds: seeds of the population.
        episodes: episodes for each seed.
        workers: threads that step the environments; by default they are stepped in turn.
    """

    def __init__(
        self,
        make: Callable[[], gymnasium.Env],
        seeds: tuple[int, ...],
        episodes: int,
        workers: Workers | None = None,
    ) -> None:
        self._workers = workers or Workers()
        self._environments = [[make() for _ in range(episodes)] for _ in seeds]
        self._seeds, self._episodes = seeds, episodes

    def evaluate(self, agent: Agent, step: int, alive: tuple[bool, ...] | None = None) -> list[Evaluation]:
        """One evaluation of every seed at an environment step; seeds that are not ``alive`` get zeros."""
        streams = Streams(self._seeds, Purpose.EVALUATION, step, device=agent.device)
        shape = (len(self._seeds), self._episodes)
        returns, lengths = np.zeros(shape), np.zeros(shape, dtype=int)
        active = np.ones(shape, dtype=bool)
        if alive is not None:
            active &= np.array(alive)[:, None]
        (size,) = self._environments[0][0].observation_space.shape or ()
        observations = np.zeros((*shape, size), np.float32)
        for row, column in np.argwhere(active):
            seed = environment_seed(self._seeds[row], Purpose.EVALUATION, step, int(column))
            observations[row, column] = self._environments[row][column].reset(seed=seed)[0]
        while active.any():
            chosen = agent.act_greedily(torch.from_numpy(observations).to(agent.device), streams)
            needed = (*shape, agent.task.action_size)
            chosen = require_shape("what `act_greedily` returns", chosen, needed, "(S, batch, action)")
            actions = chosen.cpu().numpy()
            places = [(int(row), int(column)) for row, column in np.argwhere(active)]
            moves = [(self._environments[row][column], actions[row, column]) for row, column in places]
            outcomes = self._workers.each(_step, moves)
            for (row, column), (observation, reward, terminated, truncated, _) in zip(
                places, outcomes, strict=True
            ):
                observations[row, column] = observation
                returns[row, column] += float(reward)
                lengths[row, column] += 1
                active[row, column] = not (terminated or truncated)
        return [Evaluation(r.tolist(), n.tolist()) for r, n in zip(returns, lengths, strict=True)]

    def close(self) -> None:
        """Release the simulators."""
        for row in self._environments:
            for environment in row:
                environment.close()


def _step(move: tuple[gymnasium.Env, np.ndarray]) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
    environment, action = move
    return environment.step(action)
