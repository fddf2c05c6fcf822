"""Learned temperature: the weight of an entropy bonus, for methods that reward random policies."""

import math

import torch
from torch import Tensor, nn

from alm.training.schedules import Level


class Temperature(nn.Module):
    """Weight α of the entropy, one per seed, parameterised by its logarithm."""

    def __init__(self, seeds: int, initial: float) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.full((seeds,), math.log(initial)))

    def forward(self) -> Tensor:
        """α (S,), without gradient."""
        return self.log_alpha.detach().exp()


def temperature_objective(temperature: Temperature, log_probability: Tensor, target_entropy: Level) -> Tensor:
    """Temperature loss (S,); trains log α.

    L_α = −log α · mean sg(log π(u|s) + H̄),  log π (S, batch) of fresh actions, H̄ the target entropy.

    log α stands for the paper's α, as in the code of watchernyu/REDQ: the gradient has the same sign.
    """
    return -temperature.log_alpha * (log_probability.detach() + target_entropy).mean(dim=-1)
