"""Shared parts of the benchmarks: a filled replay, rounds in which candidates take turns, the record."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from alm.task_registry import task_spec
from alm.tasks import make
from alm.training.agent import Agent
from alm.training.execution import Execution, execute, keep_freed_memory
from alm.training.files import write_json
from alm.training.replay import Replay, Transitions
from reproduce.lab.places import MEASURED
from reproduce.lab.provenance import provenance
from reproduce.lab.training import keep_compiled_code

TASK = "HalfCheetah"
FIRST_STEP = 15_010
"""First timed training step: after SAC-SVG's phase without rollouts, and between MBPO's model trainings."""
# Transitions in a replay of random numbers: more than SAC-SVG and MBPO require.
_RANDOM = 20_000


def as_in_training() -> None:
    """One thread, kept freed memory and kept compiled code, like a run on a CPU.

    Plain implementations benefit from the former two as well.
    """
    keep_compiled_code()
    torch.set_num_threads(1)
    keep_freed_memory()


def execute_as_in_runs(agent: Agent) -> None:
    """Execute an agent's updates from now on as those of a run on a CPU, most of them compiled."""
    execute(agent, Execution.choose("float32", "auto", "cpu", 1, type(agent), lasts=True), to_stderr)


def to_stderr(message: str) -> None:
    """Print what an execution says apart from the results."""
    print(message, file=sys.stderr)


def milliseconds(work: Callable[[], object]) -> float:
    """Processor time of one call in this thread, which excludes other programs on the machine."""
    began = time.thread_time()
    work()
    return 1000.0 * (time.thread_time() - began)


def filled_replay(transitions: int, name: str = TASK) -> Replay:
    """A replay of random actions on a task."""
    task, environment = task_spec(name), make(name)
    replay = Replay(1, transitions, task.observation_size, task.action_size)
    environment.action_space.seed(0)
    observation, _ = environment.reset(seed=0)
    for _ in range(transitions):
        action = environment.action_space.sample()
        after, reward, terminated, truncated, _ = environment.step(action)
        row = (observation, action, reward, after, float(terminated))
        s, a, r, s_next, terminal = (torch.as_tensor(value, dtype=torch.float32)[None] for value in row)
        replay.add(s, a, r, s_next, terminal, torch.tensor([terminated or truncated]))
        observation = environment.reset()[0] if terminated or truncated else after
    return replay


def random_replay(seeds: int, device: str) -> Replay:
    """Replay of meaningless numbers: their values do not affect an update's time."""
    task, shape = task_spec(TASK), (seeds, _RANDOM)
    replay = Replay(seeds, _RANDOM, task.observation_size, task.action_size, device)
    observation, after = (torch.randn(*shape, task.observation_size, device=device) for _ in range(2))
    action, zeros = (
        torch.rand(*shape, task.action_size, device=device) * 2 - 1,
        torch.zeros(shape, device=device),
    )
    replay.extend(Transitions(observation, action, zeros, after, zeros), zeros > 0)
    return replay


def take_turns(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every candidate in every round, after one warm-up call each."""
    return measure_in_turns({name: partial(milliseconds, call) for name, call in work.items()}, rounds)


def measure_in_turns(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measurements of every candidate in every round, after one warm-up call each.

    The candidates take turns, so that changes of the machine's speed affect all of them.
    """
    for measure in measures.values():
        measure()
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def median_ratio(over: list[float], under: list[float]) -> float:
    """Median of the ratios of two candidates' times in the same round."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def gigaflop(call: Callable[[], object]) -> float:
    """Arithmetic of the matrix products of a call, in 10⁹ operations."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


class _Operations(TorchDispatchMode):
    """Counter of operations that reach a kernel: tensor operations other than views."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not function.is_view and function is not torch.ops.aten.detach.default
        return function(*args, **(kwargs or {}))


def operations(call: Callable[[], object]) -> int:
    """Number of a call's tensor operations: roughly the kernels that a GPU would launch, one by one."""
    with _Operations() as counter:
        call()
    return counter.count


class _Times(TorchDispatchMode):
    """Processor time of each tensor operation, in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[str, float]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        began = time.thread_time()
        out = function(*args, **(kwargs or {}))
        self.times.append((function.overloadpacket.__name__, 1000.0 * (time.thread_time() - began)))
        return out


def milliseconds_by_operation(call: Callable[[], object], rounds: int = 5) -> dict[str, float]:
    """Breakdown of a call's time on a CPU: milliseconds by operation name, largest first.

    Every call makes the same operations; for each, the fastest round counts.
    """
    runs = []
    for _ in range(rounds):
        with _Times() as mode:
            call()
        runs.append(mode.times)
    out: dict[str, float] = {}
    for same in zip(*runs, strict=True):
        name = same[0][0]
        out[name] = out.get(name, 0.0) + min(taken for _, taken in same)
    return dict(sorted(out.items(), key=lambda item: -item[1]))


def instructions() -> list[str]:
    """Processor features for matrix products in low precision, by their Linux names."""
    try:
        flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    except OSError:
        return []
    return sorted(flag for flag in flags if "bf16" in flag or flag.startswith(("amx", "avx512f")))


def write_record(name: str, results: dict[str, Any], device: str = "cpu", **about: Any) -> None:
    """Write ``out/benchmarks/<name>.json``: results, what they are of, code, packages and hardware."""
    origin = provenance(Execution(device=device, threads=torch.get_num_threads()))
    record = {
        "results": results,
        **about,
        "packages": origin["packages"],
        "hardware": origin["hardware"] | {"instructions": instructions()},
        "git_sha": origin["git_sha"],
        "git_dirty": origin["git_dirty"],
    }
    path = MEASURED / f"{name}.json"
    write_json(path, record)
    print(f"wrote {path}")
