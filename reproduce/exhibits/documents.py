"""Generation of the numbers in README.md and docs/ from results/: measured numbers are never typed."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from alm.training.files import write_text
from alm.variants import VARIANTS
from reproduce.exhibits import (
    EXHIBITS,
    TABLE1,
    CodeExhibit,
    findings,
    gallery,
    scaling,
    theory,
)
from reproduce.exhibits import performance as speed
from reproduce.exhibits.catalogue import command_of
from reproduce.exhibits.comparison import Comparison
from reproduce.exhibits.coverage import coverage
from reproduce.exhibits.kinds import SHOWN_SCALES
from reproduce.exhibits.pooling import pool
from reproduce.exhibits.practical_bound import bound_beside_returns
from reproduce.exhibits.statistics.significance import MeanDifference
from reproduce.exhibits.tidy import tidy_curves
from reproduce.exhibits.writing import markdown_grid
from reproduce.formats import left_out, mean_and_std, p_in_words, seeds_counted
from reproduce.lab.algorithms import ALGORITHMS, run_length
from reproduce.lab.published import FIELD, FIELD_TASKS, authors_curves, field_curves, field_scores
from reproduce.lab.specs import variant_in
from reproduce.lab.store import Store, StoredRun

_MEASURED: dict[str, dict[str, tuple[str, Callable[..., speed.Rows]]]] = {
    "performance.md": {
        "alm-update": ("alm_update", speed.alm_update),
        "where-time-goes": ("alm_update", speed.where_time_goes),
        "baseline-updates": ("baseline_updates", speed.baseline_updates),
        "libraries": ("libraries", speed.libraries),
        "environment-step": ("environment_step", speed.environment_step),
        "denormals": ("denormals", speed.denormals),
        "populations": ("populations", speed.populations),
        "population-gains": ("population_gains", speed.population_gains),
        "sizes": ("sizes", speed.sizes),
        "gpu": ("gpu", speed.gpu),
    },
    "reliability.md": {
        **{name: (f"torture_{name}", speed.torture) for name in ("kills", "damage", "lines")},
        "failures": ("failures", speed.failures),
    },
    "fidelity.md": {"references": ("references", speed.references)},
    "scaling.md": {"engines": ("engines", speed.engines)},
}
"""Blocks of pages in docs/ with the record of a benchmark and the part of it that they show."""


def documents(repository: Path) -> dict[Path, str]:
    """Every document with measured numbers, and the curves, regenerated from the store."""
    docs, clips = repository / "docs", repository / "results" / "gallery"
    benchmarks = repository / "benchmarks" / "results"
    store = Store(repository / "results" / "runs")
    table1 = findings.one_protocol(store)
    blocks = [
        *((repository / "README.md", *block) for block in table1.items()),
        (repository / "README.md", "gallery", gallery.strip(clips, repository)),
        (docs / "index.md", "gallery", gallery.strip(clips, docs)),
        (docs / "index.md", "wins", table1["wins"]),
        (docs / "policies.md", "cards", gallery.table(clips)),
        (docs / "fidelity" / "alm.md", "authors", _beside_the_authors(store)),
        (docs / "fidelity" / "model_free.md", "field", _beside_the_field(store)),
        (docs / "exhibits.md", "exhibits", _exhibits(store)),
        *((docs / "findings.md", *block) for block in table1.items()),
        (docs / "findings.md", "beside-alm", findings.beside_alm(store)),
        (docs / "algorithms" / "alm_variants.md", "runs", _runs_of_variants(store)),
        (docs / "performance.md", "precision", _bf16_beside_float32(store)),
        (docs / "theory.md", "practical", bound_beside_returns(store)),
    ]
    blocks += [(docs / "findings.md", *block) for block in findings.claims(store).items()]
    blocks += [
        (docs / "algorithms" / f"{page}.md", "runs", _runs_of(store, page) + _curves_of(repository, page))
        for page in dict.fromkeys(algorithm.page for algorithm in ALGORITHMS.values())
    ]
    blocks += [
        (docs / page, name, speed.block(benchmarks, *of))
        for page, measured in _MEASURED.items()
        for name, of in measured.items()
    ]
    blocks += [(docs / "scaling.md", *block) for block in scaling.blocks(benchmarks).items()]
    blocks += [
        (docs / "theory.md", *block) for block in theory.blocks(repository / "results" / "theory").items()
    ]
    texts: dict[Path, str] = {}
    for path, name, block in blocks:
        texts[path] = _with_block(texts.get(path, path.read_text()), name, block)
    texts[repository / "results" / "curves.csv"] = _curves(store)
    return texts


def refresh(repository: Path) -> list[Path]:
    """Update the documents from the store; returns those that changed."""
    changed = []
    for path, text in documents(repository).items():
        if not path.exists() or text != path.read_text():
            write_text(path, text)
            changed.append(path)
    return changed


def _curves(store: Store) -> str:
    """Every stored curve; in the repository the column of ownership is meaningless."""
    curves = tidy_curves(store).drop(columns="own")
    return str(curves.to_csv(index=False, lineterminator="\n", float_format="%.2f"))


def _with_block(text: str, name: str, block: str) -> str:
    """``text`` with the content between the marks of a block replaced."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"a document lacks the marks {begin} and {end}: put them where the numbers belong")
    return pattern.sub(lambda _: f"{begin}\n{block}\n{end}", text)


def _exhibits(store: Store) -> str:
    """Every exhibit with its command, content, and number of stored runs."""
    rows = []
    for exhibit in EXHIBITS.values():
        stored = [coverage(exhibit, store, scale).text for scale in SHOWN_SCALES]
        compared, on = "–", ["–"] * len(SHOWN_SCALES)
        if not isinstance(exhibit, CodeExhibit):
            compared = "; ".join(one.label for one in exhibit.series)
            on = [", ".join(exhibit.tasks_at(scale)) or "–" for scale in SHOWN_SCALES]
        rows.append([f"`{command_of(exhibit, make=True)}`", exhibit.title, compared, *on, *stored])
    by_scale = [f"{what}, `{scale}`" for what in ("tasks", "stored runs") for scale in SHOWN_SCALES]
    return markdown_grid(["", "shows", "compares", *by_scale], rows)


def _beside_the_authors(store: Store) -> str:
    """ALM at paper scale beside the authors' evaluations at the same training step, with a test of both.

    The first grid has one row per seed, the second one per step and precision that two or more seeds reached.
    """
    authors = authors_curves().set_index(["task", "training_step"])
    own: dict[tuple[str, str, int], list[tuple[int, float]]] = {}
    for precision, variant in (("float32", "base"), ("bf16", variant_in("base", "bf16"))):
        for run in store.runs(algorithm="alm", variant=variant, scale="paper"):
            steps, returns = run.evaluations["training_step"], run.evaluations["eval/return"]
            for step, value in zip(steps, returns, strict=True):
                if (run.spec.task, step) in authors.index:
                    own.setdefault((run.spec.task, precision, step), []).append((run.spec.seed, value))
    if not own:
        return "No run of this scale has reached an evaluation yet."
    seeds, tests = [], []
    for (task, precision, step), found in own.items():
        mean, std, count = authors.loc[(task, step), ["return_mean", "return_std", "seeds"]]
        where, theirs = [task, precision, f"{step:,}"], mean_and_std(mean, std)
        for seed, value in found:
            seeds.append([*where, f"{seed}", theirs, f"{value:.0f}", f"{(value - mean) / std:+.1f}"])
        if len(found) > 1:
            scores = np.array([value for _, value in found])
            test = MeanDifference.from_summary(scores, mean, std, int(count))
            low, high = test.interval
            p = p_in_words(test.p)
            here = f"{mean_and_std(scores.mean(), scores.std(ddof=1))} ({len(found)} seeds)"
            tests.append([*where, theirs, here, f"{test.value:+.0f} [{low:+.0f}, {high:+.0f}]", p])
    where = ["task", "precision", "training steps"]
    header = [*where, "seed", "authors, 5 seeds", "here", "in authors' deviations"]
    grids = [markdown_grid(header, sorted(seeds, key=lambda row: (row[0], row[1] != "float32", int(row[3]))))]
    if tests:
        grids.append(markdown_grid([*where, "authors, 5 seeds", "here", "difference", "p (Welch)"], tests))
    return "\n\n".join(grids)


def _beside_the_field(store: Store) -> str:
    """The baselines at paper scale, above the results of others."""
    rows = []
    for (algorithm, task), published in field_curves().groupby(["algorithm", "task"], sort=False):
        title = ALGORITHMS[algorithm].title
        stored = store.runs(algorithm=algorithm, variant="base", task=task, scale="paper")
        own = pool(stored, TABLE1.step("paper", task))
        if numbers := own.statistics:
            seeds = seeds_counted(numbers.seeds, None)
            where = f"here, {seeds}, mean over the last tenth of the steps"
            rows.append([title, task, f"{own.step:,}", f"{numbers.window_mean:.0f}", where])
            if algorithm in FIELD:
                returns, step = field_scores(algorithm, FIELD_TASKS[task], own.step)
                where = f"{len(returns)} seeds, from {min(returns):.0f} to {max(returns):.0f}, gym's v4 task"
                rows.append([title, task, f"{step:,}", f"{np.mean(returns):.0f}", where])
        for point in published.itertuples():
            who = "" if pd.isna(point.seeds) else f"{seeds_counted(point.seeds, None)}, "
            rows.append([title, task, f"{point.step:,}", f"{point.mean:.0f}", f"{who}{point.source}"])
    return markdown_grid(["", "task", "steps", "return", "who"], rows)


def _runs_of(store: Store, page: str) -> str:
    """Stored runs of a page's algorithms, with the command that made each group of seeds.

    ALM's variants have their own page.
    """
    rows = []
    for name, algorithm in ALGORITHMS.items():
        variant = "base" if name == "alm" else None
        stored = store.runs(algorithm=name, variant=variant) if algorithm.page == page else []
        for group in _groups(stored):
            commands = dict.fromkeys(f"`{run.provenance['command']}`" for run in group)
            which = group[0].spec.variant
            title = algorithm.title if which == "base" else f"{algorithm.title}, `{which}`"
            rows.append([title, *_group_in_words(group), " ".join(commands)])
    header = ["", "task", "scale", "seeds", "steps", "last return", "command"]
    return markdown_grid(header, rows) if rows else "No run is stored yet."


def _curves_of(repository: Path, page: str) -> str:
    """The drawn curves of a page's algorithms, by scale and family of tasks."""
    figures = (
        (f"curves-{page}{family}{'' if scale == 'paper' else f'-{scale}'}.png", scale, tasks)
        for scale in SHOWN_SCALES
        for family, tasks in (("", ""), ("-mbbl", " on tasks of Wang et al. (2019)"))
    )
    return "".join(
        f"\n\n![Stored runs{tasks}, {scale} scale](../../results/figures/{name})"
        for name, scale, tasks in figures
        if (repository / "results" / "figures" / name).exists()
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


def _bf16_beside_float32(store: Store) -> str:
    """Effect of bf16 on ALM's returns at laptop scale, task by task."""
    algorithm, scale = "alm", "laptop"
    variant = variant_in("base", "bf16")
    stored = store.runs(algorithm=algorithm, variant=variant, scale=scale)
    tasks = [run.spec.task for run in stored if run.status != "failed"]
    if not tasks:
        return "Not measured: no run in bf16 is stored at this scale."
    found = Comparison.of([f"{algorithm}/{variant}", algorithm], tasks, scale, "return", store)
    rows = [
        [
            task.task,
            f"{task.step:,}",
            *(f"{side.mean.text()}, {side.seeds}" for side in reversed(task.sides)),
            contrast.difference.text(sign="+"),
            contrast.improvement.text(2),
        ]
        for task in found.tasks
        for contrast in task.contrasts
    ]
    header = ["", "steps", "float32", "bf16", "bf16 − float32", "P(bf16 > float32)"]
    return f"{markdown_grid(header, rows)}\n\n{' '.join(found.notes())}"


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
    if (numbers := pooled.statistics) is None:
        return [spec.task, spec.scale, words, "–", "–"]
    return [spec.task, spec.scale, words, f"{numbers.step:,}", mean_and_std(numbers.mean, numbers.std)]
