"""Rows behind the theory's figures and tables, as plain dictionaries: one function per exhibit.

Those of theory-joint, theory-optimism and theory-lottery are in demonstrations.py, checks in statements.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from alm.theory import ascent, bound, counterexamples
from alm.theory.enumeration import evidence_bound
from alm.theory.mdp import Array, Family, LatentMDPs, normalised_return, random_mdps, state_action_values

Row = dict[str, str | int | float]
Progress = Callable[[], None]

DISCOUNTS = (0.5, 0.7, 0.9, 0.99)
LONGEST = 10
"""Largest K of a curve over K."""
_K = 3
"""K of the exhibits at a single one."""


def bound_over_k(rng: np.random.Generator) -> list[Row]:
    """log E_p[R] − bound in nats for K = 0 … 10: quartiles over random MDPs, by discount, model and bound."""
    rows: list[Row] = []
    for discount in DISCOUNTS:
        for fitted in (True, False):
            family = Family(4, 3, 2, fitted=fitted, discounts=(discount, discount))
            mdps = random_mdps(rng, 400, family)
            terms = bound.rollout_terms(mdps, LONGEST, state_action_values(mdps))
            log_return = np.log(normalised_return(mdps))[:, None]
            for name, bounds in (
                ("Eq. 5", bound.alm_bound(terms, mdps.discount)),
                ("γ^(t+1)", bound.alm_bound(terms, mdps.discount, shift=1)),
                ("best discount", bound.optimal_discount_bound(terms, mdps.discount)),
            ):
                low, middle, high = np.quantile(log_return - bounds, (0.25, 0.5, 0.75), axis=0)
                for k in range(LONGEST + 1):
                    rows.append(
                        {
                            "discount": discount,
                            "model": "fitted" if fitted else "unfitted",
                            "bound": name,
                            "K": k,
                            "median gap": number(middle[k]),
                            "lower quartile": number(low[k]),
                            "upper quartile": number(high[k]),
                            "instances": mdps.count,
                        }
                    )
    return rows


def tighter_bound(rng: np.random.Generator) -> list[Row]:
    """Gaps of four bounds on many MDPs at K = 3, with fitted and unfitted models: one row per MDP.

    Eq. 3 (log of the truncated return, latent terms undiscounted) is computed by enumerating trajectories.
    """
    rows: list[Row] = []
    for fitted in (True, False):
        mdps = random_mdps(rng, 150, Family(2, 2, 2, fitted=fitted))
        value = state_action_values(mdps)
        terms = bound.rollout_terms(mdps, _K, value)
        log_return = np.log(normalised_return(mdps))
        printed = bound.alm_bound(terms, mdps.discount)[:, _K]
        proved = bound.alm_bound(terms, mdps.discount, shift=1)[:, _K]
        best = bound.optimal_discount_bound(terms, mdps.discount)[:, _K]
        for i in range(mdps.count):
            rows.append(
                {
                    "model": "fitted" if fitted else "unfitted",
                    "discount": number(mdps.discount[i]),
                    "divergence": number(terms.divergence[i, :_K].mean()),
                    "gap of Eq. 5": number(log_return[i] - printed[i]),
                    "gap of γ^(t+1)": number(log_return[i] - proved[i]),
                    "gap of best discount": number(log_return[i] - best[i]),
                    "gap of Eq. 3": number(log_return[i] - evidence_bound(mdps.one(i), _K, value[i : i + 1])),
                }
            )
    return rows


def gap_a5(rng: np.random.Generator, steps: int, progress: Progress | None = None) -> list[Row]:
    """Remaining gap of A.5's tightness at K = 3 with the best model that q^K can have, one row per MDP.

    Encoder and policy are fixed; the model is learned by exact ascent on each bound. "latents of p" is a q
    whose latents are drawn from the encoder at the true states: the best q that does not tilt states and
    actions.
    """
    mdps = random_mdps(rng, 150, Family(3, 2, 2, fitted=True))
    value = state_action_values(mdps)
    log_return = np.log(normalised_return(mdps))

    def learned(weights: Callable[[LatentMDPs], ascent.Weights]) -> LatentMDPs:
        return ascent.ascend(mdps, model_ascent(weights), steps, progress=progress)

    found = {
        "Eq. 5": learned(lambda _: ascent.alm_weights(mdps.discount, _K)),
        "γ^(t+1)": learned(lambda _: ascent.alm_weights(mdps.discount, _K, shift=1)),
        "best discount": learned(lambda now: ascent.discount_weights(ascent.best_discounts(now, _K))),
    }
    gaps = {}
    for name, best in found.items():
        terms = bound.rollout_terms(best, _K, value)
        if name == "best discount":
            bounds = bound.optimal_discount_bound(terms, mdps.discount)
        else:
            bounds = bound.alm_bound(terms, mdps.discount, shift=int(name != "Eq. 5"))
        gaps[f"{name}, best model"] = log_return - bounds[:, _K]
    seen = true_latents(mdps, _K, value)
    gaps["geometric discount, latents of p"] = log_return - bound.alm_bound(seen, mdps.discount)[:, _K]
    gaps["best discount, latents of p"] = (
        log_return - bound.optimal_discount_bound(seen, mdps.discount)[:, _K]
    )
    gaps["best discount, unrestricted q"] = log_return - unrestricted(mdps, _K, value)
    gaps = {"discount": mdps.discount} | gaps
    return [{name: number(gap[i]) for name, gap in gaps.items()} for i in range(mdps.count)]


def model_ascent(weights: Callable[[LatentMDPs], ascent.Weights]) -> ascent.Objective:
    """The ascent of the model alone on a bound whose weights may depend on it."""

    def gradient(mdps: LatentMDPs) -> ascent.Gradients:
        return {"model": ascent.objective_gradient(mdps, weights(mdps))[1]["model"]}

    return gradient


def true_latents(mdps: LatentMDPs, horizon: int, value: Array) -> bound.Terms:
    """The terms of a roll-out with latents from the encoder: no divergence, states and actions as in p."""
    logarithms = replace(mdps, reward=np.log(mdps.reward))
    log_reward, log_value = bound.state_terms(logarithms, horizon, np.log(value))
    reward, mean_value = bound.state_terms(mdps, horizon, value)
    return bound.Terms(log_reward, np.zeros_like(log_reward), log_value, reward, mean_value)


def unrestricted(mdps: LatentMDPs, horizon: int, value: Array) -> Array:
    """(c) of A.4 at q* and γ*: log Σ_H P_K(H) E_p[Ψ] → (N,)."""
    reward, mean_value = bound.state_terms(mdps, horizon, value)
    gamma = bound.discounts(mdps.discount, horizon)
    early = (1 - mdps.discount)[:, None] * gamma[:, :-1] * reward[:, :-1]
    return np.log(early.sum(axis=1) + gamma[:, -1] * mean_value[:, -1])


def offline_counterexamples() -> list[Row]:
    """A.7 on its two counterexamples over K: as printed, with every factor, and both log-returns."""
    rows: list[Row] = []
    for example in (counterexamples.behaviour_return(), counterexamples.learned_return()):
        mdp, behaviour = example.mdp, example.behaviour
        assert behaviour is not None
        cloning = bound.cloning_divergence(mdp, behaviour, LONGEST + 1)
        theirs = bound.rollout_terms(mdp, LONGEST + 1, state_action_values(mdp, behaviour))
        own = bound.rollout_terms(mdp, LONGEST + 1, state_action_values(mdp))
        printed = bound.offline_bound(theirs, cloning, mdp.discount, every_factor=False)[0]
        complete = bound.offline_bound(theirs, cloning, mdp.discount, every_factor=True)[0]
        with_own = bound.offline_bound(own, cloning, mdp.discount, every_factor=False)[0]
        for k in range(1, LONGEST + 1):
            rows.append(
                {
                    "example": example.place,
                    "K": k,
                    "printed, Q of π_b": number(printed[k]),
                    "every factor, Q of π_b": number(complete[k]),
                    "printed, Q of π_φ": number(with_own[k]),
                    "log-return of π_b": number(np.log(normalised_return(mdp, behaviour))[0]),
                    "log-return of π_φ": number(np.log(normalised_return(mdp))[0]),
                }
            )
    return rows


def counterexample_rows(examples: Sequence[counterexamples.Counterexample]) -> list[Row]:
    """One row per counterexample: the MDP in words, the claim, and its two sides."""
    return [
        {
            "place": one.place,
            "MDP": one.words,
            "γ": float(one.mdp.discount[0]),
            "K": one.horizon,
            "claim": one.claim,
            "left": number(one.left),
            "right": number(one.right),
        }
        for one in examples
    ]


def number(value: float) -> float:
    """Value to six significant digits, without rounding errors: the same text on all machines."""
    return 0.0 if abs(value) < 1e-12 else float(f"{float(value):.6g}")
