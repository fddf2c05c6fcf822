"""Planning: runs that exhibits miss, the commands that would train them, and what they would cost."""

import itertools
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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

_MEMORY_MARGIN = 1.25


@dataclass(frozen=True)
class StepCost:
    """Cost of one environment step of one seed."""

    seconds: float
    """Of one thread; NaN where nothing is known."""
    gigaflop: float
    """Matrix products; NaN where they were not counted."""


class Costs:
    """Costs of steps at a scale: what stored runs took on processors of this kind, else benchmarked ones.

    The benchmark counted operations and took times on HalfCheetah (``make bench``); times change in
    proportion to the speed of matrix products, which is measured here anew. What the benchmark leaves out has
    the time of stored runs on whatever processor. A variant counts as the algorithm itself.

    Args:
        store: stored runs.
        scale: their scale.
        benchmark: a record whose own machine times are of; None: the repository's, and this machine.
    """

    def __init__(self, store: Store, scale: str, benchmark: Path | None = None) -> None:
        self._store, self._scale = store, scale
        path = benchmark or BENCHMARK
        record = json.loads(path.read_text())["results"] if path.exists() else {}
        self._known: dict[str, dict[str, float]] = record.get("costs", {}).get(scale, {})
        self._speed = 1.0
        if self._known and benchmark is None:
            self._speed = record["matrix_gigaflops"] / matrix_gigaflops()

    def of(self, algorithm: str) -> StepCost:
        """The cost of a step of an algorithm."""
        rates: dict[bool, list[float]] = {True: [], False: []}
        for run in self._store.runs(algorithm=algorithm, scale=self._scale):
            rate = run.training_seconds.iloc[-1] / run.last_step if run.last_step else math.nan
            if run.provenance.get("device") == "cpu" and not math.isnan(rate):
                here = run.provenance.get("hardware", {}).get("cpu") == cpu_name()
                rates[here].append(rate)
        known = self._known.get(algorithm)
        gigaflop = known["gflop"] if known else math.nan
        if known and not rates[True]:
            return StepCost(known["step_ms"] / 1000.0 * self._speed, gigaflop)
        chosen = rates[True] or rates[False]
        return StepCost(float(np.median(chosen)) if chosen else math.nan, gigaflop)


@dataclass(frozen=True)
class Needs:
    """What jobs take of a machine, for executors that divide machines.

    On a CPU a job is one thread. On a GPU every seed of a population has a simulator, in a thread of its own.
    Memory is the most that finished runs of the algorithm at the scale took, and a quarter more; where none
    is stored a job asks for none.

    Args:
        store: stored runs.
        gpus: GPUs that a job takes, or the share of one; 0 on a CPU.
    """

    store: Store
    gpus: float
    _known: dict[tuple[str, str], int | None] = field(default_factory=dict, init=False, repr=False)

    def of(self, missing: "Missing") -> Resources:
        """What the job of a group takes."""
        seeds = len(missing.specs)
        return Resources(seeds if self.gpus else 1, self.gpus, self._memory(missing.specs[0]))

    def _memory(self, spec: RunSpec) -> int | None:
        which = spec.algorithm, spec.scale
        if which not in self._known:
            self._known[which] = self._most_memory(spec)
        return self._known[which]

    def _most_memory(self, spec: RunSpec) -> int | None:
        runs = self.store.runs(algorithm=spec.algorithm, scale=spec.scale)
        peaks = [run.final.get("cost/peak_memory_bytes", math.nan) for run in runs]
        known = [peak for peak in peaks if not math.isnan(peak)]
        return math.ceil(_MEMORY_MARGIN * max(known)) if known else None


@dataclass(frozen=True)
class Missing:
    """Runs that train by one command: an algorithm, a variant, a task, and the seeds that are missing."""

    specs: tuple[RunSpec, ...]
    reached: tuple[int, ...]
    """Environment steps of each run's newest checkpoint, from which it goes on; 0 where there is none."""
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


def populations_pay(algorithm: str, scale: str) -> bool:
    """Whether a population of five saves at least `POPULATION_MARGIN` of a seed's time on a CPU, as recorded.

    A variant counts as the algorithm itself; what was not measured trains seed by seed.
    """
    record = json.loads(POPULATION_GAINS.read_text())["results"] if POPULATION_GAINS.exists() else {}
    return bool(record.get(scale, {}).get(algorithm, {"saved": 0.0})["saved"] >= POPULATION_MARGIN)


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
        Missing(tuple(specs), tuple(_checkpointed(spec, runs_dir) for spec in specs), wanted)
        for (*_, wanted), specs in groups.items()
    ]


def _checkpointed(spec: RunSpec, runs_dir: Path | None) -> int:
    """Environment steps of a run's newest checkpoint; 0 without one."""
    if runs_dir is None:
        return 0
    return max(RunDirectory(runs_dir / spec.relative_dir).checkpoints.steps(), default=0)
