"""Statistics over runs and tasks against numbers of scipy, hand-made ones and slow loops."""

import subprocess
import sys

import numpy as np
import pytest

from reproduce.exhibits.statistics.intervals import (
    TRUE_CONFIDENCE,
    Estimate,
    bootstrap,
    difference_of_interquartile_means,
    interquartile_mean,
    probability_of_improvement,
)
from reproduce.lab.places import CODE

X = [
    np.array([0.71, 1.42, 0.33, 2.75, 0.88]),
    np.array([1.90, 0.05, 0.90, 1.10, 0.47]),
    np.array([-0.30, 2.20, 0.41, 0.62, 1.35]),
]
Y = [
    np.array([0.62, 0.33, 1.58, 0.21]),
    np.array([1.10, 0.05, 0.90, 0.37]),
    np.array([0.10, 1.95, 0.41, -1.40]),
]
RAGGED = [np.array([1.0, 5.0, 3.0]), np.array([2.0, 8.0])]
ONE_X, ONE_Y = [np.concatenate(X)], [np.concatenate(Y)]
"""The same runs as those of one task."""


def slow_interquartile_mean(values):
    """Of equally weighted values, by sorting."""
    ordered = sorted(values)
    cut = len(ordered) // 4
    kept = ordered[cut : len(ordered) - cut]
    return sum(kept) / len(kept)


def test_interquartile_mean_is_scipys_trimmed_mean():
    """Frozen from scipy 1.17: ``trim_mean(scores, 0.25)``."""
    assert interquartile_mean(ONE_X) == pytest.approx(0.8733333333333333, rel=1e-14)
    assert interquartile_mean(ONE_Y) == pytest.approx(0.47333333333333333, rel=1e-14)
    assert difference_of_interquartile_means(ONE_X, ONE_Y) == pytest.approx(0.4, rel=1e-14)


@pytest.mark.parametrize("runs", range(1, 14))
def test_interquartile_mean_of_any_number_of_runs(runs):
    values = np.random.default_rng(runs).normal(size=runs)
    assert interquartile_mean([values]) == pytest.approx(slow_interquartile_mean(values), rel=1e-12)


def test_curves_over_steps_are_the_statistic_of_each_step():
    curves = np.random.default_rng(1).normal(size=(5, 7))
    each = [interquartile_mean([curves[:, step]]) for step in range(7)]
    assert interquartile_mean([curves]) == pytest.approx(np.array(each), rel=1e-12)


def test_probability_of_improvement_is_mann_whitneys():
    """Frozen from scipy 1.17: U = 14.5, 12.5 and 13.5 of 20 pairs (``mannwhitneyu``), with ties."""
    assert probability_of_improvement(X, Y) == pytest.approx(40.5 / 60, rel=1e-14)
    assert probability_of_improvement(Y, X) == pytest.approx(19.5 / 60, rel=1e-14)
    assert probability_of_improvement(X, X) == 0.5


def slow_draws(statistic, groups):
    """The statistic of every draw, one at a time; indices are drawn for each algorithm and task in turn."""
    rng = np.random.default_rng(0)
    indices = [[rng.integers(len(t), size=(2000, len(t))) for t in tasks] for tasks in groups]
    return np.array(
        [
            statistic(
                *(
                    [
                        np.array([task[i] for i in index[draw]])
                        for task, index in zip(tasks, chosen, strict=True)
                    ]
                    for tasks, chosen in zip(groups, indices, strict=True)
                )
            )
            for draw in range(2000)
        ]
    )


def test_intervals_are_percentiles_of_draws_within_each_task():
    for statistic, chosen in (
        (interquartile_mean, [ONE_X]),
        (probability_of_improvement, [X, [*RAGGED, np.array([0.4, 0.9, 0.1, 2.0])]]),
        (difference_of_interquartile_means, [ONE_X, ONE_Y]),
    ):
        estimate, draws = bootstrap(statistic, *chosen), slow_draws(statistic, chosen)
        assert estimate.low == pytest.approx(np.percentile(draws, 2.5), rel=1e-12)
        assert estimate.high == pytest.approx(np.percentile(draws, 97.5), rel=1e-12)
        assert estimate.value == statistic(*chosen)
        assert estimate.low <= estimate.value <= estimate.high


def test_interval_of_curves():
    curves = [np.random.default_rng(2).normal(size=(5, 6))]
    draws = slow_draws(interquartile_mean, [curves])
    assert bootstrap(interquartile_mean, curves).low == pytest.approx(
        np.percentile(draws, 2.5, axis=0), rel=1e-12
    )


def test_interval_by_hand():
    """Of two runs 0 and 1 the mean of a draw is 0, ½ or 1 with probabilities ¼, ½ and ¼."""
    wide = bootstrap(interquartile_mean, [np.array([0.0, 1.0])])
    assert (wide.value, wide.low, wide.high) == (0.5, 0.0, 1.0)
    # Runs are drawn within tasks: two tasks without spread stay where they are.
    apart = [np.array([0.0, 0.0]), np.array([10.0, 10.0])], [np.array([5.0, 5.0])] * 2
    improvement = bootstrap(probability_of_improvement, *apart)
    assert (improvement.low, improvement.high) == (0.5, 0.5)


def test_one_run_gives_no_interval():
    estimate = bootstrap(interquartile_mean, [np.array([3.0])])
    assert estimate.value == 3.0
    assert np.isnan(estimate.low) and np.isnan(estimate.high) and not estimate.has_interval
    curves = bootstrap(interquartile_mean, [np.zeros((1, 5))])
    assert np.isnan(curves.low).tolist() == [True] * 5
    for fewer in ([task[:1] for task in X], [X[0][:1], *X[1:]]):
        estimate = bootstrap(probability_of_improvement, X, fewer)
        assert np.isfinite(estimate.value) and not estimate.has_interval


def test_an_interval_is_the_same_everywhere():
    """Frozen: tables are the same bytes everywhere."""
    found = bootstrap(interquartile_mean, ONE_Y)
    assert (float(found.low), float(found.high)) == pytest.approx((1.14 / 6, 5.99 / 6), rel=1e-12)


@pytest.mark.parametrize("seeds", TRUE_CONFIDENCE)
def test_true_confidence_is_that_of_simulated_intervals(seeds):
    """How many of 20,000 intervals of normal scores contain their mean, 0; the error is 0.4 % at most.

    Sorted scores are drawn in the order of sorted indices, so that all resampled means are one product.
    """
    scores = np.sort(np.random.default_rng(seeds).normal(size=(20_000, seeds)), axis=1)
    drawn = np.sort(np.random.default_rng(0).integers(seeds, size=(2000, seeds)), axis=1)
    middle = drawn[:, seeds // 4 : seeds - seeds // 4]
    weights = (middle[:, :, None] == np.arange(seeds)).mean(axis=1)
    # Beyond each end of an interval lie 50 of 2000 resampled means.
    below = np.concatenate([(weights @ part.T < 0.0).sum(axis=0) for part in np.split(scores, 5)])
    contains = (below > 50) & (below < 1950)
    for one, known in zip(scores[:20], contains[:20], strict=True):
        estimate = bootstrap(interquartile_mean, [one])
        assert (estimate.low <= 0.0 <= estimate.high) == known
    assert 100.0 * contains.mean() == pytest.approx(TRUE_CONFIDENCE[seeds], abs=1.0)


def test_statistics_need_numpy_alone():
    script = (
        "import sys\n"
        "import reproduce.lab.curves\nfrom reproduce.exhibits.statistics import intervals\n"
        "bad = {'torch', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=CODE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_difference_of_about_nothing_has_no_sign_of_its_own():
    low, value, high = map(np.array, (-3.2, -0.4, 0.3))
    assert Estimate(value, low, high).text(sign="+") == "+0 [-3, +0]"
