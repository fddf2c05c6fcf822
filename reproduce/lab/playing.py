"""Trained policies that act on NumPy arrays, and their returns in new episodes beside stored ones."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from alm.task_registry import task_spec
from reproduce.formats import p_in_words, p_statement
from reproduce.lab.plugins import Plugin
from reproduce.lab.policies import Policy, PolicyError
from reproduce.lab.provenance import cpu_name

if TYPE_CHECKING:
    from alm.training.agent import Agent
    from alm.training.streams import Streams

FRESH_EPISODES = 10**9
"""Step that seeds new episodes; larger than any run's, so that no evaluation has played the same ones."""
LEVEL = 0.05
"""Level of the test whether new and stored returns agree."""
_TOGETHER = 25


@dataclass(frozen=True, eq=False)
class Actor:
    """A trained policy that acts on NumPy arrays, as in evaluations.

    Attributes:
        policy: its file and metadata.
        agent: a population of one that acts by it.
        streams: of the noise with which some agents represent a state.
    """

    policy: Policy
    agent: "Agent"
    streams: "Streams"

    @classmethod
    def of(cls, policy: Policy, plugin: Plugin | None = None) -> "Actor":
        """The actor of a policy (imports torch).

        Raises:
            PolicyError: the policy cannot be used (`Policy.agent`).
            PolicyFileError: its file is damaged.
        """
        from alm.training.streams import Purpose, Streams

        streams = Streams((policy.spec.seed,), Purpose.EVALUATION, FRESH_EPISODES)
        return cls(policy, policy.agent(plugin), streams)

    def act(self, observation: ArrayLike) -> NDArray[np.float32]:
        """The greedy action (action,) at an observation (observation,), or a batch of both."""
        import torch

        one = np.asarray(observation, np.float32)
        batch = torch.from_numpy(np.atleast_2d(one)[None])
        actions: NDArray[np.float32] = self.agent.act_greedily(batch, self.streams)[0].numpy()
        return actions if one.ndim == 2 else actions[0]


@dataclass(frozen=True)
class Played:
    """Returns of a policy in episodes that no evaluation has played, beside its stored evaluation.

    Attributes:
        policy: the policy.
        returns: undiscounted returns of the new episodes.
        repeated: returns of the evaluation's episodes played again.
    """

    policy: Policy
    returns: tuple[float, ...]
    repeated: tuple[float, ...]

    @property
    def p_value(self) -> float:
        """p value of the two-sample Kolmogorov–Smirnov test of new against stored returns."""
        return _p_value(self.returns, self.policy.returns)

    @property
    def agreement(self) -> str:
        """Whether new and stored returns agree, or that there are too few episodes to tell, in a line."""
        new, stored = len(self.returns), len(self.policy.returns)
        p = p_statement(self.p_value)
        least = _p_value(range(new), range(new, new + stored))
        if least >= LEVEL:
            return (
                f"{new} new and {stored} stored episodes are too few to tell whether they agree "
                f"(Kolmogorov–Smirnov test, {p}, where the smallest possible is {p_in_words(least)})"
            )
        verdict = "agree" if self.p_value >= LEVEL else "do not agree"
        return f"new and stored returns {verdict} (Kolmogorov–Smirnov test, {p})"

    def text(self) -> str:
        """The comparison in a few lines."""
        policy, new = self.policy, np.array(self.returns)
        half = stats.t.ppf(0.975, len(new) - 1) * stats.sem(new)
        stored, again = np.array(policy.returns), np.array(self.repeated)
        lines = [
            f"{policy.label}, {policy.step:,} steps; {policy.path}",
            f"{len(new)} new episodes: mean {new.mean():.1f}, 95 % interval {new.mean() - half:.1f} to "
            f"{new.mean() + half:.1f}; standard deviation {new.std(ddof=1):.1f}, from {new.min():.1f} to "
            f"{new.max():.1f}",
            f"stored evaluation at step {policy.step:,}, {len(stored)} episodes: "
            f"mean {stored.mean():.1f}, from {stored.min():.1f} to {stored.max():.1f}",
            f"the same episodes, played again: mean {again.mean():.1f}; largest difference of a return "
            f"{np.abs(again - stored).max():.5g}",
            self.agreement,
        ]
        if policy.processor and policy.processor != (here := cpu_name()):
            lines.append(
                f"trained on {policy.processor}, played on {here}: they round differently, which an episode "
                "may magnify into a different return"
            )
        now = task_spec(policy.spec.task).protocol
        if now != policy.protocol:
            lines.append(f"trained under {policy.protocol}, played under {now}")
        return "\n".join(lines)


def _p_value(first: Sequence[float], second: Sequence[float]) -> float:
    with warnings.catch_warnings():
        # SciPy warns when it falls back to the asymptotic distribution.
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(stats.ks_2samp(first, second).pvalue)


def play(policy: Policy, episodes: int, plugin: Plugin | None = None) -> Played:
    """Play a policy greedily in new episodes, and replay those of its stored evaluation.

    Raises:
        PolicyError: the policy cannot be used (`Policy.agent`), or an interval needs more episodes.
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
    return Played(policy, tuple(new), tuple(returns(len(policy.returns), policy.step)))
