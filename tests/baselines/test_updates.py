"""Every baseline's update against an independent float64 writing, and populations against singles."""

import pytest
import torch

from alm.training.population import share_of_seed
from benchmarks.plain_baselines import PlainOfficialREDQ, PlainREDQ, PlainSAC, PlainTD3, PlainTD3Ours
from benchmarks.plain_sac_svg import PlainSACSVG
from tests.baselines.cases import CASES, SEEDS, TASK, build, random_inputs, seen_observations

REFERENCES = {
    "sac": lambda config: PlainSAC(TASK, config, -3.0),
    "redq": lambda config: PlainREDQ(TASK, config, -1.0),
    "redq, official density": lambda config: PlainOfficialREDQ(TASK, config, -1.0),
    "sac-avg": lambda config: PlainREDQ(TASK, config, -1.0),
    "td3": lambda config: PlainTD3(TASK, config),
    "td3-ours": lambda config: PlainTD3Ours(TASK, config),
    "td3-ours, clipped": lambda config: PlainTD3Ours(TASK, config),
    "sac-svg2": lambda config: PlainSACSVG(TASK, config, seen_observations()),
    "sac-svg3": lambda config: PlainSACSVG(TASK, config, seen_observations()),
}

# Values other than the published ones, of the settings that an update reads.
_OF_ALL = {"discount": 0.9, "target_rate": 0.1, "learning_rate": 3e-3}
_OF_REDQ = {"updates_per_step": 3, "critics": 5}
_OF_ROLLOUTS = {"model_updates": 1, "model_learning_rate": 2e-3, "model_max_grad_norm": 0.1, "plain_steps": 3}
OTHER_SETTINGS = {
    "sac": {},
    "redq": _OF_REDQ | {"target_critics": 3},
    "sac-avg": _OF_REDQ,
    "td3": {"policy_delay": 3, "target_std": 0.1, "target_clip": 0.2},
    "td3-ours": {
        "exploration_start": 0.5, "exploration_end": 0.3, "exploration_steps": 3, "exploration_clip": 0.2
    },
    "sac-svg2": _OF_ROLLOUTS | {"horizon": 5},
    "sac-svg3": _OF_ROLLOUTS | {"warmup_steps": 1},
}  # fmt: skip


def check_updates(name, agent, steps):
    """Losses, gradient norms, targets and every parameter, over calls of `update` of a population of two."""
    generator = torch.Generator().manual_seed(5)
    references = [REFERENCES[name](agent.config) for _ in SEEDS]
    for i, plain in enumerate(references):
        plain.load(agent.networks, i)
    for step in range(1, steps + 1):
        *batches, noise = random_inputs(agent, generator)
        metrics = agent.update(*batches, noise, step)
        for i, plain in enumerate(references):
            own = [batch[i] for batch in batches]
            expected = plain.update(*own, {k: v[i] for k, v in noise.items()}, step)
            assert {"loss/critic", "grad_norm/critic", "critic/target"} <= set(expected)
            for metric, value in expected.items():
                assert metrics[metric][i].item() == pytest.approx(value, rel=1e-8), metric
    for i, plain in enumerate(references):
        assert plain.largest_difference(agent.networks, i) < 1e-9
        if hasattr(plain, "log_alpha"):
            assert agent.networks.temperature.log_alpha[i].item() == pytest.approx(plain.log_alpha.item())
            assert abs(plain.log_alpha.item()) > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_updates_equal_the_reference(name):
    check_updates(name, build(name), steps=4)


@pytest.mark.parametrize(("name", "settings"), OTHER_SETTINGS.items())
def test_updates_with_other_settings_equal_the_reference(name, settings):
    """A setting that an update ignores is seen here."""
    check_updates(name, build(name, **_OF_ALL, **settings), steps=4)


@pytest.mark.parametrize("name", ["redq", "sac-avg"])
def test_updates_of_as_many_critics_as_published_equal_the_reference(name):
    """N = 10 critics and the G = 20 updates of one environment step."""
    check_updates(name, build(name, critics=10, updates_per_step=20), steps=20)


@pytest.mark.parametrize("name", CASES)
def test_a_population_equals_its_seeds_alone(name):
    together, generator = build(name), torch.Generator().manual_seed(6)
    alone = [build(name, (seed,)) for seed in SEEDS]
    for step in range(1, 4):
        *batches, noise = random_inputs(together, generator)
        joint = together.update(*batches, noise, step)
        for i, agent in enumerate(alone):
            own = {k: v[i : i + 1] for k, v in noise.items()}
            single = agent.update(*(batch[i : i + 1] for batch in batches), own, step)
            assert set(single) == set(joint)
            for metric, value in single.items():
                torch.testing.assert_close(joint[metric][i : i + 1], value, rtol=1e-10, atol=1e-12)
    for i, agent in enumerate(alone):
        shared = share_of_seed(together.state(), i, len(SEEDS))["networks"]
        for key, value in agent.state()["networks"].items():
            torch.testing.assert_close(shared[key], value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_a_seed_that_is_not_finite_leaves_its_neighbours_alone(name):
    sound, broken = build(name), build(name)
    with torch.no_grad():
        next(broken.networks.actor.parameters())[1] = float("nan")
    for step in (1, 2):
        inputs = random_inputs(sound, torch.Generator().manual_seed(step))
        metrics = [agent.update(*inputs, step) for agent in (sound, broken)]
    assert not torch.isfinite(metrics[1]["loss/actor"][1])
    for metric, value in metrics[0].items():
        assert value[0] == metrics[1][metric][0]
    for a, b in zip(sound.networks.parameters(), broken.networks.parameters(), strict=True):
        each = len(a) // 2
        assert torch.equal(a[:each], b[:each])
