"""Tests of differences, their power and corrections against tables, scipy, numbers by hand, simulations."""

import math

import numpy as np
import pytest

from reproduce.exhibits.statistics.significance import (
    MeanDifference,
    Summary,
    deviations,
    holm,
    partial_conjunction,
)

X, Y = np.array([1.0, 2.0, 4.0]), np.array([0.0, 5.0, 5.0, 9.0, 2.0])


def with_unit_variance(count):
    scores = np.arange(count, dtype=float)
    return scores / scores.std(ddof=1)


def test_p_values_are_scipys():
    """Frozen from scipy 1.17: ``ttest_ind(X, Y, equal_var=False)`` and its interval, ``ttest_1samp``."""
    found = MeanDifference.between(X, Y)
    summary = MeanDifference.of_summaries(*(Summary(one.mean(), one.std(ddof=1), len(one)) for one in (X, Y)))
    assert (summary.value, summary.error, summary.degrees) == pytest.approx(
        (found.value, found.error, found.degrees)
    )
    assert found.interval == pytest.approx((-6.220602677675995, 2.487269344342661))
    assert (found.p_above, found.p_below) == pytest.approx((0.8338222734192955, 0.16617772658070445))
    assert found.degrees == pytest.approx(5.815913470807181)
    assert MeanDifference.between(np.array([25.0, 49.0, 51.0]), 16.0).p_above == pytest.approx(
        0.04579977682974951
    )


@pytest.mark.parametrize(("count", "quantile"), [(2, 4.303), (3, 2.776), (5, 2.306), (11, 2.086)])
def test_p_values_are_the_table_s(count, quantile):
    """The 97.5 % quantiles of Student's t with 2, 4, 8 and 20 degrees of freedom, as tables print them."""
    y = with_unit_variance(count)
    found = MeanDifference.between(y + quantile * math.sqrt(2.0 / count), y)
    assert found.degrees == pytest.approx(2 * count - 2)
    assert found.p_above == pytest.approx(0.025, rel=1e-3)


def test_scores_without_spread_prove_nothing_unless_they_are_counts():
    same = np.full(3, 7.0)
    assert (MeanDifference.between(same, np.zeros(3)).p_above, MeanDifference.between(same, 7.0).p_below) == (
        1,
        1,
    )
    assert math.isnan(MeanDifference.between(same, np.zeros(3)).detectable)
    # One side is enough; a count is off by up to a half, whose variance is 1 / 12.
    assert MeanDifference.between(same, X).degrees == pytest.approx(2.0)
    assert MeanDifference.between(same, 0.0, resolution=1.0).error == pytest.approx(1.0 / 6.0)
    with pytest.raises(ValueError, match="single score"):
        MeanDifference.between(X, Y[:1])


@pytest.mark.parametrize(("effect", "count"), [(1.0, 17), (0.8, 26), (0.5, 64)])
def test_what_seeds_can_see_is_cohen_s_table(effect, count):
    """Seeds a side that see an effect in 80 % of cases, two-sided at 5 % (Cohen, A Power Primer, 1992)."""
    enough, too_few = (with_unit_variance(n) for n in (count, count - 1))
    assert MeanDifference.between(enough, enough).detectable <= effect
    assert MeanDifference.between(too_few, too_few).detectable > effect


def test_what_three_seeds_can_see_is_seen_in_four_of_five_draws():
    rng, size = np.random.default_rng(0), (4000, 2, 3)
    scores = with_unit_variance(3)
    effect = MeanDifference.between(scores, scores).detectable
    assert effect == pytest.approx(3.0708929, rel=1e-6)
    draws = rng.normal(size=size) + np.array([[effect], [0.0]])
    seen = [MeanDifference.between(x, y).p_above < 0.025 for x, y in draws]
    # Welch's degrees of freedom are fewer than four where variances of three happen to differ.
    assert 0.70 < np.mean(seen) < 0.80


def test_spreads_are_compared_without_being_led_astray_by_seeds_that_never_learn():
    """One seed in five fails, on both sides alike: hardly ever is one side called wider."""
    assert deviations(np.array([1.0, 5.0, 2.0])).tolist() == [1.0, 3.0, 0.0]
    rng = np.random.default_rng(0)
    draws = rng.normal(scale=0.3, size=(4000, 2, 5)) + 3.0 * (rng.random((4000, 2, 5)) < 0.8)
    wrong = [MeanDifference.between(deviations(x), deviations(y)).p_above < 0.025 for x, y in draws]
    assert np.mean(wrong) < 0.005
    # The ratio of variances, which is F distributed were scores normal, beyond its 97.5 % quantile.
    ratio = draws[:, 0].var(axis=1, ddof=1) / draws[:, 1].var(axis=1, ddof=1)
    assert np.mean(ratio > 9.605) > 0.15


def test_five_seeds_a_side_hardly_see_a_tenfold_spread():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4000, 2, 5)) * np.array([[10.0], [1.0]])
    seen = [MeanDifference.between(deviations(x), deviations(y)).p_above < 0.025 for x, y in draws]
    assert 0.11 < np.mean(seen) < 0.15


def test_a_side_on_which_alone_seeds_fail_is_often_called_higher():
    """Means of 0.8 on both sides; on the first one seed in five never learns, and five may not show it."""
    rng = np.random.default_rng(0)
    scores = rng.normal(scale=0.1, size=(4000, 2, 5))
    failing = scores + (rng.random(scores.shape) < 0.8)
    alike = [MeanDifference.between(x, y).p_above < 0.025 for x, y in failing]
    alone = [
        MeanDifference.between(x, y + 0.8).p_above < 0.025
        for x, (_, y) in zip(failing[:, 0], scores, strict=True)
    ]
    assert np.mean(alike) < 0.015 and 0.2 < np.mean(alone) < 0.3


def test_holm_s_correction_by_hand():
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, and no less than that."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.7, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_partial_conjunctions_by_hand():
    p = [0.2, 0.01, 0.04]
    assert [partial_conjunction(p, n) for n in (1, 2, 3)] == pytest.approx([0.03, 0.08, 0.2])
    assert partial_conjunction([0.9, 0.8], 1) == 1.0
    for wrong in (0, 4):
        with pytest.raises(ValueError, match="At least"):
            partial_conjunction(p, wrong)
