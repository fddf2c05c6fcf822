"""The inventory: stored runs, runs in training that are ahead of them, and how complete exhibits are."""

import json
import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Unpack

from rich.console import Console

from alm.names import place_among
from alm.training.scale import SCALES
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.coverage import coverage
from reproduce.exhibits.kinds import SHOWN_SCALES
from reproduce.exhibits.pooling import pool
from reproduce.formats import left_out, mean_and_std, seeds_counted, seeds_named, steps_in_words
from reproduce.lab.algorithms import run_length_if_known, title_of
from reproduce.lab.run_directories import directories_under
from reproduce.lab.specs import RunFields
from reproduce.lab.store import Store, StoredRun

_UNBROKEN = "\u00a0"


def print_inventory(
    store: Store, runs_dir: Path, console: Console, every: bool = False, **wanted: Unpack[RunFields]
) -> None:
    """Print stored runs, run directories that are ahead of the store, and how complete exhibits are.

    Where only some runs are wanted, exhibits are left out.

    Args:
        store: stored runs.
        runs_dir: directory of runs in training.
        console: where to print.
        every: print one line per run instead of one per task.
        wanted: fields of the runs.
    """
    stored = store.runs(**wanted)
    some = any(value is not None for value in wanted.values())
    own = sum(run.own for run in stored)
    whose = f", {own} of them your own" if own else ""
    say = partial(console.print, highlight=False, soft_wrap=True)
    count = f"{len(stored)} stored run{'s' if len(stored) > 1 else ''}"
    say(f"{count}{whose}." if stored else f"No {'such ' if some else ''}run is stored yet.")
    if every:
        for run in sorted(stored, key=_place):
            say(_line(run))
    elif stored:
        say("Mean return (seeds, steps that all of them have reached); for each run: --all")
        for (scale, task), groups in _by_task(stored).items():
            say(f"\n{scale} scale, {task}\n{_flow(_summaries(groups), console.width)}")

    held = {run.spec: run.last_step for run in stored}
    for spec, directory in directories_under(runs_dir, **wanted).items():
        steps = directory.checkpoints.steps()
        if spec.scale != "smoke" and held.get(spec, -1) < (steps[0] if steps else 0):
            place = f"checkpoint at step {steps[0]:,}" if steps else "no checkpoint yet"
            say(f"In {runs_dir}: {spec.label}, {directory.status}, {place}")

    if some:
        return
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
    hours, length = run.seed_hours, run_length_if_known(run.spec)
    parts = (
        "your own" if run.own else "",
        f"{run.last_step:,}{f' of {length:,}' if length else ''} steps",
        f"return {run.final['final/return']:.0f}" if "final/return" in run.final else "",
        "" if math.isnan(hours) else f"{hours:.2f} hours a seed",
        run.protocol,
        run.code,
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
        name += f", {seeds_named([run.spec.seed for run in runs])} by {runs[0].protocol}:"
    # For an unknown scale, the furthest run defines the end.
    end = run_length_if_known(spec) or max(run.last_step for run in runs)
    pooled = pool(runs, end)
    if not pooled.runs:
        return f"{name} failed ({seeds_counted(pooled.failed, None)})"
    own = sum(run.own for run in pooled.runs)
    about = [
        seeds_counted(len(pooled.runs), None),
        *left_out(pooled.unfinished, pooled.failed),
        *([f"{own} own"] if own else []),
        steps_in_words(pooled.evaluated),
    ]
    return f"{name} {mean_and_std(pooled.mean, pooled.std)} ({', '.join(about)})"


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
