"""Jobs that train missing runs, and the resources that they need of a machine."""

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from reproduce.lab.costs import populations_pay, runs_sized_as
from reproduce.lab.executors import Job, Resources
from reproduce.lab.missing import Missing
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store, StoredRun

_MEMORY_MARGIN = 1.25


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
        groups = [
            part
            for group in missing
            for part in group.split(enough if populations_pay(group.specs[0]) else len(group.specs))
        ]
        groups.sort(key=lambda group: group.specs[0].seed)
    work = []
    for group in groups:
        label = f"{group.label} seed {group.seeds}"
        arguments = ("-m", "reproduce", *shlex.split(group.command), "--device", device, *options)
        name = f"{group.specs[0].scale} {label}".replace("/", "-").replace(" ", "_")
        log = runs_dir / "logs" / f"{name}.log"
        work.append(Job(label, arguments, group.specs, log, group.wanted))
    return work


def with_resources(work: Iterable[Job], store: Store, gpus: float) -> list[Job]:
    """The jobs with the resources that each needs, judged by the stored runs of its algorithm.

    Args:
        work: the jobs.
        store: stored runs.
        gpus: GPUs per job, or a fraction of one; 0 on a CPU.
    """
    # Of these algorithms alone: nobody is warned of damage in runs of others.
    runs = cache(lambda algorithm: store.runs(algorithm=algorithm))
    return [
        replace(job, resources=resources_of(job.specs, runs(job.specs[0].algorithm), gpus)) for job in work
    ]


def resources_of(specs: Sequence[RunSpec], runs: Iterable[StoredRun], gpus: float) -> Resources:
    """Resources of the job that trains a population, for executors that share machines among jobs.

    On a CPU a job has one thread. On a GPU every seed of a population has a simulator in its own thread.
    Memory is the peak of stored runs of the algorithm with the same widths and batches, plus a quarter;
    without such runs, a job requests none.

    Args:
        specs: its runs.
        runs: stored runs, of every scale.
        gpus: GPUs per job, or a fraction of one; 0 on a CPU.
    """
    alike = runs_sized_as(specs[0], runs)
    peaks = [run.final.get("cost/peak_memory_bytes", math.nan) for run in alike]
    known = [peak for peak in peaks if not math.isnan(peak)]
    memory = math.ceil(_MEMORY_MARGIN * max(known)) if known else None
    return Resources(len(specs) if gpus else 1, gpus, memory)
