"""The figures: the data behind them, and what can be read off their panels."""

import dataclasses
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from paper_figures import (
    captions,
    field,
    final_return,
    latents,
    learning_curves,
    panels,
    reward_transform,
    runtime,
    value_bias,
)
from paper_figures.drawing import drawn, figures_named
from paper_figures.style import LOOKS, VARIANTS, looks
from reproduce.cli import main
from reproduce.commands.figures import Figure
from reproduce.exhibits.catalogue import FIGURES, HALF, QUARTER
from reproduce.exhibits.kinds import Series
from reproduce.exhibits.pooling import StoreMixError
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.places import CODE
from reproduce.lab.published import authors_curves
from reproduce.lab.store import Store, StoreWarning

FIGURE = {exhibit.name: exhibit for exhibit in FIGURES}


@pytest.fixture
def store(tmp_path, make_run):
    """Laptop runs on HalfCheetah: SAC seeds 0 and 1, a failed TD3, ALM seed 0 with value samples."""
    store = Store(tmp_path / "runs")

    def add(algorithm, seed, curve, population=2, **options):
        count = len(curve)
        extra = {"time/evaluation_s": [5.0] * count, "time/update_ms": [6.0] * count}
        provenance = {"device": "cpu", "threads": 1, "hardware": {"cpu": "Test"}, "population": population}
        run = make_run(
            curve,
            algorithm=algorithm,
            seed=seed,
            scale="laptop",
            extra=extra,
            provenance=provenance,
            **options,
        )
        store.write(run)
        return run

    add("sac", 0, {5000: 0.0, 6000: 10.0, 7000: 20.0})
    add("sac", 1, {5000: 0.0, 6000: 30.0}, status="partial")
    add("td3", 0, {5000: 1.0, 6000: 2.0}, status="failed", reason="loss/critic is not finite at step 6100")
    alm = add("alm", 0, {5000: 0.0, 6000: 100.0, 7000: 3000.0}, population=1)
    returns = np.array([20.0, 40.0, 60.0])
    pairs = pd.concat(
        pd.DataFrame(
            {
                "step": step,
                "episode": 0,
                "episode_step": range(3),
                "monte_carlo": returns,
                "lower_bound": returns + offset,
                "min_q": 2 * returns,
            }
        )
        for step, offset in ((5000, 100.0), (6000, 4.0), (7000, -8.0))
    )
    store.write_values(alm, pairs)
    return store


def test_the_data_behind_learning_curves(store):
    data = runtime.data(FIGURE["figure3"], store, "laptop")
    sac = data.points[data.points["series"] == "SAC"]
    # Seed 1 stops at 6000, and with it the curve.
    assert sac.groupby("seed")["step"].apply(list).to_dict() == {0: [5000, 6000], 1: [5000, 6000]}
    # The fixture's clock: step / 100 seconds, of which 5 for each evaluation, for a population of two.
    assert sac["hours"].tolist() == pytest.approx([45 / 7200, 50 / 7200] * 2)
    assert set(data.points["series"]) == {"ALM(3)", "SAC"}
    assert set(sac["device"]) == {"Test, 1 thread"}

    curves = {(curve.series.label, curve.task): curve for curve in data.curves}
    sac = curves["SAC", "HalfCheetah"]
    assert (sac.seeds, sac.seeds_wanted, sac.last_step, sac.total_steps) == (2, 5, 6000, 50_000)
    td3 = curves["TD3", "HalfCheetah"]
    assert (td3.seeds, td3.pool.failed) == (0, 1)
    assert curves["SAC", "Hopper"].seeds == 0


def test_a_column_that_a_run_lacks_has_one_that_stands_for_it(store, make_run):
    """Figure 17: without noise there is one evaluation, with noise a second one."""
    extra = {"time/evaluation_s": [1.0], "time/update_ms": [1.0], "eval/return_without_noise": [7.0]}
    options = {"algorithm": "alm", "task": "HalfCheetah-obsnoise-0.1", "seed": 0, "scale": "laptop"}
    store.write(make_run({5000: 1.0}, extra=extra, provenance={"population": 1}, **options))
    points = learning_curves.data(FIGURE["figure17"], store, "laptop").points.set_index("series")
    assert points.loc["σ = 0.1", ["return", "beneath"]].tolist() == [1.0, 7.0]
    assert points.loc["σ = 0", "beneath"].tolist() == points.loc["σ = 0", "return"].tolist()


def test_nothing_is_mixed(store, make_run):
    assert runtime.data(FIGURE["figure3"], store, "paper").points.empty
    extra = {"time/evaluation_s": [1.0], "time/update_ms": [1.0]}
    other = {"seed": 2, "scale": "laptop", "protocol": "v5"}
    store.write(make_run({5000: 1.0}, algorithm="sac", extra=extra, **other))
    with pytest.raises(StoreMixError, match="protocols"):
        drawn("figure3", store)
    (mixed,) = drawn("figure3", store, mix=True)
    assert set(mixed.points.loc[mixed.points["series"] == "SAC", "seed"]) == {0, 1, 2}
    caption = mixed.figure.get_supxlabel().replace("\n", " ")
    assert caption.startswith("MIXED PROTOCOLS, not comparable: v2-gymnasium1.4.0")


@pytest.mark.parametrize("name", ["authors", "field"])
def test_nothing_is_mixed_beside_published_curves(tmp_path, make_run, name):
    store, extra = Store(tmp_path), {"time/evaluation_s": [1.0], "time/update_ms": [1.0]}
    for seed, protocol in enumerate(("v2", "v5")):
        store.write(make_run({5000: 1.0}, seed=seed, protocol=protocol, extra=extra))
    with pytest.raises(StoreMixError, match="protocols"):
        drawn(name, store)
    assert drawn(name, store, mix=True)
    # The published curves are of the paper's scale.
    assert not drawn(name, store, mix=True, scale="laptop")


def test_a_page_of_mixed_curves_costs_no_other_page(store, make_run, tmp_path):
    extra = {"time/evaluation_s": [1.0], "time/update_ms": [1.0]}
    store.write(make_run({5000: 1.0}, algorithm="td3", scale="laptop", extra=extra))
    other = {"seed": 2, "scale": "laptop", "protocol": "v2-other"}
    store.write(make_run({5000: 1.0}, algorithm="sac", extra=extra, **other))
    with pytest.warns(StoreWarning, match="curves-sac at laptop scale is left out: Runs of different prot"):
        assert Figure("curves", store=store.root, out=tmp_path / "out").run() == 0
    names = {path.name for path in (tmp_path / "out").glob("*.csv")}
    assert "curves-td3-laptop.csv" in names and "curves-sac-laptop.csv" not in names
    assert Figure("curves", mix=True, store=store.root, out=tmp_path / "out").run() == 0
    assert (tmp_path / "out" / "curves-sac-laptop.csv").exists()


def test_alm_over_its_authors_curves(tmp_path, make_run):
    """Both precisions, at paper scale, on tasks that the authors have curves of."""
    store, extra = Store(tmp_path / "runs"), {"time/evaluation_s": [0.0] * 2, "time/update_ms": [1.0] * 2}
    for task, scale, variant in (
        ("HalfCheetah", "paper", "base"),
        ("HalfCheetah", "paper", "base+bf16"),
        ("HalfCheetah", "laptop", "base"),
        ("Hopper", "paper", "base"),
    ):
        about = {"task": task, "scale": scale, "variant": variant, "status": "partial"}
        store.write(make_run({5000: 0.0, 10_000: 50.0}, extra=extra, **about))
    (picture,) = drawn("authors", store)
    (cheetah,) = picture.figure.axes
    labels = [line.get_label() for line in cheetah.lines]
    assert labels == ["ALM(3), authors' 5 seeds", "ALM(3)", "ALM(3), bf16"]
    assert picture.file == "authors" and picture.points["return"].tolist() == [0.0, 50.0] * 2


def test_each_seed_of_alm_goes_to_its_own_end_beside_the_authors(tmp_path, make_run):
    """Averages end where the shortest seed does; a seed that is far ahead would hide the others."""
    store, about = Store(tmp_path / "runs"), {"task": "HalfCheetah", "scale": "paper", "status": "partial"}
    ends = {0: 10_000, 1: 15_000, 2: 40_000}
    for seed, end in ends.items():
        returns = {float(step): float(seed) for step in range(5000, end + 1, 5000)}
        extra = {name: [1.0] * len(returns) for name in ("time/evaluation_s", "time/update_ms")}
        store.write(make_run(returns, seed=seed, variant="base+bf16", extra=extra, **about))
    (picture,) = drawn("authors", store)
    (cheetah,) = picture.figure.axes
    _, *seeds = cheetah.lines
    assert [line.get_xdata()[-1] for line in seeds] == list(ends.values())
    assert [set(line.get_ydata()) for line in seeds] == [{0.0}, {1.0}, {2.0}]
    (note,) = cheetah.texts
    assert note.get_text() == "ALM(3), bf16: 3 of 5 seeds, to 10k, 15k, 40k steps"
    handles, labels = cheetah.get_legend_handles_labels()
    assert labels == ["ALM(3), authors' 5 seeds", "ALM(3), bf16"] and len(handles) == 2


def test_a_failed_seed_of_alm_is_named_beside_the_authors(tmp_path, make_run):
    store, extra = Store(tmp_path / "runs"), {"time/evaluation_s": [1.0] * 2, "time/update_ms": [1.0] * 2}
    for seed, ended in enumerate(({"status": "partial"}, {"status": "failed", "reason": "not finite"})):
        store.write(make_run({5000: 0.0, 10_000: 50.0}, seed=seed, scale="paper", extra=extra, **ended))
    (picture,) = drawn("authors", store)
    (note,) = picture.figure.axes[0].texts
    assert note.get_text() == "ALM(3): 2 of 5 seeds, to 10k, 10k (failed) steps"


def test_mixing_is_refused_with_the_way_to_force_it(store, make_run, tmp_path, capsys):
    extra = {"time/evaluation_s": [1.0], "time/update_ms": [1.0]}
    other = {"seed": 2, "scale": "laptop", "protocol": "v5"}
    store.write(make_run({5000: 1.0}, algorithm="sac", extra=extra, **other))
    assert Figure("figure3", store=store.root, out=tmp_path / "out").run() == 2
    error = capsys.readouterr().err
    assert "different protocols" in error and "--mix" in error and error.count("\n") == 1
    assert Figure("figure3", mix=True, store=store.root, out=tmp_path / "out").run() == 0


def test_seeds_that_were_trained_otherwise_are_mixed_by_no_option(store, make_run, tmp_path, capsys):
    extra = {"time/evaluation_s": [1.0], "time/update_ms": [1.0]}
    other = {"seed": 2, "scale": "laptop", "config": {"agent": {"horizon": 4}}}
    store.write(make_run({5000: 1.0}, algorithm="sac", extra=extra, **other))
    for mix in (False, True):
        assert Figure("figure3", mix=mix, store=store.root, out=tmp_path / "out").run() == 2
        error = capsys.readouterr().err
        assert "because their configurations differ" in error and "--mix" not in error
    assert Figure("curves", store=store.root, out=tmp_path / "out").run() == 0
    assert "--mix" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("definition", "mean", "std", "mean_of_critics"),
    [
        ("redq", [2.5, 0.1, -0.2], 0.0, 1.0),
        ("paper", [2.5, 0.1, -0.2], 0.0, 1.0),
        ("per-state", [np.mean(x / np.array([20, 40, 60])) for x in (100, 4, -8)], None, 1.0),
        # Each estimate, of mean 40 + x, with every return.
        ("authors", [np.mean((40 + x) / np.array([20, 40, 60])) - 1 for x in (100, 4, -8)], None, 13 / 9),
    ],
)
def test_definitions_of_the_bias_are_chosen_when_plotting(store, definition, mean, std, mean_of_critics):
    exhibit = dataclasses.replace(FIGURE["figure8"], bias=definition)
    points = value_bias.data(exhibit, store, "laptop").points
    bound = points[points["series"] == "ALM(3), lower bound"]
    assert bound["bias_mean"].tolist() == pytest.approx(mean, rel=1e-6)
    if std is not None:
        assert bound["bias_std"].tolist() == pytest.approx([std] * 3, abs=1e-6)
    critics = points[points["series"] == "ALM(3), min Q"]
    assert critics["bias_mean"].tolist() == pytest.approx([mean_of_critics] * 3)


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_panels_of_figure3(store):
    exhibit = FIGURE["figure3"]
    data = runtime.data(exhibit, store, "laptop")
    figure = runtime.draw(data)
    # A task without a run has no panel.
    cheetah, cheetah_hours, costs = figure.axes
    assert cheetah.get_title() == "HalfCheetah"
    assert texts(cheetah) == [
        "1 of 5 seeds, 7k of 50k steps: ALM(3)\n"
        "2 of 5 seeds, 6k of 50k steps: SAC\n"
        "no stored run: REDQ; MBPO\n"
        "no stored run, 1 failed: TD3"
    ]
    curves = {line.get_label(): line for line in cheetah.lines}
    np.testing.assert_allclose(curves["SAC"].get_ydata(), [0, 20])
    assert curves["SAC"].get_color() == LOOKS["sac"].colour
    assert cheetah_hours.get_ylim() == cheetah.get_ylim()
    # The first evaluation comes before any training and has no place on a logarithm of minutes.
    hours = {line.get_label(): line for line in cheetah_hours.lines}
    np.testing.assert_allclose(hours["SAC"].get_xdata(), [60 * 50 / 7200])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ALM(3)", "SAC"]
    assert costs.get_title().startswith("cost of a step on HalfCheetah")
    caption = " ".join(figure.get_supxlabel().split())
    assert "laptop scale (drawn: ALM(3); SAC): mean return" in caption and "authors" not in caption
    # Of SAC there are two, of ALM one.
    assert "mean ± sample standard deviation over seeds if there are several" in caption
    assert "Networks are smaller than the paper's at this scale, but for those of SAC." in caption
    assert "No stored run on Hopper." in caption and "`" not in caption
    assert "Measured on Test, 1 thread." in caption


def test_captions_name_tasks_without_an_authors_curve_and_networks_that_are_smaller(tmp_path, make_run):
    store, extra = Store(tmp_path / "runs"), {"time/evaluation_s": [1.0] * 2, "time/update_ms": [1.0] * 2}

    def caption(name, scale, **about):
        store.write(make_run({5000: 1.0, 6000: 2.0}, scale=scale, extra=extra, **about))
        data = learning_curves.data(FIGURE[name], store, scale)
        return " ".join(learning_curves.draw(data).get_supxlabel().split())

    grey = "mean ± standard deviation of the authors' five seeds of ALM(3)"
    assert grey not in caption("figure9", "paper", algorithm="sac", task="Hopper")
    both = caption("figure9", "paper", algorithm="td3", task="Walker2d")
    assert f"Grey: {grey} (none was released of Hopper), shifted by their 5,000 random steps." in both
    assert "Networks are" not in both
    smaller = "Networks are smaller than the paper's at this scale"
    assert f"{smaller}." in caption("figure5a", "laptop", variant="no-kl")
    assert smaller not in caption("figure9", "laptop", algorithm="td3", task="Hopper")


def test_bands_are_of_one_sample_deviation(store):
    """Two seeds of SAC are both 0 at first, then 10 and 30: 20 ± 14.1."""
    exhibit = FIGURE["figure3"]
    data = learning_curves.data(exhibit, store, "laptop")
    (cheetah,) = learning_curves.draw(data).axes
    sac = cheetah.collections[-1].get_paths()[0].vertices
    assert sorted(set(sac[:, 1])) == pytest.approx([0, 20 - 200**0.5, 20 + 200**0.5])


def test_alm_lies_on_top_of_other_curves_and_many_bands_are_fainter(tmp_path, make_run):
    store, extra = Store(tmp_path), {"time/evaluation_s": [1.0] * 2, "time/update_ms": [1.0] * 2}
    opaque = {}
    for name in ("figure5a", "figureG", "figureQ"):
        scale = "paper" if name == "figureQ" else "laptop"
        for series in FIGURE[name].series:
            for seed in (0, 1):
                about = {"variant": series.variant, "seed": seed, "scale": scale, "extra": extra}
                store.write(make_run({5000: 0.0, 7500: 9.0 + seed}, algorithm=series.algorithm, **about))
        (axis,) = learning_curves.draw(learning_curves.data(FIGURE[name], store, scale)).axes
        curves = [
            line for line in axis.lines if line.get_label() in {one.label for one in FIGURE[name].series}
        ]
        alm, *others = curves
        assert alm.get_label().startswith("ALM(3)") and len(others) == len(FIGURE[name].series) - 1
        assert all(alm.get_zorder() > line.get_zorder() for line in others)
        opaque[name] = axis.collections[-1].get_alpha()
    # Four curves and eight.
    assert opaque["figureG"] < opaque["figure5a"]


def test_costs_of_a_step_are_those_of_the_benchmark(store, tmp_path, monkeypatch):
    """Of all algorithms that it has measured at the scale, also of those without a run here."""
    costs = {
        name: {"step_ms": ms} for name, ms in (("redq", 40.0), ("sac", 10.0), ("alm", 1664.0), ("svg", 1.0))
    }
    record = {
        "task": "Hopper",
        "hardware": {"cpu": "Fast(TM)"},
        "results": {"costs": {"laptop": costs, "paper": {"alm": {"step_ms": 500.0}}}},
    }
    path = tmp_path / "environment_step.json"
    path.write_text(json.dumps(record))
    monkeypatch.setattr(runtime, "BENCHMARK", path)
    data = runtime.data(FIGURE["figure3"], store, "laptop")
    figure = runtime.draw(data)
    axis = figure.axes[-1]
    assert axis.get_title() == "cost of a step on Hopper\nFast, benchmark"
    assert [label.get_text() for label in axis.get_yticklabels()] == ["ALM(3)", "REDQ", "SAC"]
    assert texts(axis) == ["1660 ms", "40 ms", "10 ms"]
    assert [line.get_xdata().tolist() for line in axis.lines] == [[1664.0], [40.0], [10.0]]
    assert "of one seed of each algorithm in the benchmark" in " ".join(figure.get_supxlabel().split())
    # A variant is not what the benchmark measures.
    assert runtime.costs(FIGURE["figure5c"], "paper") == {"ALM(3)": 500.0}
    path.unlink()
    assert texts(runtime.draw(data).axes[-1]) == ["not in the benchmark"]


def test_seeds_of_different_speed_share_a_curve(tmp_path, make_run):
    """At 6000 steps one seed is 10 s old and the other 30 s."""
    store = Store(tmp_path)
    provenance = {"device": "cpu", "threads": 1, "population": 1}
    for seed, seconds in ((0, [0.0, 10.0]), (1, [0.0, 30.0])):
        extra = {"time/evaluation_s": [0.0] * 2, "time/update_ms": [900.0, 6.0], "wall_seconds": seconds}
        run = {"algorithm": "sac", "seed": seed, "scale": "laptop", "provenance": provenance}
        store.write(make_run({5000: 0.0, 6000: 1.0}, extra=extra, **run))
    exhibit = FIGURE["figure3"]
    data = runtime.data(exhibit, store, "laptop")
    _, minutes, _ = runtime.draw(data).axes
    np.testing.assert_allclose(minutes.lines[0].get_xdata(), [20 / 60])


def test_seeds_of_which_one_has_only_warmed_up_have_a_curve_and_no_panel_of_minutes(tmp_path, make_run):
    """It ends at 5000 steps, before any update, though the other seed has gone further."""
    store = Store(tmp_path)
    provenance = {"device": "cpu", "threads": 1, "population": 1}
    for seed, returns in ((0, {5000: 0.0}), (1, {5000: 0.0, 7500: 1.0, 10_000: 2.0})):
        count = len(returns)
        extra = {"time/evaluation_s": [1.0] * count, "time/update_ms": [6.0] * count}
        about = {"algorithm": "sac", "seed": seed, "scale": "laptop", "status": "partial"}
        store.write(make_run(returns, extra=extra, provenance=provenance, **about))
    (picture,) = drawn("figure3", store)
    assert [axis.get_title() for axis in picture.figure.axes] == ["HalfCheetah"]


def test_runs_that_recorded_no_times_have_curves_without_them(tmp_path, make_run):
    store, provenance = Store(tmp_path), {"device": "cpu", "population": 1}
    store.write(make_run({5000: 0.0, 7500: 1.0}, algorithm="sac", scale="laptop", provenance=provenance))
    (picture,) = drawn("figure3", store)
    assert picture.points["hours"].isna().all()
    assert "Time not recorded: SAC." in " ".join(picture.figure.get_supxlabel().split())


def test_panels_of_minutes_say_whose_times_they_have(tmp_path, make_run):
    """SAC's seeds on two processors, ALM without times, TD3 on another task."""
    store, extra = Store(tmp_path), {"time/evaluation_s": [1.0] * 2, "time/update_ms": [6.0] * 2}
    store.write(
        make_run({5000: 0.0, 7500: 1.0}, scale="laptop", provenance={"device": "cpu", "population": 1})
    )
    for algorithm, task, seed, threads in (
        ("sac", "HalfCheetah", 0, 1),
        ("sac", "HalfCheetah", 1, 1),
        ("sac", "HalfCheetah", 2, 2),
        ("td3", "Hopper", 0, 2),
    ):
        about = {"algorithm": algorithm, "task": task, "seed": seed, "scale": "laptop"}
        provenance = {"device": "cpu", "threads": threads, "population": 1}
        store.write(make_run({5000: 0.0, 7500: 1.0}, extra=extra, provenance=provenance, **about))
    (picture,) = drawn("figure3", store)
    said = {
        axis.get_title().replace("\n", ", "): axis.texts[-1].get_text().splitlines()
        for axis in picture.figure.axes
        if axis.get_xlabel().startswith("minutes")
    }
    assert [title.split(", ")[0] for title in said] == ["HalfCheetah", "Hopper", "HalfCheetah"]
    assert list(said.values()) == [
        ["1 seed: SAC", "time not recorded: ALM(3)"],
        ["1 seed: TD3"],
        ["2 seeds: SAC", "time not recorded: ALM(3)"],
    ]


def test_curves_leave_out_a_scale_that_is_not_known(store, make_run):
    store.write(make_run({5000: 0.0}, algorithm="sac", scale="huge"))
    pictures = drawn("curves", store)
    assert sorted(picture.file for picture in pictures) == ["curves-alm-laptop", "curves-sac-laptop"]


def test_times_of_different_processors_have_panels_of_their_own(store, make_run):
    provenance = {"device": "cpu", "threads": 2, "hardware": {"cpu": "Other"}, "population": 1}
    extra = {"time/evaluation_s": [5.0, 5.0], "time/update_ms": [6.0, 6.0]}
    store.write(
        make_run({5000: 0.0, 6000: 1.0}, algorithm="redq", scale="laptop", provenance=provenance, extra=extra)
    )
    data = runtime.data(FIGURE["figure3"], store, "laptop")
    figure = runtime.draw(data)
    steps, *timed, _ = figure.axes
    assert len(steps.lines) == 3
    titles = ["HalfCheetah\nTest, 1 thread", "HalfCheetah\nOther, 2 threads"]
    assert [axis.get_title() for axis in timed] == titles
    curves = [{line.get_label() for line in axis.lines} for axis in timed]
    assert curves == [{"ALM(3)", "SAC"}, {"REDQ"}]
    # Minutes of one panel are read beside those of the other.
    assert timed[0].get_xlim() == timed[1].get_xlim()
    low, high = timed[0].get_xlim()
    assert all(low < x < high for axis in timed for line in axis.lines for x in line.get_xdata())
    assert "times on different ones are not comparable" in " ".join(figure.get_supxlabel().split())


def test_times_of_different_gpus_have_panels_of_their_own(store, make_run):
    extra = {"time/evaluation_s": [5.0, 5.0], "time/update_ms": [6.0, 6.0]}
    for algorithm, gpu in (("redq", "H200"), ("mbpo", "A100")):
        provenance = {"device": "cuda", "hardware": {"cpu": "Test", "gpu": gpu}, "population": 1}
        run = {"algorithm": algorithm, "scale": "laptop", "provenance": provenance}
        store.write(make_run({5000: 0.0, 6000: 1.0}, extra=extra, **run))
    devices = runtime.data(FIGURE["figure3"], store, "laptop").points.groupby("series")["device"].first()
    assert devices[["SAC", "REDQ", "MBPO"]].tolist() == ["Test, 1 thread", "H200 of Test", "A100 of Test"]


def test_a_task_of_which_all_runs_failed_is_named_with_them(store, make_run):
    extra = {"time/evaluation_s": [1.0], "time/update_ms": [1.0]}
    options = {"task": "Hopper", "scale": "laptop", "status": "failed", "reason": "not finite"}
    store.write(make_run({5000: 1.0}, algorithm="td3", extra=extra, **options))
    data = runtime.data(FIGURE["figure3"], store, "laptop")
    assert captions.tasks_left_out(data) == " No stored run on Hopper (1 failed)."


def test_runs_that_are_stored_without_what_a_figure_shows_are_not_called_missing(store, make_run):
    """REDQ's runs have no value estimates beside them."""
    for task in ("HalfCheetah", "Hopper"):
        store.write(make_run({5000: 1.0, 6000: 2.0}, algorithm="redq", task=task, scale="laptop"))
    data = value_bias.data(FIGURE["figure4"], store, "laptop")
    note = captions.seeds_note([curve for curve in data.curves if curve.task == "HalfCheetah"])
    assert note.splitlines()[1:] == ["stored without what is shown: REDQ", "no stored run: SAC-AVG"]
    assert captions.tasks_left_out(data) == " Runs on Hopper are stored without what is shown."


def test_seeds_stored_without_what_a_figure_shows_are_counted_beside_the_drawn_one(store, make_run):
    """ALM's second seed has no value estimates beside it."""
    store.write(make_run({5000: 1.0, 7000: 2.0}, seed=1, scale="laptop"))
    data = value_bias.data(FIGURE["figure4"], store, "laptop")
    note = captions.seeds_note([curve for curve in data.curves if curve.task == "HalfCheetah"])
    drawn_one = "1 of 5 seeds, 7k of 50k steps, 1 stored without what is shown: ALM(3), lower bound"
    assert note.splitlines()[0] == drawn_one
    # Those without are not among the runs drawn, of which captions count one's own.
    assert [run.spec.seed for run in data.runs] == [0]


def test_a_caption_counts_the_evaluation_episodes_of_its_scale(tmp_path, make_run):
    """Two at the scale for tests, whose runs are drawn if someone stores them."""
    store = Store(tmp_path)
    store.write(make_run({200: 1.0, 400: 2.0}, algorithm="sac", scale="smoke"))
    (picture,) = drawn("curves", store)
    caption = " ".join(picture.figure.get_supxlabel().split())
    assert "smoke scale: mean return of 2 greedy evaluation episodes" in caption


def test_the_authors_curve_is_grey_at_paper_scale_only(store, make_run):
    exhibit = FIGURE["figure3"]
    extra = {"time/evaluation_s": [1.0] * 2, "time/update_ms": [6.0] * 2}
    store.write(make_run({5000: 0.0, 10_000: 50.0}, algorithm="sac", status="partial", extra=extra))
    data = runtime.data(exhibit, store, "paper")
    figure = runtime.draw(data)
    cheetah = next(axis for axis in figure.axes if axis.get_title() == "HalfCheetah")
    published = next(line for line in cheetah.lines if "authors" in line.get_label())
    curve = authors_curves().query("task == 'HalfCheetah'")
    assert published.get_xdata()[0] == curve["training_step"].iloc[0] + 5000
    assert published.get_ydata()[0] == curve["return_mean"].iloc[0]
    assert max(published.get_xdata()) <= 30_000
    band = cheetah.collections[0].get_paths()[0].vertices
    first = band[band[:, 0] == published.get_xdata()[0], 1]
    mean, std = curve[["return_mean", "return_std"]].iloc[0]
    assert (first.min(), first.max()) == pytest.approx((mean - std, mean + std))
    assert "1 of 5 seeds, 10k of 300k steps: SAC" in texts(cheetah)[0]


def test_panels_of_the_bias(store):
    exhibit = dataclasses.replace(FIGURE["figure8"], bias="paper")
    data = value_bias.data(exhibit, store, "laptop")
    figure = value_bias.draw(data)
    top, bottom = figure.axes
    means = {line.get_label(): line for line in top.lines}
    np.testing.assert_allclose(means["ALM(3), lower bound"].get_xdata(), [6000, 7000])
    np.testing.assert_allclose(means["ALM(3), lower bound"].get_ydata(), [0.1, -0.2], rtol=1e-6)
    bound, critics = means["ALM(3), lower bound"], means["ALM(3), min Q"]
    for look in ("get_linestyle", "get_marker", "get_color", "get_markerfacecolor"):
        assert getattr(bound, look)() != getattr(critics, look)()
    assert "no stored run: REDQ" in texts(bottom)[0]
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "as the ALM paper writes it; positive is overestimation" in caption
    assert "entropy bonus" not in caption


def test_the_caption_of_the_bias_names_whose_values_have_an_entropy_bonus(store, make_run):
    run = make_run({5000: 0.0, 6000: 100.0}, algorithm="redq", scale="laptop")
    store.write(run)
    pairs = {"episode": [0, 0], "episode_step": [0, 1], "monte_carlo": [20.0, 40.0], "mean_q": [25.0, 45.0]}
    store.write_values(run, pd.DataFrame({"step": 6000, **pairs}))
    figure = value_bias.draw(value_bias.data(FIGURE["figure4"], store, "laptop"))
    caption = " ".join(figure.get_supxlabel().split())
    assert "with the entropy bonus at the learned temperature for REDQ. Curves" in caption


def test_the_command_writes_each_scale_that_has_runs(store, tmp_path, capsys):
    for out in ("a", "b"):
        assert Figure("figure4", store=store.root, out=tmp_path / out).run() == 0
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [f"figure4-laptop.{kind}" for kind in ("csv", "pdf", "png")]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert len(pd.read_csv(tmp_path / "a" / "figure4-laptop.csv")) == 3
    # Without a run at paper scale there is a line that says what it would take, not a picture of nothing.
    (line,) = {line for line in capsys.readouterr().out.splitlines() if "paper scale" in line}
    # Three series with five seeds each, of 500,000 steps on Ant and of 300,000 on Walker2d.
    says = "none of its runs is stored yet; 30 of its 30 runs lack 12,000,000 environment steps"
    assert line.startswith(f"figure4 at paper scale: {says}: ")

    # Nor one of the curve of unchanged ALM that the figure would put others beside.
    assert Figure("figure11", store=store.root, out=tmp_path / "c").run() == 1
    lines = capsys.readouterr().out.splitlines()
    assert "150 of its 150 runs lack" in lines[0] and len(lines) == 2 and not (tmp_path / "c").exists()
    what = "no run of c = 0.05, c = 0.15, c = 0.2, c = 0.5, c = 1 is stored; 29 of its 30 runs lack"
    assert lines[1].startswith(f"figure11 at laptop scale: {what} ")

    (tmp_path / "file").write_text("")
    assert main(["figure", "4", "--store", str(store.root), "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith(f"error: cannot read or write {tmp_path / 'file'}")


def test_learning_curves_of_each_page_on_the_tasks_that_have_runs(store, tmp_path):
    assert Figure("curves", store=store.root, out=tmp_path / "out").run() == 0
    pages = {path.stem for path in (tmp_path / "out").glob("*.csv")}
    # Of TD3 there is only a run that failed.
    assert pages == {"curves-alm-laptop", "curves-sac-laptop"}
    assert set(pd.read_csv(tmp_path / "out" / "curves-sac-laptop.csv")["task"]) == {"HalfCheetah"}


def test_tasks_of_two_families_have_pictures_of_their_own(store, make_run, tmp_path):
    extra = {"time/evaluation_s": [1.0], "time/update_ms": [1.0]}
    mbbl = {"task": "mbbl/Hopper", "scale": "laptop", "protocol": "mbbl-gymnasium1.4.0-mujoco4.0.0"}
    store.write(make_run({5000: 1.0}, algorithm="sac", extra=extra, **mbbl))
    assert Figure("curves", store=store.root, out=tmp_path / "out").run() == 0
    assert set(pd.read_csv(tmp_path / "out" / "curves-sac-mbbl-laptop.csv")["task"]) == {"mbbl/Hopper"}
    assert set(pd.read_csv(tmp_path / "out" / "curves-sac-laptop.csv")["task"]) == {"HalfCheetah"}


def test_a_broken_value_file_is_named_by_the_figure_that_lacks_it(store, tmp_path):
    path = store.root / "alm/base/HalfCheetah/laptop/seed-0.values.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(StoreWarning, match=re.escape(str(path))):
        assert Figure("figure8", store=store.root, out=tmp_path / "out").run() == 1


def test_value_samples_of_another_configuration_are_refused(store, make_run):
    run = store.runs(algorithm="alm")[0]
    other = make_run({5000: 1.0}, scale="laptop", config={"agent": {"horizon": 5}})
    with pytest.warns(match="belongs to the configuration"):
        assert store.values(dataclasses.replace(other, spec=run.spec)) is None


def test_drawing_imports_no_learning_or_simulation():
    """`make figure3` installs what reading needs only."""
    script = (
        "import sys, reproduce.commands.figures, paper_figures.drawing, paper_figures.report.page\n"
        "print(sorted({'torch', 'mujoco', 'gymnasium', 'mlflow'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=CODE, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_declarations_hang_together():
    variants = {}
    for exhibit in (*FIGURES, field.EXHIBIT):
        by_label = looks(exhibit.series)
        assert len(by_label) == len(exhibit.series) == len(set(by_label.values()))
        for series in exhibit.series:
            assert series.algorithm in ALGORITHMS
            assert bool(series.estimate) == (exhibit.shows == "bias")
            if series.variant == "base" and not series.noise and series.estimate != "min_q":
                listed = LOOKS.get(series.algorithm, by_label[series.label])
                assert by_label[series.label].colour == listed.colour
            if series.algorithm == "alm" and by_label[series.label].colour != LOOKS["alm"].colour:
                # A variant is drawn in no algorithm's colour, and alike wherever it is drawn.
                look = by_label[series.label]
                assert look.colour not in {one.colour for one in LOOKS.values()}
                assert variants.setdefault((series.variant, series.noise), look) == look
        plain = [by_label[one.label].colour for one in exhibit.series if not one.estimate]
        assert len(set(plain)) == len(plain)
        if QUARTER in exhibit.series:
            # Drawn beside algorithms, which markers tell apart without colour.
            assert len({look.marker for look in by_label.values()}) == len(by_label)
    colours = [look.colour for look in LOOKS.values()]
    assert len(set(colours)) == len(colours)
    assert len({look.marker for look in LOOKS.values()}) == len(LOOKS)
    # Every named variant of ALM has a colour that nothing else has; a longer run is drawn like ALM.
    own = [look.colour for look in VARIANTS.values()]
    assert len({*own, *colours}) == len(own) + len(colours)
    assert set(VARIANTS) == {*ALGORITHMS["alm"].variants, "base+bf16", HALF.variant} - {"million"}


def test_an_algorithm_that_is_not_listed_has_a_look_by_its_name():
    found = looks([Series("SAC", "sac"), Series("mine", "mine"), Series("other", "other")])
    assert len({look.colour for look in found.values()}) == 3
    assert found["mine"].colour not in {look.colour for look in LOOKS.values()}
    assert looks([Series("mine", "mine")])["mine"] == found["mine"]


def test_a_second_row_shows_the_metric_of_those_that_have_it(tmp_path, make_run):
    store = Store(tmp_path / "runs")
    options = {"scale": "laptop", "provenance": {"population": 1}}
    extra = {"time/evaluation_s": [5.0] * 2, "time/update_ms": [6.0] * 2}
    store.write(make_run({5000: 1.0, 6000: 2.0}, extra=extra, **options))
    clamped = extra | {"model/clamped": [0.0, 7.0]}
    store.write(make_run({5000: 1.0, 6000: 3.0}, variant="log-naive", extra=clamped, **options))
    exhibit = FIGURE["figure12"]
    figure = learning_curves.draw(learning_curves.data(exhibit, store, "laptop"))
    top, bottom = figure.axes
    assert [line.get_label() for line in top.lines] == ["ALM(3)", "log in both objectives"]
    assert [line.get_label() for line in bottom.lines] == ["log in both objectives"]
    np.testing.assert_allclose(bottom.lines[0].get_ydata(), [0, 7])
    assert bottom.get_ylabel() == "logarithms clamped"


def test_final_returns_are_means_of_the_last_five_evaluations(tmp_path, make_run):
    store = Store(tmp_path / "runs")
    options = {"scale": "laptop", "provenance": {"population": 1}}
    extra = {"time/evaluation_s": [5.0] * 7, "time/update_ms": [6.0] * 7}
    for seed, offset in ((0, 0.0), (1, 10.0)):
        curve = {1000 * step: offset + step for step in range(5, 12)}
        store.write(make_run(curve, variant="c-0.5", seed=seed, extra=extra, **options))
    exhibit = FIGURE["figure20"]
    data = final_return.data(exhibit, store, "laptop")
    assert data.points["return"].tolist() == [9.0, 19.0]
    (axis,) = final_return.draw(data).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == [
        "0.05",
        "0.1",
        "0.15",
        "0.2",
        "0.5",
        "1",
    ]
    dots = axis.lines[0]
    assert dots.get_xdata().tolist() == [4, 4] and dots.get_ydata().tolist() == [9.0, 19.0]
    # 14 with a sample deviation of √50 to each side.
    (bar,) = axis.containers[0].lines[2][0].get_segments()
    assert bar[:, 1].tolist() == pytest.approx([14 - 50**0.5, 14 + 50**0.5])


def test_the_transformed_reward_is_the_formula():
    points = reward_transform.values()
    reward = points["reward"].to_numpy()
    np.testing.assert_allclose(points["transformed"], 1e4 * (np.log(reward + 1e4) - np.log(1e4)), atol=1e-8)
    assert reward.min() == -20 and reward.max() == 20
    figure = reward_transform.draw(points)
    difference = figure.axes[1].lines[0]
    assert difference.get_ydata().max() <= 1e-12 and difference.get_ydata().min() > -0.03


def test_predicted_representations_are_drawn_for_one_episode_only(tmp_path, make_run):
    store = Store(tmp_path / "runs")
    steps = pd.DataFrame(
        {
            "step": range(4),
            "encoded": [0.0, 1.0, 2.0, 3.0],
            "predicted": [0.0, 1.5, 2.5, 3.5],
            "sampled": [0.1] * 4,
            "squared_error": [np.nan, 0.1, 0.2, np.nan],
            "divergence": [np.nan, 1.0, 2.0, np.nan],
        }
    )
    for seed, errors in ((0, 1.0), (1, 3.0)):
        run = make_run({5000: 1.0, 30_000: 2.0}, seed=seed, scale="laptop", status="partial")
        store.write(run)
        store.write_latents(run, steps.assign(squared_error=steps["squared_error"] * errors), "alm of seed 1")
    begun = make_run({5000: 1.0}, seed=2, scale="laptop", status="partial")
    store.write(begun)
    store.write_latents(begun, steps, "alm of seed 1")
    exhibit = FIGURE["figure7"]
    data = latents.data(exhibit, store, "laptop")
    figure = latents.draw(data)
    kept, error = figure.axes
    # Pooled as runs are everywhere: what has only begun is named, and so is how far the others are.
    assert kept.get_title() == "ALM(3), seed 0"
    assert texts(kept) == ["2 of 5 seeds, 30k of 50k steps, 1 unfinished: ALM(3)"]
    lines = {line.get_label(): line.get_ydata().tolist() for line in kept.lines}
    assert lines["encoder"] == [0, 1, 2, 3]
    assert [0, 1.5, 2.5, 3.5] in [line.get_ydata().tolist() for line in kept.lines]
    curves = [line.get_ydata() for line in error.lines[:3]]
    # Each seed, then their mean.
    np.testing.assert_allclose(curves, [[0.1, 0.2], [0.3, 0.6], [0.2, 0.4]], rtol=1e-6)
    caption = " ".join(figure.get_supxlabel().split())
    assert "(drawn: ALM(3))" in caption and "of alm of seed 1" in caption

    other = make_run({30_000: 1.0}, seed=3, scale="laptop", status="partial", protocol="v5")
    store.write(other)
    store.write_latents(other, steps, "alm of seed 1")
    with pytest.raises(StoreMixError, match="protocols"):
        drawn("figure7", store)
    store.write(make_run({30_000: 1.0}, seed=4, scale="laptop", status="partial"))  # without predictions
    curve = latents.data(exhibit, store, "laptop").curves[0]
    assert (curve.seeds, curve.unmeasured) == (3, 1)

    other = make_run({5000: 1.0}, variant="no-kl", scale="laptop")
    store.write(other)
    store.write_latents(other, steps, "alm of seed 2")
    with pytest.raises(StoreMixError, match="different episodes"):
        latents.data(exhibit, store, "laptop")


@pytest.mark.parametrize(("task", "series"), [("figure12", 4), ("figure5c", 5)])
def test_small_print_and_legend_are_no_wider_than_their_place(store, task, series):
    exhibit = FIGURE[task]
    data = learning_curves.data(exhibit, store, "laptop")
    figure = learning_curves.draw(data)
    panel = figure.get_figwidth()
    for axis in figure.axes:
        assert all(len(line) <= 16 * panel for text in texts(axis) for line in text.split("\n"))
    labels = [one.label for one in exhibit.series]
    assert len(labels) == series
    assert panels.legend_columns(labels, 50.0) == [[label] for label in labels]
    assert panels.legend_columns(labels, 1.0) == [labels]
    assert panels.legend_columns(labels, 5.2) == [labels[::2], labels[1::2]]


@pytest.mark.parametrize(
    ("count", "rows"),
    [(1, [1]), (2, [2]), (3, [3]), (4, [2, 2]), (5, [3, 2]), (6, [3, 3]), (7, [3, 3, 1])],
)
@pytest.mark.parametrize("parts", [1, 2])
def test_panels_stand_in_rows_of_a_page(count, rows, parts):
    figure, (group,) = panels.page(count, parts=parts)
    assert [len(axes) for axes in group] == [count] * parts and len(figure.axes) == count * parts
    places = [axis.get_subplotspec() for axis in group[-1]]
    starts = [place.rowspan.start for place in places]
    assert [starts.count(row) for row in sorted(set(starts))] == rows
    assert figure.get_figwidth() <= 8
    # What belongs together stands beneath each other.
    for axes in zip(*group, strict=True):
        first = axes[0].get_subplotspec()
        for part, axis in enumerate(axes):
            place = axis.get_subplotspec()
            assert (place.rowspan.start, place.colspan) == (first.rowspan.start + part, first.colspan)


def test_groups_of_panels_fill_the_width_each():
    _, ((steps,), (minutes,), (costs,)) = panels.page(3, 6, 2)
    ends = [group[-1].get_subplotspec().colspan.stop for group in (steps, minutes, costs)]
    assert ends == [6, 6, 6] and costs[0].get_subplotspec().colspan == range(3)
    # Unless they fit into one row.
    figure, groups = panels.page(1, 1, 1)
    assert [axis for ((axis,),) in groups] == figure.axes
    assert {axis.get_subplotspec().rowspan.start for axis in figure.axes} == {0}


def boxes(figure):
    """The extent of each text in and around the panels of a figure, once it is laid out."""
    figure.canvas.draw()
    written = [text for axis in figure.axes for text in (axis.title, axis.xaxis.label, *axis.texts)]
    return [text.get_window_extent() for text in written if text.get_text()]


@pytest.mark.parametrize(("name", "tasks"), [("figure16", 5), ("figure3", 3), ("figure11", 4)])
def test_nothing_overlaps(tmp_path, make_run, name, tasks):
    """At paper scale with several tasks and processors, of which few runs are stored."""
    store, extra = Store(tmp_path / "runs"), {"time/evaluation_s": [1.0] * 3, "time/update_ms": [6.0] * 3}
    names = ("HalfCheetah", "T-Ant", "Ant", "Walker2d", "Hopper")
    exhibit = dataclasses.replace(FIGURE[name], tasks=names[:tasks])
    for place, series in enumerate(exhibit.series):
        provenance = {"device": "cpu", "threads": 1, "population": 1}
        provenance["hardware"] = {"cpu": ("AMD EPYC", "Intel(R) Xeon(R) Processor")[place % 2]}
        for task in exhibit.tasks:
            about = {"algorithm": series.algorithm, "variant": series.variant, "task": task}
            curve = {5000: -200.0, 100_000: 4000.0, 200_000: 9000.0}
            store.write(make_run(curve, extra=extra, provenance=provenance, **about))
    module = runtime if name == "figure3" else learning_curves
    data = module.data(exhibit, store, "paper")
    written = boxes(module.draw(data))
    assert len(written) > 2 * tasks
    for number, box in enumerate(written):
        assert not any(box.overlaps(other) for other in written[:number])


def test_the_step_of_table_1_is_marked_where_it_reads(tmp_path, make_run):
    store, extra = Store(tmp_path / "runs"), {"time/evaluation_s": [1.0] * 2, "time/update_ms": [6.0] * 2}
    for task in ("Walker2d", "Hopper"):
        last = 300_000 if task == "Walker2d" else 50_000
        store.write(make_run({5000: 0.0, last: 9.0}, algorithm="sac", task=task, extra=extra))
    exhibit = FIGURE["figure9"]
    figure = learning_curves.draw(learning_curves.data(exhibit, store, "paper"))
    marked = {
        axis.get_title(): [line for line in axis.lines if line.get_linestyle() == ":"] for axis in figure.axes
    }
    assert [line.get_xdata() for line in marked["Walker2d"]] == [[200_000, 200_000]]
    assert not marked["Hopper"]
    assert "Dotted: 200k steps, the read-out of Table 1." in " ".join(figure.get_supxlabel().split())


def test_six_labels_stand_in_two_rows_of_three_and_read_row_by_row():
    assert panels.legend_columns(list("abcdef"), 50.0) == [["a", "d"], ["b", "e"], ["c", "f"]]


def test_unknown_figures_are_named_with_those_there_are(tmp_path):
    names = (
        r"did you mean 'figure1\w+'\?\); the figures are figure3, figure4, figure5a, .*figure9, figure10a, "
        ".*figure17, figure17-dynamics, figure18, figure19, figure20, authors, "
    )
    with pytest.raises(ValueError, match=rf"no figure 'figure1' \({names}"):
        Figure("figure1", store=tmp_path, out=tmp_path).run()


def test_a_figure_of_parts_means_all_of_them():
    assert figures_named("5") == figures_named("figure5") == ("figure5a", "figure5b", "figure5c")
    assert figures_named("10c") == ("figure10c",) and figures_named("17") == ("figure17",)
    assert figures_named("authors") == ("authors",) and figures_named("curves-sac") == ("curves-sac",)
    for word, hint in (("curve", "curves"), ("figure-authors", "authors"), ("", "")):
        with pytest.raises(ValueError, match=f"did you mean '{hint}'" if hint else "There is no figure"):
            figures_named(word)
    numbers = [name for number in range(3, 21) for name in figures_named(str(number))]
    assert set(numbers) < set(figures_named("figures"))


def test_a_page_of_learning_curves_is_drawn_alone(tmp_path, make_run, capsys):
    store = Store(tmp_path / "store")
    for algorithm in ("sac", "td3"):
        store.write(make_run({5000: 1.0, 10_000: 2.0}, algorithm=algorithm, scale="laptop"))
    page = Figure("curves-sac", store=store.root, out=tmp_path)
    assert page.run() == 0
    assert capsys.readouterr().out == f"wrote {tmp_path}/curves-sac-laptop.png, .pdf and .csv\n"
    assert dataclasses.replace(page, figure="curves-redq").run() == 1
    assert capsys.readouterr().out == f"curves-redq: no such run is in {store}\n"
    # Other pages stand where one may not be drawn; of that page alone it is an error.
    other = make_run({5000: 1.0, 10_000: 2.0}, algorithm="sac", seed=1, scale="laptop", protocol="v2-other")
    store.write(other)
    with pytest.warns(StoreWarning, match="curves-sac at laptop scale is left out"):
        assert dataclasses.replace(page, figure="curves").run() == 0
    capsys.readouterr()
    assert page.run() == 2
    said = capsys.readouterr()
    assert "may not be pooled" in said.err and "no such run" not in said.out + said.err


def test_what_is_worth_a_picture():
    alm, *others = FIGURE["figure11"].series[1], *FIGURE["figure11"].series[2:]
    assert not FIGURE["figure11"].says_something([]) and not FIGURE["figure11"].says_something([alm])
    assert FIGURE["figure11"].says_something(others)
    # Where variants of ALM are the point, other algorithms do not make it.
    for name, enough in (("figure5b", False), ("figure3", True)):
        sac = [one for one in FIGURE[name].series if one.algorithm == "sac"]
        assert FIGURE[name].says_something(sac) is enough
    # A bias has its zero, predictions what they predict; a figure of ALM alone shows ALM.
    for name in ("figure4", "figure7"):
        assert FIGURE[name].says_something(FIGURE[name].series[:1])
        assert not FIGURE[name].says_something([])
    alone = dataclasses.replace(FIGURE["figure5a"], series=FIGURE["figure5a"].series[:1])
    assert alone.says_something(alone.series)
