"""Exhibits as declarations: what they need, and that they fit tasks, algorithms and print."""

import pytest

from alm.task_registry import TASKS, task_spec
from alm.training.scale import SCALES
from paper_figures import learning_curves
from reproduce.cli import _one_spelling
from reproduce.exhibits.catalogue import (
    EXHIBITS,
    FIGURES,
    TABLE1,
    TABLE1_MBBL,
    TABLE5,
    exhibits_named,
)
from reproduce.exhibits.coverage import coverage, missing_of, why_nothing_shown
from reproduce.lab.algorithms import run_length, variant_named
from reproduce.lab.published import printed_scores
from reproduce.lab.specs import RunSpec, variant_parts
from reproduce.lab.store import Store


def test_table1_needs_five_seeds_a_task_of_what_can_be_trained_at_paper_scale():
    needs = TABLE1.needs("paper")
    assert len(needs) == 175
    first = next(iter(needs))
    assert first == RunSpec(algorithm="alm", variant="base", task="T-Humanoid", seed=0, scale="paper")
    assert {spec.seed for spec in needs} == set(range(5))


def test_paper_scale_is_read_at_200k_and_others_at_the_end_of_their_runs():
    assert TABLE1.step("paper") == 200_000
    assert TABLE1.step("laptop") == SCALES["laptop"].total_steps
    assert {spec.seed for spec in TABLE1.needs("laptop")} == set(SCALES["laptop"].seeds)


def test_unknown_scales_and_exhibits_are_refused():
    with pytest.raises(ValueError, match="laptop"):
        TABLE1.needs("labtop")
    with pytest.raises(
        ValueError,
        match=r"\(did you mean 'table5' or 'figure5a' or 'figure5b' or 'figure5c'\?\); the exhibits are",
    ):
        exhibits_named("5")
    with pytest.raises(ValueError, match=r"'figur3' \(did you mean 'figure3'\?\)"):
        exhibits_named("figur3")
    for word in ("", "99", "table", "figure5d"):
        with pytest.raises(ValueError, match="There is no exhibit"):
            exhibits_named(word)
    with pytest.raises(ValueError, match="figure5a"):
        exhibits_named("figure")


def test_a_figure_of_parts_is_all_of_them():
    assert [one.name for one in exhibits_named("figure5")] == ["figure5a", "figure5b", "figure5c"]
    assert [one.name for one in exhibits_named("figure10")] == ["figure10a", "figure10b", "figure10c"]
    assert exhibits_named("figure5a") == exhibits_named("5a") == [EXHIBITS["figure5a"]]
    assert [one.name for one in exhibits_named("10")] == ["figure10a", "figure10b", "figure10c"]
    assert [one.name for word in ("1", "1-mbbl", "G") for one in exhibits_named(word)] == [
        "table1",
        "table1-mbbl",
        "figureG",
    ]


def test_all_of_a_kind_have_a_name():
    every = [one.name for kind in ("tables", "figures") for one in exhibits_named(kind)]
    assert sorted(every) == sorted(EXHIBITS)


@pytest.mark.parametrize("name", EXHIBITS)
def test_the_name_of_an_exhibit_is_a_command(name):
    command, word = _one_spelling([name])
    assert command == ("table" if name.startswith("table") else "figure")
    assert [one.name for one in exhibits_named(word)] == [name]


@pytest.mark.parametrize("table", [TABLE1, TABLE5], ids=["table1", "table5"])
def test_tasks_are_registered_and_methods_are_the_printed_ones(table):
    assert set(table.tasks) <= set(TASKS)
    printed = [(cell.algorithm, cell.task) for cell in printed_scores(table.number)]
    of_the_paper = [one for one in table.series if not one.added]
    assert printed == [(one.label, task) for one in of_the_paper for task in table.columns]


def test_smaller_alm_is_a_row_of_paper_scale_alone():
    for scale, there in (("paper", True), ("laptop", False)):
        assert ("quarter" in {spec.variant for spec in TABLE1.needs(scale)}) == there
    assert not any(one.added for one in TABLE1_MBBL.series)


def test_smaller_alm_is_read_where_the_tables_are_in_its_figure(tmp_path, make_run):
    """A run that ends at the read-out is complete for it, though its scale goes on to 300k steps."""
    figure, store = EXHIBITS["figureQ"], Store(tmp_path)
    assert set(figure.needs("paper").values()) == {200_000}
    store.write(make_run({5000: 1.0, 200_000: 2.0}, variant="quarter", task="Hopper", status="partial"))
    assert coverage(figure, store, "paper").text == "1 of 75"
    curves = learning_curves.data(figure, store, "paper").curves
    (curve,) = (one for one in curves if one.seeds)
    assert (curve.last_step, curve.total_steps) == (200_000, 200_000)
    # Where runs go on, as Figure 9 asks of SAC's, the curve ends there.
    store.write(make_run({200_000: 3.0, 260_000: 9.0}, algorithm="sac", task="Hopper", status="partial"))
    points = learning_curves.data(figure, store, "paper").points
    assert points[points["series"] == "SAC"]["return"].tolist() == [3.0]


def test_tasks_that_the_paper_lacks_are_measured_at_other_scales_only():
    assert "HalfCheetah" not in {spec.task for spec in TABLE5.needs("paper")}
    assert "HalfCheetah" in {spec.task for spec in TABLE5.needs("laptop")}


def test_every_figure_of_the_paper_that_shows_something_is_there():
    numbers = {str(n) for n in range(3, 21)} - {"5", "6", "10"}
    parts = {f"{n}{part}" for n in (5, 10) for part in "abc"}
    headings = {f"Figure {number}" for number in (numbers | parts)}
    assert {figure.heading for figure in FIGURES} - {""} == headings | {"Figure 17, dynamics"}
    assert {"figure6", *(f"table{n}" for n in range(1, 6))} <= set(EXHIBITS)


@pytest.mark.parametrize("scale", ["paper", "laptop"])
def test_every_run_that_an_exhibit_needs_can_be_trained(scale):
    for exhibit in EXHIBITS.values():
        for spec in exhibit.needs(scale):
            variant_named(spec.algorithm, variant_parts(spec.variant).name)
            assert task_spec(spec.task).name == spec.task


def test_a_run_that_two_exhibits_read_is_missing_until_the_later_step():
    """Table 1 reads SAC on Hopper at 200k steps, Figure 9 at the end of the run."""
    figure = EXHIBITS["figure9"]
    for exhibits, wanted in (([TABLE1], 200_000), ([TABLE1, figure], 300_000), ([figure, TABLE1], 300_000)):
        (sac,) = (
            group
            for group in missing_of(exhibits, [], "paper")
            if (group.specs[0].algorithm, group.specs[0].task) == ("sac", "Hopper")
        )
        assert (sac.wanted, sac.steps) == (wanted, 5 * wanted)
        assert sac.command.partition(" --until ")[2] == ("200000" if wanted == 200_000 else "")


@pytest.mark.parametrize(("last", "done"), [(200_000, 1), (195_000, 0)])
def test_a_run_that_failed_behind_the_read_out_is_done(tmp_path, make_run, last, done):
    """As it counts in the number that is read there."""
    store = Store(tmp_path)
    failed = {"status": "failed", "reason": "loss/critic is not finite"}
    store.write(make_run({5000: 1.0, last: 2.0}, algorithm="sac", task="Hopper", **failed))
    found = coverage(TABLE1, store, "paper")
    assert (found.done, found.failed) == (done, 1 - done)


def why(figure, store, scale):
    return why_nothing_shown(EXHIBITS[figure], coverage(EXHIBITS[figure], store, scale))


def test_a_figure_that_is_not_drawn_says_what_is_missing(tmp_path, make_run):
    store, failed = Store(tmp_path), {"status": "failed", "reason": "loss/critic is not finite"}
    assert why("figure5a", store, "laptop") == "none of its runs is stored yet"
    assert why("figure14", store, "laptop") == "it has no panel at this scale"
    store.write(make_run({5000: 1.0}, variant="no-kl", scale="laptop", **failed))
    assert why("figure5a", store, "laptop") == "all of its stored runs have failed"
    store.write(make_run({5000: 1.0}, scale="laptop", status="partial"))
    assert why("figure5a", store, "laptop") == (
        "no run of no KL, no value, no classifier is stored that has not failed"
    )
    assert why("figure13", store, "laptop") == "no run of identity encoder is stored"
    assert why("figure3", store, "laptop") == "no run of REDQ, MBPO, SAC, TD3 is stored"


def test_a_figure_of_more_than_returns_says_what_its_runs_are_stored_without(tmp_path, make_run):
    store = Store(tmp_path)
    store.write(make_run({5000: 1.0}, scale="laptop", status="partial"))
    for figure, what in (("figure7", "predictions"), ("figure8", "value estimates")):
        assert why(figure, store, "laptop").startswith(f"its runs are stored in part and without {what}, ")
    store.write(make_run({50_000: 1.0}, scale="laptop"))
    assert why("figure7", store, "laptop").startswith("its runs are stored without predictions, ")


def test_noise_is_part_of_the_task_and_not_of_the_panel():
    needs = EXHIBITS["figure17"].needs("laptop")
    tasks = list(dict.fromkeys(spec.task for spec in needs))
    assert tasks == ["HalfCheetah", *(f"HalfCheetah-obsnoise-{s}" for s in ("0.001", "0.01", "0.1", "1"))]


def test_lengths_of_runs_are_those_of_their_variant():
    spec = {"algorithm": "sac", "seed": 0, "scale": "paper"}
    assert run_length(RunSpec(task="HalfCheetah", **spec)) == 300_000
    assert run_length(RunSpec(task="HalfCheetah", variant="million", **spec)) == 1_000_000
    # A variant of someone's own that is not loaded here.
    assert run_length(RunSpec(task="Ant", variant="someones-idea", **spec)) == 500_000
