"""The plan, printed: how much of exhibits is stored, the runs that they lack, and what these would cost."""

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from reproduce.exhibits.coverage import coverage
from reproduce.exhibits.kinds import Exhibit, FigureExhibit
from reproduce.exhibits.writing import terminal_grid
from reproduce.lab.costs import GPU_BASIS, Costs, makespan
from reproduce.lab.missing import Missing
from reproduce.lab.store import Store, place_options


def print_plan(
    exhibits: Sequence[Exhibit],
    missing: Sequence[Missing],
    store: Store,
    scale: str,
    console: Console,
    workers: int | None = None,
    runs_dir: Path | None = None,
) -> None:
    """Print how much of exhibits is stored, and what is missing: steps, operations, hours, commands.

    The commands name the store and the directory of runs where these are not the default ones. Given a number
    of workers, also print the wall-clock time on that many cores, and on that many GPUs.
    """
    for exhibit in exhibits:
        _print_coverage(exhibit, store, scale, console)
    if not missing:
        return
    algorithms = dict.fromkeys(group.specs[0].algorithm for group in missing)
    costs = Costs([run for one in algorithms for run in store.runs(algorithm=one)])
    table = terminal_grid()
    for column in ("missing", "seeds", "steps to go", "PFLOP", "hours", "GPU hours"):
        table.add_column(column, justify="left" if column in ("missing", "seeds") else "right")
    hours, gpu_hours = [], []
    for group in missing:
        cost = costs.of(group)
        hours.append(cost.seconds / 3600.0)
        gpu_hours.append(cost.gpu_seconds / 3600.0)
        table.add_row(
            group.label,
            group.seeds,
            f"{group.steps:,}",
            _or_unknown(cost.gigaflop / 1e6, ".3g"),
            _or_unknown(hours[-1], ".1f"),
            _or_unknown(gpu_hours[-1], ".1f"),
        )
    console.print(table)
    known = [one for one in hours if not math.isnan(one)]
    rest = "" if len(known) == len(hours) else ", without rows that have no estimate"
    speeds = ""
    if costs.gigaflops:
        now, then = costs.gigaflops
        speeds = f" ({now:.0f} GFLOP/s now, {then:.0f} in the record; repeat on an idle machine)"
    console.print(
        f"Together {sum(known):.1f} hours of one thread of this machine{rest}. Hours are those of stored "
        "runs on this kind of processor, else of the recorded benchmark's step on HalfCheetah, scaled by "
        f"this machine's speed in matrix products{speeds}; operations are of such a step. "
        f"GPU hours: the seeds of a row as one population. {GPU_BASIS}"
    )
    if workers:
        _print_wall_clock(missing, hours, gpu_hours, workers, console)
    places = place_options(store, runs_dir)
    for group in missing:
        console.print(f"  python -m reproduce {group.command}{places}", highlight=False, soft_wrap=True)


def _print_coverage(exhibit: Exhibit, store: Store, scale: str, console: Console) -> None:
    found = coverage(exhibit, store, scale)
    text = f"{found.done} of {found.needed} runs stored"
    if not exhibit.series:
        text = "derived from the code alone, without runs"
    elif not found.needed:
        text = "has no panel at this scale"
    elif found.unmeasured:
        assert isinstance(exhibit, FigureExhibit)
        text += f"; {found.unmeasured} more lack {exhibit.beside_evaluations}"
    console.print(f"{exhibit.name} at {scale} scale: {text}", highlight=False, soft_wrap=True)


def _print_wall_clock(
    missing: Sequence[Missing],
    hours: Sequence[float],
    gpu_hours: Sequence[float],
    workers: int,
    console: Console,
) -> None:
    """Print the duration of a plan on several workers: seeds on cores, populations on GPUs."""
    seeds = [
        # Where all have come so far already, and are not stored yet, there is nothing to divide.
        (spec.seed, of_group * (group.wanted - reached) / max(group.steps, 1))
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
