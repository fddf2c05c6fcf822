"""Which stored runs make a number, and which may not be pooled."""

import pytest

from reproduce.exhibits.pooling import StoreMixError, pool, require_comparable

CURVE = {5000: 10.0, 10_000: 20.0, 15_000: 30.0}


@pytest.fixture
def pooled(make_run):
    def pooled(*lengths, failed=(), begin=5000):
        runs = [
            make_run({begin: 0.0, step: 1.0}, seed=seed, status="partial")
            for seed, step in enumerate(lengths)
        ]
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


def test_a_run_whose_warm_up_ends_after_the_read_out_does_not_count(pooled, make_run):
    assert pooled(300_000, 250_000, begin=201_000) == ([], 0, 2, 0)
    late, early = make_run({201_000: 1.0}, seed=0), make_run({5000: 1.0, 150_000: 2.0}, seed=1)
    assert [run.spec.seed for run in pool([late, early], 200_000).runs] == [1]


def test_nothing(pooled):
    assert pooled(failed=(5000,)) == ([], 0, 0, 1)


def test_runs_of_different_configuration_or_simulator_are_not_pooled(make_run):
    paper = make_run(CURVE)
    require_comparable([])
    require_comparable([paper, make_run(CURVE, seed=1)])
    other = {"config": {"agent": {"horizon": 7}}}
    with pytest.raises(StoreMixError, match="Seeds 0 and 1 of alm on HalfCheetah .*configurations differ"):
        require_comparable([paper, make_run(CURVE, seed=1, **other)])
    with pytest.raises(StoreMixError) as caught:
        require_comparable([paper, make_run(CURVE, seed=1, own=True, **other)])
    assert str(caught.value).endswith(
        "differ (agent.horizon, layers): train them again as one variant, or move "
        "alm/base/HalfCheetah/paper/seed-0 or alm/base/HalfCheetah/paper/seed-1 away. Your own runs (1 of "
        "them) are left out with --no-own."
    )
    # Tasks and variants have configurations of their own.
    require_comparable(
        [paper, make_run(CURVE, task="Hopper", **other), make_run(CURVE, variant="k", **other)]
    )
    with pytest.raises(StoreMixError, match=r"protocols .*mujoco3\.3\.0.*mujoco4\.0\.0"):
        require_comparable([paper, make_run(CURVE, protocol="v2-gymnasium1.4.0-mujoco3.3.0")])
    with pytest.raises(StoreMixError, match=r"Your own runs \(1 of them\) are left out with --no-own"):
        require_comparable([paper, make_run(CURVE, protocol="v5", own=True)])
    require_comparable([paper, make_run(CURVE, protocol="v5")], mix=True)
