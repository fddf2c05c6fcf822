"""Execution of updates: precision, compilation, CUDA graphs, denormal numbers, memory.

A layer around an unchanged agent.

`execute` replaces ``agent.update`` with the same update executed differently; sampling, noise, acting and
everything else stay as they are. All inputs that change between steps are tensors: batches, noise, and the
step itself (`alm.training.schedules`). An update that differs between steps (a delayed policy) is compiled
or captured once for each of its branches (`alm.training.agent.Agent.branch`).
"""

import copy
import ctypes
import functools
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from alm.errors import UserError
from alm.training.agent import Agent, Metrics

PRECISIONS = ("float32", "bf16")
COMPILE = ("auto", "on", "off")
# Calls of a program before capture: what libraries allocate on first use may not be captured.
_WARM_UP = 3
# Parameters of mallopt(3) with the largest values that every glibc accepts: blocks up to 32 MiB come from the
# heap, and the top of the heap is returned to the system only from 2 GiB on.
_M_TRIM_THRESHOLD, _LARGEST_TRIM = -1, 2**31 - 1
_M_MMAP_THRESHOLD, _LARGEST_BLOCK = -3, 32 * 2**20

Update = Callable[..., Metrics]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Execution:
    """How an agent's updates are executed, and where.

    Attributes:
        precision: "float32", or "bf16": layers in bfloat16; parameters, optimisers, targets and everything
            after a network's last layer stay in float32.
        compiled: whether torch.compile is used.
        captured: whether each update is replayed as one CUDA graph.
        device: torch device of the agent.
        threads: CPU threads for tensor operations.
    """

    precision: str = "float32"
    compiled: bool = False
    captured: bool = False
    device: str = "cpu"
    threads: int = 1

    @classmethod
    def choose(
        cls,
        precision: str,
        compile: str,
        device: str,
        threads: int,
        agent_class: type[Agent],
        lasts: bool = False,
    ) -> "Execution":
        """The execution of a run with the requested precision, compilation, device and threads.

        ``compile`` "auto" is "on" on a CPU with a C++ compiler for an agent that is faster with it, if the
        run ``lasts`` long enough to make up for minutes of compilation. An update that is one tensor program
        is captured on a CUDA device; any other update runs eagerly everywhere.

        Raises:
            UserError: the precision or compilation is unknown, or not supported by the algorithm.
        """
        for name, value, known in (("precision", precision, PRECISIONS), ("compile", compile, COMPILE)):
            if value not in known:
                raise UserError(f"There is no --{name} {value!r}; choose one of {', '.join(known)}.")
        wishes = {"precision": precision != "float32", "compile": compile == "on"}
        for name, wished in wishes.items():
            if wished and not agent_class.one_program:
                raise UserError(
                    f"Updates of {agent_class.name} are no single tensor program and run eagerly in float32: "
                    f"leave out --{name}."
                )
        on = torch.device(device).type
        pays = lasts and on == "cpu" and agent_class.faster_compiled and _has_cpp_compiler()
        compiled = compile == "on" or (compile == "auto" and pays)
        return cls(precision, compiled, on == "cuda" and agent_class.one_program, device, threads)

    def describe(self) -> str:
        """Human-readable summary: ``"precision float32, eager, cpu, 1 thread"``."""
        how = [name for name in ("compiled", "captured") if getattr(self, name)]
        where = f"{self.device}, {self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"precision {self.precision}, {' and '.join(how) or 'eager'}, {where}"


def _has_cpp_compiler() -> bool:
    """Whether the compiler that torch.compile calls on Linux is there."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None


def execute(agent: Any, execution: Execution, say: Say) -> None:
    """Replace ``agent.update`` with one that runs as ``execution`` says; ``say`` receives news and warnings.

    On a CPU the update also rounds denormal numbers to zero.
    A numbered CUDA device becomes the process's current one, since streams and graphs belong to that.
    """
    if (where := torch.device(execution.device)).type == "cuda" and where.index is not None:
        torch.cuda.set_device(where)
    update: Update | None = getattr(agent, "update", None)
    if update is None:
        return
    if execution.precision == "bf16":
        if where.type == "cpu" and not _multiplies_bf16():
            say(
                "warning: torch has no fast bfloat16 products for this processor (x86 needs AVX-512), so "
                "updates take many times as long as in float32; leave out --precision bf16 here"
            )
        update = _in_bf16(update, where.type)
    if execution.compiled:
        update = _Compiled(agent, update, say)
    if execution.captured:
        update = _Captured(update)
    if execution.compiled or execution.captured:
        update = _with_tensor_step(agent, update, execution.device)
    agent.update = _without_denormals(update) if where.type == "cpu" else update


def _multiplies_bf16() -> bool:
    """Whether torch has fast bfloat16 products for this processor, instead of a plain loop."""
    library = torch.backends.mkldnn.is_available()  # without it, its functions do not exist
    return library and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _in_bf16(update: Update, device_type: str) -> Update:
    @functools.wraps(update)
    def run(*inputs: Any, **branch: Any) -> Metrics:
        # No cache: an update changes parameters between uses, and later uses must see the new values.
        with torch.autocast(device_type, torch.bfloat16, cache_enabled=False):
            return update(*inputs, **branch)

    return run


def _without_denormals(update: Update) -> Update:
    """The update with results below the smallest normal number (1.2e-38 in float32) rounded to zero.

    Processors compute with such denormal numbers in microcode, many times more slowly. Importance weights
    of improbable actions make whole gradients of SVG(1) denormal. Only the thread that calls rounds, and
    only during the update: the simulator does not.
    """

    @functools.wraps(update)
    def run(*inputs: Any, **named: Any) -> Metrics:
        torch.set_flush_denormal(True)
        try:
            return update(*inputs, **named)
        finally:
            torch.set_flush_denormal(False)

    return run


def _with_tensor_step(agent: Agent, update: Update, device: str) -> Update:
    """The update as agents call it: its last argument, a number, becomes a tensor and a branch."""
    step = torch.zeros((), dtype=torch.float64, device=device)

    @functools.wraps(update)
    def run(*inputs: Any) -> Metrics:
        *tensors, training_step = inputs
        step.fill_(training_step)
        branch = agent.branch(training_step)
        return update(*tensors, step, **({} if branch is None else {"branch": branch}))

    return run


class _Compiled:
    """Update through torch.compile, or the original update once compilation has failed."""

    def __init__(self, agent: Agent, update: Update, say: Say) -> None:
        self._agent, self._plain, self._say = agent, update, say
        # Losses and their gradients become one program; by default it would be cut at every gradient.
        torch._dynamo.config.trace_autograd_ops = True
        self._run: Update = torch.compile(update, dynamic=False)
        self._proven: set[Hashable] = set()

    def __call__(self, *inputs: Any, **branch: Any) -> Metrics:
        which = branch.get("branch")
        if self._run is self._plain or which in self._proven:
            return self._run(*inputs, **branch)
        if not self._proven:
            self._say("compiling the update, for some minutes unless an earlier run of its size has done so")
        # Compilation happens while the update runs, so a failing one has already changed some parameters.
        before = copy.deepcopy(self._agent.state())
        try:
            metrics = self._run(*inputs, **branch)
        except Exception as error:  # the update's own errors recur below
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            self._say(f"warning: torch.compile failed ({reason}); updates run eagerly")
            self._agent.load_state(before)
            self._run = self._plain
            return self._plain(*inputs, **branch)
        self._proven.add(which)
        return metrics


class _Captured:
    """Update replayed as one CUDA graph per branch; everything it reads and writes keeps its address.

    The agent's state may not be loaded once an update has run.
    """

    def __init__(self, update: Update) -> None:
        self._update = update
        self._graphs: dict[Hashable, _Graph] = {}

    def __call__(self, *inputs: Any, **branch: Any) -> Metrics:
        which = branch.get("branch")
        if which not in self._graphs:
            self._graphs[which] = _Graph(functools.partial(self._update, **branch))
        return self._graphs[which](*inputs)


class _Graph:
    """One tensor program: real warm-up calls on a separate stream, then a graph."""

    def __init__(self, program: Update) -> None:
        self._program = program
        self._calls = 0
        self._inputs: StaticInputs | None = None
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *inputs: Any) -> Metrics:
        self._calls += 1
        if self._inputs is None:
            self._inputs = StaticInputs(inputs)
        else:
            self._inputs.take(inputs)
        if self._calls <= _WARM_UP:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                metrics = self._program(*self._inputs.tree)
            torch.cuda.current_stream().wait_stream(stream)
            return metrics
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with warnings.catch_warnings(), torch.cuda.graph(self._graph):
                # An empty graph would train nothing.
                warnings.filterwarnings("error", message="The CUDA Graph is empty")
                metrics = self._program(*self._inputs.tree)
                self._names, self._values = list(metrics), torch.stack(list(metrics.values()))
        self._graph.replay()
        # Copied, since the next replay overwrites the metrics and callers may keep them.
        return dict(zip(self._names, self._values.clone().unbind(), strict=True))


class StaticInputs:
    """Copy of a call's arguments at fixed addresses, into which later arguments are copied.

    Arguments are tensors, mappings and dataclasses of tensors. A tensor without axes (the step) is not
    copied, because its address is fixed already.
    """

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self.tree = tuple(_cloned(value) for value in inputs)
        self._own = [leaf for value in self.tree for leaf in _leaves(value)]

    def take(self, inputs: tuple[Any, ...]) -> None:
        """Copy in new arguments of the same structure and shapes.

        Raises:
            UserError: their shapes differ from those of the first call.
        """
        new = [leaf for value in inputs for leaf in _leaves(value)]
        if [leaf.shape for leaf in new] != [leaf.shape for leaf in self._own]:
            raise UserError("a captured update takes batches of one size only: run it without capture")
        moved = [(own, leaf) for own, leaf in zip(self._own, new, strict=True) if own is not leaf]
        torch._foreach_copy_([own for own, _ in moved], [leaf for _, leaf in moved])


def _cloned(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone() if value.dim() else value
    if isinstance(value, Mapping):
        return {name: _cloned(part) for name, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{field.name: _cloned(getattr(value, field.name)) for field in fields(value)})
    raise TypeError(
        f"an update takes tensors, mappings and dataclasses of tensors, not {type(value).__name__}"
    )


def _leaves(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else (getattr(value, f.name) for f in fields(value))
    return [leaf for part in parts for leaf in _leaves(part)]


def keep_freed_memory() -> bool:
    """Keep the memory that this process frees for its next update; ``False`` where glibc is not used.

    An update frees its tensors, glibc immediately returns much of that memory to the operating system, and
    the next update requests it again, page by page. `benchmarks/populations.py` measures the cost.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    taken = mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK), mallopt(_M_TRIM_THRESHOLD, _LARGEST_TRIM)
    return all(taken)
