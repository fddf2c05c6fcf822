"""Runs at paper scale beside others: the authors' ALM; published SAC, TD3 and MBPO; SAC of a library."""

from pathlib import Path

import numpy as np
import pandas as pd

from reproduce.exhibits.documents import Blocks
from reproduce.exhibits.documents.benchmarks import NOT_MEASURED
from reproduce.exhibits.kinds import READ_OUT
from reproduce.exhibits.pooling import pool, sample_std
from reproduce.exhibits.statistics.intervals import FloatArray
from reproduce.exhibits.statistics.significance import MeanDifference, Summary
from reproduce.exhibits.writing import markdown_grid
from reproduce.formats import mean_and_std, p_in_words, seeds_counted
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.costs import benchmark_record
from reproduce.lab.curves import Curve, value_at, window_mean
from reproduce.lab.published import FIELD_TASKS, authors_curves, field_curves, field_scores
from reproduce.lab.specs import variant_in
from reproduce.lab.store import Store


def blocks(store: Store, records: Path) -> Blocks:
    """Parts of the pages on fidelity, from runs and from the records of `benchmarks.independent`."""
    return {
        ("docs/fidelity/alm.md", "authors"): _beside_the_authors(store),
        ("docs/fidelity/model_free.md", "field"): _beside_the_field(store),
        ("docs/fidelity/model_free.md", "independent"): _beside_another_library(store, records),
    }


def _beside_the_authors(store: Store) -> str:
    """ALM at paper scale beside the authors' evaluations at the same training step, with a test of both.

    The first grid has one row per seed, the second one per step and precision that two or more seeds reached.
    """
    authors = authors_curves().set_index(["task", "training_step"])
    evaluated: dict[tuple[str, str, int], list[tuple[int, float]]] = {}
    for precision, variant in (("float32", "base"), ("bf16", variant_in("base", "bf16"))):
        for run in store.runs(algorithm="alm", variant=variant, scale="paper"):
            steps, returns = run.evaluations["training_step"], run.evaluations["eval/return"]
            for step, value in zip(steps, returns, strict=True):
                if (run.spec.task, step) in authors.index:
                    evaluated.setdefault((run.spec.task, precision, step), []).append((run.spec.seed, value))
    if not evaluated:
        return "No run of this scale has reached an evaluation yet."
    seeds, tests = [], []
    for (task, precision, step), found in evaluated.items():
        mean, std, count = authors.loc[(task, step), ["return_mean", "return_std", "seeds"]]
        where, theirs = [task, precision, f"{step:,}"], mean_and_std(mean, std)
        for seed, value in found:
            seeds.append([*where, f"{seed}", theirs, f"{value:.0f}", f"{(value - mean) / std:+.1f}"])
        if len(found) > 1:
            scores = np.array([value for _, value in found])
            own = Summary(float(scores.mean()), float(scores.std(ddof=1)), len(scores))
            test = MeanDifference.of_summaries(own, Summary(mean, std, int(count)))
            here = f"{mean_and_std(own.mean, own.std)} ({own.seeds} seeds)"
            tests.append([*where, theirs, here, test.text, p_in_words(test.p)])
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
        own = pool(stored, READ_OUT)
        if own.runs:
            seeds = seeds_counted(len(own.runs), None)
            where = f"here, {seeds}, mean over the last tenth of the steps"
            rows.append([title, task, f"{own.step:,}", f"{own.window_mean:.0f}", where])
            returns, step = field_scores(algorithm, FIELD_TASKS[task], own.step)
            if returns:
                where = f"{len(returns)} seeds, from {min(returns):.0f} to {max(returns):.0f}, gym's v4 task"
                rows.append([title, task, f"{step:,}", f"{np.mean(returns):.0f}", where])
        for point in published.itertuples():
            who = "" if pd.isna(point.seeds) else f"{seeds_counted(point.seeds, None)}, "
            rows.append([title, task, f"{point.step:,}", f"{point.mean:.0f}", f"{who}{point.source}"])
    return markdown_grid(["", "task", "steps", "return", "who"], rows)


def _beside_another_library(store: Store, records: Path) -> str:
    """SAC here and of another library on the same task, up to the step that all of its seeds have reached."""
    rows = []
    for path in sorted(records.glob("independent_*.json")):
        record = benchmark_record(path)
        task, seeds = record["task"], record["results"].values()
        theirs = [Curve(*(np.array(column) for column in zip(*points, strict=True))) for points in seeds]
        step = min(curve.last_step for curve in theirs)
        own = pool(store.runs(algorithm="sac", variant="base", task=task, scale="paper"), step)
        if not own.complete:
            continue
        library = record["library"].replace("==", " ")
        for name, read in (("last evaluation", value_at), ("mean over the last tenth", window_mean)):
            x, y = own.each(read), np.array([read(curve, step) for curve in theirs])
            cells = [f"{mean_and_std(side.mean(), sample_std(side))} ({_each(side)})" for side in (x, y)]
            p = p_in_words(MeanDifference.between(x, y).p) if min(len(x), len(y)) > 1 else "–"
            rows.append([task, f"{step:,}", library, name, *cells, p])
    if not rows:
        return NOT_MEASURED
    header = ["task", "steps", "library", "return", "SAC, here", "SAC, the library's", "p (Welch)"]
    return markdown_grid(header, rows)


def _each(values: FloatArray) -> str:
    return ", ".join(f"{value:.0f}" for value in values)
