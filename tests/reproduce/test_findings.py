"""What docs/findings.md says of a store: who is counted, who is ahead, and that a lack of runs is said."""

import pytest

from reproduce.exhibits.documents import findings
from reproduce.lab.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def add(store, make_run):
    """Store a run of some algorithm on HalfCheetah at laptop scale whose last return is given."""

    def add(algorithm, seed, value, steps=5000, **options):
        about = {"task": "HalfCheetah", "scale": "laptop", "final": {"final/return": value}} | options
        store.write(make_run({2500: 0.0, steps: value}, algorithm=algorithm, seed=seed, **about))

    return add


def wins(store):
    return findings.one_protocol(store)["wins"].splitlines()


def test_finished_runs_of_others_stand_beside_alm(store, add, make_run):
    assert findings.beside_alm(store).startswith("Not enough runs")
    for seed, value in enumerate((10.0, 30.0)):
        add("alm", seed, value)
        add("sac", seed, value + 5)
    add("td3", 0, 99.0, status="partial")
    header, _, *rows = findings.beside_alm(store).splitlines()
    assert header.startswith("| | steps | the other | ALM(3) |")
    assert len(rows) == 1
    assert rows[0].startswith("| SAC | 5,000 | 25 [15, 35], 2 seeds | 20 [10, 30], 2 seeds | +5 [")
    # By the mean over the last tenth of the steps, not by the last evaluation.
    for algorithm in ("alm", "sac"):
        for seed in range(3):
            store.write(make_run({4750: 0.0, 5000: 100.0}, algorithm=algorithm, seed=seed, scale="laptop"))
    assert "| SAC | 5,000 | 50 [50, 50], 3 seeds | 50 [50, 50], 3 seeds |" in findings.beside_alm(store)


def test_without_alm_nothing_is_compared(store, add):
    add("sac", 0, 1.0)
    assert findings.beside_alm(store).startswith("Not enough runs")


def test_a_task_is_won_by_the_highest_mean_of_complete_rows(store, add):
    """ALM's released curve on HalfCheetah is above 10,000 at 200k steps."""
    at_read_out = {"scale": "paper", "steps": 200_000}
    assert "the highest mean on 0 of the 0 tasks" in wins(store)[1]
    for algorithm, value in (("sac", 9000.0), ("td3", 8000.0)):
        add(algorithm, 0, value, **at_read_out)
    assert "the highest mean on 1 of the 1 tasks that have all three (HalfCheetah)" in "\n".join(wins(store))
    assert "; too few seeds for a test on HalfCheetah; no number for T-Humanoid" in wins(store)[1]
    for seed, value in ((1, 9300.0), (2, 9100.0)):
        add("sac", seed, value, **at_read_out)
    assert "; a lead of more than chance on HalfCheetah; no number" in wins(store)[1]
    add("sac", 2, 7000.0, **at_read_out)
    assert "; chance is not excluded on HalfCheetah; no number" in wins(store)[1]
    # By how much the worse of the two is behind plays no role.
    for seed in range(3):
        add("td3", seed, 9000.0 + seed, **at_read_out)
    assert "; a lead of more than chance on HalfCheetah; no number" in wins(store)[1]
    add("td3", 1, 16_000.0, **at_read_out)
    behind = "the highest mean on 0 of the 1 tasks that have all three; not on HalfCheetah"
    assert behind in wins(store)[1]
    # Printed seeds are of other tasks in part: a lead over them is not tested.
    assert "chance" not in wins(store)[0] and "seeds" not in wins(store)[0]


def test_a_task_that_is_won_by_the_last_tenth_of_the_steps_alone_is_named(store, make_run):
    """HalfCheetah: ALM ends below SAC, and was above it over the last tenth of the steps."""
    at = {"scale": "paper", "task": "HalfCheetah"}
    for seed in range(3):
        store.write(make_run({190_000: 300.0, 200_000: 100.0}, variant="quarter", seed=seed, **at))
        store.write(make_run({190_000: 0.0, 200_000: 150.0}, algorithm="sac", seed=seed, **at))
        store.write(make_run({190_000: 0.0, 200_000: 10.0}, algorithm="td3", seed=seed, **at))
    assert wins(store)[2].endswith(
        "on 0 of the 1 tasks that have all three; not on HalfCheetah; by the mean over the last tenth of the "
        "steps also on HalfCheetah; no number for T-Humanoid, T-Ant, Walker2d, Hopper."
    )


def test_a_rival_that_is_not_at_the_read_out_yet_is_no_number(store, add):
    at_read_out = {"scale": "paper", "steps": 200_000}
    add("sac", 0, 9000.0, **at_read_out)
    add("td3", 0, 8000.0, status="partial", **at_read_out | {"steps": 100_000})
    # Nor is one of another scale.
    add("td3", 0, 99.0, steps=50_000)
    measured = wins(store)[1]
    assert "on 0 of the 0 tasks" in measured and "no number for T-Humanoid, T-Ant, HalfCheetah" in measured


def test_where_no_curve_of_alm_was_released_its_printed_cell_stands(store, add):
    at_read_out = {"scale": "paper", "steps": 200_000, "task": "Hopper"}
    for algorithm, value in (("sac", 100.0), ("td3", 200.0)):
        add(algorithm, 0, value, **at_read_out)
    assert "the highest mean on 1 of the 1 tasks that have all three (Hopper)" in "\n".join(wins(store))
    assert "; ALM's printed number stands for Hopper; " in wins(store)[1]
    hopper = findings.one_protocol(store)["one-protocol"].splitlines()[-1]
    assert hopper.startswith("| Hopper | 2546 ± 1074 (printed) | missing | 788 ± 977 | 100<br>(1 of 5 seeds")


def test_smaller_alm_counts_where_it_was_measured_to_the_read_out(store, add):
    at_read_out = {"scale": "paper", "steps": 200_000}
    for task in ("Hopper", "Walker2d", "HalfCheetah"):
        add("sac", 0, 100.0, **at_read_out, task=task)
        add("td3", 0, 200.0, **at_read_out, task=task)
    assert len(wins(store)) == 2
    quarter = {"variant": "quarter", "scale": "paper"}
    for seed in (0, 1):
        add("alm", seed, 400.0 + seed, steps=200_000, **quarter, task="Hopper")
        add("alm", seed, 150.0, steps=200_000, **quarter, task="Walker2d")
    add("alm", 0, 900.0, steps=100_000, status="partial", **quarter, task="HalfCheetah")
    smaller = wins(store)[2]
    assert smaller.startswith("- ALM(3) quarter, beside SAC and TD3 of full size, all measured here: the")
    assert "highest mean on 1 of the 2 tasks that have all three (Hopper)" in smaller
    assert "; not on Walker2d; " in smaller
    assert smaller.endswith("no number for T-Humanoid, T-Ant, HalfCheetah.")
    *_, halfcheetah, walker, hopper = findings.one_protocol(store)["one-protocol"].splitlines()
    assert "| 900<br>(1 of 5 seeds, 100k of 200k steps)<br>w 900 |" in halfcheetah
    assert "| 150 ± 0<br>(2 of 5 seeds, 200k steps)<br>w 150 ± 0 | 166 ± 1318 |" in walker
    assert "| 400 ± 1<br>(2 of 5 seeds, 200k steps)<br>w 400 ± 1 | 788 ± 977 |" in hopper


def test_what_the_paper_says_of_the_terms_and_in_appendix_g_has_a_block_each(store, add):
    for seed, value in enumerate((10.0, 20.0, 30.0)):
        add("alm", seed, value, steps=50_000)
        add("alm", seed, value - 500.0, steps=50_000, variant="no-kl")
        add("alm", seed, value + 500.0, steps=50_000, variant="relu")
    blocks = findings.claims(store)
    assert list(blocks) == ["settled", "ablations", "appendix-g"]
    assert "the KL term is crucial" in blocks["settled"] and "| supported |" in blocks["settled"]
    assert "classifier" not in blocks["settled"]
    for name, claims, says in (
        ("ablations", 3, "| Figure 5a: the KL term is crucial | HalfCheetah: ALM(3) − no KL | +500 ["),
        ("appendix-g", 7, "more sample efficient than ReLU | HalfCheetah: area of ALM(3) − ReLU | -250 ["),
    ):
        header, _, *rows = blocks[name].splitlines()
        assert header.startswith("| the paper says | compared | difference of means |")
        assert len(rows) == claims
        assert any(says in row for row in rows), rows
