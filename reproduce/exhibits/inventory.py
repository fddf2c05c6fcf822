"""The inventory: what is stored, what is being trained, what exhibits miss and what that would cost."""

import math
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from alm.training.scale import SCALES
from reproduce.exhibits import EXHIBITS, Exhibit
from reproduce.exhibits.coverage import coverage, missing_of
from reproduce.lab.algorithms import run_length
from reproduce.lab.archive import directories_under
from reproduce.lab.forecast import GpuCosts, gpu_basis, makespan
from reproduce.lab.planning import Costs, Missing
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store


def print_inventory(store: Store, runs_dir: Path, console: Console) -> None:
    """Print stored runs, run directories that are not stored, and what the exhibits still miss."""
    stored = store.runs()
    table = Table(title="Stored runs", title_justify="left")
    for column in ("run", "status", "steps", "return", "hours", "protocol", "code"):
        table.add_column(column, justify="right" if column in ("steps", "return", "hours") else "left")
    for run in stored:
        total = run_length(run.spec)
        table.add_row(
            run.spec.label,
            run.status,
            f"{run.last_step:,} of {total:,}",
            f"{run.final['final/return']:.0f}",
            f"{run.final['cost/wall_h']:.2f}",
            run.protocol,
            str(run.provenance.get("git_sha", ""))[:7] + ("+" if run.provenance.get("git_dirty") else ""),
        )
    console.print(table if stored else "No run is stored yet.")

    held = {run.spec: run.last_step for run in stored}
    for directory in directories_under(runs_dir):
        spec = RunSpec.from_dict(directory.read_json("config.json")["spec"])
        steps = directory.checkpoints.steps()
        if spec.scale != "smoke" and held.get(spec, -1) < (steps[0] if steps else 0):
            console.print(f"In {runs_dir}: {spec.label}, {directory.status}, checkpoint at step {steps[0]:,}")

    for scale in SCALES:
        for exhibit in EXHIBITS.values() if scale != "smoke" else ():
            _print_coverage(exhibit, store, scale, console)
    console.print("What one of them misses: python -m reproduce plan table1 --scale laptop")


def _print_coverage(exhibit: Exhibit, store: Store, scale: str, console: Console) -> None:
    found = coverage(exhibit, store, scale)
    console.print(f"{exhibit.name} at {scale} scale: {found.done} of {found.needed} runs stored")


def nothing_stored(name: str, store: Store, shown: Collection[str]) -> list[str]:
    """A line for each scale at which an exhibit has no run to show, with what it would take.

    Args:
        name: of an exhibit; any other name gives no line.
        store: stored runs.
        shown: scales at which it shows something.
    """
    lines = []
    exhibit = EXHIBITS.get(name)
    for scale in SCALES if exhibit else ():
        found = coverage(exhibit, store, scale) if exhibit and scale not in ("smoke", *shown) else None
        if found and found.needed:
            steps = sum(group.steps for group in found.missing)
            lines.append(
                f"{name} at {scale} scale: nothing that it shows is stored; it takes {found.needed} runs, "
                f"{steps:,} environment steps: python -m reproduce plan {name} --scale {scale}"
            )
    return lines


def print_plan(
    exhibits: Sequence[Exhibit],
    store: Store,
    scale: str,
    first_seeds: int | None,
    console: Console,
    workers: int | None = None,
) -> None:
    """Print what is stored and missing of exhibits, with steps, operations, estimated hours and commands.

    With a number of workers, also the wall-clock time on so many cores, and on so many GPUs.
    """
    for exhibit in exhibits:
        _print_coverage(exhibit, store, scale, console)
    missing = missing_of(exhibits, store, scale, first_seeds)
    if not missing:
        return
    costs, gpu = Costs(store, scale), GpuCosts(scale)
    table = Table(title_justify="left")
    for column in ("missing", "seeds", "steps to go", "PFLOP", "hours", "GPU hours"):
        table.add_column(column, justify="left" if column in ("missing", "seeds") else "right")
    hours, gpu_hours = [], []
    for group in missing:
        cost = costs.of(group.specs[0].algorithm)
        hours.append(group.steps * cost.seconds / 3600.0)
        step = gpu.of(group.specs[0].algorithm, len(group.specs))
        gpu_hours.append((group.wanted - min(group.reached)) * step.seconds / 3600.0)
        table.add_row(
            group.label,
            group.seeds,
            f"{group.steps:,}",
            _or_unknown(group.steps * cost.gigaflop / 1e6, ".3g"),
            _or_unknown(hours[-1], ".1f"),
            _or_unknown(gpu_hours[-1], ".1f"),
        )
    console.print(table)
    known = [one for one in hours if not math.isnan(one)]
    rest = "" if len(known) == len(hours) else " and what has no estimate"
    console.print(
        f"Together {sum(known):.1f} hours of one thread of this machine{rest}; operations and times are "
        "those of a step on HalfCheetah (make bench), times by this machine's speed in matrix products. "
        f"GPU hours: the seeds of a row as one population. {gpu_basis()}"
    )
    if workers:
        _print_wall_clock(missing, hours, gpu_hours, workers, console)
    for group in missing:
        console.print(f"  python -m reproduce {group.command}", highlight=False, soft_wrap=True)


def _print_wall_clock(
    missing: Sequence[Missing],
    hours: Sequence[float],
    gpu_hours: Sequence[float],
    workers: int,
    console: Console,
) -> None:
    """Print how long a plan takes on several workers: seeds on cores, populations on GPUs."""
    seeds = [
        (spec.seed, of_group * (group.wanted - reached) / group.steps)
        for group, of_group in zip(missing, hours, strict=True)
        for spec, reached in zip(group.specs, group.reached, strict=True)
    ]
    # The grid's order: first seeds first.
    on_cores = [one for _, one in sorted(seeds, key=lambda pair: pair[0])]
    for what, every in (("core", on_cores), ("GPU", gpu_hours)):
        known = [one for one in every if not math.isnan(one)]
        rest = (
            "" if len(known) == len(every) else f", without {len(every) - len(known)} that have no estimate"
        )
        if known:
            console.print(
                f"On {workers} {what}{'s' if workers > 1 else ''}: {makespan(known, workers):.1f} hours, an "
                f"estimate; {len(known)} jobs, the longest {max(known):.1f} hours{rest}."
            )


def _or_unknown(value: float, form: str) -> str:
    return "?" if math.isnan(value) else format(value, form)
