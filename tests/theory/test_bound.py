"""Recursions over what q^K visits against lists of every trajectory."""

from dataclasses import replace

import numpy as np
import pytest

from alm.theory import ascent, bound
from alm.theory.enumeration import (
    enumerated_bound,
    evidence_bound,
    mean,
    outcome,
    trajectories,
    truncated_geometric,
)
from alm.theory.mdp import (
    Family,
    best_return,
    normalised_return,
    random_mdps,
    state_action_values,
    state_visits,
)

FAMILIES = [
    Family(2, 2, 2),
    Family(3, 2, 2, sparse=True, fitted=True),
    Family(2, 3, 1),
    Family(3, 1, 2, fitted=True),
    Family(2, 2, 3, sparse=True),
]


def drawn(family, count=6, seed=0):
    return random_mdps(np.random.default_rng(seed), count, family)


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_recursion_is_enumeration(family, shift):
    mdps = drawn(family)
    value = state_action_values(mdps)
    bounds = bound.alm_bound(bound.rollout_terms(mdps, 3, value), mdps.discount, shift)
    for i in range(mdps.count):
        for k in range(4):
            found = enumerated_bound(mdps.one(i), k, value[i : i + 1], shift)
            assert found == pytest.approx(bounds[i, k], rel=0, abs=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_trajectories_are_distributions(family):
    mdp = drawn(family).one(0)
    for length in range(3):
        found = trajectories(mdp, length)
        assert found.p.sum() == pytest.approx(1, abs=1e-12)
        assert found.q.sum() == pytest.approx(1, abs=1e-12)


def test_best_discounts_by_enumeration():
    """log Σ_H P_K(H) exp ℓ_H with ℓ_H from every trajectory, and no discount distribution does better."""
    mdps, horizon = drawn(Family(2, 2, 2)), 2
    value = state_action_values(mdps)
    terms = bound.rollout_terms(mdps, horizon, value)
    bounds = bound.optimal_discount_bound(terms, mdps.discount)[:, horizon]
    rng = np.random.default_rng(1)
    for i in range(mdps.count):
        mdp, evidence = mdps.one(i), []
        for h in range(horizon + 1):
            every = trajectories(mdp, h)
            psi = outcome(mdp, every, value[i : i + 1], h == horizon)
            evidence.append(mean(every.q, every.log_ratio + np.log(psi)))
        scores = np.log(truncated_geometric(mdp.discount[0], horizon)) + evidence
        assert bounds[i] == pytest.approx(np.log(np.exp(scores).sum()), rel=0, abs=1e-12)
        for share in rng.dirichlet(np.ones(horizon + 1), size=50):
            assert share @ (scores - np.log(share)) <= bounds[i] + 1e-12
    optimal = ascent.best_discounts(mdps, horizon)
    np.testing.assert_allclose(optimal[-1], np.exp(scores) / np.exp(scores).sum(), rtol=0, atol=1e-12)


def test_value_is_a_sum_of_discounted_rewards():
    mdps = drawn(Family(4, 3, 2), seed=2)
    policy = mdps.state_policy
    total, visits = np.zeros(mdps.count), mdps.initial
    seen = np.zeros_like(visits)
    for t in range(6000):
        power = mdps.discount**t
        total += (1 - mdps.discount) * power * np.einsum("ns,nsa,nsa->n", visits, policy, mdps.reward)
        seen += power[:, None] * visits
        visits = np.einsum("ns,nsa,nsat->nt", visits, policy, mdps.dynamics)
    np.testing.assert_allclose(normalised_return(mdps), total, rtol=1e-12)
    np.testing.assert_allclose(state_visits(mdps), seen, rtol=1e-11)


def test_best_return_by_all_deterministic_policies():
    mdps = drawn(Family(3, 2, 2, sparse=True), seed=5)
    policies = np.indices((2,) * 3).reshape(3, -1).T
    returns = [
        normalised_return(mdps, np.broadcast_to(np.eye(2)[choice], (mdps.count, 3, 2))) for choice in policies
    ]
    np.testing.assert_allclose(best_return(mdps), np.max(returns, axis=0), rtol=1e-10)


def test_bound_converges_to_its_limit_as_gamma_to_the_k():
    mdps = drawn(Family(3, 2, 2), count=20, seed=3)
    value = state_action_values(mdps)
    bounds = bound.alm_bound(bound.rollout_terms(mdps, 3000, value), mdps.discount)
    limit = bound.endless_bound(mdps)
    np.testing.assert_allclose(bounds[:, -1], limit, rtol=1e-10)
    # |L^K − L^∞| ≤ γ^K (max |log Q| + max |log r| + max KL / (1 − γ)).
    largest = np.abs(np.log(value)).max(axis=(1, 2)) + np.abs(np.log(mdps.reward)).max(axis=(1, 2))
    largest += bound.latent_divergence(mdps).max(axis=(1, 2, 3)) / (1 - mdps.discount)
    distance = np.abs(bounds[:, :50] - limit[:, None])
    assert (distance <= bound.discounts(mdps.discount, 49) * largest[:, None] + 1e-10).all()


def test_likeliest_model_has_the_highest_likelihood():
    mdps = drawn(Family(3, 2, 2), count=5)
    joint = np.einsum(
        "ns,nsz,nza,nsat,nty->nzay",
        state_visits(mdps),
        mdps.encoder,
        mdps.policy,
        mdps.dynamics,
        mdps.encoder,
    )
    best = (joint * np.log(mdps.fitted().model)).sum(axis=(1, 2, 3))
    rng = np.random.default_rng(6)
    for _ in range(50):
        other = rng.dirichlet(np.ones(2), size=mdps.model.shape[:3])
        assert ((joint * np.log(other)).sum(axis=(1, 2, 3)) <= best).all()


def test_an_encoder_that_is_certain_of_what_is_not_makes_the_bound_endless():
    """Two successors with different latents: no model has a finite divergence to both."""
    mdps = drawn(Family(2, 2, 2), count=5)
    certain = replace(mdps, encoder=np.broadcast_to(np.eye(2), (5, 2, 2)))
    terms = bound.rollout_terms(certain, 2, state_action_values(certain))
    bounds = bound.alm_bound(terms, mdps.discount)
    assert np.isfinite(bounds[:, 0]).all()
    assert (bounds[:, 1:] == -np.inf).all()
    assert (bound.endless_bound(certain) == -np.inf).all()


def test_evidence_bound_of_one_step_without_chance():
    """Eq. 3 at K = 0 is E log Q, as is L^0."""
    mdps = drawn(Family(2, 2, 2))
    value = state_action_values(mdps)
    alm = bound.alm_bound(bound.rollout_terms(mdps, 0, value), mdps.discount)[:, 0]
    for i in range(mdps.count):
        assert evidence_bound(mdps.one(i), 0, value[i : i + 1]) == pytest.approx(alm[i], abs=1e-12)


def test_offline_bound_with_every_factor_by_enumeration():
    mdps, horizon = drawn(Family(2, 2, 2)), 2
    rng = np.random.default_rng(7)
    behaviour = rng.dirichlet(np.ones(2), size=(mdps.count, 2))
    value = state_action_values(mdps, behaviour)
    terms = bound.rollout_terms(mdps, horizon, value)
    cloning = bound.cloning_divergence(mdps, behaviour, horizon)
    bounds = bound.offline_bound(terms, cloning, mdps.discount, every_factor=True)[:, horizon]
    for i in range(mdps.count):
        mdp, total = mdps.one(i), 0.0
        for h, weight in enumerate(truncated_geometric(mdp.discount[0], horizon)):
            every = trajectories(mdp, h)
            ratio = every.log_ratio + np.log(outcome(mdp, every, value[i : i + 1], h == horizon))
            for t in range(h + 1):
                s, z, a = every.state[:, t], every.latent[:, t], every.action[:, t]
                ratio += np.log(behaviour[i][s, a]) - np.log(mdp.policy[0][z, a])
            total += weight * mean(every.q, ratio)
        assert total == pytest.approx(bounds[i], rel=0, abs=1e-12)


def test_mnm_bound_by_enumeration():
    """A random horizon and a model of states, in the limit of many steps."""
    mdps = drawn(Family(2, 1, 1, discounts=(0.5, 0.5)), count=3)
    model = np.random.default_rng(8).dirichlet(np.ones(2), size=(3, 2, 1))
    found = bound.mnm_bound(mdps, model)
    for i in range(3):
        total, length = 0.0, 12
        states = np.indices((2,) * (length + 1)).reshape(length + 1, -1).T
        q = mdps.initial[i][states[:, 0]]
        for t in range(length):
            q = q * model[i, states[:, t], 0, states[:, t + 1]]
        for t in range(length):
            before, after = states[:, t], states[:, t + 1]
            ratio = np.log(mdps.dynamics[i, before, 0, after]) - np.log(model[i, before, 0, after])
            total += 0.5**t * q @ (0.5 * np.log(mdps.reward[i, before, 0]) + ratio)
        assert total == pytest.approx(found[i], abs=0.5**length * 30)
