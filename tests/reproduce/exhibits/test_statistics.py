"""The numbers of a cell, against values worked out by hand."""

import math

import numpy as np
import pytest

from reproduce.exhibits.pooling import pool, sample_std
from reproduce.lab.curves import Curve, common_steps, mean_over_steps, value_at, window_mean


def curve(points):
    return Curve(np.array(list(points)), np.array(list(points.values()), dtype=float))


def test_sample_std_divides_by_n_minus_one():
    assert sample_std([2, 4, 4, 4, 5, 5, 7, 9]) == pytest.approx(math.sqrt(32 / 7))
    assert math.isnan(sample_std([3.0]))


def test_value_at_takes_the_last_evaluation_that_is_not_later():
    points = curve({5000: 1, 10_000: 2, 15_000: 3})
    assert [value_at(points, step) for step in (5000, 9999, 10_000, 99_999)] == [1, 1, 2, 3]
    with pytest.raises(ValueError, match="4999"):
        value_at(points, 4999)


def test_the_area_under_a_curve_is_between_its_first_evaluation_and_the_step():
    """Trapezoids: 5000 steps of 1 to 3, 10,000 of 3 to 9; what comes later does not count."""
    points = curve({5000: 1, 10_000: 3, 20_000: 9, 25_000: 99})
    assert mean_over_steps(points, 20_000) == pytest.approx((5 * 2 + 10 * 6) / 15)
    assert mean_over_steps(points, 24_999) == mean_over_steps(points, 20_000)
    assert mean_over_steps(points, 5000) == 1.0
    # It may begin later, also between evaluations (at 15,000 steps the curve is at 6), but not before.
    assert mean_over_steps(points, 20_000, 10_000) == 6.0
    assert mean_over_steps(points, 20_000, 15_000) == 7.5
    assert mean_over_steps(points, 20_000, 1000) == mean_over_steps(points, 20_000)
    with pytest.raises(ValueError, match="4999"):
        mean_over_steps(points, 4999)


def test_window_is_open_below_and_closed_above():
    points = curve({180_000: 100, 185_000: 1, 190_000: 2, 195_000: 3, 200_000: 6, 205_000: 100})
    assert window_mean(points, 200_000) == 3
    assert math.isnan(window_mean(points, 150_000))


def cell(make_run, *seeds):
    return pool([make_run(one, seed=seed) for seed, one in enumerate(seeds)], 100)


def test_cell_over_seeds(make_run):
    found = cell(make_run, {90: 0, 95: 10, 100: 20}, {90: 9, 95: 30, 100: 24})
    assert (found.mean, len(found.runs), found.evaluated) == (22, 2, 100)
    assert found.std == pytest.approx(math.sqrt(8))
    assert found.window_mean == (15 + 27) / 2
    assert found.window_std == pytest.approx(math.sqrt(72))


def test_cell_of_one_seed_has_no_deviation(make_run):
    found = cell(make_run, {100: 5})
    assert found.mean == 5
    assert math.isnan(found.std)
    assert math.isnan(found.window_std)


def test_cell_names_the_step_that_was_really_read(make_run):
    assert cell(make_run, {100: 5}, {95: 5, 105: 9}).evaluated == 95


def test_common_steps_end_where_the_first_curve_does():
    curves = [curve({100: 1, 200: 2, 300: 3, 400: 4}), curve({200: 5, 300: 6, 350: 7})]
    assert common_steps(curves).tolist() == [200, 300]
    for nothing in ([], [curve({100: 1}), curve({150: 1})]):
        assert not len(common_steps(nothing))


@pytest.mark.parametrize(
    ("steps", "values"), [([], []), ([1, 2], [1.0]), ([2, 1], [1.0, 2.0]), ([1, 1], [1.0, 2.0])]
)
def test_curves_out_of_shape_are_refused(steps, values):
    with pytest.raises(ValueError, match="as many values as steps|must increase"):
        Curve(np.array(steps), np.array(values))
