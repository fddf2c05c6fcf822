"""Which stored runs make a number."""

import pytest

from reproduce.exhibits.pooling import pool


@pytest.fixture
def pooled(make_run):
    def pooled(*lengths, failed=()):
        runs = [make_run({step: 1.0}, seed=seed, status="partial") for seed, step in enumerate(lengths)]
        runs += [make_run({step: 1.0}, seed=90 + step, status="failed", reason="nan") for step in failed]
        found = pool(runs, 200_000)
        return [run.spec.seed for run in found.runs], found.step, found.unfinished, found.failed

    return pooled


def test_at_the_read_out_those_count_that_have_reached_it(pooled):
    assert pooled(300_000, 200_000, 150_000, failed=(5000,)) == ([0, 1], 200_000, 1, 1)


def test_before_it_all_count_up_to_the_last_common_step(pooled):
    assert pooled(150_000, 100_000, failed=(120_000,)) == ([0, 1], 100_000, 0, 1)


def test_one_that_has_only_begun_does_not_pull_the_others_back(pooled):
    assert pooled(150_000, 100_000, 10_000) == ([0, 1], 100_000, 1, 0)


def test_one_without_an_evaluation_in_training_is_none(pooled):
    assert pooled(0) == ([], 0, 0, 0)
    assert pooled(150_000, 0) == ([0], 150_000, 0, 0)


def test_nothing(pooled):
    assert pooled(failed=(5000,)) == ([], 0, 0, 1)
