"""Enumeration of every trajectory of a small MDP: an independent check of the recursions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alm.theory.mdp import Array, LatentMDPs

Index = NDArray[np.intp]


@dataclass(frozen=True)
class Trajectories:
    """All trajectories of H + 1 steps of one MDP, T of them, with their probabilities."""

    state: Index
    """s_0 … s_H: (T, H + 1)."""
    latent: Index
    """z_0 … z_H: (T, H + 1)."""
    action: Index
    """a_0 … a_H: (T, H + 1)."""
    p: Array
    """p_φ(τ | H) of Lemma A.2: (T,)."""
    q: Array
    """q_φ(τ | H), the H-step roll-out of Eq. 4: (T,)."""

    @property
    def log_ratio(self) -> Array:
        """log p_φ(τ | H) − log q_φ(τ | H), zero where q is zero → (T,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.q > 0, np.log(self.p) - np.log(self.q), 0.0)


def trajectories(mdp: LatentMDPs, length: int) -> Trajectories:
    """Every trajectory of H = ``length`` of the first instance of ``mdp``: (S·Z·A)^(H + 1) of them."""
    (states, latents), actions = mdp.encoder.shape[1:], mdp.policy.shape[2]
    steps = length + 1
    index = np.indices((states, latents, actions) * steps).reshape(3 * steps, -1).T
    s, z, a = index[:, 0::3], index[:, 1::3], index[:, 2::3]
    initial, dynamics, encoder = mdp.initial[0], mdp.dynamics[0], mdp.encoder[0]
    policy, model = mdp.policy[0], mdp.model[0]
    shared = initial[s[:, 0]] * encoder[s[:, 0], z[:, 0]] * policy[z[:, 0], a[:, 0]]
    real, imagined = np.ones_like(shared), np.ones_like(shared)
    for t in range(1, steps):
        shared = shared * dynamics[s[:, t - 1], a[:, t - 1], s[:, t]] * policy[z[:, t], a[:, t]]
        real = real * encoder[s[:, t], z[:, t]]
        imagined = imagined * model[z[:, t - 1], a[:, t - 1], z[:, t]]
    return Trajectories(s, z, a, shared * real, shared * imagined)


def mean(probability: Array, quantity: Array) -> float:
    """Σ_τ probability · quantity over trajectories of positive probability."""
    likely = probability > 0
    return float(probability[likely] @ quantity[likely])


def enumerated_bound(mdp: LatentMDPs, horizon: int, value: Array, shift: int = 0) -> float:
    """L^K of Eq. 5 for the first instance, K = ``horizon``, Q = ``value`` (1, S, A); ``shift`` as in
    `alm_bound`."""
    gamma = float(mdp.discount[0])
    found = trajectories(mdp, horizon)
    total = gamma**horizon * np.log(value[0][found.state[:, -1], found.action[:, -1]])
    for t in range(horizon):
        s, z, a = found.state[:, t], found.latent[:, t], found.action[:, t]
        following, latent = found.state[:, t + 1], found.latent[:, t + 1]
        total = total + gamma**t * (1 - gamma) * np.log(mdp.reward[0][s, a])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(mdp.encoder[0][following, latent]) - np.log(mdp.model[0][z, a, latent])
        total = total + gamma ** (t + shift) * ratio
    return mean(found.q, total)


def outcome(mdp: LatentMDPs, found: Trajectories, value: Array, last: bool) -> Array:
    """Ψ of Lemma A.2 at the end of each trajectory: Q(s_H, a_H) if H = K (``last``), else r(s_H, a_H) →
    (T,)."""
    table = value[0] if last else mdp.reward[0]
    return table[found.state[:, -1], found.action[:, -1]]


def truncated_geometric(discount: float, horizon: int) -> Array:
    """P_K(H) of Lemma A.1 for H = 0 … K → (K + 1,)."""
    weights: Array = (1 - discount) * discount ** np.arange(horizon + 1.0)
    weights[horizon] = discount**horizon
    return weights


def evidence_bound(mdp: LatentMDPs, horizon: int, value: Array) -> float:
    """Eq. 3 with the q^K of Eq. 4, R(τ) truncated at K with Q: log of the sum, undiscounted ratio."""
    gamma = float(mdp.discount[0])
    found = trajectories(mdp, horizon)
    total = gamma**horizon * value[0][found.state[:, -1], found.action[:, -1]]
    for t in range(horizon):
        total = total + (1 - gamma) * gamma**t * mdp.reward[0][found.state[:, t], found.action[:, t]]
    return mean(found.q, np.log(total) + found.log_ratio)
