"""Named scales: how large a run is.  One rule serves every algorithm of the suite.

`paper` is the published size.  `laptop` halves each width, quarters each batch and ends after 20,000
environment steps: an update has about a fifteenth of the paper's arithmetic.  `smoke` is for tests.
"""

import difflib
from dataclasses import dataclass

from alm.task_registry import task_spec
from alm.training.ranges import Count

_NO_LIMIT = 10**9


class UnknownScaleError(ValueError):
    """A scale that does not exist; the message names the ones that do."""


@dataclass(frozen=True)
class TrainingConfig:
    """Configuration of the training loop; steps are environment steps and include the warm-up."""

    total_steps: Count
    """Length of the run."""
    eval_every: Count
    """Steps between evaluations."""
    eval_episodes: Count
    """Episodes of one evaluation."""
    log_every: Count
    """Steps over which training metrics are averaged before they are written."""


@dataclass(frozen=True)
class Scale:
    """A size of run, for all algorithms."""

    name: str
    width_divisor: int
    batch_divisor: int
    max_warmup: int
    """Largest warm-up, in environment steps."""
    seeds: tuple[int, ...]
    """Seeds of an exhibit's runs."""
    total_steps: int | None
    """Environment steps of a run; ``None``: the task's, as in the paper."""
    eval_every: int
    eval_episodes: int
    log_every: int
    summary: str

    def width(self, paper: int) -> int:
        """A hidden layer's width at this scale, from the paper's."""
        return paper // self.width_divisor

    def batch(self, paper: int) -> int:
        """A batch size at this scale, from the paper's."""
        return paper // self.batch_divisor

    def warmup(self, paper: int) -> int:
        """Random steps before learning at this scale, from the paper's."""
        return min(paper, self.max_warmup)

    def training(self, task: str) -> TrainingConfig:
        """The training loop's configuration for a task."""
        total = self.total_steps or task_spec(task).paper_steps
        return TrainingConfig(total, self.eval_every, self.eval_episodes, self.log_every)


SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            name="paper",
            width_divisor=1,
            batch_divisor=1,
            max_warmup=_NO_LIMIT,
            seeds=(0, 1, 2, 3, 4),
            total_steps=None,
            eval_every=5000,
            eval_episodes=5,
            log_every=1000,
            summary="Table 3 exactly: 300k steps (500k on Ant and Humanoid, 200k on mbbl), 5 seeds",
        ),
        Scale(
            name="laptop",
            width_divisor=2,
            batch_divisor=4,
            max_warmup=_NO_LIMIT,
            seeds=(0, 1, 2),
            total_steps=20_000,
            eval_every=1000,
            eval_episodes=5,
            log_every=1000,
            summary="widths halved, batches quartered, 20k steps, 3 seeds: "
            "ALM takes a quarter of an hour a seed",
        ),
        Scale(
            name="smoke",
            width_divisor=16,
            batch_divisor=16,
            max_warmup=200,
            seeds=(0,),
            total_steps=600,
            eval_every=200,
            eval_episodes=2,
            log_every=100,
            summary="tiny networks and 600 steps, for tests: learns nothing",
        ),
    )
}


def scale_named(name: str) -> Scale:
    """The scale of that name.

    Raises:
        UnknownScaleError: there is none; the message names the ones there are.
    """
    if name in SCALES:
        return SCALES[name]
    close = difflib.get_close_matches(name, SCALES, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UnknownScaleError(f"unknown scale {name!r}: choose one of {', '.join(SCALES)}{hint}")
