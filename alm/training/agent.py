"""Base class of every algorithm: S learners that differ only in their seed, trained as one population."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alm.errors import UserError
from alm.task_registry import TaskSpec
from alm.training.forms import TIMES
from alm.training.optimisation import OptimiserGroup
from alm.training.replay import Replay
from alm.training.streams import Purpose, Streams

Metrics = dict[str, Tensor]
"""Named values of shape (S,), detached."""
Noise = Mapping[str, Tensor]
"""Standard normal draws for one update by name, each (S, *shape)."""
NoiseShapes = dict[str, tuple[int, ...]]
"""Shapes of `Noise`, without the leading axis S."""

_RECORDED = (*TIMES, "actor/exploration_std")
_MEASURED = ("eval/", "qbias/", "time/", "train/")
# What a checkpoint holds besides tensors.
_LEAVES = (int, float, bool, str, bytes, type(None))


class ContractError(TypeError):
    """Invalid return value of an agent's method; the message states the violated rule in one sentence."""


def require_shape(what: str, value: Any, shape: tuple[int, ...], axes: str, detached: bool = True) -> Tensor:
    """The value, checked to be a tensor of the given shape.

    Args:
        what: description of the value.
        value: return value of an agent's method.
        shape: required shape.
        axes: names of the axes, as in ``"(S, batch, action)"``.
        detached: whether it must carry no gradient, which would keep the whole update in memory.

    Raises:
        ContractError: it is not.
    """
    if not isinstance(value, Tensor):
        raise ContractError(f"{what} must be a tensor {axes}, here {shape}, not a {type(value).__name__}")
    if value.shape != shape:
        raise ContractError(f"{what} must have the shape {axes}, here {shape}, not {tuple(value.shape)}")
    if detached and value.requires_grad:
        raise ContractError(f"{what} carries a gradient: detach it, or compute it under torch.no_grad()")
    return value


def require_tensors(what: str, value: Any, shape: tuple[int, ...], axes: str) -> dict[str, Tensor]:
    """The value, checked to be a dictionary of such tensors by name.

    Raises:
        ContractError: it is not.
    """
    if not isinstance(value, dict):
        raise ContractError(f"{what} must be a dictionary of tensors by name, not a {type(value).__name__}")
    for name, one in value.items():
        require_shape(f"{name!r} in {what}", one, shape, axes)
    return value


def require_metrics(value: Any, seeds: int) -> Metrics:
    """The metrics of an update, checked to be tensors (S,) by names under which the loop writes nothing.

    Raises:
        ContractError: they are not.
    """
    metrics = require_tensors("the metrics of an update", value, (seeds,), "(S,)")
    for name in metrics:
        if not isinstance(name, str) or name in _RECORDED or name.startswith(_MEASURED):
            raise ContractError(
                f"{name!r} in the metrics of an update is no name for a metric: give it one of its own, "
                f"other than {', '.join((*_RECORDED, *(f'{prefix}…' for prefix in _MEASURED)))}"
            )
    return metrics


def require_tree(what: str, value: Any, seeds: int) -> dict[str, Any]:
    """The value, checked to be a tree that a checkpoint can hold and that can be divided among seeds.

    It has dictionaries, lists and tuples, tensors whose leading axis is a multiple of S, numbers, text,
    bytes and None. Types are compared exactly: torch refuses to load `numpy.float64`, which extends float.

    Raises:
        ContractError: it is not; the message names the first misfit.
    """
    if not isinstance(value, dict):
        raise ContractError(f"{what} must be a dictionary, not a {type(value).__name__}")
    for name, one in value.items():
        _require_branch(what, str(name), one, seeds)
    return value


def _require_branch(what: str, name: str, value: Any, seeds: int) -> None:
    """Raise ContractError if a part of a tree, of a dotted name, is not as `require_tree` wants it."""
    if isinstance(value, dict):
        for key, below in value.items():
            _require_branch(what, f"{name}.{key}", below, seeds)
    elif type(value) in (list, tuple):
        for place, below in enumerate(value):
            _require_branch(what, f"{name}.{place}", below, seeds)
    elif isinstance(value, Tensor):
        if not value.shape or value.shape[0] % seeds:
            raise ContractError(
                f"{name!r} in {what} must have a leading axis of a multiple of S, here {seeds}, not the "
                f"shape {tuple(value.shape)}"
            )
    elif type(value) not in _LEAVES:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise ContractError(
            f"{name!r} in {what} is a {kind}, which a checkpoint cannot hold: keep tensors, numbers and "
            "text, or dictionaries, lists and tuples of these"
        )


class Agent(ABC):
    """Population of S learners: networks, optimiser groups, RNG streams, and the methods the loop calls.

    An algorithm sets ``name`` and ``network_class``, declares `optimiser_groups` and ``noise_shapes``, and
    defines `act`, `act_greedily` and `learn`.

    Args:
        task: sizes and action bounds.
        config: hyper-parameters, a frozen dataclass made by its class method ``at(scale, task)``; the loop
            reads ``warmup_steps`` and ``replay_capacity`` (transitions kept for each seed).
        seeds: one per learner; but for rounding, a learner's outcome depends only on its own seed.
        device, dtype: device and precision of the networks.

    Raises:
        UserError: several seeds of an algorithm that trains them apart.
    """

    name: str
    trains_seeds_apart: ClassVar[bool] = False
    """Whether a population of this algorithm is limited to one seed."""
    one_program: ClassVar[bool] = True
    """Whether ``update`` is one tensor program: no reads back to the host, and state updated in place."""
    faster_compiled: ClassVar[bool] = False
    """Whether compiled updates have been measured as faster on a CPU (docs/performance.md)."""
    unused_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that the algorithm ignores or derives from others, and that users therefore may not set."""
    policy_modules: ClassVar[tuple[str, ...]] = ()
    """Names of the networks that `act_greedily` needs; if empty, no policy is saved."""
    network_class: type[nn.Module]
    """Class that holds all networks, built from task, configuration and one CPU generator per seed."""
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
        if self.trains_seeds_apart and len(seeds) != 1:
            raise UserError(f"{self.name} trains one seed at a time, not {len(seeds)}: train them in turn.")
        self.task, self.config, self.seeds, self.device = task, config, tuple(seeds), device
        self.bounds = (task.action_low, task.action_high)
        self.learning = Streams(self.seeds, Purpose.LEARNING, device=device)
        generators = Streams(self.seeds, Purpose.INITIALISATION).generators
        self.networks = self.network_class(task, config, generators).to(device=device, dtype=dtype)
        self.groups = self.optimiser_groups()

    @abstractmethod
    def optimiser_groups(self) -> dict[str, OptimiserGroup]:
        """Optimiser groups by name: jointly trained modules with their learning rate and clipping norm."""

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """Shapes of the standard normal noise for one call of ``update``."""
        return {}

    @abstractmethod
    def act(self, observation: Tensor, training_step: int, streams: Streams) -> Tensor:
        """Exploring actions (S, batch, action) for observations (S, batch, observation)."""

    def exploration_std(self, training_step: int) -> float | None:
        """Standard deviation of the Gaussian noise that `act` adds to actions; None if it adds none."""
        del training_step
        return None

    @abstractmethod
    def act_greedily(self, observation: Tensor, streams: Streams) -> Tensor:
        """Evaluation actions (S, batch, action) for observations (S, batch, observation)."""

    def policy_state(self) -> dict[str, Tensor]:
        """Tensors that `act_greedily` needs, by dotted name; the leading axis is a multiple of S."""
        return {
            f"{name}.{key}": value
            for name in self.policy_modules
            for key, value in self.networks.get_submodule(name).state_dict().items()
        }

    def load_policy_state(self, state: dict[str, Tensor]) -> None:
        """Restore what `policy_state` returned, for the same number of seeds."""
        own = self.policy_state()
        with torch.no_grad():
            for name, value in state.items():
                own[name].copy_(value)

    @abstractmethod
    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """All updates for one environment step; returns no metrics if none was due."""

    def branch(self, training_step: int) -> Hashable:
        """Branch of ``update``'s Python ``if`` taken at a step; ``None`` for an update without one.

        An update with an ``if`` on the step (TD3's delayed policy) receives it as the argument ``branch``,
        since the step may be a tensor; `alm.training.execution` compiles or captures each branch separately.
        """
        del training_step
        return None

    def draw_noise(self, *updates: int) -> dict[str, Tensor]:
        """Standard normal noise for one update, or for ``updates``, an axis after S; one draw per seed."""
        shapes = {name: (*updates, *shape) for name, shape in self.noise_shapes.items()}
        sizes = [prod(shape) for shape in shapes.values()]
        parts = torch.split(self.learning.normal(sum(sizes)), sizes, dim=1)
        return {
            name: torch.unflatten(part, 1, shape)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def descend(self, group: str, loss: Tensor, metrics: Metrics) -> None:
        """One gradient step of a group on ``loss`` (S,); records the loss and the gradient norm.

        Raises:
            ContractError: the loss has the wrong shape.
        """
        require_shape(f"the loss of the group {group!r}", loss, (len(self.seeds),), "(S,)", detached=False)
        metrics[f"loss/{group}"] = loss.detach()
        metrics[f"grad_norm/{group}"] = self.groups[group].step(loss)

    def state(self) -> dict[str, Any]:
        """All state that training changes, as `require_tree` wants it."""
        return {
            "networks": dict(self.networks.state_dict()),
            "optimisers": {name: group.state() for name, group in self.groups.items()},
            "learning": self.learning.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned, for the same number of seeds."""
        self.networks.load_state_dict(state["networks"])
        for name, group in self.groups.items():
            group.load_state(state["optimisers"][name])
        self.learning.load_state(state["learning"])
