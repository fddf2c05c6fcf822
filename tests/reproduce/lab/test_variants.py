"""Variants in plans: what identifies a run, and that the runs of the store keep their identity."""

from pathlib import Path

import pytest

from alm.variants import VARIANTS
from reproduce.exhibits.catalogue import shown_in
from reproduce.lab.algorithms import ALGORITHMS, UnknownAlgorithmError, variant_named
from reproduce.lab.places import CODE
from reproduce.lab.resolved_runs import ResolvedRuns
from reproduce.lab.specs import variant_parts
from reproduce.lab.store import Store

STORE = Store(CODE / "results" / "runs")


def plan_of(variant, task="HalfCheetah", scale="laptop"):
    return ResolvedRuns.of("alm", variant, task, (0,), scale)


def digest(plan):
    return plan.record(plan.specs[0])["digest"]


def test_stored_runs_of_alm_have_the_digest_that_a_plan_gives_them():
    runs = STORE.runs(algorithm="alm")
    assert any(run.spec.relative_dir == Path("alm/base/HalfCheetah/laptop/seed-0") for run in runs)
    for run in runs:
        spec = run.spec
        name, settings, precision = variant_parts(spec.variant)
        plan = ResolvedRuns.of(
            spec.algorithm, name, spec.task, (spec.seed,), spec.scale, precision=precision, settings=settings
        )
        assert plan.record(spec)["digest"] == run.digest, spec.label


def test_variants_differ_in_what_they_say():
    base = plan_of("base")
    plans = {name: plan_of(name) for name in VARIANTS}
    assert len({digest(base), *map(digest, plans.values())}) == 1 + len(VARIANTS)

    def changes(plan):
        return {
            f"{part}.{key}": value
            for part in ("agent", "training")
            for key, value in plan.config[part].items()
            if base.config[part].get(key) != value
        }

    logs = {"agent.log_offset": 0.0, "agent.log_in_policy": True, "agent.reward_shift": 20.0}
    entropy = {"initial_temperature": 0.1, "entropy_start": -6.0, "entropy_end": -6.0}
    entropy |= {"entropy_power": 1.0, "entropy_steps": 1}
    expected = {
        "no-kl": {"agent.kl_term": False},
        "no-value": {"agent.value_term": False},
        "no-classifier": {"agent.classifier_coefficient": 0.0},
        **{f"k{k}": {"agent.horizon": k} for k in (1, 2, 4, 5)},
        **{f"c-{c:g}": {"agent.classifier_coefficient": c} for c in (0.05, 0.15, 0.2, 0.5, 1.0)},
        "log-naive": logs,
        "log-model": logs | {"agent.log_in_policy": False},
        "log-transformed": logs | {"agent.log_offset": 10_000.0, "agent.reward_shift": 0.0},
        "ent": {f"agent.{key}": value for key, value in entropy.items()},
        "mnm": {"agent.latent_size": 17},
        "million": {"training.total_steps": 166_666},
        "quarter": {},  # the laptop scale's own sizes
        "real-warmup": {"agent.real_data_steps": 5000},
        "horizon-schedule": {"agent.steps_per_horizon": 5000},
        "time-discount": {"agent.temporal_discount": 0.5},
        "joint": {
            "agent.classifier_coefficient": 0.0,
            "agent.intrinsic_coefficient": 0.1,
            "agent.fresh_transitions": 1000,
        },
    }
    # The others have ALM's settings and an agent of their own.
    assert {name: changes(plan) for name, plan in plans.items()} == {name: {} for name in VARIANTS} | expected
    assert all(VARIANTS[name].agent for name in set(VARIANTS) - set(expected))


@pytest.mark.parametrize(
    ("task", "replay"), [("HalfCheetah", 100_000), ("Ant", 100_000), ("Humanoid", 1_000_000)]
)
def test_a_million_steps(task, replay):
    plan = plan_of("million", task, "paper")
    assert plan.training.total_steps == plan.config["training"]["total_steps"] == 1_000_000
    assert plan.agent_config.replay_capacity == replay


def test_variants_say_what_they_are_and_where_they_are_shown():
    for name, variant in VARIANTS.items():
        assert variant.name == name and variant.summary and shown_in("alm", name)


def test_every_algorithm_has_its_base():
    for algorithm in ALGORITHMS:
        assert variant_named(algorithm, "base").name == "base"
    with pytest.raises(UnknownAlgorithmError, match="no variant 'no-k' of alm .did you mean 'no-kl'"):
        variant_named("alm", "no-k")
