"""Variants from a file of one's own: what it may declare, what its runs remember, and what is refused."""

import hashlib
import signal
import sys
import textwrap
from dataclasses import replace
from functools import partial

import pytest

from alm.agent import ALM
from alm.training import checkpoint, loop
from alm.training.bias_protocol import ValueBias
from alm.training.execution import Execution
from alm.training.scale import SCALES
from reproduce.cli import main
from reproduce.commands.figures import Figure
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.archive import archive_run
from reproduce.lab.plugins import algorithms_with, load_plugin
from reproduce.lab.resolved_runs import ResolvedRuns
from reproduce.lab.store import Store
from reproduce.lab.training import open_run, require_storable
from reproduce.tracking.records import record_of

SLOW = """
from alm.variants import Variant
VARIANTS = {"alm": [Variant("my-slow", "half the learning rate", changes={"learning_rate": 5e-5})]}
"""
HEAD = "from alm.variants import Variant\n"
MINE = (
    "from baselines.td3_ours import TD3Ours, TD3OursConfig\n"
    "from reproduce.lab.algorithms import Algorithm\n"
    "ALGORITHMS = {'mine': Algorithm('Mine', 'an idea', "
)


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
    known = algorithms_with(plugin)
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
        assert plan.plugin is plugin and not plan.agent_class.trains_seeds_apart
    assert "mine" not in ALGORITHMS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("VARIANTS = {\n", ["line 1", "SyntaxError"]),
        ("x = 1\nimport no_such_module\n", ["line 2", "No module named 'no_such_module'", "runs"]),
        ("def f():\n    raise KeyError('x')\nf()\n", ["line 2", "KeyError"]),
        ("raise SystemExit('bye')\n", ["SystemExit: bye"]),
        ("class Mute(BaseException):\n    __str__ = None\nraise Mute\n", ["line 3", "Mute"]),
        ("x = 1\n", ["declares no variant", "VARIANTS = "]),
        ("VARIANTS = {}\n", ["declares no variant"]),
        ("VARIANTS = {'alm': []}\n", ["declares no variant"]),
        ("VARIANTS = ['my-idea']\n", ["to lists of Variant", "['my-idea']"]),
        ("VARIANTS = {'alm': ['my-idea']}\n", ["lists of Variant", "'my-idea'"]),
        ("from alm.variants import VARIANTS\n", ["lists of Variant"]),
        ("ALGORITHMS = {'mine': 5}\n", ["must map names to Algorithm", "'mine': 5"]),
        (HEAD + "VARIANTS = {'aml': [Variant('x', 'y')]}\n", ["'aml'", "did you mean 'alm'"]),
        (HEAD + "VARIANTS = {'alm': [Variant('no-kl', 'y')]}\n", ["'no-kl' already", "another name"]),
        (HEAD + "VARIANTS = {'sac': [Variant('base', 'y')]}\n", ["'base' already"]),
        (HEAD + "VARIANTS = {'sac': [Variant('x', 'y')] * 2}\n", ["declares two variants 'x' of sac"]),
        (
            HEAD + "VARIANTS = {'alm': [Variant('x', 'y', agent='here:X')]}\n",
            ["alm/x", "'here'", "class itself"],
        ),
        (
            HEAD + "VARIANTS = {'alm': [Variant('x', 'y', agent='')]}\n",
            ["alm/x", "Empty module name", "class itself"],
        ),
        (
            HEAD + "VARIANTS = {'alm': [Variant('x', 'y', agent=len)]}\n",
            ["agent of the variant 'x' must be a"],
        ),
        (HEAD + "VARIANTS = {'alm': [Variant('x', 'y', agent=dict)]}\n", ["alm/x", "Agent"]),
        (
            HEAD
            + "class Own:\n    trains_seeds_apart = False\n"
            + "VARIANTS = {'alm': [Variant('x', 'y', agent=Own)]}\n",
            ["alm/x", "Own'> is not a class that extends alm.training.agent.Agent"],
        ),
        (
            HEAD
            + "from alm.training.agent import Agent\n"
            + "class Own(Agent):\n    def act(self, *a):\n        pass\n"
            + "VARIANTS = {'alm': [Variant('x', 'y', agent=Own)]}\n",
            ["alm/x", "its agent Own does not define `act_greedily`, `learn`, `optimiser_groups`, as every"],
        ),
        (HEAD + "VARIANTS = {'alm': [Variant('x', 'y', exhibits=())]}\n", ["line 2", "'exhibits'"]),
        (HEAD + "VARIANTS = {'alm': [Variant('x', 'y', config=dict)]}\n", ["alm/x", "dataclass", "at"]),
        (MINE + "dict, TD3OursConfig)}\n", ["mine/base", "its agent <class 'dict'> is not a class"]),
        (
            HEAD + MINE + "TD3Ours, TD3OursConfig, variants={'x': Variant('x', 'y', config=dict)})}\n",
            ["mine/x", "its configuration <class 'dict'> is not a dataclass"],
        ),
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
    ("helper", "words"),
    [
        ("x = 1\nnothing\n", "helper.py:2: NameError: name 'nothing' is not defined); correct it"),
        ("x = 1\ndef f(:\n", "helper.py:2: SyntaxError: invalid syntax); correct it"),
        ("raise RuntimeError('no licence')\n", "helper.py:1: RuntimeError: no licence); correct it"),
        ("import sys\nsys.exit(0)\n", "helper.py:2: SystemExit: 0); correct it"),
        (
            "import no_such_module\n",
            "helper.py:1: ModuleNotFoundError: No module named 'no_such_module'); correct",
        ),
        (
            "import torch\nnet = torch.nn.Linear('x', 2)\n",
            "helper.py:2: TypeError: empty()",
        ),
        ("x = 1\n", "(AttributeError: module 'helper' has no attribute 'A'); give the class itself"),
    ],
)
def test_a_mistake_in_a_module_that_a_plugin_names(written, tmp_path, monkeypatch, capsys, helper, words):
    monkeypatch.setattr("sys.path", sys.path[:])
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    written(helper, "helper.py")
    path = written(HEAD + "VARIANTS = {'alm': [Variant('mine', 'y', agent='helper:A')]}\n")
    assert train(path, tmp_path / "runs") == 2
    error = capsys.readouterr().err
    assert error.startswith(
        f"error: alm/mine of the plugin {path} cannot be trained: its agent or configuration "
    )
    assert words in error and error.count("\n") == 1


def test_names_and_classes_that_fail_when_they_are_looked_at(written):
    lazy = "def __getattr__(name):\n    raise RuntimeError(name)\n"
    with pytest.raises(ValueError, match="declares no variant"):
        load_plugin(written(lazy))
    mute = (
        "class Kind(type):\n    def __repr__(cls):\n        raise RuntimeError\n"
        "class Mute(metaclass=Kind): pass\n"
    )
    for what in ("agent", "config"):
        text = f"{HEAD}{mute}VARIANTS = {{'alm': [Variant('mine', 'y', {what}=Mute)]}}\n"
        with pytest.raises(ValueError, match="<Kind instance at .* is not a"):
            load_plugin(written(text))


def test_a_file_may_import_another_beside_it(written, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", sys.path[:])
    written("RATE = 5e-5\n", "my_own_settings.py")
    text = "from my_own_settings import RATE\n" + SLOW.replace("5e-5", "RATE")
    assert slow_plan(written(text)).agent_config.learning_rate == 5e-5


def test_names_are_those_of_variants_and_algorithms(written):
    variants = "variants={'x': Variant('x', 'y')}"
    text = HEAD + MINE + f"TD3Ours, TD3OursConfig, {variants})}}\nVARIANTS = {{'sac': [Variant('z', 'y')]}}\n"
    assert load_plugin(written(text)).names == ["mine", "mine/x", "sac/z"]


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "my_idea.py"
    path.write_text(SLOW, encoding="utf-8-sig")
    assert load_plugin(path).text == SLOW


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
        ("my-slow", "{'learning_rate': {1, 2}}", "learning_rate .* a finite number above 0, not {1, 2}"),
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
    directory = open_run(plan, plan.specs[0], root, Execution())
    directory.close()
    assert (directory.path / "plugin.py").read_text() == SLOW
    expected = {"file": "my_idea.py", "sha256": hashlib.sha256(SLOW.encode()).hexdigest()}
    assert directory.read_json("provenance.json")["plugin"] == expected
    assert directory.read_json("config.json")["config"]["plugin"] == {"sha256": expected["sha256"]}

    # Before the first checkpoint there is nothing to go on with: a corrected file starts anew.
    corrected = slow_plan(written(SLOW + "# corrected\n"))
    open_run(corrected, plan.specs[0], root, Execution()).close()
    assert (directory.path / "plugin.py").read_text().endswith("# corrected\n")
    (directory.path / "checkpoints").mkdir()
    (directory.path / "checkpoints" / "step-000000100.pt").touch()
    open_run(corrected, plan.specs[0], root, Execution()).close()
    with pytest.raises(ValueError, match="my_idea.py has changed since.*another name.*these files") as error:
        open_run(plan, plan.specs[0], root, Execution())
    copy = directory.path / "plugin.py"
    assert f"go on with the old file (--plugin {copy})" in str(error.value)
    open_run(slow_plan(copy), plan.specs[0], root, Execution()).close()


def test_the_store_carries_the_text_and_refuses_another(written, tmp_path):
    text = SLOW.replace("\n", "\r\n")  # as editors of Windows write it
    plan, store = slow_plan(written(text), scale="laptop"), Store(tmp_path / "store")
    require_storable(plan, store)
    directory = open_run(plan, plan.specs[0], tmp_path / "runs", Execution())
    directory.start_metrics(0)
    metrics = {"eval/return": 1.0, "eval/return_std": 0.0, "eval/length": 9.0}
    directory.append_metrics(1000, 0, 1.0, metrics=metrics, returns=[1.0])
    directory.close()
    archive_run(directory, store)
    run = store.get(plan.specs[0])
    kept = run.provenance["plugin"]
    assert kept["text"] == text and kept["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    record = record_of(run.record, run.provenance)
    assert record.tags["role"] == "own"
    assert record.params["plugin.sha256"] == kept["sha256"]
    require_storable(plan, store)
    with pytest.raises(ValueError, match="has changed since.*--store"):
        require_storable(slow_plan(written(SLOW + "# changed\n"), scale="laptop"), store)


@pytest.fixture
def short(monkeypatch):
    """Smoke runs of 60 steps, 20 of them warm-up."""
    tiny = replace(
        SCALES["smoke"], max_warmup=20, total_steps=60, eval_every=40, eval_episodes=1, log_every=20
    )
    monkeypatch.setitem(SCALES, "smoke", tiny)
    monkeypatch.setattr(loop, "ValueBias", partial(ValueBias, pairs=5, cutoff=5))


def train(path, runs, *more):
    command = ["train", "--task", "Hopper", "--scale", "smoke", "--no-track", "--runs-dir", str(runs)]
    return main([*command, "--plugin", str(path), "--variant", "mine", "--seeds", "0", "1", *more])


ALM_AGENT = "from dataclasses import dataclass\nimport torch\n{head}from alm.agent import ALM\n" + (
    "from alm.config import ALMConfig\n"
    "@dataclass(frozen=True)\n"
    "class Config(ALMConfig):\n"
    "    weight: float = 0.1\n"
    "{config}"
    "class Mine(ALM):\n"
    "    sound = True\n"
    "{agent}"
    "VARIANTS = {{'alm': [Variant('mine', 'an idea', agent=Mine, config=Config{more})]}}\n"
)


def an_idea(agent="", config="", more=""):
    """A plugin with lines inside its agent's and its configuration's class."""
    agent, config = (textwrap.indent(textwrap.dedent(part), "    ") for part in (agent, config))
    return ALM_AGENT.format(head=HEAD, agent=agent, config=config, more=more)


# What a method does wrong, and what the sentence says besides the file's name and that of the traceback.
FAILURES = {
    "update": (
        "def update(self, *a):\n    return self.part()\ndef part(self):\n    return 1 / 0\n",
        ":14, in part",
        "ZeroDivisionError: division by",
    ),
    "act": ("def act(self, *a):\n    return {}['x']\n", ":12, in act", "KeyError: 'x'"),
    "init": (
        "def __init__(self, task, config, seeds, device='cpu'):\n    self.nothing.here\n",
        ":12, in __init__",
        "AttributeError: 'Mine' object has no attribute 'nothing'",
    ),
    "deep": (
        "def actor_loss(self, *a):\n    return torch.ones(2) @ torch.ones(3)\n",
        ":12, in actor_loss",
        "Runtime",
    ),
    "exit": ("def learn(self, *a):\n    raise SystemExit(5)\n", ":12, in learn", "SystemExit: 5"),
    "mute": (
        "class Mute(BaseException):\n    __str__ = None\ndef learn(self, *a):\n    raise self.Mute\n",
        ":14, in learn",
        "Mute: ",
    ),
    "file": (
        "def learn(self, *a):\n    open('/no/table')\n",
        ":12, in learn",
        "FileNotFoundError: [Errno 2]",
    ),
    "overflow": (
        "def learn(self, *a):\n    import math\n    math.exp(1000)\n",
        ":13, in learn",
        "OverflowError: math range error",
    ),
    "memory": (
        "def learn(self, *a):\n    raise RuntimeError('the memory of my replay is empty')\n",
        ":12, in learn",
        "RuntimeError: the memory of my replay is empty",
    ),
    "size": (
        "@property\n"
        "def noise_shapes(self):\n"
        "    return {name: (*shape[:-1], 99) for name, shape in super().noise_shapes.items()}\n",
        ":9, class Mine",
        "RuntimeError: The size of tensor",
    ),
    "silent": ("def learn(self, *a):\n    raise AssertionError\n", ":12, in learn", "AssertionError"),
    "loss": (
        "def actor_loss(self, *a):\n    loss, more = super().actor_loss(*a)\n    return loss.mean(), more\n",
        ":9, class Mine",
        "the loss of the group 'actor' must have the shape (S,), here (2,), not ()",
    ),
    "pair": (
        "def actor_loss(self, *a):\n    return super().actor_loss(*a)[0]\n",
        ":9, class Mine",
        "the objective of the group 'actor' must be a pair of a loss (S,)",
    ),
    "diagnostics": (
        "def actor_loss(self, *a):\n"
        "    loss, more = super().actor_loss(*a)\n"
        "    return loss, {**more, 'actor/odd': torch.zeros(2, 3)}\n",
        ":9, class Mine",
        "'actor/odd' in the metrics of an update must have the shape (S,), here (2,), not (2, 3)",
    ),
    "number": (
        "def learn(self, *a):\n    return {'loss/x': 3.0}\n",
        ":9, class Mine",
        "'loss/x' in the metrics of an update must be a tensor (S,), here (2,), not a float",
    ),
    **{
        f"name {name}": (
            f"def learn(self, *a):\n    return {{{name}: torch.zeros(2)}}\n",
            ":9, class Mine",
            f"{name} in the metrics of an update is no name for a metric: give it one of its own, other than",
        )
        for name in (
            "'step'",
            "'eval/return'",
            "'actor/exploration_std'",
            "'train/return'",
            "'time/update_ms'",
            "'qbias/min_q_mean'",
            "7",
        )
    },
    "nothing": (
        "def learn(self, *a):\n    pass\n",
        ":9, class Mine",
        "the metrics of an update must be a dictionary of tensors by name, not a NoneType",
    ),
    "gradient": (
        "def actor_loss(self, *a):\n"
        "    loss, more = super().actor_loss(*a)\n"
        "    return loss, {**more, 'actor/odd': loss}\n",
        ":9, class Mine",
        "'actor/odd' in the metrics of an update carries a gradient: detach it",
    ),
    "action": (
        "def act(self, *a):\n    return super().act(*a)[0]\n",
        ":9, class Mine",
        "what `act` returns must have the shape (S, batch, action), here (2, 1, 3), not (1, 3)",
    ),
    "greedy": (
        "def act_greedily(self, *a):\n    return super().act_greedily(*a)[..., :1]\n",
        ":9, class Mine",
        "what `act_greedily` returns must have the shape (S, batch, action), here (2, 1, 3), not (2, 1, 1)",
    ),
    "estimate": (
        "def estimates(self, *a):\n    return {'min_q': torch.zeros(2)}\n",
        ":9, class Mine",
        "'min_q' in what `estimates` returns must have the shape (S, batch), here",
    ),
    **{
        f"state {value}": (
            "def state(self):\n"
            "    import collections, numpy\n"
            f"    return super().state() | {{'more': {{'h': [{value}]}}}}\n",
            ":9, class Mine",
            f"'more.h.0' in what `state` returns {reason}",
        )
        for value, reason in {
            "numpy.float64(1)": "is a numpy.float64, which a checkpoint cannot hold",
            "collections.deque()": "is a collections.deque, which",
            "{7}": "is a builtins.set, which",
            "torch.ones(3)": "must have a leading axis of a multiple of S, here 2, not the shape (3,)",
        }.items()
    },
    "groups": ("def trained(self):\n    return 7\n", ":9, class Mine", "AttributeError: 'int' object has no"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_mistake_in_the_code_is_one_sentence_and_its_run_goes_on(written, tmp_path, capsys, short, failure):
    agent, place, reason = FAILURES[failure]
    path, runs = written(an_idea(agent)), tmp_path / "runs"
    assert train(path, runs) == 3
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    log = runs / "logs" / "my_idea-alm-mine.traceback"
    (sentence,) = error
    assert sentence.startswith(
        f"error: alm/mine of the plugin {path} cannot go on (my_idea.py{place}: {reason}"
    )
    assert sentence.endswith(f"); the traceback is in {log}; correct the file and repeat the command.")
    assert "Traceback (most recent call last)" in log.read_text()
    assert not list(runs.glob("**/DONE")) and not list(runs.glob("**/FAILED"))


def test_a_traceback_that_cannot_be_written_hides_no_mistake(written, tmp_path, capsys, short):
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "logs").write_text("a file where a directory should be")
    assert train(written(an_idea(FAILURES["silent"][0])), runs) == 3
    error = capsys.readouterr().err
    assert "(my_idea.py:12, in learn: AssertionError" in error
    assert f"the traceback could not be written to {runs / 'logs'}" in error


@pytest.mark.parametrize("mistake", ["learn", "at"])
def test_once_mended_the_same_command_trains(written, tmp_path, capsys, short, mistake):
    parts = {
        "learn": {"agent": "def learn(self, *a):\n    raise RuntimeError('no')\n"},
        "at": {"config": "@classmethod\ndef at(cls, scale, task):\n    raise RuntimeError('no')\n"},
    }
    runs = tmp_path / "runs"
    assert train(written(an_idea(**parts[mistake])), runs) == 3
    assert f"in {mistake}: RuntimeError: no" in capsys.readouterr().err
    assert train(written(an_idea()), runs) == 0
    assert len(list(runs.glob("alm/mine/Hopper/smoke/seed-*/DONE"))) == 2
    out = capsys.readouterr().out
    assert f"they are in {runs}, which compare reads with --scale smoke and --runs-dir" in out


def test_a_plugin_without_its_variant_is_warned_of(written, tmp_path, capsys, short):
    path = written(an_idea())
    assert train(path, tmp_path / "runs", "--variant", "base", "--until", "40") == 0
    (warning,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: "))
    assert warning == (
        f"warning: alm/base is the suite's own, so the plugin {path} changes nothing; it declares alm/mine: "
        "choose with --algorithm and --variant."
    )


def test_a_stored_name_is_no_variant_to_train(written, tmp_path, capsys):
    assert train(written(an_idea()), tmp_path / "runs", "--variant", "mine[horizon=7]+bf16") == 2
    assert capsys.readouterr().err == (
        "error: --variant takes a name without settings and precision, not 'mine[horizon=7]+bf16': write "
        "--variant mine --set horizon=7 --precision bf16 instead.\n"
    )


def test_a_mistake_of_the_suites_own_variant_keeps_its_traceback(written, tmp_path, short, monkeypatch):
    monkeypatch.setattr(ALM, "learn", lambda self, replay, step: {}["x"])
    with pytest.raises(KeyError):
        train(written(an_idea()), tmp_path / "runs", "--variant", "no-kl")


def test_a_plugin_can_be_stopped(written, tmp_path, capsys, short):
    """A request to stop is none of its mistakes, wherever it arrives."""
    for name, code in ((signal.SIGTERM, 130), (signal.SIGINT, 130)):
        text = an_idea(
            f"def learn(self, *a):\n    import os\n    os.kill(os.getpid(), {int(name)})\n    return {{}}\n"
        )
        assert train(written(text), tmp_path / name.name) == code
        assert "stopped at step 21; the same command goes on" in capsys.readouterr().err
    text = an_idea("def learn(self, *a):\n    raise KeyboardInterrupt\n")
    assert train(written(text), tmp_path / "at-once") == 130


def test_errors_of_the_system_are_none_of_the_plugins(written, tmp_path, short, capsys, monkeypatch):
    def full(path, write, permit):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(checkpoint, "write_atomically", full)
    assert train(written(an_idea()), tmp_path / "runs") == 2
    assert "cannot read or write" in capsys.readouterr().err


DECLARATIONS = [
    ("", "", ", changes={'horizon': 0}", ["horizon of Config must be a whole number of at least 1, not 0"]),
    ("", "", ", changes={'batch_size': 0}", ["batch_size", "at least 1, not 0"]),
    ("", "", ", changes={'hidden_size': -4}", ["hidden_size", "at least 1, not -4"]),
    ("", "", ", changes={'horizon': 3.0}", ["horizon", "a whole number of at least 1, not 3.0"]),
    ("", "", ", changes={'horizon': True}", ["horizon", "a whole number of at least 1, not True"]),
    ("", "", ", changes={'horizon': 'seven'}", ["horizon", "not 'seven'"]),
    ("", "", ", changes={'learning_rate': None}", ["learning_rate", "a finite number above 0, not None"]),
    ("", "", ", changes={'discount': 1.5}", ["discount", "a finite number between 0 and 1, not 1.5"]),
    ("", "", ", changes={'weight': float('nan')}", ["weight", "a finite number, not nan"]),
    ("", "", ", changes={'kl_term': 0}", ["kl_term", "True or False, not 0"]),
    (
        "",
        "widths: tuple[int, ...] = (1, 'a')\n",
        "",
        ["widths", "a tuple of (a whole number, …), not (1, 'a')"],
    ),
    (
        "",
        "odd: object = frozenset()\n",
        "",
        ["setting odd", "cannot be stored", "frozenset", "numbers, text"],
    ),
    (
        "",
        "odd: object = __import__('threading').Lock()\n",
        "",
        ["setting odd", "cannot be stored (a lock is"],
    ),
    ("", "odd: object = __import__('math')\n", "", ["setting odd", "cannot be stored (a module is no JSON)"]),
    ("", "odd: str = '\\ud800'\n", "", ["setting odd", "cannot be stored", "surrogates not allowed"]),
    ("", "", ", changes=['horizon']", ["line 11", "changes of the variant 'mine' must be settings by their"]),
    ("", "", ", changes={7: 7}", ["line 11", "changes of the variant 'mine'"]),
    ("", "", ", paper_steps=0", ["line 11", "paper_steps of the variant 'mine'", "at least 1, not 0"]),
    ("", "", ", paper_steps=2.5", ["line 11", "paper_steps", "not 2.5"]),
    ("", "", ", paper_steps=7", ["would end after 0 steps, within its warm-up of 20"]),
    (
        "def actor_loss(self, state):\n    pass\n",
        "",
        "",
        [":11", "takes (self, state), but", "noise, policy"],
    ),
    ("def __init__(self):\n    pass\n", "", "", ["`__init__` of Mine", ":11", "task, config, seeds"]),
    (
        "def __init__(self, task, config, seeds):\n    super().__init__(task, config, seeds)\n",
        "",
        "",
        [
            "`__init__` of Mine (my_idea.py:11)",
            "(self, task, config, seeds)",
            "(task, config, seeds, device='cpu')",
        ],
    ),
    (
        "def __init__(self, task, config, seeds, device='cpu', *, weight):\n    pass\n",
        "",
        "",
        ["`__init__` of Mine", "weight"],
    ),
    ("def noise_shapes(self):\n    return {}\n", "", "", ["`noise_shapes` of Mine", "@cached_property"]),
    ("act = 7\n", "", "", ["`act` of Mine must be a method", "not 7"]),
    ("", "def at(cls, scale, task):\n    pass\n", "", ["`at` of its configuration Config", "class method"]),
    ("", "@classmethod\ndef at(cls):\n    pass\n", "", ["`at`", "scale and the name of a task"]),
    (
        "",
        "@classmethod\ndef at(cls, scale, task):\n    pass\n",
        "",
        ["Config.at must return a Config, not None"],
    ),
]


@pytest.mark.parametrize(("agent", "config", "more", "words"), DECLARATIONS)
def test_declarations_that_cannot_be_trained(written, tmp_path, capsys, short, agent, config, more, words):
    assert train(written(an_idea(agent, config, more)), tmp_path / "runs") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "my_idea.py" in error
    assert all(word in error for word in words), error
    assert not (tmp_path / "runs").exists()


# What has no effect, and what the warning says.
WITHOUT_EFFECT = {
    "misspelt": (
        "def actor_los(self, *a):\n    pass\n",
        "",
        "`actor_los` of Mine (my_idea.py:11) replaces nothing: did",
    ),
    "untyped": ("", "horizon = 5\n", "`horizon` of Config is no setting without a type"),
}


@pytest.mark.parametrize("kind", WITHOUT_EFFECT)
def test_declarations_without_effect_are_warned_of(written, recwarn, kind):
    agent, config, words = WITHOUT_EFFECT[kind]
    load_plugin(written(an_idea(agent, config)))
    (warning,) = recwarn
    assert words in str(warning.message)


def test_settings_without_a_decorator_are_warned_of(written, recwarn):
    load_plugin(written(an_idea().replace("@dataclass(frozen=True)\n", "")))
    (warning,) = recwarn
    assert "Config adds no settings without @dataclass(frozen=True)" in str(warning.message)


def test_what_has_an_effect_is_not_warned_of(written, recwarn):
    """Helpers, also one beside the method that is named almost like it, constants, and settings."""
    agent = "".join(f"def {name}(self, *a):\n    pass\n" for name in ("actor_loss", "actor_loss_2", "mine"))
    config = "_CONSTANT = 7\nbatch_size: int = 8\n@property\ndef twice(self):\n    return 2 * self.weight\n"
    load_plugin(written(an_idea(agent, config)))
    assert not [str(warning.message) for warning in recwarn]


def test_an_heir_keeps_to_the_class_of_the_suite_not_to_that_of_its_own_author(written):
    text = HEAD + (
        "from alm.agent import ALM\n"
        "class Mine(ALM):\n"
        "    def idea(self, z): pass\n"
        "    def act(self, *a): return super().act(*a)\n"
        "class Heir(Mine):\n"
        "    def {}: pass\n"
        "VARIANTS = {{'alm': [Variant('mine', 'an idea', agent=Heir)]}}\n"
    )
    assert load_plugin(written(text.format("idea(self, z, more)"))).provides("alm", "mine")
    with pytest.raises(ValueError, match=r"`act` of Heir .* takes \(self\), but must accept .* of ALM"):
        load_plugin(written(text.format("act(self)")))


@pytest.mark.parametrize(
    "name", ["7", "''", "'base+bf16'", "'x[horizon=7]'", "'a=b'", "'../up'", "'a b'", "'x' * 61"]
)
def test_names_that_would_be_taken_for_something_else(written, tmp_path, capsys, name):
    for text in (
        f"{HEAD}VARIANTS = {{'alm': [Variant({name}, 'y')]}}\n",
        f"from reproduce.lab.algorithms import ALGORITHMS as known\nALGORITHMS = {{{name}: known['td3']}}\n",
    ):
        assert train(written(text), tmp_path / "runs") == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "my_idea.py" in error
        assert "must be a word of at most 60 letters, digits and ._()-" in error


def test_an_algorithm_of_the_wrong_kind(written, tmp_path, capsys):
    head = "from reproduce.lab.algorithms import Algorithm; from alm.variants import Variant\n"
    for arguments, words in (
        ("7, 's', dict, dict", "title of an algorithm must be text, not 7"),
        ("'T', 7, dict, dict", "summary of the algorithm 'T' must be text, not 7"),
        ("'T', 's', 7, dict", "agent of the algorithm 'T' must be a class or its 'module:class', not 7"),
        (
            "'T', 's', dict, None",
            "config of the algorithm 'T' must be a class or its 'module:class', not None",
        ),
        ("'T', 's', dict, dict, page=7", "page of the algorithm 'T' must be text, not 7"),
        (
            "'T', 's', dict, dict, variants=[1]",
            "variants of the algorithm 'T' must be Variant by their own names",
        ),
        (
            "'T', 's', dict, dict, variants={'base': Variant('base', 'a faster one')}",
            "No variant of the algorithm 'T' may be called 'base'",
        ),
    ):
        text = f"{head}ALGORITHMS = {{'mine': Algorithm({arguments})}}\n"
        assert train(written(text), tmp_path / "runs") == 2
        error = capsys.readouterr().err
        assert words in error and "line 2" in error


def test_stored_runs_are_read_without_their_plugin(tmp_path, make_run, capsys):
    store = Store(tmp_path / "store")
    count = {"final": {"final/return": 2.0, "cost/wall_h": 0.1}, "scale": "laptop"}
    extra = {"time/evaluation_s": [1.0], "time/update_ms": [1.0]}
    for names in ({"algorithm": "my-td3"}, {"variant": "my-idea"}, {}):
        store.write(make_run({5000: 1.0}, extra=extra, **count, **names))
    places = ["--store", str(store.root)]
    assert main(["runs", "--all", "--runs-dir", str(tmp_path / "runs"), *places]) == 0
    assert "my-td3/base" in capsys.readouterr().out
    assert main(["table1", "--out", str(tmp_path / "tables"), *places]) == 0
    assert main(["plan", "figure3", *places]) == 0
    assert Figure("curves", store=store.root, out=tmp_path / "figures").run() == 0
    sides = ["my-td3", "alm/my-idea", "--task", "HalfCheetah"]
    assert (
        main(["compare", *sides, "--out", str(tmp_path), "--runs-dir", str(tmp_path / "runs"), *places]) == 0
    )
