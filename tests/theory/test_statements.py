"""Verdicts on the paper's statements, and each counterexample by hand and over every trajectory."""

from math import e, inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alm.theory import bound, counterexamples
from alm.theory.enumeration import (
    enumerated_bound,
    mean,
    outcome,
    trajectories,
    truncated_geometric,
)
from alm.theory.mdp import Family, LatentMDPs, normalised_return, random_mdps, state_action_values
from alm.theory.statements import check_all
from alm.theory.verdicts import Tally, Verdict

FINDINGS = check_all(np.random.default_rng(1), count=40)

VERDICTS = [
    ("Eq. 3 with Eq. 4", Verdict.HOLDS),
    ("Theorem 3.1", Verdict.LOOSE),
    ("Section 3.3", Verdict.FAILS),
    ("Section 3.3", Verdict.CONDITION),
    ("Eq. 7, footnote 2", Verdict.OTHERWISE),
    ("Lemma A.1", Verdict.HOLDS),
    ("Lemma A.2", Verdict.FAILS),
    ("Lemma A.2", Verdict.HOLDS),
    ("Lemma A.3", Verdict.HOLDS),
    ("A.2, step (f)", Verdict.FAILS),
    ("A.2, weights", Verdict.HOLDS),
    ("A.2, weights", Verdict.HOLDS),
    ("Lemma A.4 (A.3)", Verdict.HOLDS),
    ("A.4", Verdict.HOLDS),
    ("A.4", Verdict.HOLDS),
    ("A.4", Verdict.HOLDS),
    ("A.5", Verdict.HOLDS),
    ("A.5", Verdict.HOLDS),
    ("A.6", Verdict.HOLDS),
    ("A.6, the inequality", Verdict.FAILS),
    ("A.7, on the behaviour policy", Verdict.FAILS),
    ("A.7, on the behaviour policy", Verdict.HOLDS),
    ("A.7, on the learned policy", Verdict.FAILS),
    ("A.7, on the learned policy", Verdict.CONDITION),
    ("A.8", Verdict.CONDITION),
    ("A.8, step (c)", Verdict.FAILS),
    ("A.8 and Eq. 8", Verdict.HOLDS),
    ("Eq. 8, c = 0.1", Verdict.OTHERWISE),
    ("Eq. 8, c = 1", Verdict.OTHERWISE),
    ("F", Verdict.HOLDS),
    ("F", Verdict.FAILS),
    ("F", Verdict.CONDITION),
    ("F", Verdict.HOLDS),
]


def test_verdicts():
    assert [(one.place, one.verdict) for one in FINDINGS] == VERDICTS


def test_verdicts_follow_from_counts():
    for one in FINDINGS:
        if one.verdict in (Verdict.HOLDS, Verdict.LOOSE, Verdict.CONDITION):
            assert one.violations == 0
        else:
            assert one.violations or one.counterexample


def test_a_tally_counts():
    tally = Tally()
    tally.excess(np.array([0.0, 1.0, -inf]), np.array([0.0, 0.5, 0.0]))
    assert (tally.instances, tally.violations, tally.worst) == (3, 1, 0.5)
    assert tally.verdict() is Verdict.FAILS
    other = Tally()
    other.difference(np.array([1.0, -inf]), np.array([1.0, 0.0]))
    assert (other.instances, other.violations, other.worst) == (2, 1, inf)


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        ("difference", 1.0, inf),
        ("difference", np.nan, 0.0),
        ("excess", inf, 0.0),
        ("excess", 1.0, -inf),
        ("excess", np.nan, 0.0),
    ],
)
def test_a_breakdown_of_the_arithmetic_confirms_nothing(kind, left, right):
    tally = Tally()
    getattr(tally, kind)(np.array([left, 0.0]), np.array([right, 0.0]))
    assert (tally.instances, tally.violations, tally.worst) == (2, 1, inf)


def every_trajectory(example, shift):
    """The example's bound by enumeration, with its own Q."""
    return enumerated_bound(example.mdp, example.horizon, state_action_values(example.mdp), shift)


def return_of(mdp, behaviour=None):
    """The normalised return over every trajectory of 40 steps of a small MDP, by powers of its chain."""
    policy = (mdp.state_policy if behaviour is None else behaviour)[0]
    visits, total, gamma = mdp.initial[0], 0.0, mdp.discount[0]
    for t in range(60):
        total += (1 - gamma) * gamma**t * (visits[:, None] * policy * mdp.reward[0]).sum()
        visits = np.einsum("s,sa,sat->t", visits, policy, mdp.dynamics[0])
    return total


def test_learned_discount_by_hand():
    example = counterexamples.learned_discount()
    # Q = r / 2 + 2.5 / 2; the best discounts add ½ exp E log r and ½ exp E log Q.
    assert example.left == pytest.approx(log(0.5 * 2 + 0.5 * (1.75 * 3.25) ** 0.5), abs=1e-12)
    assert example.right == pytest.approx(log(2.5), abs=1e-12)
    assert return_of(example.mdp) == pytest.approx(2.5)
    scores = []
    for h, weight in enumerate(truncated_geometric(0.5, 1)):
        every = trajectories(example.mdp, h)
        psi = outcome(example.mdp, every, state_action_values(example.mdp), h == 1)
        scores.append(log(weight) + mean(every.q, every.log_ratio + np.log(psi)))
    assert example.left == pytest.approx(log(sum(np.exp(scores))), abs=1e-12)
    assert example.left < example.right - 0.1


def test_undiscounted_by_hand():
    example = counterexamples.undiscounted()
    assert (example.left, example.right) == (pytest.approx(1.5), pytest.approx(1.0))
    assert return_of(example.mdp) == pytest.approx(e)


def test_printed_discounting_by_hand():
    example = counterexamples.printed_discounting()
    assert (example.left, example.right) == (pytest.approx(1.5), pytest.approx(1.0))
    assert return_of(example.mdp) == pytest.approx(1)


def test_latent_factors_by_hand():
    example = counterexamples.latent_factors()
    divergence = 0.25 * log(0.5) + 0.75 * log(1.5)
    assert example.left == pytest.approx(-1.5 * divergence, abs=1e-12)
    assert example.right == pytest.approx(-0.5 * divergence, abs=1e-12)
    # What (e) is, over every trajectory: H factors.
    total = 0.0
    for h, weight in enumerate(truncated_geometric(0.5, 1)):
        every = trajectories(example.mdp, h)
        total += weight * mean(every.q, every.log_ratio)
    assert total == pytest.approx(example.right, abs=1e-12)
    assert every_trajectory(example, 0) == pytest.approx(-divergence, abs=1e-12)


def test_tight_weights_by_hand():
    example = counterexamples.tight_weights()
    assert return_of(example.mdp) == pytest.approx(4)
    assert every_trajectory(example, 1) == pytest.approx(log(4), abs=1e-12)
    assert every_trajectory(example, 2) == pytest.approx(example.left, abs=1e-12)
    divergence = 0.25 * log(0.5) + 0.75 * log(1.5)
    assert example.left == pytest.approx(log(4) + 0.25 * divergence, abs=1e-12)


def test_printed_step_by_hand():
    example = counterexamples.printed_step()
    assert (example.left, example.right) == (pytest.approx(-0.875), pytest.approx(-1))


def test_behaviour_return_by_hand():
    example = counterexamples.behaviour_return()
    assert np.exp(example.left) == pytest.approx(4)
    assert np.exp(example.right) == pytest.approx(3.25)
    assert return_of(example.mdp, example.behaviour) == pytest.approx(3.25)
    complete = counterexamples.offline(example.mdp, example.behaviour, 1, every_factor=True)
    assert np.exp(complete) == pytest.approx(2)


def test_behaviour_return_needs_two_states():
    """With one state no printed bound of K ≥ 1 exceeds the return of the behaviour policy."""
    rng = np.random.default_rng(9)
    mdps = random_mdps(rng, 3000, Family(1, 2, 1, spread=2.0))
    behaviour = rng.dirichlet(np.ones(2), size=(3000, 1))
    terms = bound.rollout_terms(mdps, 6, state_action_values(mdps, behaviour))
    cloning = bound.cloning_divergence(mdps, behaviour, 6)
    bounds = bound.offline_bound(terms, cloning, mdps.discount, every_factor=False)[:, 1:6]
    assert (bounds <= np.log(normalised_return(mdps, behaviour))[:, None] + 1e-12).all()


def test_learned_return_by_hand():
    example = counterexamples.learned_return()
    # Q of π_b is (1 + 17) / 2 = 9 at the first action: exp ½ log 1 · ½ · 9^½.
    assert np.exp(example.left) == pytest.approx(1.5)
    assert return_of(example.mdp) == pytest.approx(1)
    assert return_of(example.mdp, example.behaviour) == pytest.approx(17)


def test_identity_encoder_by_hand():
    example = counterexamples.identity_encoder()
    assert example.left == -inf
    assert example.right == pytest.approx(0, abs=1e-12)
    assert every_trajectory(example, 0) == -inf
    # A divergence of log ½ − ½ (log ε + log(1 − ε)) a step, 1 / (1 − γ) = 2 steps.
    for softness in (0.1, 1e-6):
        expected = -2 * (log(0.5) - 0.5 * (log(softness) + log(1 - softness)))
        assert counterexamples.softened(example, softness) == pytest.approx(expected, abs=1e-12)


@st.composite
def mdps_(draw):
    """One MDP of any small size, with rewards over several orders of magnitude."""
    family = Family(
        states=draw(st.integers(1, 4)),
        actions=draw(st.integers(1, 3)),
        latents=draw(st.integers(1, 3)),
        sparse=draw(st.booleans()),
        fitted=draw(st.booleans()),
        discounts=(draw(st.sampled_from([0.0, 0.3, 0.5, 0.9, 0.99])),) * 2,
        spread=draw(st.sampled_from([0.1, 1.0, 3.0])),
    )
    return random_mdps(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), 1, family)


def slack(bounds):
    return 1e-9 * (1 + np.abs(bounds))


@settings(max_examples=150, deadline=None)
@given(mdps_(), st.integers(0, 10))
def test_bounds_are_below_the_return_and_in_order(mdp: LatentMDPs, horizon):
    terms = bound.rollout_terms(mdp, horizon + 1, state_action_values(mdp))
    printed = bound.alm_bound(terms, mdp.discount)[0]
    proved = bound.alm_bound(terms, mdp.discount, shift=1)[0]
    best = bound.optimal_discount_bound(terms, mdp.discount)[0]
    log_return = np.log(normalised_return(mdp))[0]
    assert (printed <= proved + slack(proved)).all()
    assert (proved <= best + slack(best)).all()
    assert (best <= log_return + slack(log_return)).all()
    for bounds in (printed, proved, best):
        assert (np.diff(bounds) <= slack(bounds[1:])).all()


@settings(max_examples=100, deadline=None)
@given(mdps_(), st.floats(0, 0.99))
def test_lambda_average_is_a_bound(mdp: LatentMDPs, trace):
    terms = bound.rollout_terms(mdp, 2000, state_action_values(mdp))
    bounds = bound.alm_bound(terms, mdp.discount)[0, 1:]
    average = (1 - trace) * (trace ** np.arange(len(bounds)) * bounds).sum()
    log_return = np.log(normalised_return(mdp))[0]
    assert average <= log_return + slack(log_return)
    assert average <= bounds[0] + slack(bounds[0])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=11), st.floats(0.01, 0.99))
def test_truncated_geometric_is_discounting(quantity, discount):
    horizon = len(quantity) - 1
    weights = truncated_geometric(discount, horizon)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    total = sum(w * sum(quantity[: h + 1]) for h, w in enumerate(weights))
    assert total == pytest.approx(sum(discount**t * x for t, x in enumerate(quantity)), abs=1e-8)


@settings(max_examples=100, deadline=None)
@given(mdps_(), st.integers(0, 2**32 - 1))
def test_offline_bounds_with_their_readings(mdp: LatentMDPs, seed):
    states, actions = mdp.reward.shape[1:]
    behaviour = np.random.default_rng(seed).dirichlet(np.ones(actions), size=(1, states))
    cloning = bound.cloning_divergence(mdp, behaviour, 6)
    theirs = bound.rollout_terms(mdp, 6, state_action_values(mdp, behaviour))
    complete = bound.offline_bound(theirs, cloning, mdp.discount, every_factor=True)[0]
    log_return = np.log(normalised_return(mdp, behaviour))[0]
    assert (complete <= log_return + slack(log_return)).all()
    own = bound.rollout_terms(mdp, 6, state_action_values(mdp))
    printed = bound.offline_bound(own, cloning, mdp.discount, every_factor=False)[0, :6]
    log_return = np.log(normalised_return(mdp))[0]
    assert (printed <= log_return + slack(log_return)).all()


@settings(max_examples=50, deadline=None)
@given(mdps_(), st.sampled_from([10.0, 1e3, 1e5]))
def test_error_of_the_omitted_logarithm(mdp: LatentMDPs, shift):
    """|a (L − log a) − plain| ≤ max r² / (2a)."""
    value = state_action_values(mdp)
    raised = LatentMDPs(**(vars(mdp) | {"reward": mdp.reward + shift}))
    with_logarithm = bound.alm_bound(bound.rollout_terms(raised, 5, value + shift), mdp.discount)
    plain = bound.plain_objective(bound.rollout_terms(mdp, 5, value), mdp.discount, shift)
    error = np.abs(shift * (with_logarithm - np.log(shift)) - plain).max()
    assert error <= mdp.reward.max() ** 2 / (2 * shift) + 1e-9 * shift
