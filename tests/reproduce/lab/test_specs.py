"""The identity of a run: its names, its place, its digest."""

from pathlib import Path

import pytest

from alm.task_registry import TASKS
from reproduce.lab.specs import RunSpec, config_digest, variant_in, variant_parts

SPEC = RunSpec(algorithm="alm", task="HalfCheetah", seed=0, scale="laptop")
CONFIG = {"agent": {"horizon": 3, "learning_rate": 1e-4}, "steps": 20_000}


def test_label_and_place_are_readable_and_lead_back():
    assert SPEC.variant == "base"
    assert SPEC.label == "alm/base HalfCheetah laptop seed 0"
    assert SPEC.relative_dir == Path("alm/base/HalfCheetah/laptop/seed-0")
    assert RunSpec.from_relative_dir(SPEC.relative_dir) == SPEC
    assert RunSpec.from_dict(SPEC.to_dict()) == SPEC


@pytest.mark.parametrize(
    ("task", "directory"),
    [("mbbl/Hopper-ET", "mbbl_Hopper-ET"), ("HalfCheetah-obsnoise-0.1", "HalfCheetah-obsnoise-0.1")],
)
def test_a_slash_in_a_task_is_an_underscore_in_its_place(task, directory):
    spec = RunSpec(algorithm="slbo", task=task, seed=2, scale="paper")
    assert spec.label == f"slbo/base {task} paper seed 2"
    assert spec.relative_dir == Path("slbo", "base", directory, "paper", "seed-2")
    assert RunSpec.from_relative_dir(spec.relative_dir) == spec
    assert RunSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_place_that_leads_back(task):
    for name in (task, f"{task}-obsnoise-0.001", f"{task}-dynnoise-0.5"):
        spec = RunSpec(algorithm="alm", task=name, seed=0, scale="paper")
        assert RunSpec.from_relative_dir(spec.relative_dir) == spec


def test_the_largest_seed_that_numpys_generators_take_is_one():
    assert RunSpec(**{**SPEC.to_dict(), "seed": 2**32 - 1}).relative_dir.name == "seed-4294967295"


def test_specs_sort_seeds_as_numbers():
    later = RunSpec(algorithm="alm", task="HalfCheetah", seed=10, scale="laptop")
    sooner = RunSpec(algorithm="alm", task="HalfCheetah", seed=9, scale="laptop")
    assert sorted([later, sooner]) == [sooner, later]


@pytest.mark.parametrize(
    "path",
    ["alm/base/HalfCheetah/laptop", "alm/base/HalfCheetah/laptop/0", "a/b/c/d/seed-01", "a/b/c/d/e/seed-1"],
)
def test_other_paths_do_not_name_a_run(path):
    with pytest.raises(ValueError, match="does not name a run"):
        RunSpec.from_relative_dir(Path(path))


@pytest.mark.parametrize(
    "change",
    [
        {"task": ""},
        {"task": "a_b"},
        {"task": "a/b/c"},
        {"task": "/a"},
        {"task": "../a"},
        {"variant": "a/b"},
        {"variant": "base[]"},
        {"variant": "base[horizon]"},
        {"variant": "base[horizon=7"},
        {"variant": "base[horizon=7]/x"},
        {"variant": "base[horizon=../x]"},
        {"variant": "base[horizon=7,]"},
        {"variant": "base[horizon=7][trace=0]"},
        {"variant": "base[horizon=*]"},
        {"variant": "[horizon=7]"},
        {"variant": "base[horizon=7]\n"},
        {"variant": f"base[horizon={'7' * 100}]"},
        {"algorithm": "alm[horizon=7]"},
        {"scale": "smoke[horizon=7]"},
        {"scale": ".."},
        {"seed": -1},
        {"seed": 1.0},
        {"seed": True},
        {"seed": 2**32},
    ],
)
def test_values_that_could_not_stand_in_a_path_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        RunSpec(**{**SPEC.to_dict(), **change})


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("base", ("base", (), "float32")),
        ("no-kl+bf16", ("no-kl", (), "bf16")),
        ("base[horizon=7]", ("base", ("horizon=7",), "float32")),
        ("k5[a=(1,2.5),b.c=1e-5]+bf16", ("k5", ("a=(1,2.5)", "b.c=1e-5"), "bf16")),
    ],
)
def test_a_variant_has_settings_and_a_precision_and_its_place_leads_back(name, parts):
    assert variant_parts(name) == parts
    variant, settings, precision = parts
    assert variant_in(variant, precision, settings) == name
    spec = RunSpec(algorithm="alm", variant=name, task="mbbl/Hopper", seed=0, scale="laptop")
    assert RunSpec.from_relative_dir(spec.relative_dir) == spec


def test_from_dict_names_what_is_wrong():
    with pytest.raises(ValueError, match=r"missing: \['seed'\], unknown: \['sed'\]"):
        RunSpec.from_dict({"algorithm": "alm", "task": "Hopper", "sed": 1, "scale": "paper"})


def test_a_run_matches_wanted_values_of_its_fields():
    spec = RunSpec(algorithm="alm", task="Hopper", seed=0, scale="laptop")
    assert spec.matches() and spec.matches(algorithm="alm", seed=0, scale=None)
    assert not spec.matches(seed=1) and not spec.matches(algorithm="alm", variant="no-kl")
    with pytest.raises(AttributeError, match="no attribute 'sed'"):
        spec.matches(algorithm="sac", sed=None)


def test_digest_is_frozen():
    # Stored runs carry this value: a change of it orphans every one of them.
    assert config_digest(SPEC, CONFIG) == "3f9eb2a207f0"


def test_digest_ignores_the_order_of_keys_and_tuple_against_list():
    reordered = {"steps": 20_000, "agent": {"learning_rate": 1e-4, "horizon": 3}}
    assert config_digest(SPEC, reordered) == config_digest(SPEC, CONFIG)
    assert config_digest(SPEC, {"layers": (1, 2)}) == config_digest(SPEC, {"layers": [1, 2]})


@pytest.mark.parametrize(
    "change",
    [{"algorithm": "sac"}, {"variant": "no-kl"}, {"task": "Hopper"}, {"seed": 1}, {"scale": "paper"}],
)
def test_digest_depends_on_every_field_of_the_specification(change):
    other = RunSpec(**{**SPEC.to_dict(), **change})
    assert config_digest(other, CONFIG) != config_digest(SPEC, CONFIG)


def test_digest_depends_on_nested_values():
    changed = {"agent": {"horizon": 3, "learning_rate": 2e-4}, "steps": 20_000}
    assert config_digest(SPEC, changed) != config_digest(SPEC, CONFIG)


def test_digest_refuses_what_json_cannot_say():
    with pytest.raises(TypeError):
        config_digest(SPEC, {"path": Path("x")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        config_digest(SPEC, {"learning_rate": float("nan")})
