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


def updates_per_step(config: Any) -> int:
    """Updates of an algorithm in one environment step."""
    return getattr(config, "updates_per_step", 1)


def plain_learner(name: str, scale: str, device: str = "cpu") -> Callable[[int], object]:
    """Function that makes one seed learn at a given training step, with sampling and noise."""
    task, replay = task_spec(TASK), random_replay(1, device)
    agent_class, config_class = algorithm_named(name).load()
    config = config_class.at(scale_named(scale), TASK)
    sampler = agent_class(task, config, (0,), device=device)
    with torch.device(device):
        plain = PLAIN[name](task, config)

    def learn(step: int) -> None:
        updates = updates_per_step(config)
        noises = {key: value[0] for key, value in sampler.draw_noise(updates).items()}
        if isinstance(sampler, ALM):
            noise = {key: value[0] for key, value in noises.items()}
            sequences = replay.sample_sequences(config.batch_size, config.horizon, sampler.learning)
            plain.update(sequences[0], replay.sample(config.batch_size, sampler.learning)[0], noise, 1.0)
        else:
            batches = replay.sample((updates, config.batch_size), sampler.learning)[0]
            for i in range(updates):
                noise = {key: value[i] for key, value in noises.items()}
                plain.update(batches[i], noise, step * updates + i + 1)

    return learn
