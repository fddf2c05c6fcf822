"""Every baseline's update against an independent float64 writing, and populations against singles."""

import pytest
import torch

from alm.training.population import share_of_seed
from tests.baselines.cases import CASES, SEEDS, TASK, build, random_inputs
from tests.baselines.plain import PlainSoft, PlainTD3, PlainTD3Ours


def run_sac(plain, transitions, noise, step):
    del step
    return plain.critic_step(
        transitions, noise["next_action"], (0, 1), lambda: plain.policy_step(transitions, noise["action"])
    )


def run_redq(plain, transitions, noise, step):
    """The loop over the updates of one environment step, as the reference has it."""
    del step
    updates, results = len(transitions.reward), []
    for i in range(updates):
        batch = transitions[i]
        pair = None
        if "members" in noise:
            pair = sorted(range(4), key=lambda j, i=i: -noise["members"][i, j].item())[:2]

        def step_policy(batch=batch):
            return plain.policy_step(batch, noise["action"])

        last = i == updates - 1
        results.append(plain.critic_step(batch, noise["next_action"][i], pair, step_policy if last else None))
    averages = {name: sum(r[name] for r in results) / updates for name in results[0]}
    return results[-1] | averages


def run_td3(plain, transitions, noise, step):
    return plain.update(transitions, noise, step)


REFERENCES = {
    "sac": (lambda config: PlainSoft(TASK, config, 2, "min", -3.0), run_sac),
    "redq": (lambda config: PlainSoft(TASK, config, 4, "mean", -1.0), run_redq),
    "sac-avg": (lambda config: PlainSoft(TASK, config, 4, "mean", -1.0), run_redq),
    "td3": (lambda config: PlainTD3(TASK, config), run_td3),
    "td3-ours": (lambda config: PlainTD3Ours(TASK, config), run_td3),
    "td3-ours, clipped": (lambda config: PlainTD3Ours(TASK, config), run_td3),
}


@pytest.mark.parametrize("name", CASES)
def test_updates_equal_the_reference(name):
    """Losses, gradient norms, targets and every parameter, over four updates of a population of two."""
    agent, generator = build(name), torch.Generator().manual_seed(5)
    make, run = REFERENCES[name]
    references = [make(agent.config) for _ in SEEDS]
    for i, plain in enumerate(references):
        plain.load(agent.networks, i)
    for step in range(1, 5):
        transitions, noise = random_inputs(agent, generator)
        metrics = agent.update(transitions, noise, step)
        for i, plain in enumerate(references):
            expected = run(plain, transitions[i], {k: v[i] for k, v in noise.items()}, step)
            assert {"loss/critic", "grad_norm/critic", "critic/target"} <= set(expected)
            for metric, value in expected.items():
                assert metrics[metric][i].item() == pytest.approx(value, rel=1e-8), metric
    for i, plain in enumerate(references):
        assert plain.largest_difference(agent.networks, i) < 1e-9
        if hasattr(plain, "log_alpha"):
            assert agent.networks.temperature.log_alpha[i].item() == pytest.approx(plain.log_alpha.item())
            assert abs(plain.log_alpha.item()) > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_a_population_equals_its_seeds_alone(name):
    together, generator = build(name), torch.Generator().manual_seed(6)
    alone = [build(name, (seed,)) for seed in SEEDS]
    for step in range(1, 4):
        transitions, noise = random_inputs(together, generator)
        joint = together.update(transitions, noise, step)
        for i, agent in enumerate(alone):
            own = {k: v[i : i + 1] for k, v in noise.items()}
            single = agent.update(transitions[i : i + 1], own, step)
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
        transitions, noise = random_inputs(sound, torch.Generator().manual_seed(step))
        metrics = [agent.update(transitions, noise, step) for agent in (sound, broken)]
    assert not torch.isfinite(metrics[1]["loss/actor"][1])
    for metric, value in metrics[0].items():
        assert value[0] == metrics[1][metric][0]
    for a, b in zip(sound.networks.parameters(), broken.networks.parameters(), strict=True):
        each = len(a) // 2
        assert torch.equal(a[:each], b[:each])
