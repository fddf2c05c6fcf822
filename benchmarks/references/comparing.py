"""Shared parts of the comparisons: modules of a checkout, random batches, parameters of both sides."""

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from alm.task_registry import TaskSpec, task_spec
from alm.training.agent import Agent
from alm.training.replay import Transitions
from alm.training.scale import scale_named
from benchmarks.plain_baselines import copy_member, member_differences

AnyAgent = TypeVar("AnyAgent", bound=Agent)
Layers = Sequence[nn.Module]
Pairs = Iterable[tuple[Layers, Any, int]]
"""Layers of a reference, layers of the population, and the member of the latter."""


class CheckoutError(ValueError):
    """Folder that is not a checkout of the code; the message is one sentence."""


@contextmanager
def modules_of(checkout: Path, files: Sequence[str], stubs: Sequence[ModuleType] = ()) -> Iterator[None]:
    """Context in which a checkout can be imported, with stubs for packages that are not used.

    Raises:
        CheckoutError: a file is missing.
    """
    for name in files:
        if not (checkout / name).is_file():
            raise CheckoutError(f"{checkout} has no {name}: name a checkout of the reference code.")
    before = set(sys.modules)
    sys.path.insert(0, str(checkout))
    for stub in stubs:
        sys.modules.setdefault(stub.__name__, stub)
    try:
        yield
    finally:
        sys.path.remove(str(checkout))
        # Names such as utils are common, and the next checkout has its own.
        for name in set(sys.modules) - before:
            source = getattr(sys.modules[name], "__file__", None) or ""
            if source.startswith(str(checkout)) or any(name == stub.__name__ for stub in stubs):
                del sys.modules[name]


def load(name: str) -> Any:
    """A module of the checkout."""
    return importlib.import_module(name)


def digests(checkout: Path, files: Sequence[str]) -> dict[str, str]:
    """SHA-256 of the files used, which identify their versions."""
    return {name: hashlib.sha256((checkout / name).read_bytes()).hexdigest() for name in files}


def random_transitions(task: TaskSpec, *shape: int, generator: torch.Generator) -> Transitions:
    """Random transitions (1, *shape) in float64, a tenth of them terminal."""

    def normal(*more: int) -> Tensor:
        return torch.randn(1, *shape, *more, generator=generator, dtype=torch.float64)

    action = task.action_high * normal(task.action_size).tanh()
    terminal = (torch.rand(1, *shape, generator=generator) < 0.1).double()
    return Transitions(
        normal(task.observation_size), action, normal(), normal(task.observation_size), terminal
    )


def scattered(
    agent_class: Callable[..., AnyAgent], config_class: Any, task: str, generator: torch.Generator
) -> AnyAgent:
    """Agent of one seed at paper scale, in float64, with all layers perturbed.

    So no parameter is zero, and targets differ from the online networks.
    """
    config = config_class.at(scale_named("paper"), task)
    agent = agent_class(task_spec(task), config, (0,), dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in agent.networks.named_parameters():
            if not name.startswith("temperature"):
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return agent


def drawn_noise(agent: Agent, *updates: int) -> dict[str, Tensor]:
    """The noise of one update, or of several, in float64."""
    return {name: draw.double() for name, draw in agent.draw_noise(*updates).items()}


def weighted(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """Layers with weights among the modules."""
    return [one for one in modules if hasattr(one, "weight")]


def take_over(pairs: Pairs) -> None:
    """Copy the population's parameters into the reference."""
    for theirs, ours, member in pairs:
        copy_member(weighted(theirs), weighted(ours), member)


def largest_difference(pairs: Pairs) -> float:
    """Largest difference between the parameters of both sides."""
    return max(
        difference
        for theirs, ours, member in pairs
        for difference in member_differences(weighted(theirs), weighted(ours), member)
    )


def relative(ours: Tensor, theirs: float) -> float:
    """Difference of two numbers relative to the second."""
    return abs(float(ours) - theirs) / abs(theirs)
