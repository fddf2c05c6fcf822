"""What the model predicts along an episode, against loops over starts and steps in float64."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from alm.config import ALMConfig
from alm.networks import Networks
from alm.prediction import latent_path, prediction_errors
from alm.task_registry import TaskSpec

OBSERVATION, ACTION, STEPS = 5, 2, 12


@pytest.fixture
def episode():
    generator = torch.Generator().manual_seed(1)
    config = ALMConfig(latent_size=4, hidden_size=16, model_hidden_size=16)
    task = TaskSpec("Test", "alm/Test", OBSERVATION, ACTION, -1.0, 1.0)
    networks = Networks(task, config, [generator]).double()
    observation = torch.randn(STEPS + 1, OBSERVATION, generator=generator, dtype=torch.float64)
    action = torch.rand(STEPS, ACTION, generator=generator, dtype=torch.float64) * 2 - 1
    return networks, observation, action


def encode(networks, s):
    mean, deviation = networks.encoder(s[None, None])
    return mean[0, 0], deviation[0, 0]


def predict(networks, z, a):
    mean, deviation = networks.model(z[None, None], a[None, None])
    return mean[0, 0], deviation[0, 0]


@torch.no_grad()
def test_errors_are_averages_over_all_starts(episode):
    networks, observation, action = episode
    horizon = 3
    codes = [encode(networks, s) for s in observation]
    variance = torch.stack([mean for mean, _ in codes]).var(dim=0).mean()
    squared, divergence = np.zeros(horizon), np.zeros(horizon)
    starts = range(STEPS - horizon + 1)
    for start in starts:
        z = codes[start][0]
        for k in range(horizon):
            p = predict(networks, z, action[start + k])
            truth = codes[start + k + 1]
            z = p[0]
            squared[k] += float(((z - truth[0]) ** 2).mean() / variance) / len(starts)
            divergence[k] += float(kl_divergence(Normal(*p), Normal(*truth)).sum()) / len(starts)
    errors = prediction_errors(networks, observation, action, horizon)
    np.testing.assert_allclose(errors.squared_error, squared, rtol=1e-12)
    np.testing.assert_allclose(errors.divergence, divergence, rtol=1e-10)


@torch.no_grad()
def test_the_path_follows_the_means_from_the_first_state(episode):
    networks, observation, action = episode
    path = latent_path(networks, observation, action, torch.Generator().manual_seed(0))
    z, _ = encode(networks, observation[0])
    expected = [float(z[0])]
    for a in action:
        z, _ = predict(networks, z, a)
        expected.append(float(z[0]))
    np.testing.assert_allclose(path.predicted, expected, rtol=1e-12)
    np.testing.assert_allclose(path.encoded, [float(encode(networks, s)[0][0]) for s in observation])
    source = torch.Generator().manual_seed(0)
    mean, deviation = encode(networks, observation[0])
    z = mean + deviation * torch.randn(1, 1, 4, generator=source, dtype=torch.float64)[0, 0]
    expected = [float(z[0])]
    for a in action:
        mean, deviation = predict(networks, z, a)
        z = mean + deviation * torch.randn(1, 1, 4, generator=source, dtype=torch.float64)[0, 0]
        expected.append(float(z[0]))
    np.testing.assert_allclose(path.sampled, expected, rtol=1e-10)
    again = latent_path(networks, observation, action, torch.Generator().manual_seed(0))
    other = latent_path(networks, observation, action, torch.Generator().manual_seed(1))
    assert torch.equal(path.sampled, again.sampled) and not torch.equal(path.sampled, other.sampled)
    assert not torch.equal(path.sampled, path.predicted)


def test_a_perfect_model_has_no_error(episode):
    """An encoder of constant deviation that copies, and a model that knows the next state."""

    class Copy:
        def encoder(self, s):
            return s, torch.ones_like(s)

        def model(self, z, a):
            return z + 1.0, torch.ones_like(z)

    observation = torch.arange(6.0)[:, None].expand(-1, 3).double()
    errors = prediction_errors(Copy(), observation, torch.zeros(5, 1), 4)
    assert errors.squared_error.tolist() == [0.0] * 4 and errors.divergence.tolist() == [0.0] * 4


def test_an_episode_that_is_too_short_is_refused(episode):
    networks, observation, action = episode
    with pytest.raises(ValueError, match="12 steps is too short to predict 13"):
        prediction_errors(networks, observation, action, 13)
