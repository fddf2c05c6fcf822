"""Small real runs for tests of the loop."""

from dataclasses import replace

import pytest
import torch
from rich.console import Console

from alm.agent import ALM
from alm.config import ALMConfig
from alm.task_registry import task_spec
from alm.tasks import make
from alm.training.lease import LIFETIME_SECONDS
from alm.training.loop import Trainer
from alm.training.progress import LineReporter
from alm.training.run_directory import RunDirectory
from alm.training.scale import SCALES, TrainingConfig

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
SHORT = TrainingConfig(total_steps=260, eval_every=130, eval_episodes=1, log_every=50)


def tiny_agent(task, seeds, **changes):
    config = replace(ALMConfig.at(SCALES["smoke"], task), latent_size=8, warmup_steps=100, **changes)
    return ALM(task_spec(task), config, seeds)


def trainer(
    folder,
    seeds,
    task="Hopper",
    config=SHORT,
    agent=None,
    make_environment=None,
    lifetime=LIFETIME_SECONDS,
    bias=False,
    **options,
):
    """A trainer with opened directories ``folder/<seed>``.

    ``bias``: measure the bias of value estimates, too, which takes half of the time of so short a run.
    """
    directories = [RunDirectory(folder / str(seed)) for seed in seeds]
    for directory in directories:
        directory.open(lifetime)
    run = Trainer(
        agent or tiny_agent(task, seeds),
        make_environment or (lambda: make(task)),
        config,
        directories,
        LineReporter("test", Console(quiet=True)),
        **options,
    )
    if not bias:
        run.bias = None
    return run


def train(folder, seeds, **options):
    """Train with a `trainer` and give its directories back."""
    run = trainer(folder, seeds, **options)
    try:
        run.run()
    finally:
        for directory in run.directories:
            directory.close()
    return run


def evaluations(directory):
    return [(line["step"], line["returns"]) for line in directory.metrics() if "returns" in line]


def timeless(directory):
    """Every line's step and metrics, without the times, which differ from run to run."""
    return [
        (line["step"], {k: v for k, v in line["metrics"].items() if not k.startswith("time/")})
        for line in directory.metrics()
    ]
