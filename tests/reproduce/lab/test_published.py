"""The printed data, against the numbers of the paper typed a second time."""

import shutil

import pandas as pd
import pytest

from reproduce.lab import published
from reproduce.lab.published import (
    authors_curve,
    authors_curves,
    field_scores,
    footnotes,
    printed_rows,
    printed_scores,
)

TASKS = ["T-Humanoid", "T-Ant", "HalfCheetah", "Walker2d", "Hopper"]
TABLE1 = {
    "ALM(3)": "5306±437 4887±1027 10789±366 3006±1183 2546±1074",
    "SAC-SVG(2)": "501±37 4473±893 8752±1785 448±1139 2852±361",
    "SAC-SVG(3)": "472±85 3833±1418 9220±1431 878±1533 2024±1981",
    "SVG(1)": "811.8±241 185±141 336±387 252±48 435±163",
    "SLBO": "1377±150 200±40 1097±166 207±108 805±142",
    "TD3": "147±0.7 870±283 3016±969 -516±812 1817±994",
    "SAC": "1470±794 548±146 3460±1326 166±1318 788±977",
}
TABLE5 = {
    "ALM-ENT(3)": "4747±900 4921±128",
    "ALM(3)": "5306±437 4887±1027",
    "SAC-SVG(3)": "501±307 5306±437",
    "SAC-SVG(2)": "472±85 3833±1418",
}


@pytest.mark.parametrize(("table", "expected"), [(1, TABLE1), (5, TABLE5)])
def test_scores_are_the_printed_ones(table, expected):
    printed = [(cell.algorithm, cell.task, cell.mean, cell.std) for cell in printed_scores(table)]
    assert printed == [
        (algorithm, task, *map(float, cell.split("±")))
        for algorithm, row in expected.items()
        for task, cell in zip(TASKS, row.split(), strict=False)
    ]


def test_every_printed_cell_says_where_it_is_from():
    for table in (1, 5):
        for cell in printed_scores(table):
            assert cell.source == f"ALM paper, Table {table}"
            assert cell.origin
            assert cell.environment
            assert cell.footnotes
            assert cell.same_task_as_alm in {"reference", "probably", "nearly", "no", "unknown"}


def test_only_halfcheetah_compares_algorithms_on_nearly_one_task():
    same = {}
    for cell in printed_scores(1):
        same.setdefault(cell.task, set()).add(cell.same_task_as_alm)
    assert same["HalfCheetah"] == {"reference", "nearly"}
    assert all("no" in same[task] for task in TASKS if task != "HalfCheetah")


@pytest.mark.parametrize(
    ("table", "algorithm", "task", "words"),
    [
        (1, "ALM(3)", "T-Humanoid", ["4177 ± 1017", "190k"]),
        (1, "ALM(3)", "Walker2d", ["1954 ± 1773", "no row"]),
        (1, "SAC", "Walker2d", ["164.5 ± 1318.6"]),
        (1, "SAC", "Hopper", ["788.3 ± 738.2"]),
        (1, "SAC-SVG(2)", "T-Humanoid", ["swapped", "501 ± 307"]),
        (5, "SAC-SVG(3)", "T-Ant", ["repeats", "5306 ± 437"]),
        (5, "SAC-SVG(3)", "T-Humanoid", ["swapped", "307", "37"]),
        (5, "SAC-SVG(2)", "T-Humanoid", ["swapped"]),
        (5, "SAC-SVG(2)", "T-Ant", ["swapped"]),
    ],
)
def test_known_misprints_are_footnoted(table, algorithm, task, words):
    (cell,) = [cell for cell in printed_scores(table) if (cell.algorithm, cell.task) == (algorithm, task)]
    text = " ".join(note.full for note in cell.footnotes if note.kind == "misprint")
    assert [word for word in words if word not in text] == []


def test_every_footnote_is_used_and_of_a_known_kind():
    used = {note.key for table in (1, 5) for cell in printed_scores(table) for note in cell.footnotes}
    used |= {key for row in printed_rows(2) for key in row["footnotes"].split()}
    assert used == set(footnotes())
    assert {note.kind for note in footnotes().values()} == {"misprint", "provenance", "protocol", "caveat"}


def test_tables_2_to_4_are_complete():
    assert [(row["algorithm"], row["utd"]) for row in printed_rows(2)] == [
        ("ALM", "3"), ("SAC-SVG", "4"), ("MBPO", "20-40"), ("REDQ", "20")
    ]  # fmt: skip
    parameters = {row["hyperparameter"]: row["value"] for row in printed_rows(3)}
    assert [row["source"].removeprefix("ALM paper, ") for row in printed_rows(3)] == [
        *["Table 3"] * 12, *["appendix D"] * 2
    ]  # fmt: skip
    assert parameters["Weighted target parameter (λ)"] == "0.95"
    assert parameters["Batch size"] == "512"
    assert [row["network"] for row in printed_rows(4)] == [
        "Encoder", "Model", "Policy", "Q-Function", "Classifier", "Reward Function"
    ]  # fmt: skip


def test_authors_curves_back_the_printed_cells_that_the_footnotes_say_they_back():
    frame = authors_curves().set_index(["task", "training_step"])
    row = frame.loc[("HalfCheetah", 200_000)]
    assert (round(row["return_mean"]), int(row["return_std"]), row["seeds"]) == (10789, 366, 5)
    row = frame.loc[("T-Ant", 200_000)]
    assert (round(row["return_mean"]), round(row["return_std"])) == (4887, 1027)
    # The printed T-Humanoid cell: the row at 190k, population deviation, both truncated. The file rounds to
    # one decimal, 489.7, so that the deviation may be as small as 489.65.
    row = frame.loc[("T-Humanoid", 190_000)]
    assert (int(row["return_mean"]), int((row["return_std"] - 0.05) * (4 / 5) ** 0.5)) == (5306, 437)


def test_authors_curve_of_a_task_that_was_not_released():
    assert authors_curve("Hopper") is None
    assert authors_curve("T-Ant").last_step == 295_000


def test_seeds_that_others_evaluated_at_different_steps_are_named_by_the_earliest(monkeypatch):
    """As measured seeds are; each is read at its own last evaluation until the step."""
    rows = [(0, 1000, 1.0), (0, 2000, 2.0), (0, 3000, 99.0), (1, 500, 3.0), (1, 1500, 4.0)]
    runs = pd.DataFrame(rows, columns=["seed", "step", "return"]).assign(method="sac", task="Ant")
    monkeypatch.setattr(published, "field_runs", lambda: runs)
    assert field_scores("sac", "Ant", 2000) == ([2.0, 4.0], 1500)
    assert field_scores("sac", "Ant", 400) == ([], 400)


def test_a_changed_digit_is_one_sentence(tmp_path, monkeypatch):
    folder = shutil.copytree(published._DATA, tmp_path / "paper")
    monkeypatch.setattr(published, "_DATA", folder)
    table = folder / "table1.csv"
    assert printed_rows(1)
    table.write_text(table.read_text().replace("5306", "5307", 1))
    with pytest.raises(ValueError, match="table1.csv does not match the SHA256SUMS beside it; run `git"):
        printed_rows(1)
    (folder / "SHA256SUMS").write_text("nonsense")
    with pytest.raises(ValueError, match="SHA256SUMS beside it cannot be read"):
        printed_rows(1)
