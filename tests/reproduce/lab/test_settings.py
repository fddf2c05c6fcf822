"""Settings from the command line: one identity for all spellings, one sentence for whatever is wrong."""

import json
import shlex
from dataclasses import asdict, dataclass, field, replace

import pandas as pd
import pytest

from reproduce.cli import main
from reproduce.commands.figures import Report
from reproduce.lab.algorithms import run_length
from reproduce.lab.missing import Missing
from reproduce.lab.resolved_runs import ResolvedRuns
from reproduce.lab.run_directories import directories_under
from reproduce.lab.settings import canonical_variant, with_settings
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store
from reproduce.tracking.records import record_of


def plan(*settings, algorithm="alm", variant="base", scale="laptop", **more):
    return ResolvedRuns.of(algorithm, variant, "Hopper", (0,), scale, settings=settings, **more)


def identity(*settings, **more):
    one = plan(*settings, **more)
    return one.specs[0].variant, one.record(one.specs[0])["digest"]


@pytest.mark.parametrize(
    ("spellings", "variant"),
    [
        (
            [("horizon=7",), ("horizon=7.0",), (" horizon = 0.7e1 ",), ("horizon=7", "horizon=07")],
            "[horizon=7]",
        ),
        ([("trace=1",), ("trace=1.0",), ("trace=1e0",)], "[trace=1]"),
        (
            [("learning_rate=3e-4", "horizon=7"), ("horizon=7", "learning_rate=0.00030")],
            "[horizon=7,learning_rate=0.0003]",
        ),
        ([("learning_rate=1e-05",), ("learning_rate=0.00001",)], "[learning_rate=1e-5]"),
        ([("max_grad_norm=1e20",), ("max_grad_norm=1e+20",)], "[max_grad_norm=1e20]"),
        ([("discount=0",), ("discount=-0.0",)], "[discount=0]"),
        ([("exploration_steps=1e3",), ("exploration_steps=1_000",)], "[exploration_steps=1000]"),
        ([("kl_term=false",), ("kl_term=False",)], "[kl_term=false]"),
        # What the variant has anyway: at laptop scale ALM's hidden layers have 128 units.
        ([(), ("horizon=3",), ("kl_term=true", "learning_rate=1e-4", "hidden_size=128")], ""),
        ([("horizon=3", "trace=0.5"), ("trace=0.50",)], "[trace=0.5]"),
    ],
)
def test_spellings_of_the_same_settings_are_one_run(spellings, variant):
    (found,) = {identity(*spelling) for spelling in spellings}
    assert found[0] == f"base{variant}"
    (in_bf16,) = {identity(*spelling, precision="bf16") for spelling in spellings}
    assert in_bf16[0] == f"base{variant}+bf16" and in_bf16[1] != found[1]


def test_different_settings_are_different_runs():
    settings = [(), ("horizon=7",), ("horizon=8",), ("horizon=7", "trace=0.5"), ("hidden_size=512",)]
    assert len({identity(*one) for one in settings}) == len(settings)
    # The width at laptop scale is not that at paper scale.
    assert identity("hidden_size=256", scale="paper")[0] == "base[hidden_size=256]"


def test_the_configuration_holds_what_was_set():
    before, after = plan(), plan("horizon=7", "learning_rate=1", "kl_term=false")
    assert after.agent_config == replace(before.agent_config, horizon=7, learning_rate=1.0, kl_term=False)
    assert isinstance(after.agent_config.learning_rate, float)
    assert after.config["training"] == before.config["training"]
    assert after.config["agent"] == asdict(after.agent_config)
    assert plan("horizon=7", variant="no-kl").agent_config == replace(after.agent_config, learning_rate=1e-4)


@pytest.mark.parametrize(
    ("algorithm", "setting", "value", "name"),
    [
        ("redq", "target_critics=none", None, "target_critics=none"),
        ("redq", "target_critics=3", 3, "target_critics=3"),
        ("redq", "target_entropy=-2.50", -2.5, "target_entropy=-2.5"),
        ("svg", "hidden_sizes=40,20", (40, 20), "hidden_sizes=(40,20)"),
        ("svg", "hidden_sizes=(40, 2e1)", (40, 20), "hidden_sizes=(40,20)"),
        ("mbpo", "rollout_schedule=20,150,1,9", (20, 150, 1, 9), "rollout_schedule=(20,150,1,9)"),
    ],
)
def test_other_types_and_algorithms(algorithm, setting, value, name):
    one = plan(setting, algorithm=algorithm)
    assert getattr(one.agent_config, setting.partition("=")[0]) == value
    assert one.specs[0].variant == f"base[{name}]"
    assert identity(name, algorithm=algorithm) == identity(setting, algorithm=algorithm)


def test_a_setting_of_a_part_has_a_dotted_name():
    one = plan("model.hidden_size=60", "rollouts=10", algorithm="mbpo")
    assert one.agent_config.model == replace(plan(algorithm="mbpo").agent_config.model, hidden_size=60)
    assert one.specs[0].variant == "base[model.hidden_size=60,rollouts=10]"


@dataclass(frozen=True)
class Own:
    """Types that no configuration of the suite has."""

    kind: str = "plain"
    note: str | None = None
    widths: tuple[int, ...] = ()
    table: dict | None = None
    total: int = field(init=False, default=0)


def test_words_and_tuples_of_any_length():
    own, settings = with_settings(Own(), ["widths=8,9,10", "kind=odd-1.0", "note=yes"])
    assert own == Own("odd-1.0", "yes", (8, 9, 10))
    assert settings == ("kind=odd-1.0", "note=yes", "widths=(8,9,10)")
    assert with_settings(own, ["widths=()", "note=none"]) == (Own("odd-1.0"), ("note=none", "widths=()"))
    RunSpec(algorithm="own", variant="base[note=none,widths=()]", task="Hopper", seed=0, scale="smoke")
    for bad in ("kind=../up", "kind=a b", "kind=a,b=c", "kind=", "table=1", "total=1"):
        with pytest.raises(ValueError, match="kind|table|no setting 'total'"):
            with_settings(Own(), [bad])


BAD = [
    (["horizon"], ["'horizon' has no value", "field=value"]),
    (["horizn=7"], ["ALMConfig has no setting 'horizn' (did you mean 'horizon'?)", "kl_term"]),
    (["HORIZON=7"], ["did you mean 'horizon'"]),
    (["=7"], ["no setting ''"]),
    (["horizon="], ["horizon of ALMConfig must be a whole number, not ''"]),
    (["horizon=seven"], ["must be a whole number, not 'seven'"]),
    (["horizon=7.5"], ["must be a whole number, not '7.5'"]),
    (["horizon=1e999999999"], ["must be a whole number"]),
    (["horizon=nan"], ["must be a whole number"]),
    (["horizon=true"], ["must be a whole number, not 'true'"]),
    (["horizon=none"], ["must be a whole number, not 'none'"]),
    (["horizon=7=8"], ["must be a whole number, not '7=8'"]),
    (["learning_rate=fast"], ["must be a finite number, not 'fast'"]),
    (["learning_rate=inf"], ["must be a finite number, not 'inf'"]),
    (["learning_rate=nan"], ["must be a finite number, not 'nan'"]),
    (["kl_term=0"], ["must be true or false, not '0'"]),
    (["horizon=7", "horizon=8"], ["horizon is given twice, as 7 and as 8"]),
    (["horizon=7", "horizon=3"], ["horizon is given twice, as 7 and as 3"]),
    ([f"{name}=0.123456789012" for name in ("trace", "discount", "target_rate", "learning_rate")], ["long"]),
]
OUT_OF_RANGE = [
    (["horizon=0"], ["horizon of ALMConfig must be a whole number of at least 1, not 0"]),
    (["batch_size=-1"], ["batch_size", "at least 1, not -1"]),
    (["latent_size=0"], ["latent_size", "at least 1, not 0"]),
    (["warmup_steps=-1"], ["warmup_steps", "at least 0, not -1"]),
    (["learning_rate=0"], ["learning_rate", "a finite number above 0, not 0.0"]),
    (["discount=1.01"], ["discount", "a finite number between 0 and 1, not 1.01"]),
    (["exploration_steps=0"], ["exploration_steps", "at least 1, not 0"]),
    (["replay_capacity=3"], ["replay_capacity=3 is not above horizon=3, the length of replayed sequences"]),
    (["warmup_steps=600"], ["would end after 600 steps, within its warm-up of 600"]),
]
BAD_OF_OTHERS = [
    ("redq", ["target_critics=11"], ["target_critics=11 are more than all critics=10"]),
    ("redq", ["target_critics=0"], ["a whole number of at least 1 or None, not 0"]),
    ("mbpo", ["model.elites=8"], ["elites=8 are more than all members=7"]),
    ("mbpo", ["model.holdout_share=1"], ["model.holdout_share", "between 0 and 1, neither of them, not 1.0"]),
    ("mbpo", ["retrain_every=300"], ["retrain_every=300 does not divide an epoch's 1000 steps"]),
    (
        "mbpo",
        ["rollout_schedule=20,20,1,1"],
        ["rollout_schedule=(20, 20, 1, 1) does not begin before it ends"],
    ),
    ("mbpo", ["rollout_schedule=20,150,15,1"], ["(20, 150, 15, 1) makes rollouts shorter"]),
    ("mbpo", ["rollout_schedule=0,20,0,1"], ["rollout_schedule", "a whole number of at least 1)"]),
    ("svg", ["hidden_sizes=40,0"], ["hidden_sizes", "not (40, 0)"]),
    ("redq", ["target_critics=two"], ["must be a whole number or none, not 'two'"]),
    ("svg", ["hidden_sizes=40"], ["must be 2 values with commas between them, not '40'"]),
    ("svg", ["hidden_sizes=40,x"], ["must be a whole number, not '40,x'"]),
    ("sac-svg2", ["horizon=2"], ["a whole number of at least 3, not 2"]),
    ("sac-svg3", ["horizon=2"], ["a whole number of at least 3, not 2"]),
    ("sac-svg2", ["replay_capacity=2"], ["replay_capacity=2 is not above horizon=3"]),
    ("sac-svg2", ["warmup_steps=2"], ["warmup_steps=2 is below horizon=3, the length of replayed sequences"]),
    ("alm", ["warmup_steps=0"], ["warmup_steps=0 is below horizon=3, the length of replayed sequences"]),
    ("alm", ["kl_term=false", "reward_term=false", "value_term=false"], ["nothing trains encoder and model"]),
    ("alm", ["kl_term=false", "value_term=false", "horizon=1"], ["nothing trains the model while"]),
    ("alm", ["batch_size=1"], ["batch_size=1 leaves no imagined half for the classifier"]),
    ("alm/joint", ["batch_size=1"], ["batch_size=1 leaves no advantage"]),
    ("alm/horizon-schedule", ["kl_term=false", "value_term=false"], ["nothing trains the model while"]),
    (
        "alm/horizon-schedule",
        ["kl_term=false", "reward_term=false", "value_term=false"],
        ["nothing trains encoder and model"],
    ),
    ("sac-svg3", ["replay_capacity=4"], ["replay_capacity=4 is not above horizon=4"]),
    ("alm/joint", ["replay_capacity=3"], ["replay_capacity=3 is not above horizon=3"]),
    ("alm/time-discount", ["kl_term=false"], ["alm/time-discount does not read the setting kl_term"]),
    ("alm/mnm", ["latent_size=7"], ["alm/mnm does not read the setting latent_size, or derives it"]),
    ("alm/joint", ["classifier_coefficient=0.1"], ["does not read the setting classifier_coefficient"]),
    ("alm/joint", ["exploration_end=0"], ["exploration_end", "above 0, not 0.0"]),
    ("alm/joint", ["fresh_transitions=2"], ["fresh_transitions=2 hold no sequence of horizon=3"]),
    ("alm/horizon-schedule", ["steps_per_horizon=0"], ["steps_per_horizon", "at least 1, not 0"]),
    ("alm/time-discount", ["temporal_discount=-1"], ["temporal_discount", "between 0 and 1, not -1.0"]),
    ("mbpo", ["model=1"], ["no setting 'model'", "model.hidden_size"]),
    (
        "slbo",
        ["replay_capacity=199", "stage_steps=200"],
        ["replay_capacity=199 holds no stage of stage_steps=200"],
    ),
    (
        "slbo",
        ["stage_steps=601"],
        ["would end after 600 steps, before its first update at 601: nothing would be learned"],
    ),
    ("slbo", ["warmup_steps=401", "stage_steps=200"], ["before its first update at 601"]),
    ("slbo", ["warmup_steps=600"], ["within its warm-up of 600"]),
]


@pytest.mark.parametrize(
    ("algorithm", "settings", "words"), [("alm", *one) for one in BAD + OUT_OF_RANGE] + BAD_OF_OTHERS
)
def test_bad_settings_are_one_sentence(tmp_path, capsys, algorithm, settings, words):
    options = [option for setting in settings for option in ("--set", setting)]
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    algorithm, _, variant = algorithm.partition("/")
    command = [
        "train",
        "--algorithm",
        algorithm,
        "--variant",
        variant or "base",
        "--task",
        "mbbl/Hopper-ET" if algorithm == "slbo" else "Hopper",
        "--scale",
        "smoke",
        "--no-track",
    ]
    assert main([*command, *places, *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert all(word in error for word in words)
    assert not (tmp_path / "runs").exists()


def test_a_name_is_found_however_its_settings_are_written():
    name = "base[horizon=7,learning_rate=0.0003,widths=(8,9)]+bf16"
    assert canonical_variant("base[widths=(8.0,9),learning_rate=3e-4,horizon=07]+bf16") == name
    assert canonical_variant(name) == name
    for other in ("base", "no-kl", "my-idea+bf16", "base[kind=odd,term=false]"):
        assert canonical_variant(other) == other


@pytest.mark.parametrize(
    "variant",
    ["base[horizon 7]", "base[horizon]", "base[]", "base[horizon=7,horizon=8]", "base[horizon=7]x"],
)
def test_what_is_no_variant_is_not_taken_for_another(variant):
    with pytest.raises(ValueError, match="is no variant: write a name"):
        canonical_variant(variant)


def test_a_run_of_a_variant_with_settings_is_as_long_as_the_variants(make_run):
    def length(variant):
        return run_length(RunSpec(algorithm="alm", variant=variant, task="Hopper", seed=0, scale="paper"))

    assert length("million[horizon=7]") == length("million") == length("million[horizon=7]+bf16") == 1_000_000
    assert length("base[horizon=7]") == length("base") == 300_000


def test_the_command_of_a_missing_run_gives_it_again():
    spec = RunSpec(
        algorithm="svg", variant="base[hidden_sizes=(40,20)]+bf16", task="Hopper", seed=0, scale="laptop"
    )
    command = shlex.split(Missing((spec,), (0,), run_length(spec)).command)
    assert command[:7] == [
        "train",
        "--algorithm",
        "svg",
        "--variant",
        "base",
        "--set",
        "hidden_sizes=(40,20)",
    ]
    assert command[7:9] == ["--precision", "bf16"]
    again = ResolvedRuns.of("svg", "base", "Hopper", (0,), "laptop", None, command[8], (command[6],))
    assert again.specs == (spec,)


def test_train_and_compare(tmp_path, capsys):
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store"), "--scale", "smoke"]
    train = ["train", "--algorithm", "td3-ours", "--task", "Hopper", "--no-track", *places]
    assert main(train) == 0
    assert main([*train, "--set", "learning_rate=3e-4", "--set", "discount=0.5"]) == 0
    name = "base[discount=0.5,learning_rate=0.0003]"
    directories = list(directories_under(tmp_path / "runs").values())
    assert [d.path.relative_to(tmp_path / "runs" / "td3-ours").parts[0] for d in directories] == [
        "base",
        name,
    ]
    record = directories[1].read_json("config.json")
    assert record["spec"]["variant"] == name
    assert (record["config"]["agent"]["learning_rate"], record["config"]["agent"]["discount"]) == (3e-4, 0.5)
    capsys.readouterr()
    assert main([*train, "--set", "discount=0.50", "--set", "learning_rate=0.00030"]) == 0
    assert "has ended already" in capsys.readouterr().out

    # Smoke runs are not stored.
    (tmp_path / "store").mkdir()
    out = ["--task", "Hopper", "--out", str(tmp_path / "out"), *places]
    for spelling in (name, "base[learning_rate=3e-4,discount=0.50]"):
        assert main(["compare", f"td3-ours/{spelling}", "td3-ours", *out]) == 0
        assert f"td3-ours/{name}" in "".join(capsys.readouterr().out.split())
    stem = f"td3-ours_{name}-vs-td3-ours-Hopper-smoke"
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {
        f"{stem}{end}" for end in (".png", ".pdf", ".csv")
    }
    assert set(pd.read_csv(tmp_path / "out" / f"{stem}.csv")["algorithm"]) == {f"td3-ours/{name}", "td3-ours"}
    assert main(["compare", "td3-ours/base[horizon=3]", "td3-ours", *out]) == 2
    assert "--variant base --set horizon=3 --task Hopper" in capsys.readouterr().err


@pytest.mark.programs
def test_everything_that_reads_the_store_shows_such_runs(tmp_path, capsys, make_run, monkeypatch):
    store, variant = Store(tmp_path / "store"), "million[horizon=7,kl_term=false]+bf16"
    extra = {"time/evaluation_s": [1.0, 1.0], "time/update_ms": [6.0, 6.0]}
    final = {"final/return": 2.0, "cost/wall_h": 0.1}
    agent = plan().config["agent"]
    for name in (variant, "base"):
        options = {"config": {"agent": agent}, "final": final, "extra": extra}
        run = make_run({5000: 1.0, 6000: 2.0}, variant=name, scale="laptop", **options)
        store.write(run)
    assert [one.spec.variant for one in store.runs(variant=variant)] == [variant]
    assert store.get(run.spec) is not None
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["runs", "--all", "--runs-dir", str(tmp_path), "--store", str(store.root)]) == 0
    assert f"alm/{variant} HalfCheetah laptop seed 0" in " ".join(capsys.readouterr().out.split())
    assert main(["plan", "figure3", "--store", str(store.root)]) == 0
    assert main(["claims", "--scale", "laptop", "--store", str(store.root), "--out", str(tmp_path)]) == 0
    assert Report(store=store.root, out=tmp_path / "report.html").run() == 0
    assert f'data-variant="{variant}"' in (tmp_path / "report.html").read_text()


def test_mlflow_calls_such_a_run_by_its_name():
    one = plan("horizon=7", "learning_rate=3e-4")
    record = record_of(json.loads(json.dumps(one.record(one.specs[0]))), {})
    assert record.name == "ALM horizon=7 learning_rate=0.0003 s0"
    assert record.tags["variant"] == record.params["variant"] == "base[horizon=7,learning_rate=0.0003]"
    assert record.tags["role"] == "own" and record.params["agent.horizon"] == "7"


def test_a_plugins_variant_takes_settings(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "from alm.variants import Variant\n"
        'VARIANTS = {"td3-ours": [Variant("slow", "slower", changes={"learning_rate": 5e-5})]}\n'
    )
    places = ["--runs-dir", str(tmp_path / "runs"), "--plugin", str(tmp_path / "mine.py")]
    command = [
        "train",
        "--algorithm",
        "td3-ours",
        "--variant",
        "slow",
        "--task",
        "Hopper",
        "--scale",
        "smoke",
    ]
    assert (
        main([*command, "--no-track", *places, "--set", "discount=0.9", "--set", "learning_rate=5e-5"]) == 0
    )
    assert (
        tmp_path / "runs" / "td3-ours" / "slow[discount=0.9]" / "Hopper" / "smoke" / "seed-0" / "DONE"
    ).exists()
