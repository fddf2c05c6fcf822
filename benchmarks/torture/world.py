"""Short runs of every algorithm, trained by the ``train`` command itself at a tiny scale.

They are called ``laptop`` runs, since smoke runs are not stored: twenty updates of networks of a few units,
evaluations of one episode, and checkpoints so frequent that they take up to half of the time.
"""

import functools
import importlib
import os
from dataclasses import replace
from pathlib import Path

import torch

from alm.training import loop
from alm.training.bias_protocol import ValueBias
from alm.training.loop import Trainer
from alm.training.scale import SCALES
from reproduce.cli import main
from reproduce.lab.algorithms import ALGORITHMS

SCALE = "laptop"
STEPS, WARMUP = 30, 10
# Settings that make an environment step of these algorithms cheap.
SETTINGS = {
    "redq": ("updates_per_step=2",),
    "sac-avg": ("updates_per_step=2",),
    "sac-svg2": ("model_updates=1",),
    "sac-svg3": ("model_updates=1",),
    "mbpo": ("updates_per_step=2", "rollouts=50"),
    "slbo": ("model_updates=5", "policy_updates=3", "imagined_steps=60"),
}
ALL = tuple(ALGORITHMS)
NO_MLFLOW = "http://127.0.0.1:9"
"""Address on which nobody listens."""
# Late imports of commands, done here once.
_IMPORTED = (
    "torch._dynamo",
    "alm.tasks.locomotion",
    "matplotlib.pyplot",
    "reproduce.commands.figures",
    "paper_figures.comparison",
    "paper_figures.drawing",
    "reproduce.exhibits.inventory",
    "reproduce.exhibits.plan",
    "reproduce.exhibits.claims.verdicts",
    "reproduce.exhibits.code_tables",
    "reproduce.exhibits.comparison",
    "reproduce.lab.archive",
    "reproduce.lab.grid",
    "reproduce.lab.training",
    "reproduce.tracking.following",
    "reproduce.tracking.importing",
)


def make_tiny() -> None:
    """Make laptop runs of this process and its children tiny, and import their dependencies."""
    torch.set_num_threads(1)
    os.environ["CXX"] = "none"  # else their updates would be compiled, for minutes
    SCALES[SCALE] = replace(
        SCALES["smoke"],
        name=SCALE,
        max_warmup=WARMUP,
        total_steps=STEPS,
        eval_every=10,
        log_every=10,
        eval_episodes=1,
    )
    # Replaced where `train_population` looks them up.
    replaced = {
        "Trainer": functools.partial(Trainer, checkpoint_seconds=0.0),
        "ValueBias": functools.partial(ValueBias, pairs=20, cutoff=10),
        "_CHECKPOINT_SHARE": 1.0,
    }
    for name, one in replaced.items():
        setattr(loop, name, one)
    for algorithm in ALGORITHMS.values():
        algorithm.load()
    for name in _IMPORTED:
        importlib.import_module(name)


def task_of(algorithm: str) -> str:
    """A task with short episodes on which the algorithm can be trained."""
    return "mbbl/Hopper-ET" if algorithm == "slbo" else "Hopper"


def train(algorithm: str, seeds: tuple[int, ...], folder: Path, *more: str) -> int:
    """Exit code of the command that trains seeds in a folder with runs and a store."""
    settings = [word for one in SETTINGS.get(algorithm, ()) for word in ("--set", one)]
    places = ["--runs-dir", str(folder / "runs"), "--store", str(folder / "store")]
    names = ["--algorithm", algorithm, "--task", task_of(algorithm), "--seeds", *map(str, seeds)]
    return main(["train", *names, "--scale", SCALE, "--no-track", *settings, *places, *more])
