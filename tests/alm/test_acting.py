"""How ALM acts in training and in evaluation, against the formulas on an independent writing's networks."""

import pytest
import torch

from alm.training.streams import Purpose, Streams
from benchmarks.plain_alm import PlainALM
from benchmarks.plain_variants import PlainEntropy
from tests.alm.cases import SEEDS, TASK, build

LATENT, ACTION, BOUND = 4, 3, 0.4


@pytest.fixture(scope="module")
def agent():
    return build("base")[0]


@pytest.fixture(scope="module")
def observation():
    generator = torch.Generator().manual_seed(5)
    return torch.randn(len(SEEDS), 64, 4, generator=generator, dtype=torch.float64)


def plain_means(agent, observation, noise):
    """π(z) of every seed at z ~ e(s), the online encoder, before anything is added or clamped."""
    means = []
    for i in range(len(SEEDS)):
        plain = PlainALM(TASK, agent.config)
        plain.load(agent.networks, i)
        gaussian = plain.encoder(observation[i]).base_dist
        means.append(plain.actor(gaussian.loc + gaussian.scale * noise[i]))
    return torch.stack(means).detach()


@pytest.mark.parametrize(("training_step", "std"), [(1, 1.0 - 0.9e-5), (50_000, 0.55), (200_000, 0.1)])
def test_training_adds_noise_that_the_bounds_alone_clip(agent, observation, training_step, std):
    """a = clamp(π(z) + σ_t ε), z ~ e(s); inside updates σ_t ε is clipped at 0.3 as well."""
    drawn = Streams(SEEDS, Purpose.ACTING).normal(64, LATENT + ACTION, dtype=torch.float64)
    noise = std * drawn[..., LATENT:]
    expected = plain_means(agent, observation, drawn[..., :LATENT]) + noise
    expected = expected.clamp(-BOUND + 1e-6, BOUND - 1e-6)
    action = agent.act(observation, training_step, Streams(SEEDS, Purpose.ACTING))
    torch.testing.assert_close(action, expected, rtol=0, atol=1e-12)
    if training_step == 1:
        unclipped = (noise.abs() > 0.3) & (expected.abs() < BOUND - 1e-5)
        assert unclipped.any()  # else a clip of the noise would go unseen


def test_alm_ent_acts_by_samples_and_counts_their_density(observation):
    """a = clamp(μ(z) + σ(z) ε) with bonus −α log N(μ + σ ε; μ, σ²), z ~ e(s) of the online encoder."""
    agent = build("ent")[0]
    drawn = Streams(SEEDS, Purpose.ACTING).normal(64, LATENT + ACTION, dtype=torch.float64)
    action, bonus = agent.act_with_bonus(observation, Streams(SEEDS, Purpose.ACTING))
    for i in range(len(SEEDS)):
        plain = PlainEntropy(TASK, agent.config)
        plain.load(agent.networks, i)
        gaussian = plain.encoder(observation[i]).base_dist
        z = gaussian.loc + gaussian.scale * drawn[i, :, :LATENT]
        chosen, paid = plain.choose(z, drawn[i, :, LATENT:])
        torch.testing.assert_close(action[i], chosen.detach(), rtol=0, atol=1e-12)
        torch.testing.assert_close(bonus[i], paid.detach(), rtol=0, atol=1e-12)


def test_evaluation_takes_the_mean_at_a_sampled_representation(agent, observation):
    noise = Streams(SEEDS, Purpose.EVALUATION).normal(64, LATENT, dtype=torch.float64)
    mean = plain_means(agent, observation, noise)
    action = agent.act_greedily(observation, Streams(SEEDS, Purpose.EVALUATION))
    torch.testing.assert_close(action, mean.clamp(-BOUND, BOUND), rtol=0, atol=1e-12)
    within = mean.abs() < BOUND
    assert within.any() and not within.all()
