"""All stored learning curves as one tidy frame: results/curves.csv, and `reproduce.load_curves`."""

from typing import Unpack

import pandas as pd

from reproduce.lab.specs import RunFields
from reproduce.lab.store import Store

COLUMNS = ("algorithm", "variant", "task", "scale", "seed", "step", "return", "status", "own")
"""Columns of the frame: the run's specification, environment steps including warm-up, mean return of the
evaluation's episodes, status of the run, and whether it is the user's own."""


def tidy_curves(store: Store, **wanted: Unpack[RunFields]) -> pd.DataFrame:
    """One row per evaluation of the runs with the wanted values, sorted by run and step."""
    frames = [
        run.evaluations[["step"]].assign(
            **run.spec.to_dict(),
            status=run.status,
            own=run.own,
            **{"return": run.evaluations["eval/return"]},
        )
        for run in store.runs(**wanted)
    ]
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)] if frames else pd.DataFrame(columns=COLUMNS)
