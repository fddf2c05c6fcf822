"""ALM with other networks: a linear classifier (Figure 16), an identity encoder (13), ReLU (appendix G)."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from alm.agent import ALM
from alm.config import ALMConfig
from alm.networks import Networks, bounded_std
from alm.objectives import Gaussian
from alm.task_registry import task_spec
from alm.training.population import mlp
from alm.training.scale import Scale


class LinearClassifier(nn.Module):
    """Classifier C(z, a, z') that is one affine map."""

    def __init__(self, seeds: int, inputs: int) -> None:
        super().__init__()
        self.layers = mlp(seeds, (inputs, 2))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (S, 1, batch, 2) of z, a and z'."""
        logits: Tensor = self.layers(torch.cat(inputs, dim=-1))
        return logits[:, None]


class LinearClassifierNetworks(Networks):
    """ALM's networks with a `LinearClassifier`."""

    def build(self, seeds: int, observation_size: int, action_size: int, config: ALMConfig) -> None:
        """Make the online networks."""
        super().build(seeds, observation_size, action_size, config)
        self.classifier = LinearClassifier(seeds, 2 * config.latent_size + action_size)


class LinearClassifierALM(ALM):
    """ALM whose classifier is linear."""

    network_class = LinearClassifierNetworks


class IdentityEncoder(nn.Module):
    """Encoder e(z|s) with mean s; its std is an affine map of s, bounded as in ALM."""

    def __init__(self, seeds: int, observation_size: int) -> None:
        super().__init__()
        self.layers = mlp(seeds, (observation_size, observation_size))

    def forward(self, observation: Tensor) -> Gaussian:
        """Mean and standard deviation (S, batch, observation) of z."""
        return observation, bounded_std(self.layers(observation))


class IdentityEncoderNetworks(Networks):
    """ALM's networks with an `IdentityEncoder`; the model's mean stays within ±30."""

    def build(self, seeds: int, observation_size: int, action_size: int, config: ALMConfig) -> None:
        """Make the online networks; ``config.latent_size`` must be ``observation_size``."""
        super().build(seeds, observation_size, action_size, config)
        self.encoder = IdentityEncoder(seeds, observation_size)


@dataclass(frozen=True)
class IdentityEncoderConfig(ALMConfig):
    """ALM's hyper-parameters with representations as large as observations."""

    @classmethod
    def at(cls, scale: Scale, task: str) -> Self:
        """The configuration of a scale on a task."""
        return replace(super().at(scale, task), latent_size=task_spec(task).observation_size)


class IdentityEncoderALM(ALM):
    """ALM whose representations are observations with learned noise."""

    unused_settings = ("latent_size",)  # that of an observation

    network_class = IdentityEncoderNetworks


class ReLUNetworks(Networks):
    """ALM's networks with ReLU in place of ELU; the tanh after layer normalisation stays."""

    def build(self, seeds: int, observation_size: int, action_size: int, config: ALMConfig) -> None:
        """Make the online networks."""
        super().build(seeds, observation_size, action_size, config)
        for module in [*self.modules()]:
            for name, part in module.named_children():
                if isinstance(part, nn.ELU):
                    setattr(module, name, nn.ReLU(inplace=True))


class ReLUALM(ALM):
    """ALM with ReLU activations and the same initialisation."""

    network_class = ReLUNetworks
