"""What a notebook gets of runs that a test has stored; the examples get it of those in the repository."""

import pytest

import reproduce
from reproduce import api
from reproduce.exhibits.pooling import StoreMixError
from reproduce.lab.store import Store

IDEA = "alm/my-idea"


@pytest.fixture
def own(tmp_path, monkeypatch, make_run):
    """One's own runs beside shipped ones: an idea and, shipped, what it is compared with."""
    for name in ("OWN", "SHIPPED"):
        monkeypatch.setattr(f"reproduce.lab.store.{name}", tmp_path / name)
    own, shipped = Store(tmp_path / "OWN"), Store(tmp_path / "SHIPPED")
    for seed in range(3):
        own.write(make_run({9500: 30.0, 10000: 50.0}, variant="my-idea", seed=seed, scale="laptop"))
        shipped.write(make_run({9500: 10.0, 10000: 20.0}, seed=seed, scale="laptop"))
    own.write(make_run({5000: 7.0}, variant="my-idea", task="Hopper", status="partial"))


def test_curves_are_a_row_an_evaluation(own):
    curves = reproduce.load_curves(variant="my-idea")
    assert curves.to_dict("tight")["data"] == [
        *(
            ["alm", "my-idea", "HalfCheetah", "laptop", seed, step, value, "done", True]
            for seed in range(3)
            for step, value in ((9500, 30.0), (10000, 50.0))
        ),
        ["alm", "my-idea", "Hopper", "paper", 0, 5000, 7.0, "partial", True],
    ]


def test_curves_are_of_what_was_asked_for(own):
    assert reproduce.load_curves(scale="paper")["return"].tolist() == [7.0]
    shipped = reproduce.load_curves(own=False)
    assert {*shipped["variant"]} == {"base"} and not shipped["own"].any()
    assert len(reproduce.load_curves()) == len(shipped) + 7


def test_curves_of_a_variant_are_found_however_its_settings_are_written(own, tmp_path, make_run):
    Store(tmp_path / "OWN").write(make_run({5000: 3.0}, variant="my-idea[horizon=7]"))
    assert reproduce.load_curves(variant="my-idea[horizon=7.0]")["return"].tolist() == [3.0]


def test_curves_have_further_columns_where_a_run_has_them(own, tmp_path, make_run):
    extra = {"loss/critic": [float("nan"), 0.5]}
    Store(tmp_path / "OWN").write(make_run({5000: 1.0, 6000: 2.0}, task="Ant", extra=extra))
    frame = reproduce.load_curves(
        scale="paper", columns=["eval/length", "loss/critic", "step", "eval/length"]
    )
    assert [*frame.columns][-2:] == ["eval/length", "loss/critic"] and len(frame.columns) == 11
    assert frame["eval/length"].tolist() == [1000.0] * 3
    assert frame.set_index(["task", "step"])["loss/critic"].dropna().to_dict() == {("Ant", 6000): 0.5}
    with pytest.raises(
        ValueError, match=r"No run .* column 'loss/critics' \(did you mean 'loss/critic'\?\); the"
    ):
        reproduce.load_curves(columns=["loss/critics"])
    assert "loss/critic" in reproduce.load_curves(scale="smoke", columns="loss/critic")


def test_published_curves_are_means_of_the_authors_and_seeds_of_others():
    """From the row of 195,000 logged steps in authors_curves.csv, and a row of field_curves.csv."""
    curves = reproduce.published_curves()
    assert set(curves["source"]) == {"authors", "field"}
    alm = curves[(curves["algorithm"] == "ALM(3)") & (curves["task"] == "T-Ant")].set_index("step")
    assert alm.loc[200_000, ["return", "return_std", "seeds"]].tolist() == [5073.7, 350.7, 5]
    assert alm["seed"].isna().all()
    sac = curves[(curves["algorithm"] == "SAC") & (curves["task"] == "HalfCheetah-v4")]
    last = sac[sac["step"] == 199_992]
    assert last["return"].mean() == pytest.approx(7679.4) and last["seed"].nunique() == 10
    assert set(last["seeds"]) == {1} and last["return_std"].isna().all()


def test_several_tasks_are_compared_at_once(own, tmp_path, make_run):
    for store, variant in (("OWN", "my-idea"), ("SHIPPED", "base")):
        Store(tmp_path / store).write(make_run({9500: 1.0}, variant=variant, task="Ant", scale="laptop"))
    rows = reproduce.compare(IDEA, "alm", task=["HalfCheetah", "Ant"])
    assert rows["task"].tolist() == ["HalfCheetah", "Ant", "all"]


def test_what_a_comparison_leaves_out_is_a_warning(own, tmp_path, make_run):
    """A failed seed, and a task on which there is nothing to compare with."""
    Store(tmp_path / "OWN").write(
        make_run({9500: 1.0}, variant="my-idea", seed=3, scale="laptop", status="failed", reason="NaN")
    )
    with pytest.warns(UserWarning, match="eft out") as said:
        rows = reproduce.compare(IDEA, "alm", task=["HalfCheetah", "Hopper"])
    assert [str(one.message) for one in said] == [
        "Hopper is left out: no run of alm/my-idea, ALM(3).",
        "Left out because they failed, so that a side looks better than it is: "
        "seed 3 of alm/my-idea on HalfCheetah.",
    ]
    assert {one.filename for one in said} == {__file__}
    assert rows["task"].tolist() == ["HalfCheetah", "1 of 2"]


def test_a_comparison_is_of_the_metric_and_the_runs_that_were_asked_for(own):
    def means(**options):
        row = reproduce.compare(IDEA, "alm", task="HalfCheetah", **options).iloc[0]
        return row["first_mean"], row["second_mean"]

    assert means() == (50.0, 20.0)
    assert means(metric="window") == (40.0, 15.0)  # the mean of the evaluations after step 9000
    with pytest.raises(ValueError, match="my-idea"):
        means(own=False)


def test_a_figure_is_drawn_as_it_was_asked_for(own, monkeypatch):
    asked = []

    def drawn(figure, store, bias, scale):
        asked.append((figure.name, {run.own for run in store.runs()}, bias, scale))
        return []

    monkeypatch.setattr(api, "drawn", drawn)
    with pytest.raises(ValueError, match="no picture of figure4 at laptop scale"):
        reproduce.figure("4", scale="laptop", bias="per-state", own=False)
    assert asked[0] == ("figure4", {False}, "per-state", "laptop")


def test_of_several_pictures_one_is_named(own, tmp_path, make_run):
    Store(tmp_path / "OWN").write(make_run({5000: 3.0, 7500: 4.0}, algorithm="sac", scale="laptop"))
    with pytest.raises(
        ValueError, match=r"several pictures at laptop scale; name one of curves-alm, curves-sac"
    ):
        reproduce.figure("curves", scale="laptop")
    (panel,) = reproduce.figure("curves-sac", scale="laptop").axes
    assert [line.get_label() for line in panel.lines] == ["SAC"]
    with pytest.raises(ValueError, match="no picture of curves-sac at paper scale: no such run is stored"):
        reproduce.figure("curves-sac", scale="paper")
    # Without a scale, where there is a picture.
    assert reproduce.figure("curves-sac").axes


def test_a_plan_is_named_of_what_can_be_planned(own):
    for name, plan in (("5a", True), ("authors", False)):
        with pytest.raises(ValueError, match="no picture of .* at laptop scale: no") as error:
            reproduce.figure(name, scale="laptop")
        assert ("reproduce plan" in str(error.value)) == plan


def test_a_table_is_a_row_a_number(own, tmp_path, make_run):
    Store(tmp_path / "OWN").write(make_run({200_000: 9.0}, task="Ant", algorithm="sac"))
    Store(tmp_path / "OWN").write(make_run({200_000: 7.0}, task="T-Ant", algorithm="sac"))
    for name in (1, "table1"):
        rows = reproduce.table(name)
        (cell,) = rows[rows["own"] > 0].to_dict("records")
        assert (cell["algorithm"], cell["task"], cell["mean"], cell["own"]) == ("SAC", "T-Ant", 7.0, 1)
    assert not (reproduce.table(1, own=False)["own"] > 0).any()
    assert set(reproduce.table("table1-mbbl")["task"]) >= {"mbbl/Hopper-ET"}
    with pytest.raises(ValueError, match="There is no .*'9'"):
        reproduce.table(9)


def test_claims_are_judged_at_a_scale(own):
    rows = reproduce.claims("laptop")
    assert {"claim", "verdict"} <= set(rows.columns) and "the KL term is crucial" in set(rows["claim"])
    with pytest.raises(ValueError, match="There is no scale 'lap'"):
        reproduce.claims("lap")


def test_a_figure_is_named_by_its_number_too(own):
    for number in (5, "5", "figure5"):
        with pytest.raises(ValueError, match=f"^{number} is several figures; name one of figure5a, figure5b"):
            reproduce.figure(number)
    assert reproduce.figure(6).axes


def test_a_figure_without_its_point_says_which_runs_it_lacks(own):
    why = (
        r"at laptop scale: no run of ALM\(1\), ALM\(2\), ALM\(4\), ALM\(5\) is stored; 27 of its 30 runs lack"
    )
    with pytest.raises(ValueError, match=why):
        reproduce.figure("5b", scale="laptop")
    with pytest.raises(
        ValueError, match="no picture of figure5b: no.*--scale paper; no run of .*--scale laptop"
    ):
        reproduce.figure("5b")


def test_what_is_not_there_is_named_with_what_is(own):
    with pytest.raises(ValueError, match="no metric 'windows'; the metrics are return, window"):
        reproduce.compare(IDEA, "alm", task="HalfCheetah", metric="windows")
    with pytest.raises(ValueError, match="no bias 'REDQ'; its definitions are redq, paper"):
        reproduce.figure("4", bias="REDQ")
    with pytest.raises(
        ValueError, match=r"no figure '99' \(did you mean '9'\?\); the figures are .*figure5a"
    ):
        reproduce.figure("99")
    with pytest.raises(
        ValueError, match="'alm/my-id' is a variant: give algorithm 'alm' and variant 'my-id'"
    ):
        reproduce.load_curves(algorithm="alm/my-id")


def test_runs_that_may_not_be_mixed_are_no_picture_of_the_other_scale(own, tmp_path, make_run):
    def store(scale, *protocols):
        for seed, protocol in enumerate(protocols):
            about = {"algorithm": "sac", "seed": seed, "scale": scale, "protocol": protocol}
            Store(tmp_path / "OWN").write(make_run({5000: 3.0, 7500: 4.0}, task="Hopper", **about))

    store("laptop", "v2-old", "v2-new")
    with pytest.raises(ValueError, match="no picture of figure9 at paper scale: none"):
        reproduce.figure("9", scale="paper")
    with pytest.raises(StoreMixError):
        reproduce.figure("9")
    store("paper", "v2-new")
    assert reproduce.figure("9").axes
    with pytest.raises(StoreMixError):
        reproduce.figure("9", scale="laptop")
    # Nor does laptop scale, which has a picture now, stand in for the paper's.
    store("paper", "v2-old", "v2-new")
    store("laptop", "v2-new", "v2-new")
    assert reproduce.figure("9", scale="laptop").axes
    with pytest.raises(StoreMixError):
        reproduce.figure("9")
