"""The bias of a run by step, one number for figures and claims."""

import numpy as np
import pandas as pd
import pytest

from alm.training.bias import DEFINITIONS
from reproduce.exhibits.bias import bias_by_step
from reproduce.exhibits.documents.theory import bound_beside_returns
from reproduce.lab.store import Store, StoreWarning


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_row_a_measurement(definition):
    samples = pd.DataFrame(
        {
            "step": [6000] * 2 + [5000] * 3,
            "monte_carlo": np.float32([30, 50, 20, 40, 60]),
            "min_q": np.float32([33, 50, 20, 20, 20]),
        }
    )
    found = bias_by_step(samples, "min_q", definition)
    assert found["step"].tolist() == [5000, 6000]
    first = DEFINITIONS[definition](np.array([20.0, 20.0, 20.0]), np.array([20.0, 40.0, 60.0]))
    assert tuple(found.loc[0, ["bias_mean", "bias_std"]]) == pytest.approx(first)


def test_what_was_not_measured_has_no_row():
    samples = pd.DataFrame({"step": [5000], "monte_carlo": [1.0], "min_q": [2.0]})
    for found in (bias_by_step(None, "min_q", "redq"), bias_by_step(samples, "mean_q", "redq")):
        assert found.empty and list(found) == ["step", "bias_mean", "bias_std"]


def test_a_value_file_without_the_bound_is_named_and_left_out(tmp_path, make_run):
    store, estimates = Store(tmp_path), ["min_q", "lower_bound"]
    for seed, held in enumerate((estimates, estimates[:1])):
        run = make_run({5000: 1.0}, seed=seed)
        store.write(run)
        columns = {
            "step": [5000] * 2,
            "episode": [0] * 2,
            "episode_step": [0, 1],
            "monte_carlo": [30.0, 50.0],
        }
        store.write_values(run, pd.DataFrame(columns | {name: [20.0, 60.0] for name in held}))
    place = r"seed-1\.values\.parquet"
    with pytest.warns(
        StoreWarning, match=rf"{place} is left out \(.* lacks the columns lower_bound\); replace it"
    ):
        text = bound_beside_returns(store)
    assert "| ALM(3) | HalfCheetah | paper | 1 | 40 | 40 | 40 | 50% |" in text
