"""Forecasts: what runs would take on a GPU, and how long on several workers. All of them are estimates."""

import heapq
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproduce.lab.planning import BENCHMARK

KERNEL_SECONDS = 5e-6
"""Assumed: from the start of one small kernel to the next, in a captured graph."""
GPU_GIGAFLOPS = 10_000.0
"""Assumed: float32 matrix products, about half of what the data sheet of NVIDIA's A100 promises."""


@dataclass(frozen=True)
class GpuStep:
    """One environment step of all seeds of a population on a GPU."""

    seconds: float
    """Of all seeds; NaN where nothing is known."""
    measured: bool
    """Whether the updates were timed on a device, or estimated from kernels and arithmetic."""


class GpuCosts:
    """Costs of steps on a GPU at a scale.

    Where ``python -m benchmarks.gpu`` has timed the updates of a population of that size or a larger one,
    they take what the fastest way took. Else they take the longer of two times: that of the kernels
    (`KERNEL_SECONDS` each, as many for a population as for a seed) and that of the arithmetic
    (`GPU_GIGAFLOPS`). The simulators step side by side, in turn with the GPU. Algorithms whose seeds do not
    train in lockstep take as long as their seeds one after another.

    Args:
        scale: name of the scale.
        results: where the benchmarks' records are.
    """

    def __init__(self, scale: str, results: Path | None = None) -> None:
        folder = results or BENCHMARK.parent
        counted = _results(folder / "kernels.json")
        self._kernels: dict[str, float] = counted.get("kernels", {}).get(scale, {})
        self._simulator = counted.get("simulator_ms", math.nan) / 1000.0
        costs = _results(folder / BENCHMARK.name).get("costs", {}).get(scale, {})
        self._gigaflop = {name: one["gflop"] for name, one in costs.items()}
        self._apart = frozenset(counted.get("one_after_another", ()))
        # It measures the paper's sizes.
        self._timed: dict[str, Any] = (
            _results(folder / "gpu.json").get("rows", {}) if scale == "paper" else {}
        )

    def of(self, algorithm: str, seeds: int) -> GpuStep:
        """The cost of a step of a population."""
        timed = {int(key.split()[1]): row for key, row in self._timed.items() if key.split()[0] == algorithm}
        if large_enough := [size for size in sorted(timed) if size >= seeds]:
            row = timed[large_enough[0]]
            fastest = min(row[f"{way}_ms"] for way in ("eager", "captured", "compiled"))
            return GpuStep(fastest / 1000.0 + self._simulator, True)
        kernels = self._kernels.get(algorithm, math.nan) * KERNEL_SECONDS
        together = 1 if algorithm in self._apart else seeds
        arithmetic = together * self._gigaflop.get(algorithm, math.nan) / GPU_GIGAFLOPS
        # NaN stays NaN, which `max` does not promise.
        updates = max(kernels, arithmetic) if not math.isnan(kernels + arithmetic) else math.nan
        step = updates + self._simulator
        return GpuStep(seeds * step if algorithm in self._apart else step, False)


def gpu_basis() -> str:
    """What estimates for a GPU rest on, in a sentence."""
    return (
        "A step on a GPU is estimated as the larger of two times, that of its kernels "
        f"({1e6 * KERNEL_SECONDS:g} µs each, counted by python -m benchmarks.kernels) and that of its "
        f"arithmetic (at {GPU_GIGAFLOPS / 1000:g} TFLOP/s), plus the simulator's; where python -m "
        "benchmarks.gpu has recorded the updates, they take what it measured."
    )


def makespan(durations: Iterable[float], workers: int) -> float:
    """Time until the last job ends, if each starts on the first worker that is free, in their order."""
    ends: list[float] = []  # of the workers that have had a job
    for duration in durations:
        if len(ends) < workers:
            heapq.heappush(ends, duration)
        else:
            heapq.heapreplace(ends, ends[0] + duration)
    return max(ends, default=0.0)


def _results(path: Path) -> dict[str, Any]:
    """What a benchmark found; nothing where there is no record of it."""
    return dict(json.loads(path.read_text())["results"]) if path.exists() else {}
