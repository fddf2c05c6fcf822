"""Small agents of every baseline with random networks, batches and noise."""

import dataclasses

import torch

from alm.task_registry import TaskSpec
from alm.training.replay import Transitions
from baselines.redq import REDQ, OfficialDensityREDQ, REDQConfig, SACAverage, SACAverageConfig
from baselines.sac import SAC, SACConfig
from baselines.sac_svg import SACSVG, SACSVG3, SACSVG3Config, SACSVGConfig
from baselines.td3 import TD3, TD3Config
from baselines.td3_ours import TD3Ours, TD3OursConfig

TASK = TaskSpec("Test", "alm/Test", 5, 3, -0.4, 0.4)
SEEDS = (3, 11)
SMALL = {"hidden_size": 16, "batch_size": 6, "learning_rate": 1e-2}
ENSEMBLE = {"critics": 4, "updates_per_step": 2, "target_entropy": -1.0}
# The policy's objective changes between the second and the third of the updates 1, 2, 3, 4.
ROLLOUT = {"model_updates": 2, "model_batch_size": 5, "warmup_steps": 2, "plain_steps": 4, "entropy_steps": 8}
CASES = {
    "sac": (SAC, SACConfig(**SMALL)),
    "td3": (TD3, TD3Config(**SMALL)),
    "redq": (REDQ, REDQConfig(**SMALL, **ENSEMBLE)),
    "redq, official density": (OfficialDensityREDQ, REDQConfig(**SMALL, **ENSEMBLE)),
    "sac-avg": (SACAverage, SACAverageConfig(**SMALL, **ENSEMBLE)),
    "td3-ours": (TD3Ours, TD3OursConfig(**SMALL)),
    "td3-ours, clipped": (TD3Ours, TD3OursConfig(**SMALL, max_grad_norm=0.05)),
    "sac-svg2": (SACSVG, SACSVGConfig(**SMALL, **ROLLOUT)),
    "sac-svg3": (SACSVG3, SACSVG3Config(**SMALL, **ROLLOUT, model_max_grad_norm=1e3, entropy_power=0.5)),
}


def gen(seed=0):
    """A random generator."""
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    """Normal numbers in float64."""
    return torch.randn(*shape, generator=gen(seed), dtype=torch.float64)


def perturb(agent, seeds):
    """Move the parameters of each seed from where they start."""
    for position, seed in enumerate(seeds):
        generator = gen(seed)
        with torch.no_grad():
            for parameter in agent.networks.parameters():
                own = parameter.view(len(seeds), -1)[position]
                own += 0.2 * torch.randn(own.shape, generator=generator, dtype=torch.float64)


def seen_observations(seeds=SEEDS):
    """Observations (S, 40, 5) of a life so far; deviations lie on both sides of a standardiser's clip."""
    scale = torch.tensor([0.02, 1.0, 3.0, 30.0, 0.5], dtype=torch.float64)
    return torch.stack([normal(40, 5, seed=seed) for seed in seeds]) * scale + 0.3


def build(name, seeds=SEEDS, **changes):
    """A float64 agent whose targets differ from the online networks and whose biases are not zero."""
    agent_class, config = CASES[name]
    agent = agent_class(TASK, dataclasses.replace(config, **changes), seeds, dtype=torch.float64)
    perturb(agent, seeds)
    if isinstance(agent, SACSVG):
        agent.standardiser.add(seen_observations(seeds))
    return agent


def random_transitions(shape, generator):
    """Transitions with leading axes ``shape``, three of ten terminal."""

    def normal(*more):
        return torch.randn(*shape, *more, generator=generator, dtype=torch.float64)

    terminal = (torch.rand(shape, generator=generator) < 0.3).double()
    return Transitions(normal(5), 0.4 * normal(3).tanh(), normal(), normal(5), terminal)


def random_inputs(agent, generator):
    """What one call of `update` takes before the training step: batches (one, or sequences too), noise."""
    config, seeds = agent.config, len(agent.seeds)
    shapes = [(seeds, config.batch_size)]
    if isinstance(agent, SACSVG):
        shapes = [(seeds, config.horizon, config.model_updates * config.model_batch_size), *shapes]
    batches = [random_transitions(shape, generator) for shape in shapes]
    noise = {
        name: 1.5 * torch.randn(seeds, *size, generator=generator, dtype=torch.float64)
        for name, size in agent.noise_shapes.items()
    }
    return *batches, noise
