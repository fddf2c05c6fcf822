"""Slow: ALM learns to run (a quarter of an hour on one idle thread)."""

import numpy as np
import pytest

from alm.agent import ALM
from alm.config import ALMConfig
from alm.tasks import task_spec
from alm.training.scale import scale_named
from runs import evaluations, trainer


@pytest.mark.slow
def test_alm_learns_halfcheetah_at_laptop_scale(tmp_path):
    """A policy that does not learn stays below 0 here; the stored runs end near 1000."""
    scale, task = scale_named("laptop"), "HalfCheetah"
    agent = ALM(task_spec(task), ALMConfig.at(scale, task), (7,))
    run = trainer(tmp_path, (7,), task=task, config=scale.training(task), agent=agent)
    run.run()
    last = [np.mean(returns) for _, returns in evaluations(run.directories[0])[-3:]]
    assert np.mean(last) > 500
