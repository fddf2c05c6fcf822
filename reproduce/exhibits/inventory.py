"""The inventory: stored runs, runs in training, runs that exhibits lack and what these would cost."""

import json
import math
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from alm.training.scale import SCALES
from reproduce.exhibits import EXHIBITS, Exhibit
from reproduce.exhibits.coverage import coverage, nothing_shown
from reproduce.exhibits.kinds import SHOWN_SCALES, CodeExhibit, FigureExhibit
from reproduce.exhibits.pooling import pool, whole_length
from reproduce.formats import left_out, mean_and_std, seeds_counted, steps_in_words
from reproduce.lab.algorithms import place_among, title_of
from reproduce.lab.archive import directories_under
from reproduce.lab.planning import GPU_BASIS, Costs, Missing, makespan
from reproduce.lab.store import Store, StoredRun

_UNBROKEN = "\u00a0"


def print_inventory(store: Store, runs_dir: Path, console: Console, every: bool = False) -> None:
    """Print stored runs, run directories that are ahead of the store, and how complete exhibits are.

    Args:
        store: stored runs.
        runs_dir: directory of runs in training.
        console: where to print.
        every: print one line per run instead of one per task.
    """
    stored = store.runs()
    own = sum(run.own for run in stored)
    whose = f", {own} of them your own" if own else ""
    say = partial(console.print, highlight=False, soft_wrap=True)
    count = f"{len(stored)} stored run{'s' if len(stored) > 1 else ''}"
    say(f"{count}{whose}." if stored else "No run is stored yet.")
    if every:
        for run in sorted(stored, key=_place):
            say(_line(run))
    elif stored:
        say("Mean return (seeds, steps that all of them have reached); for each run: --all")
        for (scale, task), groups in _by_task(stored).items():
            say(f"\n{scale} scale, {task}\n{_flow(_summaries(groups), console.width)}")

    held = {run.spec: run.last_step for run in stored}
    for spec, directory in directories_under(runs_dir).items():
        steps = directory.checkpoints.steps()
        if spec.scale != "smoke" and held.get(spec, -1) < (steps[0] if steps else 0):
            place = f"checkpoint at step {steps[0]:,}" if steps else "no checkpoint yet"
            say(f"In {runs_dir}: {spec.label}, {directory.status}, {place}")

    for scale in SHOWN_SCALES:
        found = ((one.name, coverage(one, store, scale)) for one in EXHIBITS.values())
        done = (f"{name} {one.text}" for name, one in found if one.needed)
        say(f"\nRuns stored of each exhibit, {scale} scale\n{_flow(done, console.width)}")
    say("\nTo list the runs that one of them lacks: python -m reproduce plan table1 --scale laptop")


def _place(run: StoredRun) -> tuple[str, str, str, int, int]:
    """The position of a run in a list: seeds of one scale together, the largest scale first."""
    spec = run.spec
    return spec.algorithm, spec.variant, spec.task, place_among(spec.scale, SCALES), spec.seed


def _line(run: StoredRun) -> str:
    """A run with all details in one line."""
    code = str(run.provenance.get("git_sha", ""))[:7] + ("+" if run.provenance.get("git_dirty") else "")
    hours, length = run.seed_hours, whole_length(run.spec)
    parts = (
        "your own" if run.own else "",
        f"{run.last_step:,}{f' of {length:,}' if length else ''} steps",
        f"return {run.final['final/return']:.0f}" if "final/return" in run.final else "",
        "" if math.isnan(hours) else f"{hours:.2f} hours a seed",
        run.protocol,
        code,
    )
    return f"{run.spec.label}: {run.status}, {', '.join(filter(None, parts))}"


def _by_task(stored: Sequence[StoredRun]) -> dict[tuple[str, str], list[list[StoredRun]]]:
    """The seeds that make one number, by scale (the largest first) and task.

    They have one algorithm and variant, and one protocol and configuration.
    """
    groups: dict[tuple[str, str], dict[tuple[str, ...], list[StoredRun]]] = {}
    for run in stored:
        of_task = groups.setdefault((run.spec.scale, run.spec.task), {})
        alike = json.dumps(run.config, sort_keys=True)
        of_task.setdefault((*_whose(run), run.protocol, alike), []).append(run)
    places = sorted(groups, key=lambda place: (place_among(place[0], SCALES), place[1]))
    return {place: list(groups[place].values()) for place in places}


def _whose(run: StoredRun) -> tuple[str, str]:
    return run.spec.algorithm, run.spec.variant


def _summaries(groups: Sequence[Sequence[StoredRun]]) -> list[str]:
    """Summaries of a task's groups; several of one variant are not comparable and say how they differ."""
    count = Counter(_whose(group[0]) for group in groups)
    return [_summary(group, count[_whose(group[0])] > 1) for group in groups]


def _summary(runs: Sequence[StoredRun], one_of_several: bool) -> str:
    """``"SAC 6820 ± 807 (4 seeds, 200k)"``: mean at the end or, before that, at the last common step."""
    spec = runs[0].spec
    name = title_of(spec.algorithm, spec.variant)
    if one_of_several:
        seeds = " ".join(str(run.spec.seed) for run in runs)
        name += f", seed{'s' if len(runs) > 1 else ''} {seeds} by {runs[0].protocol}:"
    # For an unknown scale, the furthest run defines the end.
    end = whole_length(spec) or max(run.last_step for run in runs)
    pooled = pool(runs, end)
    if (numbers := pooled.statistics) is None:
        return f"{name} failed ({seeds_counted(pooled.failed, None)})"
    own = sum(run.own for run in pooled.runs)
    about = [
        seeds_counted(numbers.seeds, None),
        *left_out(pooled.unfinished, pooled.failed),
        *([f"{own} own"] if own else []),
        steps_in_words(numbers.step),
    ]
    return f"{name} {mean_and_std(numbers.mean, numbers.std)} ({', '.join(about)})"


def _flow(entries: Iterable[str], width: int) -> str:
    """Entries in indented lines, wrapped between entries only."""
    joined = " · ".join(entry.replace(" ", _UNBROKEN) for entry in entries)
    lines = textwrap.fill(
        joined,
        width,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.replace(_UNBROKEN, " ")


def _print_coverage(exhibit: Exhibit, store: Store, scale: str, console: Console) -> None:
    found = coverage(exhibit, store, scale)
    text = f"{found.done} of {found.needed} runs stored"
    if isinstance(exhibit, CodeExhibit):
        text = "derived from the code alone, without runs"
    elif not found.needed:
        text = "has no panel at this scale"
    elif found.unmeasured:
        assert isinstance(exhibit, FigureExhibit)
        text += f"; {found.unmeasured} more lack {exhibit.beside_evaluations}"
    console.print(f"{exhibit.name} at {scale} scale: {text}", highlight=False, soft_wrap=True)


def nothing_stored(name: str, store: Store, shown: Collection[str]) -> list[str]:
    """One line for each scale at which an exhibit has nothing to show, with what it would take.

    Args:
        name: name of an exhibit; other names give no line.
        store: stored runs.
        shown: scales at which it shows something.
    """
    if name not in EXHIBITS:
        return []
    lines, exhibit = [], EXHIBITS[name]
    for scale in SHOWN_SCALES:
        if scale not in shown and (found := coverage(exhibit, store, scale)).needed:
            runs = sum(len(group.specs) for group in found.missing)
            steps = sum(group.steps for group in found.missing)
            lines.append(
                f"{name} at {scale} scale: {nothing_shown(exhibit, [found])}; "
                f"{runs} of its {found.needed} runs lack {steps:,} environment steps: "
                f"python -m reproduce plan {name} --scale {scale}"
            )
    return lines


def print_plan(
    exhibits: Sequence[Exhibit],
    missing: Sequence[Missing],
    store: Store,
    scale: str,
    console: Console,
    workers: int | None = None,
) -> None:
    """Print how much of exhibits is stored, and what is missing: steps, operations, hours, commands.

    Given a number of workers, also print the wall-clock time on that many cores, and on that many GPUs.
    """
    for exhibit in exhibits:
        _print_coverage(exhibit, store, scale, console)
    if not missing:
        return
    costs = Costs(store, scale)
    table = Table(title_justify="left")
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
    console.print(
        f"Together {sum(known):.1f} hours of one thread of this machine{rest}. Hours are those of stored "
        "runs on this kind of processor, else of the recorded benchmark's step on HalfCheetah, scaled by "
        "this machine's speed in matrix products; operations are of such a step. "
        f"GPU hours: the seeds of a row as one population. {GPU_BASIS}"
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
