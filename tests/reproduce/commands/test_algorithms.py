"""The list of algorithms, variants and settings."""

import pytest

from alm.names import place_among
from examples import my_idea
from reproduce.cli import main
from reproduce.lab import settings
from reproduce.lab.algorithms import ALGORITHMS, BASE
from reproduce.lab.resolved_runs import ResolvedRuns
from reproduce.lab.settings import meanings, settings_in_words


@pytest.fixture
def listed(capsys, monkeypatch):
    """What the command prints on a wide terminal, as lines without repeated spaces."""
    monkeypatch.setenv("COLUMNS", "400")

    def lines(*arguments):
        assert main(["algorithms", *arguments]) == 0
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return lines


def test_every_algorithm_is_listed_with_what_it_is_and_how_many_variants_it_has(listed):
    lines = listed()
    for name, algorithm in ALGORITHMS.items():
        count = f" {len(algorithm.variants)}" if algorithm.variants else ""
        assert f"{name} {algorithm.summary}{count}" in lines


def test_every_variant_is_listed_with_its_exhibits(listed):
    lines = listed("alm")
    for variant in ALGORITHMS["alm"].variants.values():
        assert any(line.startswith(f"{variant.name} {variant.summary} ") for line in lines)
    assert "no-kl no KL in the encoder-and-model objective figure5a, figure7, figure10a" in lines


def test_names_sort_by_their_place_and_unknown_ones_last():
    ordered = ["paper", "laptop"]
    assert sorted(["huge", "laptop", "paper"], key=lambda name: place_among(name, ordered)) == [
        *ordered,
        "huge",
    ]


@pytest.mark.parametrize(
    ("algorithm", "variant"),
    [(name, variant) for name, one in ALGORITHMS.items() for variant in (BASE.name, *one.variants)],
)
def test_every_setting_says_what_it_is(algorithm, variant):
    task = "mbbl/HalfCheetah" if algorithm == "slbo" else "HalfCheetah"
    found = settings_in_words(ResolvedRuns.of(algorithm, variant, task, (0,), "laptop").agent_config)
    assert found and all(one.meaning and "``" not in one.meaning for one in found)


def test_settings_are_those_of_the_scale_and_task(listed):
    assert "hidden_size 128 Width of the encoder, reward, classifier, critic and actor." in listed("alm")
    paper = listed("alm", "--scale", "paper", "--task", "T-Humanoid")
    assert "Settings on T-Humanoid at paper scale: train … --set NAME=VALUE" in paper
    assert "hidden_size 512 Width of the encoder, reward, classifier, critic and actor." in paper
    assert any(line.startswith("replay_capacity 1000000 ") for line in paper)


def test_a_variant_says_what_it_changes_and_leaves_out_what_it_does_not_read(listed):
    assert any(line.startswith("kl_term false, not true Keep the KL") for line in listed("alm/no-kl"))
    assert any(line.startswith("horizon 7, not 3 K: ") for line in listed("alm/base[horizon=7]"))
    assert listed("alm/base[horizon=7]")[0] == "ALM(3) base[horizon=7]: the algorithm, with other settings"
    assert listed("alm/no-kl[horizon=7]")[0].endswith("the encoder-and-model objective, with other settings")
    assert listed("alm/base[horizon=3]")[0].endswith(": the algorithm unchanged")
    joint = listed("alm/joint")
    assert any(line.startswith("horizon ") for line in joint)
    assert not any(line.startswith(("kl_term ", "trace ")) for line in joint)


def test_slbo_is_shown_on_a_task_that_it_can_learn(listed):
    assert any(line.startswith("Settings on mbbl/HalfCheetah at laptop scale") for line in listed("slbo"))


def test_a_plugin_adds_its_own(listed):
    plugin = ["--plugin", my_idea.__file__]
    (own,) = (one for one in my_idea.VARIANTS["alm"] if one.name == "my-idea")
    assert any(line.startswith(f"my-idea {own.summary}") for line in listed("alm", *plugin))
    assert f"ALM(3) my-idea: {own.summary}" in listed("alm/my-idea", *plugin)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sax"], ["no algorithm 'sax' (did you mean 'sac'?)"]),
        (["alm/no-k"], ["no variant 'no-k' of alm", "did you mean 'no-kl'"]),
        (["alm", "--task", "Hoper"], ["'Hoper'", "Hopper"]),
        (["alm", "--scale", "tiny"], ["'tiny'", "paper, laptop"]),
        (["alm/base[horizn=7]"], ["no setting 'horizn'", "did you mean 'horizon'"]),
        (["alm/base[horizon7]"], ["'base[horizon7]' is no variant"]),
        (["alm/base[horizon=7"], ["'base[horizon=7' is no variant"]),
        (["alm/base+bf16"], ["leave out +bf16"]),
        (["alm/my-idea"], ["no variant 'my-idea'", "--plugin"]),
        (["slbo", "--task", "Hopper"], ["Hopper is not a function", "mbbl/HalfCheetah"]),
    ],
)
def test_what_is_unknown_is_one_sentence(arguments, words, capsys):
    assert main(["algorithms", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and all(word in error for word in words)


def test_the_docstrings_of_a_class_are_read_once_for_all_its_settings(monkeypatch):
    read = []
    monkeypatch.setattr(settings, "meanings", lambda cls: read.append(cls) or meanings(cls))
    config = ResolvedRuns.of("mbpo", "base", "Hopper", (0,), "smoke").agent_config
    assert len(settings_in_words(config)) > len(read) == len(set(read)) > 1
