"""The theory's command, the files it writes, and its figures, from short runs."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from alm.theory import demonstrations, results
from alm.theory.verdicts import Verdict
from paper_figures import theory
from paper_figures.drawing import figures_named
from paper_figures.pictures import csv_text
from paper_figures.report.entries import theory_entries
from reproduce.cli import main
from reproduce.exhibits.theory import DOCUMENT_TABLES, LONG_TITLES, TITLES, document_tables, read
from reproduce.lab.places import RESULTS


@pytest.fixture(scope="module", autouse=True)
def _few_steps_and_checks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demonstrations, "STEPS", 1)
        patch.setattr(results, "check_all", partial(results.check_all, count=5))
        yield


@pytest.fixture(scope="module")
def exhibits():
    return results.run(0)


@pytest.fixture(scope="module")
def frames(exhibits):
    return {name: pd.DataFrame(rows) for name, rows in exhibits.items()}


def test_rows_are_read_as_they_were_written(exhibits, frames, tmp_path):
    for name, frame in frames.items():
        (tmp_path / f"{name}.csv").write_text(csv_text(frame))
    stored = read(tmp_path)
    assert {name: rows.to_dict("records") for name, rows in stored.items()} == exhibits
    tables = document_tables(frames)
    assert list(tables) == list(DOCUMENT_TABLES)
    for name, table in document_tables(stored).items():
        assert table.equals(tables[name]), name


def test_document_tables_hold_texts(frames):
    for name, table in document_tables(frames).items():
        assert len(table), name
        assert all(isinstance(cell, str) for cell in table.to_numpy().flat), name


def test_a_damaged_file_is_one_sentence_and_costs_no_other(frames, tmp_path):
    for name, frame in frames.items():
        (tmp_path / f"{name}.csv").write_text(csv_text(frame))
    for name, content in (
        ("theory-statements", b""),
        ("theory-a7", b"a,b\n1,2\n"),
        ("theory-lottery", b"\xff\xfe,\n"),
        ("theory-tighter-bound", b"a,b\n1,2\n"),
        ("theory-bound-over-k", csv_text(frames["theory-bound-over-k"].iloc[:0]).encode()),
        ("theory-gap-a5", csv_text(frames["theory-gap-a5"]).replace("0.", "O.", 1).encode()),
    ):
        (tmp_path / f"{name}.csv").write_bytes(content)
    problems = {one.name: one.problem for one in theory_entries(tmp_path) if one.problem}
    assert list(problems) == [
        "theory-statements", "theory-bound-over-k", "theory-tighter-bound", "theory-gap-a5", "theory-a7",
        "theory-lottery",
    ]  # fmt: skip
    for name, problem in problems.items():
        assert problem.startswith(f"{tmp_path / name}.csv is not what the checks of the theory wrote: remake")
        with pytest.raises(ValueError, match="is not what the checks of the theory wrote"):
            read(tmp_path, name)


@pytest.mark.programs
def test_the_command_writes_the_same_bytes_each_time(tmp_path, capsys, monkeypatch, exhibits):
    monkeypatch.setenv("COLUMNS", "240")
    for place in ("first", "second"):
        assert main(["theory", "--out", str(tmp_path / place / "theory")]) == 0
    printed = capsys.readouterr().out
    # A cell of the terminal has its verdict in two lines.
    assert "does not hold as" in printed and "Lemma A.4" in printed
    assert any(Verdict.FAILS in path.read_text() for path in (tmp_path / "first").rglob("*.md"))
    first, second = (
        {path.relative_to(tmp_path / place): path.read_bytes() for path in (tmp_path / place).rglob("*.*")}
        for place in ("first", "second")
    )
    assert first == second
    drawn = [f"figures/{name}.{kind}" for name in theory.FIGURES for kind in ("pdf", "png")]
    tables = [f"theory/{name}.csv" for name in exhibits]
    tables += [f"theory/{name}.md" for name in (*TITLES, *LONG_TITLES)]
    assert sorted(map(str, first)) == sorted(drawn + tables)
    stored = read(tmp_path / "first" / "theory")
    assert {name: rows.to_dict("records") for name, rows in stored.items()} == exhibits


def test_the_report_shows_what_is_stored(exhibits, frames, tmp_path):
    assert all(not (entry.table or entry.images) for entry in theory_entries(tmp_path))
    for name, frame in frames.items():
        (tmp_path / f"{name}.csv").write_text(csv_text(frame))
    entries = {entry.name: entry for entry in theory_entries(tmp_path)}
    assert set(entries) == set(exhibits)
    assert [name for name, entry in entries.items() if entry.table] == list(TITLES)
    assert all(entry.images for name, entry in entries.items() if name in theory.FIGURES)
    assert len(entries["theory-statements"].table.rows) == len(exhibits["theory-statements"])


def test_the_stored_rows_are_drawn_like_any_figure(tmp_path):
    assert main(["figure", "theory-lottery", "--out", str(tmp_path)]) == 0
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(drawn) == [f"theory-lottery.{kind}" for kind in ("csv", "pdf", "png")]
    assert drawn["theory-lottery.csv"] == (RESULTS / "theory" / "theory-lottery.csv").read_bytes()
    assert set(theory.FIGURES) < set(figures_named("figures"))


def test_bad_input_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["theory", "--seed", "-1", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: The seed must be at least 0, not -1.\n"
    assert main(["theory", "--out", str(tmp_path / "file")]) == 2
    assert "choose a writable place (--out)" in capsys.readouterr().err


def test_medians_are_drawn_over_k(frames):
    rows = frames["theory-bound-over-k"]
    figure = theory.bound_over_k(rows)
    first = rows[(rows["model"] == "fitted") & (rows["discount"] == 0.5) & (rows["bound"] == "Eq. 5")]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), first["median gap"])
    assert len(figure.axes) == rows["discount"].nunique() * rows["model"].nunique()


def test_every_mdp_is_a_point(frames):
    rows = frames["theory-tighter-bound"]
    drawn = theory.tighter_bound(rows).axes[0].lines[1:]
    assert sum(len(line.get_xdata()) for line in drawn) == len(rows)
    rows = frames["theory-joint"]
    points = [line for axis in theory.joint(rows).axes for line in axis.lines if line.get_marker() == "."]
    assert sum(len(line.get_xdata()) for line in points) == len(rows)


def test_distributions_reach_all_mdps(frames):
    for figure in (
        theory.gap_a5(frames["theory-gap-a5"]),
        theory.optimism(frames["theory-optimism"]),
    ):
        lines = [line for line in figure.axes[0].lines if line.get_drawstyle() == "steps-post"]
        assert lines
        assert all(line.get_ydata()[-1] == 1 for line in lines)


def test_printed_offline_bound_lies_above_what_it_bounds(frames):
    for axis in theory.offline(frames["theory-a7"]).axes:
        black, printed = axis.lines[0], axis.lines[1]
        assert printed.get_ydata()[0] > black.get_ydata()[0]


def test_the_bound_that_is_not_drawn_lies_on_one_that_is(frames):
    """As the caption says of the left panel; were it drawn, it would hide the other."""
    rows = frames["theory-a7"]
    left = rows[rows["example"] == rows["example"].iloc[0]]
    np.testing.assert_allclose(left["printed, Q of π_φ"], left["printed, Q of π_b"], rtol=1e-5)
    figure = theory.offline(rows)
    assert [len(axis.lines) for axis in figure.axes] == [3, 4]
    assert "it coincides with" in " ".join(figure.get_supxlabel().split())
