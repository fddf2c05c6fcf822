"""Named scales: how large a run is.  One rule serves every algorithm of the suite.

`paper` is the published size.  `laptop` halves each width, quarters each batch and ends after 20,000
environment steps: an update has about a fifteenth of the paper's arithmetic.  `smoke` is for tests.
"""

import difflib
from dataclasses import dataclass

# Released score files of the authors: 500k steps for the two full-observation tasks, 300k otherwise.
_PAPER_STEPS = {"Ant": 500_000, "Humanoid": 500_000}
_PAPER_STEPS_DEFAULT = 300_000
# Wang et al. (2019).
_MBBL_STEPS = 200_000


class UnknownScaleError(ValueError):
    """A scale that does not exist; the message names the ones that do."""


@dataclass(frozen=True)
class TrainingConfig:
    """What the training loop needs to know; steps are environment steps and include the warm-up."""

    total_steps: int
    """Length of the run."""
    eval_every: int
    """Steps between evaluations."""
    eval_episodes: int
    """Episodes of one evaluation."""
    log_every: int
    """Steps over which training metrics are averaged before they are written."""


@dataclass(frozen=True)
class Scale:
    """A size of run, for all algorithms."""

    name: str
    width_divisor: int
    batch_divisor: int
    max_warmup: int
    seeds: tuple[int, ...]
    total_steps: int | None
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
        default = _MBBL_STEPS if task.startswith("mbbl/") else _PAPER_STEPS_DEFAULT
        total = self.total_steps or _PAPER_STEPS.get(task, default)
        return TrainingConfig(total, self.eval_every, self.eval_episodes, self.log_every)


SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            "paper", 1, 1, 10**9, (0, 1, 2, 3, 4), None, 5000, 5, 1000,
            "Table 3 exactly: 300k steps (500k on Ant and Humanoid, 200k on mbbl), 5 seeds",
        ),
        Scale(
            "laptop", 2, 4, 10**9, (0, 1, 2), 20_000, 1000, 5, 1000,
            "widths halved, batches quartered, 20k steps, 3 seeds: ALM takes a quarter of an hour a seed",
        ),
        Scale(
            "smoke", 16, 16, 200, (0,), 600, 200, 2, 100,
            "tiny networks and 600 steps, for tests: learns nothing",
        ),
    )
}  # fmt: skip


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
