"""Gradients of tabular objectives against finite differences."""

from dataclasses import replace

import numpy as np
import pytest

from alm.theory import ascent
from alm.theory.bound import alm_bound, optimal_discount_bound, plain_objective, rollout_terms
from alm.theory.mdp import Family, LatentMDPs, normalised_return, random_mdps, state_action_values

HORIZON = 3
MDPS = random_mdps(np.random.default_rng(3), 4, Family(states=3, actions=2, latents=2))


def alm(mdps, shift=0):
    return alm_bound(rollout_terms(mdps, HORIZON, state_action_values(mdps)), mdps.discount, shift)[:, -1]


def plain(mdps):
    return plain_objective(rollout_terms(mdps, HORIZON, state_action_values(mdps)), mdps.discount, 0.3)[:, -1]


def optimal(mdps):
    terms = rollout_terms(mdps, HORIZON, state_action_values(mdps))
    return optimal_discount_bound(terms, mdps.discount)[:, -1]


def differences(objective, mdps, name, epsilon=1e-6):
    """Central differences with respect to softmax logits."""
    logits = np.log(getattr(mdps, name))
    slope = np.empty_like(logits)
    for index in np.ndindex(logits.shape[1:]):
        values = []
        for sign in (1, -1):
            moved = logits.copy()
            moved[(slice(None), *index)] += sign * epsilon
            values.append(objective(replace(mdps, **{name: ascent.softmax(moved)})))
        slope[(slice(None), *index)] = (values[0] - values[1]) / (2 * epsilon)
    return slope


def of_logits(mdps, name, gradient):
    table = getattr(mdps, name)
    return table * (gradient - (table * gradient).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("name", ["encoder", "policy", "model"])
@pytest.mark.parametrize(
    ("objective", "weights"),
    [
        (alm, ascent.alm_weights(MDPS.discount, HORIZON)),
        (lambda mdps: alm(mdps, 1), ascent.alm_weights(MDPS.discount, HORIZON, 1)),
        (plain, ascent.plain_weights(MDPS.discount, HORIZON, 0.3)),
        (optimal, ascent.discount_weights(ascent.best_discounts(MDPS, HORIZON))),
    ],
    ids=["equation 5", "proved weights", "plain", "optimal discount"],
)
def test_gradient_of_a_bound(objective, weights, name):
    value, gradients = ascent.objective_gradient(MDPS, weights)
    if objective is not optimal:
        np.testing.assert_allclose(value, objective(MDPS), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        of_logits(MDPS, name, gradients[name]), differences(objective, MDPS, name), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("name", ["encoder", "policy"])
def test_gradient_of_the_return(name):
    expected = differences(lambda mdps: np.log(normalised_return(mdps)), MDPS, name)
    found = of_logits(MDPS, name, ascent.return_gradient(MDPS)[name])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_gradient_of_reconstruction_takes_visits_as_data():
    """A policy that ignores its latent visits the same states whatever the encoder is."""
    blind = replace(MDPS, policy=np.full_like(MDPS.policy, 0.5))
    expected = differences(lambda mdps: ascent.reconstruction_gradient(mdps)[0], blind, "encoder")
    found = of_logits(blind, "encoder", ascent.reconstruction_gradient(blind)[1])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_gradient_of_the_imagined_return():
    """Latents that are the states themselves, with the true dynamics as their model: the imagined return is
    the return."""
    policy = random_mdps(np.random.default_rng(4), 4, Family(3, 2, 3)).policy
    sight = np.broadcast_to(np.eye(3), (4, 3, 3))
    mdps = LatentMDPs(MDPS.initial, MDPS.dynamics, MDPS.reward, MDPS.discount, sight, policy, MDPS.dynamics)
    imagined, gradient = ascent.imagined_return_gradient(mdps)
    np.testing.assert_allclose(imagined, normalised_return(mdps), rtol=0, atol=1e-12)
    expected = differences(normalised_return, mdps, "policy")
    np.testing.assert_allclose(of_logits(mdps, "policy", gradient), expected, rtol=1e-6, atol=1e-8)


def test_ascent_reaches_the_best_model_of_one_step():
    """With K = 1 and a certain successor, Eq. 5's model is e(z | s') Q(s', ·)^γ, normalised."""
    mdps = LatentMDPs(
        initial=np.array([[1.0, 0.0, 0.0]]),
        dynamics=np.eye(3)[np.array([[[1, 1], [2, 2], [2, 2]]])],
        reward=np.array([[[4.0, 4.0], [1.0, 9.0], [3.0, 3.0]]]),
        discount=np.array([0.5]),
        encoder=np.full((1, 3, 2), 0.5),
        policy=np.eye(2)[None],
        model=np.full((1, 2, 2, 2), 0.5),
    )
    for shift in (0, 1):
        weights = ascent.alm_weights(mdps.discount, 1, shift)
        best = ascent.ascend(
            mdps, lambda now, w=weights: {"model": ascent.objective_gradient(now, w)[1]["model"]}, 400
        )
        tilted = np.array([2.0, 6.0]) ** (0.5 if shift == 0 else 1.0)
        np.testing.assert_allclose(best.model[0, 0, 0], tilted / tilted.sum(), atol=1e-4)
