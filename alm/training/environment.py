"""Training environments with exactly restorable state, and threads that step several of them."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import gymnasium
import numpy as np
from gymnasium.utils import seeding

from alm.errors import UserError
from alm.training.streams import Purpose, environment_seed

Item = TypeVar("Item")
Result = TypeVar("Result")


class TrainingEnvironment:
    """Environment that runs episode after episode and can be checkpointed in the middle of one.

    A simulator's state cannot be copied in general (MuJoCo keeps quantities that lag one step behind
    the joint positions), but it is a deterministic function of the generator's state at the start of
    the episode and the actions since. Those are stored; loading replays the episode.
    """

    def __init__(self, environment: gymnasium.Env, seed: int) -> None:
        self._environment = environment
        environment.unwrapped.np_random, _ = seeding.np_random(environment_seed(seed, Purpose.ENVIRONMENT))
        self.reset()

    def reset(self) -> None:
        """Begin a new episode."""
        self._start = json.dumps(self._environment.unwrapped.np_random.bit_generator.state)
        self._actions: list[np.ndarray] = []
        self.episode_return = 0.0
        self.observation: np.ndarray = self._environment.reset()[0]

    @property
    def episode_length(self) -> int:
        """Steps taken in this episode."""
        return len(self._actions)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        """Next observation, reward, whether the task ended, and whether the time limit truncated it."""
        # In the precision of the task's actions, in which a replay hands them on as well.
        action = np.asarray(action, dtype=self._environment.action_space.dtype)
        self._actions.append(action.copy())
        observation, reward, terminated, truncated, _ = self._environment.step(action)
        self.observation = observation
        self.episode_return += float(reward)
        return observation, float(reward), bool(terminated), bool(truncated)

    def state(self) -> dict[str, Any]:
        """The start of the current episode, its actions and the resulting observation."""
        return {
            "start": self._start,
            "actions": np.array(self._actions, dtype=np.float64).tolist(),
            "observation": np.asarray(self.observation, dtype=np.float64).tolist(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Replay the stored episode.

        Raises:
            UserError: the replay ends in a different observation, since the simulator has changed.
        """
        self._environment.unwrapped.np_random.bit_generator.state = json.loads(state["start"])
        self.reset()
        for action in state["actions"]:
            self.step(np.array(action))
        if not np.array_equal(self.observation, state["observation"]):
            raise UserError(
                "the stored episode does not replay to the same observation: the simulator or its version "
                "differs from the one that wrote the checkpoint; install the pinned versions, or delete the "
                "run directory to start again"
            )

    def close(self) -> None:
        """Release the simulator."""
        self._environment.close()


class Workers:
    """Threads that step simulators in parallel: MuJoCo releases Python's lock while it computes.

    With a count of one, items are processed in turn. Work on different items must not share state;
    then both ways give the same results.
    """

    def __init__(self, count: int = 1) -> None:
        self._pool = ThreadPoolExecutor(count) if count > 1 else None

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """The results in the order of the items; the first error is raised."""
        return list((self._pool.map if self._pool else map)(work, items))

    def close(self) -> None:
        """Stop the threads."""
        if self._pool:
            self._pool.shutdown()
