"""Finite MDPs with latents, many at a time: the factors of p_φ (Eq. 2) and q_φ^K (Eq. 4), and random
families.

Every array has a leading axis N of instances; S states, A actions, Z latents.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Of value iteration, which stops when values no longer change.
_MOST_SWEEPS = 2000


@dataclass(frozen=True)
class LatentMDPs:
    """N finite MDPs, each with an encoder, a policy on latents and a latent-space model."""

    initial: Array
    """p_0(s): (N, S)."""
    dynamics: Array
    """p(s' | s, a): (N, S, A, S)."""
    reward: Array
    """r(s, a) > 0: (N, S, A)."""
    discount: Array
    """γ in [0, 1): (N,)."""
    encoder: Array
    """e_φ(z | s): (N, S, Z)."""
    policy: Array
    """π_φ(a | z): (N, Z, A)."""
    model: Array
    """m_φ(z' | z, a): (N, Z, A, Z)."""

    @property
    def count(self) -> int:
        """N."""
        return len(self.discount)

    @property
    def state_policy(self) -> Array:
        """Σ_z e_φ(z | s) π_φ(a | z), the policy as the environment sees it: (N, S, A)."""
        return self.encoder @ self.policy

    def fitted(self) -> "LatentMDPs":
        """The same MDPs with the maximum-likelihood model under their own policies."""
        return replace(self, model=likeliest_model(self))

    def one(self, index: int) -> "LatentMDPs":
        """Instance ``index``, with N = 1."""
        return LatentMDPs(**{name: array[index : index + 1] for name, array in vars(self).items()})


@dataclass(frozen=True)
class Family:
    """Distribution of random MDPs: their sizes and how they are drawn."""

    states: int = 3
    actions: int = 2
    latents: int = 2
    sparse: bool = False
    """Whether each state and action has two successors (one possibly certain); else Dirichlet over all."""
    fitted: bool = False
    """Whether the model is the maximum-likelihood one; else Dirichlet, independent of the encoder."""
    discounts: tuple[float, float] = (0.5, 0.99)
    spread: float = 1.0
    """Standard deviation of log r(s, a)."""


def state_action_values(mdps: LatentMDPs, state_policy: Array | None = None) -> Array:
    """Q(s, a) = E[(1 − γ) Σ_t γ^t r(s_t, a_t) | s, a], normalised as in Eq. 1 → (N, S, A).

    ``state_policy`` (N, S, A) is followed after the first action; by default it is the MDPs' own.
    """
    policy = mdps.state_policy if state_policy is None else state_policy
    count, states, actions = mdps.reward.shape
    pairs = states * actions
    transition = mdps.dynamics[..., None] * policy[:, None, None]
    matrix = np.eye(pairs) - mdps.discount[:, None, None] * transition.reshape(count, pairs, pairs)
    reward = (1 - mdps.discount)[:, None, None] * mdps.reward.reshape(count, pairs, 1)
    return np.asarray(np.linalg.solve(matrix, reward), dtype=np.float64).reshape(count, states, actions)


def normalised_return(mdps: LatentMDPs, state_policy: Array | None = None) -> Array:
    """E_p[(1 − γ) Σ_t γ^t r(s_t, a_t)], Eq. 1 → (N,)."""
    policy = mdps.state_policy if state_policy is None else state_policy
    return np.einsum("ns,nsa,nsa->n", mdps.initial, policy, state_action_values(mdps, policy))


def state_visits(mdps: LatentMDPs) -> Array:
    """Σ_t γ^t p(s_t = s) → (N, S)."""
    chain = np.einsum("nsa,nsat->nst", mdps.state_policy, mdps.dynamics)
    matrix = np.eye(chain.shape[1]) - mdps.discount[:, None, None] * chain.transpose(0, 2, 1)
    return np.linalg.solve(matrix, mdps.initial[..., None])[..., 0]


def likeliest_model(mdps: LatentMDPs) -> Array:
    """Maximum-likelihood model m(z' | z, a) on the policy's discounted state visits → (N, Z, A, Z)."""
    weight = state_visits(mdps)[..., None] * mdps.encoder
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    following = np.einsum("nsat,ntz->nsaz", mdps.dynamics, mdps.encoder)
    model = np.einsum("nsz,nsay->nzay", weight, following)
    # Latents of no visited state have no data: their prediction is uniform.
    unseen = model.sum(axis=-1, keepdims=True) <= 0.5
    return np.where(unseen, 1 / model.shape[-1], model)


def best_return(mdps: LatentMDPs) -> Array:
    """The largest normalised return of any policy on states, by value iteration → (N,)."""
    discount = mdps.discount[:, None, None]
    value = np.zeros_like(mdps.initial)
    for _ in range(_MOST_SWEEPS):
        following = np.einsum("nsat,nt->nsa", mdps.dynamics, value)
        update = ((1 - discount) * mdps.reward + discount * following).max(axis=-1)
        change = np.abs(update - value).max()
        value = update
        if change < 1e-13:
            break
    return np.einsum("ns,ns->n", mdps.initial, value)


def random_mdps(rng: np.random.Generator, count: int, family: Family) -> LatentMDPs:
    """``count`` MDPs of a ``family``: log-normal rewards, encoders from near-deterministic to near-blind."""
    states, actions, latents = family.states, family.actions, family.latents
    if family.sparse:
        successors = rng.integers(states, size=(count, states, actions, 2))
        weight = np.where(
            rng.random((count, states, actions)) < 0.5, 1.0, rng.random((count, states, actions))
        )
        identity = np.eye(states)
        dynamics = weight[..., None] * identity[successors[..., 0]]
        dynamics = dynamics + (1 - weight[..., None]) * identity[successors[..., 1]]
    else:
        dynamics = rng.dirichlet(np.ones(states), size=(count, states, actions))
    # The softer the encoder, the less its latents reveal about the state.
    softness = np.exp(rng.uniform(np.log(0.1), np.log(3.0), size=(count, 1, 1)))
    scores = rng.gumbel(size=(count, states, latents)) / softness
    encoder = np.exp(scores - scores.max(axis=-1, keepdims=True))
    encoder = encoder / encoder.sum(axis=-1, keepdims=True)
    encoder = 0.98 * encoder + 0.02 / latents
    mdps = LatentMDPs(
        initial=rng.dirichlet(np.ones(states), size=count),
        dynamics=dynamics,
        reward=np.exp(family.spread * rng.standard_normal((count, states, actions))),
        discount=rng.uniform(*family.discounts, size=count),
        encoder=encoder,
        policy=rng.dirichlet(np.ones(actions), size=(count, latents)),
        model=rng.dirichlet(np.ones(latents), size=(count, latents, actions)),
    )
    return mdps.fitted() if family.fitted else mdps
