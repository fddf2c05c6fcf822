"""Bias of a run's value estimates over training, from its stored value samples."""

import numpy as np
import pandas as pd

from alm.training.bias import DEFINITIONS
from reproduce.exhibits.kinds import BiasDefinition

COLUMNS = ("step", "bias_mean", "bias_std")


def bias_by_step(samples: pd.DataFrame | None, estimate: str, definition: BiasDefinition) -> pd.DataFrame:
    """Mean and standard deviation of one estimate's bias over the pairs of each measurement.

    Args:
        samples: a run's value samples (`reproduce.lab.store.Store.values`); None if none are stored.
        estimate: name of the estimate, such as ``"min_q"``.
        definition: definition of the bias of a sample.

    Returns:
        One row per measurement: ``step`` (environment steps), ``bias_mean`` and ``bias_std``; no rows if the
        estimate was not measured.
    """
    if samples is None or estimate not in samples:
        return pd.DataFrame(columns=COLUMNS)
    rows = []
    for step, group in samples.groupby("step"):
        pairs = (group[name].to_numpy(np.float64) for name in (estimate, "monte_carlo"))
        rows.append((step, *DEFINITIONS[definition](*pairs)))
    return pd.DataFrame(rows, columns=COLUMNS)
