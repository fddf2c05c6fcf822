"""Variants from a file of one's own: what it may declare, what its runs remember, and what is refused."""

import hashlib

import pytest

from paper_figures.commands import Figure
from reproduce import cli
from reproduce.cli import main
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.archive import archive_run, record_of_directory
from reproduce.lab.plugins import load_plugin
from reproduce.lab.store import Store
from reproduce.lab.training import ResolvedRuns, RunConflictError, open_run, require_storable
from reproduce.tracking.records import record_of

SLOW = """
from alm.variants import Variant
VARIANTS = {"alm": [Variant("my-slow", "half the learning rate", changes={"learning_rate": 5e-5})]}
"""
HEAD = "from alm.variants import Variant\n"


@pytest.fixture
def written(tmp_path):
    """A plugin file with the text given."""

    def write(text, name="my_idea.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def slow_plan(path, seeds=(0,), scale="smoke"):
    return ResolvedRuns.of("alm", "my-slow", "Hopper", seeds, scale, load_plugin(path))


def test_a_variant_of_ones_own_is_one_among_others(written):
    plugin = load_plugin(written(SLOW))
    known = plugin.among(ALGORITHMS)
    assert known["alm"].variants["my-slow"].changes == {"learning_rate": 5e-5}
    assert "no-kl" in known["alm"].variants and "my-slow" not in ALGORITHMS["alm"].variants
    assert plugin.provides("alm", "my-slow") and not plugin.provides("alm", "no-kl")
    plan = slow_plan(written(SLOW))
    assert plan.agent_config.learning_rate == 5e-5
    assert plan.agent_class is ResolvedRuns.of("alm", "base", "Hopper", (0,), "smoke").agent_class


def test_the_text_is_a_part_of_the_identity_of_its_own_runs_alone(written):
    def digest(text, variant="my-slow"):
        plan = ResolvedRuns.of("alm", variant, "Hopper", (0,), "smoke", text and load_plugin(written(text)))
        return plan.record(plan.specs[0])["digest"]

    assert digest(SLOW) == digest(SLOW) != digest(SLOW + "# changed\n")
    assert digest(SLOW, "base") == digest(None, "base")


def test_a_whole_algorithm_with_variants(written):
    text = HEAD + (
        "from baselines.td3_ours import TD3Ours, TD3OursConfig\n"
        "from reproduce.lab.algorithms import Algorithm\n"
        "class Mine(TD3Ours): pass\n"
        'ALGORITHMS = {"mine": Algorithm("Mine", "an idea", Mine, TD3OursConfig)}\n'
        'VARIANTS = {"mine": [Variant("fast", "more", changes={"learning_rate": 1e-3})], "sac": []}\n'
    )
    plugin = load_plugin(written(text))
    for variant, rate in (("base", 1e-4), ("fast", 1e-3)):
        plan = ResolvedRuns.of("mine", variant, "Hopper", (0,), "smoke", plugin)
        assert plan.agent_class.__name__ == "Mine" and plan.agent_config.learning_rate == rate
        assert plan.plugin is plugin and not plan.seeds_apart
    assert "mine" not in ALGORITHMS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("VARIANTS = {\n", ["line 1", "SyntaxError"]),
        ("x = 1\nimport no_such_module\n", ["line 2", "No module named 'no_such_module'", "runs"]),
        ("def f():\n    raise KeyError('x')\nf()\n", ["line 2", "KeyError"]),
        ("raise SystemExit('bye')\n", ["SystemExit: bye"]),
        ("x = 1\n", ["declares no variant", "VARIANTS = "]),
        ("VARIANTS = {}\n", ["declares no variant"]),
        ("VARIANTS = ['my-idea']\n", ["lists of Variant by the name", "['my-idea']"]),
        ("VARIANTS = {'alm': ['my-idea']}\n", ["lists of Variant", "'my-idea'"]),
        ("from alm.variants import VARIANTS\n", ["lists of Variant"]),
        ("ALGORITHMS = {'mine': 5}\n", ["must be Algorithm by name", "'mine': 5"]),
        (HEAD + "VARIANTS = {'aml': [Variant('x', 'y')]}\n", ["'aml'", "did you mean 'alm'"]),
        (HEAD + "VARIANTS = {'alm': [Variant('no-kl', 'y')]}\n", ["'no-kl' already", "another name"]),
        (HEAD + "VARIANTS = {'sac': [Variant('base', 'y')]}\n", ["'base' already"]),
        (HEAD + "VARIANTS = {'sac': [Variant('x', 'y')] * 2}\n", ["'x' already"]),
        (
            HEAD + "VARIANTS = {'alm': [Variant('x', 'y', agent='here:X')]}\n",
            ["alm/x", "'here'", "class itself"],
        ),
        (HEAD + "VARIANTS = {'alm': [Variant('x', 'y', agent=dict)]}\n", ["alm/x", "Agent"]),
        (HEAD + "VARIANTS = {'alm': [Variant('x', 'y', config=dict)]}\n", ["alm/x", "dataclass", "at"]),
        (
            "from reproduce.lab.algorithms import ALGORITHMS\n",
            ["algorithm 'alm' already", "another name"],
        ),
    ],
)
def test_broken_files_are_one_sentence(written, tmp_path, capsys, text, words):
    command = [
        "train",
        "--task",
        "Hopper",
        "--scale",
        "smoke",
        "--no-track",
        "--runs-dir",
        str(tmp_path / "runs"),
    ]
    assert main([*command, "--plugin", str(written(text))]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "my_idea.py" in error
    assert all(word in error for word in words), error
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("name", "word"), [("nowhere.py", "No such file"), ("", "Is a directory"), ("x.py", "UTF-8")]
)
def test_a_file_that_cannot_be_read(tmp_path, name, word):
    (tmp_path / "x.py").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=f"cannot be read .*{word}.*docs/new_variant.md"):
        load_plugin(tmp_path / name)


@pytest.mark.parametrize(
    ("variant", "changes", "words"),
    [
        ("my-slow", "{'learning_rat': 1.0}", "'learning_rat', which is no setting of ALMConfig"),
        ("my-slow", "{'learning_rate': {1, 2}}", "cannot be stored .*set.*numbers, text"),
        ("my-slo", "{}", "did you mean 'my-slow'"),
    ],
)
def test_settings_and_names_that_do_not_exist(written, variant, changes, words):
    text = f"{HEAD}VARIANTS = {{'alm': [Variant('my-slow', 'y', changes={changes})]}}\n"
    with pytest.raises(ValueError, match=words):
        ResolvedRuns.of("alm", variant, "Hopper", (0,), "smoke", load_plugin(written(text)))


def test_a_run_keeps_the_text_and_another_text_does_not_go_on_with_it(written, tmp_path):
    path = written(SLOW)
    plan, root = slow_plan(path), tmp_path / "runs"
    directory = open_run(plan, plan.specs[0], root, "cpu", 1)
    directory.close()
    assert (directory.path / "plugin.py").read_text() == SLOW
    expected = {"file": "my_idea.py", "sha256": hashlib.sha256(SLOW.encode()).hexdigest()}
    assert directory.read_json("provenance.json")["plugin"] == expected
    assert directory.read_json("config.json")["config"]["plugin"] == {"sha256": expected["sha256"]}

    # Before the first checkpoint there is nothing to go on with: a corrected file starts anew.
    corrected = slow_plan(written(SLOW + "# corrected\n"))
    open_run(corrected, plan.specs[0], root, "cpu", 1).close()
    assert (directory.path / "plugin.py").read_text().endswith("# corrected\n")
    (directory.path / "checkpoints").mkdir()
    (directory.path / "checkpoints" / "step-000000100.pt").touch()
    open_run(corrected, plan.specs[0], root, "cpu", 1).close()
    with pytest.raises(RunConflictError, match="my_idea.py has changed since.*another name"):
        open_run(plan, plan.specs[0], root, "cpu", 1)


def test_the_store_carries_the_text_and_refuses_another(written, tmp_path):
    plan, store = slow_plan(written(SLOW), scale="laptop"), Store(tmp_path / "store")
    require_storable(plan, store)
    directory = open_run(plan, plan.specs[0], tmp_path / "runs", "cpu", 1)
    provenance = directory.read_json("provenance.json")
    command = "python -m reproduce train --plugin /home/me/my_idea.py --task Hopper"
    directory.write_json("provenance.json", {**provenance, "command": command})
    directory.start_metrics(0)
    metrics = {"eval/return": 1.0, "eval/return_std": 0.0, "eval/length": 9.0}
    directory.append_metrics(1000, 0, 1.0, metrics=metrics, returns=[1.0])
    directory.close()
    assert (
        record_of_directory(directory).provenance["command"]
        == "python -m reproduce train --plugin my_idea.py --task Hopper"
    )
    archive_run(directory, store)
    run = store.get(plan.specs[0])
    assert run.provenance["plugin"]["text"] == SLOW
    record = record_of(run.spec, run.digest, run.protocol, run.config, run.provenance)
    assert record.tags["role"] == "own"
    assert record.params["plugin.sha256"] == run.provenance["plugin"]["sha256"]
    require_storable(plan, store)
    with pytest.raises(RunConflictError, match="has changed since.*--store"):
        require_storable(slow_plan(written(SLOW + "# changed\n"), scale="laptop"), store)


def test_an_error_inside_a_plugin_keeps_its_traceback(written, tmp_path, monkeypatch):
    """Also where the plugin lies in the repository, whose own errors are sentences."""
    text = HEAD + (
        "from alm.agent import ALM\n"
        "class Broken(ALM):\n"
        "    def trained(self):\n"
        "        first, second = (1, 2, 3)\n"
        "VARIANTS = {'alm': [Variant('broken', 'y', agent=Broken)]}\n"
    )
    monkeypatch.setattr(cli, "REPOSITORY", tmp_path)
    command = [
        "train",
        "--task",
        "Hopper",
        "--scale",
        "smoke",
        "--no-track",
        "--runs-dir",
        str(tmp_path / "runs"),
    ]
    with pytest.raises(ValueError, match="too many values"):
        main([*command, "--plugin", str(written(text)), "--variant", "broken"])


def test_stored_runs_are_read_without_their_plugin(tmp_path, make_run, capsys):
    store = Store(tmp_path / "store")
    count = {"final": {"final/return": 2.0, "cost/wall_h": 0.1}, "scale": "laptop"}
    extra = {"time/evaluation_s": [1.0], "time/update_ms": [1.0]}
    for names in ({"algorithm": "my-td3"}, {"variant": "my-idea"}, {}):
        store.write(make_run({5000: 1.0}, extra=extra, **count, **names))
    places = ["--store", str(store.root)]
    assert main(["runs", "--runs-dir", str(tmp_path / "runs"), *places]) == 0
    assert "my-td3/base" in capsys.readouterr().out
    assert main(["table1", "--out", str(tmp_path / "tables"), *places]) == 0
    assert main(["plan", "figure3", *places]) == 0
    assert Figure("curves", store=store.root, out=tmp_path / "figures").run() == 0
    sides = ["my-td3", "alm/my-idea", "--task", "HalfCheetah"]
    assert (
        main(["compare", *sides, "--out", str(tmp_path), "--runs-dir", str(tmp_path / "runs"), *places]) == 0
    )
