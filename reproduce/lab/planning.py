"""Planning: runs that exhibits miss, the commands that would train them, and what they would cost.

Every cost is an estimate.
"""

import heapq
import itertools
import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alm.training.run_directory import RunDirectory
from alm.training.scale import scale_named
from reproduce.lab.algorithms import BASE, run_length, title_of
from reproduce.lab.executors import Resources
from reproduce.lab.machine import matrix_gigaflops
from reproduce.lab.places import RECORDS
from reproduce.lab.provenance import cpu_name
from reproduce.lab.specs import RunSpec, variant_parts
from reproduce.lab.store import Store

BENCHMARK = RECORDS / "environment_step.json"
"""Costs of a step of every algorithm, as `make bench` recorded it."""
POPULATION_GAINS = RECORDS / "population_gains.json"
"""Costs of a seed's updates alone and in a population of five on a CPU, as `make bench` recorded them."""
POPULATION_MARGIN = 0.15
"""The share of a seed's time that a population must save on a CPU for the grid to train one; less is within
what one measurement differs from the next on a machine that does other work."""
KERNEL_SECONDS = 5e-6
"""Assumed: from the start of one small kernel to the next, in a captured graph."""
GPU_GIGAFLOPS = 10_000.0
"""Assumed: float32 matrix products, about half of what the data sheet of NVIDIA's A100 promises."""
GPU_BASIS = (
    "A step on a GPU is estimated as the larger of two times, that of its kernels "
    f"({1e6 * KERNEL_SECONDS:g} µs each, counted by python -m benchmarks.kernels) and that of its "
    f"arithmetic (at {GPU_GIGAFLOPS / 1000:g} TFLOP/s), plus the simulator's; where python -m "
    "benchmarks.gpu has recorded the updates, they take what it measured."
)
"""What estimates for a GPU rest on, in words."""

_MEMORY_MARGIN = 1.25


@dataclass(frozen=True)
class Missing:
    """Runs that train by one command: an algorithm, a variant, a task, and the seeds that are missing."""

    specs: tuple[RunSpec, ...]
    reached: tuple[int, ...]
    """Environment steps of each run's newest checkpoint, from which it goes on, up to those wanted; 0 where
    there is none."""
    wanted: int
    """Environment steps that each of them should have."""

    @property
    def label(self) -> str:
        """The runs in words, without their seeds."""
        first = self.specs[0]
        return f"{title_of(first.algorithm, first.variant)} on {first.task}"

    @property
    def seeds(self) -> str:
        """The seeds, separated by spaces."""
        return " ".join(str(spec.seed) for spec in self.specs)

    @property
    def steps(self) -> int:
        """Environment steps to go, over all seeds."""
        return sum(self.wanted - reached for reached in self.reached)

    @property
    def command(self) -> str:
        """The command that trains them, behind ``python -m reproduce``."""
        first = self.specs[0]
        until = f" --until {self.wanted}" if self.wanted < run_length(first) else ""
        seeds = [spec.seed for spec in self.specs]
        return train_command(first.algorithm, first.variant, first.task, first.scale, seeds) + until

    def split(self, parts: int) -> "list[Missing]":
        """So many parts of nearly the same number of seeds, in their order, but none without a seed."""
        n = len(self.specs)
        parts = min(parts, n)
        ends = [n * i // parts for i in range(parts + 1)]
        return [Missing(self.specs[a:b], self.reached[a:b], self.wanted) for a, b in itertools.pairwise(ends)]


def train_command(
    algorithm: str, variant: str, task: str, scale: str, seeds: Sequence[int] = (), plugin: str = ""
) -> str:
    """The command that trains runs, behind ``python -m reproduce``.

    Args:
        algorithm: its name.
        variant: as it is stored, with its settings and precision.
        task: its name.
        scale: its name.
        seeds: none for what the command trains by default.
        plugin: file of the plugin that the variant or algorithm comes from; empty if it is the suite's.
    """
    words = ["train", "--algorithm", algorithm]
    name, settings, precision = variant_parts(variant)
    if variant != BASE.name:
        words += ["--variant", name]
    for one in settings:
        words += ["--set", one]
    if precision != "float32":
        words += ["--precision", precision]
    if plugin:
        words += ["--plugin", plugin]
    words += ["--task", task, "--scale", scale]
    if seeds:
        words += ["--seeds", *map(str, seeds)]
    return shlex.join(words)


def missing_runs(
    needed: Mapping[RunSpec, int],
    store: Store,
    scale: str,
    first_seeds: int | None = None,
    runs_dir: Path | None = None,
) -> list[Missing]:
    """Needed runs of one scale that the store does not hold as far as they are read, each run once.

    A stored part of a run saves nothing: without a checkpoint training begins anew.

    Args:
        needed: runs that tables and figures are made of, and the environment steps at which they are read.
        store: stored runs.
        scale: scale of the runs.
        first_seeds: only the first so many seeds of every cell; None: all.
        runs_dir: where runs are kept while they train; None: nowhere.
    """
    stored = {run.spec: run for run in store.runs(scale=scale)}
    kept = scale_named(scale).seeds[:first_seeds]
    groups: dict[tuple[str, str, str, int], list[RunSpec]] = {}
    for spec, wanted in needed.items():
        run = stored.get(spec)
        # A failed run is a result: training it again would fail again.
        ended = run is not None and (run.status in ("done", "failed") or run.last_step >= wanted)
        if spec.seed in kept and not ended:
            groups.setdefault((spec.algorithm, spec.variant, spec.task, wanted), []).append(spec)
    return [
        # A run that was trained further, and not stored yet, has nothing to go.
        Missing(tuple(specs), tuple(min(_checkpointed(spec, runs_dir), wanted) for spec in specs), wanted)
        for (*_, wanted), specs in groups.items()
    ]


def _checkpointed(spec: RunSpec, runs_dir: Path | None) -> int:
    """Environment steps of a run's newest checkpoint; 0 without one."""
    if runs_dir is None:
        return 0
    return max(RunDirectory(runs_dir / spec.relative_dir).checkpoints.steps(), default=0)


@dataclass(frozen=True)
class Cost:
    """What it costs to train missing runs; NaN where nothing is known."""

    seconds: float
    """Of one thread of a CPU."""
    gigaflop: float
    """Matrix products."""
    gpu_seconds: float
    """Of one GPU, the seeds as one population."""


class Costs:
    """Costs of runs at a scale. A variant counts as the algorithm itself.

    On a CPU a step takes what stored runs took on processors of this kind, else what was benchmarked on
    HalfCheetah (``make bench``): times change in proportion to the speed of matrix products, which is
    measured here anew. What the benchmark leaves out has the time of stored runs on whatever processor.

    On a GPU, where ``python -m benchmarks.gpu`` has timed the updates of a population of that size or a
    larger one, they take what the fastest way took. Else they take the longer of two times: that of the
    kernels (`KERNEL_SECONDS` each, as many for a population as for a seed) and that of the arithmetic
    (`GPU_GIGAFLOPS`). The simulators step side by side, in turn with the GPU. Algorithms whose seeds do not
    train in lockstep take as long as their seeds one after another.

    Args:
        store: stored runs.
        scale: their scale.
        results: benchmarks' records whose own machine times are of; None: the repository's, and this machine.
    """

    def __init__(self, store: Store, scale: str, results: Path | None = None) -> None:
        self._store, self._scale = store, scale
        folder = results or BENCHMARK.parent
        record = _results(folder / BENCHMARK.name)
        self._known: dict[str, dict[str, float]] = record.get("costs", {}).get(scale, {})
        self._speed = 1.0
        if self._known and results is None:
            self._speed = record["matrix_gigaflops"] / matrix_gigaflops()
        counted = _results(folder / "kernels.json")
        self._kernels: dict[str, float] = counted.get("kernels", {}).get(scale, {})
        self._simulator = counted.get("simulator_ms", math.nan) / 1000.0
        self._apart = frozenset(counted.get("one_after_another", ()))
        # It measures the paper's sizes.
        self._timed: dict[str, Any] = (
            _results(folder / "gpu.json").get("rows", {}) if scale == "paper" else {}
        )

    def of(self, missing: "Missing") -> Cost:
        """The cost of a group of runs, from where each of them goes on."""
        algorithm, seeds = missing.specs[0].algorithm, len(missing.specs)
        furthest = missing.wanted - min(missing.reached)
        return Cost(
            missing.steps * self._step_seconds(algorithm),
            missing.steps * self._step_gigaflop(algorithm),
            furthest * self._gpu_step_seconds(algorithm, seeds),
        )

    def _step_gigaflop(self, algorithm: str) -> float:
        return self._known.get(algorithm, {}).get("gflop", math.nan)

    def _step_seconds(self, algorithm: str) -> float:
        """Of a seed, on one thread of a CPU."""
        rates: dict[bool, list[float]] = {True: [], False: []}
        for run in self._store.runs(algorithm=algorithm, scale=self._scale):
            rate = run.training_seconds.iloc[-1] / run.last_step if run.last_step else math.nan
            if run.provenance.get("device") == "cpu" and not math.isnan(rate):
                here = run.provenance.get("hardware", {}).get("cpu") == cpu_name()
                rates[here].append(rate)
        if not rates[True] and algorithm in self._known:
            return self._known[algorithm]["step_ms"] / 1000.0 * self._speed
        chosen = rates[True] or rates[False]
        return float(np.median(chosen)) if chosen else math.nan

    def _gpu_step_seconds(self, algorithm: str, seeds: int) -> float:
        """Of all seeds of a population."""
        timed = {int(key.split()[1]): row for key, row in self._timed.items() if key.split()[0] == algorithm}
        if large_enough := [size for size in sorted(timed) if size >= seeds]:
            row = timed[large_enough[0]]
            fastest = min(row[f"{way}_ms"] for way in ("eager", "captured", "compiled"))
            return float(fastest / 1000.0 + self._simulator)
        kernels = self._kernels.get(algorithm, math.nan) * KERNEL_SECONDS
        together = 1 if algorithm in self._apart else seeds
        arithmetic = together * self._step_gigaflop(algorithm) / GPU_GIGAFLOPS
        # NaN stays NaN, which `max` does not promise.
        updates = max(kernels, arithmetic) if not math.isnan(kernels + arithmetic) else math.nan
        step = updates + self._simulator
        return seeds * step if algorithm in self._apart else step


def makespan(durations: Iterable[float], workers: int) -> float:
    """Time until the last job ends, if each starts on the first worker that is free, in their order."""
    ends: list[float] = []  # of the workers that have had a job
    for duration in durations:
        if len(ends) < workers:
            heapq.heappush(ends, duration)
        else:
            heapq.heapreplace(ends, ends[0] + duration)
    return max(ends, default=0.0)


def resources_of(missing: "Missing", store: Store, gpus: float) -> Resources:
    """What the job of a group of runs takes of a machine, for executors that divide machines.

    On a CPU a job is one thread. On a GPU every seed of a population has a simulator, in a thread of its own.
    Memory is the most that finished runs of the algorithm at the scale took, and a quarter more; where none
    is stored a job asks for none.

    Args:
        missing: the group.
        store: stored runs.
        gpus: GPUs that a job takes, or the share of one; 0 on a CPU.
    """
    first = missing.specs[0]
    runs = store.runs(algorithm=first.algorithm, scale=first.scale)
    peaks = [run.final.get("cost/peak_memory_bytes", math.nan) for run in runs]
    known = [peak for peak in peaks if not math.isnan(peak)]
    memory = math.ceil(_MEMORY_MARGIN * max(known)) if known else None
    return Resources(len(missing.specs) if gpus else 1, gpus, memory)


def populations_pay(algorithm: str, scale: str) -> bool:
    """Whether a population of five saves at least `POPULATION_MARGIN` of a seed's time on a CPU, as recorded.

    A variant counts as the algorithm itself; what was not measured trains seed by seed.
    """
    saved = _results(POPULATION_GAINS).get(scale, {}).get(algorithm, {}).get("saved", 0.0)
    return bool(saved >= POPULATION_MARGIN)


def _results(path: Path) -> dict[str, Any]:
    """What a benchmark found; nothing where there is no record of it."""
    return dict(json.loads(path.read_text())["results"]) if path.exists() else {}
