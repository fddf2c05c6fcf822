"""Sending runs to MLflow, against real SQLite databases; what arrived is read with plain SQL."""

import base64
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import zlib
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient
from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

from patience import PATIENCE, wait_for
from reproduce.cli import main
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.places import CODE
from reproduce.lab.published import authors_curves
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store
from reproduce.tracking import following
from reproduce.tracking.client import MlflowRuns
from reproduce.tracking.following import follow, process_gone, sync
from reproduce.tracking.importing import import_published, import_store
from reproduce.tracking.links import links
from reproduce.tracking.records import record_of
from reproduce.tracking.uri import TrackingError, resolve_uri, shown_uri
from reproduce.tracking.views import OURS, description_of, views_of
from tracked import CONFIG, PROTOCOL, STARTED, Training

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database as MLflow makes it; tests take copies, because the migrations take seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowRuns(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(empty_database, tmp_path):
    return shutil.copy(empty_database, tmp_path / "mlflow.db")


@pytest.fixture
def uri(database, monkeypatch):
    """Its address, which followers find in the environment."""
    uri = f"sqlite:///{database}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


def query(database, sql):
    connection = sqlite3.connect(database)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def points(database, whole_run=False):
    """Every stored value as (metric, step, time, value), sorted; scalars of whole runs only if asked for."""
    rows = query(database, "select key, step, timestamp, value from metrics order by key, step, timestamp")
    return [row for row in rows if whole_run or not row[0].startswith(("final/", "cost/"))]


def runs(database):
    sql = "select name, status, start_time, end_time, run_uuid from runs where lifecycle_stage = 'active'"
    return query(database, sql + " order by name, start_time")


def tags(database):
    return dict(query(database, "select key, value from tags"))


def everything(database):
    """All that users see of runs, to compare two states of a database."""
    tables = ("experiments", "runs", "metrics", "latest_metrics", "params", "tags")
    return {table: sorted(query(database, f"select * from {table}"), key=repr) for table in tables}


def require_nothing_new(stored, tmp_path, uri, database):
    """An import of a stored run changes nothing of what MLflow has."""
    before = everything(database)
    store = Store(tmp_path / "store")
    store.write(stored)
    assert import_store(store, MlflowRuns(uri)).runs == 0
    assert everything(database) == before


def keys_and_steps(database):
    return [(key, step) for key, step, _, _ in points(database)]


def test_a_finished_run_arrives_with_its_identity_and_times(tmp_path, uri, database):
    run = Training(tmp_path)
    run.steps(1000, 2000, 3000, 4000, 4600, 5000)
    run.finish()

    sent = sync([run.path], MlflowRuns(uri))

    assert (sent.runs, sent.problems) == (1, ())
    assert set(points(database)) == run.expected()
    assert len(points(database)) == len(run.expected()) == 24
    ((name, status, start, end, run_id),) = runs(database)
    assert (name, status, start, end) == ("ALM(3) s0", "FINISHED", STARTED, run.clock)
    final = {key: place for key, *place in points(database, True) if key.startswith(("final/", "cost/"))}
    evaluated = run.clock - 7  # the last line, before the run was done
    assert final == {  # the window holds the last tenth: 4600 and 5000
        "final/return": [5000, evaluated, 2500.0],
        "final/window_return": [5000, evaluated, 2400.0],
        "final/step": [5000, evaluated, 5000.0],
        "cost/wall_h": [5000, evaluated, 500 / 3600],
        "cost/seed_h": [5000, evaluated, 250 / 3600],  # two seeds trained together
    }
    stored = tags(database)
    assert (
        stored.items()
        >= {
            "algo": "alm",
            "variant": "base",
            "task": "HalfCheetah",
            "seed": "0",
            "scale": "laptop",
            "method": "ALM(3)",
            "protocol": PROTOCOL,
            "source": "ours",
            "role": "method",
            "run_key": run.key,
            "git_sha": "a" * 40,
            "mlflow.source.git.commit": "a" * 40,
            "git_dirty": "true",
            "host": "Some CPU",
            "device": "cpu",
        }.items()
    )
    assert (
        dict(query(database, "select key, value from params")).items()
        >= {
            "algo": "alm",
            "variant": "base",
            "task": "HalfCheetah",
            "seed": "0",
            "scale": "laptop",
            "agent.horizon": "3",
            "agent.kl_term": "true",
            "agent.widths": "[8, 8]",
            "training.total_steps": "5000",
        }.items()
    )
    assert [name for (name,) in query(database, "select name from experiments")] == [
        "Default",
        f"alm/{PROTOCOL}",
    ]
    artifacts = tmp_path / "mlartifacts" / "alm" / PROTOCOL / run_id / "artifacts"
    assert json.loads((artifacts / "provenance.json").read_text())["started_ms"] == STARTED
    assert json.loads((artifacts / "config.json").read_text())["config"] == CONFIG


def test_of_an_unfinished_run_only_committed_lines_are_sent(tmp_path, uri, database):
    run = Training(tmp_path, scale="smoke")
    run.steps(1000)
    sync([run.path], MlflowRuns(uri))
    assert points(database) == []
    run.commit()
    committed = run.expected()
    run.steps(2000)

    assert sync([run.path], MlflowRuns(uri)).points == 4

    assert set(points(database)) == committed
    assert [(status, end) for _, status, _, end, _ in runs(database)] == [("RUNNING", None)]
    assert ("alm/smoke",) in query(database, "select name from experiments")


@pytest.mark.parametrize("keep_state", [True, False], ids=["with state", "state lost"])
def test_sending_again_changes_nothing(tmp_path, uri, database, keep_state):
    run = Training(tmp_path)
    run.steps(1000, 2000)
    run.finish()
    sync([run.path], MlflowRuns(uri))
    before = everything(database)
    if not keep_state:
        (run.path / "mlflow.json").unlink()

    assert sync([run.path], MlflowRuns(uri)).points == 0

    assert everything(database) == before
    assert (run.path / "mlflow.json").exists()


def test_more_points_than_one_request_may_hold(tmp_path, uri, database):
    run = Training(tmp_path)
    for step in range(1, 4):
        run.line(step, {f"loss/{i}": i / 2 for i in range(700)})
    run.commit()
    assert sync([run.path], MlflowRuns(uri)).points == 2100
    assert set(points(database)) == run.expected()


def test_resuming_from_the_newest_checkpoint_neither_doubles_nor_loses(tmp_path, uri, database):
    run = Training(tmp_path)
    run.steps(1000)
    offset = run.commit()
    run.steps(2000)
    sync([run.path], MlflowRuns(uri))

    run.resume(offset)
    run.steps(2000, 3000)
    run.finish()
    sync([run.path], MlflowRuns(uri))

    assert set(points(database)) == run.expected()
    assert len(keys_and_steps(database)) == len(set(keys_and_steps(database))) == 12


def test_resuming_from_an_older_checkpoint_neither_doubles_nor_loses(tmp_path, uri, database):
    run = Training(tmp_path)
    run.steps(1000)
    older = run.commit()
    run.steps(2000, 3000)
    run.commit()
    sync([run.path], MlflowRuns(uri))
    assert len(points(database)) == 12

    run.resume(older)  # the newest checkpoint was damaged
    assert sync([run.path], MlflowRuns(uri)).points == 0
    run.steps(2000)
    run.commit()
    assert sync([run.path], MlflowRuns(uri)).points == 0
    run.steps(3000, 4000)
    run.commit()
    sync([run.path], MlflowRuns(uri))
    run.steps(5000)
    run.finish()
    sync([run.path], MlflowRuns(uri))

    steps = {step for _, step in keys_and_steps(database)}
    assert steps == {1000, 2000, 3000, 4000, 5000}
    assert len(keys_and_steps(database)) == len(set(keys_and_steps(database))) == 20


def test_a_run_that_ends_in_fewer_bytes_than_were_sent_before_it_resumed_is_whole(tmp_path, uri, database):
    run = Training(tmp_path)
    run.steps(1000)
    kept = run.commit()
    run.pace = 0.123456789
    run.steps(2000)
    sent = run.commit()
    sync([run.path], MlflowRuns(uri))
    run.resume(kept)
    run.pace = 0.25
    run.steps(2000)
    run.finish()
    assert run.size < sent
    sync([run.path], MlflowRuns(uri))
    assert [status for _, status, *_ in runs(database)] == ["FINISHED"]
    assert {(key, step) for key, step, *_ in run.expected()} == set(keys_and_steps(database))
    whole = {(key, step, value) for key, step, _, value in points(database, whole_run=True)}
    assert ("final/return", 2000, 1000.0) in whole


def test_a_run_deleted_from_mlflow_is_sent_again(tmp_path, uri, database):
    run = Training(tmp_path)
    run.steps(1000)
    run.finish()
    sync([run.path], MlflowRuns(uri))
    (first,) = runs(database)
    MlflowClient(uri).delete_run(first[-1])

    sync([run.path], MlflowRuns(uri))

    (second,) = runs(database)
    assert second[-1] != first[-1]
    sent = query(database, f"select key, step, timestamp, value from metrics where run_uuid = '{second[-1]}'")
    assert run.expected() <= set(sent)


def test_another_training_of_the_same_run_is_kept_apart(tmp_path, uri, database):
    for number, started in enumerate((STARTED, STARTED + 1)):
        run = Training(tmp_path / str(number), started_ms=started)
        run.steps(1000)
        run.finish()
        sync([run.path], MlflowRuns(uri))
    assert [start for _, _, start, _, _ in runs(database)] == [STARTED, STARTED + 1]
    assert len(points(database)) == 8


def test_a_run_that_was_made_twice_becomes_one(tmp_path, uri, database, monkeypatch):
    """As where the answer to a request was lost, or two machines make it at once."""
    run = Training(tmp_path)
    run.steps(1000)
    run.finish()
    create = MlflowClient.create_run

    def create_twice(*arguments):
        create(*arguments)
        return create(*arguments)

    monkeypatch.setattr(MlflowClient, "create_run", create_twice)
    sync([run.path], MlflowRuns(uri))

    everyone = [run_id for (run_id,) in query(database, "select run_uuid from runs")]
    assert len(everyone) == 2
    assert [run_id for *_, run_id in runs(database)] == [min(everyone)]
    assert set(points(database)) == run.expected()


def test_a_stored_run_of_another_training_is_left_out(tmp_path, uri, database, make_run):
    run = Training(tmp_path)
    run.steps(1000)
    run.finish()
    sync([run.path], MlflowRuns(uri))
    provenance = {"started_ms": STARTED + 1}
    stored = make_run({1000: 5.0}, scale="laptop", config=CONFIG, provenance=provenance)
    require_nothing_new(stored, tmp_path, uri, database)


def test_each_mlflow_is_remembered_on_its_own(tmp_path, uri, empty_database):
    run = Training(tmp_path)
    run.steps(1000)
    run.finish()
    other = f"sqlite:///{shutil.copy(empty_database, tmp_path / 'other.db')}"
    assert [sync([run.path], MlflowRuns(one)).runs for one in (uri, other, uri, other)] == [1, 1, 0, 0]
    assert json.loads((run.path / "mlflow.json").read_text()).keys() == {uri, other}


def test_an_experiment_that_another_machine_made_meanwhile_is_used(tmp_path, uri, database, monkeypatch):
    run = Training(tmp_path)
    run.steps(1000)
    run.finish()
    create = MlflowClient.create_experiment

    def create_and_fail(*arguments):
        create(*arguments)
        return create(*arguments)

    monkeypatch.setattr(MlflowClient, "create_experiment", create_and_fail)
    sync([run.path], MlflowRuns(uri))
    assert set(points(database)) == run.expected()


def method(algorithm="alm", variant="base", provenance=None):
    spec = RunSpec(algorithm=algorithm, variant=variant, task="Hopper", seed=3, scale="laptop")
    record = {"spec": spec.to_dict(), "digest": "0" * 12, "protocol": PROTOCOL, "config": {}}
    return record_of(record, provenance or {})


def test_methods_have_short_names_that_tell_them_apart():
    own = {"plugin": {"sha256": "0"}}
    names = {
        method().tags["method"]: "ALM(3)",
        method(variant="base+bf16").tags["method"]: "ALM(3) bf16",
        method(variant="no-kl").tags["method"]: "no KL",
        method(variant="k5").tags["method"]: "ALM(5)",
        method(variant="quarter").tags["method"]: "ALM quarter",
        method(variant="base[horizon=7]").tags["method"]: "ALM horizon=7",
        method(variant="no-kl[horizon=7,gamma=0.9]+bf16").tags["method"]: "no KL horizon=7 gamma=0.9 bf16",
        method("sac-avg").tags["method"]: "SAC-AVG",
        method("sac", "million").tags["method"]: "SAC million",
        method(variant="my-idea", provenance=own).tags["method"]: "my-idea",
        method("td3", "my-idea", own).tags["method"]: "TD3 my-idea",
        method("mine", provenance=own).tags["method"]: "mine",
        method(variant="SAC", provenance=own).tags["method"]: "ALM SAC",
        method(variant="ENT", provenance=own).tags["method"]: "ALM ENT",
    }
    assert list(names) == list(names.values())
    assert method(variant="my-idea", provenance=own).name == "my-idea s3"
    every = [
        method(name, variant).tags["method"]
        for name, algorithm in ALGORITHMS.items()
        for variant in ("base", *algorithm.variants)
    ]
    assert len(set(every)) == len(every)


def test_what_the_suite_does_not_name_is_ones_own():
    assert method(variant="my-idea", provenance={"plugin": {}}).tags["role"] == "own"
    assert method(variant="base[horizon=7]").tags["role"] == "own"
    assert method(variant="no-kl").tags["role"] == "variant"
    assert method("sac").tags["role"] == "baseline"


def test_the_precision_does_not_change_what_a_run_is_beside_the_others():
    roles = {"base": "method", "quarter": "method", "no-kl": "variant", "base[horizon=7]": "own"}
    for variant, role in roles.items():
        assert method(variant=variant).tags["role"] == role
        assert method(variant=f"{variant}+bf16").tags["role"] == role
    assert method("sac", "base+bf16").tags["role"] == "baseline"


def test_a_run_that_was_stopped_stays_so_until_it_is_followed_again(tmp_path, uri, database):
    run = Training(tmp_path)
    run.steps(1000)
    run.commit()
    follow([run.path], lambda: True)
    assert [(status, end) for _, status, _, end, _ in runs(database)] == [("KILLED", run.clock)]
    run.steps(2000)
    run.commit()
    # Four points of the evaluation and five of the run; it is not known whether it goes on.
    assert sync([run.path], MlflowRuns(uri)).points == 9
    assert [(status, end) for _, status, _, end, _ in runs(database)] == [("KILLED", run.clock)]
    final = [(step, value) for key, step, _, value in points(database, True) if key == "final/return"]
    assert final == [(1000, 500.0), (2000, 1000.0)]


def test_a_failed_run_has_its_reason_and_no_final_score(tmp_path, uri, database):
    run = Training(tmp_path)
    run.steps(1000)
    run.write(
        "FAILED", {"seed": 0, "step": 1000, "metric": "loss/critic", "reason": "loss/critic is not finite"}
    )
    sync([run.path], MlflowRuns(uri))
    assert [(status, end) for _, status, _, end, _ in runs(database)] == [("FAILED", run.clock)]
    assert tags(database)["failure"] == "loss/critic is not finite at step 1000"
    assert set(points(database, whole_run=True)) == run.expected()


def test_infinite_values_are_left_out_and_named(tmp_path, uri, database, caplog):
    run = Training(tmp_path)
    run.line(1000, {"loss/critic": float("inf"), "loss/actor": 1.5, "loss/q(1)": 2.0})
    run.commit()
    sync([run.path], MlflowRuns(uri))
    assert points(database) == [
        ("loss/actor", 1000, run.clock, 1.5),
        ("loss/q_1_", 1000, run.clock, 2.0),
    ]
    assert "loss/critic" in caplog.text


def test_names_of_metrics_that_mlflow_refuses_keep_no_run_back(tmp_path, uri, database):
    """A plugin may call its metrics what it likes."""
    run = Training(tmp_path)
    run.line(1000, {"loss//q": 1.0, "model/": 2.0, "../std": 3.0, "loss/q": 4.0, "x" * 300: 5.0})
    run.commit()
    assert not sync([run.path], MlflowRuns(uri)).problems
    assert [(name, value) for name, *_, value in points(database)] == [
        ("_/std", 3.0),
        ("loss/_/q", 1.0),
        ("loss/q", 4.0),
        ("model/_", 2.0),
        ("x" * 250, 5.0),
    ]


def test_a_damaged_directory_does_not_keep_the_others_back(tmp_path, uri, database):
    damaged, sound = Training(tmp_path, seed=0), Training(tmp_path, seed=1)
    for run in (damaged, sound):
        run.steps(1000)
        run.finish()
    (damaged.path / "config.json").write_text("{")
    sent = sync((run.path for run in (damaged, sound)), MlflowRuns(uri))
    assert [name for name, *_ in runs(database)] == ["ALM(3) s1"]
    (problem,) = sent.problems
    assert "seed-0" in problem
    assert "config.json is not JSON" in problem


def test_a_run_that_mlflow_refuses_does_not_keep_the_others_back(tmp_path, uri, database, make_run):
    """Whether its directory or the store holds it: names of a plugin's settings may be too long."""
    refused, sound = Training(tmp_path, seed=0), Training(tmp_path, seed=1)
    record = json.loads((refused.path / "config.json").read_text())
    (refused.path / "config.json").write_text(json.dumps(record | {"config": {"agent": {"x" * 300: 1}}}))
    for run in (refused, sound):
        run.steps(1000)
        run.finish()
    (problem,) = sync((run.path for run in (refused, sound)), MlflowRuns(uri)).problems
    assert problem.startswith(f"{refused.path} was not sent to MLflow (") and "length of 250" in problem
    assert {name: status for name, status, *_ in runs(database)}["ALM(3) s1"] == "FINISHED"

    store = Store(tmp_path / "store")
    store.write(make_run({1000: 1.0}, seed=7, config={"agent": {"x" * 300: 1}}))
    store.write(make_run({1000: 1.0}, seed=8))
    (problem,) = import_store(store, MlflowRuns(uri)).problems
    assert problem.startswith(f"{store.root}/alm/base/HalfCheetah/paper/seed-7.parquet was not sent to")
    assert {name: status for name, status, *_ in runs(database)}["ALM(3) s8"] == "FINISHED"


def test_two_evaluations_of_one_step_are_one_sentence(tmp_path, uri):
    run = Training(tmp_path)
    run.steps(1000, 2000, 2000)
    run.finish()
    (problem,) = sync([run.path], MlflowRuns(uri)).problems
    assert problem == (
        f"{run.path} was not sent to MLflow (The evaluation steps of a curve must increase, but 2000 follows "
        "2000); mend it, put a sound copy back, or move it away"
    )


def test_the_command_says_that_a_damaged_run_is_not_in_mlflow(tmp_path, uri, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    (store := tmp_path / "store").mkdir()
    command = ["sync", "--runs-dir", str(tmp_path / "runs"), "--store", str(store)]
    run = Training(tmp_path / "runs")
    run.steps(1000)
    run.finish()
    assert main(command) == 0 and "MLflow is up to date" in capsys.readouterr().out
    (run.path / "metrics.jsonl").write_text("{\n")
    assert main(command) == 1
    said = capsys.readouterr()
    assert "up to date" not in said.out and "was not sent to MLflow" in said.err
    (run.path / "config.json").write_text("{")
    other = Training(tmp_path / "runs", seed=1)
    other.steps(1000)
    other.finish()
    assert main(command) == 1
    said = capsys.readouterr()
    assert "of 1 runs; MLflow lacks what could not be read" in said.out
    assert said.err.startswith("warning: ") and "seed-0 cannot be read" in said.err


def test_the_command_says_that_a_damaged_stored_run_is_not_in_mlflow(
    tmp_path, uri, monkeypatch, capsys, make_run
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    store = Store(tmp_path / "store")
    store.write(make_run({1000: 1.0})).write_bytes(b"damaged")
    command = ["sync", "--runs-dir", str(tmp_path / "runs"), "--store", str(store.root)]
    assert main(command) == 1
    said = capsys.readouterr()
    assert "MLflow lacks what could not be read" in said.out
    assert said.err.startswith("warning: ") and "seed-0.parquet" in said.err


@pytest.mark.parametrize("protocol", ["../../x", "/x", "", None])
def test_a_protocol_that_would_lead_elsewhere_is_not_sent(tmp_path, uri, database, protocol):
    run = Training(tmp_path)
    run.steps(1000)
    run.finish()
    config = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps(config | {"protocol": protocol}))
    (problem,) = sync([run.path], MlflowRuns(uri)).problems
    assert "the protocol of a run must be a word" in problem


def test_following_a_run_to_its_end(tmp_path, uri, database, monkeypatch, capsys):
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.1)
    run = Training(tmp_path)
    run.steps(1000)
    run.commit()
    follower = threading.Thread(target=follow, args=([run.path], lambda: False))
    follower.start()

    wait_for(lambda: len(points(database)) == 4, follower)
    run.steps(2000)
    run.commit()
    wait_for(lambda: len(points(database)) == 8, follower)
    assert [status for _, status, *_ in runs(database)] == ["RUNNING"]
    run.steps(3000)
    run.finish()
    follower.join(PATIENCE)

    assert not follower.is_alive()
    assert set(points(database)) == run.expected()
    assert [status for _, status, *_ in runs(database)] == ["FINISHED"]
    assert capsys.readouterr().err == ""


def test_a_run_deleted_from_mlflow_while_it_trains_is_sent_again(tmp_path, uri, database, monkeypatch):
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.0)
    run = Training(tmp_path)
    run.steps(1000)
    run.commit()
    passes = iter(range(4))

    def until():
        if (now := next(passes)) == 1:
            MlflowClient(uri).delete_run(runs(database)[0][-1])
            run.steps(2000)
            run.commit()
        return now == 3

    follow([run.path], until)
    (again,) = runs(database)
    sent = query(database, f"select key, step, timestamp, value from metrics where run_uuid = '{again[-1]}'")
    assert again[1] == "KILLED" and run.expected() <= set(sent)


@pytest.mark.parametrize(
    "edit", [{"step": 10**30}, {"step": -3}, {"time_ms": 1e300}, {"time_ms": "x"}, "[" * 100_000]
)
def test_a_line_that_none_wrote_keeps_its_run_back_alone(tmp_path, uri, database, edit):
    damaged, sound = Training(tmp_path, seed=0), Training(tmp_path, seed=1)
    for run in (damaged, sound):
        run.steps(1000)
        run.commit()
    path = damaged.path / "metrics.jsonl"
    first, *rest = path.read_text().splitlines()
    first = edit if isinstance(edit, str) else json.dumps(json.loads(first) | edit)
    path.write_text("\n".join((first, *rest)) + "\n")
    damaged.commit()
    (problem,) = sync([damaged.path, sound.path], MlflowRuns(uri)).problems
    assert problem.startswith(f"{damaged.path} was not sent to MLflow (a line of {path} is no")
    assert set(points(database)) == sound.expected()


def test_what_a_follower_says_is_one_line_that_no_terminal_obeys(tmp_path, uri, monkeypatch, capsys):
    run = Training(tmp_path / "a\x1b[31m\u202e")
    run.steps(1000)
    run.finish()
    (run.path / "config.json").write_text("{")
    follow([run.path], lambda: True)
    said = capsys.readouterr().err
    assert r"a\x1b[31m\u202e" in said and said.count("\n") == 1 and said.rstrip("\n").isprintable()


@pytest.mark.programs
def test_the_follower_outlives_its_trainer_only_until_all_is_sent(tmp_path, uri, database, monkeypatch):
    run = Training(tmp_path)
    run.steps(1000)
    run.commit()
    # The trainer starts the follower and dies; it has not imported MLflow, nor pandas.
    trainer = (
        "import sys\nfrom pathlib import Path\nfrom reproduce.tracking.following import start_follower\n"
        "follower = start_follower([Path(sys.argv[1])])\n"
        "print(follower.pid, {'mlflow', 'pandas', 'torch'} & set(sys.modules))\n"
    )
    command = [sys.executable, "-c", trainer, str(run.path)]
    ended = subprocess.run(command, cwd=CODE, stdout=subprocess.PIPE, text=True, check=True)
    pid, imported = ended.stdout.strip().split(" ", 1)
    assert imported == "set()"
    wait_for(process_gone(int(pid)))

    assert set(points(database)) == run.expected()
    # It has not ended, and nobody trains it: it can be resumed.
    assert [(status, end) for _, status, _, end, _ in runs(database)] == [("KILLED", run.clock)]
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.01)
    follow([run.path], iter([False, True]).__next__)
    run.finish()
    sync([run.path], MlflowRuns(uri))
    assert [(status, end) for _, status, _, end, _ in runs(database)] == [("FINISHED", run.clock)]


def test_an_unreachable_server_loses_nothing(tmp_path, uri, database, monkeypatch, capsys):
    run = Training(tmp_path)
    run.steps(1000)
    run.commit()
    with pytest.raises(TrackingError) as raised:
        sync([run.path], MlflowRuns(NOBODY))
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert NOBODY in sentence
    assert "reproduce sync" in sentence

    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.01)
    ends = iter([False, False, False, True])
    follow([run.path], ends.__next__)
    assert capsys.readouterr().err == 2 * f"{sentence}\n"  # at the first failure and when it gave up

    run.steps(2000)
    run.finish()
    sync([run.path], MlflowRuns(uri))
    assert set(points(database)) == run.expected()
    assert [status for _, status, *_ in runs(database)] == ["FINISHED"]


def test_following_tries_again_until_the_server_is_back(tmp_path, empty_database, monkeypatch, capsys):
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.05)
    run = Training(tmp_path)
    run.steps(1000)
    run.commit()
    database = tmp_path / "place" / "mlflow.db"
    (tmp_path / "place").write_text("in the way of the database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    said = []

    def until():
        said.extend(capsys.readouterr().err.splitlines())
        if said and not database.exists():
            (tmp_path / "place").unlink()
            (tmp_path / "place").mkdir()
            shutil.copy(empty_database, database)
        return database.exists() and len(points(database)) == 4

    follow([run.path], until)

    assert set(points(database)) == run.expected()
    assert len(said) == 1 and capsys.readouterr().err == ""


def test_passwords_are_neither_shown_nor_stored():
    secret = "http://me:secret@127.0.0.1:9/path"
    assert shown_uri(secret) == "http://127.0.0.1:9/path"
    with pytest.raises(TrackingError) as raised:
        MlflowRuns(secret)
    assert "secret" not in str(raised.value)


def test_the_tracking_uri_is_absolute_and_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve_uri() == f"sqlite:///{CODE / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere:5000")
    assert resolve_uri() == "http://somewhere:5000"
    monkeypatch.chdir(tmp_path)
    assert resolve_uri("sqlite:///some.db") == f"sqlite:///{tmp_path / 'some.db'}"


@pytest.mark.parametrize("uri", ["http://localhost:port", "http://[::1", "http://me:se/cret@host"])
def test_what_is_no_address_is_one_sentence(uri):
    with pytest.raises(
        TrackingError, match=r"^MLflow's address .* cannot be read: give one such as"
    ) as raised:
        resolve_uri(uri)
    assert "\n" not in str(raised.value) and "cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("nonsense", "not an address such as http"),
        ("htp://somewhere:5000", "not an address such as http"),
        ("http://a..b:5000", "label empty"),
        ("sqlite:///{folder}", "Is a directory"),
        ("sqlite:///{folder}/other.db", "Can't locate revision identified by 'of-another-program'"),
    ],
)
def test_what_is_no_mlflow_is_one_sentence(tmp_path, uri, reason):
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("create table alembic_version (version_num text)")
        other.execute("insert into alembic_version values ('of-another-program')")
    with pytest.raises(TrackingError, match=rf"cannot be used \(.*{reason}.*reproduce sync") as raised:
        MlflowRuns(uri.format(folder=tmp_path))
    assert "\n" not in str(raised.value)


def test_an_mlflow_that_is_not_installed_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(TrackingError, match=r"cannot be used without mlflow: install it with .*\.\[train\]"):
        MlflowRuns(f"sqlite:///{tmp_path / 'mlflow.db'}")


def test_a_relative_database_is_that_of_the_trainers_folder(monkeypatch, tmp_path):
    """The follower works in the repository."""
    started = []
    monkeypatch.setattr(following.subprocess, "Popen", lambda command, env, **_: started.append(env))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///some.db")
    monkeypatch.chdir(tmp_path)
    following.start_follower([tmp_path / "run"])
    assert started[0]["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path / 'some.db'}"


@pytest.mark.programs
def test_first_use_by_three_processes_at_once(tmp_path):
    uri = f"sqlite:///{tmp_path / 'new.db'}"
    trainings = [Training(tmp_path, seed=seed) for seed in range(3)]
    program = (
        "import sys\nfrom pathlib import Path\nimport mlflow\n"
        "from reproduce.tracking.client import MlflowRuns\nfrom reproduce.tracking.following import sync\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "print(sync([Path(sys.argv[1])], MlflowRuns(sys.argv[2])).points)\n"
    )
    processes = []
    for training in trainings:
        training.steps(1000)
        training.finish()
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", program, str(training.path), uri],
                cwd=CODE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # all at once, with the slow import behind them
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=PATIENCE) for process in processes] == [("9\n", "")] * 3
    assert len(runs(tmp_path / "new.db")) == 3
    assert len(query(tmp_path / "new.db", f"select * from experiments where name = 'alm/{PROTOCOL}'")) == 1


@pytest.fixture
def store(tmp_path, make_run):
    store = Store(tmp_path / "store")
    provenance = {
        "git_sha": "0" * 40,
        "started_ms": STARTED,
        "finished_ms": STARTED + 3_600_000,
        "population": 2,
    }
    final = {"cost/peak_memory_bytes": 5e8, "cost/wall_h": 0.5, "final/return": 4.0}
    for seed in range(2):
        run = make_run(
            {5000: 1.0, 10000: 4.0},
            seed=seed,
            provenance=provenance,
            extra={"loss/critic": [float("nan"), 0.5], "eval/lengths": [[999.0, 1001.0]] * 2},
            final=final,
        )
        store.write(run)
    store.write(make_run({5000: 3.0}, seed=2, status="failed", reason="loss/critic is not finite"))
    store.write(make_run({5000: 3.0, 10000: 3.0}, seed=3, status="partial", final={"final/return": 3.0}))
    return store


def test_importing_the_store_keeps_values_and_times(store, uri, database):
    import_store(store, MlflowRuns(uri))

    rows = runs(database)
    assert [status for _, status, *_ in rows] == ["FINISHED", "FINISHED", "FAILED", "KILLED"]
    name, _, start, end, run_id = rows[0]
    assert (name, start, end) == ("ALM(3) s0", STARTED, STARTED + 3_600_000)
    assert rows[3][3] == 1_700_000_010_000  # without a time in the provenance, the last row's
    sent = query(
        database, f"select key, step, timestamp, value, is_nan from metrics where run_uuid = '{run_id}'"
    )
    assert sorted(sent) == [
        ("cost/peak_memory_bytes", 10000, 1_700_000_010_000, 5e8, 0),
        ("cost/seed_h", 10000, 1_700_000_010_000, 0.25, 0),
        ("cost/wall_h", 10000, 1_700_000_010_000, 0.5, 0),
        ("eval/length", 5000, 1_700_000_005_000, 1000.0, 0),
        ("eval/length", 10000, 1_700_000_010_000, 1000.0, 0),
        ("eval/return", 5000, 1_700_000_005_000, 1.0, 0),
        ("eval/return", 10000, 1_700_000_010_000, 4.0, 0),
        ("eval/return_std", 5000, 1_700_000_005_000, 2.5, 0),
        ("eval/return_std", 10000, 1_700_000_010_000, 2.5, 0),
        ("final/return", 10000, 1_700_000_010_000, 4.0, 0),
        ("final/step", 10000, 1_700_000_010_000, 10000.0, 0),
        ("loss/critic", 10000, 1_700_000_010_000, 0.5, 0),
    ]
    at_the_end = "select run_uuid, key, value from latest_metrics where key like 'final/%'"
    assert set(query(database, at_the_end)) == {
        (run, key, value)
        for run, of in zip([row[-1] for row in rows], (4.0, 4.0, None, 3.0), strict=True)
        for key, value in (("final/return", of), ("final/step", 10000.0))
        if of is not None
    }


def test_importing_twice_changes_nothing(store, uri, database):
    first = import_store(store, MlflowRuns(uri))
    before = everything(database)
    assert (first.runs, len(before["runs"])) == (4, 4)
    second = import_store(store, MlflowRuns(uri))
    assert (second.runs, second.points) == (0, 0)
    assert everything(database) == before


def stored_like(training, make_run, returns, **run):
    """The stored form of a training: evaluations only, losses at the time of the evaluation."""
    record = json.loads((training.path / "config.json").read_text())
    provenance = {"started_ms": STARTED, "finished_ms": training.clock}
    extra = {"loss/critic": [step / 8 for step in returns]}
    stored = make_run(returns, scale="laptop", config=CONFIG, provenance=provenance, extra=extra, **run)
    assert stored.digest == record["digest"]
    return stored


def test_a_run_tracked_live_is_not_doubled_by_an_import(tmp_path, uri, database, make_run):
    run = Training(tmp_path)
    run.steps(1000, 2000)
    run.finish()
    sync([run.path], MlflowRuns(uri))
    require_nothing_new(stored_like(run, make_run, {1000: 500.0, 2000: 1000.0}), tmp_path, uri, database)


def test_a_run_that_goes_on_is_not_stopped_by_an_import_of_its_beginning(tmp_path, uri, database, make_run):
    run = Training(tmp_path)
    run.steps(1000)
    run.commit()
    sync([run.path], MlflowRuns(uri))
    require_nothing_new(stored_like(run, make_run, {1000: 500.0}, status="partial"), tmp_path, uri, database)


def test_an_import_completes_a_run_tracked_in_part_and_later_syncs_respect_it(
    tmp_path, uri, database, make_run
):
    run = Training(tmp_path)
    run.steps(1000)
    run.commit()
    sync([run.path], MlflowRuns(uri))
    run.steps(2000)
    run.finish()
    store = Store(tmp_path / "store")
    store.write(stored_like(run, make_run, {1000: 500.0, 2000: 1000.0}))

    import_store(store, MlflowRuns(uri))
    assert [status for _, status, *_ in runs(database)] == ["FINISHED"]
    assert {("loss/critic", 2000), ("eval/return", 2000)} <= set(keys_and_steps(database))
    sync([run.path], MlflowRuns(uri))

    assert len(runs(database)) == 1
    assert len(keys_and_steps(database)) == len(set(keys_and_steps(database)))
    assert {(key, step) for key, step, _, _ in run.expected()} <= set(keys_and_steps(database))


def test_an_import_completes_the_one_of_two_trainings_that_was_stored(tmp_path, uri, database, make_run):
    for number, started in enumerate((STARTED, STARTED + 100_000)):
        run = Training(tmp_path / str(number), started_ms=started)
        run.steps(1000)
        run.commit()
        sync([run.path], MlflowRuns(uri))
    store = Store(tmp_path / "store")
    store.write(
        make_run(
            {1000: 500.0, 2000: 1000.0}, scale="laptop", config=CONFIG, provenance={"started_ms": STARTED}
        )
    )
    assert import_store(store, MlflowRuns(uri)).runs == 1
    assert [status for _, status, *_ in runs(database)] == ["FINISHED", "RUNNING"]
    (first, *_), (second, *_) = (
        query(database, f"select max(step) from metrics where run_uuid = '{run_id}'")
        for *_, run_id in runs(database)
    )
    assert (first, second) == ((2000,), (1000,))


def test_published_numbers_and_curves(uri, database):
    first = import_published(MlflowRuns(uri))
    before = everything(database)

    def values(name, metric):
        sql = f"from metrics m join runs r using (run_uuid) where r.name = '{name}' and m.key = '{metric}'"
        return query(database, f"select m.step, m.value {sql} order by m.step")

    def tags_of(name):
        sql = f"select t.key, t.value from tags t join runs r using (run_uuid) where r.name = '{name}'"
        return dict(query(database, sql))

    assert values("ALM(3) HalfCheetah printed", "final/return") == [(0, 10789.0)]
    assert values("ALM(3) HalfCheetah printed", "final/return_std") == [(0, 366.0)]
    assert (
        tags_of("SAC-SVG(2) HalfCheetah printed").items()
        >= {
            "algo": "SAC-SVG(2)",
            "task": "HalfCheetah",
            "method": "SAC-SVG(2) printed",
            "source": "published",
            "origin": "Amos et al. 2020 (SAC-SVG), Table 2",
            "environment": "gym_cheetah (mbbl)",
            "same_task_as_alm": "nearly",
            "footnotes": "sac-svg-mbbl",
        }.items()
    )
    ant = authors_curves().query("task == 'Ant'")
    curve = values("ALM(3) Ant authors", "eval/return")
    assert curve[:2] == [(10000, 864.1), (15000, 856.4)]  # their steps leave the warm-up out
    assert len(curve) == len(ant)
    of_seeds = values("ALM(3) Ant authors", "eval/return_std_of_seeds")
    assert of_seeds[:2] == [(10000, 66.6), (15000, 154.9)] and len(of_seeds) == len(ant)
    authors = {"algo": "ALM(3)", "task": "Ant", "method": "ALM(3) authors", "source": "authors", "seeds": "5"}
    assert tags_of("ALM(3) Ant authors").items() >= authors.items()
    assert first.runs == len(before["runs"])
    assert import_published(MlflowRuns(uri)).runs == 0
    assert everything(database) == before


def test_links_begin_with_the_protocol_of_most_runs_and_end_with_what_is_published(
    tmp_path, uri, database, make_run
):
    store = Store(tmp_path / "store")
    for seed in range(3):
        store.write(make_run({200: 1.0}, seed=seed, scale="smoke"))
        old = seed == 0
        store.write(make_run({5000: 1.0}, seed=seed, protocol="v2-old" if old else "v2-present"))
    tracker = MlflowRuns(uri)
    import_store(store, tracker)
    import_published(tracker)
    kinds = "ALM, the baselines and variants of your own"
    assert [(name, list(titles)) for name, titles in links(tracker, "").items()] == [
        ("alm/v2-present", [f"HalfCheetah, paper: {kinds} (2 runs)"]),
        ("alm/v2-old", [f"HalfCheetah, paper: {kinds} (1 runs)"]),
        ("alm/smoke", [f"HalfCheetah, smoke: {kinds} (3 runs)"]),
        ("alm/published", ["Table 1's printed numbers and the authors' curves"]),
    ]


def test_experiments_of_others_hide_none_of_ours(uri, monkeypatch):
    tracker, client = MlflowRuns(uri), MlflowClient(uri)
    import_published(tracker)
    for name in ("vision", "speech"):
        client.create_experiment(name)
    monkeypatch.setattr("reproduce.tracking.client._PAGE", 1)  # of a server that many projects write to
    assert list(tracker.experiments()) == ["alm/published"]


def test_a_view_counts_its_runs_in_any_order():
    """ALM and a variant of it share one, of all metrics that either has; ALM and SAC the other."""

    def run(role, algorithm, method, metric):
        tags = {"task": "Hopper", "scale": "laptop", "role": role, "algo": algorithm, "method": method}
        return SimpleNamespace(data=SimpleNamespace(tags=tags, metrics={metric: 0.0}))

    runs = [
        run("variant", "alm", "no KL", "loss/model"),
        run("method", "alm", "ALM(3)", "loss/critic"),
        run("method", "alm", "ALM(3)", "loss/critic"),
        run("baseline", "sac", "SAC", "loss/actor"),
    ]
    for order in (runs, runs[::-1]):
        baselines, variants = views_of(order)
        assert (baselines.key, baselines.runs) == ("Hopper-laptop", 3)
        assert baselines.methods == {"ALM(3)", "SAC"}
        assert (variants.key, variants.runs) == ("Hopper-laptop-variants", 3)
        assert variants.metrics == {"loss/model", "loss/critic"}
    assert [view.key for view in views_of(runs[1:])] == ["Hopper-laptop"]


def test_a_view_shows_returns_by_environment_step_and_then_score_and_cost():
    tags = {"task": "Hopper", "scale": "laptop", "role": "method", "algo": "alm", "method": "ALM(3)"}
    run = SimpleNamespace(data=SimpleNamespace(tags=tags, metrics={"eval/return": 0.0, "loss/critic": 0.0}))
    (view,) = views_of([run])
    page = json.loads(zlib.decompress(base64.b64decode(view.state.removeprefix("deflate;"))))
    charts = [
        (chart["type"], chart["metricKey"], chart.get("xAxisKey"), chart["metricSectionId"])
        for chart in page["compareRunCharts"]
    ]
    assert charts == [
        ("LINE", "eval/return", "step", "Learning curves"),
        ("BAR", "final/return", None, "At the end"),
        ("BAR", "final/step", None, "At the end"),
        ("BAR", "cost/seed_h", None, "At the end"),
    ]
    opened = {section["name"]: section["display"] for section in page["compareRunSections"]}
    assert opened == {"Learning curves": True, "At the end": False, "eval": False, "loss": False}
    assert page["groupBy"] == {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": "method"}],
    }


def test_the_state_of_a_view_fits_in_a_tag():
    tags = {"task": "HalfCheetah", "scale": "laptop", "role": "own", "algo": "alm"}
    many = [
        SimpleNamespace(
            data=SimpleNamespace(tags={**tags, "method": f"my-idea-{i}"}, metrics={"eval/return": 0.0})
        )
        for i in range(200)
    ]
    (view,) = views_of(many)
    assert len(view.state) < 5000 and "first 100" in view.title
    page = json.loads(zlib.decompress(base64.b64decode(view.state.removeprefix("deflate;"))))
    assert page["searchFilter"].startswith("tags.task = 'HalfCheetah' and tags.scale = 'laptop'")
    assert len(page["groupsExpanded"]) == 200 and not any(page["groupsExpanded"].values())


def test_the_description_fits_in_a_tag_whatever_there_is():
    tags = {"scale": "laptop", "role": "own", "algo": "alm", "method": "my-idea"}
    runs = [
        SimpleNamespace(
            data=SimpleNamespace(
                tags={**tags, "task": f"Hopper-obsnoise-0.{i:03}"}, metrics={"eval/return": 0.0}
            )
        )
        for i in range(1, 201)
    ]
    views = views_of(runs)
    text = description_of("1", views)
    shown = text.count("viewStateShareKey")
    assert 50 < shown < 200 and f"* and {200 - shown} more" in text
    assert len(text) <= MAX_EXPERIMENT_TAG_VAL_LENGTH and text.endswith(OURS)
    assert description_of("1", views[:2]).count("\n* ") == 2
