"""Costs of runs in time and operations, estimated from stored runs and from recorded benchmarks."""

import heapq
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.lab.algorithms import sizes_of
from reproduce.lab.missing import Missing
from reproduce.lab.places import RECORDS
from reproduce.lab.provenance import always_compiled, cpu_name, processor_of
from reproduce.lab.specs import RunSpec, variant_parts
from reproduce.lab.store import StoredRun

BENCHMARK = RECORDS / "environment_step.json"
"""Costs per step of every algorithm, recorded by `make bench`."""
POPULATION_GAINS = RECORDS / "population_gains.json"
"""Costs of updates per seed, alone and in a population of five on a CPU, recorded by `make bench`."""
POPULATION_MARGIN = 0.15
"""Share of a seed's time that a population must save on a CPU for the grid to train one; smaller savings are
within the measurement noise of a machine that does other work."""
KERNEL_SECONDS = 5e-6
"""Assumed time from the start of one small kernel to the next in a captured graph."""
GPU_GIGAFLOPS = 10_000.0
"""Assumed speed of float32 matrix products, about half of the data-sheet value of NVIDIA's A100."""
GPU_BASIS = (
    "A step on a GPU is estimated as the time of its kernels "
    f"({1e6 * KERNEL_SECONDS:g} µs each, counted by python -m benchmarks.kernels) or that of its "
    f"arithmetic (at {GPU_GIGAFLOPS / 1000:g} TFLOP/s), whichever is longer, plus the simulator's; updates "
    "recorded by python -m benchmarks.gpu take the measured time instead."
)
"""The basis of estimates for a GPU, in words."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_MATRIX_PRODUCTS = """
import time
import numpy as np
a = np.ones((768, 768), np.float32)
times = []
for _ in range(12):
    began = time.perf_counter()
    a @ a
    times.append(time.perf_counter() - began)
print(2e-9 * 768**3 / min(times))
"""


@dataclass(frozen=True)
class Cost:
    """Cost of training missing runs; NaN if unknown."""

    seconds: float
    """Time on one CPU thread."""
    gigaflop: float
    """Operations in matrix products."""
    gpu_seconds: float
    """Time on one GPU, the seeds as one population."""


class Costs:
    """Costs of runs. A variant costs as much as the unchanged algorithm of the same widths and batches.

    On a CPU, the time per step is that of stored runs of the same precision on this kind of processor, of
    those whose updates were compiled if there are any. Without such runs it is that of the benchmark on
    HalfCheetah (``make bench``), scaled by the speed of matrix products, which is measured again on this
    machine. Algorithms missing from the benchmark take the time of stored runs on any processor. The time of
    stored runs is divided among their training steps, and no time is counted for the warm-up.

    On a GPU, updates take the time of the fastest mode that ``python -m benchmarks.gpu`` has measured for a
    population of this size or larger. Without such a measurement, they take the longer of two times: that of
    the kernels (`KERNEL_SECONDS` each, as many for a population as for a seed) and that of the arithmetic
    (`GPU_GIGAFLOPS`). Simulators step in parallel, alternating with the GPU. Seeds that do not train in
    lockstep are counted one after another.

    Args:
        runs: stored runs, of every scale.
        results: benchmark records to use with the times of their own machine; None: the repository's records,
            converted to this machine.

    Attributes:
        gigaflops: speeds of matrix products on this machine now and in the benchmark's record, whose ratio
            converts times; None where none are converted.
    """

    def __init__(self, runs: Sequence[StoredRun], results: Path | None = None) -> None:
        self._runs = runs
        folder = results or BENCHMARK.parent
        record = benchmark_results(folder / BENCHMARK.name)
        self._known: dict[str, dict[str, dict[str, float]]] = record.get("costs", {})
        self.gigaflops: tuple[float, float] | None = None
        if self._known and results is None:
            self.gigaflops = matrix_gigaflops(), record["matrix_gigaflops"]
        counted = benchmark_results(folder / "kernels.json")
        self._kernels: dict[str, dict[str, float]] = counted.get("kernels", {})
        self._simulator = counted.get("simulator_ms", math.nan) / 1000.0
        self._apart = frozenset(counted.get("one_after_another", ()))
        self._timed: dict[str, Any] = benchmark_results(folder / "gpu.json").get("rows", {})

    def of(self, missing: Missing) -> Cost:
        """The cost of a group of runs, from the checkpoint of each."""
        first, seeds = missing.specs[0], len(missing.specs)
        furthest = missing.wanted - min(missing.reached)
        return Cost(
            self._seconds(missing),
            missing.steps * self._step_gigaflop(first),
            furthest * self._gpu_step_seconds(first, seeds),
        )

    def _recorded(self, run: RunSpec) -> dict[str, float]:
        """The costs that the benchmark recorded of the algorithm with a run's sizes; may be empty."""
        return self._known.get(sizes_of(run), {}).get(run.algorithm, {})

    def _step_gigaflop(self, run: RunSpec) -> float:
        return self._recorded(run).get("gflop", math.nan)

    def _seconds(self, missing: Missing) -> float:
        """Seconds that a group of runs takes on one CPU thread."""
        run = missing.specs[0]
        precision = variant_parts(run.variant).precision
        here: dict[bool, list[float]] = {True: [], False: []}  # by whether updates were compiled
        elsewhere: list[float] = []
        for stored in runs_sized_as(run, self._runs):
            if variant_parts(stored.spec.variant).precision != precision:
                continue
            # Steps of the warm-up take no time worth counting: they have no updates.
            trained = int(stored.evaluations["training_step"].iloc[-1])
            warmup = stored.last_step - trained
            to_train = sum(missing.wanted - max(reached, warmup) for reached in missing.reached)
            seconds = stored.training_seconds.iloc[-1] / trained * max(to_train, 0) if trained else math.nan
            if stored.provenance.get("device") == "cpu" and not math.isnan(seconds):
                same = processor_of(stored.provenance) == cpu_name()
                (here[always_compiled(stored.provenance)] if same else elsewhere).append(seconds)
        chosen = here[True] or here[False]
        if not chosen and (recorded := self._recorded(run)):
            now, then = self.gigaflops or (1.0, 1.0)
            return missing.steps * recorded["step_ms"] / 1000.0 * then / now
        chosen = chosen or elsewhere
        return float(np.median(chosen)) if chosen else math.nan

    def _gpu_step_seconds(self, run: RunSpec, seeds: int) -> float:
        """Seconds per step of all seeds of a population on a GPU."""
        algorithm, sizes = run.algorithm, sizes_of(run)
        # The GPU benchmark measures only the paper's sizes.
        rows = self._timed if sizes == "paper" else {}
        timed = {int(key.split()[1]): row for key, row in rows.items() if key.split()[0] == algorithm}
        if large_enough := [size for size in sorted(timed) if size >= seeds]:
            row = timed[large_enough[0]]
            fastest = min(row[f"{way}_ms"] for way in ("eager", "captured", "compiled"))
            return float(fastest / 1000.0 + self._simulator)
        kernels = self._kernels.get(sizes, {}).get(algorithm, math.nan) * KERNEL_SECONDS
        together = 1 if algorithm in self._apart else seeds
        arithmetic = together * self._step_gigaflop(run) / GPU_GIGAFLOPS
        # `max` alone might not propagate NaN.
        updates = max(kernels, arithmetic) if not math.isnan(kernels + arithmetic) else math.nan
        step = updates + self._simulator
        return seeds * step if algorithm in self._apart else step


def runs_sized_as(run: RunSpec, runs: Iterable[StoredRun]) -> list[StoredRun]:
    """The runs of a run's algorithm, of all variants and scales, with its widths and batches."""
    return [
        one for one in runs if one.spec.algorithm == run.algorithm and sizes_of(one.spec) == sizes_of(run)
    ]


def makespan(durations: Iterable[float], workers: int) -> float:
    """Time until the last job ends, if jobs start in order, each on the first free worker."""
    ends: list[float] = []  # of the workers used so far
    for duration in durations:
        if len(ends) < workers:
            heapq.heappush(ends, duration)
        else:
            heapq.heapreplace(ends, ends[0] + duration)
    return max(ends, default=0.0)


def populations_pay(run: RunSpec) -> bool:
    """Whether a population of five saves at least `POPULATION_MARGIN` of a seed's time on a CPU, as recorded.

    A variant counts as the unchanged algorithm of its sizes; without a measurement the answer is no.
    """
    gains = benchmark_results(POPULATION_GAINS)
    saved = gains.get(sizes_of(run), {}).get(run.algorithm, {}).get("saved", 0.0)
    return bool(saved >= POPULATION_MARGIN)


def matrix_gigaflops() -> float:
    """GFLOP/s of one thread in float32 matrix products, best of a few tries (a quarter of a second).

    Measured in a subprocess, because a linear-algebra library fixes its number of threads when loaded.
    """
    environment = os.environ | dict.fromkeys(_THREAD_VARIABLES, "1")
    found = subprocess.run(
        [sys.executable, "-c", _MATRIX_PRODUCTS], env=environment, capture_output=True, text=True, check=True
    )
    return float(found.stdout)


def benchmark_record(path: Path) -> dict[str, Any]:
    """A benchmark's record: its results, and the machine and code that they are of; empty without one."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def benchmark_results(path: Path) -> dict[str, Any]:
    """The results of a benchmark; empty without a record."""
    return dict(benchmark_record(path).get("results", {}))
