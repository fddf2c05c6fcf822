"""Learning curves as tidy frames, stored (results/curves.csv, `reproduce.load_curves`) and published."""

from collections.abc import Sequence
from typing import Unpack

import pandas as pd

from alm.errors import UserError
from alm.names import nearest
from reproduce.lab.published import FIELD, authors_curves, field_runs
from reproduce.lab.specs import RunFields
from reproduce.lab.store import Store

COLUMNS = ("algorithm", "variant", "task", "scale", "seed", "step", "return", "status", "own")
"""Columns of stored curves: the run's specification, environment steps including warm-up, mean return of the
evaluation's episodes, status of the run, and whether it is the user's own."""

PUBLISHED_COLUMNS = ("source", "algorithm", "task", "seed", "step", "return", "return_std", "seeds")
"""Columns of published curves: whose they are, method, task, seed (missing in a mean over seeds), environment
steps, return, its standard deviation over seeds (NaN for one seed), and the number of seeds."""


def tidy_curves(store: Store, columns: Sequence[str] = (), **wanted: Unpack[RunFields]) -> pd.DataFrame:
    """One row per evaluation of the runs with the wanted values, sorted by run and step.

    Args:
        store: stored runs.
        columns: further columns of the stored evaluations; NaN where a run lacks one.
        **wanted: fields of the runs.

    Raises:
        UserError: no run with the wanted values has a column of that name.
    """
    runs = store.runs(**wanted)
    further = [name for name in dict.fromkeys(columns) if name not in COLUMNS]
    known = sorted({name for run in runs for name in run.evaluations})
    for name in further:
        if runs and name not in known:
            raise UserError(
                f"No run of those chosen has a column {name!r}{nearest(name, known)}; the columns are "
                f"{', '.join(known)}."
            )
    frames = [
        run.evaluations.reindex(columns=["step", *further]).assign(
            **run.spec.to_dict(),
            status=run.status,
            own=run.own,
            **{"return": run.evaluations["eval/return"]},
        )
        for run in runs
    ]
    names = [*COLUMNS, *further]
    return pd.concat(frames, ignore_index=True)[names] if frames else pd.DataFrame(columns=names)


def published_curves() -> pd.DataFrame:
    """ALM's curves as its authors released them, and those of other methods on gym's v4 tasks, by seed."""
    authors = authors_curves().rename(columns={"return_mean": "return"})
    authors = authors.assign(source="authors", algorithm="ALM(3)")
    field = field_runs()
    field = field.assign(
        source="field", algorithm=field["method"].map(FIELD), task=field["task"] + "-v4", seeds=1
    )
    curves = pd.concat([authors, field], ignore_index=True)[list(PUBLISHED_COLUMNS)]
    return curves.astype({"seed": "Int64"})
