"""Exact gradients of the bounds and of competing objectives, and gradient ascent on all MDPs at once.

Gradients treat the probabilities of encoder, policy and model as free numbers; `ascend` converts
them to gradients of softmax logits and takes Adam steps. They are derived by hand (one forward pass for
the visits of q^K, one backward pass for what follows, one adjoint linear system for Q); the tests compare
them with finite differences.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from alm.theory.bound import discounts, horizon_evidence, rollout_terms
from alm.theory.mdp import Array, LatentMDPs, normalised_return, state_action_values, state_visits

Gradients = dict[str, Array]
"""Gradients by field name of `LatentMDPs`, each of that field's shape."""
Objective = Callable[[LatentMDPs], Gradients]


@dataclass(frozen=True)
class Weights:
    """Weights of an objective E_q^K[Σ_{t<K} (w_r f(r) + w_z log(e/m)) + w_Q f(Q)]."""

    reward: Array
    """w_r of step t: (N, K)."""
    latent: Array
    """w_z of step t: (N, K)."""
    value: Array
    """w_Q: (N,)."""
    logarithm: bool = True
    """Whether f is the logarithm; else it is the identity."""


def alm_weights(discount: Array, horizon: int, shift: int = 0) -> Weights:
    """Weights of Eq. 5; ``shift`` = 1 gives the latent terms the proof's weights γ^(t + 1)."""
    gamma = discounts(discount, horizon)
    steps = gamma[:, :-1]
    return Weights((1 - discount)[:, None] * steps, steps * discount[:, None] ** shift, gamma[:, -1])


def plain_weights(discount: Array, horizon: int, weight: float) -> Weights:
    """Weights of the objective without logarithms (A.8 (d)); those of latent terms are ``weight`` γ^t."""
    alm = alm_weights(discount, horizon)
    return replace(alm, latent=weight * alm.latent, logarithm=False)


def discount_weights(distribution: Array) -> Weights:
    """Weights of Σ_H γ(H) ℓ_H for a discount distribution γ(H) over 0 … K, (N, K + 1) (appendix A.4)."""
    tail = np.cumsum(distribution[:, ::-1], axis=1)[:, ::-1]
    return Weights(distribution[:, :-1], tail[:, 1:], distribution[:, -1])


def best_discounts(mdps: LatentMDPs, horizon: int) -> Array:
    """The discount distribution that is optimal for q^K, γ(H) ∝ P_K(H) exp ℓ_H → (N, K + 1)."""
    terms = rollout_terms(mdps, horizon, state_action_values(mdps))
    of_reward, of_value = horizon_evidence(terms)
    gamma = discounts(mdps.discount, horizon)
    score = np.log((1 - mdps.discount)[:, None] * gamma) + of_reward
    score[:, -1] = np.log(gamma[:, -1]) + of_value[:, -1]
    share = np.exp(score - score.max(axis=1, keepdims=True))
    return share / share.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Heads:
    """Rewards and values predicted from latents, as in the practical algorithm."""

    reward: Array
    """E[r(s, a) | z, a]: (N, Z, A)."""
    value: Array
    """E[Q(s, a) | z, a]: (N, Z, A)."""


def fitted_heads(mdps: LatentMDPs) -> Heads:
    """Regressions of reward and Q on latents under the policy's discounted state visits (Eqs. 10 and 11)."""
    weight = state_visits(mdps)[..., None] * mdps.encoder
    weight = weight / np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    weight = weight.transpose(0, 2, 1)
    return Heads(weight @ mdps.reward, weight @ state_action_values(mdps))


def objective_gradient(
    mdps: LatentMDPs, weights: Weights, heads: Heads | None = None
) -> tuple[Array, Gradients]:
    """An objective (N,) and its gradients for encoder, policy and model, including those through Q^φ.

    With ``heads``, rewards and values are predicted from the latents of q^K instead of its states. The heads
    are constants: gradients only flow through the latents they see.
    """
    horizon = weights.reward.shape[1]
    value = state_action_values(mdps) if heads is None else heads.value
    table = mdps.reward if heads is None else heads.reward
    if weights.logarithm:
        of_reward, of_value, slope = np.log(table), np.log(value), 1 / value
    else:
        of_reward, of_value, slope = table, value, np.ones_like(value)

    # Actions come first, so that everything below is a product of small matrices.
    dynamics, model = (
        mdps.dynamics.transpose(0, 2, 1, 3),
        mdps.model.transpose(0, 2, 1, 3),
    )  # (N, A, S|Z, S'|Z')
    policy = mdps.policy.transpose(0, 2, 1)[:, :, None]  # (N, A, 1, Z)
    log_model, log_encoder = np.log(model), np.log(mdps.encoder)
    entropy = (model * log_model).sum(axis=-1)
    # KL(m(·|z, a) ‖ e(·|s')) → (N, A, S', Z), and its mean over s' → (N, A, S, Z).
    divergence = entropy[:, :, None] - log_encoder[:, None] @ model.transpose(0, 1, 3, 2)
    expected = dynamics @ divergence

    visits, arrivals = [mdps.initial[..., None] * mdps.encoder], []
    for _ in range(horizon):
        arrivals.append(dynamics.transpose(0, 1, 3, 2) @ (visits[-1][:, None] * policy))  # (N, A, S', Z)
        visits.append((arrivals[-1] @ model).sum(axis=1))

    axis = -1 if heads is None else -2  # tables of states (N, A, S, 1) or of latents (N, A, 1, Z)
    reward = np.expand_dims(of_reward.transpose(0, 2, 1), axis)
    of_value = np.expand_dims(of_value.transpose(0, 2, 1), axis)
    following = np.broadcast_to(weights.value[:, None, None, None] * of_value, expected.shape)
    last = visits[horizon]
    by_policy = (last[:, None] * following).sum(axis=2)  # (N, A, Z)
    by_model = np.zeros_like(model)
    charged = np.zeros_like(expected)  # Σ_t w_z · arrivals
    ahead = (policy * following).sum(axis=1)  # (N, S, Z): objective to go from (s, z)
    for t in reversed(range(horizon)):
        by_model += arrivals[t].transpose(0, 1, 3, 2) @ ahead[:, None]
        charged += weights.latent[:, t, None, None, None] * arrivals[t]
        following = (
            weights.reward[:, t, None, None, None] * reward
            - weights.latent[:, t, None, None, None] * expected
            + dynamics @ ahead[:, None] @ model.transpose(0, 1, 3, 2)
        )
        by_policy = by_policy + (visits[t][:, None] * following).sum(axis=2)
        ahead = (policy * following).sum(axis=1)
    objective = np.einsum("nsz,nsz->n", visits[0], ahead)

    by_model -= (
        charged.sum(axis=2)[..., None] * (log_model + 1)
        - charged.transpose(0, 1, 3, 2) @ log_encoder[:, None]
    )
    by_encoder = mdps.initial[..., None] * ahead + (charged @ model).sum(axis=1) / mdps.encoder
    by_policy = by_policy.transpose(0, 2, 1)
    if heads is None:
        # Through Q^φ: the adjoint of (I − γ T) Q = (1 − γ) r.
        at_end = (last[:, None] * policy).sum(axis=-1).transpose(0, 2, 1)  # q(s_K, a_K)
        through = value_gradient(mdps, weights.value[:, None, None] * at_end * slope, value)
        by_encoder, by_policy = by_encoder + through["encoder"], by_policy + through["policy"]
    return objective, {"encoder": by_encoder, "policy": by_policy, "model": by_model.transpose(0, 2, 1, 3)}


def value_gradient(mdps: LatentMDPs, by_value: Array, value: Array) -> Gradients:
    """Gradients of Σ ``by_value`` · Q^φ, both (N, S, A), for encoder and policy."""
    count, states, actions = value.shape
    pairs = states * actions
    transition = (mdps.dynamics[..., None] * mdps.state_policy[:, None, None]).reshape(count, pairs, pairs)
    matrix = np.eye(pairs) - mdps.discount[:, None, None] * transition.transpose(0, 2, 1)
    adjoint = np.linalg.solve(matrix, by_value.reshape(count, pairs, 1)).reshape(count, 1, pairs)
    reached = (adjoint @ mdps.dynamics.reshape(count, pairs, states)).reshape(count, states, 1)
    by_state_policy = mdps.discount[:, None, None] * reached * value
    return {
        "encoder": by_state_policy @ mdps.policy.transpose(0, 2, 1),
        "policy": mdps.encoder.transpose(0, 2, 1) @ by_state_policy,
    }


def return_gradient(mdps: LatentMDPs) -> Gradients:
    """Gradients of log E_p[R], the bounded quantity, for encoder and policy."""
    by_state_policy = state_visits(mdps)[..., None] * state_action_values(mdps)
    by_state_policy /= normalised_return(mdps)[:, None, None]
    return {
        "encoder": by_state_policy @ mdps.policy.transpose(0, 2, 1),
        "policy": mdps.encoder.transpose(0, 2, 1) @ by_state_policy,
    }


def reconstruction_gradient(mdps: LatentMDPs) -> tuple[Array, Array]:
    """E[log d(s | z)] with the best decoder d on the policy's own visits (N,), and its gradient for the
    encoder.

    Visits are constants: no gradient flows through them. The best decoder is d(s | z) ∝ p(s) e(z | s), which
    the envelope theorem lets us treat as constant, so the gradient is p(s) log d(s | z).
    """
    visited = (1 - mdps.discount)[:, None] * state_visits(mdps)
    joint = visited[..., None] * mdps.encoder
    with np.errstate(divide="ignore"):
        decoder = np.log(joint) - np.log(joint.sum(axis=1, keepdims=True))
    decoder = np.maximum(decoder, -700.0)  # states that are never visited
    return (joint * decoder).sum(axis=(1, 2)), visited[..., None] * decoder


def imagined_return_gradient(mdps: LatentMDPs) -> tuple[Array, Array]:
    """Normalised return of the policy in the latent model (N,), and its gradient for the policy.

    z_0 ~ e(·|s_0), z' ~ m(·|z, a), rewards E[r(s, a) | z, a] on the policy's own visits: a model-based agent
    that never looks outside its model.
    """
    weight = state_visits(mdps)[..., None] * mdps.encoder
    total = np.maximum(weight.sum(axis=1), np.finfo(float).tiny)
    latent = LatentMDPs(
        initial=np.einsum("ns,nsz->nz", mdps.initial, mdps.encoder),
        dynamics=mdps.model,
        reward=np.einsum("nsz,nsa->nza", weight, mdps.reward) / total[..., None],
        discount=mdps.discount,
        encoder=np.broadcast_to(np.eye(mdps.policy.shape[1]), mdps.model[:, :, 0].shape),
        policy=mdps.policy,
        model=mdps.model,
    )
    value = state_action_values(latent)
    return normalised_return(latent), state_visits(latent)[..., None] * value


def ascend(
    mdps: LatentMDPs, objective: Objective, steps: int, progress: Callable[[], None] | None = None
) -> LatentMDPs:
    """The MDPs after Adam steps of size 0.1 on the softmax logits of every table that has a gradient."""
    logits: dict[str, Array] = {}
    first: dict[str, Array] = {}
    second: dict[str, Array] = {}
    for step in range(1, steps + 1):
        learned: dict[str, Array] = {}
        for name, gradient in objective(mdps).items():
            table = getattr(mdps, name)
            if name not in logits:
                logits[name] = np.log(table)
                first[name], second[name] = np.zeros_like(table), np.zeros_like(table)
            slope = table * (gradient - (table * gradient).sum(axis=-1, keepdims=True))
            first[name] = 0.9 * first[name] + 0.1 * slope
            second[name] = 0.999 * second[name] + 0.001 * slope**2
            mean, spread = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
            logits[name] = logits[name] + 0.1 * mean / (np.sqrt(spread) + 1e-8)
            learned[name] = softmax(logits[name])
        mdps = replace(mdps, **learned)
        if progress:
            progress()
    return mdps


def softmax(logits: Array) -> Array:
    """Probabilities over the last axis, none below 1e-12, so that logarithms stay finite."""
    share = np.exp(logits - logits.max(axis=-1, keepdims=True))
    share = np.maximum(share / share.sum(axis=-1, keepdims=True), 1e-12)
    return share / share.sum(axis=-1, keepdims=True)
