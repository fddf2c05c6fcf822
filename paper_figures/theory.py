"""Figures of the theory on finite MDPs, one per exhibit, from rows of `alm.theory.results`."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_figures import panels
from paper_figures.pictures import Picture
from paper_figures.style import NOTE, figure_style

_BLUE, _ORANGE, _GREEN, _RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
_BOUNDS = {
    "Eq. 5": (_BLUE, "o"),
    "γ^(t+1)": (_ORANGE, "s"),
    "best discount": (_GREEN, "^"),
    "Eq. 3": (_RED, "D"),
}
"""A colour and a marker for each bound, the same in every figure."""


@figure_style()
def bound_over_k(rows: pd.DataFrame) -> Figure:
    """Gaps of three bounds over K: medians and quartiles, one column per discount, one row per model."""
    discounts, models = sorted(rows["discount"].unique()), list(dict.fromkeys(rows["model"]))
    figure, axes = plt.subplots(
        len(models),
        len(discounts),
        figsize=(8.4, 4.4),
        sharex=True,
        sharey="col",
        layout="constrained",
        squeeze=False,
    )
    for line, model in zip(axes, models, strict=True):
        for axis, discount in zip(line, discounts, strict=True):
            panel = rows[(rows["model"] == model) & (rows["discount"] == discount)]
            for name, (colour, marker) in _BOUNDS.items():
                one = panel[panel["bound"] == name]
                if one.empty:
                    continue
                axis.fill_between(
                    one["K"],
                    one["lower quartile"],
                    one["upper quartile"],
                    color=colour,
                    alpha=0.13,
                    linewidth=0,
                )
                axis.plot(one["K"], one["median gap"], color=colour, marker=marker, ms=3, label=typeset(name))
            if model == models[0]:
                axis.set_title(f"γ = {discount:g}")
            if model == models[-1]:
                axis.set_xlabel("K")
        line[0].set_ylabel(f"{model} model\ngap in nats")
    for axis in axes.flat:
        axis.set(ylim=(0, None), xticks=range(0, 11, 2))
    panels.legend(figure)
    count = int(rows["instances"].iloc[0])
    panels.caption(
        figure,
        f"log E[R] − bound over the length of the roll-out. Medians and quartiles of {count} random MDPs "
        "per panel.",
    )
    return figure


@figure_style()
def tighter_bound(rows: pd.DataFrame) -> Figure:
    """The gap of each other bound against that of Eq. 5, one point per MDP."""
    others = ("γ^(t+1)", "best discount", "Eq. 3")
    figure, axes = plt.subplots(
        1, len(others), figsize=(8.4, 3.1), sharex=True, sharey=True, layout="constrained"
    )
    everything = rows[["gap of Eq. 5", *(f"gap of {name}" for name in others)]].to_numpy()
    low, high = everything[everything > 0].min(), everything.max()
    for axis, name in zip(axes, others, strict=True):
        axis.plot([low, high], [low, high], color=NOTE, linewidth=0.8)
        for model, filled in (("fitted", True), ("unfitted", False)):
            one = rows[rows["model"] == model]
            colour, marker = _BOUNDS[name]
            axis.plot(
                one["gap of Eq. 5"],
                one[f"gap of {name}"],
                marker,
                ms=3,
                color=colour if filled else "none",
                markeredgecolor=colour,
                markeredgewidth=0.6,
                alpha=0.7,
                label=f"{model} model",
            )
        axis.set(xscale="log", yscale="log", xlabel="gap of Eq. 5", title=typeset(name))
        axis.legend(fontsize=7, loc="lower right")
    axes[0].set_ylabel("gap in nats")
    panels.caption(
        figure,
        "One point per MDP. Points below the line are tighter than Eq. 5 at K = 3. γ$^{t+1}$ and the "
        "best discount never lie above it; Eq. 3 does where the model is poor.",
    )
    return figure


@figure_style()
def gap_a5(rows: pd.DataFrame) -> Figure:
    """The gap that remains under each restriction of q, as a distribution over MDPs."""
    names = [name for name in rows if name != "discount"]
    colours = [_BLUE, _ORANGE, _GREEN, "#CC79A7", "#56B4E9", "#000000"]
    figure, axis = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for name, colour in zip(names, colours, strict=True):
        _distribution(axis, rows[name], colour, typeset(name))
    axis.set(xlabel="log E[R] − bound in nats, K = 3", ylabel="share of MDPs", ylim=(0, 1.02))
    axis.set_xscale("symlog", linthresh=0.1)
    axis.set_xlim(-0.005, float(rows[names].max().max()))
    axis.set_xticks([0, 0.1, 0.3, 1, 3], ["0", "0.1", "0.3", "1", "3"])
    axis.legend(fontsize=7, loc="lower right")
    panels.caption(
        figure,
        f"The gap that remains in A.5, {len(rows)} MDPs. Only a q that may tilt initial states, "
        "dynamics and actions closes it.",
    )
    return figure


@figure_style()
def offline(rows: pd.DataFrame) -> Figure:
    """The bound of A.7 on its two counterexamples, over K."""
    examples = list(dict.fromkeys(rows["example"]))
    truth = ("log-return of π_b", "log-return of π_φ")
    of_behaviour = {"printed, Q of π_b": (_RED, "D"), "every factor, Q of π_b": (_GREEN, "^")}
    lines = (of_behaviour, of_behaviour | {"printed, Q of π_φ": (_BLUE, "o")})
    figure, axes = plt.subplots(1, len(examples), figsize=(7.6, 3.3), layout="constrained")
    for axis, example, claimed, shown in zip(axes, examples, truth, lines, strict=True):
        one = rows[rows["example"] == example]
        axis.axhline(one[claimed].iloc[0], color="black", linewidth=1.4, label="quantity to be bounded")
        for name, (colour, marker) in shown.items():
            axis.plot(one["K"], one[name], color=colour, marker=marker, label=typeset(name))
        axis.set(title=example, xlabel="K", ylabel="nats", xticks=range(2, 11, 2))
    panels.legend(figure)
    panels.caption(
        figure,
        "A bound must not lie above the black line, the log-return of the behaviour policy (left) and "
        "of the learned one (right). Left, the printed bound with Q of π$_φ$ is not drawn: it coincides with "
        "that with Q of π$_b$.",
    )
    return figure


@figure_style()
def joint(rows: pd.DataFrame) -> Figure:
    """The score of every learner at every K: all MDPs as points, the mean as a bar."""
    # Learners on L^K are grouped together.
    learners = sorted(dict.fromkeys(rows["learner"]), key=lambda name: (name != "return", "L^K" not in name))
    horizons = [k for k in sorted(rows["K"].unique()) if k]
    shades = dict(zip(horizons, ("#8CC5E3", "#3594CC", "#0B4F82"), strict=True))
    jitter = np.random.default_rng(0)
    figure, axes = plt.subplots(
        1, 2, figsize=(8.4, 0.42 * len(learners) + 1.3), sharey=True, sharex=True, layout="constrained"
    )
    for axis, dynamics in zip(axes, ("dense", "sparse"), strict=True):
        for place, learner in enumerate(learners):
            found = rows[(rows["dynamics"] == dynamics) & (rows["learner"] == learner)]
            for k in sorted(found["K"].unique()):
                scores = found[found["K"] == k]["score"].clip(lower=-0.2)
                offset = 0.27 * (horizons.index(k) - 1) if k else 0.0
                y = place + offset + jitter.uniform(-0.07, 0.07, size=len(scores))
                colour = shades.get(k, NOTE)
                axis.plot(scores, y, ".", color=colour, ms=2.2, alpha=0.55)
                axis.plot(
                    [scores.mean()] * 2,
                    [place + offset - 0.13, place + offset + 0.13],
                    color="black",
                    linewidth=1.6,
                    solid_capstyle="butt",
                )
        axis.set(title=f"{dynamics} dynamics", xlabel="score", xlim=(-0.22, 1.03))
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(learners)), [typeset(name) for name in learners])
    axes[0].invert_yaxis()
    for k, colour in shades.items():
        axes[0].plot([], [], "o", color=colour, ms=4, label=f"K = {k}")
    axes[0].plot([], [], "o", color=NOTE, ms=4, label="no K")
    axes[0].plot([], [], color="black", linewidth=1.6, label="mean")
    panels.legend(figure)
    panels.caption(
        figure,
        f"0 is the uniform policy, 1 the best policy on states. {rows['MDP'].nunique()} random MDPs per "
        "panel, every one shown; scores below −0.2 are drawn at −0.2.",
    )
    return figure


@figure_style()
def optimism(rows: pd.DataFrame) -> Figure:
    """The ratio of promised to actual return, as a distribution over MDPs."""
    names = [name for name in rows if name not in ("discount", "return")]
    figure, axis = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for name, colour in zip(names, (_RED, NOTE, _BLUE, _ORANGE), strict=True):
        _distribution(axis, rows[name] / rows["return"], colour, typeset(name))
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set(xlabel="promised / returned", ylabel="share of MDPs", xlim=(0.85, 2.0), ylim=(0, 1.02))
    axis.legend(fontsize=7, loc="lower right")
    panels.caption(
        figure,
        f"Returns that four models promise for the same policy, K = 3, {len(rows)} random MDPs; right of "
        "the line, a model promises more than the policy earns. The axis ends at 2.",
    )
    return figure


@figure_style()
def lottery(rows: pd.DataFrame) -> Figure:
    """A lottery against a sure reward, over the jackpot's chance: the model of q*, the preference of L^1."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.1), layout="constrained")
    left.plot([0, 1], [0, 1], color=NOTE, linewidth=0.8, label="as it is")
    left.plot(rows["chance"], rows["chance under q*"], color=_RED, marker="D", label="q*")
    left.set(xlabel="chance of the jackpot", ylabel="chance in the model", xlim=(0, 1), ylim=(0, 1))
    left.legend(loc="lower right")
    right.axhline(0, color="black", linewidth=0.8)
    for name, colour, marker in (("log-return", NOTE, ""), ("L^1", _BLUE, "o")):
        ahead = rows[f"{name} of the lottery"] - rows[f"{name} of the sure reward"]
        right.plot(rows["chance"], ahead, color=colour, marker=marker, label=typeset(name))
    right.set(xlabel="chance of the jackpot", ylabel="lottery − sure reward, nats", xlim=(0, 1))
    right.legend(loc="lower right")
    panels.caption(
        figure, "A lottery of mean 3/2 against a sure 1. Right: below 0 the sure reward is preferred."
    )
    return figure


FIGURES = {
    "theory-bound-over-k": ("The gap of the bounds over the length of the roll-out", bound_over_k),
    "theory-tighter-bound": ("Other bounds against Eq. 5, MDP by MDP", tighter_bound),
    "theory-gap-a5": ("The gap that remains when q may tilt less than in A.5", gap_a5),
    "theory-a7": ("The offline bound of A.7 on its counterexamples", offline),
    "theory-joint": ("Learning on one objective against learning on three", joint),
    "theory-optimism": ("Returns that models promise for a policy, and its actual return", optimism),
    "theory-lottery": ("A lottery against a sure reward", lottery),
}
"""Titles and drawing functions of the exhibits that are figures."""


def pictures(exhibits: Mapping[str, pd.DataFrame]) -> list[Picture]:
    """Every figure with its data, for the given exhibits."""
    return [
        Picture(name, "", draw(exhibits[name]), exhibits[name])
        for name, (_, draw) in FIGURES.items()
        if name in exhibits
    ]


def typeset(name: str) -> str:
    """A name with its superscripts and subscripts typeset."""
    for plain, mathematical in (
        ("γ^(t+1)", "γ$^{t+1}$"),
        ("L^K", "L$^K$"),
        ("L^1", "L$^1$"),
        ("π_b", "π$_b$"),
        ("π_φ", "π$_φ$"),
    ):
        name = name.replace(plain, mathematical)
    return name


def _distribution(axis: Axes, values: pd.Series, colour: str, label: str) -> None:
    """Draw the share of MDPs below each value."""
    ordered = np.sort(values.to_numpy())
    share = np.arange(1, len(ordered) + 1) / len(ordered)
    axis.step(ordered, share, where="post", color=colour, linewidth=1.5, label=label)
