"""Pen-and-paper MDPs on which a printed statement fails or cannot be improved."""

from dataclasses import dataclass, replace

import numpy as np

from alm.theory import bound
from alm.theory.mdp import Array, LatentMDPs, normalised_return, state_action_values


@dataclass(frozen=True)
class Counterexample:
    """One MDP, and the two sides of a statement on it."""

    place: str
    """Place of the statement in the paper."""
    mdp: LatentMDPs
    """N = 1."""
    horizon: int
    """K."""
    words: str
    """The MDP in words."""
    claim: str
    """Relation between ``left`` and ``right`` that the statement requires."""
    left: float
    right: float
    behaviour: Array | None = None
    """π_b(a | s) of appendix A.7: (1, S, A)."""


def chain(
    reward: list[list[float]],
    successor: list[list[int]],
    encoder: list[list[float]],
    policy: list[list[float]],
    model: list[list[list[float]]],
    discount: float = 0.5,
) -> LatentMDPs:
    """An MDP with deterministic successors that starts in state 0."""
    states = len(reward)
    return LatentMDPs(
        initial=np.eye(states)[None, 0],
        dynamics=np.eye(states)[np.array(successor)][None],
        reward=np.array(reward, dtype=float)[None],
        discount=np.array([discount]),
        encoder=np.array(encoder, dtype=float)[None],
        policy=np.array(policy, dtype=float)[None],
        model=np.array(model, dtype=float)[None],
    )


def _terms(mdp: LatentMDPs, horizon: int, value: Array | None = None) -> bound.Terms:
    return bound.rollout_terms(mdp, horizon, state_action_values(mdp) if value is None else value)


def printed_discounting() -> Counterexample:
    """Lemma A.2: γ^(t − 1) on the rewards counts them 1/γ times."""
    mdp = chain([[1.0]], [[0]], [[1.0]], [[1.0]], [[[1.0]]])
    rewards, values = bound.state_terms(mdp, 1, state_action_values(mdp))
    printed = 0.5 * 0.5 ** (0 - 1) * rewards[0, 0] + 0.5 * values[0, 1]
    return Counterexample(
        "Lemma A.2",
        mdp,
        1,
        "one state, r = 1",
        "(1 − γ) Σ_{t<K} γ^(t−1) r + γ^K Q (left) = the normalised return (right)",
        float(printed),
        float(normalised_return(mdp)[0]),
    )


def latent_factors() -> Counterexample:
    """A.2 (f): H + 1 latent factors, although the likelihood ratio of H + 1 steps has H."""
    mdp = chain([[1.0]], [[0]], [[0.5, 0.5]], [[1.0], [1.0]], [[[0.25, 0.75]], [[0.25, 0.75]]])
    terms = _terms(mdp, 1)
    printed = terms.divergence[0, 0] + 0.5 * terms.divergence[0, 1]  # by Lemma A.1, including the H-th factor
    return Counterexample(
        "A.2, step (f)",
        mdp,
        1,
        "one state, r = 1, two latents: e = (1/2, 1/2), m = (1/4, 3/4)",
        "right side of (f) as printed (left) = its left side, (e) (right)",
        -float(printed),
        float(bound.alm_bound(terms, mdp.discount, shift=1)[0, 1]),
    )


def tight_weights() -> Counterexample:
    """An MDP on which the bound with γ^(t + 1) equals the log-return: no smaller weight gives a bound."""
    sure = [[0.25, 0.75], [0.25, 0.75]]
    mdp = chain(
        [[4.0, 4.0], [1.0, 9.0], [3.0, 3.0]],
        [[1, 1], [2, 2], [2, 2]],
        [[0.5, 0.5]] * 3,
        [[1.0, 0.0], [0.0, 1.0]],
        [sure, sure],
    )
    return Counterexample(
        "A.2, weights γ^(t+2)",
        mdp,
        1,
        "s_0 → s_1 → s_2 ↺; r = 4 in s_0, 1 or 9 in s_1 by action, 3 in s_2; the latent chooses the action; "
        "e = (1/2, 1/2), m = (1/4, 3/4)",
        "bound with latent weights γ^(t+2) (left) ≤ log of the normalised return (right)",
        float(bound.alm_bound(_terms(mdp, 1), mdp.discount, shift=2)[0, 1]),
        float(np.log(normalised_return(mdp))[0]),
    )


def learned_discount() -> Counterexample:
    """Section 3.3: with a learned discount alone the bound is not tight; the logarithm is inside E_q."""
    mdp = chain([[1.0, 4.0]], [[0, 0]], [[1.0]], [[0.5, 0.5]], [[[1.0], [1.0]]])
    return Counterexample(
        "Section 3.3 and A.5",
        mdp,
        1,
        "one state, one latent (no model error is possible), two actions of reward 1 and 4 with probability "
        "1/2",
        "bound with the best discount distribution (left) = log of the normalised return (right)",
        float(bound.optimal_discount_bound(_terms(mdp, 1), mdp.discount)[0, 1]),
        float(np.log(normalised_return(mdp))[0]),
    )


def printed_step() -> Counterexample:
    """A.6: γ^(K + 1) log Q inside γ^K […], where γ log Q belongs."""
    mdp = chain([[np.exp(-1.0)]], [[0]], [[1.0]], [[1.0]], [[[1.0]]])
    terms, gamma, horizon = _terms(mdp, 2), 0.5, 1
    before = (1 - gamma) * terms.log_reward[0, 0]
    inside = (1 - gamma) * terms.log_reward[0, 1] + gamma ** (horizon + 1) * terms.log_value[0, 2]
    return Counterexample(
        "A.6, the inequality",
        mdp,
        horizon,
        "one state, r = 1/e",
        "L^K (right) ≥ the next line as printed (left)",
        float(before + gamma**horizon * inside),
        float(bound.alm_bound(terms, mdp.discount)[0, horizon]),
    )


def behaviour_return() -> Counterexample:
    """A.7 for the return of the behaviour policy: the first action's factor is missing."""
    behaviour = np.array([[[0.5, 0.5], [0.0, 1.0]]])
    mdp = chain([[1.0, 4.0], [4.0, 4.0]], [[1, 1], [1, 1]], [[1.0]] * 2, [[0.0, 1.0]], [[[1.0], [1.0]]])
    left = offline(mdp, behaviour, 1, every_factor=False)
    return Counterexample(
        "A.7, on the behaviour policy",
        mdp,
        1,
        "s_0 → s_1 ↺, one latent; r = 1 or 4 in s_0 by action, 4 in s_1; π_φ takes the second action, π_b "
        "in s_0 either with probability 1/2",
        "the printed bound (left) ≤ log of π_b's normalised return (right)",
        left,
        float(np.log(normalised_return(mdp, behaviour))[0]),
        behaviour,
    )


def learned_return() -> Counterexample:
    """A.7 for the return of the learned policy, with the behaviour policy's Q."""
    behaviour = np.array([[[0.5, 0.5]]])
    mdp = chain([[1.0, 33.0]], [[0, 0]], [[1.0]], [[1.0, 0.0]], [[[1.0], [1.0]]])
    return Counterexample(
        "A.7, on the learned policy",
        mdp,
        1,
        "one state, one latent, two actions of reward 1 and 33; π_φ takes the first, π_b either with "
        "probability 1/2",
        "the printed bound with Q of π_b (left) ≤ log of π_φ's normalised return (right)",
        offline(mdp, behaviour, 1, every_factor=False),
        float(np.log(normalised_return(mdp))[0]),
        behaviour,
    )


def offline(mdp: LatentMDPs, behaviour: Array, horizon: int, every_factor: bool) -> float:
    """The bound of A.7 on one MDP with π_b's Q, as printed or with every factor of the likelihood ratio."""
    terms = _terms(mdp, horizon, state_action_values(mdp, behaviour))
    cloning = bound.cloning_divergence(mdp, behaviour, horizon)
    return float(bound.offline_bound(terms, cloning, mdp.discount, every_factor)[0, horizon])


def identity_encoder() -> Counterexample:
    """Appendix F: with an identity encoder and chance, L^K is −∞ for every model; MnM's bound is finite."""
    mdp = LatentMDPs(
        initial=np.array([[1.0, 0.0]]),
        dynamics=np.full((1, 2, 1, 2), 0.5),
        reward=np.ones((1, 2, 1)),
        discount=np.array([0.5]),
        encoder=np.eye(2)[None],
        policy=np.ones((1, 2, 1)),
        model=np.full((1, 2, 1, 2), 0.5),
    )
    return Counterexample(
        "F",
        mdp,
        1,
        "two states, the next one is either with probability 1/2 whatever happens, r = 1; e the identity, m "
        "the dynamics",
        "lim L^K (left) = MnM's bound (right)",
        float(bound.endless_bound(mdp)[0]),
        float(bound.mnm_bound(mdp, mdp.dynamics)[0]),
    )


def softened(example: Counterexample, softness: float) -> float:
    """L^∞ of `identity_encoder` if its encoder errs with probability ``softness``."""
    blurred = (1 - softness) * np.eye(2) + softness * (1 - np.eye(2))
    mdp = replace(example.mdp, encoder=blurred[None])
    return float(bound.endless_bound(mdp)[0])


def undiscounted() -> Counterexample:
    """Eq. 7 as coded (footnote 2), with logarithms: the weights of rewards and value sum to more than one."""
    mdp = chain([[np.e]], [[0]], [[1.0]], [[1.0]], [[[1.0]]])
    terms = _terms(mdp, 1)
    return Counterexample(
        "Eq. 7 and footnote 2",
        mdp,
        1,
        "one state, r = e",
        "Eq. 7 without γ, logarithms kept (left) ≤ log of the normalised return (right)",
        float(0.5 * terms.log_reward[0, 0] + terms.log_value[0, 1]),
        float(np.log(normalised_return(mdp))[0]),
    )


def every_counterexample() -> list[Counterexample]:
    """All of them, in the paper's order."""
    return [
        learned_discount(),
        undiscounted(),
        printed_discounting(),
        latent_factors(),
        tight_weights(),
        printed_step(),
        behaviour_return(),
        learned_return(),
        identity_encoder(),
    ]
