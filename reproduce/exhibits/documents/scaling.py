"""The estimates of docs/scaling.md: the cost of all runs at paper scale, from records of benchmarks."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alm.training.scale import scale_named
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.coverage import missing_of
from reproduce.exhibits.documents import Blocks
from reproduce.exhibits.documents.benchmarks import NOT_MEASURED, machine
from reproduce.exhibits.writing import markdown_grid
from reproduce.lab.algorithms import ALGORITHMS, sizes_of
from reproduce.lab.costs import (
    BENCHMARK,
    GPU_BASIS,
    Costs,
    benchmark_record,
    benchmark_results,
    makespan,
)
from reproduce.lab.missing import Missing

_WORKERS = (1, 10, 100, 1000)
_SCALE = "paper"


def blocks(records: Path) -> Blocks:
    """The whole programme's cost, and the load on each component."""
    # All runs that the exhibits need, stored or not, in time of one thread of the benchmark's machine.
    groups = missing_of(EXHIBITS.values(), [], _SCALE)
    costs = Costs([], records)
    engines = benchmark_results(records / "engines.json")
    page = "docs/scaling.md"
    return {
        (page, "programme"): _programme(groups, costs, benchmark_record(records / BENCHMARK.name)),
        (page, "limits"): _limits(groups, costs, engines) if engines else NOT_MEASURED,
    }


def _programme(groups: Sequence[Missing], costs: Costs, benchmark: Mapping[str, Any]) -> str:
    """Runs, steps, core-hours and GPU-hours by algorithm and size."""
    rows, unknown = [], []
    totals: Counter[str] = Counter()
    kinds = [(group.specs[0].algorithm, sizes_of(group.specs[0])) for group in groups]
    for algorithm, sizes in dict.fromkeys(kinds):
        own = [group for group, kind in zip(groups, kinds, strict=True) if kind == (algorithm, sizes)]
        name = ALGORITHMS[algorithm].title + ("" if sizes == _SCALE else f", sizes of {sizes} scale")
        each = [costs.of(group) for group in own]
        one = {
            "runs": sum(len(group.specs) for group in own),
            "steps": sum(group.steps for group in own),
            "cpu": sum(cost.seconds for cost in each) / 3600,
            "gpu": sum(cost.gpu_seconds for cost in each) / 3600,
        }
        if math.isnan(one["cpu"]):
            unknown.append(name)
        totals.update({key: value for key, value in one.items() if not math.isnan(value)})
        rows.append(_row(name, one))
    rows.append(_row("together", {"cpu": math.nan, "gpu": math.nan, **totals}))
    header = ["", "runs", "million steps", "CPU core-hours", "GPU-hours"]
    rest = f" No cost per step is recorded for {', '.join(unknown)}." if unknown else ""
    rest += " Rows without an estimate (?) are left out of the sums."
    where = machine(benchmark) if benchmark else NOT_MEASURED
    return (
        f"{markdown_grid(header, rows)}\n\n"
        "Estimates. Core-hours: one thread of the machine of `make bench`, from the time per step on "
        f"HalfCheetah. GPU-hours: the seeds of a cell as one population. {GPU_BASIS}{rest}\n\n{where}"
    )


def _row(name: str, one: Mapping[str, float]) -> list[str]:
    hours = ["?" if math.isnan(one[key]) else f"{one[key]:,.0f}" for key in ("cpu", "gpu")]
    return [name, f"{one['runs']:,}", f"{one['steps'] / 1e6:,.0f}", *hours]


def _limits(groups: Sequence[Missing], costs: Costs, found: Mapping[str, Any]) -> str:
    """The whole programme on 1 to 1,000 workers, and the load on each component."""
    jobs = sorted(
        (part for group in groups for part in group.split(len(group.specs))),
        key=lambda part: part.specs[0].seed,
    )
    seconds = [costs.of(job).seconds for job in jobs]
    known = [one for one in seconds if not math.isnan(one)]
    mean = sum(known) / len(known)
    overhead = found["ray"]["job_ms"] / 1000 + found["training_start_seconds"]
    steps = sum(job.steps for job, one in zip(jobs, seconds, strict=True) if not math.isnan(one))
    # Values per run and second; a run writes one line per log interval.
    values = found["mlflow"]["values_per_line"] * steps / scale_named(_SCALE).log_every / sum(known)
    rows = []
    for workers in _WORKERS:
        wall = makespan((one + overhead for one in known), workers)
        busy = min(workers, len(known))
        rows.append(
            [
                f"{workers:,}",
                f"{wall / 3600:,.0f} h",
                f"{3600 * busy / (mean + overhead):,.1f}",
                f"{overhead / (mean + overhead):.2%}",
                f"{found['grid_ms'] / 1000 * busy:.1%}",
                f"{busy * found['ray']['task_ms'] / 1000 / (mean + overhead):.4%}",
                f"{busy * values / found['mlflow']['values_per_second']:.1%}",
            ]
        )
    header = [
        "workers",
        "wall-clock",
        "jobs an hour",
        "lost to starting",
        "the grid, of one core",
        "Ray's head, of one core",
        "MLflow, of what SQLite took",
    ]
    files = len(known)
    reading = found["store"]["read_ms"] * files / 1000
    return (
        f"{markdown_grid(header, rows)}\n\n"
        f"Estimates, computed from the measured numbers: {files:,} jobs of one seed, each on one core, "
        f"{mean / 3600:.1f} h on average, in the grid's order. Each run is a file of the store; a table "
        f"that reads all {files:,} takes {reading:.0f} s. The wall-clock time cannot fall below that of the "
        f"longest run, {max(known) / 3600:.0f} h."
    )
