"""Claims: each verdict from synthetic runs whose answer is known."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from reproduce.cli import main
from reproduce.exhibits.claims import checks
from reproduce.exhibits.claims.checks import ABOUT_A_SIXTH, ABOUT_HALF, Compared, Second, Sooner
from reproduce.exhibits.claims.contrasts import (
    ABOVE,
    ALIKE,
    FAILS,
    MUCH_WORSE,
    NO_BETTER,
    NO_WORSE,
    ClaimFinding,
    Line,
    TaskContrast,
    concluded,
    p_values,
)
from reproduce.exhibits.claims.evidence import (
    BIAS,
    BIAS_STD,
    BIAS_STD_BY_QUARTER,
    BIAS_STD_GROWTH,
    EFFICIENCY,
    EPISODE_SPREAD,
    RETURN,
    SPREAD,
    Evidence,
)
from reproduce.exhibits.claims.statements import CLAIMS, Claim
from reproduce.exhibits.claims.verdicts import COLUMNS, claims_table, judged, rows_of, verdicts
from reproduce.exhibits.kinds import Series
from reproduce.exhibits.writing import render, terminal
from reproduce.formats import p_in_words
from reproduce.lab.algorithms import variant_named
from reproduce.lab.store import Store


def in_words(finding):
    """All lines of a finding in one."""
    lines = (f"{one.compared} = {one.found}" if one.found else one.compared for one in finding.lines)
    return "; ".join(lines)


@pytest.fixture
def add(tmp_path, make_run):
    """Stores finished laptop runs whose last returns are given, a seed each; returns the store."""
    store = Store(tmp_path / "runs")

    def add(returns, algorithm="alm", variant="base", task="HalfCheetah", curve=None, **options):
        options = {"scale": "laptop"} | options
        for seed, value in enumerate(returns):
            steps = curve or {5000: 0.0, 47_500: value, 50_000: value}
            count = len(steps)
            extra = {"time/evaluation_s": [0.0] * count, "time/update_ms": [1.0] * count}
            run = make_run(
                steps,
                algorithm=algorithm,
                variant=variant,
                task=task,
                seed=seed,
                extra=extra,
                provenance={"population": 1},
                **options,
            )
            store.write(run)
        return store

    def seed(number, curve, **options):
        add.store.write(
            make_run(
                curve,
                seed=number,
                scale="laptop",
                extra={"time/evaluation_s": [0.0] * len(curve), "time/update_ms": [1.0] * len(curve)},
                **{"provenance": {"population": 1}, **options},
            )
        )

    add.store, add.seed = store, seed
    return add


@pytest.fixture
def same_sizes(monkeypatch):
    """As if `laptop` scale left all algorithms their sizes."""
    monkeypatch.setattr("reproduce.exhibits.claims.checks._same_sizes", lambda scale: True)


def verdict(store, says, scale="laptop"):
    """The judged claim of these words."""
    (found,) = [one for one in judged(store, scale) if says in one.claim.says]
    return found


def around(value):
    """Three seeds near a value."""
    return [value - 1.0, value, value + 1.0]


# --- Regions ------------------------------------------------------------------------------------------------


def test_a_difference_lies_in_a_region_outside_it_or_neither():
    """Against 100 ± 1: a tenth below is alike, 30 is much worse, 10 fails; wide seeds leave all open."""
    y = np.array(around(100.0))
    regions = {
        "above": ABOVE,
        "no worse": NO_WORSE,
        "alike": ALIKE,
        "no better": NO_BETTER,
        "half": MUCH_WORSE,
        "quarter": FAILS,
    }

    def sure(x):
        found = {name: p_values(np.array(x), y, region, 0.0) for name, region in regions.items()}
        inside = {name for name, (supports, _) in found.items() if supports < 0.01}
        outside = {name for name, (_, contradicts) in found.items() if contradicts < 0.01}
        return inside, outside

    assert sure(around(90.0)) == ({"no worse", "alike", "no better"}, {"above", "half", "quarter"})
    assert sure(around(60.0)) == ({"no better"}, {"above", "no worse", "alike", "half", "quarter"})
    assert sure(around(30.0)) == ({"no better", "half"}, {"above", "no worse", "alike", "quarter"})
    assert sure(around(10.0)) == ({"no better", "half", "quarter"}, {"above", "no worse", "alike"})
    assert sure(around(150.0)) == ({"above", "no worse"}, {"alike", "no better", "half", "quarter"})
    assert sure([0.0, 60.0, 240.0]) == (set(), set())


def test_the_margin_follows_the_size_of_the_other_and_shares_its_error():
    """A fifth below −100 is −120; the other's error counts four fifths at the margin of a fifth."""
    y = np.array([-90.0, -100.0, -110.0])
    assert p_values(np.array([-119.0, -120.0, -121.0]), y, NO_WORSE, 0.0)[0] == pytest.approx(0.5)
    x, y = np.array([80.0, 84.0, 82.0]), np.array([90.0, 100.0, 110.0])
    assert p_values(x, y, NO_WORSE, 0.0) == p_values(x, 0.8 * y, ABOVE, 0.0)
    # Of seeds on both sides of zero each keeps its sign.
    y = np.array([-40.0, 60.0, 110.0])
    assert p_values(x, y, NO_WORSE, 0.0) == pytest.approx(p_values(x, 0.8 * y, ABOVE, 0.0))
    # Of a number the margin is its part; of zero it is the margin itself.
    assert p_values(np.array(around(16.0)), 20.0, NO_WORSE, 0.0)[0] == pytest.approx(0.5)
    assert p_values(np.array([0.1, 0.2, 0.3]), 0.0, NO_BETTER, 0.0)[0] == pytest.approx(0.5)


def test_two_ends_are_harder_to_keep_and_corrected_when_passed():
    x, y = np.array([95.0, 99.0, 103.0]), np.array([90.0, 100.0, 110.0])
    ends = [p_values(x, y, region, 0.0) for region in (NO_WORSE, NO_BETTER)]
    supports, contradicts = p_values(x, y, ALIKE, 0.0)
    assert supports == max(end[0] for end in ends)
    assert contradicts == min(1.0, 2.0 * min(end[1] for end in ends))


# --- Several tasks ------------------------------------------------------------------------------------------


def on(task, supports, contradicts, enough=True):
    """A contrast of three seeds with three."""
    return TaskContrast(task, (3, 3), Line(task, "1"), enough, (), supports, contradicts)


def test_a_claim_about_several_tasks_needs_all_and_is_contradicted_by_one():
    found = concluded([on("A", 0.001, 0.999), on("B", 0.2, 0.8)])
    assert (found.supports, found.contradicts, found.complete) == (0.2, 1.0, True)
    found = concluded([on("A", 0.001, 0.999), on("B", 0.9, 0.004)])
    assert (found.supports, found.contradicts, found.worst) == (0.9, 0.008, "B")
    # Runs that are missing cannot support, but what is there can contradict.
    found = concluded([on("A", 0.001, 0.999), on("B", 1.0, 1.0, enough=False)])
    assert (found.supports, found.contradicts, found.complete) == (1.0, 0.999, False)
    assert verdicts([found]) == [("not enough runs", 1.0)]
    found = concluded([on("A", 0.999, 0.001), on("B", 1.0, 1.0, enough=False)])
    assert verdicts([found]) == [("contradicted", 0.002)]


def test_at_least_so_many_tasks():
    """Four of five: the fourth smallest p, twice; against it, the second smallest p, four times."""
    tasks = [on(name, p, 1.0 - p) for name, p in zip("ABCDE", (0.001, 0.002, 0.003, 0.004, 0.7), strict=True)]
    found = concluded(tasks, at_least=4)
    assert found.supports == pytest.approx(0.008) and found.contradicts == 1.0
    tasks = [on(name, 1.0 - p, p) for name, p in zip("ABCDE", (0.001, 0.002, 0.9, 0.9, 0.9), strict=True)]
    assert concluded(tasks, at_least=4).contradicts == pytest.approx(0.008)


def test_a_further_claim_with_runs_can_only_weaken_the_others():
    def finding(supports):
        return ClaimFinding(
            (), evidence=True, tested=True, complete=True, supports=supports, contradicts=1.0 - supports
        )

    rng = np.random.default_rng(0)
    few = [finding(p) for p in (0.001, 0.012, 0.02, 0.4, 0.98)]
    before = [p for _, p in verdicts(few)]
    assert [verdict for verdict, _ in verdicts(few[:2])] == ["supported", "supported"]
    for supports in rng.random(50):
        after = [p for _, p in verdicts([*few, finding(supports)])][:-1]
        assert all(a >= b for a, b in zip(after, before, strict=True))
    # What has no runs weakens nothing.
    assert verdicts([*few, ClaimFinding((Line("nothing"),))])[:-1] == verdicts(few)
    assert verdicts([ClaimFinding((Line("nothing"),))]) == [("not enough runs", None)]


def test_verdicts_by_a_second_outcome_are_corrected_for_each_other_too(tmp_path):
    """p = 0.03 is below 0.05 alone; of two such the smaller is doubled."""

    class Known:
        second = None

        def finding(self, evidence):
            del evidence
            return ClaimFinding(
                (), evidence=True, tested=True, complete=True, supports=0.015, contradicts=0.985
            )

    class Both(Known):
        second = Second("area", Known())

    store = Store(tmp_path)
    (alone,) = judged(store, "laptop", [Claim("", "", Both())])
    assert (alone.verdict, alone.second) == ("supported", "supported")
    for one in judged(store, "laptop", [Claim("", "", Both())] * 2):
        assert (one.verdict, one.second) == ("inconclusive", "inconclusive")


# --- Claims of returns --------------------------------------------------------------------------------------


def test_a_difference_that_chance_does_not_make_supports(add):
    add([100.0, 110.0, 120.0])
    store = add([10.0, 11.0, 12.0], variant="no-kl")
    found = verdict(store, "KL term is crucial")
    (line,) = found.finding.lines
    assert (found.verdict, line.compared, line.seeds) == (
        "supported",
        "HalfCheetah: ALM(3) − no KL",
        "3 and 3",
    )
    assert line.found.startswith("+99 [+74, +124], area +52, can see ")
    # Means of 100, 110, 120 and 10, 11, 12, errors 10 / √3 and 1 / √3, 2.04 degrees of freedom: t = 4.22.
    assert line.numbers["difference"] == pytest.approx(99.0)
    assert line.numbers["high"] - 99.0 == pytest.approx(99.0 - line.numbers["low"])
    assert line.numbers["high"] == pytest.approx(99.0 + 4.223 * (101 / 3) ** 0.5, abs=0.1)
    # Areas: straight from 0 at 5000 steps to the last return at 47,500, then level.
    assert line.numbers["area"] == pytest.approx(99.0 * (42_500 / 2 + 2500) / 45_000)
    store = add([500.0, 501.0, 502.0], variant="no-kl")
    assert verdict(store, "KL term is crucial").verdict == "contradicted"


def test_a_difference_that_chance_may_make_is_inconclusive(add):
    add([100.0, 0.0, 120.0])
    store = add([50.0, 60.0, 90.0], variant="no-kl")
    found = verdict(store, "KL term is crucial")
    assert found.verdict == "inconclusive" and found.p > 0.5


def test_other_claims_with_runs_correct_a_verdict_away(add):
    """p = 0.02 alone; beside four more claims of the same runs it may be chance."""
    add([100.0, 140.0, 120.0])
    store = add([10.0, 41.0, 72.0], variant="no-kl")
    found = verdict(store, "KL term is crucial")
    assert found.verdict == "supported" and found.p == pytest.approx(found.finding.p)
    for variant in ("no-value", "reconstruction", "linear-classifier", "log-transformed"):
        add([100.0, 141.0, 122.0], variant=variant)
    found = verdict(store, "KL term is crucial")
    assert found.verdict == "inconclusive" and found.p == pytest.approx(5 * found.finding.p)


def test_the_area_under_the_curve_is_a_second_outcome(add):
    """The same final returns; one is high from the start, the other at the end only."""
    early = {5000: 0.0, 6000: 100.0, 47_500: 100.0, 50_000: 100.0}
    late = {5000: 0.0, 45_000: 0.0, 47_500: 100.0, 50_000: 100.0}
    for index in range(3):
        noise = {step: value + index for step, value in early.items()}
        add.seed(index, noise)
        add.seed(index, {step: value + index for step, value in late.items()}, variant="no-kl")
    found = verdict(add.store, "KL term is crucial")
    assert (found.verdict, found.second) == ("inconclusive", "supported") and found.disagrees
    row = claims_table(add.store, "laptop").frame.set_index("claim").loc["the KL term is crucial"]
    seconds = ["verdict", "second outcome", "second verdict"]
    assert row[seconds].tolist() == ["inconclusive", "area", "supported"]
    assert rows_of(found)[0][-1] == "inconclusive; by area: supported"


def test_claims_on_the_speed_of_learning_are_judged_by_the_area(add):
    """Of ELU and ReLU that end alike, the one that learned sooner is the more sample efficient."""
    early = {5000: 0.0, 6000: 100.0, 47_500: 100.0, 50_000: 100.0}
    late = {5000: 0.0, 45_000: 0.0, 47_500: 100.0, 50_000: 100.0}
    for index in range(3):
        add.seed(index, {step: value + index for step, value in early.items()})
        add.seed(index, {step: value + index for step, value in late.items()}, variant="relu")
    found = verdict(add.store, "more sample efficient than ReLU")
    (line,) = found.finding.lines
    assert (found.verdict, found.second, found.aside) == ("supported", "inconclusive", "end")
    assert line.compared == "HalfCheetah: area of ALM(3) − ReLU"
    assert line.numbers["difference"] > 50.0 and line.numbers["end"] == pytest.approx(0.0)
    assert rows_of(found)[0][-1] == "supported; by end: inconclusive"


@pytest.mark.usefixtures("same_sizes")
@pytest.mark.parametrize(("outcome", "number"), [(EFFICIENCY, "difference"), (RETURN, "area")])
def test_areas_of_both_sides_begin_at_the_end_of_the_longer_warm_up(add, outcome, number):
    """Equal from 25,000 steps on, where TD3's warm-up ends; ALM's earlier, lower returns do not count."""
    alike = {25_000: 100.0, 47_500: 200.0, 50_000: 200.0}
    for index in range(3):
        later = {step: value + index for step, value in alike.items()}
        add.seed(index, {5000: 0.0, 20_000: 10.0, **later})
        add.seed(index, later, algorithm="td3")
    alm, td3 = Series("ALM(3)", "alm"), Series("TD3", "td3")
    for x, y in ((alm, td3), (td3, alm)):
        claim = Claim("", "", Compared((x,), ABOVE, (y,), ("HalfCheetah",), (outcome,)))
        (found,) = judged(add.store, "laptop", [claim])
        assert found.finding.lines[0].numbers[number] == pytest.approx(0.0)


def test_two_seeds_or_unfinished_runs_are_not_enough(add):
    add([100.0, 110.0, 120.0])
    assert verdict(add([1.0, 2.0], variant="no-kl"), "KL term is crucial").verdict == "not enough runs"
    unfinished = {5000: 0.0, 47_500: 1.0}
    store = add([1.0, 2.0, 3.0], variant="no-kl", curve=unfinished, status="partial")
    found = verdict(store, "KL term is crucial")
    nothing = ("no finished run of no KL on HalfCheetah", "not enough runs")
    assert (in_words(found.finding), found.verdict) == nothing
    assert not found.finding.evidence
    failed = {"status": "failed", "reason": "loss/actor is not finite at step 19500"}
    store = add([1.0, 2.0, 3.0], variant="no-kl", curve=unfinished, **failed)
    text = in_words(verdict(store, "KL term is crucial").finding)
    assert text == f"{nothing[0]}; 3 failed runs of no KL on HalfCheetah left out"


def test_a_run_that_failed_after_the_read_out_counts(add):
    """As in tables: its value at the step stands, whatever became of it later."""
    add([100.0, 110.0, 120.0])
    failed = {"status": "failed", "reason": "loss/actor is not finite at step 20001"}
    store = add([1.0, 2.0, 3.0], variant="no-kl", **failed)
    assert verdict(store, "KL term is crucial").verdict == "supported"


def test_algorithms_are_not_compared_where_a_scale_makes_some_smaller(add):
    add([100.0, 110.0, 120.0])
    store = add([1.0, 2.0, 3.0], algorithm="redq")
    found = verdict(store, "matches the sample complexity")
    assert found.verdict == "not comparable"
    assert in_words(found.finding).startswith("HalfCheetah: area of ALM(3) − REDQ = +57 [")


def test_a_side_of_which_runs_have_failed_gets_no_verdict(add):
    """Without its failures it looks better than it is."""
    add([100.0, 110.0, 120.0, 115.0, 105.0])
    store = add([100.0, 110.0, 120.0], variant="no-kl")
    assert verdict(store, "KL term is crucial").verdict == "inconclusive"
    store = add([1.0, 2.0, 3.0], variant="no-kl")
    assert verdict(store, "KL term is crucial").verdict == "supported"
    failed = {"status": "failed", "reason": "loss/actor is not finite at step 20001"}
    add.seed(7, {5000: 0.0, 20_000: -9.0}, variant="no-kl", **failed)
    found = verdict(store, "KL term is crucial")
    assert found.verdict == "inconclusive" and "1 failed run of no KL" in in_words(found.finding)


def test_what_has_no_run_is_said_once(add):
    """ALM lacks runs on every task, rivals on some: one clause for each set of tasks."""
    says = "matches the sample complexity"
    add([1.0, 2.0, 3.0], algorithm="redq")
    store = add([1.0, 2.0, 3.0], algorithm="redq", task="Hopper")
    found = verdict(store, says).finding
    assert in_words(found) == "no finished run of ALM(3), MBPO on HalfCheetah, Hopper"
    found = verdict(add([4.0, 5.0, 6.0], task="Hopper"), says).finding
    assert in_words(found).startswith("Hopper: area of ALM(3) − REDQ = +2 [")
    assert in_words(found).endswith(
        "; no finished run of ALM(3) on HalfCheetah; no finished run of MBPO on HalfCheetah, Hopper"
    )
    assert [line.seeds for line in found.lines] == ["3 and 3", "", ""]


@pytest.mark.usefixtures("same_sizes")
def test_a_task_without_runs_does_not_save_a_claim_from_another(add):
    add([1.0, 2.0, 3.0], task="Hopper")
    store = add([101.0, 102.0, 103.0], algorithm="redq", task="Hopper")
    found = verdict(store, "matches the sample complexity")
    assert found.verdict == "contradicted"
    assert rows_of(found)[0][-1] == "contradicted on Hopper"


def test_about_the_same_has_a_margin(add):
    add([100.0, 101.0, 102.0])
    assert verdict(add([95.0, 96.0, 97.0], variant="no-value"), "little effect").verdict == "supported"
    assert verdict(add([70.0, 71.0, 72.0], variant="no-value"), "little effect").verdict == "contradicted"
    better = add([170.0, 171.0, 172.0], variant="no-value")
    assert verdict(better, "little effect").verdict == "contradicted"
    unclear = add([60.0, 81.0, 110.0], variant="no-value")
    assert verdict(unclear, "little effect").verdict == "inconclusive"
    # Doing no worse is one-sided.
    assert verdict(add([170.0, 171.0, 172.0], variant="linear-classifier"), "linear").verdict == "supported"
    assert verdict(add([70.0, 71.0, 72.0], variant="linear-classifier"), "linear").verdict == "contradicted"
    # Much worse is less than half.
    assert verdict(add([70.0, 71.0, 72.0], variant="log-naive"), "naive log").verdict == "contradicted"
    assert verdict(add([10.0, 11.0, 12.0], variant="log-naive"), "naive log").verdict == "supported"


def test_the_best_length_is_looked_up(add):
    def of_three(value):
        return verdict(add(around(value), task="Hopper"), "K = 3 is best").verdict

    for k, value in ((1, 1.0), (2, 20.0), (4, 40.0), (5, 50.0)):
        add(around(value), variant=f"k{k}", task="Hopper")
    assert of_three(30.0) == "contradicted"
    assert of_three(90.0) == "supported"
    assert of_three(50.5) == "inconclusive"


@pytest.mark.usefixtures("same_sizes")
def test_table1_needs_every_row_on_every_task(add):
    store = add([100.0, 110.0, 120.0])
    found = verdict(store, "4/5 tasks")
    assert found.verdict == "not enough runs" and found.finding.lines[0].seeds == "0 of 5 tasks"
    assert not verdict(add([1.0, 2.0, 3.0], algorithm="sac"), "4/5 tasks").finding.evidence
    for task in ("T-Humanoid", "T-Ant", "HalfCheetah", "Walker2d", "Hopper"):
        add([100.0, 110.0, 120.0], task=task)
        for rival in ("sac-svg2", "sac-svg3", "svg", "td3", "sac"):
            add([10.0, 11.0, 12.0], algorithm=rival, task=task)
    assert verdict(store, "4/5 tasks").verdict == "supported"
    # 20 less, errors 10 / √3 each, four degrees of freedom: t = 2.45, whose one-sided p is 0.035.
    add([80.0, 90.0, 100.0], algorithm="td3", task="Hopper")
    assert in_words(verdict(store, "4/5 tasks").finding).startswith("significantly best on 4 of the 5 tasks")
    for task in ("T-Ant", "Hopper"):
        add([500.0, 501.0, 502.0], algorithm="td3", task=task)
    found = verdict(store, "4/5 tasks")
    assert found.verdict == "contradicted" and in_words(found.finding).startswith(
        "significantly best on 3 of the 5 tasks"
    )


def test_table1_is_read_where_the_table_is(add):
    """At paper scale at 200k steps: a run that goes on counts, with its mean of the last tenth there."""
    curve = {5000: 0.0, 190_000: 7.0, 200_000: 9.0, 250_000: 1000.0}
    store = add([0.0] * 3, curve=curve, scale="paper", status="partial")
    evidence = Evidence(store, "paper")
    alm = Series("ALM(3)", "alm")
    pool = evidence.pool(alm, "HalfCheetah", "table1")
    assert checks.RETURN.scores(evidence, alm, pool).tolist() == [8.0] * 3
    assert not evidence.pool(alm, "HalfCheetah", "figure5a").runs
    # One figure, which shows the same runs, is read there, too.
    assert evidence.pool(alm, "HalfCheetah", "figureQ").runs


def test_spreads_promise_nothing(add):
    """Not what they can see, and of two seeds, both as far from their median, not even an interval."""

    def found(store):
        says = "the classifier term stabilises learning"
        (one,) = [one for one in judged(store, "laptop") if one.claim.says == says]
        return one.finding.lines[0].found

    add([100.0, 101.0, 102.0, 103.0, 104.0])
    assert found(add([0.0, 400.0], variant="no-classifier")).startswith("+199 (no interval), area ")
    text = found(add([0.0, 400.0, -400.0, 800.0, -800.0], variant="no-classifier"))
    assert text.startswith("+479 [") and "can see" not in text


@pytest.mark.usefixtures("same_sizes")
def test_spreads_are_compared_by_five_seeds(add):
    wide = [0.0, 400.0, -400.0, 800.0, -800.0]
    add([100.0, 101.0, 102.0, 103.0, 104.0])
    store = add(wide[:4], variant="no-classifier")
    found = verdict(store, "stabilises learning, especially")
    assert found.verdict == "not enough runs"
    (found,) = [
        one for one in judged(store, "laptop") if one.claim.says == "the classifier term stabilises learning"
    ]
    assert found.verdict == "not enough runs" and found.finding.lines[0].seeds == "4 and 5"
    claim = Claim(
        "", "", Compared((Series("x", "redq"),), ABOVE, (Series("ALM(3)", "alm"),), "figure5a", (SPREAD,))
    )

    def judge():
        (found,) = judged(store, "laptop", [claim])
        return found

    add([300.0 * value for value in range(-4, 5)], algorithm="redq")
    assert judge().verdict == "supported"
    assert in_words(judge().finding).startswith("HalfCheetah: spread of x − ALM(3) = +")
    add([100.0, 101.0, 102.0, 103.0, 104.0, 101.0, 102.0, 103.0, 103.0], algorithm="redq")
    assert judge().verdict == "inconclusive"
    add([300.0 * value for value in range(-4, 5)])
    assert judge().verdict == "contradicted"


def test_claims_are_about_variants_that_the_suite_has():
    for check in (claim.check for claim in CLAIMS if isinstance(claim.check, Compared)):
        for side in (*check.x, *(() if isinstance(check.y, float) else check.y)):
            variant_named(side.algorithm, side.variant)


def test_a_side_without_runs_is_named(add):
    store = add([1.0, 2.0, 3.0])
    claim = Compared((Series("x", "alm", "no-kl"),), ABOVE, (Series("ALM(3)", "alm"),), "figure5a")
    assert in_words(claim.finding(Evidence(store, "laptop"))) == "no finished run of x on HalfCheetah"


def test_runs_of_different_protocols_cost_the_claims_that_they_stand_behind_alone(add):
    add([1.0, 2.0, 3.0])
    add([1.0, 2.0, 3.0], variant="no-value")
    store = add([1.0, 2.0, 3.0], variant="no-kl", protocol="v5")
    crucial, little = verdict(store, "KL term is crucial"), verdict(store, "value term has little effect")
    assert crucial.verdict == "not comparable"
    assert "HalfCheetah: not comparable: Runs of different protocols" in in_words(crucial.finding)
    assert little.verdict == "inconclusive" and "− ALM(3) = " in in_words(little.finding)


def test_runs_of_different_protocols_are_told_of_where_rows_of_a_table_are_ranked(add):
    add([1.0, 2.0, 3.0])
    found = verdict(add([1.0, 2.0, 3.0], algorithm="sac", protocol="v5"), "4/5 tasks")
    assert found.verdict == "not comparable"
    assert "HalfCheetah: not comparable: Runs of different protocols" in in_words(found.finding)


# --- Costs --------------------------------------------------------------------------------------------------


def test_costs_are_the_benchmark_s(add, monkeypatch):
    costs = {"alm": {"step_ms": 10.0, "gflop": 2.0}, "redq": {"step_ms": 55.0, "gflop": 1.0}}
    monkeypatch.setattr(checks, "benchmark_results", lambda _: {"costs": {"paper": costs, "laptop": costs}})
    found = verdict(add.store, "faster than REDQ", "paper")
    assert found.verdict == "supported" and found.p is None
    assert in_words(found.finding).startswith("5.50× the time") and "0.50× its matrix products" in in_words(
        found.finding
    )
    costs["redq"]["step_ms"] = 30.0
    found = verdict(add.store, "faster than REDQ", "paper")
    assert found.verdict == "inconclusive" and "a GPU, which was not available" in in_words(found.finding)
    assert verdict(add.store, "still 2× slower", "paper").verdict == "supported"
    assert verdict(add.store, "faster than MBPO", "paper").verdict == "not enough runs"
    # Widths are scaled differently there.
    found = verdict(add.store, "still 2× slower")
    assert (found.verdict, found.p) == ("not comparable", None)


GPU = {"population": 1, "device": "cuda", "hardware": {"cpu": "A"}}
CPU = {"population": 1, "device": "cpu", "hardware": {"cpu": "A"}}


@pytest.fixture
def timed(make_run, tmp_path):
    """Stores runs on a task that reach 100 at the given steps, or never, and says what the check finds.

    The clock of runs is step / 100 seconds, evaluations included.
    """
    store = Store(tmp_path / "runs")
    alm, sac, redq = Series("ALM(3)", "alm"), Series("SAC", "sac"), Series("REDQ", "redq")

    def timed(algorithm, steps, task="HalfCheetah", scale="paper", provenance=GPU, evaluation=0.0):
        length = {"paper": 300_000, "laptop": 50_000}[scale]
        for seed, step in enumerate(steps):
            curve = {5000: 0.0} | ({step: 100.0} if step else {}) | {length: 100.0 if step else 0.0}
            extra = {"time/evaluation_s": [evaluation] * len(curve)}
            options = {"scale": scale, "seed": seed, "extra": extra, "provenance": provenance}
            store.write(make_run(curve, algorithm=algorithm, task=task, **options))

    def found(scale="paper", y=(sac,), part=ABOUT_HALF):
        claim = Claim("", "sooner", Sooner(alm, y, ("HalfCheetah", "Hopper"), part))
        (one,) = judged(store, scale, [claim])
        return one

    timed.found, timed.store, timed.both = found, store, (sac, redq)
    return timed


SOON, LATE, NEVER = (8300, 8400, 8500), (46_000, 47_000, 48_000), (None,) * 3


def test_the_time_to_sac_s_return(timed):
    for task in ("HalfCheetah", "Hopper"):
        timed("alm", SOON, task)
        timed("sac", LATE, task)
    found = timed.found()
    assert found.verdict == "supported" and in_words(found.finding).startswith(
        "HalfCheetah: minutes to a return of 90 = ALM(3) 1.4, SAC 7.8"
    )
    timed("alm", LATE, "Hopper")
    found = timed.found()
    assert (found.verdict, found.finding.worst) == ("contradicted", "Hopper")
    timed("sac", NEVER, "Hopper")
    found = timed.found()
    assert found.verdict == "not enough runs" and "Hopper: SAC's runs are too short" in in_words(
        found.finding
    )


def test_the_time_of_evaluations_does_not_count(timed):
    """84 s, of which two evaluations took 12 s each."""
    timed("alm", SOON, evaluation=12.0)
    timed("sac", LATE)
    assert "= ALM(3) 1.0, SAC 7.8" in in_words(timed.found().finding)


def test_about_half_of_the_time_is_at_most_three_fifths_of_it(timed):
    """Medians of 300 s against 500 s would be three fifths: 250 s is sooner than that, 400 s is not."""
    for task in ("HalfCheetah", "Hopper"):
        timed("sac", (49_900, 50_000, 50_100), task)
        timed("alm", (24_900, 25_000, 25_100), task)
    assert timed.found().verdict == "supported"
    timed("alm", (39_900, 40_000, 40_100), "Hopper")
    assert timed.found().verdict == "contradicted"


def test_about_a_sixth_of_the_time_of_each_other_side(timed):
    """84 s against 500 s are a sixth; against 360 s they are more than 75 s, which is 5 / 24."""
    for task in ("HalfCheetah", "Hopper"):
        timed("alm", SOON, task)
        timed("sac", (49_900, 50_000, 50_100), task)
        timed("redq", (49_900, 50_000, 50_100), task)
    found = timed.found(y=timed.both, part=ABOUT_A_SIXTH)
    assert found.verdict == "supported" and len(found.finding.lines) == 4
    timed("redq", (35_900, 36_000, 36_100), "Hopper")
    found = timed.found(y=timed.both, part=ABOUT_A_SIXTH)
    assert (found.verdict, found.finding.worst) == ("contradicted", "Hopper")


def test_a_time_has_a_verdict_where_both_sides_have_seeds_enough_and_none_failed(timed, make_run):
    for task in ("HalfCheetah", "Hopper"):
        timed("alm", SOON, task)
    timed("sac", LATE)
    timed("sac", LATE[:2], "Hopper")
    assert timed.found().verdict == "not enough runs"
    timed("sac", LATE, "Hopper")
    assert timed.found().verdict == "supported"
    failed = {"status": "failed", "reason": "loss/actor is not finite at step 20001", "provenance": GPU}
    timed.store.write(
        make_run({5000: 0.0}, seed=7, task="Hopper", extra={"time/evaluation_s": [0.0]}, **failed)
    )
    found = timed.found()
    assert found.verdict == "inconclusive" and "1 failed run of ALM(3) on Hopper" in in_words(found.finding)


def test_a_cpu_cannot_refute_a_time(timed):
    for algorithm in ("alm", "sac"):
        for task in ("HalfCheetah", "Hopper"):
            timed(algorithm, LATE, task, provenance=CPU)
    found = timed.found()
    assert found.verdict == "inconclusive" and "the runs are on a CPU" in in_words(found.finding)


def test_a_time_is_of_the_seeds_that_got_there_and_the_others_are_counted(timed):
    """The median of those, not a mean over all in which one that never does halves the speed."""
    timed("sac", LATE)
    timed("alm", (8000, None, 10_000, 9000, None))
    text = in_words(timed.found().finding)
    assert "= ALM(3) 1.5 (median of those that got there; 2 of 5 seeds never did), SAC 7.8" in text
    timed("alm", (None,) * 5)
    assert "= ALM(3) never, SAC" in in_words(timed.found().finding)


@pytest.mark.parametrize("other", [{**CPU, "hardware": {"cpu": "B"}}, GPU, {"population": 1}])
def test_times_of_different_processors_have_no_verdict(timed, other):
    for task in ("HalfCheetah", "Hopper"):
        timed("alm", SOON, task, provenance=CPU)
        timed("sac", LATE, task, provenance=CPU)
    assert timed.found().verdict == "supported"
    timed("sac", LATE[:1], "Hopper", provenance=other)
    found = timed.found()
    assert (found.verdict, found.p) == ("not comparable", None)
    assert "Hopper: ALM(3) ran on A, SAC ran on A, " in in_words(found.finding)


def test_times_of_a_scale_that_makes_some_algorithms_smaller_have_no_verdict(timed):
    timed("alm", SOON, scale="laptop")
    timed("sac", LATE, scale="laptop")
    found = timed.found("laptop")
    assert found.verdict == "not comparable" and "ALM(3) 1.4, SAC 7.8" in in_words(found.finding)


# --- Values and predictions ---------------------------------------------------------------------------------


@pytest.fixture
def values(add):
    """Stores runs with value samples: returns 90 and 110, estimates off by ± a spread and a bias."""

    def values(algorithm, column, spread, bias=0.0, task="HalfCheetah", steps=(50_000,)):
        store = add([1.0, 2.0, 3.0], algorithm=algorithm, task=task)
        for run in store.runs(algorithm=algorithm, task=task):
            frames = []
            for step in steps:
                returns = np.array([90.0, 110.0])
                # A little more for each seed.
                own = spread * (1.0 + run.spec.seed / 50.0)
                estimate = returns + own * np.array([-1.0, 1.0]) + bias + run.spec.seed
                pairs = {"step": step, "episode": 0, "episode_step": range(2), "monte_carlo": returns}
                frames.append(pd.DataFrame({**pairs, column: estimate}))
            store.write_values(run, pd.concat(frames))
        return store

    return values


@pytest.mark.usefixtures("same_sizes")
def test_the_deviation_of_the_bias(values):
    for task in ("HalfCheetah", "Hopper"):
        values("alm", "lower_bound", 1.0, task=task)
        values("redq", "mean_q", 50.0, task=task)
        store = values("sac-avg", "mean_q", 60.0, task=task)
    found = verdict(store, "deviation of the bias")
    assert found.verdict == "supported"
    assert "HalfCheetah: std of bias of ALM(3) − REDQ = -0.50 [" in in_words(found.finding)
    values("alm", "lower_bound", 90.0, task="Hopper")
    found = verdict(store, "deviation of the bias")
    assert found.verdict == "contradicted" and found.finding.worst == "Hopper"


@pytest.mark.usefixtures("same_sizes")
def test_lower_in_every_quarter_of_training(values):
    """The first measurement is at the end of the warm-up, before training."""
    steps = (5000, 12_000, 22_000, 35_000, 50_000)
    for task in ("HalfCheetah", "Hopper"):
        values("alm", "lower_bound", 1.0, task=task, steps=steps)
        store = values("redq", "mean_q", 50.0, task=task, steps=steps)
    found = verdict(store, "consistently lower")
    assert (
        found.verdict == "supported"
        and in_words(found.finding).count("quarter 4 of ALM(3) − REDQ = -0.50") == 2
    )
    assert verdict(store, "uniform throughout").verdict == "inconclusive"  # identical: no spread to test with
    values("alm", "lower_bound", 1.0, steps=steps[:3])
    found = verdict(store, "consistently lower")
    assert found.verdict == "not enough runs"
    assert "no stored value estimates of ALM(3) on HalfCheetah" in in_words(found.finding)


def test_parts_of_training_begin_where_the_warm_up_ends(tmp_path, make_run):
    """Of 45,000 steps after 5000: halves end at 27,500, quarters at 16,250, 27,500, 38,750 and 50,000.

    Mean returns are 5, so that biases are divided by 10; the first measurement is before training.
    """
    store = Store(tmp_path)
    run = make_run({5000: 0.0, 50_000: 1.0}, scale="laptop")
    store.write(run)
    measured = {5000: (900, 800), 16_000: (1, 2), 27_000: (2, 4), 28_000: (3, 6), 50_000: (5, 12)}
    returns = np.array([4.0, 6.0])
    frames = []
    for step, (bias, spread) in measured.items():
        pairs = {"step": step, "episode": 0, "episode_step": range(2), "monte_carlo": returns}
        estimates = returns + bias + spread * np.array([-1.0, 1.0])
        frames.append(pd.DataFrame({**pairs, "lower_bound": estimates, "min_q": estimates + 10.0}))
    store.write_values(run, pd.concat(frames))
    evidence, side = Evidence(store, "laptop"), Series("ALM(3)", "alm", estimate="lower_bound")
    pooled = evidence.pool(side, "HalfCheetah", "figure8")

    def read(*outcomes):
        return [float(score) for one in outcomes for score in one.scores(evidence, side, pooled)]

    assert read(BIAS, BIAS_STD) == pytest.approx([(0.3 + 0.5) / 2, (0.6 + 1.2) / 2], rel=1e-5)
    assert read(*BIAS_STD_BY_QUARTER) == pytest.approx([0.2, 0.4, 0.6, 1.2], rel=1e-5)
    assert read(BIAS_STD_GROWTH) == pytest.approx([0.9 / 0.3], rel=1e-5)
    # Each estimate of a run has a bias of its own.
    side = Series("ALM(3)", "alm", estimate="min_q")
    assert read(BIAS) == pytest.approx([1.4], rel=1e-5)


def test_the_deviation_over_episodes_is_of_the_last_tenth_of_the_steps(tmp_path, make_run):
    """Of (45,000, 50,000]: 4 and 6."""
    extra = {"eval/return_std": [90.0, 4.0, 6.0]}
    store = Store(tmp_path)
    store.write(make_run({45_000: 1.0, 47_500: 2.0, 50_000: 3.0}, scale="laptop", extra=extra))
    evidence, side = Evidence(store, "laptop"), Series("ALM(3)", "alm")
    found = EPISODE_SPREAD.scores(evidence, side, evidence.pool(side, "HalfCheetah", "figureG"))
    assert found.tolist() == [5.0]


@pytest.mark.parametrize(
    ("bias", "expected"), [(5.0, "supported"), (-60.0, "contradicted"), (19.0, "inconclusive")]
)
def test_a_good_estimate_is_within_a_fifth_of_the_return(values, bias, expected):
    values("alm", "lower_bound", 30.0, bias)
    found = verdict(values("alm", "lower_bound", 30.0, bias, task="Hopper"), "good estimate")
    assert found.verdict == expected
    assert f"HalfCheetah: bias of ALM(3) = {(bias + 1) / 100:.2f} [" in in_words(found.finding)


@pytest.mark.parametrize(
    ("lost", "verdict_", "said"),
    [(26, "supported", "25"), (4, "contradicted", "3"), (99, "supported", "50"), (17, "inconclusive", "16")],
)
def test_how_long_predictions_hold(add, lost, verdict_, said):
    """Counts of steps are never exact, so that equal ones can be tested; 50: all that were measured."""
    store = add([1.0, 2.0, 3.0])
    steps = np.arange(51)
    frame = pd.DataFrame({"step": steps} | dict.fromkeys(("encoded", "predicted", "sampled"), 0.0))
    frame["squared_error"] = np.where(steps == 0, np.nan, np.where(steps < lost, 0.5, 1.5))
    frame["divergence"] = 0.0
    for run in store.runs():
        store.write_latents(run, frame, "someone")
    found = verdict(store, "about 20 steps")
    # All seeds alike: what rounding hides of one is 1 / √12, so 4.303 / √36 = 0.7 to each side.
    interval = f"[{int(said) - 1}, {int(said) + 1}]"
    assert found.verdict == verdict_ and f"accurate steps of ALM(3) = {said} {interval}" in in_words(
        found.finding
    )


# --- The table ----------------------------------------------------------------------------------------------


def test_the_table_has_a_row_a_line_and_one_for_claims_without_evidence(add, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "benchmark_results", lambda _: {})
    add([1.0, 2.0, 3.0])
    add([4.0, 5.0, 6.0], variant="c-1")
    store = add([1.0], variant="reconstruction")
    table = claims_table(store, "laptop")
    assert table.name == "claims-laptop"
    labels = [row.label for row in table.rows]
    first = labels.index("Figure 11: ALM is robust to a range of coefficients c")
    lines = table.rows[first : labels.index("Figure 15: an aligned objective is superior to reconstruction")]
    assert [line.label for line in lines[1:]] == [""] and len({line.group for line in lines}) == 1
    assert [line.cells[0] for line in lines] == [
        "HalfCheetah: c = 1 − ALM(3)",
        "no finished run of c = 0.05, c = 0.15, c = 0.2, c = 0.5 on HalfCheetah",
    ]
    assert not any("the KL term is crucial" in row.label for row in table.blocks[0].rows)
    rows = table.blocks[0].rows
    shown = len({row.group for row in rows[:-1]})
    assert rows[-1].label == f"all else: {len(CLAIMS) - shown} claims"
    assert rows[-1].cells[-1] == "not enough runs"
    render(table, tmp_path, Console(quiet=True))
    written = pd.read_csv(tmp_path / "claims-laptop.csv")
    assert set(written["claim"]) == {claim.says for claim in CLAIMS}
    ours = written[written["compared"] == "HalfCheetah: c = 1 − ALM(3)"].iloc[0]
    # 3 more, errors 1 / √3 each, four degrees of freedom: t = 2.776.
    assert ours["difference"] == pytest.approx(3.0)
    assert ours["low"] == pytest.approx(3.0 - 2.776 * (2 / 3) ** 0.5, abs=0.001)


def test_a_p_value_is_never_written_as_zeros(add):
    add([100.0, 100.1, 100.2])
    rows = rows_of(verdict(add([1.0, 1.1, 1.2], variant="no-kl"), "KL term is crucial"))
    assert rows[0][COLUMNS.index("p (Holm)")] == "<0.001"
    assert [p_in_words(p) for p in (0.00099, 0.001, 0.25, 1.0)] == ["<0.001", "0.001", "0.250", "1.000"]


def test_a_scale_without_a_run_is_one_line(add, monkeypatch):
    store = add([1.0])
    monkeypatch.setattr(checks, "benchmark_results", lambda _: {})
    assert claims_table(store, "paper").name == "claims"
    rows = claims_table(store, "paper").blocks[0].rows
    assert [row.label for row in rows] == [f"all else: {len(CLAIMS)} claims"]
    costs = {name: {"step_ms": 1.0, "gflop": 1.0} for name in ("alm", "mbpo", "redq")}
    monkeypatch.setattr(checks, "benchmark_results", lambda _: {"costs": {"paper": costs}})
    rows = claims_table(store, "paper").blocks[0].rows
    assert [row.cells[-1] for row in rows] == [*["inconclusive"] * 3, "not enough runs"]
    assert rows[-1].label == f"all else: {len(CLAIMS) - 3} claims"


def test_claims_without_runs_are_listed_in_files_with_the_exhibits_to_plan(add, tmp_path, capsys):
    store = add([1.0], variant="reconstruction")
    assert main(["claims", "--store", str(store.root), "--out", str(tmp_path)]) == 0
    shown, suffixes = capsys.readouterr().out, {"paper": "", "laptop": "-laptop"}
    pages = {scale: (tmp_path / f"claims{suffix}.md").read_text() for scale, suffix in suffixes.items()}
    for scale, suffix in suffixes.items():
        listed = pages[scale].partition("## All else")[2]
        assert (
            f"| Figure 5a: the KL term is crucial | python -m reproduce plan figure5a --scale {scale} |"
            in listed
        )
        assert f"All else: {tmp_path}/claims{suffix}.md (also .csv and .tex)\n" in shown
    assert "plan figure5a" not in shown
    # A claim about two tasks of several figures, of which this scale may have none.
    says = "Section 5.3: the classifier term stabilises learning, especially on Ant and Walker"
    assert f"| {says} | python -m reproduce plan figure5a figure10a --scale paper |" in pages["paper"]
    assert f"| {says} | no exhibit has its runs at this scale |" in pages["laptop"]
    csv = pd.read_csv(tmp_path / "claims.csv").set_index("claim")
    assert csv.loc["MBPO fails to solve Humanoid and Ant", "exhibits"] == "figure3"


def test_a_scale_that_does_not_exist_is_refused(add):
    with pytest.raises(ValueError, match="no scale 'big'"):
        claims_table(add([1.0]), "big")


def test_no_word_of_the_table_is_broken_at_80_columns(add):
    add([1.0, 2.0, 3.0])
    store = add([1.0], variant="reconstruction")
    table, file = claims_table(store, "laptop"), io.StringIO()
    terminal(table, Console(width=80, file=file))
    words = file.getvalue().replace("│", " ").split()
    assert max(map(len, file.getvalue().splitlines())) <= 80
    texts = [text for row in table.blocks[0].rows for text in (row.label, *row.cells)]
    assert {word for text in texts for word in text.split()} <= set(words)


def test_claims_without_anything_to_go_by_are_listed_with_what_they_lack(tmp_path):
    """At smoke scale no cost of a step is recorded either."""
    table, some = (claims_table(Store(tmp_path), scale) for scale in ("smoke", "paper"))
    lacking = {row.label: row.cells[0] for row in table.blocks[-1].rows}
    assert lacking["Section 1: updates 10× faster than MBPO's"] == "no benchmark record"
    assert lacking["Figure 5a: the KL term is crucial"] == "python -m reproduce plan figure5a --scale smoke"
    frame, some = table.frame, some.frame
    assert frame["difference"].isna().all() and set(frame["claim"]) == {claim.says for claim in CLAIMS}
    assert frame.columns.tolist() == some.columns.tolist()
