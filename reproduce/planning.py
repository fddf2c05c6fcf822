"""What an exhibit still misses, the commands that would train it, and what they would cost."""

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from reproduce.algorithms import ALGORITHMS, run_length
from reproduce.exhibits import Exhibit
from reproduce.specs import RunSpec
from reproduce.store import Store, StoredRun


def training_seconds(run: StoredRun) -> pd.Series:
    """Seconds that one seed had trained at each evaluation, evaluations left out.

    The time of a population is divided by its size; NaN where that is not known.
    """
    seconds = run.evaluations["wall_seconds"] - run.evaluations["time/evaluation_s"].cumsum()
    return seconds / run.provenance.get("population", np.nan)


def seconds_per_step(store: Store, algorithm: str, scale: str) -> float:
    """Training seconds for each environment step of one seed: the mean of stored runs, NaN without any."""
    rates = [
        training_seconds(run).iloc[-1] / run.last_step for run in store.runs(algorithm=algorithm, scale=scale)
    ]
    known = [rate for rate in rates if not np.isnan(rate)]
    return float(np.mean(known)) if known else float("nan")


def missing_runs(exhibit: Exhibit, store: Store, scale: str) -> list[RunSpec]:
    """The runs of a scale that the exhibit needs and the store does not hold to the end."""
    done = {run.spec for run in store.runs(scale=scale) if run.status == "done"}
    return [spec for spec in exhibit.needs(scale) if spec not in done]


def print_plan(exhibit: Exhibit, store: Store, scale: str, console: Console) -> None:
    """Print what is stored and missing of an exhibit, with estimated hours and commands."""
    needs, missing = exhibit.needs(scale), missing_runs(exhibit, store, scale)
    console.print(f"{exhibit.name} at {scale} scale: {len(needs) - len(missing)} of {len(needs)} runs stored")
    if not missing:
        return
    reached = {run.spec: run.last_step for run in store.runs(scale=scale)}
    table = Table("missing", "seeds", "steps to go", "estimated hours", title_justify="left")
    commands, total, unknown = [], 0.0, False
    for group in dict.fromkeys((spec.algorithm, spec.variant, spec.task) for spec in missing):
        specs = [spec for spec in missing if (spec.algorithm, spec.variant, spec.task) == group]
        algorithm, variant, task = group
        steps = sum(run_length(spec) - reached.get(spec, 0) for spec in specs)
        hours = steps * seconds_per_step(store, algorithm, scale) / 3600.0
        seeds = " ".join(str(spec.seed) for spec in specs)
        name = ALGORITHMS[algorithm].title + (f" {variant}" if variant != "base" else "")
        table.add_row(f"{name} on {task}", seeds, f"{steps:,}", "?" if np.isnan(hours) else f"{hours:.1f}")
        total, unknown = total + np.nan_to_num(hours), unknown or bool(np.isnan(hours))
        command = f"python -m reproduce train --algorithm {algorithm}"
        command += f" --variant {variant}" if variant != "base" else ""
        commands.append(f"{command} --task {task} --scale {scale} --seeds {seeds}")
    console.print(table)
    sum_of_known = f"{total:.1f} hours of one thread" + (" and what has no estimate yet" if unknown else "")
    console.print(f"Together {sum_of_known}, by the speed of the stored runs, seed by seed.")
    for command in commands:
        console.print(f"  {command}", highlight=False, soft_wrap=True)
