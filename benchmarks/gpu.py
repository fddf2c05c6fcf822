"""``python -m benchmarks.gpu``: performance of populations on a CUDA device.

Covers every algorithm whose update is one program: all but SLBO, and MBPO, whose model is fitted separately.

The papers' sizes on HalfCheetah, float32, S seeds in one population: milliseconds of all updates of one
environment step with sampling and noise (eager, captured, compiled and captured); kernels launched without
capture; arithmetic relative to the device's measured matrix-product peak; and seed-updates per second
relative to a plain eager implementation of one seed. Writes ``out/benchmarks/gpu.json``.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from alm.task_registry import task_spec
from alm.training.execution import Execution, execute
from alm.training.scale import scale_named
from benchmarks.plain import PLAIN, plain_learner
from benchmarks.timing import FIRST_STEP, TASK, gigaflop, operations, random_replay, to_stderr, write_record
from reproduce.lab.algorithms import ALGORITHMS, algorithm_named
from reproduce.lab.training import keep_compiled_code

POPULATIONS = (1, 5, 10, 20)
ROUNDS = 50
_WAYS = {
    "eager": Execution(),
    "captured": Execution(captured=True),
    "compiled": Execution(compiled=True, captured=True),
}


def populations() -> list[str]:
    """Algorithms whose seeds learn in lockstep in one tensor program."""
    loaded = {name: algorithm.load()[0] for name, algorithm in ALGORITHMS.items()}
    return [name for name, one in loaded.items() if one.one_program and not one.trains_seeds_apart]


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def milliseconds_of(call: Callable[[int], object], device: str, rounds: int) -> float:
    """Median time of a call that takes its training step's number; timed in pairs, for delayed updates."""
    for i in range(10):  # includes captures
        call(FIRST_STEP + i)
    times = []
    for i in range(rounds):
        _wait(device)
        began = time.perf_counter()
        call(FIRST_STEP + 10 + 2 * i)
        call(FIRST_STEP + 11 + 2 * i)
        _wait(device)
        times.append(1000.0 * (time.perf_counter() - began) / 2)
    return statistics.median(times)


def kernels(call: Callable[[], object], device: str) -> int:
    """Number of kernels that a call launches; on a CPU, of tensor operations."""
    if torch.device(device).type == "cpu":
        return operations(call)
    with profile(activities=[ProfilerActivity.CUDA]) as trace:
        call()
        _wait(device)
    return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in trace.events())


def peak_gflops(device: str, rounds: int) -> float:
    """Throughput of a large float32 matrix product with torch's default settings."""
    left, right = torch.randn(2, 4096 if torch.device(device).type == "cuda" else 512, 1024, device=device)
    ms = milliseconds_of(lambda step: left @ right.T, device, rounds)
    return 2e-6 * left.shape[0] * right.shape[0] * left.shape[1] / ms


def measure(
    name: str, seeds: int, device: str, ways: dict[str, Execution], scale: str = "paper", rounds: int = ROUNDS
) -> dict[str, float]:
    """Milliseconds each way, kernels and arithmetic of an algorithm with a population of ``seeds``."""
    task, replay = task_spec(TASK), random_replay(seeds, device)
    agent_class, config_class = algorithm_named(name).load()
    config = config_class.at(scale_named(scale), TASK)
    out: dict[str, float] = {}
    for way, execution in ways.items():
        agent = agent_class(task, config, tuple(range(seeds)), device=device)
        execute(agent, replace(execution, device=device), to_stderr)
        out[f"{way}_ms"] = milliseconds_of(partial(agent.learn, replay), device, rounds)
    agent = agent_class(task, config, tuple(range(seeds)), device=device)
    agent.learn(replay, FIRST_STEP)
    out["kernels"] = kernels(lambda: agent.learn(replay, FIRST_STEP), device)
    out["gflop"] = gigaflop(lambda: [agent.learn(replay, FIRST_STEP + i) for i in range(2)]) / 2
    fastest = min(out[f"{way}_ms"] for way in ways)
    out["gflops"] = 1000 * out["gflop"] / fastest
    out["seed_updates_per_second"] = 1000 * seeds / fastest
    return out


def main() -> int:
    """Measure everything, print a table, write the record; exit code 2 without a device."""
    if not torch.cuda.is_available():
        print("error: there is no CUDA device here, so nothing was measured", file=sys.stderr)
        return 2
    keep_compiled_code()
    device, results = "cuda", {}
    peak = peak_gflops(device, ROUNDS)
    table = Table(title=f"One environment step's updates, {TASK} sizes, {torch.cuda.get_device_name()}")
    for column in ("", "S", "eager ms", "captured ms", "compiled ms", "kernels", "of the peak", "× plain"):
        table.add_column(column, justify="left" if not column else "right")
    for name in populations():
        plain = None
        if name in PLAIN:
            plain = 1000.0 / milliseconds_of(plain_learner(name, "paper", device), device, ROUNDS)
        for seeds in POPULATIONS:
            one: dict[str, Any] = measure(name, seeds, device, _WAYS)
            one["of_peak"] = one["gflops"] / peak
            one["over_plain"] = one["seed_updates_per_second"] / plain if plain else None
            results[f"{name} {seeds}"] = one
            table.add_row(
                ALGORITHMS[name].title,
                str(seeds),
                *(f"{one[f'{way}_ms']:.2f}" for way in _WAYS),
                str(one["kernels"]),
                f"{one['of_peak']:.0%}",
                f"{one['over_plain']:.1f}" if plain else "",
            )
    Console().print(table)
    record = {"device": torch.cuda.get_device_name(), "peak_gflops": peak, "rows": results}
    write_record("gpu", record, device, task=TASK, rounds=ROUNDS)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
