"""Policies in the store: which are kept, found, loaded and played; what is refused, in one sentence each."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import reproduce
from alm.tasks import make
from alm.training.policies import PolicyFileError, read_policy, read_record, write_policy
from alm.training.run_directory import RunDirectory
from alm.training.streams import Purpose, environment_seed
from reproduce.cli import main
from reproduce.exhibits import gallery as shown_gallery
from reproduce.lab import gallery, playing, policies
from reproduce.lab.archive import archive_policies, archive_run
from reproduce.lab.places import CODE
from reproduce.lab.playing import Played, play
from reproduce.lab.plugins import load_plugin
from reproduce.lab.policies import PolicyError, find_policy, policies_stored, stored_policy
from reproduce.lab.run_directories import UnreadableRunError, directories_under
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store, StoreWarning

TD3 = {"algorithm": "td3", "task": "Hopper"}
SPEC = RunSpec(**TD3, seed=0, scale="smoke")
LAST = Path("td3/base/Hopper/smoke/seed-0.last.safetensors")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Smoke runs of TD3, seeds 0 and 1, each trained alone; their records are stored, their policies not."""
    folder = tmp_path_factory.mktemp("policies")
    for seed in ("0", "1"):
        command = ["train", "--algorithm", "td3", "--task", "Hopper", "--scale", "smoke", "--seeds", seed]
        where = ["--runs-dir", str(folder / "runs"), "--store", str(folder / "store"), "--no-track"]
        assert main([*command, *where]) == 0
    for directory in directories_under(folder / "runs").values():
        archive_run(directory, Store(folder / "store"))
    return folder


@pytest.fixture
def here(trained, tmp_path):
    """A copy that a test may change: ``runs`` and ``store``."""
    for name in ("runs", "store"):
        shutil.copytree(trained / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def store(here):
    """The store of the copy with the policies of seed 0 in it."""
    assert len(archive_policies(directory(here), Store(here / "store"))) == 2
    return Store(here / "store")


def directory(here, seed=0):
    return RunDirectory(here / "runs" / "td3/base/Hopper/smoke" / f"seed-{seed}")


def rewrite_metrics(here, lines):
    """Give seed 0 other metrics, committed as they are."""
    run = directory(here)
    run.metrics_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run.commit_metrics(run.metrics_path.stat().st_size)


def asked(here, *options):
    """The arguments behind a command's name."""
    return [*options, "--runs-dir", str(here / "runs"), "--store", str(here / "store")]


def test_a_loaded_policy_acts_as_it_was_evaluated(here, store, monkeypatch):
    monkeypatch.setattr("reproduce.lab.store.OWN", here / "store")
    monkeypatch.setattr("reproduce.lab.store.SHIPPED", here / "none")
    actor = reproduce.load_policy("td3", "Hopper", scale="smoke")
    assert (actor.policy.kind, actor.policy.spec) == ("last", SPEC)
    environment = make("Hopper")
    seed = environment_seed(SPEC.seed, Purpose.EVALUATION, actor.policy.step, 0)
    (observation, _), total, ended = environment.reset(seed=seed), 0.0, False
    while not ended:
        action = actor.act(observation)
        observation, reward, terminated, truncated, _ = environment.step(action)
        total, ended = total + reward, terminated or truncated
    assert total == pytest.approx(actor.policy.returns[0], rel=1e-4)
    assert action.shape == (3,) and action.dtype == np.float32
    batch = actor.act(np.stack([observation, observation, 0 * observation]))
    assert batch.shape == (3, 3) and np.allclose(batch[0], actor.act(observation), atol=1e-6)
    with pytest.raises(ValueError, match="there is no best policy of td3/base on Ant"):
        reproduce.load_policy("td3", "Ant", kind="best")


def test_last_and_best_of_one_seed_are_stored(here, store):
    run = store.get(SPEC)
    means = run.evaluations.set_index("step")["eval/return"]
    for kind, step in (("last", run.last_step), ("best", int(means.idxmax()))):
        policy = stored_policy(policies.policy_path(store, SPEC, kind), SPEC, kind)
        assert (policy.step, policy.source) == (step, "evaluation")
        assert np.mean(policy.returns) == pytest.approx(means[step])
        assert (policy.digest, policy.protocol) == (run.digest, run.protocol)
        assert policy.commit == run.provenance["git_sha"]
    assert archive_policies(directory(here), store) == []  # nothing is new
    assert archive_policies(directory(here, seed=1), store) == []  # one seed is kept
    assert [(spec.seed, kind) for spec, kind in policies_stored(store)] == [(0, "best"), (0, "last")]
    assert [run.spec.seed for run in store.runs()] == [0, 1]  # policies are no runs


def test_the_command_archives_policies_too(here, monkeypatch, capsys):
    """Smoke runs are not stored by commands, so this one is of another scale."""
    found = {replace(SPEC, scale="laptop"): directory(here)}
    monkeypatch.setattr("reproduce.commands.stored.directories_under", lambda _: found)
    monkeypatch.setattr("reproduce.lab.archive.archive_run", lambda *_: None)
    monkeypatch.setattr("reproduce.lab.archive.archive_policies", lambda one, _: [one.path / "policy"])
    assert main(["archive", *asked(here)]) == 0
    said = capsys.readouterr().out
    assert f"stored {directory(here).path / 'policy'}" in said and "nothing new" not in said


def test_a_policy_plays_its_evaluation_again_exactly(here, store):
    policy = find_policy(store, here / "nowhere", **TD3)
    assert policy.path == store.root / LAST
    played = play(policy, episodes=3)
    assert played.repeated == policy.returns
    assert len(played.returns) == 3 and not set(played.returns) & set(policy.returns)
    assert play(policy, episodes=3) == played


def test_no_new_episode_is_played_twice(here, store, monkeypatch):
    """More than are played at once take further numbers."""
    monkeypatch.setattr(playing, "_TOGETHER", 2)
    policy = find_policy(store, here / "nowhere", **TD3)
    assert len(set(play(policy, episodes=5).returns)) == 5


def test_the_largest_scale_comes_first(here, store):
    record, state = read_policy(store.root / LAST)
    larger = replace(SPEC, scale="laptop", seed=1)
    path = policies.policy_path(store, larger, "best")
    path.parent.mkdir(parents=True)
    write_policy(path, state, record | {"spec": larger.to_dict(), "kind": "best"})
    assert find_policy(store, here / "nowhere", **TD3).path == path
    assert find_policy(store, here / "nowhere", **TD3, seed=0).path == store.root / LAST


@pytest.mark.parametrize("further", ["own", "shipped"])
def test_of_two_stores_the_policy_of_the_run_that_is_read_is_found(here, store, further):
    """Whatever the names of their directories: the run that is read is the one with more steps."""
    run, behind = store.get(SPEC), Store(here / "another")
    behind.write(replace(run, status="partial", evaluations=run.evaluations[:-1]))
    shutil.copy(store.root / LAST, behind.root / LAST)
    own, shipped = (store, behind) if further == "own" else (behind, store)
    both = Store(own.root, shipped.root)
    assert both.place(both.get(SPEC)) == store.path(SPEC)
    assert find_policy(both, here / "nowhere", **TD3, kind="last").path == store.root / LAST


def test_a_policy_whose_evaluation_is_not_recorded_yet_is_passed_over(here):
    """A policy is written before its line of the metrics, and the run may be killed between them."""
    lines = list(directory(here).metrics())
    *_, before, newest = (line["step"] for line in lines if "returns" in line)
    rewrite_metrics(here, [line for line in lines if line["step"] < newest])
    kept = directory(here).policies
    shutil.copy(kept.path(newest), kept.path(before))
    found = policies.policies_of(directory(here))
    assert {kind: policy.step for kind, policy in found.items()} == {"last": before, "best": before}


@pytest.mark.parametrize("kind", policies.KINDS)
def test_the_kind_that_was_asked_for(here, store, kind):
    for where in (store, Store(here / "empty")):
        assert find_policy(where, here / "runs", **TD3, kind=kind).kind == kind


@pytest.mark.parametrize(
    "other", [{"algorithm": "sac"}, {"variant": "million"}, {"task": "Ant"}, {"scale": "laptop"}]
)
def test_a_seed_of_another_algorithm_variant_task_or_scale_keeps_no_policy_out(here, other):
    store = Store(here / "store")
    path = policies.policy_path(store, replace(SPEC, seed=1, **other), "last")
    path.parent.mkdir(parents=True)
    path.touch()
    assert len(archive_policies(directory(here), store)) == 2


@pytest.mark.parametrize("change", [{"digest": "0" * 12}, {"step": 1}, {"returns": (0.0,)}])
def test_a_policy_belongs_to_the_run_that_has_its_evaluation(store, change):
    policy, run = stored_policy(store.root / LAST, SPEC, "last"), store.get(SPEC)
    assert policies.is_of(policy, run) and not policies.is_of(replace(policy, **change), run)


@pytest.mark.parametrize("dirty", [True, False])
def test_a_policy_says_whether_its_code_was_committed(here, dirty):
    provenance = directory(here).read_json("provenance.json")
    directory(here).write_json("provenance.json", provenance | {"git_dirty": dirty})
    assert [one.dirty for one in policies.policies_of(directory(here)).values()] == [dirty, dirty]


@pytest.mark.filterwarnings("error")
def test_new_returns_are_summed_up_with_an_interval(store):
    """Of 1, 2 and 3: the 0.975 quantile of t with two degrees of freedom, 4.303, times 1 / √3."""
    policy = stored_policy(store.root / LAST, SPEC, "last")
    assert (
        "3 new episodes: mean 2.0, 95 % interval -0.5 to 4.5; standard deviation 1.0, from 1.0 to 3.0"
        in Played(policy, (1.0, 2.0, 3.0), policy.returns).text()
    )
    assert "mean 2.0, 95 % interval 2.0 to 2.0;" in Played(policy, (2.0, 2.0), policy.returns).text()


def test_another_protocol_than_that_of_training_is_named(store):
    policy = stored_policy(store.root / LAST, SPEC, "last")
    assert "trained under" not in Played(policy, policy.returns, policy.returns).text()
    older = replace(policy, protocol="v2-older")
    words = f"trained under v2-older, played under {policy.protocol}"
    assert words in Played(older, policy.returns, policy.returns).text()


def test_evaluate_prints_both(here, store, capsys):
    assert main(["evaluate", "td3", "Hopper", "--episodes", "2", *asked(here)]) == 0
    text = capsys.readouterr().out
    assert "last policy of td3/base Hopper smoke seed 0" in text
    assert "2 new episodes: mean" in text and "stored evaluation at step" in text
    assert "largest difference of a return 0" in text and "too few to tell whether they agree" in text


def test_a_policy_is_found_where_it_was_trained(here):
    nothing = Store(here / "empty")
    policy = find_policy(nothing, here / "runs", **TD3, seed=1, kind="best")
    assert policy.spec.seed == 1 and policy.path.parent == directory(here, 1).policies.folder
    assert play(policy, 2).repeated == policy.returns


def test_a_mistake_of_a_plugin_at_play_is_one_sentence(tmp_path, capsys, monkeypatch):
    def play(policy, episodes, plugin):
        return {}["x"]

    plugin = tmp_path / "mine.py"
    plugin.write_text("from alm.variants import Variant\nVARIANTS = {'alm': [Variant('slow', 'an idea')]}\n")
    monkeypatch.setattr("reproduce.commands.policies.find_policy", lambda *_, **__: None)
    monkeypatch.setattr(playing, "play", play)
    for place in ("runs", "store"):
        (tmp_path / place).mkdir()
    which = ["--variant", "slow[horizon=7]", "--plugin", str(plugin)]
    assert main(["evaluate", "alm", "Hopper", *which, *asked(tmp_path)]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"error: alm/slow of the plugin {plugin} cannot go on (mine.py:2: KeyError: 'x'); "
    )


@pytest.mark.programs
def test_a_policy_of_ones_own_variant_needs_its_file(tmp_path, capsys):
    """And ALM, which draws representations as it acts, draws the same ones again."""
    plugin = tmp_path / "mine.py"
    declared = 'VARIANTS = {"alm": [Variant("slow", "a lower rate", changes={"learning_rate": 5e-5})]}'
    plugin.write_text(f"from alm.variants import Variant\n\n{declared}\n")
    which = ["--variant", "slow", "--scale", "smoke"]
    command = ["train", "--task", "Hopper", "--no-track", "--plugin", str(plugin), *which]
    assert main([*command, *asked(tmp_path)]) == 0
    (run,) = directories_under(tmp_path / "runs").values()
    store = Store(tmp_path / "store")
    archive_run(run, store)
    assert len(archive_policies(run, store)) == 2
    policy = find_policy(store, tmp_path / "nowhere", algorithm="alm", task="Hopper", variant="slow")
    assert policy.plugin == "mine.py"
    assert play(policy, 2, load_plugin(plugin)).repeated == policy.returns
    evaluate = ["evaluate", "alm", "Hopper", *which, "--episodes", "2", *asked(tmp_path)]
    assert main(evaluate) == 2
    assert "comes from the plugin mine.py: give it with --plugin" in capsys.readouterr().err
    plugin.write_text(f"{plugin.read_text()}# changed\n")
    assert main([*evaluate, "--plugin", str(plugin)]) == 2
    assert "another configuration" in capsys.readouterr().err
    made = gallery.make_gallery(store, tmp_path / "gallery")
    assert made.cards == [] and "film it with render --plugin mine.py" in made.problems[0]


def test_agreement_is_judged_by_a_test(store):
    policy = stored_policy(store.root / LAST, SPEC, "last")
    near = tuple(np.random.default_rng(0).choice(policy.returns, 50))
    assert "new and stored returns agree" in Played(policy, near, policy.returns).text()
    far = Played(policy, tuple(value + 1000.0 for value in near), policy.returns)
    assert "do not agree (Kolmogorov–Smirnov test, p = 0.002)" in far.text()
    far = Played(policy, far.returns * 2, policy.returns)
    assert "do not agree (Kolmogorov–Smirnov test, p < 0.001)" in far.text()


def test_so_few_episodes_that_no_difference_would_show_say_so(store):
    """The least p of two against five is 2/21, of three against five 1/28."""
    policy = replace(stored_policy(store.root / LAST, SPEC, "last"), returns=(1.0, 2.0, 3.0, 4.0, 5.0))
    two = Played(policy, (1000.0, 1001.0), ())
    assert two.agreement == (
        "2 new and 5 stored episodes are too few to tell whether they agree (Kolmogorov–Smirnov test, "
        "p = 0.095, where the smallest possible is 0.095)"
    )
    assert "returns do not agree" in Played(policy, (1000.0, 1001.0, 1002.0), ()).agreement
    assert "returns agree" in Played(policy, (2.0, 3.0, 4.0), ()).agreement


def test_another_processor_than_that_of_training_is_named(here, store, monkeypatch):
    words = "trained on Old CPU, played on New CPU: they round differently"
    monkeypatch.setattr(playing, "cpu_name", lambda: "New CPU")
    run = store.get(SPEC)
    store.write(replace(run, provenance=run.provenance | {"hardware": {"cpu": "Old CPU"}}))
    record = directory(here, 1).read_json("provenance.json")
    directory(here, 1).write_json("provenance.json", record | {"hardware": {"cpu": "Old CPU"}})
    for seed in (0, 1):  # of the store, and of the directory in which it was trained
        policy = find_policy(store, here / "runs", **TD3, seed=seed)
        assert words in Played(policy, policy.returns, policy.returns).text()
    monkeypatch.setattr(playing, "cpu_name", lambda: "Old CPU")
    assert "trained on" not in Played(policy, policy.returns, policy.returns).text()


def test_every_place_that_was_searched_is_named(here):
    both = Store(here / "store", here / "shipped")
    with pytest.raises(PolicyError) as refused:
        find_policy(both, here / "runs", **TD3, seed=7)
    places = " or ".join(str(here / name) for name in ("store", "shipped", "runs"))
    assert f"of seed 7 in {places}: train one" in str(refused.value)


DAMAGE = [
    ("provenance.json", None),
    ("provenance.json", b"[]"),
    ("provenance.json", b'{"hardware": 7}'),
    ("metrics.jsonl", b"{\n"),
    ("config.json", b"{"),
]


@pytest.mark.parametrize(("file", "content"), DAMAGE)
def test_a_damaged_directory_keeps_no_stored_policy_back(here, store, file, content):
    damaged = directory(here, 1).path / file
    damaged.unlink() if content is None else damaged.write_bytes(content)
    with pytest.warns(StoreWarning, match="seed-1 cannot be read"):
        assert find_policy(store, here / "runs", **TD3).path == store.root / LAST


def test_no_policy_of_a_damaged_directory_is_stored(here):
    directory(here).write_json("provenance.json", {"hardware": 7})
    with pytest.raises(UnreadableRunError, match="seed-0 cannot be read"):
        archive_policies(directory(here), Store(here / "store"))


def test_a_policy_of_another_run_of_the_name_is_not_stored(here):
    lines = list(directory(here).metrics())
    for line in lines:
        if "returns" in line:
            line["returns"] = [value + 1.0 for value in line["returns"]]
    rewrite_metrics(here, lines)
    assert archive_policies(directory(here), Store(here / "store")) == []
    assert archive_policies(directory(here), Store(here / "empty")) == []  # nor that of no stored run


def test_of_a_run_that_failed_no_policy_is_stored(here):
    directory(here).write_json("FAILED", {"reason": "loss/actor is not finite", "step": 300})
    (directory(here).path / "DONE").unlink()
    store = Store(here / "other")
    for seed in (0, 1):
        archive_run(directory(here, seed), store)
        archive_policies(directory(here, seed), store)
    assert {spec.seed for spec, _ in policies_stored(store)} == {1}


def test_a_policy_that_an_earlier_version_stored_in_float16_acts(here, store):
    record, kept = read_policy(store.root / LAST)
    halves = {name: value.half() if value.is_floating_point() else value for name, value in kept.items()}
    write_policy(store.root / LAST, halves, record)
    for name, value in stored_policy(store.root / LAST, SPEC, "last").agent().policy_state().items():
        assert value.dtype == kept[name].dtype
        torch.testing.assert_close(value, kept[name], rtol=1e-3, atol=1e-6)


def test_the_repository_is_within_its_budgets():
    store, folder = Store(CODE / "results" / "runs"), CODE / "results" / "gallery"
    held = policies_stored(store)
    sizes = [path.stat().st_size for path in held.values()]
    assert sum(sizes) <= 30_000_000
    assert {path for path in (CODE / "results").rglob("*.safetensors")} == set(held.values())
    seeds = {(spec.cell, kind) for spec, kind in held}
    assert len(seeds) == len(held)  # one seed of each
    for (spec, kind), path in held.items():
        assert stored_policy(path, spec, kind).digest == store.get(spec).digest
    clips = [card.clip for card in shown_gallery.cards(folder)]
    assert set(folder.glob("*.gif")) == set(clips)
    assert sum(clip.stat().st_size for clip in clips) <= 10_000_000
    assert all(clip.stat().st_size <= 500_000 for clip in clips)


REFUSALS = [
    (["td4", "Hopper"], "There is no algorithm 'td4' (did you mean 'td3'?)"),
    (["td3", "Hoper"], "There is no task 'Hoper' (did you mean 'Hopper'?)"),
    (
        ["td3", "Hopper", "--variant", "no-kl"],
        "There is no variant 'no-kl' of td3; the variants are base. For one of your own, add its file: "
        "--plugin.",
    ),
    (["td3", "Hopper", "--scale", "tiny"], "There is no scale 'tiny'; the scales are paper, laptop, smoke"),
    (["td3", "Hopper", "--seed", "7"], "there is no policy of td3/base on Hopper of seed 7 in "),
    (["td3", "Hopper", "--seed", "-1"], "The seed of a run must be an integer of at least 0, not -1."),
    (["alm", "Hopper", "--scale", "paper"], "train --algorithm alm --task Hopper --scale paper --seeds 0"),
    (["alm", "Hopper", "--variant", "k5[horizon=2]"], "--variant k5 --set horizon=2 --task Hopper"),
    (["td3", "Hopper", "--episodes", "1"], "The number of episodes must be at least 2, not 1."),
    (["td3", "Hopper", "--plugin", "none.py"], "The plugin none.py cannot be read"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSALS, ids=[" ".join(one) for one, _ in REFUSALS])
def test_what_is_missing_is_one_sentence(here, capsys, options, sentence):
    assert main(["evaluate", *options, *asked(here)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and sentence in said


def test_a_run_stored_without_a_policy_is_told_from_none(here, capsys):
    shutil.rmtree(here / "runs")
    assert main(["evaluate", "td3", "Hopper", *asked(here)]) == 2
    error = capsys.readouterr().err
    assert "there is no policy of td3/base on Hopper (2 runs are stored without one)" in error
    assert error.endswith(f"--seeds 0 --runs-dir {here / 'runs'} --store {here / 'store'}\n")


def test_a_kind_of_policy_that_no_run_has_is_refused(here, store):
    with pytest.raises(ValueError, match="There is no policy 'newest' of a run; it has 'last' and 'best'"):
        find_policy(store, here / "runs", **TD3, kind="newest")


def rewritten(path, change_record=lambda record: None, change_state=lambda state: None):
    record, state = read_policy(path)
    change_record(record), change_state(state)
    write_policy(path, state, record)


def test_files_that_do_not_fit_are_one_sentence(store, capsys, here):
    path = store.root / LAST
    sound = path.read_bytes()
    first = next(iter(read_policy(path)[1]))
    for change, sentence in (
        (
            {"change_record": lambda r: r.pop("returns")},
            "is not the policy that belongs there (it lacks 'returns')",
        ),
        ({"change_record": lambda r: r["spec"].update(seed=4)}, "it is the last policy of td3/base Hopper"),
        ({"change_record": lambda r: r.update(kind="best")}, "it is the best policy of td3/base Hopper"),
        ({"change_record": lambda r: r.update(returns=[])}, "its 'returns' is []"),
        ({"change_record": lambda r: r.update(step=-5)}, "(its 'step' is -5)"),
        (
            {"change_record": lambda r: r.update(evaluated_step=10**30)},
            "(its 'evaluated_step' is 1000000",
        ),
        ({"change_record": lambda r: r.update(evaluated_step=1)}, "(it was evaluated at another step than"),
        ({"change_record": lambda r: r.update(step="600")}, "(its 'step' is '600')"),
        ({"change_record": lambda r: r.update(protocol="../x")}, "the protocol of a run must be a word"),
        ({"change_record": lambda r: r.update(digest="0" * 12)}, "was trained with another configuration"),
        ({"change_record": lambda r: r.update(plugin="mine.py")}, "comes from the plugin mine.py: give it"),
        (
            {"change_state": lambda s: s.pop(first)},
            "does not hold the networks that td3/base acts with on Hopper",
        ),
        ({"change_state": lambda s: s.update({first: torch.ones(2)})}, "does not hold the networks"),
        ({"change_state": lambda s: s.update({first: s[first].int()})}, "does not hold the networks"),
        ({"change_state": lambda s: s[first].fill_(float("nan"))}, "holds a number that is not finite"),
    ):
        path.write_bytes(sound)
        rewritten(path, **change)
        assert main(["evaluate", "td3", "Hopper", "--policy", "last", *asked(here)]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1 and sentence in said
    path.write_bytes(sound[:-7])
    with pytest.raises(PolicyFileError, match="is damaged"):
        archive_policies(directory(here), store)


def test_records_are_read_without_torch(store):
    """Listing what is stored stays quick."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from alm.training.policies import read_record;"
        "from reproduce.lab.policies import policies_stored; from reproduce.lab.store import Store;"
        f"found = list(policies_stored(Store(Path({str(store.root)!r}))).values());"
        "assert len(found) == 2; print(read_record(found[0])['kind']);"
        "assert not {'torch', 'mujoco'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CODE)
    assert done.stdout.strip() == "best", done.stderr
    assert read_record(store.root / LAST)["kind"] == "last"
