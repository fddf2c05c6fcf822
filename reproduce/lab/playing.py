"""Trained policies played: their returns in new episodes beside the evaluation that is stored with them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from alm.task_registry import task_spec
from reproduce.formats import p_in_words, p_statement
from reproduce.lab.plugins import Plugin
from reproduce.lab.policies import Policy, PolicyError
from reproduce.lab.provenance import cpu_name

FRESH_EPISODES = 10**9
"""In place of the step of an evaluation: no run has that many, so no evaluation has played its episodes."""
LEVEL = 0.05
"""Of the test whether new and stored returns agree."""
_TOGETHER = 25


@dataclass(frozen=True)
class Played:
    """What a policy does in episodes that no evaluation has played, beside its stored evaluation.

    Attributes:
        policy: the policy.
        returns: undiscounted returns of the new episodes.
        repeated: those of its evaluation's episodes, played again; empty if it was not evaluated at its step.
    """

    policy: Policy
    returns: tuple[float, ...]
    repeated: tuple[float, ...]

    @property
    def p_value(self) -> float:
        """Of the two-sample Kolmogorov–Smirnov test of new returns against those of the evaluation."""
        return _p_value(self.returns, self.policy.returns)

    @property
    def agreement(self) -> str:
        """Whether new and stored returns agree, if so many episodes can tell, in a line."""
        new, stored = len(self.returns), len(self.policy.returns)
        p = p_statement(self.p_value)
        least = _p_value(range(new), range(new, new + stored))
        if least >= LEVEL:
            return (
                f"{new} new and {stored} stored episodes are too few to tell whether they agree "
                f"(Kolmogorov–Smirnov test, {p}, where the least that there can be is {p_in_words(least)})"
            )
        verdict = "agree" if self.p_value >= LEVEL else "do not agree"
        return f"new and stored returns {verdict} (Kolmogorov–Smirnov test, {p})"

    def text(self) -> str:
        """All of it in a few lines."""
        policy, new = self.policy, np.array(self.returns)
        half = stats.t.ppf(0.975, len(new) - 1) * stats.sem(new)
        stored = np.array(policy.returns)
        lines = [
            f"{policy.label}, {policy.step:,} steps; {policy.path}",
            f"{len(new)} new episodes: mean {new.mean():.1f}, 95 % interval {new.mean() - half:.1f} to "
            f"{new.mean() + half:.1f}; standard deviation {new.std(ddof=1):.1f}, from {new.min():.1f} to "
            f"{new.max():.1f}",
            f"stored evaluation at step {policy.evaluated_step:,}, {len(stored)} episodes: "
            f"mean {stored.mean():.1f}, from {stored.min():.1f} to {stored.max():.1f}",
        ]
        if policy.evaluated_step != policy.step:
            lines.append(
                f"(the policy comes from a checkpoint at step {policy.step:,}, which was not evaluated)"
            )
        if self.repeated:
            again = np.array(self.repeated)
            lines.append(
                f"the same episodes, played again: mean {again.mean():.1f}; largest difference of a return "
                f"{np.abs(again - stored).max():.3g}"
            )
        lines.append(self.agreement)
        if policy.processor and policy.processor != (here := cpu_name()):
            lines.append(
                f"trained on {policy.processor}, played on {here}: they round differently, which an episode "
                "may magnify to another return"
            )
        now = task_spec(policy.spec.task).protocol
        if now != policy.protocol:
            lines.append(f"trained under {policy.protocol}, played under {now}")
        return "\n".join(lines)


def _p_value(first: Sequence[float], second: Sequence[float]) -> float:
    with warnings.catch_warnings():
        # Where its exact distribution cannot be computed it says so and takes the asymptotic one.
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(stats.ks_2samp(first, second).pvalue)


def play(policy: Policy, episodes: int, plugin: Plugin | None = None) -> Played:
    """Play a policy greedily in new episodes, and those of its stored evaluation once more.

    Raises:
        PolicyError: it cannot be used (`Policy.agent`), or there are too few episodes for an interval.
        PolicyFileError: its file is damaged.
    """
    import torch

    from alm.tasks import make
    from alm.training.evaluation import Evaluator

    if episodes < 2:
        raise PolicyError(f"The number of episodes must be at least 2, not {episodes}.")
    # How a sum is shared among threads changes its last digit, which an episode magnifies.
    torch.set_num_threads(1)
    agent = policy.agent(plugin)

    def returns(count: int, step: int) -> list[float]:
        evaluator = Evaluator(lambda: make(policy.spec.task), (policy.spec.seed,), count)
        (evaluation,) = evaluator.evaluate(agent, step)
        evaluator.close()
        return evaluation.returns

    new: list[float] = []
    while len(new) < episodes:
        new += returns(min(_TOGETHER, episodes - len(new)), FRESH_EPISODES + len(new))
    evaluated = policy.evaluated_step == policy.step
    repeated = returns(len(policy.returns), policy.step) if evaluated else []
    return Played(policy, tuple(new), tuple(repeated))
