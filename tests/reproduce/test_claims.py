"""Claims: each verdict from synthetic runs whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from reproduce.exhibits import claims
from reproduce.exhibits.claims import CLAIMS, Evidence, claims_table
from reproduce.exhibits.writing import render
from reproduce.lab.store import Store


@pytest.fixture
def add(tmp_path, make_run):
    """Stores finished laptop runs whose last returns are given, a seed each; returns the store."""
    store = Store(tmp_path / "runs")

    def add(returns, algorithm="alm", variant="base", task="HalfCheetah", curve=None, **options):
        for seed, value in enumerate(returns):
            steps = curve or {5000: 0.0, 19_000: value, 20_000: value}
            count = len(steps)
            extra = {"time/evaluation_s": [0.0] * count, "time/update_ms": [1.0] * count}
            run = make_run(
                steps,
                algorithm=algorithm,
                variant=variant,
                task=task,
                seed=seed,
                scale="laptop",
                extra=extra,
                provenance={"population": 1},
                **options,
            )
            store.write(run)
        return store

    return add


def verdict(store, says):
    (claim,) = [one for one in CLAIMS if says in one.says]
    return claim.check(Evidence(store, "laptop"))


def test_a_difference_whose_interval_is_above_zero_supports(add):
    add([100.0, 110.0, 120.0])
    store = add([10.0, 11.0, 12.0], variant="no-kl")
    found = verdict(store, "KL term is crucial")
    assert found.verdict == "supported" and found.seeds == "3 and 3"
    assert found.text.startswith("HalfCheetah: ALM(3) − no KL = +99 [")


def test_a_difference_whose_interval_holds_zero_does_not(add):
    add([100.0, 0.0, 120.0])
    store = add([50.0, 60.0, 90.0], variant="no-kl")
    assert verdict(store, "KL term is crucial").verdict == "not supported"


def test_two_seeds_or_unfinished_runs_are_not_enough(add):
    add([100.0, 110.0, 120.0])
    assert verdict(add([1.0, 2.0], variant="no-kl"), "KL term is crucial").verdict == "not enough runs"
    unfinished = {5000: 0.0, 19_000: 1.0}
    store = add([1.0, 2.0, 3.0], variant="no-kl", curve=unfinished, status="partial")
    found = verdict(store, "KL term is crucial")
    nothing = ("no finished run of no KL on HalfCheetah", "none on both sides", "not enough runs")
    assert (found.text, found.seeds, found.verdict) == nothing
    failed = {"status": "failed", "reason": "loss/actor is not finite at step 20000"}
    store = add([1.0, 2.0, 3.0], variant="no-kl", **failed)
    assert verdict(store, "KL term is crucial").text == nothing[0]


def test_what_has_no_run_is_said_once(add):
    """ALM lacks runs on every task, rivals on some: one clause for each set of tasks."""
    add([1.0, 2.0, 3.0], algorithm="redq")
    store = add([1.0, 2.0, 3.0], algorithm="redq", task="Hopper")
    found = verdict(store, "REDQ and MBPO")
    assert found.text == "no finished run of ALM(3), MBPO on HalfCheetah, Hopper"
    found = verdict(add([4.0, 5.0, 6.0], task="Hopper"), "REDQ and MBPO")
    assert found.text.startswith("Hopper: ALM(3) − REDQ = +3 [")
    assert found.text.endswith(
        "; no finished run of ALM(3) on HalfCheetah; no finished run of MBPO on HalfCheetah, Hopper"
    )
    assert found.seeds == "3 and 3"


def test_about_the_same_has_a_margin(add):
    add([100.0, 101.0, 102.0])
    assert verdict(add([95.0, 96.0, 97.0], variant="no-value"), "little effect").verdict == "supported"
    assert verdict(add([70.0, 71.0, 72.0], variant="no-value"), "little effect").verdict == "not supported"
    better = add([170.0, 171.0, 172.0], variant="no-value")
    assert verdict(better, "little effect").verdict == "not supported"
    # Doing no worse is one-sided.
    assert verdict(add([170.0, 171.0, 172.0], variant="linear-classifier"), "linear").verdict == "supported"
    assert verdict(add([70.0, 71.0, 72.0], variant="linear-classifier"), "linear").verdict == "not supported"


def test_the_best_length_is_looked_up(add):
    for k, value in ((1, 1.0), (2, 2.0), (4, 4.0), (5, 5.0)):
        add([value] * 3, variant=f"k{k}")
    assert verdict(add([3.0] * 3), "K = 3 is best").verdict == "not supported"
    assert verdict(add([9.0] * 3), "K = 3 is best").verdict == "supported"


def test_table1_needs_every_row_on_every_task(add):
    store = add([100.0, 110.0, 120.0])
    found = verdict(store, "4/5 tasks")
    assert found.verdict == "not enough runs" and found.seeds == "0 of 5 tasks"
    for task in ("T-Humanoid", "T-Ant", "HalfCheetah", "Walker2d", "Hopper"):
        add([100.0, 110.0, 120.0], task=task)
        for rival in ("sac-svg2", "sac-svg3", "svg", "td3", "sac"):
            add([10.0, 11.0, 12.0], algorithm=rival, task=task)
    assert verdict(store, "4/5 tasks").verdict == "supported"
    for task in ("T-Ant", "Hopper"):
        add([500.0, 501.0, 502.0], algorithm="td3", task=task)
    found = verdict(store, "4/5 tasks")
    assert found.verdict == "not supported" and found.text.startswith("surely best on 3 of the 5 tasks")


def test_costs_are_the_benchmark_s(add, monkeypatch):
    store = add([1.0])
    costs = {"alm": {"step_ms": 10.0, "gflop": 2.0}, "redq": {"step_ms": 55.0, "gflop": 1.0}}
    monkeypatch.setattr(claims, "_benchmark", lambda: {"costs": {"laptop": costs}})
    found = verdict(store, "faster than REDQ")
    assert found.verdict == "supported"
    assert found.text.startswith("5.50× the time") and "0.50× its matrix products" in found.text
    costs["redq"]["step_ms"] = 30.0
    found = verdict(store, "faster than REDQ")
    assert found.verdict == "not measured" and "GPU of the claim was not at hand" in found.text
    assert verdict(store, "faster than MBPO").verdict == "not measured"


def test_the_time_to_sac_s_return(add):
    """The fixture's clock is step / 100 seconds: ALM gets there at 8000 steps, SAC at 19,000."""
    fast = {5000: 0.0, 8000: 95.0, 19_000: 100.0, 20_000: 100.0}
    slow = {5000: 0.0, 8000: 5.0, 19_000: 100.0, 20_000: 100.0}
    for task in ("HalfCheetah", "Hopper"):
        add([0.0] * 3, curve=fast, task=task)
        store = add([0.0] * 3, algorithm="sac", curve=slow, task=task)
    assert verdict(store, "50 % less time").verdict == "supported"
    store = add([0.0] * 3, curve=slow, task="Hopper")
    found = verdict(store, "50 % less time")
    assert (
        found.verdict == "not supported" and "Hopper: 3.2 min against 3.2 min to a return of 90" in found.text
    )
    store = add([1.0] * 3, task="Hopper")
    assert "Hopper: never against 3.2 min" in verdict(store, "50 % less time").text
    store = add([-5.0] * 3, algorithm="sac", task="Hopper")
    found = verdict(store, "50 % less time")
    assert found.verdict == "not enough runs" and "Hopper: SAC's runs are too short" in found.text


def test_the_deviation_of_the_bias(add):
    for algorithm, column, spread in (
        ("alm", "lower_bound", 1.0),
        ("redq", "mean_q", 50.0),
        ("sac-avg", "mean_q", 60.0),
    ):
        for task in ("HalfCheetah", "Hopper"):
            store = add([1.0, 2.0, 3.0], algorithm=algorithm, task=task)
            for run in store.runs(algorithm=algorithm, task=task):
                returns = np.array([90.0, 110.0])
                estimate = returns + spread * np.array([-1.0, 1.0]) + run.spec.seed
                pairs = {"step": 20_000, "episode": 0, "episode_step": range(2), "monte_carlo": returns}
                store.write_values(run, pd.DataFrame({**pairs, column: estimate}))
    found = verdict(store, "deviation of the bias")
    assert found.verdict == "supported" and "HalfCheetah: ALM(3) − REDQ = -0.49 [" in found.text


@pytest.mark.parametrize(
    ("lost", "verdict_", "said"),
    [(25, "supported", "25"), (3, "not supported", "3"), (99, "supported", "more than 50")],
)
def test_how_long_predictions_hold(add, lost, verdict_, said):
    store = add([1.0, 2.0, 3.0])
    steps = np.arange(51)
    frame = pd.DataFrame({"step": steps} | dict.fromkeys(("encoded", "predicted", "sampled"), 0.0))
    frame["squared_error"] = np.where(steps == 0, np.nan, np.where(steps < lost, 0.5, 1.5))
    frame["divergence"] = 0.0
    for run in store.runs():
        store.write_latents(run, frame, "someone")
    found = verdict(store, "about 20 steps")
    assert found.verdict == verdict_ and f"after {said}, {said}, {said} steps" in found.text


def test_the_table_has_a_row_a_claim(add, tmp_path):
    table = claims_table(add([1.0]), "laptop")
    assert len(table.frame) == len(CLAIMS) and table.name == "claims-laptop"
    assert set(table.frame["verdict"]) <= {"supported", "not supported", "not enough runs", "not measured"}
    render(lambda: table, tmp_path, Console(quiet=True))
    assert (tmp_path / "claims-laptop.md").exists()
    assert claims_table(add([1.0]), "paper").name == "claims"
