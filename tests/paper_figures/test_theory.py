"""The theory's figures from rows of a short run."""

import numpy as np
import pandas as pd
import pytest

from alm.theory import demonstrations
from alm.theory.results import run
from paper_figures import theory


@pytest.fixture(scope="module")
def frames():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demonstrations, "STEPS", 1)
        return {name: pd.DataFrame(rows) for name, rows in run(0).exhibits.items()}


def test_medians_are_drawn_over_k(frames):
    rows = frames["theory-bound-over-k"]
    figure = theory.bound_over_k(rows)
    first = rows[(rows["model"] == "fitted") & (rows["discount"] == 0.5) & (rows["bound"] == "Eq. 5")]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), first["median gap"])
    assert len(figure.axes) == rows["discount"].nunique() * rows["model"].nunique()


def test_every_mdp_is_a_point(frames):
    rows = frames["theory-tighter-bound"]
    drawn = theory.tighter_bound(rows).axes[0].lines[1:]
    assert sum(len(line.get_xdata()) for line in drawn) == len(rows)
    rows = frames["theory-joint"]
    points = [line for axis in theory.joint(rows).axes for line in axis.lines if line.get_marker() == "."]
    assert sum(len(line.get_xdata()) for line in points) == len(rows)


def test_distributions_reach_all_mdps(frames):
    for figure in (
        theory.gap_a5(frames["theory-gap-a5"]),
        theory.optimism(frames["theory-optimism"], frames["theory-lottery"]),
    ):
        lines = [line for line in figure.axes[0].lines if line.get_drawstyle() == "steps-post"]
        assert lines
        assert all(line.get_ydata()[-1] == 1 for line in lines)


def test_printed_offline_bound_lies_above_what_it_bounds(frames):
    for axis in theory.offline(frames["theory-a7"]).axes:
        black, printed = axis.lines[0], axis.lines[1]
        assert printed.get_ydata()[0] > black.get_ydata()[0]
