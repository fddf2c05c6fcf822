"""The plain eager implementations by name, and their learning from the same replay as the suite's."""

from collections.abc import Callable
from typing import Any

import torch

from alm.agent import ALM
from alm.task_registry import task_spec
from alm.training.scale import scale_named
from benchmarks.plain_alm import PlainALM
from benchmarks.plain_baselines import PlainREDQ, PlainSAC, PlainTD3
from benchmarks.timing import TASK, random_replay
from reproduce.lab.algorithms import algorithm_named

PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "alm": lambda task, config: PlainALM(task, config, torch.float32),
    "sac": lambda task, config: PlainSAC(task, config, -6.0, torch.float32),
    "td3": lambda task, config: PlainTD3(task, config, torch.float32),
    "redq": lambda task, config: PlainREDQ(task, config, -3.0, torch.float32),
}


def batch_shape(config: Any) -> int | tuple[int, int]:
    """Batch shape of an algorithm's training step: one batch, or one per update."""
    updates = getattr(config, "updates_per_step", 1)
    return (updates, config.batch_size) if updates > 1 else config.batch_size


def plain_learner(name: str, scale: str, device: str = "cpu") -> Callable[[int], object]:
    """Function that makes one seed learn at a given training step, with sampling and noise."""
    task, replay = task_spec(TASK), random_replay(1, device)
    agent_class, config_class = algorithm_named(name).load()
    config = config_class.at(scale_named(scale), TASK)
    sampler = agent_class(task, config, (0,), device=device)
    with torch.device(device):
        plain = PLAIN[name](task, config)

    def learn(step: int) -> None:
        noise = {key: value[0] for key, value in sampler.draw_noise().items()}
        if isinstance(sampler, ALM):
            sequences = replay.sample_sequences(config.batch_size, config.horizon, sampler.learning)
            plain.update(sequences[0], replay.sample(config.batch_size, sampler.learning)[0], noise, 1.0)
        else:
            drawn = replay.sample(batch_shape(config), sampler.learning)
            plain.update(drawn[0], noise, step)

    return learn
