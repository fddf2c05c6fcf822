"""Planning: groups of missing runs, the commands and jobs that train them, and their estimated cost."""

import heapq
import itertools
import json
import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alm.training.run_directory import RunDirectory
from reproduce.lab.algorithms import BASE, run_length, sizes_of, title_of
from reproduce.lab.executors import Job, Resources
from reproduce.lab.machine import matrix_gigaflops
from reproduce.lab.places import RECORDS
from reproduce.lab.provenance import cpu_name
from reproduce.lab.specs import RunSpec, variant_parts
from reproduce.lab.store import Store, StoredRun

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

_MEMORY_MARGIN = 1.25


@dataclass(frozen=True)
class Missing:
    """Missing runs that one command trains: an algorithm, a variant, a task, and the missing seeds."""

    specs: tuple[RunSpec, ...]
    reached: tuple[int, ...]
    """Environment steps of each run's newest checkpoint, from which it resumes, up to those wanted; 0 without
    one."""
    wanted: int
    """Environment steps that each run should reach."""

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
        """Remaining environment steps, summed over seeds."""
        return sum(self.wanted - reached for reached in self.reached)

    @property
    def command(self) -> str:
        """The command that trains them, without ``python -m reproduce``."""
        first = self.specs[0]
        until = f" --until {self.wanted}" if self.wanted < run_length(first) else ""
        seeds = [spec.seed for spec in self.specs]
        return train_command(*first.cell, seeds) + until

    def split(self, parts: int) -> "list[Missing]":
        """Up to ``parts`` parts with nearly equal numbers of seeds, in their order; none is empty."""
        n = len(self.specs)
        parts = min(parts, n)
        ends = [n * i // parts for i in range(parts + 1)]
        return [Missing(self.specs[a:b], self.reached[a:b], self.wanted) for a, b in itertools.pairwise(ends)]


def train_command(
    algorithm: str, variant: str, task: str, scale: str, seeds: Sequence[int] = (), plugin: str = ""
) -> str:
    """The command that trains runs, without ``python -m reproduce``.

    Args:
        algorithm: its name.
        variant: its stored name, with settings and precision.
        task: its name.
        scale: its name.
        seeds: seeds to train; empty for the command's default.
        plugin: file of the plugin that declares the variant or algorithm; empty if the suite does.
    """
    words = ["train", "--algorithm", algorithm]
    if variant != BASE.name:
        words += variant_options(variant)
    if plugin:
        words += ["--plugin", plugin]
    words += ["--task", task, "--scale", scale]
    if seeds:
        words += ["--seeds", *map(str, seeds)]
    return shlex.join(words)


def variant_options(variant: str) -> list[str]:
    """The options of the train command that mean a variant's stored name, with settings and precision."""
    name, settings, precision = variant_parts(variant)
    words = ["--variant", name]
    for one in settings:
        words += ["--set", one]
    if precision != "float32":
        words += ["--precision", precision]
    return words


def checkpointed(spec: RunSpec, runs_dir: Path | None) -> int:
    """Environment steps of a run's newest checkpoint; 0 without one, or without a directory to search."""
    if runs_dir is None:
        return 0
    return max(RunDirectory(runs_dir / spec.relative_dir).checkpoints.steps(), default=0)


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

    On a CPU, the time per step is that of stored runs on this kind of processor, else that of the benchmark
    on HalfCheetah (``make bench``), scaled by the speed of matrix products, which is measured again on this
    machine. Algorithms missing from the benchmark take the time of stored runs on any processor.

    On a GPU, updates take the time of the fastest mode that ``python -m benchmarks.gpu`` has measured for a
    population of this size or larger. Without such a measurement, they take the longer of two times: that of
    the kernels (`KERNEL_SECONDS` each, as many for a population as for a seed) and that of the arithmetic
    (`GPU_GIGAFLOPS`). Simulators step in parallel, alternating with the GPU. Seeds that do not train in
    lockstep are counted one after another.

    Args:
        store: stored runs.
        results: benchmark records to use with the times of their own machine; None: the repository's records,
            converted to this machine.
    """

    def __init__(self, store: Store, results: Path | None = None) -> None:
        self._store = store
        folder = results or BENCHMARK.parent
        record = benchmark_results(folder / BENCHMARK.name)
        self._known: dict[str, dict[str, dict[str, float]]] = record.get("costs", {})
        self._speed = 1.0
        if self._known and results is None:
            self._speed = record["matrix_gigaflops"] / matrix_gigaflops()
        counted = benchmark_results(folder / "kernels.json")
        self._kernels: dict[str, dict[str, float]] = counted.get("kernels", {})
        self._simulator = counted.get("simulator_ms", math.nan) / 1000.0
        self._apart = frozenset(counted.get("one_after_another", ()))
        self._timed: dict[str, Any] = benchmark_results(folder / "gpu.json").get("rows", {})

    def of(self, missing: "Missing") -> Cost:
        """The cost of a group of runs, from the checkpoint of each."""
        first, seeds = missing.specs[0], len(missing.specs)
        furthest = missing.wanted - min(missing.reached)
        return Cost(
            missing.steps * self._step_seconds(first),
            missing.steps * self._step_gigaflop(first),
            furthest * self._gpu_step_seconds(first, seeds),
        )

    def _recorded(self, run: RunSpec) -> dict[str, float]:
        """The costs that the benchmark recorded of the algorithm with a run's sizes; may be empty."""
        return self._known.get(sizes_of(run), {}).get(run.algorithm, {})

    def _step_gigaflop(self, run: RunSpec) -> float:
        return self._recorded(run).get("gflop", math.nan)

    def _step_seconds(self, run: RunSpec) -> float:
        """Seconds per step of one seed on one CPU thread."""
        rates: dict[bool, list[float]] = {True: [], False: []}
        for stored in _runs_sized_as(run, self._store):
            rate = stored.training_seconds.iloc[-1] / stored.last_step
            if stored.provenance.get("device") == "cpu" and not math.isnan(rate):
                here = stored.provenance.get("hardware", {}).get("cpu") == cpu_name()
                rates[here].append(rate)
        if not rates[True] and (recorded := self._recorded(run)):
            return recorded["step_ms"] / 1000.0 * self._speed
        chosen = rates[True] or rates[False]
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


def _runs_sized_as(run: RunSpec, store: Store) -> list[StoredRun]:
    """The stored runs of an algorithm, of all variants and scales, whose networks and batches are a run's."""
    return [one for one in store.runs(algorithm=run.algorithm) if sizes_of(one.spec) == sizes_of(run)]


def makespan(durations: Iterable[float], workers: int) -> float:
    """Time until the last job ends, if jobs start in order, each on the first free worker."""
    ends: list[float] = []  # of the workers used so far
    for duration in durations:
        if len(ends) < workers:
            heapq.heappush(ends, duration)
        else:
            heapq.heapreplace(ends, ends[0] + duration)
    return max(ends, default=0.0)


def jobs(
    missing: Sequence[Missing], device: str, options: Sequence[str], runs_dir: Path, workers: int
) -> list[Job]:
    """The jobs that train missing runs; first seeds first, so that every cell has a seed early.

    On a GPU all missing seeds of a cell form one population. On a CPU every seed is its own job, unless
    populations are recorded as faster (`populations_pay`). In that case the seeds of a
    cell are split into the fewest populations that occupy all workers: workers / cells, rounded up. With as
    many workers as seeds, these are single seeds again.

    Args:
        missing: the runs to train, grouped by cell (algorithm, variant and task).
        device: torch device.
        options: further options of the train command.
        runs_dir: directory of runs in training; logs go to its subdirectory ``logs``.
        workers: number of jobs at a time.
    """
    groups = list(missing)
    if device == "cpu":
        enough = -(-workers // max(1, len(missing)))
        groups = [part for group in missing for part in group.split(_populations(group, enough))]
        groups.sort(key=lambda group: group.specs[0].seed)
    work = []
    for group in groups:
        label = f"{group.label} seed {group.seeds}"
        arguments = ("-m", "reproduce", *shlex.split(group.command), "--device", device, *options)
        name = f"{group.specs[0].scale} {label}".replace("/", "-").replace(" ", "_")
        log = runs_dir / "logs" / f"{name}.log"
        work.append(Job(label, arguments, group.specs, log, group.wanted))
    return work


def _populations(group: Missing, enough: int) -> int:
    """Number of populations into which a cell is split on a CPU; ``enough`` of them occupy all workers."""
    return enough if populations_pay(group.specs[0]) else len(group.specs)


def resources_of(specs: Sequence[RunSpec], store: Store, gpus: float) -> Resources:
    """Resources of the job that trains a population, for executors that share machines among jobs.

    On a CPU a job has one thread. On a GPU every seed of a population has a simulator in its own thread.
    Memory is the peak of stored runs of the algorithm with the same widths and batches, plus a quarter;
    without such runs, a job requests none.

    Args:
        specs: its runs.
        store: stored runs.
        gpus: GPUs per job, or a fraction of one; 0 on a CPU.
    """
    runs = _runs_sized_as(specs[0], store)
    peaks = [run.final.get("cost/peak_memory_bytes", math.nan) for run in runs]
    known = [peak for peak in peaks if not math.isnan(peak)]
    memory = math.ceil(_MEMORY_MARGIN * max(known)) if known else None
    return Resources(len(specs) if gpus else 1, gpus, memory)


def populations_pay(run: RunSpec) -> bool:
    """Whether a population of five saves at least `POPULATION_MARGIN` of a seed's time on a CPU, as recorded.

    A variant counts as the unchanged algorithm of its sizes; without a measurement the answer is no.
    """
    gains = benchmark_results(POPULATION_GAINS)
    saved = gains.get(sizes_of(run), {}).get(run.algorithm, {}).get("saved", 0.0)
    return bool(saved >= POPULATION_MARGIN)


def benchmark_record(path: Path) -> dict[str, Any]:
    """A benchmark's record: its results, and the machine and code that they are of; empty without one."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def benchmark_results(path: Path) -> dict[str, Any]:
    """The results of a benchmark; empty without a record."""
    return dict(benchmark_record(path).get("results", {}))
