"""The objective L^K (Eqs. 5 and 6) and its relatives, by forward recursion over the visits of q_φ^K.

Under q^K the state follows the environment and the latent follows the model, both given the action that the
policy draws from the *latent*; given (s, z, a), s' and z' are independent. All expectations of Eq. 5
therefore follow from the joint distribution of (s_t, z_t), and E_q[log e(z'|s') − log m(z'|z, a)] =
−E[KL(m(·|z, a) ‖ e(·|s'))] ≤ 0.
"""

from dataclasses import dataclass

import numpy as np

from alm.theory.mdp import Array, LatentMDPs


@dataclass(frozen=True)
class Terms:
    """Summands of the bounds: expectations under q^K at steps t = 0 … K, each (N, K + 1)."""

    log_reward: Array
    """E_q[log r(s_t, a_t)]."""
    divergence: Array
    """E_q[KL(m(·|z_t, a_t) ‖ e(·|s_{t+1}))], the negated intrinsic term (b) of Eq. 6."""
    log_value: Array
    """E_q[log Q(s_t, a_t)]."""
    reward: Array
    """E_q[r(s_t, a_t)], for the objective without logarithms."""
    value: Array
    """E_q[Q(s_t, a_t)], for the objective without logarithms."""


def occupancies(mdps: LatentMDPs, horizon: int) -> Array:
    """q^K(s_t = s, z_t = z) for t = 0 … ``horizon`` → (N, horizon + 1, S, Z)."""
    joint = mdps.initial[..., None] * mdps.encoder
    steps = [joint]
    dynamics, model = (
        mdps.dynamics.transpose(0, 2, 3, 1),
        mdps.model.transpose(0, 2, 1, 3),
    )  # p(s'|·), m(z'|·)
    for _ in range(horizon):
        acting = joint[:, None] * mdps.policy.transpose(0, 2, 1)[:, :, None]  # (N, A, S, Z)
        joint = (dynamics @ acting @ model).sum(axis=1)
        steps.append(joint)
    return np.stack(steps, axis=1)


def latent_divergence(mdps: LatentMDPs) -> Array:
    """KL(m(·|z, a) ‖ e(·|s')) → (N, Z, A, S); infinite where the model's support exceeds the encoder's."""
    model, encoder = mdps.model[:, :, :, None], mdps.encoder[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(model > 0, model * (np.log(model) - np.log(encoder)), 0.0)
    return each.sum(axis=-1)


def expected_divergence(mdps: LatentMDPs) -> Array:
    """E_{s'}[KL(m(·|z, a) ‖ e(·|s'))] → (N, S, Z, A)."""
    divergence = latent_divergence(mdps)
    endless = np.isinf(divergence)
    finite = np.einsum("nsat,nzat->nsza", mdps.dynamics, np.where(endless, 0.0, divergence))
    reached = np.einsum("nsat,nzat->nsza", mdps.dynamics, endless.astype(float)) > 0
    return np.where(reached, np.inf, finite)


def expectation(visits: Array, quantity: Array) -> Array:
    """Σ_{s,z,a} of ``visits`` (N, T, S, Z, A) times ``quantity`` (N, S, Z, A), where 0 · ∞ is 0 → (N, T)."""
    endless = np.isinf(quantity)
    total = np.einsum("ntsza,nsza->nt", visits, np.where(endless, 0.0, quantity))
    if endless.any():
        total = np.where(np.einsum("ntsza,nsza->nt", visits, endless.astype(float)) > 0, np.inf, total)
    return total


def rollout_terms(mdps: LatentMDPs, horizon: int, value: Array) -> Terms:
    """The `Terms` of q^K for K = ``horizon``, with Q(s, a) = ``value`` (N, S, A)."""
    acting = occupancies(mdps, horizon)[..., None] * mdps.policy[:, None, None]
    on_states = acting.sum(axis=3)

    def mean(quantity: Array) -> Array:
        return np.einsum("ntsa,nsa->nt", on_states, quantity)

    return Terms(
        log_reward=mean(np.log(mdps.reward)),
        divergence=expectation(acting, expected_divergence(mdps)),
        log_value=mean(np.log(value)),
        reward=mean(mdps.reward),
        value=mean(value),
    )


def discounts(discount: Array, horizon: int) -> Array:
    """γ^t for t = 0 … ``horizon`` → (N, horizon + 1)."""
    return discount[:, None] ** np.arange(horizon + 1)


def before(steps: Array) -> Array:
    """Σ_{t<K} of ``steps`` (N, T) for K = 0 … T − 1 → (N, T)."""
    total = np.cumsum(steps, axis=1)
    return np.concatenate([np.zeros_like(total[:, :1]), total[:, :-1]], axis=1)


def alm_bound(terms: Terms, discount: Array, shift: int = 0) -> Array:
    """L^K of Eq. 5 for every K = 0 … T − 1 → (N, T).

    Latent terms of step t have weight γ^(t + shift): 0 as printed, 1 by the proof (the likelihood ratio of
    H + 1 steps has H latent factors, so the term of z_{t+1} counts when H ≥ t + 1).
    """
    gamma = discounts(discount, terms.reward.shape[1] - 1)
    weight = discount[:, None] ** shift
    step = gamma * ((1 - discount[:, None]) * terms.log_reward - weight * terms.divergence)
    return before(step) + gamma * terms.log_value


def horizon_evidence(terms: Terms) -> tuple[Array, Array]:
    """ℓ_H = E_q[Σ_{t<H} log(e/m) + log Ψ_H] of A.2 for Ψ = r (H < K) and for Ψ = Q (H = K), each (N, T)."""
    spent = before(terms.divergence)
    return terms.log_reward - spent, terms.log_value - spent


def optimal_discount_bound(terms: Terms, discount: Array) -> Array:
    """Bound with the best discount distribution for this q^K, log Σ_H P_K(H) exp ℓ_H, for every K → (N,
    T).

    It maximises Σ_H γ(H) (ℓ_H + log P_K(H) − log γ(H)) (appendix A.4, (c), for any q, optimal or not).
    """
    gamma = discounts(discount, terms.reward.shape[1] - 1)
    of_reward, of_value = horizon_evidence(terms)
    with np.errstate(divide="ignore"):
        early = np.log((1 - discount[:, None]) * gamma) + of_reward
        last = np.log(gamma) + of_value
    so_far = np.full_like(discount, -np.inf)
    bounds = []
    for k in range(gamma.shape[1]):
        bounds.append(np.logaddexp(so_far, last[:, k]))
        so_far = np.logaddexp(so_far, early[:, k])
    return np.stack(bounds, axis=1)


def plain_objective(terms: Terms, discount: Array, weight: Array | float) -> Array:
    """The objective without logarithms (Eq. 8, A.8 (d)) for every K → (N, T).

    E_q[Σ_{t<K} γ^t ((1 − γ) r + w log(e/m)) + γ^K Q], normalised; Eq. 8's r and Q are not, so there
    c = w / (1 − γ).
    """
    gamma = discounts(discount, terms.reward.shape[1] - 1)
    step = gamma * ((1 - discount[:, None]) * terms.reward - np.reshape(weight, (-1, 1)) * terms.divergence)
    return before(step) + gamma * terms.value


def endless_bound(mdps: LatentMDPs) -> Array:
    """L^∞ = E_q[Σ_t γ^t r̃] (appendix F's limit), from one linear system in the visits of (s, z) → (N,)."""
    acting = endless_visits(mdps)[:, None, ..., None] * mdps.policy[:, None, None]
    extrinsic = np.einsum("ntsza,nsa->n", acting, np.log(mdps.reward))
    return (1 - mdps.discount) * extrinsic - expectation(acting, expected_divergence(mdps))[:, 0]


def endless_visits(mdps: LatentMDPs) -> Array:
    """Σ_t γ^t q(s_t = s, z_t = z) of an endless roll-out → (N, S, Z)."""
    count, states, latents = mdps.encoder.shape
    size = states * latents
    chain = np.einsum("nza,nsat,nzay->nszty", mdps.policy, mdps.dynamics, mdps.model).reshape(
        count, size, size
    )
    start = (mdps.initial[..., None] * mdps.encoder).reshape(count, size, 1)
    matrix = np.eye(size) - mdps.discount[:, None, None] * chain.transpose(0, 2, 1)
    return np.linalg.solve(matrix, start).reshape(count, states, latents)


def mnm_bound(mdps: LatentMDPs, state_model: Array) -> Array:
    """MnM's bound (Eysenbach et al., 2021a) for a state model q(s' | s, a), ``state_model`` (N, S, A, S)
    → (N,).

    E_q[Σ_t γ^t ((1 − γ) log r(s_t, a_t) + log p(s_{t+1}|s_t, a_t) − log q(s_{t+1}|s_t, a_t))], with states
    drawn from q; a bound on the log of the normalised return.
    """
    policy = mdps.state_policy
    chain = np.einsum("nsa,nsat->nst", policy, state_model)
    matrix = np.eye(chain.shape[1]) - mdps.discount[:, None, None] * chain.transpose(0, 2, 1)
    visits = np.linalg.solve(matrix, mdps.initial[..., None]) * policy
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(mdps.dynamics) - np.log(state_model)
        intrinsic = np.where(state_model > 0, state_model * ratio, 0.0).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        total = np.where(visits > 0, visits * intrinsic, 0.0).sum(axis=(1, 2))
    return (1 - mdps.discount) * np.einsum("nsa,nsa->n", visits, np.log(mdps.reward)) + total


def cloning_divergence(mdps: LatentMDPs, behaviour: Array, horizon: int) -> Array:
    """E_q[log π_φ(a_t|z_t) − log π_b(a_t|s_t)] ≥ 0 at steps t = 0 … ``horizon`` (appendix A.7) → (N, horizon
    + 1).

    ``behaviour`` is π_b(a | s): (N, S, A).
    """
    policy = mdps.policy[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(policy) - np.log(behaviour[:, :, None])
        each = np.where(policy > 0, policy * ratio, 0.0).sum(axis=-1, keepdims=True)
    visits = occupancies(mdps, horizon)[..., None]
    return expectation(visits, each)


def offline_bound(terms: Terms, cloning: Array, discount: Array, every_factor: bool) -> Array:
    """The bound of appendix A.7 for every K → (N, T).

    As printed, the behaviour-cloning term of a_{t+1} has weight γ^t for t < K; that of a_0 is missing. With
    ``every_factor`` those of a_0 … a_K have weight γ^t and latent terms γ^(t + 1): all factors of the
    likelihood ratio.
    """
    gamma = discounts(discount, terms.reward.shape[1] - 1)
    if every_factor:
        spent = before(gamma * cloning) + gamma * cloning
        return alm_bound(terms, discount, shift=1) - spent
    following = np.concatenate([cloning[:, 1:], np.zeros_like(cloning[:, :1])], axis=1)
    return alm_bound(terms, discount) - before(gamma * following)


def state_terms(mdps: LatentMDPs, horizon: int, value: Array) -> tuple[Array, Array]:
    """E_p[r(s_t, a_t)] and E_p[Q(s_t, a_t)] in the environment for t = 0 … ``horizon``, each (N, T)."""
    policy = mdps.state_policy
    chain = np.einsum("nsa,nsat->nst", policy, mdps.dynamics)
    steps = [mdps.initial]
    for _ in range(horizon):
        steps.append(np.einsum("ns,nst->nt", steps[-1], chain))
    visits = np.stack(steps, axis=1)[..., None] * policy[:, None]
    return np.einsum("ntsa,nsa->nt", visits, mdps.reward), np.einsum("ntsa,nsa->nt", visits, value)
