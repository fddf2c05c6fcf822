"""What the training loop asks of an agent."""

from typing import Any, ClassVar, Protocol

from torch import Tensor

from alm.training.replay import Replay
from alm.training.scale import Scale
from alm.training.streams import Streams

Metrics = dict[str, Tensor]
"""Named values of shape (S,), detached."""


class AgentConfig(Protocol):
    """What the loop needs of an algorithm's configuration (a frozen dataclass)."""

    @property
    def warmup_steps(self) -> int:
        """Uniformly random actions before the first update."""

    @property
    def replay_capacity(self) -> int:
        """Transitions kept for each seed."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> "AgentConfig":
        """The configuration of a named scale on a task."""


class Agent(Protocol):
    """A population of S learners that differ by their seed only."""

    name: str
    trains_seeds_apart: ClassVar[bool]
    """Whether a population of this algorithm holds one seed only."""
    seeds: tuple[int, ...]
    config: Any

    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Exploring actions (S, batch, action) for observations (S, batch, observation)."""

    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions (S, batch, action) for observations (S, batch, observation)."""

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """All updates that belong to one environment step; nothing where none was due."""

    def state(self) -> dict[str, Any]:
        """All that training changes, as `alm.training.checkpoint` stores it."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned, for the same number of seeds."""
