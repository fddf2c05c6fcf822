"""Small agents of ALM and its variants in float64, and inputs of an update."""

import dataclasses

import torch

from alm.task_registry import TaskSpec
from alm.training.replay import Transitions
from alm.variants import VARIANTS
from reproduce.lab.algorithms import algorithm_named, variant_named

# As many numbers in an observation as in a representation, so that every variant fits.
TASK = TaskSpec("Test", "alm/Test", 4, 3, -0.4, 0.4, robot="Ant")
SIZES = {"batch_size": 6, "hidden_size": 16, "model_hidden_size": 24, "latent_size": 4, "learning_rate": 1e-3}
SEEDS = (3, 11)
FIELDS = dataclasses.fields(Transitions)


def fresh(name, seeds=SEEDS, dtype=torch.float64, **settings):
    """A variant's agent as it starts."""
    variant = VARIANTS[name] if name != "base" else variant_named("alm", "base")
    agent_class, config_class = algorithm_named("alm").load(variant)
    config = dataclasses.replace(config_class(**SIZES), **variant.changes, **settings)
    return agent_class(TASK, config, seeds, dtype=dtype)


def build(name, seeds=SEEDS, dtype=torch.float64, **settings):
    """A variant's agent, its networks moved from where they start, and inputs of an update."""
    agent = fresh(name, seeds, dtype, **settings)
    for position, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        for parameter in agent.networks.parameters():
            own = parameter.data.view(len(seeds), -1)[position]
            own += 0.1 * torch.randn(own.shape, generator=generator, dtype=torch.float64).to(dtype)
    each = [inputs(agent, seed) for seed in seeds]
    sequences, transitions = (
        Transitions(*(torch.stack([getattr(e[i], f.name) for e in each]).to(dtype) for f in FIELDS))
        for i in (0, 1)
    )
    noise = {key: torch.stack([e[2][key] for e in each]).to(dtype) for key in agent.noise_shapes}
    return agent, sequences, transitions, noise


def inputs(agent, seed):
    """Batches and noise of one seed; the noise by its name, so that variants share what they share."""
    config, generator = agent.config, torch.Generator().manual_seed(100 + seed)

    def batch(*shape):
        def normal(*more):
            return torch.randn(*shape, *more, generator=generator, dtype=torch.float64)

        terminal = (torch.rand(*shape, generator=generator) < 0.3).double()
        return Transitions(normal(4), 0.4 * normal(3).tanh(), normal(), normal(4), terminal)

    transitions, sequences = batch(config.batch_size), batch(config.horizon, config.batch_size)
    noise = {}
    for key, shape in agent.noise_shapes.items():
        own = torch.Generator().manual_seed(1000 * seed + sum(map(ord, key)))
        noise[key] = torch.randn(*shape, generator=own, dtype=torch.float64)
    return sequences, transitions, noise
