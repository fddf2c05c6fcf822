"""One's own runs: shown with the repository's and marked, left out on request, written apart."""

import io

import pytest
from rich.console import Console

from paper_figures import runtime
from reproduce.cli import main
from reproduce.commands.options import ReadsRuns, WritesRuns
from reproduce.exhibits.catalogue import EXHIBITS, TABLE1
from reproduce.exhibits.claims.verdicts import claims_table
from reproduce.exhibits.scores import score_table
from reproduce.exhibits.writing import markdown, terminal
from reproduce.lab.places import CODE, OUT, OWN, RUNS
from reproduce.lab.store import Store

STEPS = (5000, 100_000, 200_000)


def own_in(places):
    return places / "runs" / "store"


def shipped_in(places):
    return places / "results" / "runs"


@pytest.fixture
def places(tmp_path, make_run, monkeypatch):
    """A repository with SAC's seeds 0 and 1 on HalfCheetah, and one's own seed 2."""
    own, shipped = own_in(tmp_path), shipped_in(tmp_path)
    monkeypatch.setattr("reproduce.lab.store.OWN", own)
    monkeypatch.setattr("reproduce.lab.store.SHIPPED", shipped)
    for seed, root in ((0, shipped), (1, shipped), (2, own)):
        extra = {"time/evaluation_s": [5.0] * 3, "time/update_ms": [6.0] * 3}
        returns = dict.fromkeys(STEPS, 100.0 * seed)
        run = make_run(returns, algorithm="sac", seed=seed, status="partial", extra=extra)
        Store(root).write(run)
    return tmp_path


def seeds(store):
    return [run.spec.seed for run in store.runs()]


def test_what_is_shown(places):
    assert seeds(ReadsRuns().opened()) == [0, 1, 2]
    assert seeds(ReadsRuns(own=False).opened()) == [0, 1]
    assert seeds(ReadsRuns(store=own_in(places)).opened()) == [2]


def test_a_store_that_is_not_there_is_one_sentence(places, capsys):
    assert main(["runs", "--store", str(places / "nowhere")]) == 2
    assert f"error: There is no directory {places / 'nowhere'}: name the store" in capsys.readouterr().err


def test_what_is_trained_is_stored_apart(places, make_run):
    stored = WritesRuns().opened().write(make_run(dict.fromkeys(STEPS, 1.0), algorithm="sac", seed=0))
    assert stored.is_relative_to(own_in(places))
    assert seeds(Store(shipped_in(places))) == [0, 1]


def test_tables_say_how_many_runs_are_ones_own(places, make_run):
    table = score_table(TABLE1, ReadsRuns().opened())
    (score,) = [score for score in table.scores if score.block == "measured" and score.has_number]
    assert (score.mean, score.seeds, score.own) == (100.0, 3, 1)
    assert ", 1 own)" in markdown(table)
    console = Console(width=120, file=io.StringIO())
    terminal(table, console)
    assert "1 own" in console.file.getvalue()
    alone = score_table(TABLE1, ReadsRuns(own=False).opened())
    (score,) = [score for score in alone.scores if score.block == "measured" and score.has_number]
    assert (score.mean, score.seeds, score.own) == (50.0, 2, 0) and ", 1 own" not in markdown(alone)
    # One that is left out is not among them.
    Store(own_in(places)).write(make_run({5000: 0.0}, algorithm="sac", seed=3, status="partial"))
    table = score_table(TABLE1, ReadsRuns().opened())
    (score,) = [score for score in table.scores if score.block == "measured" and score.has_number]
    assert (score.seeds, score.own, score.unfinished) == (3, 1, 1)


def test_claims_and_figures_say_so_too(places, make_run):
    # A run that no claim compares with anything stands behind none.
    assert "your own" not in " ".join(claims_table(ReadsRuns().opened(), "paper").notes)
    extra = {"time/evaluation_s": [5.0] * 3, "time/update_ms": [6.0] * 3}
    Store(shipped_in(places)).write(make_run(dict.fromkeys(STEPS, 100.0), extra=extra))
    variant = {"algorithm": "sac", "variant": "base[gamma=0.9]", "task": "Hopper"}
    Store(own_in(places)).write(make_run(dict.fromkeys(STEPS, 1.0), extra=extra, **variant))
    assert "1 of the runs are your own" in " ".join(claims_table(ReadsRuns().opened(), "paper").notes)
    assert "your own" not in " ".join(claims_table(ReadsRuns(own=False).opened(), "paper").notes)
    figure = EXHIBITS["figure3"]
    for own in (True, False):
        found = runtime.data(figure, ReadsRuns(own=own).opened(), "paper")
        caption = " ".join(runtime.draw(found).get_supxlabel().split())
        assert ("Your own runs, not the repository's: 1." in caption) == own


def test_where_commands_write_is_no_part_of_the_repository():
    ignored = (CODE / ".gitignore").read_text().split()
    for place in (OWN, RUNS, OUT):
        assert f"/{place.relative_to(CODE).parts[0]}/" in ignored
