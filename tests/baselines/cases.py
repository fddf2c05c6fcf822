"""Small agents of every baseline with random networks, batches and noise."""

import dataclasses

import torch

from alm.tasks.registry import TaskSpec
from alm.training.replay import Transitions
from baselines.redq import REDQ, REDQConfig, SACAverage, SACAverageConfig
from baselines.sac import SAC, SACConfig
from baselines.td3 import TD3, TD3Config
from baselines.td3_ours import TD3Ours, TD3OursConfig

TASK = TaskSpec("Test", "alm/Test", 5, 3, -0.4, 0.4)
SEEDS = (3, 11)
SMALL = {"hidden_size": 16, "batch_size": 6, "learning_rate": 1e-2}
ENSEMBLE = {"critics": 4, "updates_per_step": 3, "target_entropy": -1.0}
CASES = {
    "sac": (SAC, SACConfig(**SMALL)),
    "td3": (TD3, TD3Config(**SMALL)),
    "redq": (REDQ, REDQConfig(**SMALL, **ENSEMBLE)),
    "sac-avg": (SACAverage, SACAverageConfig(**SMALL, **ENSEMBLE)),
    "td3-ours": (TD3Ours, TD3OursConfig(**SMALL)),
    "td3-ours, clipped": (TD3Ours, TD3OursConfig(**SMALL, max_grad_norm=0.05)),
}


def build(name, seeds=SEEDS, **changes):
    """A float64 agent whose targets differ from the online networks and whose biases are not zero."""
    agent_class, config = CASES[name]
    agent = agent_class(TASK, dataclasses.replace(config, **changes), seeds, dtype=torch.float64)
    for position, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in agent.networks.parameters():
                own = parameter.view(len(seeds), -1)[position]
                own += 0.2 * torch.randn(own.shape, generator=generator, dtype=torch.float64)
    return agent


def random_inputs(agent, generator):
    """Transitions and noise for one call of `update`."""
    config, seeds = agent.config, len(agent.seeds)
    shape = (seeds, config.batch_size)
    if isinstance(agent, REDQ):
        shape = (seeds, config.updates_per_step, config.batch_size)

    def normal(*more):
        return torch.randn(*shape, *more, generator=generator, dtype=torch.float64)

    terminal = (torch.rand(shape, generator=generator) < 0.3).double()
    transitions = Transitions(normal(5), 0.4 * normal(3).tanh(), normal(), normal(5), terminal)
    noise = {
        name: 1.5 * torch.randn(seeds, *size, generator=generator, dtype=torch.float64)
        for name, size in agent.noise_shapes.items()
    }
    return transitions, noise
