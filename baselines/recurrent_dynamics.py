"""Deterministic recurrent dynamics of observations, for a population (Amos et al., 2021).

Shapes: x (S, batch, observation), u (S, batch, action), with S the seeds of the population.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alm.training.population import Output, initialise_orthogonal, mlp
from baselines.networks import initialise_fan_in

LAYERS = 2
Hidden = tuple[Tensor | None, ...]
"""State of each recurrent layer, (S, batch, hidden); ``None`` stands for zeros."""


class GRUCell(nn.Module):
    """Gated recurrent unit (Cho et al., 2014) per member, with torch.nn.GRU's equations and gate order."""

    def __init__(self, members: int, inputs: int, hidden: int) -> None:
        super().__init__()
        # The gates, and thus the recurrent state, have the precision of the parameters.
        self.input = Output(members, inputs, 3 * hidden)
        self.state = Output(members, hidden, 3 * hidden)

    def forward(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        """The next state (members, batch, hidden); ``None`` means zeros, whose product is skipped."""
        reset_x, update_x, new_x = self.input(x).chunk(3, dim=-1)
        recurrent = self.state.bias if hidden is None else self.state(hidden)
        reset_h, update_h, new_h = recurrent.chunk(3, dim=-1)
        keep = torch.sigmoid(update_x + update_h)
        new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        return new - keep * new if hidden is None else torch.lerp(new, hidden, keep)


class RecurrentDynamics(nn.Module):
    """x_{t+1} = x_t + Linear(GRU(MLP(x_t, u_t))): two ReLU layers, two GRU layers, all of one width."""

    START: Hidden = (None,) * LAYERS
    """The hidden state at the beginning of every unroll."""

    def __init__(self, seeds: int, observation_size: int, action_size: int, hidden: int) -> None:
        super().__init__()
        self.encoder = mlp(seeds, (observation_size + action_size, hidden, hidden, hidden), nn.ReLU)
        self.cells = nn.ModuleList(GRUCell(seeds, hidden, hidden) for _ in range(LAYERS))
        self.decoder = Output(seeds, hidden, observation_size)

    def initialise(self, generators: Sequence[torch.Generator]) -> None:
        """Orthogonal weights and zero biases; in the GRU torch's default, uniform within ±1/√hidden."""
        initialise_orthogonal(self.encoder, generators)
        initialise_orthogonal(self.decoder, generators)
        # A cell's inputs and states have one width, so fan-in is hidden for both.
        initialise_fan_in(self.cells, generators)

    def forward(self, x: Tensor, u: Tensor, hidden: Hidden) -> tuple[Tensor, Hidden]:
        """One step: x_{t+1} and the next hidden state."""
        y = self.encoder(torch.cat([x, u], dim=-1))
        after = []
        for cell, state in zip(self.cells, hidden, strict=True):
            y = cell(y, state)
            after.append(y)
        return x + self.decoder(y), tuple(after)


def prediction_errors(model: RecurrentDynamics, observation: Tensor, action: Tensor) -> Tensor:
    """Error of an unroll on real sequences, by step → (S, L − 1); trains the model.

    From x_0 on, ``model`` is fed its own predictions and the recorded actions; entry t is the mean
    over batch and dimensions of (x̂_{t+1} − x_{t+1})². For standardised observations it is normalised:
    1 is the error of always predicting the mean.

    x̂_t enters the next step without gradient, the hidden state with gradient (Amos et al., 2021).

    Args:
        model: the dynamics.
        observation: x_0 … x_{L−1} (S, L, batch, observation) of one episode each.
        action: u_0 … (S, ≥ L − 1, batch, action).
    """
    x, hidden, errors = observation[:, 0], model.START, []
    for t in range(observation.shape[1] - 1):
        x, hidden = model(x.detach(), action[:, t], hidden)
        errors.append((x - observation[:, t + 1]).square().mean(dim=(1, 2)))
    return torch.stack(errors, dim=1)
