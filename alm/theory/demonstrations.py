"""The paper's thesis in exact arithmetic: learning with one objective or with three, and optimism.

Everything is an exact expectation without sampling; all learners use `ascent.ascend` with the same steps and
starts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from alm.theory import ascent, bound
from alm.theory.exhibits import Progress, Row, model_ascent, number
from alm.theory.mdp import (
    Array,
    Family,
    LatentMDPs,
    best_return,
    normalised_return,
    random_mdps,
    state_action_values,
    state_visits,
)

HORIZONS = (1, 3, 10)
STEPS = 300


@dataclass(frozen=True)
class Learner:
    """Learning rule for encoder, model and policy."""

    name: str
    objective: Callable[[Array, int], ascent.Objective]
    """Map from discounts (N,) and K to the gradients to follow."""
    uses_horizon: bool = True
    fits_model: bool = False
    """Whether the model is the maximum-likelihood one at every step instead of learned by ascent."""


def on_return(discount: Array, horizon: int) -> ascent.Objective:
    """The return itself, unknown to any agent: what encoder and policy can reach from the same start."""
    return ascent.return_gradient


def on_bound(discount: Array, horizon: int) -> ascent.Objective:
    """Encoder, model and policy on L^K (Eq. 5)."""
    weights = ascent.alm_weights(discount, horizon)
    return lambda mdps: ascent.objective_gradient(mdps, weights)[1]


def on_plain(coefficient: float) -> Callable[[Array, int], ascent.Objective]:
    """Encoder, model and policy on the objective without logarithms, with latent weight c as in Eq. 8."""

    def build(discount: Array, horizon: int) -> ascent.Objective:
        weights = normalised_plain_weights(discount, horizon, coefficient)
        return lambda mdps: ascent.objective_gradient(mdps, weights)[1]

    return build


def practical(coefficients: tuple[float, float]) -> Callable[[Array, int], ascent.Objective]:
    """The practical algorithm: separate c for encoder and model (Eq. 7) and for the policy (Eq. 8), no
    logarithms.

    Roll-outs start in visited states, and rewards and values are regressions on latents: the prediction for
    a latent is the average over the states that had it. The classifier is exact, and there is no target
    encoder.
    """

    def build(discount: Array, horizon: int) -> ascent.Objective:
        world, policy = (normalised_plain_weights(discount, horizon, one) for one in coefficients)

        def gradient(mdps: LatentMDPs) -> ascent.Gradients:
            visited = (1 - mdps.discount)[:, None] * state_visits(mdps)
            started, heads = replace(mdps, initial=visited), ascent.fitted_heads(mdps)
            found = ascent.objective_gradient(started, world, heads)[1]
            if coefficients[0] == coefficients[1]:
                return found
            return found | {"policy": ascent.objective_gradient(started, policy, heads)[1]["policy"]}

        return gradient

    return build


def separate(discount: Array, horizon: int) -> ascent.Objective:
    """Encoder by reconstruction, model by maximum likelihood, policy on K steps of the model, then Q."""
    weights = normalised_plain_weights(discount, horizon, 0.0)

    def gradient(mdps: LatentMDPs) -> ascent.Gradients:
        fitted = mdps.fitted()
        return {
            "encoder": ascent.reconstruction_gradient(fitted)[1],
            "policy": ascent.objective_gradient(fitted, weights)[1]["policy"],
        }

    return gradient


def separate_imagined(discount: Array, horizon: int) -> ascent.Objective:
    """Like `separate`, but with the policy on endless model roll-outs and rewards predicted from latents."""

    def gradient(mdps: LatentMDPs) -> ascent.Gradients:
        fitted = mdps.fitted()
        return {
            "encoder": ascent.reconstruction_gradient(fitted)[1],
            "policy": ascent.imagined_return_gradient(fitted)[1],
        }

    return gradient


def normalised_plain_weights(discount: Array, horizon: int, coefficient: float) -> ascent.Weights:
    """Weights of Eq. 8 times (1 − γ): `ascent.plain_weights` for rewards in units of normalised returns."""
    weights = ascent.plain_weights(discount, horizon, coefficient)
    return replace(weights, latent=(1 - discount)[:, None] * weights.latent)


LEARNERS = (
    Learner("return", on_return, uses_horizon=False),
    Learner("joint, L^K", on_bound),
    Learner("joint, no logarithm, c = 1", on_plain(1.0)),
    Learner("joint, no logarithm, c = 0.1", on_plain(0.1)),
    Learner("joint, no logarithm, c = 0", on_plain(0.0)),
    Learner("Eqs. 7 and 8", practical((1.0, 0.1))),
    Learner("Eqs. 7 and 8, no KL", practical((0.0, 0.0))),
    Learner("separate", separate, fits_model=True),
    Learner("separate, model only", separate_imagined, uses_horizon=False, fits_model=True),
)
FAMILIES = (Family(6, 3, 2, discounts=(0.7, 0.97)), Family(6, 3, 2, sparse=True, discounts=(0.7, 0.97)))
"""Six states, three actions, two latents: the representation can encode neither states nor actions fully."""
_MDPS = 64
"""MDPs of each family."""
SPREADS = (0.5, 3.0)
"""Range of the standard deviation of log r: from nearly equal rewards to a few dominant ones."""


RIVALS = ("joint, no logarithm, c = 0.1", "Eqs. 7 and 8", "separate")
BEST = "joint, L^K, best of four starts"
"""Eq. 5 again, also started from the results of `RIVALS`; the end point with the largest L^K counts."""


def joint_learning_steps() -> int:
    """Ascent steps of `joint_learning`, for a progress bar."""
    ascents = sum(len(HORIZONS) if one.uses_horizon else 1 for one in LEARNERS)
    return STEPS * len(FAMILIES) * (ascents + len(HORIZONS) * len(RIVALS))


def joint_learning(rng: np.random.Generator, progress: Progress | None = None) -> list[Row]:
    """Results of each `Learner` on random MDPs: one row per family, MDP, learner and K.

    Rewards are in units of the uniform policy's return, so a coefficient c means the same in every MDP.
    """
    rows: list[Row] = []
    for family in FAMILIES:
        drawn = random_mdps(rng, _MDPS, family)
        spread = rng.uniform(*SPREADS, size=_MDPS)
        drawn = replace(drawn, reward=drawn.reward ** spread[:, None, None])
        blind = np.full_like(drawn.reward, 1 / family.actions)
        drawn = replace(drawn, reward=drawn.reward / normalised_return(drawn, blind)[:, None, None])
        start = {
            name: ascent.softmax(0.5 * rng.standard_normal(getattr(drawn, name).shape))
            for name in ("encoder", "policy")
        }
        learned = learn_all(replace(drawn, **start).fitted(), progress)
        for (name, horizon), mdps in learned.items():
            about: Row = {"dynamics": "sparse" if family.sparse else "dense", "learner": name, "K": horizon}
            # Bounds of learners that know no K are measured at K = 3.
            for i, outcome in enumerate(outcomes(mdps, horizon or 3)):
                rows.append(about | {"MDP": i} | outcome)
    return rows


def learn_all(mdps: LatentMDPs, progress: Progress | None) -> dict[tuple[str, int], LatentMDPs]:
    """``mdps`` after training with every learner, by its name and K (0 if it has none)."""
    learned = {}
    for learner in LEARNERS:
        for horizon in HORIZONS if learner.uses_horizon else (0,):
            found = ascent.ascend(mdps, learner.objective(mdps.discount, horizon), STEPS, progress=progress)
            learned[learner.name, horizon] = found.fitted() if learner.fits_model else found
    for horizon in HORIZONS:
        ends = [learned["joint, L^K", horizon]]
        for name in RIVALS:
            # Moved away from certainty, where gradients of logits vanish.
            tables = {
                table: 0.9 * array + 0.1 / array.shape[-1]
                for table, array in vars(learned[name, horizon]).items()
                if table in ("encoder", "policy", "model")
            }
            begun = replace(mdps, **tables)
            ends.append(ascent.ascend(begun, on_bound(mdps.discount, horizon), STEPS, progress=progress))
        largest = np.argmax([reached_bound(one, horizon) for one in ends], axis=0)
        learned[BEST, horizon] = LatentMDPs(
            **{
                table: np.stack([getattr(one, table) for one in ends])[largest, np.arange(mdps.count)]
                for table in vars(mdps)
            }
        )
    return learned


def reached_bound(mdps: LatentMDPs, horizon: int) -> Array:
    """L^K of Eq. 5 → (N,)."""
    terms = bound.rollout_terms(mdps, horizon, state_action_values(mdps))
    return bound.alm_bound(terms, mdps.discount)[:, horizon]


def outcomes(mdps: LatentMDPs, horizon: int) -> list[Row]:
    """Outcomes on MDPs whose uniform policy returns 1: one row per MDP, four decimals per number.

    The score is 0 for the uniform policy and 1 for the best policy on states, which two latents may not be
    able to represent. The model's prediction and the bound at K = ``horizon`` are in units of the return.
    """
    reached, best = normalised_return(mdps), best_return(mdps)
    terms = bound.rollout_terms(mdps, horizon, state_action_values(mdps))
    columns = {
        "score": (reached - 1) / (best - 1),
        "promised / return": bound.plain_objective(terms, mdps.discount, 0.0)[:, horizon] / reached,
        "exp L^K / return": np.exp(bound.alm_bound(terms, mdps.discount)[:, horizon]) / reached,
        "I(s; z)": latent_information(mdps),
    }
    # Rounded, since there are thousands of rows; adding zero removes the sign of −0.
    return [{name: round(float(one[i]), 4) + 0.0 for name, one in columns.items()} for i in range(mdps.count)]


def latent_information(mdps: LatentMDPs) -> Array:
    """I(s; z) in nats on the policy's own visits → (N,)."""
    visited = (1 - mdps.discount)[:, None] * state_visits(mdps)
    joint = visited[..., None] * mdps.encoder
    marginal = joint.sum(axis=1, keepdims=True)
    return np.maximum((joint * (np.log(mdps.encoder) - np.log(marginal))).sum(axis=(1, 2)), 0.0)


def optimism(
    rng: np.random.Generator, count: int = 250, horizon: int = 3, progress: Progress | None = None
) -> list[Row]:
    """Return that q*, the model of L^K and the likeliest model promise for the same policy: one row per MDP.

    A promise is E_q[(1 − γ) Σ_{t<K} γ^t r + γ^K Q]; for γ* q* it is the mean of Ψ, E_p[Ψ²] / E_p[Ψ].
    """
    mdps = random_mdps(rng, count, Family(4, 2, 3, fitted=True))
    value = state_action_values(mdps)
    actual = normalised_return(mdps)
    squared = replace(mdps, reward=mdps.reward**2)
    rewards, values = bound.state_terms(squared, horizon, value**2)
    gamma = bound.discounts(mdps.discount, horizon)
    early = (1 - mdps.discount)[:, None] * gamma[:, :-1] * rewards[:, :-1]
    optimal = (early.sum(axis=1) + gamma[:, -1] * values[:, -1]) / actual
    weights = ascent.alm_weights(mdps.discount, horizon)
    plain = normalised_plain_weights(mdps.discount, horizon, 0.1)
    models = {
        "likeliest model": mdps,
        "model of L^K": ascent.ascend(mdps, model_ascent(lambda _: weights), STEPS, progress=progress),
        "model of Eq. 8, c = 0.1": ascent.ascend(
            mdps, model_ascent(lambda _: plain), STEPS, progress=progress
        ),
    }
    promises = {"q*": optimal}
    for name, found in models.items():
        terms = bound.rollout_terms(found, horizon, value)
        promises[name] = bound.plain_objective(terms, mdps.discount, 0.0)[:, horizon]
    columns = {"discount": mdps.discount, "return": actual} | promises
    return [{name: number(one[i]) for name, one in columns.items()} for i in range(count)]


def lottery(chances: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75)) -> list[Row]:
    """Sure reward of 1 against a gamble (jackpot or 1/2, mean 3/2), by the jackpot's chance, K = 1, γ = 0.9.

    With one latent, no model error is possible. q* sees the jackpot more often than it occurs;
    L^K takes logarithms and its q cannot tilt the chance, so it prefers the sure reward unless that is large.
    """
    rows: list[Row] = []
    for chance in chances:
        jackpot = (1.5 - 0.5 * (1 - chance)) / chance
        bounds, returns = [], []
        for action in (0, 1):
            mdp = lottery_mdp(chance, jackpot, action)
            terms = bound.rollout_terms(mdp, 1, state_action_values(mdp))
            bounds.append(float(bound.alm_bound(terms, mdp.discount)[0, 1]))
            returns.append(float(np.log(normalised_return(mdp)[0])))
        tilted = chance * jackpot
        rows.append(
            {
                "chance": chance,
                "jackpot": number(jackpot),
                "chance under q*": number(tilted / (tilted + 0.5 * (1 - chance))),
                "log-return of the lottery": number(returns[1]),
                "L^1 of the lottery": number(bounds[1]),
                "log-return of the sure reward": number(returns[0]),
                "L^1 of the sure reward": number(bounds[0]),
            }
        )
    return rows


def lottery_mdp(chance: float, jackpot: float, action: int) -> LatentMDPs:
    """States: start, sure, jackpot, consolation, the last three absorbing; the policy is one ``action``."""
    dynamics = np.zeros((1, 4, 2, 4))
    dynamics[0, 0, 0, 1] = 1.0
    dynamics[0, 0, 1, 2:] = chance, 1 - chance
    for state in (1, 2, 3):
        dynamics[0, state, :, state] = 1.0
    return LatentMDPs(
        initial=np.eye(4)[None, 0],
        dynamics=dynamics,
        reward=np.repeat(np.array([1.0, 1.0, jackpot, 0.5])[None, :, None], 2, axis=2),
        discount=np.array([0.9]),
        encoder=np.ones((1, 4, 1)),
        policy=np.eye(2)[None, action : action + 1],
        model=np.ones((1, 1, 2, 1)),
    )
