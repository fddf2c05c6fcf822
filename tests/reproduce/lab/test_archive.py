"""Run directories become stored runs."""

import json
import os
import shlex
import socket
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alm.training.bias import ValueSample
from alm.training.execution import Execution
from alm.training.run_directory import RunDirectory
from reproduce.exhibits.sides import Shelf, side_named
from reproduce.lab.archive import archive_run, run_of_directory
from reproduce.lab.provenance import processor_of, provenance, resumed, timed_on, was_compiled
from reproduce.lab.run_directories import UnreadableRunError, directories_under
from reproduce.lab.specs import RunSpec, run_record
from reproduce.lab.store import VALUE_COLUMNS, Store, StoreWarning

SPEC = RunSpec(algorithm="alm", task="Hopper", seed=3, scale="laptop")
CONFIG = {"agent": {"horizon": 3}, "training": {"total_steps": 20_000}}


def sample(i):
    steps = np.arange(4)
    return ValueSample({"min_q": 1.0 * i + steps}, -1.0 * i + steps, np.array([0, 0, 0, 1]), steps % 3)


def directory(path, evaluations, status="unfinished"):
    run = RunDirectory(path)
    run.open()
    run.write_json("config.json", run_record(SPEC, "v2-test", CONFIG))
    run.write_json("provenance.json", {"command": "python -m reproduce train --seeds 3"})
    run.start_metrics(0)
    for i in range(1, evaluations + 1):
        for half in (0, 500):
            run.append_metrics(1000 * i - 500 + half, 0, 0.0, metrics={"loss/actor": float(i + half)})
        values = {"eval/return": 10.0 * i, "eval/return_std": 1.0, "eval/length": 5.0}
        episodes = {"returns": [10.0 * i - 1, 10.0 * i + 1]}
        if i > 1:  # as if an earlier version had begun the run
            episodes["lengths"] = [4, 6]
        run.append_metrics(1000 * i, 1000 * i, 60.0 * i, metrics=values, **episodes, population=2)
        run.write_values(1000 * i, sample(i))
    if status == "done":
        run.write_json("DONE", {"finished_ms": 7, "peak_memory_bytes": 9})
    if status == "failed":
        run.write_json("FAILED", {"reason": "loss/actor is not finite", "step": 1234})
    run.close()
    return run


def test_a_done_run(tmp_path):
    run = run_of_directory(directory(tmp_path, 20, "done"))
    assert (run.spec, run.status, run.protocol) == (SPEC, "done", "v2-test")
    frame = run.evaluations
    assert frame["step"].tolist() == list(range(1000, 20_001, 1000))
    assert frame["eval/returns"].iloc[1] == [19.0, 21.0]
    assert frame["eval/lengths"].tolist()[:2] == [[], [4, 6]]
    assert frame["loss/actor"].iloc[1] == pytest.approx((2 + 502) / 2)
    assert run.final["final/return"] == 200.0
    assert run.final["final/window_return"] == 195.0  # steps in (18000, 20000]
    assert run.final["cost/wall_h"] == pytest.approx(20 * 60 / 3600)
    assert run.final["cost/seed_h"] == pytest.approx(20 * 60 / 3600 / 2)
    assert (run.final["cost/peak_memory_bytes"], run.provenance["finished_ms"]) == (9, 7)
    assert run.provenance["command"] == "python -m reproduce train --seeds 3"


def test_what_no_run_wrote_is_no_measurement(tmp_path):
    run = directory(tmp_path, 2)
    (tmp_path / "values" / "copy.npz").write_text("of another program")
    assert [step for step, _ in run.values()] == [1000, 2000]
    run.drop_after(1000)
    assert [step for step, _ in run.values()] == [1000]


def test_metrics_overwrite_no_column_of_the_run(tmp_path):
    """Earlier versions let a plugin call its metrics as these are called."""
    run = directory(tmp_path, 2)
    run.open()
    run.start_metrics(run.metrics_path.stat().st_size)
    odd = dict.fromkeys(("step", "training_step", "wall_seconds", "time_ms", "eval/return", "own"), 7.5)
    run.append_metrics(3000, 3000, 180.0, metrics=odd)
    returned = {"eval/return": 30.0, "eval/return_std": 1.0, "eval/length": 5.0}
    run.append_metrics(3000, 3000, 180.0, metrics=returned, returns=[30.0], population=2)
    run.close()
    last = run_of_directory(run).evaluations.iloc[-1]
    assert (last["step"], last["training_step"], last["wall_seconds"]) == (3000, 3000, 180.0)
    assert last["time_ms"] > 7.5 and last["eval/return"] == 30.0 and last["own"] == 7.5


def test_value_samples_go_with_the_run(tmp_path):
    """Those of evaluations that the store has; a later one is not of the record yet."""
    run, store = directory(tmp_path / "a", 2), Store(tmp_path / "store")
    run.write_values(3000, sample(3))
    archive_run(run, store)
    stored = store.get(SPEC)
    assert stored.provenance["population"] == 2
    assert [list(lengths) for lengths in stored.evaluations["eval/lengths"]] == [[], [4.0, 6.0]]
    pairs = store.values(stored)
    assert pairs["step"].tolist() == [1000] * 4 + [2000] * 4
    assert pairs["episode"].tolist() == [0, 0, 0, 1] * 2
    assert pairs["episode_step"].tolist() == [0, 1, 2, 0] * 2
    assert pairs["min_q"].tolist() == [1, 2, 3, 4, 2, 3, 4, 5]
    assert pairs["monte_carlo"].tolist() == [-1, 0, 1, 2, -2, -1, 0, 1]
    assert [r.spec for r in store.runs()] == [SPEC]  # the value file is no run


def test_other_endings(tmp_path):
    assert run_of_directory(directory(tmp_path / "a", 0)) is None
    assert run_of_directory(directory(tmp_path / "b", 2)).status == "partial"
    failed = run_of_directory(directory(tmp_path / "c", 2, "failed"))
    assert (failed.status, failed.reason) == ("failed", "loss/actor is not finite at step 1234")


def test_the_store_keeps_the_longer_run(tmp_path):
    store = Store(tmp_path / "store")
    assert archive_run(first := directory(tmp_path / "a", 2), store)
    assert archive_run(first, store) is None  # it has got no further
    assert archive_run(directory(tmp_path / "b", 1), store) is None
    assert archive_run(directory(tmp_path / "c", 20, "done"), store)
    assert archive_run(directory(tmp_path / "d", 25), store) is None
    assert store.get(SPEC).status == "done"


def drop(name):
    return lambda path: (path / name).unlink()


def put(name, content):
    return lambda path: (path / name).write_text(content)


def into_a_directory(name):
    def damage(path):
        (path / name).unlink()
        (path / name).mkdir()

    return damage


def evaluation(**metrics):
    """A damage that leaves one evaluation, with some metrics changed."""
    times = {"step": 1, "training_step": 0, "wall_seconds": 1, "time_ms": 1}
    sound = {"eval/return": 1.0, "eval/return_std": 0.0, "eval/length": 5.0}
    return put("metrics.jsonl", json.dumps({**times, "metrics": sound | metrics, "returns": [1.0]}) + "\n")


DAMAGES = [
    (drop("provenance.json"), "No such file"),
    (put("provenance.json", "{}"), "provenance.json lacks the command"),
    (put("provenance.json", "["), "provenance.json is not JSON"),
    (put("DONE", "{}"), "it lacks 'finished_ms'"),
    (put("metrics.jsonl", '{"step": 1, "metrics": {}, "returns": [7]}\n'), "it lacks 'training_step'"),
    (evaluation(**{"eval/return": "x"}), "its 'metrics.eval/return' is 'x'"),
    (evaluation(**{"eval/length": [1]}), "cannot be stored (ArrowInvalid: Could not"),
    (evaluation(**{"eval/length": 10**400}), "cannot be stored (ArrowInvalid"),
    (put("values/00001000.npz", "PK"), "pickled"),
    (put("plugin.py", "x = 1"), "it lacks 'plugin'"),
    (into_a_directory("metrics.jsonl"), "Is a directory"),
    (drop("metrics.jsonl"), "it is done, but has no evaluation"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_whatever_is_damaged_is_one_sentence_that_names_the_run(tmp_path, damage, words):
    run = directory(tmp_path / "run", 2, "done")
    (run.path / "committed.json").unlink()  # as in a run of an earlier version, without a digest
    damage(run.path)
    store = Store(tmp_path / "store")
    with pytest.raises(UnreadableRunError, match="put a sound copy back, or move it away") as caught:
        archive_run(run, store)
    sentence = str(caught.value)
    verb = "stored" if "stored" in words else "read"
    assert sentence.startswith(f"{run.path} cannot be {verb} (") and words in sentence
    assert "\n" not in sentence and sentence.count("cannot be") == 1
    assert store.get(SPEC) is None


def test_a_directory_whose_protocol_could_name_another_folder_is_passed_over(tmp_path):
    run = directory(tmp_path / SPEC.relative_dir, 1)
    run.write_json("config.json", {**run.read_json("config.json"), "protocol": "../x"})
    with pytest.warns(StoreWarning, match="the protocol of a run must be a word"):
        assert not directories_under(tmp_path)


def test_a_damaged_run_is_passed_over_by_a_comparison(tmp_path, make_run):
    store, runs = Store(tmp_path / "store"), tmp_path / "runs"
    kind = {"task": SPEC.task, "scale": SPEC.scale}
    for seed, algorithm in enumerate((SPEC.algorithm, SPEC.algorithm, "td3")):
        store.write(
            make_run({1000: 1.0, 2000: 2.0}, algorithm=algorithm, variant=SPEC.variant, seed=seed, **kind)
        )
    broken = directory(runs / SPEC.relative_dir, 2)
    (broken.path / "provenance.json").write_text("[")
    shelf = Shelf(store, runs, SPEC.scale)
    with pytest.warns(StoreWarning, match=f"{broken.path} cannot be read .*provenance.json is not JSON"):
        found = shelf.runs(side_named(f"{SPEC.algorithm}/{SPEC.variant}"), SPEC.task)
    assert [run.spec.seed for run in found] == [0, 1]
    with warnings.catch_warnings(action="error"):  # of runs that it does not show it says nothing
        assert len(shelf.runs(side_named(f"td3/{SPEC.variant}"), SPEC.task)) == 1


def test_what_a_killed_writer_of_a_run_left_in_the_store_goes(tmp_path):
    """Of the run that is archived, not of its neighbours, and not what a living process writes."""
    run, store = directory(tmp_path / "a", 2), Store(tmp_path / "store")
    path = archive_run(run, store)
    assert path is not None
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host, parts = socket.gethostname(), (path.name, path.with_suffix(".values.parquet").name)
    left = [path.with_name(f".{part}.{gone.pid}@{host}.tmp") for part in parts]
    kept = [path.with_name(f".seed-31.parquet.{gone.pid}@{host}.tmp")]
    kept += [path.with_name(f".{path.name}.{os.getppid()}@{host}.tmp")]
    for one in (*left, *kept):
        one.touch()
    store.remove_abandoned(SPEC)
    assert [one.exists() for one in (*left, *kept)] == [False, False, True, True]


@pytest.mark.parametrize(
    "places",
    [
        ["--runs-dir", "/home/my name/runs", "--store=/home/me/store", "--plugin", "/home/me/my idea.py"],
        ["--plugin=/home/me/my idea.py", "--store", "/x", "--runs-dir=runs"],
        ["--plugin=/home/me/my idea.py", "--runs_dir", "/home/me/runs", "--runs_dir=/home/me/runs"],
    ],
)
@pytest.mark.parametrize("program", [["-m", "reproduce"], ["/home/me/.venv/bin/alm-reproduce"]])
def test_a_command_is_kept_without_where_files_lie(monkeypatch, places, program):
    words = ["/usr/bin/python", *program, "train", *places, "--set", "horizon=7", "--seeds", "3"]
    monkeypatch.setattr(sys, "orig_argv", words)
    kept = shlex.split(provenance(Execution())["command"])[1:]
    assert kept == ["-m", "reproduce", "train", "--plugin", "my idea.py", *words[-4:]]


def test_code_that_was_changed_without_a_commit_is_said(monkeypatch):
    said = {"rev-parse": "abc", "status": " M alm/agent.py"}
    monkeypatch.setattr("reproduce.lab.provenance._git", lambda command, *_: said[command])
    monkeypatch.setattr("reproduce.lab.provenance.IN_CLONE", True)
    found = provenance(Execution())
    assert (found["git_sha"], found["git_dirty"]) == ("abc", True)
    said["status"] = ""
    assert not provenance(Execution())["git_dirty"]


def test_the_version_of_a_clone_is_that_of_its_files(tmp_path, monkeypatch):
    """Not the one that it had when pip installed it."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "9.9"\n')
    monkeypatch.setattr("reproduce.lab.provenance.CODE", tmp_path)
    monkeypatch.setattr("reproduce.lab.provenance.IN_CLONE", True)
    assert provenance(Execution())["version"] == "9.9"


def test_the_model_of_a_gpu_is_part_of_what_a_run_computed_on(monkeypatch):
    """Times of two models do not compare, even in machines with one kind of CPU."""
    monkeypatch.setattr("torch.cuda.get_device_name", {"cuda": "H200", "cuda:1": "A100"}.get)
    monkeypatch.setattr("reproduce.lab.provenance.cpu_name", lambda: "EPYC")
    processors = [processor_of(provenance(Execution(device=device))) for device in ("cuda", "cuda:1", "cpu")]
    assert processors == ["H200 of EPYC", "A100 of EPYC", "EPYC"]
    assert processor_of({"device": "cuda", "hardware": {"cpu": "EPYC"}}) == "cuda of EPYC"
    eager, compiled = (provenance(Execution(compiled=how)) for how in (False, True))
    both = resumed(eager, 400, Execution(compiled=True))
    assert [timed_on(one) for one in (eager, compiled, both)] == [
        "EPYC", "EPYC with compiled updates", "EPYC with updates compiled in part"
    ]  # fmt: skip


def test_a_run_that_goes_on_differently_says_so():
    """And goes on as it was last run, not as it began."""
    record = provenance(Execution())
    assert resumed(record, 100, Execution()) == record
    other = {"precision": "float32", "compiled": True, "captured": False}
    once = resumed(record, 200, Execution(compiled=True))
    assert once == {**record, "resumed": [{"step": 200, "execution": other}]}
    assert resumed(once, 300, Execution(compiled=True)) == once
    twice = resumed(once, 400, Execution(compiled=True, threads=2))
    assert twice["resumed"] == [*once["resumed"], {"step": 400, "threads": 2}]
    assert [was_compiled(one) for one in (record, once, twice)] == [False, True, True]


def test_a_run_that_ends_while_it_is_archived_is_partial(tmp_path, monkeypatch):
    """What is read of the metrics may lack its end; whoever trains it stores that."""
    run, store = directory(tmp_path / "runs", 3), Store(tmp_path / "store")
    metrics = RunDirectory.metrics

    def ends_meanwhile(self):
        yield from list(metrics(self))
        self.open()
        self.write_json("DONE", {"finished_ms": 7, "peak_memory_bytes": 9})
        self.close()

    monkeypatch.setattr(RunDirectory, "metrics", ends_meanwhile)
    assert archive_run(run, store) is not None and store.get(SPEC).status == "partial"
    monkeypatch.undo()
    assert archive_run(run, store) is not None and store.get(SPEC).status == "done"


def test_a_configuration_that_was_edited_while_the_run_trained_is_not_stored(tmp_path):
    """Under the identity that the edited one would have."""
    run, store = directory(tmp_path / "runs", 3), Store(tmp_path / "store")
    record = run.read_json("config.json")
    record["config"] = {**record["config"], "edited": True}
    (run.path / "config.json").write_text(json.dumps(record))
    with pytest.raises(UnreadableRunError, match="config.json was edited"):
        archive_run(run, store)
    assert store.runs() == []


def test_a_slower_archive_leaves_what_was_stored_meanwhile(tmp_path, monkeypatch):
    run, store = directory(tmp_path / "runs", 3), Store(tmp_path / "store")
    done = replace(run_of_directory(run), status="done")
    monkeypatch.setattr(Store, "write_values", lambda self, *_: self.write(done))
    assert archive_run(run, store) is None and store.get(SPEC).status == "done"


def test_a_slower_archive_leaves_values_that_were_stored_meanwhile(tmp_path, monkeypatch):
    run, store = directory(tmp_path / "runs", 3), Store(tmp_path / "store")
    partial = run_of_directory(run)
    values = RunDirectory.values

    def ends_meanwhile(self):
        yield from list(values(self))
        store.write_values(partial, pd.DataFrame({**dict.fromkeys(VALUE_COLUMNS, [3000]), "min_q": [7.0]}))
        store.write(replace(partial, status="done"))

    monkeypatch.setattr(RunDirectory, "values", ends_meanwhile)
    assert archive_run(run, store) is None
    assert store.values(store.get(SPEC))["min_q"].tolist() == [7.0]


def test_a_record_from_before_it_failed_leaves_the_failed_run(tmp_path):
    store = Store(tmp_path / "store")
    assert archive_run(directory(tmp_path / "a", 2, "failed"), store)
    assert archive_run(directory(tmp_path / "b", 2), store) is None
    assert store.get(SPEC).status == "failed"
    assert archive_run(directory(tmp_path / "c", 3), store)  # it was trained anew, and got further


def test_the_time_of_a_run_that_went_on_alone_is_divided_by_whom_it_was_shared_with(tmp_path):
    """Two minutes with another seed and a third one alone: two of its own."""
    run = directory(tmp_path, 2)
    with run.metrics_path.open("a") as file:
        values = {"eval/return": 1.0, "eval/return_std": 1.0, "eval/length": 5.0}
        line = {"step": 3000, "training_step": 3000, "wall_seconds": 180.0, "time_ms": 1, "metrics": values}
        file.write(json.dumps({**line, "returns": [1.0], "population": 1}) + "\n")
    run.write_json("committed.json", {"metrics_offset": 0})
    record = run_of_directory(run)
    assert record.final["cost/wall_h"] == pytest.approx(180 / 3600)
    assert record.final["cost/seed_h"] == pytest.approx(120 / 3600)
    assert record.seed_hours == pytest.approx(120 / 3600)
