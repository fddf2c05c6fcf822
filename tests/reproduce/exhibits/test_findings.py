"""What docs/findings.md says of a store: who is counted, who is ahead, and that a lack of runs is said."""

import pytest

from reproduce.exhibits.documents import findings
from reproduce.lab.published import authors_curves
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


AT_READ_OUT = {"scale": "paper", "steps": 200_000}


def rows_of(store, block):
    """Cells of a block's table by task."""
    _, _, *rows = findings.one_protocol(store)[block].splitlines()
    return {task: cells for task, *cells in (row.strip("| ").split(" | ") for row in rows)}


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


def test_leads_along_the_way_are_over_the_better_at_each_evaluation(store, make_run):
    """Of the authors' curve, evaluation by evaluation, and of the smaller ALM, where either is known."""

    def rows():
        _, _, *rows = findings.leads_along_the_way(store).splitlines()
        return {task: cells for task, *cells in (row.strip("| ").split(" | ") for row in rows)}

    def add(algorithm, seed, early, late, task="Walker2d", variant="base", last=200_000):
        returns = {step: early if step <= 150_000 else late for step in range(5000, last + 1, 5000)}
        about = {"task": task, "scale": "paper", "seed": seed}
        store.write(make_run(returns, algorithm=algorithm, variant=variant, **about))

    for seed, value in enumerate((900.0, 1100.0)):
        add("sac", seed, value, value)  # a mean of 1000
    add("sac", 2, 9e9, 9e9, last=195_000)  # has not reached the read-out
    assert not rows()
    add("td3", 0, 500.0, 3000.0)
    frame = authors_curves()
    frame = frame[(frame["task"] == "Walker2d") & (frame["step"] > 100_000) & (frame["step"] <= 200_000)]
    leads = [
        value - (1000.0 if step <= 150_000 else 3000.0)
        for step, value in zip(frame["step"], frame["return_mean"], strict=True)
    ]
    assert len(leads) == 20
    ahead = sum(lead > 0 for lead in leads)
    assert 0 < ahead < 20
    assert rows() == {"Walker2d": [f"{sum(leads) / 20:+.0f} (ahead at {ahead} of 20)", "–"]}
    add("alm", 0, 800.0, 3500.0, variant="quarter")
    assert rows()["Walker2d"][1] == "+150 (ahead at 10 of 20)"
    # Of Hopper the authors released no curve.
    for algorithm in ("sac", "td3"):
        add(algorithm, 0, 10.0, 10.0, task="Hopper")
    assert list(rows()) == ["Walker2d"]
    add("alm", 0, 13.0, 11.0, task="Hopper", variant="quarter")
    assert rows()["Hopper"] == ["–", "+2 (ahead at 20 of 20)"]


def test_a_lead_is_over_the_better_of_two_and_tested_if_seeds_suffice(store, add):
    """ALM's released curve on HalfCheetah has 10,548 ± 360 with five seeds at 200k steps."""

    def lead():
        return rows_of(store, "leads")["HalfCheetah"][0]

    assert lead() == "–"
    add("sac", 0, 9000.0, **AT_READ_OUT)
    assert lead() == "–"
    add("td3", 0, 8000.0, **AT_READ_OUT)
    assert lead() == "+1548 (SAC), too few seeds for a test"
    for seed, value in ((1, 9300.0), (2, 9100.0)):
        add("sac", seed, value, **AT_READ_OUT)
    # scipy.stats.ttest_ind_from_stats says the same of 10548 ± 360 (5) and these.
    assert lead().startswith("+1415 [") and lead().endswith("] (SAC), p < 0.001")
    add("sac", 2, 7000.0, **AT_READ_OUT)
    assert lead().endswith("] (SAC), p = 0.093")
    # By how much the worse of the two is behind plays no role.
    for seed in range(3):
        add("td3", seed, 9000.0 + seed, **AT_READ_OUT)
    assert lead().endswith("] (TD3), p < 0.001")
    add("td3", 1, 16_000.0, **AT_READ_OUT)
    assert lead().startswith("-786 [")


def test_a_lead_over_published_sac_needs_no_runs(store):
    over_published = {task: cells[1] for task, cells in rows_of(store, "leads").items()}
    assert over_published["HalfCheetah"].startswith("+2869 [")
    assert over_published["HalfCheetah"].endswith("] (SAC), p < 0.001")
    # Nothing published is on a task like this one.
    assert over_published["T-Humanoid"] == "–"


def test_a_rival_that_is_not_at_the_read_out_yet_is_no_number(store, add):
    add("sac", 0, 9000.0, **AT_READ_OUT)
    add("td3", 0, 8000.0, status="partial", **AT_READ_OUT | {"steps": 100_000})
    # Nor is one of another scale.
    add("td3", 0, 99.0, steps=50_000)
    assert rows_of(store, "leads")["HalfCheetah"][0] == "–"
    assert rows_of(store, "returns")["HalfCheetah"][3] == "8000 (1 seed, 100k of 200k steps)"


def test_where_no_curve_of_alm_was_released_its_printed_cell_stands(store, add):
    for algorithm, value in (("sac", 100.0), ("td3", 200.0)):
        add(algorithm, 0, value, **AT_READ_OUT, task="Hopper")
    assert rows_of(store, "leads")["Hopper"][0] == "+2346 (TD3), too few seeds for a test"
    full = ["2546 ± 1074 (printed)", "missing", "788 ± 977", "100<br>(1 of 5 seeds, 200k steps)<br>w 100"]
    assert rows_of(store, "one-protocol")["Hopper"][:4] == full
    assert rows_of(store, "returns")["Hopper"] == [*full[:2], "100 (1 seed)", "200 (1 seed)"]


def test_smaller_alm_counts_where_it_was_measured_to_the_read_out(store, add):
    for task in ("Hopper", "Walker2d", "HalfCheetah"):
        add("sac", 0, 100.0, **AT_READ_OUT, task=task)
        add("td3", 0, 200.0, **AT_READ_OUT, task=task)
    quarter = {"variant": "quarter", "scale": "paper"}
    for seed in (0, 1):
        add("alm", seed, 400.0 + seed, steps=200_000, **quarter, task="Hopper")
        add("alm", seed, 150.0, steps=200_000, **quarter, task="Walker2d")
    add("alm", 0, 900.0, steps=100_000, status="partial", **quarter, task="HalfCheetah")
    leads = {task: cells[2] for task, cells in rows_of(store, "leads").items()}
    few = "too few seeds for a test"
    assert leads["Hopper"] == f"+200 (TD3), {few}" and leads["Walker2d"] == f"-50 (TD3), {few}"
    assert leads["HalfCheetah"] == leads["T-Ant"] == "–"
    full = {task: cells[1] for task, cells in rows_of(store, "one-protocol").items()}
    assert full["HalfCheetah"] == "900<br>(1 of 5 seeds, 100k of 200k steps)<br>w 900"
    assert full["Walker2d"] == "150 ± 0<br>(2 of 5 seeds, 200k steps)<br>w 150 ± 0"


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
