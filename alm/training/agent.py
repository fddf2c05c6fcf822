"""The base class of every algorithm: S learners that differ by their seed only, trained as one population."""

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from alm.task_registry import TaskSpec
from alm.training.optimisation import OptimiserGroup
from alm.training.replay import Replay
from alm.training.scale import Scale
from alm.training.streams import Purpose, Streams

Metrics = dict[str, Tensor]
"""Named values of shape (S,), detached."""
Noise = Mapping[str, Tensor]
"""Standard normal draws of one update by name, each (S, *shape)."""
NoiseShapes = dict[str, tuple[int, ...]]
"""Shapes of `Noise`, without the leading axis S."""


class ContractError(TypeError):
    """A method of an agent returned what the suite cannot use; the message is one sentence with the rule."""


def require_shape(what: str, value: Any, shape: tuple[int, ...], axes: str, detached: bool = True) -> Tensor:
    """The value, if it is a tensor of that shape.

    Args:
        what: what the value is, in words.
        value: what an agent's method returned.
        shape: the sizes it must have.
        axes: their names, as in ``"(S, batch, action)"``.
        detached: whether it must carry no gradient, which would keep the whole update in memory.

    Raises:
        ContractError: it is something else.
    """
    if not isinstance(value, Tensor):
        raise ContractError(f"{what} must be a tensor {axes}, here {shape}, not a {type(value).__name__}")
    if value.shape != shape:
        raise ContractError(f"{what} must have the shape {axes}, here {shape}, not {tuple(value.shape)}")
    if detached and value.requires_grad:
        raise ContractError(f"{what} carries a gradient: detach it, or compute it under torch.no_grad()")
    return value


def require_tensors(what: str, value: Any, shape: tuple[int, ...], axes: str) -> dict[str, Tensor]:
    """The value, if it is a dictionary of such tensors by name.

    Raises:
        ContractError: it is something else.
    """
    if not isinstance(value, dict):
        raise ContractError(f"{what} must be a dictionary of tensors by name, not a {type(value).__name__}")
    for name, one in value.items():
        require_shape(f"{name!r} in {what}", one, shape, axes)
    return value


class AgentConfig(Protocol):
    """Settings that the training loop reads of an algorithm's configuration (a frozen dataclass)."""

    @property
    def warmup_steps(self) -> int:
        """Uniformly random actions before the first update."""

    @property
    def replay_capacity(self) -> int:
        """Transitions kept for each seed."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> "AgentConfig":
        """The configuration of a named scale on a task."""


class Agent:
    """A population of S learners: networks, optimiser groups, RNG streams, and methods for the loop.

    An algorithm sets ``name`` and ``network_class``, declares `optimiser_groups` and ``noise_shapes``, and
    defines `act`, `act_greedily` and `learn`.

    Args:
        task: sizes and action bounds.
        config: hyper-parameters (an `AgentConfig`).
        seeds: one learner each; outcomes depend on the seed alone, not on its neighbours.
        device, dtype: where and in what precision the networks live.
    """

    name: str
    trains_seeds_apart: ClassVar[bool] = False
    """Whether a population of this algorithm holds one seed only."""
    one_program: ClassVar[bool] = True
    """Whether ``update`` is one tensor program: it reads nothing back, and its state stays where it is."""
    unused_settings: ClassVar[tuple[str, ...]] = ()
    """Settings of its configuration that it does not read, or that follow from others: none may be set."""
    policy_modules: ClassVar[tuple[str, ...]] = ()
    """Names of the networks that `act_greedily` needs; none: no policy of this algorithm is kept."""
    network_class: type[nn.Module]
    """Class of all networks together; built from task, configuration and one CPU generator a seed."""
    networks: nn.Module
    config: Any

    def __init__(
        self,
        task: TaskSpec,
        config: Any,
        seeds: Sequence[int],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.task, self.config, self.seeds = task, config, tuple(seeds)
        self.bounds = (task.action_low, task.action_high)
        self.learning = Streams(self.seeds, Purpose.LEARNING, device=device)
        generators = Streams(self.seeds, Purpose.INITIALISATION).generators
        self.networks = self.network_class(task, config, generators).to(device=device, dtype=dtype)
        self.groups = self.optimiser_groups()

    def optimiser_groups(self) -> dict[str, OptimiserGroup]:
        """The optimiser groups by name: which modules learn together, at what rate, clipped at what norm."""
        raise NotImplementedError

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """Standard normal noise that one call of ``update`` needs."""
        return {}

    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Exploring actions (S, batch, action) for observations (S, batch, observation)."""
        raise NotImplementedError

    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions (S, batch, action) for observations (S, batch, observation)."""
        raise NotImplementedError

    def policy_state(self) -> dict[str, Tensor]:
        """All that `act_greedily` needs, by dotted name, with a leading axis of S times a whole number."""
        return {
            f"{name}.{key}": value
            for name in self.policy_modules
            for key, value in self.networks.get_submodule(name).state_dict().items()
        }

    def load_policy_state(self, state: dict[str, Tensor]) -> None:
        """Take over what `policy_state` returned, for the same number of seeds."""
        own = self.policy_state()
        with torch.no_grad():
            for name, value in state.items():
                own[name].copy_(value)

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """All updates that belong to one environment step; no metrics where none was due."""
        raise NotImplementedError

    def branch(self, training_step: int) -> Hashable:
        """The side of ``update``'s Python ``if`` that a step takes; ``None`` for an update without one.

        An update with an ``if`` on the step (TD3's delayed policy) takes this as its argument ``branch``, as
        its step may be a tensor; `alm.training.execution` compiles or captures each branch on its own.
        """
        del training_step
        return None

    def draw_noise(self) -> dict[str, Tensor]:
        """The standard normal noise of one update, drawn in one call a seed."""
        sizes = [prod(shape) for shape in self.noise_shapes.values()]
        parts = torch.split(self.learning.normal(sum(sizes)), sizes, dim=1)
        return {
            name: torch.unflatten(part, 1, shape)
            for (name, shape), part in zip(self.noise_shapes.items(), parts, strict=True)
        }

    def descend(self, group: str, loss: Tensor, metrics: Metrics) -> None:
        """One step of a group down ``loss`` (S,); records the loss and the gradient's norm.

        Raises:
            ContractError: the loss has another shape.
        """
        require_shape(f"the loss of the group {group!r}", loss, (len(self.seeds),), "(S,)", detached=False)
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
        """Take over what `state` returned, for the same number of seeds."""
        self.networks.load_state_dict(state["networks"])
        for name, group in self.groups.items():
            group.load_state(state["optimisers"][name])
        self.learning.load_state(state["learning"])
