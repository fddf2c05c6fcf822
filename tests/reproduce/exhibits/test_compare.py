"""Comparisons of variants: their numbers, what they refuse to mix, and what they say of too few seeds."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from reproduce.cli import main
from reproduce.exhibits.claims import checks
from reproduce.exhibits.claims.evidence import EFFICIENCY, Evidence
from reproduce.exhibits.comparison import Comparison
from reproduce.exhibits.kinds import Series
from reproduce.exhibits.pooling import StoreMixError
from reproduce.exhibits.writing import terminal
from reproduce.lab.places import CODE
from reproduce.lab.store import Store
from reproduce.tracking import links
from reproduce.tracking.records import record_of

IDEA, BASE = "alm/my-idea", "alm"


@pytest.fixture
def store(tmp_path, make_run):
    """Three seeds of my-idea, the last stopped early, and two of alm on HalfCheetah; one failed each."""
    store = Store(tmp_path / "store")

    def add(variant, seed, returns, **options):
        run = make_run(returns, variant=variant, seed=seed, scale="laptop", **options)
        store.write(run)

    for seed, final in enumerate((30.0, 60.0)):
        add("my-idea", seed, {5000: 0.0, 9500: final, 10_000: final + 3, 10_500: 900.0})
    add("my-idea", 2, {5000: 3.0, 9500: 15.0, 10_000: 12.0}, status="partial")
    for seed, final in enumerate((20.0, 40.0)):
        add("base", seed, {5000: -1.0, 9500: final, 10_000: final, 11_000: -900.0})
    for variant in ("my-idea", "base"):
        add(variant, 3, {5000: 1.0}, status="failed", reason="loss/critic is not finite")
    store.add = add
    return store


def compared(store, *tasks, names=(IDEA, BASE), metric="return", scale="laptop", runs_dir=Path("/nowhere")):
    return Comparison.of(names, tasks or ("HalfCheetah",), scale, metric, store, runs_dir)


def test_all_are_read_at_the_last_step_that_all_seeds_reached(store):
    (task,) = compared(store).tasks
    assert task.step == 10_000 and task.steps.tolist() == [5000, 9500, 10_000]
    assert [side.scores.tolist() for side in task.sides] == [[33, 63, 12], [20, 40]]
    assert [float(side.mean.value) for side in task.sides] == [36, 30]  # of fewer than four seeds: means
    assert task.contrasts[0].difference.value == 6
    # 33 and 63 beat 20, 63 beats 40.
    assert task.contrasts[0].improvement.value == pytest.approx(3 / 6)
    assert task.sides[0].curve.value.tolist() == pytest.approx([1, 35, 36])
    assert [side.failed for side in task.sides] == [[3], [3]]
    assert (task.sides[1].mean.low, task.sides[1].mean.high) == (20, 40)
    assert task.contrasts[0].difference.low <= 6 <= task.contrasts[0].difference.high


def test_a_window_is_read_up_to_the_common_step(store):
    (task,) = compared(store, metric="window").tasks
    assert [side.scores.tolist() for side in task.sides] == [[31.5, 61.5, 13.5], [20, 40]]


def test_an_area_begins_where_all_sides_have_been_evaluated_as_in_claims(tmp_path, make_run):
    """From 5000 to 50,000 steps, whatever one side was before."""
    store = Store(tmp_path)
    store.write(make_run({5000: 0.0, 50_000: 100.0}, scale="laptop"))
    returns = {1000: 9000.0, 5000: 100.0, 50_000: 300.0}
    store.write(make_run(returns, algorithm="svg", scale="laptop"))
    comparison = compared(store, names=("alm", "svg"), metric="area")
    (task,) = comparison.tasks
    scores = [side.scores.tolist() for side in task.sides]
    assert scores == [[50.0], [200.0]] and task.since == 5000
    (turned,) = compared(store, names=("svg", "alm"), metric="area").tasks
    assert [side.scores.tolist() for side in turned.sides] == scores[::-1] and turned.since == 5000
    sides = Series("ALM(3)", "alm"), Series("SVG(1)", "svg")
    evidence = Evidence(store, "laptop")
    pools = [evidence.pool(side, "HalfCheetah", "table1") for side in sides]
    judged = checks._scores(evidence, sides, pools, EFFICIENCY)
    assert [one.tolist() for one in judged] == scores
    assert comparison.heading.endswith("laptop scale: mean return since the end of the longest warm-up")
    assert any("warm-up of all sides (5k on HalfCheetah)" in note for note in comparison.notes())
    assert "four), read up to the last step" in comparison.notes()[0]
    assert not any("warm-up" in note for note in compared(store, names=("alm", "svg")).notes())


def test_tasks_are_pooled_by_probability_alone(store):
    for variant, final in (("my-idea", 5000.0), ("base", 1.0)):
        for seed in (0, 1):
            store.add(variant, seed, {7000: final + seed}, task="Hopper")
    comparison = compared(store, "HalfCheetah", "Hopper", "HalfCheetah")
    assert [task.task for task in comparison.tasks] == ["HalfCheetah", "Hopper"]
    (over_all,) = comparison.improvements.values()
    assert over_all.value == pytest.approx((3 / 6 + 1) / 2)
    numbers = comparison.numbers().set_index("task")
    assert numbers.loc["Hopper", ["step", "first_iqm", "second_iqm"]].tolist() == [7000, 5000.5, 1.5]
    assert numbers.loc["Hopper", ["first", "second"]].tolist() == [IDEA, BASE]
    assert numbers.loc["HalfCheetah", ["first_seeds", "second_seeds"]].tolist() == ["0 1 2", "0 1"]
    # Of two seeds, 20 and 40, the draws have means from 20 to 40; the curve starts at -1 in both.
    assert numbers.loc["HalfCheetah", ["second_iqm_low", "second_iqm_high"]].tolist() == [20, 40]
    points = comparison.points()
    ends = points[(points["task"] == "HalfCheetah") & (points["algorithm"] == BASE)]
    assert ends[["return_low", "return", "return_high"]].to_numpy().tolist() == [
        [-1, -1, -1], [20, 30, 40], [20, 30, 40]
    ]  # fmt: skip
    assert set(ends["seeds"]) == {2}
    assert np.isnan(numbers.loc["all", "difference"])
    assert any("every run of one side" in note for note in comparison.notes())
    table = comparison.table()
    assert [block.title for block in table.blocks] == ["HalfCheetah, 10k steps", "Hopper, 7k steps"]
    assert table.notes[0] == (
        "P(first > other) over all tasks, each with the same weight: 0.75 [0.50, 1.00] against ALM(3); "
        "returns of different tasks are not averaged."
    )


def test_only_of_sides_that_never_meet_is_it_said_that_one_beat_the_other(tmp_path, make_run):
    """All of SAC's and TD3's seeds have one return; REDQ's have less."""
    store = Store(tmp_path)
    for algorithm, value in (("sac", 7.0), ("td3", 7.0), ("redq", 5.0)):
        for seed in range(2):
            store.write(make_run({5000: value}, algorithm=algorithm, seed=seed, scale="laptop"))
    level, ahead = (compared(store, names=("sac", other)) for other in ("td3", "redq"))
    assert level.tasks[0].contrasts[0].improvement.text(2) == "0.50 [0.50, 0.50]"
    assert "beat every run" not in " ".join(level.notes())
    assert ahead.tasks[0].contrasts[0].improvement.text(2) == "1.00 [1.00, 1.00]"
    assert "beat every run" in " ".join(ahead.notes())


def test_the_names_of_files_are_of_a_length_that_file_systems_take(store, tmp_path, make_run):
    """Two long variants on many tasks; what is cut off still tells two comparisons apart."""
    variants = [f"base[hidden_sizes=({','.join(['128'] * 15)}),horizon={k}]" for k in (7, 8)]
    tasks = ("HalfCheetah", "Hopper", "Walker2d", "Ant", "T-Ant", "Humanoid", "mbbl/Hopper-ET")
    for variant in variants:
        for task in tasks:
            store.write(make_run({5000: 1.0}, variant=variant, task=task, scale="laptop"))
    sides = [f"alm/{variant}" for variant in variants]
    names = {compared(store, *some, names=sides).file_name for some in (tasks, tasks[:-1])}
    assert len(names) == 2
    for name in names:
        (tmp_path / f"{name}-numbers.csv.{'x' * 16}").touch()  # as it is called before it is whole


def test_notes_say_what_stands_behind_the_numbers(store):
    notes = " ".join(compared(store).notes())
    assert "every run of one side" not in notes
    for words in (
        "with 2 an interval is too narrow; that of a mean contains the true value in about 50 %",
        "Not finished yet: seed 2 of alm/my-idea on HalfCheetah (10k of 50k steps).",
        "it is: seed 3 of alm/my-idea on HalfCheetah, seed 3 of ALM(3) on HalfCheetah",
    ):
        assert words in notes


def test_one_seed_gives_no_interval_and_says_so(store):
    store.add("base", 0, {7000: 1.0}, task="Hopper")
    store.add("my-idea", 0, {7000: 2.0}, task="Hopper")
    store.add("my-idea", 1, {7000: 3.0}, task="Hopper")
    comparison = compared(store, "Hopper")
    (task,) = comparison.tasks
    assert task.sides[0].mean.has_interval and not task.sides[1].mean.has_interval
    assert not task.contrasts[0].difference.has_interval
    assert not any(one.has_interval for one in comparison.improvements.values())
    assert task.contrasts[0].difference.value == 1.5
    assert any("No interval where" in n and "ALM(3) on Hopper." in n for n in comparison.notes())


def test_what_may_not_be_pooled_is_refused(store):
    there = {5000: 1.0, 9500: 1.0}
    store.add("base", 4, there, protocol="v5")
    with pytest.raises(StoreMixError, match="different protocols"):
        compared(store)
    store.add(
        "base",
        4,
        there,
        config={"agent": {"horizon": 4}, "layers": [512, 512], "plugin": {"sha256": "0"}},
    )
    with pytest.raises(
        StoreMixError, match=r"Seeds 0 and 4 of alm on HalfCheetah.*\(agent.horizon, plugin\)"
    ):
        compared(store)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"names": ("alm/my-ide", BASE)},
            "'my-ide' of alm .did you mean 'my-idea'.*on HalfCheetah at laptop scale there are runs of alm, ",
        ),
        ({"names": ("alm/no-k", BASE)}, "has a variant 'no-k' of alm .did you mean 'no-kl'"),
        ({"names": ("alm/own-idea[horizon=7]", BASE)}, "a variant 'own-idea.horizon=7.' of alm .*'my-idea'"),
        (
            {"names": ("alm/huber", BASE)},
            "has a variant 'huber' of alm; one of your own must be trained first .docs/new_variant.md.;",
        ),
        (
            {"names": (IDEA, "dreamer")},
            "neither the suite nor a run in .* has an algorithm 'dreamer'; .*runs of alm, alm/my-idea.$",
        ),
        ({"names": (IDEA, "alm/base[horizon=7]")}, "train --algorithm alm --variant base --set horizon=7"),
        (
            {"names": (IDEA, "sac")},
            "at laptop scale is in /.*/store or /nowhere; .*"
            "train --algorithm sac --task HalfCheetah --scale laptop --runs-dir /nowhere --store /.*/store$",
        ),
        (
            {"names": (IDEA, "authors")},
            r"'authors' means published .* reproduce.published_curves\(\) has them",
        ),
        (
            {"names": ("published", IDEA)},
            "'published' means published curves, .* table 1 --beside alm/my-idea",
        ),
        ({"scale": "paper"}, "no run of 'alm/my-idea'.* at paper scale.*no other"),
        ({"scale": "lapto"}, "did you mean 'laptop'"),
        ({"names": ("alm", BASE)}, "alm is compared with itself"),
        ({"names": ("alm/base", BASE)}, "alm is compared with itself"),
        ({"names": (IDEA, BASE, "alm/base")}, "alm is compared with itself"),
        ({"names": (IDEA, BASE, "reqd")}, "has an algorithm 'reqd' .did you mean 'redq'"),
        ({"names": (IDEA, BASE, "reqd/no-kl")}, "has an algorithm 'reqd' .did you mean 'redq'"),
        ({"names": (IDEA,)}, "alm/my-idea is compared with nothing: name another"),
        ({"names": (IDEA, BASE, "a", "b", "c", "d", "e", "f", "g")}, "9 sides are too many.* at most 8"),
    ],
)
def test_what_is_not_there(store, options, words):
    with pytest.raises(ValueError, match=f"(?i){words}"):
        compared(store, **options)


@pytest.mark.parametrize("scale", ["paper", "of-another-version"])
def test_runs_at_another_scale_are_named(store, make_run, scale):
    store.write(make_run({5000: 1.0}, variant="my-other", seed=0, scale=scale))
    with pytest.raises(
        ValueError, match=f"at laptop scale is in .* .there are some at {scale} scale.; there are"
    ):
        compared(store, names=("alm/my-other", BASE))


def test_a_comparison_on_no_task(store):
    with pytest.raises(ValueError, match="needs a task: name one or several, such as HalfCheetah"):
        Comparison.of((IDEA, BASE), (), "laptop", "return", store)


def test_a_task_that_does_not_exist(store):
    with pytest.raises(ValueError, match="There is no task 'Hoper' .did you mean 'Hopper'"):
        compared(store, "HalfCheetah", "Hoper")


def test_a_task_without_runs_of_a_side_is_named_beside_the_others(store):
    store.add("base", 0, {5000: 1.0}, task="Hopper")
    store.add("base", 0, {5000: 1.0, 6000: 1.0}, task="Walker2d")
    store.add("my-idea", 0, {5000: 1.0}, task="Walker2d", status="failed", reason="loss/critic is not finite")
    comparison = compared(store, "Hopper", "HalfCheetah", "Walker2d", "Ant")
    assert [task.task for task in comparison.tasks] == ["HalfCheetah"]
    (over_all,) = comparison.improvements.values()
    assert over_all.value == comparison.tasks[0].contrasts[0].improvement.value
    assert comparison.left_out[:-1] == [
        "Hopper is left out: no run of alm/my-idea.",
        "Walker2d is left out: only failed runs of alm/my-idea.",
        "Ant is left out: no run of alm/my-idea, ALM(3).",
    ]
    assert comparison.numbers()["task"].tolist() == ["HalfCheetah", "1 of 4"]
    with pytest.raises(ValueError, match="No run of 'alm/my-idea' on Hopper"):
        compared(store, "Hopper", "Ant")


def test_several_others_are_read_at_one_step(store, make_run, tmp_path):
    """TD3 has a shorter run; SAC has none on Hopper."""
    for task, last in (("HalfCheetah", 9500), ("Hopper", 7000)):
        store.write(make_run({5000: 0.0, last: 40.0}, algorithm="td3", task=task, scale="laptop"))
    store.write(make_run({5000: 0.0, 9500: 10.0}, algorithm="sac", scale="laptop"))
    store.add("my-idea", 0, {5000: 0.0, 7000: 50.0}, task="Hopper")
    comparison = compared(store, "HalfCheetah", "Hopper", names=(IDEA, "td3", "sac"))
    cheetah, hopper = comparison.tasks
    assert [side.name for side in cheetah.sides] == [IDEA, "TD3", "SAC"] and cheetah.step == 9500
    assert [float(one.difference.value) for one in cheetah.contrasts] == [-5, 25]  # of 30, 60 and 15
    assert [side.name for side in hopper.sides] == [IDEA, "TD3"]
    pairs = {side.label: float(one.value) for side, one in comparison.improvements.items()}
    assert pairs == {"TD3": pytest.approx((1 / 3 + 1) / 2)}
    numbers = comparison.numbers()
    assert numbers["task"].tolist() == ["HalfCheetah", "HalfCheetah", "Hopper", "all"]
    assert numbers["second"].tolist() == ["td3", "sac", "td3", "td3"]
    # No task is left out.
    assert comparison.left_out[0] == "Left out on Hopper: no run of SAC."
    assert comparison.file_name == "alm_my-idea-vs-td3-vs-sac-HalfCheetah-Hopper-laptop"
    other = compared(store, "HalfCheetah", "Hopper", names=(IDEA, "td3", "sac"), metric="area")
    assert other.file_name == f"{comparison.file_name}-area"
    assert set(numbers["metric"]) == {"return"} and set(other.numbers()["metric"]) == {"area"}
    assert comparison.heading == "alm/my-idea against TD3, SAC, laptop scale: return"


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("alm/no-kl", "redq", "alm/quarter"), ["no KL", "REDQ", "ALM(3) quarter"]),
        (("alm/base+bf16", "alm/k5", "td3-ours"), ["ALM(3)+bf16", "ALM(5)", "TD3 (ours)"]),
        # Figure 14 calls this SAC, which it is not beside SAC of the usual length.
        (("sac/million", "sac"), ["SAC million", "SAC"]),
        # What is one's own has no other name, and takes none from the suite.
        (("sac/relu", "alm/base[horizon=7]", "mine"), ["sac/relu", "alm/base[horizon=7]", "mine"]),
        (("SAC", "sac"), ["SAC", "sac"]),
    ],
)
def test_sides_are_named_as_in_tables_and_figures(tmp_path, make_run, names, labels):
    store = Store(tmp_path)
    for name in names:
        algorithm, _, variant = name.partition("/")
        run = {"algorithm": algorithm, "variant": variant or "base", "scale": "laptop"}
        store.write(make_run({5000: 1.0}, **run))
    comparison = compared(store, names=names)
    assert [side.label for side in comparison.sides] == labels
    assert [row.label for row in comparison.table().rows] == labels
    # Programs read the names of the command line.
    assert list(dict.fromkeys(comparison.points()["algorithm"])) == list(names)
    assert list(dict.fromkeys(comparison.numbers()["second"])) == list(names[1:])


def test_seeds_that_stopped_at_one_step_are_named_together(store):
    for seed in (2, 4):
        store.add("my-idea", seed, {5000: 3.0, 10_000: 12.0}, status="partial")
    store.add("my-idea", 5, {5000: 3.0}, status="failed", reason="loss/critic is not finite")
    notes = compared(store).notes()
    assert "Not finished yet: seeds 2 4 of alm/my-idea on HalfCheetah (10k of 50k steps)." in notes
    assert notes[-1] == (
        "Left out because they failed, so that a side looks better than it is: "
        "seeds 3 5 of alm/my-idea on HalfCheetah, seed 3 of ALM(3) on HalfCheetah."
    )


def test_runs_that_all_stop_at_one_step_are_not_named(tmp_path, make_run):
    """As at paper scale, where Table 1 reads runs at 200,000 steps."""
    store = Store(tmp_path)

    def add(algorithm, task, *seeds, step=200_000, **options):
        for seed in seeds:
            store.write(make_run({step: 1.0}, algorithm=algorithm, task=task, seed=seed, **options))

    def stops(*tasks):
        unfinished = compared(store, *tasks, names=("sac", "td3"), scale="paper")._unfinished()
        return " ".join(unfinished)

    for task in ("Hopper", "Ant"):
        for algorithm in ("sac", "td3"):
            add(algorithm, task, 0, 1, status="partial")
    assert stops("Hopper") == "All stop at 200k of 300k steps."
    assert stops("Hopper", "Ant") == "All stop at 200k of 300k steps or 200k of 500k steps."
    for algorithm, seed, step in (("sac", 2, 250_000), ("td3", 2, 250_000), ("td3", 3, 300_000)):
        returns = {200_000: 1.0, step: 2.0}
        status = "done" if step == 300_000 else "partial"
        store.write(make_run(returns, algorithm=algorithm, task="Hopper", seed=seed, status=status))
    assert stops("Hopper") == (
        "Stopped at 200k of 300k steps, except seed 2 of SAC on Hopper (250k of 300k steps), "
        "seed 2 of TD3 on Hopper (250k of 300k steps), seed 3 of TD3 on Hopper (finished)."
    )


def test_a_seed_that_has_only_begun_does_not_pull_the_others_back(store):
    before = compared(store).numbers()
    store.add("my-idea", 4, {5000: 3.0}, status="partial")
    after = compared(store)
    pd.testing.assert_frame_equal(after.numbers(), before)
    assert (
        "Left out because they are too far behind: seed 4 of alm/my-idea on HalfCheetah (5k of 50k steps)."
    ) in after.notes()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("my-value-encoder-model", "alm/my-value-encoder-model"),
        ("value-encoder-model", "value encoder and model"),
        ("td3-loss", "ALM(3)'s representation, TD3's loss"),
    ],
)
def test_names_and_numbers_are_whole_at_80_columns(store, name, label):
    for task in ("HalfCheetah", "Walker2d"):
        for seed in range(3):
            store.add(name, seed, {5000: 1000.0 + 900 * seed, 10_000: 3000.0 + seed}, task=task)
            store.add("base", 4 + seed, {5000: 1.0, 10_000: 5000.0 + 999 * seed}, task=task)
    shown = printed(compared(store, "HalfCheetah", "Walker2d", names=(f"alm/{name}", BASE)))
    assert "…" not in shown
    words = shown[shown.index("HalfCheetah") : shown.index("\n\nP(first")].split()
    # Lines end between words only.
    assert [word for word in words if word in label.split()] == label.split() * 2
    assert all(word.count("[") == word.count("]") for word in words)


def printed(comparison):
    file = io.StringIO()
    terminal(comparison.table(), Console(width=80, file=file, markup=False))
    return file.getvalue()


def test_long_names_are_not_broken(store):
    """Where columns would break them, cells stand one below the other."""
    variant = "base[hidden_sizes=(400,200),horizon=7,learning_rate=0.0003]+bf16"
    for seed in range(3):
        store.add(variant, seed, {5000: 1000.0 + 900 * seed, 10_000: 3000.0 + seed})
    shown = printed(compared(store, names=(f"alm/{variant}", BASE)))
    assert f"\nalm/{variant}\n  seeds: 3\n  return: 3001 [3000,3002]\n" in shown


def test_plain_means_stand_beneath_interquartile_means_from_which_they_differ(store):
    """With fewer than four seeds both are one number."""
    for seed in range(4):
        store.add("mnm", seed, {5000: 300.0 if seed else 7.0})
    comparison = compared(store, names=("alm/mnm", BASE))
    shown = printed(comparison)
    assert comparison.numbers()["first_iqm"][0] == 300
    assert re.findall(r"mean \d+", shown) == ["mean 227"] and "'mean' in a cell is the plain mean" in shown
    assert "all tasks" not in shown and "averaged" not in shown  # there is one
    assert not re.search(r"mean \d|'mean'", printed(compared(store)))


def train(root, run, step):
    """A directory of a run that has come to a step."""
    folder = root / run.spec.relative_dir
    folder.mkdir(parents=True)
    config = {"spec": run.spec.to_dict(), "digest": run.digest, "config": run.config}
    (folder / "config.json").write_text(json.dumps({**config, "protocol": run.protocol}))
    (folder / "provenance.json").write_text(json.dumps({"command": "python"}))
    rows = [(5000, 3.0), (9500, 15.0), (step, 99.0)]
    times = {"training_step": 0, "wall_seconds": 1.0, "time_ms": 1}
    episode = {"eval/return_std": 0.0, "eval/length": 9.0}
    lines = [
        {"step": at, **times, "metrics": {"eval/return": value, **episode}, "returns": [value]}
        for at, value in rows
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_runs_count_as_far_as_their_directories_hold_them(store, tmp_path, make_run):
    """A run that trains, or of smoke scale, is not in the store."""
    for seed, step in ((0, 12_000), (2, 10_500)):
        train(tmp_path / "runs", store.runs(variant="my-idea", seed=seed)[0], step)
    store.add("base", 5, {5000: -1.0, 9500: 1.0})
    train(tmp_path / "runs", make_run({5000: 1.0}, seed=4, scale="laptop"), 10_000)
    comparison = compared(store, runs_dir=tmp_path / "runs")
    first = comparison.tasks[0].sides[0].runs
    # What is stored to its end stands; the partial one has gone on.
    assert [(run.status, run.last_step, run.own) for run in first] == [
        ("done", 10_500, False),
        ("done", 10_500, False),
        ("partial", 10_500, True),
    ]
    # By seed, wherever they lie: draws of the bootstrap go by this order.
    assert [(run.spec.seed, run.own) for run in comparison.tasks[0].sides[1].runs] == [
        (0, False), (1, False), (4, True), (5, False)
    ]  # fmt: skip
    assert "Your own, not the repository's: 2 runs." in comparison.notes()


def test_a_directory_counts_for_its_own_side_task_and_scale_and_where_it_has_more(store, tmp_path, make_run):
    """Each of these differs in one part from the runs that are compared, or holds no more than the store."""
    before = compared(store)
    about = {"variant": "my-idea", "scale": "laptop", "seed": 6}
    for change in ({"task": "Hopper"}, {"algorithm": "sac"}, {"variant": "no-kl"}, {"scale": "paper"}):
        train(tmp_path / "runs", make_run({5000: 1.0}, **about | change), 10_000)
    train(tmp_path / "runs", store.runs(variant="my-idea", seed=2)[0], 10_000)
    after = compared(store, runs_dir=tmp_path / "runs")
    assert [run.spec for run in after.runs] == [run.spec for run in before.runs]
    assert not any(run.own for run in after.runs)


def test_a_run_that_failed_after_the_compared_step_counts_as_in_tables(store):
    """Without it the side would look better than it is."""
    failed = {"status": "failed", "reason": "loss/critic is not finite"}
    for seed in range(3):
        store.add("relu", seed, {5000: 0.0, 6000: 100.0 + seed})
    store.add("mnm", 0, {5000: 0.0, 6000: -500.0, 7000: 9.0}, **failed)
    store.add("mnm", 1, {5000: 0.0, 6000: 300.0})
    store.add("mnm", 2, {5000: 0.0}, **failed)
    compared = Comparison.of(["alm/mnm", "alm/relu"], ["HalfCheetah"], "laptop", "return", store)
    (task,) = compared.tasks
    assert (task.step, list(task.first.scores), task.first.failed) == (6000, [-500.0, 300.0], [2])
    said = " ".join(compared.notes())
    assert (
        "Failed after the step that is compared, and count: seed 0 of identity encoder on HalfCheetah (7k of"
        in said
    )
    assert "so that a side looks better than it is: seed 2 of identity encoder on HalfCheetah." in said
    # A side of which every run failed later is compared, too.
    for seed in (0, 1):
        store.add("joint", seed, {5000: 0.0, 6000: 5.0, 7000: 9.0}, **failed)
    late = Comparison.of(["alm/joint", "alm/relu"], ["HalfCheetah"], "laptop", "return", store)
    assert list(late.tasks[0].first.scores) == [5.0, 5.0] and late.missing == {}
    assert "A probability of 0 or 1" in " ".join(late.notes())
    store.add("joint", 2, {5000: 0.0}, **failed)
    late = Comparison.of(["alm/joint", "alm/relu"], ["HalfCheetah"], "laptop", "return", store)
    assert "A probability of 0 or 1" not in " ".join(late.notes())
    turned = Comparison.of(["alm/relu", "alm/joint"], ["HalfCheetah"], "laptop", "return", store)
    assert "A probability of 0 or 1" not in " ".join(turned.notes())


def test_failed_runs_alone_cannot_be_compared(store):
    store.add("mnm", 0, {5000: 1.0}, status="failed", reason="loss/critic is not finite")
    with pytest.raises(ValueError, match="Every run of 'alm/mnm' on HalfCheetah at laptop scale has failed"):
        compared(store, names=("alm/mnm", BASE))


def test_runs_without_a_common_step_cannot_be_compared(store):
    store.add("base", 4, {5500: 1.0})
    store.add("my-idea", 0, {5000: 1.0}, task="Hopper")
    store.add("base", 0, {5000: 1.0}, task="Hopper")
    words = "runs on HalfCheetah have no .*alm/my-idea: 5,000 to 10,000; alm: 5,500 to 5,500.: train"
    with pytest.raises(ValueError, match=words):
        compared(store, "Hopper", "HalfCheetah")


def test_sides_that_never_meet_cannot_be_compared(store):
    store.add("base", 0, {5000: 1.0}, task="Hopper")
    store.add("my-idea", 0, {5000: 1.0}, task="Ant")
    with pytest.raises(
        ValueError, match="None of the tasks Hopper, Ant has runs of both alm/my-idea and alm"
    ):
        compared(store, "Hopper", "Ant")


def test_few_seeds_are_told_of_the_intervals_that_there_are(store):
    store.add("my-idea", 0, {5000: 1.0}, task="Hopper")
    store.add("base", 0, {5000: 1.0}, task="Hopper")
    notes = " ".join(compared(store, "Hopper", "HalfCheetah").notes())
    assert "where a side has only one seed: alm/my-idea on Hopper, ALM(3) on Hopper." in notes
    assert "Few seeds: with 2 an interval" in notes
    assert "Few seeds" not in " ".join(compared(store, "Hopper").notes())


def places(tmp_path, store):
    return ["--store", str(store.root), "--runs-dir", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]


def test_the_command_prints_draws_and_repeats_itself(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    command = ["compare", IDEA, BASE, "--task", "HalfCheetah", *places(tmp_path, store)]
    assert main(command) == 1  # a seed of each failed
    out = " ".join(capsys.readouterr().out.split())
    for words in (
        "alm/my-idea against ALM(3), laptop scale",
        "HalfCheetah, 10k steps",
        "alm/my-idea 3 ",
        " ALM(3) 2 ",
        "+6",
        "0.50",
        "Few seeds",
    ):
        assert words in out
    protocol = "v2-gymnasium1.4.0-mujoco4.0.0"
    assert f"`python -m reproduce ui`, experiment alm/{protocol} (sqlite:///{tmp_path}/mlflow.db)" in out
    assert "tags.task = 'HalfCheetah' and tags.scale = 'laptop'" in out
    names = ["", "-numbers"]
    files = [tmp_path / "out" / f"alm_my-idea-vs-alm-HalfCheetah-laptop{name}.csv" for name in names]
    assert pd.read_csv(files[0]).groupby("algorithm")["return"].last().to_dict() == {IDEA: 36, BASE: 30}
    first = [file.read_bytes() for file in files]
    pictures = {file.suffix for file in (tmp_path / "out").iterdir()}
    assert pictures == {".png", ".pdf", ".csv"}
    assert main(command) == 1
    assert [file.read_bytes() for file in files] == first


def test_the_exit_code_says_whether_something_is_left_out(tmp_path, make_run, capsys, monkeypatch):
    """A task without runs, a side on one task, a seed that is behind, and one whose file cannot be read.

    A file or directory whose path names no run is warned of, but may be a seed only if it is beside those of
    a side.
    """
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    store = Store(tmp_path / "store")

    def add(algorithm, task="Hopper", seed=0, step=10_000, **options):
        run = make_run({step: 1.0}, algorithm=algorithm, task=task, seed=seed, scale="laptop", **options)
        return store.write(run)

    def code(*names):
        sides, tasks = names[: names.index("on")], names[names.index("on") + 1 :]
        return main(["compare", *sides, "--task", *tasks, *places(tmp_path, store)])

    for algorithm, task in (
        ("sac", "Hopper"),
        ("td3", "Hopper"),
        ("redq", "Hopper"),
        ("sac", "Ant"),
        ("td3", "Ant"),
    ):
        add(algorithm, task)
    assert code("sac", "td3", "on", "Hopper", "Ant") == 0
    assert code("sac", "td3", "on", "Hopper", "Walker2d") == 1
    assert code("sac", "td3", "redq", "on", "Hopper", "Ant") == 1
    add("sac", seed=1, step=1000, status="partial")
    assert code("sac", "td3", "on", "Hopper") == 1
    assert code("td3", "redq", "on", "Hopper") == 0
    capsys.readouterr()
    strays = store.root / "notes.parquet", store.root / "sac/base/Hopper/laptop/copy.parquet"
    for stray in strays:
        stray.touch()
    assert code("td3", "redq", "on", "Hopper") == 0
    error = capsys.readouterr().err
    assert all(f"warning: {stray} is left out" in error for stray in strays)
    beside_td3 = store.root / "td3/base/Hopper/laptop/copy.parquet"
    beside_td3.touch()
    assert code("td3", "redq", "on", "Hopper") == 1
    assert f"warning: {beside_td3} is left out" in capsys.readouterr().err
    beside_td3.unlink()
    for algorithm, expected in (("sac", 0), ("td3", 1)):
        copy = tmp_path / "runs" / algorithm / "base/Hopper/laptop/seed-0-copy"
        copy.mkdir(parents=True)
        (copy / "config.json").touch()
        assert code("td3", "redq", "on", "Hopper") == expected
        assert f"warning: {copy} cannot be read" in capsys.readouterr().err
        shutil.rmtree(copy)
    damaged = add("td3", seed=2)
    damaged.write_bytes(b"")
    assert code("td3", "redq", "on", "Hopper") == 1
    assert str(damaged) in capsys.readouterr().err


def test_an_mlflow_that_cannot_be_reached_is_a_warning(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert main(["compare", IDEA, BASE, "--task", "HalfCheetah", *places(tmp_path, store)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("warning: MLflow at http://127.0.0.1:9 cannot be used") and error.count("\n") == 1


def test_a_server_has_a_link_to_the_runs_that_it_holds(store, monkeypatch):
    runs = [run for side in compared(store).tasks[0].sides for run in side.runs]
    records = [record_of(run.record, run.provenance) for run in runs]

    class Server:
        def __init__(self, uri):
            assert uri == "http://me:secret@mlflow:5000"

        def experiments(self):
            return {f"alm/{runs[0].protocol}": "7"}

        def search(self, experiment_id):
            there = [{"run_key": record.key, **record.tags} for record in records if record.key in held]
            return [
                SimpleNamespace(data=SimpleNamespace(tags=tags, metrics={"eval/return": 1.0}))
                for tags in there
            ]

        def experiment_tags(self, experiment_id):
            return {}

        def tag_experiment(self, experiment_id, tags):
            written.update(tags)

    monkeypatch.setattr(links, "MlflowRuns", Server)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@mlflow:5000")
    written = {}
    held = {run.digest for run in runs[1:]}
    line = links.where_to_look(runs)
    start = "MLflow (4 of 5 runs; see `python -m reproduce sync`): "
    start += "http://mlflow:5000/#/experiments/7/runs?viewStateShareKey="
    # The runs have no plugin, so that they stand as variants of ALM.
    assert line.startswith(f"{start}HalfCheetah-laptop-variants&")
    assert "secret" not in line and line.count("http") == 1
    assert "mlflow.sharedViewState.HalfCheetah-laptop-variants" in written
    held = set()
    assert "none of these runs yet" in links.where_to_look(runs)


def test_comparing_imports_neither_torch_nor_mlflow(store, tmp_path):
    command = ["compare", IDEA, BASE, "--task", "HalfCheetah", *places(tmp_path, store)]
    script = (
        "import sys; from reproduce.cli import main\n"
        f"assert main({command!r}) == 1  # a seed of each failed\n"
        "bad = {'torch', 'mujoco', 'gymnasium', 'mlflow'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=CODE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_missing_of_a_plugins_variant_is_trained_with_its_plugin(store, make_run):
    own = make_run(
        {5000: 1.0}, variant="mine", scale="laptop", provenance={"plugin": {"file": "ideas/mine.py"}}
    )
    store.write(own)
    store.write(make_run({5000: 1.0}, task="Hopper", scale="laptop"))
    with pytest.raises(
        ValueError, match=r"--variant mine --plugin ideas/mine.py --task Hopper --scale laptop"
    ):
        compared(store, "Hopper", names=("alm/mine", BASE))
    with pytest.raises(ValueError, match=r"--variant my-idea --task Hopper"):
        compared(store, "Hopper")


def test_a_store_that_is_named_is_shown_alone(store, tmp_path, capsys, monkeypatch):
    """Not with what happens to be in training in the directory runs."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    seen = []
    monkeypatch.setattr(
        "reproduce.exhibits.sides.directories_under", lambda root, **_: seen.append(root) or {}
    )
    command = ["compare", IDEA, BASE, "--task", "HalfCheetah", "--store", str(store.root)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 1  # a seed of each failed
    assert not seen
    assert main([*command, *places(tmp_path, store)[2:]]) == 1
    assert set(seen) == {tmp_path / "runs"}
