"""The store: what is written is read back, whole or not at all."""

import contextlib
import errno
import json
import math
import os
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reproduce.lab import parquet
from reproduce.lab.places import RUNS
from reproduce.lab.specs import RunSpec, config_digest
from reproduce.lab.store import (
    EVALUATION_COLUMNS,
    LATENT_COLUMNS,
    Store,
    StoreWarning,
    default_store,
    place_options,
)

CURVE = {5000: 10.0, 10_000: 20.0, 15_000: 30.0}


def test_round_trip(tmp_path, make_run):
    run = make_run(
        CURVE,
        status="failed",
        reason="non-finite gradient norm at step 15001",
        final={"best_return": 30.0, "bias": math.nan},
        extra={"loss/critic": [1.0, math.nan, 3.0], "grad_norm/actor": [1, 2, 3]},
    )
    store = Store(tmp_path)
    path = store.write(run)
    assert path == tmp_path / "alm/base/HalfCheetah/paper/seed-0.parquet"

    read = store.get(run.spec)
    for name in ("spec", "config", "protocol", "provenance", "status", "reason"):
        assert getattr(read, name) == getattr(run, name)
    assert read.digest == config_digest(run.spec, run.config)
    assert read.final["best_return"] == 30.0
    assert math.isnan(read.final["bias"])
    assert read.last_step == 15_000

    frame = read.evaluations
    assert list(frame.columns) == [*EVALUATION_COLUMNS, "grad_norm/actor", "loss/critic"]
    assert [list(values) for values in frame["eval/returns"]] == [[9.0, 11.0], [19.0, 21.0], [29.0, 31.0]]
    rest = [name for name in frame.columns if name != "eval/returns"]
    expected = run.evaluations[rest].astype({"grad_norm/actor": float})
    pd.testing.assert_frame_equal(frame[rest], expected)


def test_any_parquet_reader_finds_the_record(tmp_path, make_run):
    path = Store(tmp_path).write(make_run(CURVE))
    record = json.loads(pq.read_metadata(path).metadata[b"alm-run"])
    assert record["schema"] == 1
    assert record["spec"] == {
        "algorithm": "alm", "variant": "base", "task": "HalfCheetah", "seed": 0, "scale": "paper"
    }  # fmt: skip
    # A metric that became NaN must not turn into a gap, which means not measured.
    assert pq.read_table(path)["eval/return"].null_count == 0


def test_nan_stays_a_number(tmp_path, make_run):
    path = Store(tmp_path).write(make_run(CURVE, extra={"loss/actor": [math.nan, 1.0, 2.0]}))
    column = pq.read_table(path)["loss/actor"]
    assert column.null_count == 0
    assert math.isnan(column[0].as_py())


def test_a_return_that_is_not_finite_is_not_stored(tmp_path, make_run):
    with pytest.raises(ValueError, match="^its return at step 10000 is not finite"):
        Store(tmp_path).write(make_run({5000: 1.0, 10_000: math.inf}))


def test_same_content_gives_the_same_bytes(tmp_path, make_run):
    metrics = {f"loss/{letter}": [1.0, 2.0, 3.0] for letter in "cahbgdfe"}
    one = Store(tmp_path / "one").write(make_run(CURVE, extra=metrics, config={"a": 1, "b": 2}))
    turned = dict(reversed(metrics.items()))
    two = Store(tmp_path / "two").write(make_run(CURVE, extra=turned, config={"b": 2, "a": 1}))
    assert one.read_bytes() == two.read_bytes()
    # Names in order, rather than an order of hashes, which differs from one process to the next.
    assert pq.read_schema(one).names[len(EVALUATION_COLUMNS) :] == sorted(metrics)


@pytest.mark.parametrize("broken_call", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file(tmp_path, make_run, monkeypatch, broken_call):
    store = Store(tmp_path)
    path = store.write(make_run(CURVE, status="partial"))
    before = path.read_bytes()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, broken_call, interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write(make_run({**CURVE, 20_000: 40.0}))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["seed-0.parquet"]


def test_a_later_record_replaces_the_earlier_one(tmp_path, make_run):
    store = Store(tmp_path)
    store.write(make_run(CURVE, status="partial"))
    store.write(make_run({**CURVE, 20_000: 40.0}))
    (run,) = store.runs()
    assert (run.status, run.last_step) == ("done", 20_000)


def test_runs_are_filtered_and_sorted(tmp_path, make_run):
    store = Store(tmp_path)
    for seed in (10, 2):
        store.write(make_run(CURVE, seed=seed))
    store.write(make_run(CURVE, task="Ant", seed=3))
    store.write(make_run(CURVE, seed=2, scale="laptop"))
    store.write(make_run(CURVE, seed=2, variant="no-kl"))

    def found(**filters):
        return [
            (run.spec.variant, run.spec.task, run.spec.seed, run.spec.scale) for run in store.runs(**filters)
        ]

    assert found(variant="base") == [
        ("base", "Ant", 3, "paper"),
        ("base", "HalfCheetah", 2, "laptop"),
        ("base", "HalfCheetah", 2, "paper"),
        ("base", "HalfCheetah", 10, "paper"),
    ]
    assert found(task="HalfCheetah", scale="paper", seed=2, algorithm="alm") == [
        ("base", "HalfCheetah", 2, "paper"),
        ("no-kl", "HalfCheetah", 2, "paper"),
    ]
    assert found(algorithm="sac") == []


def test_an_empty_store_is_empty(tmp_path):
    store = Store(tmp_path / "nothing")
    assert store.runs() == []
    assert store.get(RunSpec(algorithm="alm", task="Ant", seed=0, scale="paper")) is None


def test_a_corrupt_file_is_named_once_and_the_others_are_read(tmp_path, make_run):
    store = Store(tmp_path)
    good = make_run(CURVE, seed=1)
    store.write(good)
    bad = store.write(make_run(CURVE, seed=0))
    bad.write_bytes(bad.read_bytes()[:-100])
    with pytest.warns(StoreWarning) as caught:
        assert [run.spec for run in store.runs()] == [good.spec]
    (warning,) = caught
    message = str(warning.message)
    assert str(bad) in message
    assert "replace it by a sound copy or delete it" in message
    assert "\n" not in message


@pytest.mark.parametrize("seed", [None, 3])
def test_a_strange_file_beside_a_wanted_run_is_warned_of_whatever_seed_is_wanted(tmp_path, make_run, seed):
    store = Store(tmp_path)
    path = store.write(make_run(CURVE, seed=3))
    path.with_name("seed-03.parquet").write_bytes(path.read_bytes())
    with pytest.warns(StoreWarning, match="seed-03"):
        assert len(store.runs(task="HalfCheetah", seed=seed)) == 1


def test_a_file_is_opened_again_once_it_was_replaced(tmp_path, make_run, monkeypatch):
    opened, read = [], parquet.read
    monkeypatch.setattr(parquet, "read", lambda path: opened.append(path) or read(path))
    reader, writer = Store(tmp_path), Store(tmp_path)
    paths = [writer.write(make_run(CURVE, seed=seed)) for seed in (0, 1)]
    paths[0].write_bytes(b"PAR1")
    with pytest.warns(StoreWarning) as caught:
        assert [len(reader.runs()) for _ in range(3)] == [1, 1, 1]
    assert opened == paths and len(caught) == 1
    for last in (1.0, 2.0):  # as soon after each other, and as large, as two writes can be
        writer.write(make_run(CURVE | {15_000: last}, seed=0))
        assert reader.runs()[0].curve().values[-1] == last
    assert opened == [*paths, paths[0], paths[0]]


@pytest.mark.parametrize("passing", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
def test_a_read_that_was_disturbed_is_made_again(tmp_path, make_run, monkeypatch, passing):
    """By Ctrl-C in a notebook, or a file server that does not answer for a moment."""
    store, read, disturbed = Store(tmp_path), parquet.read, [passing]
    for seed in range(3):
        store.write(make_run(CURVE, seed=seed))

    def read_once_disturbed(path):
        if path.stem == "seed-1" and disturbed:
            raise disturbed.pop()
        return read(path)

    monkeypatch.setattr(parquet, "read", read_once_disturbed)
    with contextlib.suppress(KeyboardInterrupt), warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        store.runs()
    assert not disturbed and [run.spec.seed for run in store.runs()] == [0, 1, 2]


def test_a_link_to_nothing_is_named_and_the_others_are_read(tmp_path, make_run):
    store = Store(tmp_path)
    path = store.write(make_run(CURVE))
    path.with_name("seed-1.parquet").symlink_to("nowhere")
    with pytest.warns(StoreWarning, match="seed-1.*No such file"):
        assert len(store.runs()) == 1


def test_runs_behind_a_linked_folder_are_read(tmp_path, make_run):
    """As of an algorithm whose runs lie on another disk, even if a link leads back to the store."""
    store = Store(tmp_path / "store")
    for algorithm in ("alm", "sac"):
        store.write(make_run(CURVE, algorithm=algorithm))
    (store.root / "sac").rename(tmp_path / "sac")
    (store.root / "sac").symlink_to(tmp_path / "sac")
    (store.root / "loop").symlink_to(store.root)
    assert [run.spec.algorithm for run in store.runs()] == ["alm", "sac"]


def test_a_corrupt_file_of_the_repository_is_restored_by_git(tmp_path, make_run, monkeypatch):
    monkeypatch.setattr("reproduce.lab.store.RESULTS", tmp_path)
    store = Store(tmp_path)
    bad = store.write(make_run(CURVE, seed=0))
    bad.write_bytes(b"")
    with pytest.warns(StoreWarning, match=f"run `git checkout -- {bad}` or delete it"):
        assert store.runs() == []


@pytest.mark.parametrize("damage", ["another run", "no record", "another schema"])
def test_a_file_that_is_not_its_run_is_refused(tmp_path, make_run, damage):
    store = Store(tmp_path)
    path = store.write(make_run(CURVE, seed=0))
    if damage == "another run":
        os.replace(path, path.with_name("seed-7.parquet"))
        expected = r"left out \(its alm-run record is of alm/base HalfCheetah paper seed 0"
    else:
        table = pq.read_table(path)
        metadata = {} if damage == "no record" else {b"alm-run": b'{"schema": 2}'}
        pq.write_table(table.replace_schema_metadata(metadata), path)
        expected = "no alm-run record" if damage == "no record" else "has format 2"
    with pytest.warns(StoreWarning, match=expected):
        assert store.runs() == []


def rewritten(path, change=lambda table: table, record=lambda record: record):
    """Write the content of a file again, with another table or record, without its digest of the content."""
    table = change(pq.read_table(path))
    content = record(json.loads(pq.read_schema(path).metadata[b"alm-run"]))
    pq.write_table(table.replace_schema_metadata({b"alm-run": json.dumps(content).encode()}), path)


def column(name, values):
    return lambda table: table.set_column(table.schema.names.index(name), name, pa.array(values))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"change": lambda table: table.drop_columns("eval/length")}, "lacks the columns eval/length"),
        ({"change": column("eval/return", ["a", "b", "c"])}, "column eval/return is string, not double"),
        ({"change": column("eval/returns", [1.0, 2.0, 3.0])}, "eval/returns is double, not list of double"),
        ({"change": column("eval/lengths", [9.0, 9.0, 9.0])}, "eval/lengths is double, not list of double"),
        ({"change": column("eval/lengths", [[9.0], None, [9.0]])}, "an evaluation has gaps"),
        ({"change": column("step", [5000, 15_000, 10_000])}, "steps do not increase"),
        ({"change": column("step", [5000, None, 10_000])}, "an evaluation has gaps"),
        (
            {"change": column("eval/return", [1.0, 2.0, float("nan")])},
            "its return at step 15000 is not finite",
        ),
        ({"change": column("step", [0, 10_000, 15_000])}, "its 'step' is 0"),
        ({"change": column("step", [5000, 10_000, 2**62])}, "its 'step' is 4611686018427387904"),
        ({"change": column("training_step", [-1, 5000, 10_000])}, "its 'training_step' is -1"),
        ({"change": column("wall_seconds", [1.0, 2.0, float("inf")])}, "its 'wall_seconds' is inf"),
        ({"change": column("wall_seconds", [1.0, 2.0, float("nan")])}, "its 'wall_seconds' is nan"),
        ({"change": column("eval/returns", [[1.0], [2.0], []])}, "its 'eval/returns' is []"),
        ({"change": column("eval/returns", [[1.0], [2.0], [None]])}, "its 'eval/returns' is [None]"),
        ({"record": lambda record: record | {"protocol": None}}, "protocol of a run must be a word"),
        ({"record": lambda record: record | {"protocol": "../../x"}}, "protocol of a run must be a word"),
        ({"record": lambda record: record | {"config": {"other": 1}}}, "was edited: the digest"),
        ({"record": lambda record: record | {"final": [1]}}, "its 'final' is [1]"),
        ({"record": lambda record: [record]}, "record is no object"),
        ({"record": lambda record: {"schema": 1, "spec": record["spec"]}}, "config"),
    ],
)
def test_content_out_of_shape_is_named_and_the_others_are_read(tmp_path, make_run, change, expected):
    store = Store(tmp_path)
    good = make_run(CURVE, seed=1)
    store.write(good)
    bad = store.write(make_run(CURVE, seed=0, extra={"eval/lengths": [[9.0]] * 3}))
    rewritten(bad)
    # As files of earlier versions are, without a digest of the content.
    assert len(Store(tmp_path).runs()) == 2
    rewritten(bad, **change)
    with pytest.warns(StoreWarning) as caught:
        assert [run.spec for run in Store(tmp_path).runs()] == [good.spec]
    (warning,) = caught
    assert str(bad) in str(warning.message) and expected in str(warning.message)
    assert "\n" not in str(warning.message)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"provenance": {"git_sha": 5}}, "its 'provenance.git_sha' is 5"),
        ({"provenance": {"population": 0}}, "its 'provenance.population' is 0"),
        ({"provenance": {"hardware": ["x"]}}, "its 'provenance.hardware' is a list, not an object"),
        (
            {"provenance": {"hardware": {"memory_bytes": "x"}}},
            "its 'provenance.hardware.memory_bytes' is 'x'",
        ),
        ({"provenance": {"plugin": True}}, "its 'provenance.plugin' is a bool, not an object"),
        ({"provenance": {"started_ms": 10**17}}, "its 'provenance.started_ms' is 100000000000000000"),
        ({"provenance": {"finished_ms": 1e30}}, "its 'provenance.finished_ms' is 1e+30"),
        ({"final": {"final/return": "x"}}, "its 'final' is {'final/return': 'x'}"),
        ({"final": {"cost/wall_h": 10**400}}, "its 'final' is {'cost/wall_h': 1000"),
        ({"config": {"agent": 5}}, "its 'config.agent' is 5"),
    ],
)
def test_a_record_of_wrong_types_is_named_and_the_others_are_read(tmp_path, make_run, changed, expected):
    """Lists, tables, figures and pages take the fields for what they should be."""
    store = Store(tmp_path)
    store.write(make_run(CURVE, seed=1))
    spec = make_run(CURVE).spec
    bad = store.write(make_run(CURVE))
    digest = {"digest": config_digest(spec, changed.get("config", make_run(CURVE).config))}
    rewritten(bad, record=lambda record: record | changed | digest)
    with pytest.warns(StoreWarning) as caught:
        assert [run.spec.seed for run in Store(tmp_path).runs()] == [1]
    (warning,) = caught
    assert str(bad) in str(warning.message) and expected in str(warning.message)


def test_a_bit_that_flipped_is_noticed_wherever_it_is(tmp_path, make_run):
    """In every byte of the file, in turn: what can still be read is what was written."""
    store = Store(tmp_path)
    run = make_run(CURVE)
    path = store.write(run)
    content = path.read_bytes()
    unnoticed = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            read = Store(tmp_path).get(run.spec)
        if read is not None:
            unnoticed += 1
            pd.testing.assert_frame_equal(read.evaluations, run.evaluations)
            assert (read.config, read.protocol) == (run.config, run.protocol)
            assert (read.provenance, read.final, read.status) == (run.provenance, run.final, run.status)
    assert unnoticed < len(content) / 2


def test_changed_numbers_are_noticed_beside_a_run_too(tmp_path, make_run):
    store = Store(tmp_path)
    run = make_run(CURVE)
    store.write(run)
    pairs = {"step": [5000], "episode": [0], "episode_step": [0], "monte_carlo": [1.0], "min_q": [2.0]}
    path = store.write_values(run, pd.DataFrame(pairs))
    assert store.values(run)["min_q"].tolist() == [2.0]
    table = pq.read_table(path)
    other = table.set_column(4, "min_q", pa.array([3.0], pa.float32()))
    pq.write_table(other.replace_schema_metadata(table.schema.metadata), path)
    with pytest.warns(StoreWarning, match=r"values\.parquet .*its content is not what was written"):
        assert store.values(run) is None


def test_an_episode_that_moved_to_another_evaluation_is_noticed(tmp_path, make_run):
    """The numbers and their order are as they were."""
    kind = pa.list_(pa.float64())
    path = Store(tmp_path).write(
        make_run({5000: 2.0, 10_000: 4.0}, extra={"eval/returns": [[1.0, 3.0], [4.0]]})
    )
    table = pq.read_table(path)
    place = table.column_names.index("eval/returns")
    other = table.set_column(place, "eval/returns", pa.array([[1.0], [3.0, 4.0]], kind))
    pq.write_table(other.replace_schema_metadata(table.schema.metadata), path)
    with pytest.warns(StoreWarning, match="its content is not what was written"):
        assert Store(tmp_path).runs() == []


def test_value_samples_behind_the_last_evaluation_are_left_out(tmp_path, make_run):
    """They are written before the record, so that a kill between the two leaves more of them."""
    store = Store(tmp_path)
    run = make_run(CURVE, status="partial")
    store.write(run)
    store.write_values(run, pd.concat([make_values(step) for step in (5000, 15_000, 20_000)]))
    assert store.values(run)["step"].tolist() == [5000, 15_000]


def test_a_file_in_a_strange_place_is_named(tmp_path, make_run):
    store = Store(tmp_path)
    path = store.write(make_run(CURVE))
    os.replace(path, tmp_path / "copy.parquet")
    with pytest.warns(StoreWarning, match="copy.parquet"):
        assert store.runs() == []


def test_reading_a_sound_store_warns_of_nothing(tmp_path, make_run):
    store = Store(tmp_path)
    store.write(make_run(CURVE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(store.runs()) == 1


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda frame: frame.drop(columns="eval/length"), "it lacks 'eval/length'"),
        (lambda frame: frame.iloc[::-1], "increase"),
        (lambda frame: frame.assign(**{"loss/actor": ["a", "b", "c"]}), "type"),
        (lambda frame: frame.assign(time_ms=[1, 2, 10**30]), "^OverflowError"),
        (lambda frame: frame.assign(step=[5000.5, 6000.5, 7000.5]), "5000.5"),
    ],
)
def test_write_refuses_evaluations_out_of_shape(tmp_path, make_run, spoil, match):
    run = make_run(CURVE)
    object.__setattr__(run, "evaluations", spoil(run.evaluations))
    with pytest.raises(ValueError, match=match):
        Store(tmp_path).write(run)
    assert list(tmp_path.iterdir()) == []


def test_status_and_reason_belong_together(make_run):
    with pytest.raises(ValueError, match="reason"):
        make_run(CURVE, status="failed")
    with pytest.raises(ValueError, match="reason"):
        make_run(CURVE, status="done", reason="why")
    with pytest.raises(ValueError, match="status"):
        make_run(CURVE, status="finished")


def test_a_run_has_an_evaluation(make_run):
    with pytest.raises(ValueError, match="alm/base HalfCheetah paper seed 0 has no evaluation yet"):
        make_run({})


# --- one's own runs over those of the repository ------------------------------------------------------------


@pytest.fixture
def layers(tmp_path, make_run):
    """A store over another: seed 0 is in both and further beneath, 1 is in both and further above."""
    beneath, above = Store(tmp_path / "shipped"), Store(tmp_path / "own")
    for seed, last in ((0, 15_000), (1, 10_000), (2, 15_000)):
        steps = {step: 1.0 for step in CURVE if step <= last}
        run = make_run(steps, seed=seed, status="partial")
        beneath.write(run)
        beneath.write_values(run, make_values(5000))
    for seed, last in ((0, 15_000), (1, 15_000), (3, 10_000)):
        above.write(make_run({step: 2.0 for step in CURVE if step <= last}, seed=seed, status="partial"))
    return Store(above.root, beneath.root)


def make_values(step):
    columns = {"step": [step], "episode": [0], "episode_step": [0], "monte_carlo": [1.0], "min_q": [2.0]}
    return pd.DataFrame(columns)


def test_ones_own_runs_are_read_with_those_beneath(layers):
    """Of a run in both the one with more steps counts, of equals the one beneath."""
    runs = layers.runs()
    assert [(run.spec.seed, run.own, run.last_step) for run in runs] == [
        (0, False, 15_000),
        (1, True, 15_000),
        (2, False, 15_000),
        (3, True, 10_000),
    ]
    assert [layers.get(run.spec).own for run in runs] == [run.own for run in runs]


def test_what_lies_beside_a_run_is_read_from_where_the_run_is(layers):
    assert [layers.values(run) is not None for run in layers.runs()] == [True, False, True, False]
    assert [bool(layers.estimates(run)) for run in layers.runs()] == [True, False, True, False]


def test_predictions_measured_of_a_run_beneath_are_read(layers):
    """They are written over it, and count in place of those beneath."""
    (run,) = layers.runs(seed=0)
    assert not run.own
    steps = pd.DataFrame(dict.fromkeys(LATENT_COLUMNS, [0.0, 1.0]))
    Store(layers.beneath).write_latents(run, steps, "alm/base HalfCheetah paper seed 2")
    assert layers.latents(run)[1].endswith("seed 2")
    layers.write_latents(run, steps, "alm/base HalfCheetah paper seed 3")
    assert layers.latents(run)[1].endswith("seed 3")


@pytest.mark.parametrize("policy", [{}, {b"alm-policy": b"\xff"}])
def test_predictions_that_name_no_policy_are_left_out(tmp_path, make_run, policy):
    store, run = Store(tmp_path), make_run(CURVE)
    path = store.write_latents(run, pd.DataFrame(dict.fromkeys(LATENT_COLUMNS, [0.0, 1.0])), "")
    metadata = {b"alm-digest": run.digest.encode(), **policy}
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    with pytest.warns(StoreWarning, match=r"latents\.parquet is left out .*(alm-policy|codec)"):
        assert store.latents(run) is None


def test_nothing_is_written_beneath(layers, make_run):
    before = {path: path.read_bytes() for path in layers.beneath.rglob("*.parquet")}
    run = make_run(CURVE, seed=2)
    assert layers.write(run).is_relative_to(layers.root)
    assert layers.write_values(run, make_values(5000)).is_relative_to(layers.root)
    assert {path: path.read_bytes() for path in layers.beneath.rglob("*.parquet")} == before


def test_a_damaged_run_of_ones_own_leaves_the_one_beneath(layers):
    (layers.root / "alm/base/HalfCheetah/paper/seed-1.parquet").write_bytes(b"PAR1")
    with pytest.warns(StoreWarning, match="seed-1"):
        assert [run.own for run in layers.runs(seed=1)] == [False]


def test_a_store_alone_has_no_runs_of_ones_own(layers):
    assert not any(run.own for run in Store(layers.root).runs())


def test_a_run_of_an_earlier_scale_of_that_name_is_left_out(tmp_path, make_run):
    store = Store(tmp_path)
    for seed, every in enumerate((1000, 2500)):
        config = {"training": {"eval_every": every}}
        store.write(make_run({5000: 1.0}, seed=seed, scale="laptop", config=config))
    with pytest.warns(StoreWarning, match="every 1000 steps, .* another definition.* train it again"):
        (kept,) = store.runs()
    assert kept.spec.seed == 1


def test_places_are_named_in_commands_where_they_are_not_the_default():
    assert place_options(default_store(), RUNS) == place_options(default_store(own=False)) == ""
    assert place_options(Store(Path("a store")), Path("runs-b")) == " --runs-dir runs-b --store 'a store'"
    assert place_options(default_store(), Path("b")) == " --runs-dir b"
