"""Slow: ALM learns to run (half an hour on one idle thread)."""

import numpy as np
import pytest

from alm.agent import ALM
from alm.config import ALMConfig
from alm.task_registry import task_spec
from alm.training.scale import scale_named
from runs import evaluations, trainer


@pytest.mark.slow
def test_alm_learns_halfcheetah_at_laptop_scale(tmp_path):
    """One of two seeds ends well above 0, where a policy that does not learn stays.

    All five stored runs end above 2500.
    """
    scale, task = scale_named("laptop"), "HalfCheetah"
    agent = ALM(task_spec(task), ALMConfig.at(scale, task), (0, 1))
    run = trainer(tmp_path, (0, 1), task=task, config=scale.training(task), agent=agent)
    run.run()
    last = [[returns for _, returns in evaluations(directory)[-3:]] for directory in run.directories]
    assert np.mean(last, axis=(1, 2)).max() > 500
