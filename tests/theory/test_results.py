"""Everything at once: the same rows for the same seed, and what the demonstrations are made of."""

import json
from dataclasses import replace

import numpy as np
import pytest

from alm.theory import ascent, demonstrations
from alm.theory.bound import alm_bound, rollout_terms
from alm.theory.enumeration import mean, trajectories
from alm.theory.mdp import Family, normalised_return, random_mdps, state_action_values
from alm.theory.results import run


@pytest.fixture(scope="module")
def short():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demonstrations, "STEPS", 2)
        fractions = []
        results = run(3, fractions.append)
        again = run(3)
        return results, again, fractions


def test_the_same_bytes_for_the_same_seed(short):
    results, again, _ = short
    assert json.dumps(results) == json.dumps(again)


def test_progress_goes_from_nothing_to_all(short):
    fractions = short[2]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < 0.1
    assert fractions[-1] == 1


def test_exhibits_have_rows_of_one_shape(short):
    for name, rows in short[0].items():
        assert rows, name
        assert all(list(row) == list(rows[0]) for row in rows), name


def test_ascent_raises_what_it_ascends():
    mdps = random_mdps(np.random.default_rng(0), 8, demonstrations.FAMILIES[0])

    def value(now):
        return alm_bound(rollout_terms(now, 3, state_action_values(now)), now.discount)[:, 3]

    learned = ascent.ascend(mdps, demonstrations.on_bound(mdps.discount, 3), 100)
    assert (value(learned) > value(mdps) + 0.1).all()
    best = ascent.ascend(mdps, demonstrations.on_return(mdps.discount, 3), 100)
    assert (normalised_return(best) > normalised_return(mdps)).all()


def test_objective_of_heads_over_every_trajectory():
    """Rewards and values of latents, divergences of states; and its gradient, for the heads are data."""
    mdps, horizon = random_mdps(np.random.default_rng(1), 3, Family(2, 2, 2)), 2
    heads = ascent.fitted_heads(mdps)
    weights = demonstrations.normalised_plain_weights(mdps.discount, horizon, 0.5)

    def listed(now, i):
        mdp, gamma, every = now.one(i), now.discount[i], trajectories(now.one(i), horizon)
        total = gamma**horizon * heads.value[i][every.latent[:, -1], every.action[:, -1]]
        for t in range(horizon):
            s, z, a, y = (
                every.state[:, t + 1],
                every.latent[:, t],
                every.action[:, t],
                every.latent[:, t + 1],
            )
            ratio = np.log(mdp.encoder[0][s, y]) - np.log(mdp.model[0][z, a, y])
            total = total + gamma**t * (1 - gamma) * (heads.reward[i][z, a] + 0.5 * ratio)
        return mean(every.q, total)

    objective, gradients = ascent.objective_gradient(mdps, weights, heads)
    np.testing.assert_allclose(objective, [listed(mdps, i) for i in range(3)], rtol=0, atol=1e-12)
    for name, gradient in gradients.items():
        table = getattr(mdps, name)
        slope = table * (gradient - (table * gradient).sum(axis=-1, keepdims=True))
        for index in np.ndindex(table.shape[1:]):
            moved = []
            for sign in (1, -1):
                logits = np.log(table)
                logits[(slice(None), *index)] += sign * 1e-6
                now = replace(mdps, **{name: ascent.softmax(logits)})
                moved.append(np.array([listed(now, i) for i in range(3)]))
            difference = (moved[0] - moved[1]) / 2e-6
            np.testing.assert_allclose(slope[(slice(None), *index)], difference, rtol=1e-5, atol=1e-8)


def test_lottery_by_hand():
    """L^1 of the lottery is γ (ε log R + (1 − ε) log ½), of the sure reward 0; the return is 1 − γ + γ
    3/2."""
    for row in demonstrations.lottery((0.1, 0.5)):
        chance, jackpot = row["chance"], row["jackpot"]
        expected = 0.9 * (chance * np.log(jackpot) + (1 - chance) * np.log(0.5))
        assert row["L^1 of the lottery"] == pytest.approx(expected, abs=1e-5)
        assert row["L^1 of the sure reward"] == 0
        assert row["log-return of the lottery"] == pytest.approx(np.log(0.1 + 0.9 * 1.5), abs=1e-5)
        assert row["chance under q*"] == pytest.approx(chance * jackpot / 1.5, abs=1e-5)


def test_what_the_optimal_distribution_promises():
    """E_{γ* q*}[Ψ] over every trajectory."""
    from alm.theory.statements import horizon_posteriors

    rows = demonstrations.optimism(np.random.default_rng(4), count=2, horizon=1)
    mdps = random_mdps(np.random.default_rng(4), 2, Family(4, 2, 3, fitted=True))
    value = state_action_values(mdps)
    for i, row in enumerate(rows):
        found = horizon_posteriors(mdps.one(i), 1, value[i : i + 1])
        total = sum(one.weight for one in found)
        promise = 0.0
        for h, one in enumerate(found):
            every = trajectories(mdps.one(i), h)
            table = (value if h == 1 else mdps.reward)[i]
            promise += one.weight / total * one.posterior @ table[every.state[:, -1], every.action[:, -1]]
        assert row["q*"] == pytest.approx(promise, rel=1e-5)
        assert row["q*"] > row["return"]
