"""What every agent keeps: networks, optimiser groups, one learning stream a seed."""

from collections.abc import Hashable, Mapping, Sequence
from math import prod
from typing import Any, ClassVar

from torch import Tensor, nn

from alm.tasks.registry import TaskSpec
from alm.training.optimisation import OptimiserGroup
from alm.training.protocol import Metrics
from alm.training.streams import Purpose, Streams

Noise = Mapping[str, Tensor]


class Learner:
    """The part of `alm.training.protocol.Agent` that does not depend on the algorithm.

    A subclass sets ``networks``, ``groups`` and ``noise_shapes`` (what one call of its ``update`` needs
    of standard normal noise, by name, without the leading seed axis).
    """

    name: str
    trains_seeds_apart: ClassVar[bool] = False
    """Whether a population of this algorithm holds one seed only."""
    one_program: ClassVar[bool] = True
    """Whether ``update`` is one tensor program: it reads nothing back, and its state stays where it is."""
    networks: nn.Module
    groups: dict[str, OptimiserGroup]
    noise_shapes: dict[str, tuple[int, ...]]

    def __init__(self, task: TaskSpec, seeds: Sequence[int], device: str) -> None:
        self.task, self.seeds = task, tuple(seeds)
        self.bounds = (task.action_low, task.action_high)
        self.learning = Streams(self.seeds, Purpose.LEARNING, device=device)

    def branch(self, training_step: int) -> Hashable:
        """Which of its programs ``update`` is at a step, where a part is not due every time; else ``None``.

        An ``update`` with several takes it as its argument ``branch``, so that its step may be a tensor.
        """
        del training_step
        return None

    def draw_noise(self) -> dict[str, Tensor]:
        """The standard normal noise of one update, drawn in one call a seed."""
        sizes = [prod(shape) for shape in self.noise_shapes.values()]
        parts = self.learning.normal(sum(sizes)).split(sizes, dim=1)
        return {
            name: part.unflatten(1, shape)
            for (name, shape), part in zip(self.noise_shapes.items(), parts, strict=True)
        }

    def descend(self, group: str, loss: Tensor, metrics: Metrics) -> None:
        """One step of a group down ``loss`` (S,); records the loss and the gradient's norm."""
        metrics[f"loss/{group}"] = loss.detach()
        metrics[f"grad_norm/{group}"] = self.groups[group].step(loss)

    def state(self) -> dict[str, Any]:
        """All that training changes; tensors have a leading axis of S times a whole number."""
        return {
            "networks": dict(self.networks.state_dict()),
            "optimisers": {name: group.state() for name, group in self.groups.items()},
            "learning": self.learning.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self.networks.load_state_dict(state["networks"])
        for name, group in self.groups.items():
            group.load_state(state["optimisers"][name])
        self.learning.load_state(state["learning"])
