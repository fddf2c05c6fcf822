"""One quantity is one number: each cell of the committed exhibits, derived once more from the files alone."""

import numpy as np
import pandas as pd
import pytest

from paper_figures import learning_curves
from reproduce.exhibits.catalogue import EXHIBITS, FIGURES, TABLE1, TABLE1_MBBL, TABLE5
from reproduce.exhibits.comparison import Comparison
from reproduce.exhibits.scores import score_table
from reproduce.lab.places import CODE
from reproduce.lab.store import Store

RUNS = CODE / "results" / "runs"
SCALES = ("paper", "laptop")
CURVES = [figure for figure in FIGURES if figure.shows in ("return", "return and runtime", "final return")]


@pytest.fixture(scope="module")
def store():
    return Store(RUNS)


def by_hand(algorithm, variant, task, scale, read_out):
    """Returns of the seeds that count, and the step, with pandas and the file names alone."""
    folder = RUNS / algorithm / variant / task.replace("/", "_") / scale
    curves = [
        pd.read_parquet(path, columns=["step", "eval/return"]).set_index("step")["eval/return"]
        for path in sorted(folder.glob("seed-*.parquet"))
        if path.name.count(".") == 1
    ]
    if not curves:
        return [], 0
    reached = [curve for curve in curves if curve.index[-1] >= read_out]
    furthest = max(curve.index[-1] for curve in curves)
    used = reached or [curve for curve in curves if 2 * curve.index[-1] >= furthest]
    step = read_out if reached else min(curve.index[-1] for curve in used)
    return [curve[curve.index <= step].iloc[-1] for curve in used], step


@pytest.mark.parametrize("table", [TABLE1, TABLE1_MBBL, TABLE5], ids=lambda table: table.name)
def test_each_cell_of_a_table(table, store):
    rows = {row.label: row for row in table.series}
    measured = [score for score in score_table(table, store).scores if score.block == "measured"]
    numbers = 0
    for score in measured:
        row = rows[score.algorithm]
        if row.why_none or score.status == "absent":
            continue
        wanted = table.step(score.scale)
        values, _ = by_hand(row.algorithm, row.variant, score.task, score.scale, wanted)
        assert len(values) == (score.seeds or 0), score
        if values:
            numbers += 1
            assert score.mean == pytest.approx(np.mean(values))
            if len(values) > 1:
                assert score.std == pytest.approx(np.std(values, ddof=1))
    assert numbers or table is not TABLE1


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("figure", CURVES, ids=lambda figure: figure.name)
def test_the_end_of_each_curve(figure, scale, store):
    data = learning_curves.data(figure, store, scale)
    drawn = data.points.groupby(["series", "task"]) if len(data.points) else ()
    ends = {key: rows[rows["step"] == rows["step"].max()] for key, rows in drawn}
    for series in figure.series:
        for task in figure.tasks_at(scale):
            ends_at = [end for spec, end in figure.needs(scale).items() if spec.task == series.task(task)]
            values, _ = by_hand(series.algorithm, series.variant, series.task(task), scale, ends_at[0])
            end = ends.get((series.label, task))
            assert (0 if end is None else len(end)) == len(values), (figure.name, series.label, task)
            if end is not None:
                assert end["return"].mean() == pytest.approx(np.mean(values))


def test_a_seed_in_the_table_is_in_the_figure_and_in_the_comparison(store):
    """ALM on HalfCheetah at laptop scale, which three places once gave three numbers for."""
    (score,) = [
        one
        for one in score_table(TABLE1, store).scores
        if (one.algorithm, one.task, one.scale) == ("ALM(3)", "HalfCheetah", "laptop")
    ]
    for name in ("figure3", "figure5a", "figure11"):
        data = learning_curves.data(EXHIBITS[name], store, "laptop")
        unchanged = {
            one.label for one in EXHIBITS[name].series if (one.algorithm, one.variant) == ("alm", "base")
        }
        own = data.points[data.points["series"].isin(unchanged) & (data.points["task"] == "HalfCheetah")]
        end = own[own["step"] == own["step"].max()]
        assert (len(end), end["return"].mean()) == (score.seeds, pytest.approx(score.mean))
    compared = Comparison.of(["alm/no-kl", "alm"], ["HalfCheetah"], "laptop", "return", store)
    row = compared.numbers().iloc[0]
    assert row["second_mean"] == pytest.approx(score.mean)
    assert len(row["second_seeds"].split()) == score.seeds


def test_a_run_that_does_not_count_keeps_no_others_from_being_pooled(tmp_path, make_run):
    store, task = Store(tmp_path), "HalfCheetah"
    for seed in range(3):
        for variant in ("no-kl", "base"):
            store.write(make_run({5000: 1.0, 50_000: 9.0}, variant=variant, seed=seed, scale="laptop"))
    early = {"config": {"agent": {"horizon": 7}}, "status": "failed", "reason": "NaN"}
    store.write(make_run({5000: 1.0}, variant="no-kl", seed=3, scale="laptop", **early))
    (score,) = [
        one
        for one in score_table(TABLE1, store, beside=["alm/no-kl"]).scores
        if (one.algorithm, one.task, one.scale) == ("no KL", task, "laptop")
    ]
    curves = learning_curves.data(EXHIBITS["figure5a"], store, "laptop").curves
    (curve,) = [one for one in curves if one.series.variant == "no-kl"]
    row = Comparison.of(["alm/no-kl", "alm"], [task], "laptop", "return", store).numbers().iloc[0]
    assert (score.mean, score.seeds, score.failed) == (9.0, 3, 1)
    assert (curve.seeds, curve.pool.failed) == (3, 1)
    assert (row["first_mean"], row["first_seeds"]) == (9.0, "0 1 2")
