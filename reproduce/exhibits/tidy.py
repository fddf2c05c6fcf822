"""All stored learning curves as one tidy frame: results/curves.csv, and `reproduce.load_curves`."""

import pandas as pd

from reproduce.lab.store import Store

COLUMNS = ("algorithm", "variant", "task", "scale", "seed", "step", "return", "status", "own")
"""Columns of the frame: the run's specification, environment steps including warm-up, mean return of the
evaluation's episodes, status of the run, and whether it is the user's own."""


def tidy_curves(
    store: Store,
    algorithm: str | None = None,
    variant: str | None = None,
    task: str | None = None,
    scale: str | None = None,
) -> pd.DataFrame:
    """One row per evaluation, sorted by run and step; arguments that are not None select runs."""
    frames = [
        run.evaluations[["step"]].assign(
            **run.spec.to_dict(),
            status=run.status,
            own=run.own,
            **{"return": run.evaluations["eval/return"]},
        )
        for run in store.runs(algorithm=algorithm, variant=variant, task=task, scale=scale)
    ]
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)] if frames else pd.DataFrame(columns=COLUMNS)
