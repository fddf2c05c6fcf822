"""Lists of stored runs: all of them, with their curves on the pages of algorithms, and by exhibit."""

import re
from collections.abc import Sequence
from pathlib import Path

from alm.names import place_among
from alm.task_registry import TASKS
from alm.variants import VARIANTS
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.coverage import coverage
from reproduce.exhibits.documents import Blocks
from reproduce.exhibits.kinds import SHOWN_SCALES
from reproduce.exhibits.pooling import pool
from reproduce.exhibits.writing import markdown_grid
from reproduce.formats import left_out, mean_and_std, seeds_named, steps_in_words
from reproduce.lab.algorithms import ALGORITHMS, run_length, run_length_if_known, title_of
from reproduce.lab.specs import RunSpec, variant_parts
from reproduce.lab.store import Store, StoredRun


def blocks(store: Store, figures: Path) -> Blocks:
    """Runs of every page's algorithms with curves in ``figures``, of ALM's variants, and of every exhibit."""
    pages = dict.fromkeys(algorithm.page for algorithm in ALGORITHMS.values())
    return {
        ("docs/runs.md", "stored"): _all_runs(store),
        ("docs/exhibits.md", "exhibits"): _runs_of_exhibits(store),
        ("docs/algorithms/alm_variants.md", "runs"): _runs_of_variants(store),
        **{
            (f"docs/algorithms/{page}.md", "runs"): _runs_of(store, page) + _curves_of(figures, page)
            for page in pages
        },
    }


def _all_runs(store: Store) -> str:
    """Number of stored seeds by method and task, and how far they got."""
    runs = [run for run in store.runs() if run.status != "failed"]
    groups = sorted(_groups(runs), key=lambda group: _place_of_method(group[0].spec))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for group in groups:
        spec, reached = group[0].spec, sorted(run.last_step for run in group)
        steps = " to ".join(dict.fromkeys(steps_in_words(step) for step in (reached[0], reached[-1])))
        row = cells.setdefault((title_of(spec.algorithm, spec.variant), spec.scale), {})
        row[spec.task] = f"{len(group)} ({steps})"
    tasks = {task for row in cells.values() for task in row}
    ordered = sorted(tasks, key=lambda task: (place_among(task, TASKS), task))
    rows = [[*method, *(row.get(task, "") for task in ordered)] for method, row in cells.items()]
    return markdown_grid(["", "scale", *ordered], rows) if rows else "No run is stored yet."


def _place_of_method(spec: RunSpec) -> tuple[bool, int, int, str]:
    """Order of methods: runs at paper scale first, algorithms and variants as the suite lists them."""
    variant = place_among(variant_parts(spec.variant)[0], ["base", *VARIANTS])
    return spec.scale != "paper", place_among(spec.algorithm, ALGORITHMS), variant, spec.variant


def _runs_of(store: Store, page: str) -> str:
    """Stored runs of a page's algorithms, with the command that made each group of seeds.

    ALM's variants have their own page.
    """
    rows = []
    for name, algorithm in ALGORITHMS.items():
        variant = "base" if name == "alm" else None
        stored = store.runs(algorithm=name, variant=variant) if algorithm.page == page else []
        for group in _groups(stored):
            which = group[0].spec.variant
            title = algorithm.title if which == "base" else f"{algorithm.title}, `{which}`"
            rows.append([title, *_group_in_words(group), _commands(group)])
    header = ["", "task", "scale", "seeds", "steps", "last return", "command"]
    return markdown_grid(header, rows) if rows else "No run is stored yet."


def _commands(group: Sequence[StoredRun]) -> str:
    """The commands that trained a group of seeds, each with its seeds if there are several."""
    trained: dict[str, list[int]] = {}
    for run in group:
        trained.setdefault(_command(run), []).append(run.spec.seed)
    if len(trained) == 1:
        return next(iter(trained))
    return "; ".join(f"{seeds_named(seeds)}: {command}" for command, seeds in trained.items())


def _command(run: StoredRun) -> str:
    """The command that trained a run, and where it ended if it was stopped before the command's end."""
    command = run.provenance["command"]
    until = re.search(r"--until[ =](\d+)", command)
    end = int(until[1]) if until else run_length_if_known(run.spec)
    if run.status != "partial" or end is None or run.last_step >= end:
        return f"`{command}`"
    instead = f" instead of {end}" if until else ""
    return f"`{command}` (stopped: `--until {run.last_step}`{instead})"


def _curves_of(figures: Path, page: str) -> str:
    """The drawn curves of a page's algorithms, by scale and family of tasks."""
    names = (
        (f"curves-{page}{family}{'' if scale == 'paper' else f'-{scale}'}.png", scale, tasks)
        for scale in SHOWN_SCALES
        for family, tasks in (("", ""), ("-mbbl", " on tasks of Wang et al. (2019)"))
    )
    return "".join(
        f"\n\n![Stored runs{tasks}, {scale} scale](../../results/figures/{name})"
        for name, scale, tasks in names
        if (figures / name).exists()
    )


def _runs_of_variants(store: Store) -> str:
    """Stored runs of ALM and its variants, task by task, ALM first."""
    groups = [g for name in ("base", *VARIANTS) for g in _groups(store.runs(algorithm="alm", variant=name))]

    def place(group: Sequence[StoredRun]) -> tuple[str, str]:
        return group[0].spec.task, group[0].spec.scale

    varied = {place(group) for group in groups if group[0].spec.variant != "base"}
    rows = []
    for group in sorted((group for group in groups if place(group) in varied), key=place):
        name = group[0].spec.variant
        rows.append(["ALM(3)" if name == "base" else f"`{name}`", *_group_in_words(group)])
    header = ["", "task", "scale", "seeds", "steps", "last return"]
    return markdown_grid(header, rows) if rows else "No run is stored yet."


def _runs_of_exhibits(store: Store) -> str:
    """Every exhibit with its command, content, and number of stored runs."""
    rows = []
    for exhibit in EXHIBITS.values():
        stored = [coverage(exhibit, store, scale).text for scale in SHOWN_SCALES]
        compared = "; ".join(one.label for one in exhibit.series) or "–"
        on = [", ".join(exhibit.tasks_at(scale)) or "–" for scale in SHOWN_SCALES]
        rows.append([f"`make {exhibit.name}`", exhibit.title, compared, *on, *stored])
    by_scale = [f"{what}, `{scale}`" for what in ("tasks", "stored runs") for scale in SHOWN_SCALES]
    return markdown_grid(["", "shows", "compares", *by_scale], rows)


def _groups(runs: Sequence[StoredRun]) -> list[list[StoredRun]]:
    """The seeds of each cell."""
    groups: dict[tuple[str, ...], list[StoredRun]] = {}
    for run in runs:
        groups.setdefault(run.spec.cell, []).append(run)
    return list(groups.values())


def _group_in_words(group: Sequence[StoredRun]) -> list[str]:
    """Task, scale, number of seeds that count, the step at which they are read, and their return there."""
    spec = group[0].spec
    pooled = pool(group, run_length(spec))
    seeds = ", ".join(str(run.spec.seed) for run in pooled.runs)
    words = "; ".join(filter(None, (seeds, ", ".join(left_out(pooled.unfinished, pooled.failed)))))
    if not pooled.runs:
        return [spec.task, spec.scale, words, "–", "–"]
    return [spec.task, spec.scale, words, f"{pooled.evaluated:,}", mean_and_std(pooled.mean, pooled.std)]
