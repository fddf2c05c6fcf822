"""Named scales, i.e. sizes of runs. One rule serves every algorithm of the suite.

`paper` is the published size. `laptop` is the smallest size at which, in pilots, ALM learned HalfCheetah
within an hour per seed (docs/performance.md, "The laptop scale"): 50,000 environment steps and a quarter of
the paper's widths (at least 128) and batches. Algorithms whose step at the paper's size takes at most
about twenty milliseconds (SAC, TD3, SVG(1)) keep that size. `smoke` is for tests.
"""

from dataclasses import dataclass, replace
from typing import Self

from alm.errors import UserError
from alm.names import nearest
from alm.task_registry import task_spec
from alm.training.ranges import Count

_NO_LIMIT = 10**9


@dataclass(frozen=True)
class TrainingConfig:
    """Configuration of the training loop; steps are environment steps and include the warm-up."""

    total_steps: Count
    """Environment steps of the run."""
    eval_every: Count
    """Steps between evaluations."""
    eval_episodes: Count
    """Episodes of one evaluation."""
    log_every: Count
    """Steps over which training metrics are averaged before they are written."""


@dataclass(frozen=True)
class Scale:
    """Size of a run, for all algorithms."""

    name: str
    """``"paper"``, ``"laptop"`` or ``"smoke"``."""
    divisor: int
    """Divisor of the paper's widths and batches."""
    narrowest: int
    """Smallest width to which a layer is reduced."""
    reduces_cheap_updates: bool
    """Whether algorithms whose update is cheap at the paper's size are reduced too."""
    max_warmup: int
    """Largest warm-up, in environment steps."""
    seeds: tuple[int, ...]
    """Seeds of an exhibit's runs."""
    total_steps: int | None
    """Environment steps of a run; ``None``: the task's, as in the paper."""
    eval_every: int
    """Environment steps between evaluations."""
    eval_episodes: int
    """Episodes of one evaluation."""
    log_every: int
    """Environment steps over which training metrics are averaged."""
    summary: str
    """Description for tables of help."""

    def width(self, paper: int) -> int:
        """Width of a hidden layer at this scale, from the paper's."""
        return max(paper // self.divisor, min(paper, self.narrowest))

    def batch(self, paper: int) -> int:
        """A batch size at this scale, from the paper's."""
        return paper // self.divisor

    @property
    def of_cheap_updates(self) -> Self:
        """Scale for algorithms whose step at the paper's size takes at most about twenty milliseconds."""
        return self if self.reduces_cheap_updates else replace(self, divisor=1)

    def sized_as(self, other: Self) -> Self:
        """This scale with the widths and batches of another one."""
        return replace(
            self,
            divisor=other.divisor,
            narrowest=other.narrowest,
            reduces_cheap_updates=other.reduces_cheap_updates,
        )

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
            divisor=1,
            narrowest=1,
            reduces_cheap_updates=False,
            max_warmup=_NO_LIMIT,
            seeds=(0, 1, 2, 3, 4),
            total_steps=None,
            eval_every=5000,
            eval_episodes=5,
            log_every=1000,
            summary="Table 3, but for what a variant changes: 300k steps (500k on Ant and Humanoid, 200k on "
            "mbbl), 5 seeds",
        ),
        Scale(
            name="laptop",
            divisor=4,
            narrowest=128,
            reduces_cheap_updates=False,
            max_warmup=_NO_LIMIT,
            seeds=(0, 1, 2, 3, 4),
            total_steps=50_000,
            eval_every=2500,
            eval_episodes=5,
            log_every=1000,
            summary="a quarter of the paper's widths and batches (SAC, TD3, SVG(1): all of them), 50k steps, "
            "5 seeds: ALM takes twenty minutes a seed",
        ),
        Scale(
            name="smoke",
            divisor=16,
            narrowest=1,
            reduces_cheap_updates=True,
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
    """The scale of the given name.

    Raises:
        UserError: there is none; the message lists the known ones.
    """
    if name in SCALES:
        return SCALES[name]
    raise UserError(f"There is no scale {name!r}{nearest(name, SCALES)}; the scales are {', '.join(SCALES)}.")
