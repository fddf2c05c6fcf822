"""One's own methods as rows of tables and curves of figures, beside what these show of themselves."""

import re

import pytest

import reproduce
from paper_figures.drawing import declaration, drawn
from paper_figures.style import looks, looks_apart
from reproduce.cli import main
from reproduce.exhibits.catalogue import EXHIBITS, TABLE1, TABLE1_MBBL
from reproduce.exhibits.scores import score_table
from reproduce.exhibits.sides import side_named, with_beside
from reproduce.exhibits.writing import markdown
from reproduce.lab.store import Store

IDEA = "alm/my-idea"


@pytest.fixture
def store(tmp_path, make_run):
    """On HalfCheetah, laptop scale: an idea, ALM without KL term, SAC. On Humanoid, paper scale: the idea."""
    store = Store(tmp_path / "store")
    for seed in range(2):
        store.write(make_run({5000: 1.0, 50_000: 30.0 + seed}, variant="my-idea", seed=seed, scale="laptop"))
        store.write(make_run({5000: 1.0, 50_000: 20.0}, variant="no-kl", seed=seed, scale="laptop"))
    store.write(make_run({5000: 1.0, 50_000: 10.0}, algorithm="sac", scale="laptop"))
    extra = {"time/evaluation_s": [5.0], "time/update_ms": [6.0]}
    store.write(make_run({5000: 1.0}, variant="my-idea", task="Humanoid", status="partial", extra=extra))
    return store


def added(name, store, beside):
    """The pictures of a figure with further curves."""
    return drawn(declaration(name, store, beside), store)


def rows(table, block):
    return [row.label for one in table.blocks if one.title.startswith(block) for row in one.rows]


def test_a_row_stands_in_the_blocks_of_the_scales_at_which_it_has_runs(store):
    plain, table = score_table(TABLE1, store), score_table(TABLE1, store, beside=[IDEA, IDEA])
    assert (plain.name, table.name) == ("table1", "table1-beside")
    laptop, paper = "Measured · laptop scale", "Measured · paper scale"
    assert rows(table, laptop) == [*rows(plain, laptop), IDEA]
    # Its run at paper scale is on a task that the table lacks.
    for block in ("Printed", "Released", paper):
        assert rows(table, block) == rows(plain, block)
    (number,) = [one for one in table.scores if one.algorithm == IDEA and one.has_number]
    assert (number.task, number.mean, number.seeds) == ("HalfCheetah", 30.5, 2)
    letter = re.search(r"^\| alm/my-idea<sup>(\w)</sup> \|", markdown(table), re.MULTILINE).group(1)
    assert f"- **{letter}** (protocol) No row of the paper's table" in markdown(table)
    others = [row for row in table.rows if row.label != IDEA]
    assert [[cell.parts for cell in row.cells] for row in plain.rows] == [
        [cell.parts for cell in row.cells] for row in others
    ]


def test_a_curve_is_drawn_where_it_has_runs_in_a_colour_of_its_own(store):
    (picture,) = added("figure5a", store, [IDEA])
    assert picture.file == "figure5a-beside-laptop"
    (axis,) = picture.figure.axes
    assert [line.get_label() for line in axis.lines] == ["no KL", IDEA]
    assert len({line.get_color() for line in axis.lines}) == 2
    caption = " ".join(picture.figure.get_supxlabel().split())
    assert f"Added, with networks and settings of their own runs: {IDEA}." in caption
    # On Humanoid, where its only run at paper scale is.
    files = [one.file for name in ("figure3", "figure10c") for one in added(name, store, [IDEA])]
    assert files == ["figure3-beside", "figure3-beside-laptop", "figure10c-beside"]
    with pytest.raises(ValueError, match="No run of 'alm/my-idea' on Walker2d at laptop scale"):
        added("figure9", store, [IDEA])


def test_methods_of_the_suite_make_no_picture_that_the_figure_alone_would_not(
    store, make_run, tmp_path, capsys
):
    """At paper scale there are ALM, ReLU and SAC, but none of ALM's terms is left out."""
    for algorithm, variant in (("alm", "base"), ("alm", "relu"), ("sac", "base")):
        run = {"algorithm": algorithm, "variant": variant, "task": "HalfCheetah", "status": "partial"}
        store.write(make_run({5000: 1.0, 20_000: 2.0}, **run))
    places = ["--store", str(store.roots[0]), "--out", str(tmp_path / "out")]
    assert main(["figure", "5a", "--beside", "alm/relu", "sac", *places]) == 0
    said = capsys.readouterr().out.splitlines()
    why = "figure5a at paper scale: no run of no KL, no value, no classifier is stored"
    assert [line.partition(";")[0] for line in said[:-1]] == [why]
    assert "figure5a-beside-laptop.png" in said[-1] and len(list((tmp_path / "out").iterdir())) == 3
    # One's own may stand beside any.
    store.write(make_run({5000: 1.0}, variant="my-idea", task="HalfCheetah", status="partial"))
    files = [one.file for one in added("figure5a", store, ["alm/relu", IDEA])]
    assert files == ["figure5a-beside", "figure5a-beside-laptop"]
    # Without an added one it would be the figure itself.
    store.write(make_run({5000: 1.0}, variant="mnm", scale="laptop", status="failed", reason="NaN"))
    assert main(["figure", "5a", "--beside", "alm/mnm", *places]) == 1
    assert "no run of identity encoder is stored that has not failed" in capsys.readouterr().out


def test_of_two_each_is_drawn_at_its_own_scale(store, make_run):
    store.write(make_run({5000: 1.0}, variant="other", task="Ant", status="partial"))
    paper, laptop = added("figure5a", store, ["alm/other", IDEA])
    assert set(paper.points["series"]) == {"alm/other"}
    assert "alm/other" not in " ".join(text.get_text() for text in laptop.figure.axes[0].texts)
    assert "alm/other" not in set(laptop.points["series"])


def test_a_picture_has_no_trace_of_what_has_runs_at_another_scale(store, make_run):
    """Neither a cost of a step nor a curve that its caption counts as missing."""
    timed = {"provenance": {"device": "cpu", "population": 1}, "extra": {"time/evaluation_s": [5.0, 5.0]}}
    for variant in ("base", "mnm"):
        store.write(make_run({5000: 1.0, 50_000: 9.0}, variant=variant, scale="laptop", **timed))
    store.write(make_run({5000: 1.0}, algorithm="svg", task="Humanoid", status="partial"))
    for name in ("figure3", "figure13"):
        paper, laptop = added(name, store, [IDEA, "svg"])
        assert "SVG(1)" in set(paper.points["series"])
        labels = [label.get_text() for axis in laptop.figure.axes for label in axis.get_yticklabels()]
        assert ("SAC" in labels) == (name == "figure3") and "SVG(1)" not in labels
    assert "drawn:" not in laptop.figure.get_supxlabel()


@pytest.mark.parametrize("name", ["figure3", "figure5a", "figure5b", "figure5c", "figureG", "figureQ"])
def test_what_is_added_takes_no_colour_of_the_figure(tmp_path, make_run, name):
    store, exhibit = Store(tmp_path), EXHIBITS[name]
    names = [f"alm/idea-{one}" for one in range(3)] + ["mine"]
    for one in names:
        algorithm, _, variant = one.partition("/")
        run = {"algorithm": algorithm, "variant": variant or "base", "task": exhibit.tasks[0]}
        store.write(make_run({5000: 1.0}, **run))
    own, found = looks(exhibit.series), looks(with_beside(exhibit, names, store).series)
    assert {label: found[label] for label in own} == own
    assert len({look.colour for look in found.values()}) == len(found)


def test_a_variant_looks_alike_beside_whatever_it_stands(store, make_run):
    """In its own figure, beside another's curves, and compared."""
    for variant in ("k5", "relu", "real-warmup", "horizon-schedule"):
        store.write(make_run({5000: 1.0}, variant=variant, scale="laptop"))
    names = ["alm/k5", "alm/relu", "alm/real-warmup", "alm/horizon-schedule"]
    drawn_so = looks(EXHIBITS["figure5b"].series) | looks(EXHIBITS["figureG"].series)
    for found in (
        looks(with_beside(EXHIBITS["figure5a"], names, store).series),
        looks_apart([*map(side_named, names), side_named("alm/no-kl")]),
    ):
        for label in ("ALM(5)", "ReLU", "warm-up on real data", "horizon scheduling"):
            assert found[label] == drawn_so[label]


def test_methods_of_the_suite_have_their_labels(store, make_run):
    """In a table and in a figure, unless another method there has it."""
    for algorithm, variant in (("redq", "base"), ("sac", "million"), ("sac", "base")):
        run = {"algorithm": algorithm, "variant": variant, "task": "HalfCheetah"}
        store.write(make_run({5000: 1.0, 200_000: 2.0}, **run))
    table = score_table(TABLE1, store, beside=["redq", "alm/no-kl", IDEA])
    assert rows(table, "Measured · laptop scale")[-2:] == ["no KL", IDEA]
    assert rows(table, "Measured · paper scale")[-1] == "REDQ"
    labels = [one.label for one in with_beside(EXHIBITS["figure14"], ["sac"], store).series]
    assert labels == ["ALM(3)", "SAC", "sac"]
    (*_, last) = with_beside(EXHIBITS["figure5c"], ["sac/million"], store).series
    assert last.label == "SAC million"


def test_what_cannot_be_added_is_named(store):
    table = TABLE1
    for name, words in (
        ("alm", "alm is in table1 already, as ALM(3)"),
        ("alm/my-ide", "has a variant 'my-ide' of alm (did you mean 'my-idea'?)"),
        ("alm/no-value", "No run of 'alm/no-value' on T-Humanoid at laptop scale"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            score_table(table, store, beside=[name])
    with pytest.raises(ValueError, match="on mbbl/Humanoid-ET at laptop scale"):
        score_table(TABLE1_MBBL, store, beside=[IDEA])
    for name in ("figure4", "figure6", "figure7", "figure20", "field", "authors", "curves-sac"):
        with pytest.raises(ValueError, match=f"paper's returns only, and {name} is none"):
            added(name, store, [IDEA])


def test_a_scale_that_is_not_shown_adds_nothing(store, make_run):
    """Figures show no runs of smoke scale, and nothing those of a scale that this version lacks."""
    store.write(make_run({600: 1.0}, variant="tried", scale="smoke"))
    store.write(make_run({1000: 1.0}, variant="big", scale="big"))
    for name, there in (("alm/tried", "smoke"), ("alm/big", "big")):
        with pytest.raises(ValueError, match=f"at laptop scale .* .there are some at {there} scale"):
            added("figure5a", store, [name])
    with pytest.raises(ValueError, match="No run of 'alm/big' on T-Humanoid"):
        score_table(TABLE1, store, beside=["alm/big"])
    assert "alm/tried" in rows(score_table(TABLE1, store, beside=["alm/tried"]), "Measured · smoke scale")


def test_two_methods_of_one_name_are_not_told_apart(store, make_run):
    store.write(make_run({5000: 1.0}, algorithm="TD3", scale="laptop"))
    with pytest.raises(ValueError, match="table1 has another method of the name TD3"):
        score_table(TABLE1, store, beside=["TD3"])


def test_commands_take_the_names_and_write_files_of_their_own(store, make_run, tmp_path, capsys):
    places = ["--store", str(store.roots[0]), "--out", str(tmp_path / "out")]
    assert main(["table", "1", "--beside", IDEA, "alm/no-kl", *places]) == 0
    assert main(["figure", "5a", "--beside", IDEA, *places]) == 0
    assert "figure5a at paper scale" not in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *(f"figure5a-beside-laptop.{kind}" for kind in ("csv", "pdf", "png")),
        *(f"table1-beside.{kind}" for kind in ("csv", "md", "tex")),
    ]
    for words in (["table", "1", "--printed"], ["table", "2"]):
        assert main([*words, "--beside", IDEA, *places]) == 2
        assert "leave --beside out" in capsys.readouterr().err
    assert main(["figure", "5a", "--beside", "alm/no-kl", *places]) == 2
    assert "alm/no-kl is in figure5a already, as no KL" in capsys.readouterr().err
    # Of several figures it is added to those that lack it.
    store.write(make_run({5000: 1.0, 50_000: 10.0}, variant="k5", scale="laptop"))
    assert main(["figure", "5", "--beside", "alm/no-kl", *places]) == 0
    left = "figure5a is left out: alm/no-kl is in figure5a already, as no KL: leave it out."
    assert left in (said := capsys.readouterr().out).splitlines() and "figure5b-beside-laptop.png" in said
    assert main(["figure", "5", "--beside", "alm/no-value", *places]) == 2
    assert "figure5b is left out: No run of 'alm/no-value'" in capsys.readouterr().out


def test_what_a_figure_lacks_is_counted_as_in_its_plan(tmp_path, make_run, capsys):
    store = Store(tmp_path / "store")
    store.write(make_run({5000: 1.0}, variant="lost", scale="laptop", status="failed", reason="NaN"))
    places = ["--store", str(store.roots[0]), "--out", str(tmp_path / "out")]
    assert main(["figure", "5a", "--beside", "alm/lost", *places]) == 1
    said = capsys.readouterr().out
    assert "all of its stored runs have failed; 20 of its 20 runs lack" in said, said


def test_notebooks_take_one_name_or_several(store, monkeypatch):
    monkeypatch.setattr("reproduce.lab.store.OWN", store.roots[0])
    monkeypatch.setattr("reproduce.lab.store.SHIPPED", store.roots[0].parent / "none")
    for names in (IDEA, [IDEA]):
        frame = reproduce.table(1, beside=names)
        assert frame.loc[frame["algorithm"] == IDEA, "mean"].dropna().tolist() == [30.5]
        (axis,) = reproduce.figure("5a", beside=names).axes
        assert axis.lines[-1].get_label() == IDEA
    with pytest.raises(ValueError, match="no picture of figure5a at paper scale"):
        reproduce.figure("5a", "paper", beside=IDEA)
    with pytest.raises(ValueError, match="leave beside out"):
        reproduce.table(3, beside=IDEA)
