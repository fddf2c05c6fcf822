"""Ensemble of Gaussian dynamics models p(r, s' − s | s, a), as in MBPO (Janner et al., 2019).

Everything follows the code of jannerm/mbpo, which follows PETS (Chua et al., 2018). The N members are one
batched network; each sees its own bootstrap of the data, and only a pair of bounds couples them. There
is one seed, because the data decide when training ends, so seeds could not run in lockstep.

Shapes: N members, E elites, s (1, n, observation), a (1, n, action), inputs x = (s, a), targets
y = (r, s' − s) in the task's units.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alm.errors import UserError
from alm.training.agent import Metrics
from alm.training.optimisation import OptimiserGroup
from alm.training.population import Linear, forward_rows, mlp
from alm.training.ranges import Count, NotNegative, Part, Positive, Steps
from alm.training.replay import Transitions
from alm.training.streams import Streams

MeanLogVariance = tuple[Tensor, Tensor]

# λ_l of the four hidden layers and the output.
_WEIGHT_DECAYS = (2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4)
_BOUNDS_WEIGHT = 0.01


@dataclass(frozen=True)
class EnsembleConfig:
    """Hyper-parameters of the ensemble and its training."""

    members: Count = 7
    """N, models in the ensemble."""
    elites: Count = 5
    """E, models used for prediction: those with the lowest holdout error."""
    hidden_size: Count = 200
    """Width of the four hidden layers."""
    learning_rate: Positive = 1e-3
    """Adam's step size."""
    batch_size: Count = 256
    """Transitions for one update of one member."""
    holdout_share: Part = 0.2
    """Fraction of the data held out for comparing the members."""
    holdout_limit: Count = 5000
    """Largest number of transitions held out."""
    improvement: NotNegative = 0.01
    """Relative decrease of a member's holdout error that counts as an improvement."""
    patience: Steps = 5
    """Consecutive epochs allowed without any member improving; one more ends the training."""

    def conflict(self) -> str | None:
        """Explanation of why these settings are incompatible; None if they are compatible."""
        if self.elites > self.members:
            return f"elites={self.elites} are more than all members={self.members}"
        return None

    def held_out(self, transitions: int) -> int:
        """Number of transitions held out of a given number."""
        return min(int(self.holdout_share * transitions), self.holdout_limit)


class GaussianEnsemble(nn.Module):
    """N networks x → mean and log-variance of y, of four swish layers.

    Inputs are standardised with statistics of the data. Log-variances have soft bounds, which are also
    parameters: one pair per output, shared by the members.
    """

    input_mean: Tensor
    input_deviation: Tensor

    def __init__(self, inputs: int, outputs: int, config: EnsembleConfig, generator: torch.Generator) -> None:
        super().__init__()
        hidden = [config.hidden_size] * (len(_WEIGHT_DECAYS) - 1)
        self.layers = mlp(config.members, (inputs, *hidden, 2 * outputs), nn.SiLU)
        self.max_log_variance = nn.Parameter(torch.full((1, 1, outputs), 0.5))
        self.min_log_variance = nn.Parameter(torch.full((1, 1, outputs), -10.0))
        self.register_buffer("input_mean", torch.zeros(1, 1, inputs))
        self.register_buffer("input_deviation", torch.ones(1, 1, inputs))
        for layer in self.linears:
            # Half of 1/√fan-in, truncated at two standard deviations.
            std = 0.5 * layer.weight.shape[1] ** -0.5
            nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std, generator=generator)

    @property
    def linears(self) -> list[Linear]:
        """The affine layers, from the first to the output; biases start at zero."""
        return [layer for layer in self.layers if isinstance(layer, Linear)]

    @torch.no_grad()
    def standardise(self, inputs: Tensor) -> None:
        """Set mean and std from the inputs (n, inputs); constant components keep their scale.

        Computed in double precision, without which the std of a constant would not be zero.
        """
        std, mean = torch.std_mean(inputs.double(), dim=0, correction=0)
        self.input_mean.copy_(mean)
        self.input_deviation.copy_(std.masked_fill(std < 1e-12, 1.0))

    def forward(self, inputs: Tensor, rows: Tensor | None = None) -> MeanLogVariance:
        """Mean and log-variance of y, each (N, n, outputs), for inputs (N or 1, n, inputs).

        With ``rows`` (M,), only for these members: inputs and results have M in place of N.
        """
        x = (inputs - self.input_mean) / self.input_deviation
        out = self.layers(x) if rows is None else forward_rows(self.layers, x, rows)
        mean, raw = out.chunk(2, dim=-1)
        log_variance = self.max_log_variance - F.softplus(self.max_log_variance - raw)
        return mean, self.min_log_variance + F.softplus(log_variance - self.min_log_variance)


def ensemble_objective(network: GaussianEnsemble, inputs: Tensor, targets: Tensor) -> Tensor:
    """Ensemble loss (1,): likelihood, weight decay, narrow bounds; trains all parameters of the network.

    L = Σ_i mean [ (μ_i − y)² e^{−v_i} + v_i ] + Σ_l λ_l ½ ‖W_l‖² + 0.01 Σ (v_max − v_min),

    for inputs (N, batch, inputs) and targets (N, batch, outputs), v the log-variance, the mean over batch
    and outputs, the sums over members, over layers with all their members, and over outputs.
    """
    mean, log_variance = network(inputs)
    fit = ((mean - targets).square() * (-log_variance).exp() + log_variance).mean(dim=(1, 2)).sum()
    for layer, decay in zip(network.linears, _WEIGHT_DECAYS, strict=True):
        fit = fit + 0.5 * decay * layer.weight.square().sum()
    width = (network.max_log_variance - network.min_log_variance).sum()
    return (fit + _BOUNDS_WEIGHT * width)[None]


class EnsembleDynamics:
    """Dynamics model, learned from transitions, that imagines transitions.

    Args:
        observation_size, action_size: sizes of the task.
        config: hyper-parameters.
        generator: draws the initial weights (CPU).
        device, dtype: device and precision of the networks.
    """

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        config: EnsembleConfig,
        generator: torch.Generator,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.config = config
        self.network = GaussianEnsemble(
            observation_size + action_size, 1 + observation_size, config, generator
        ).to(device=device, dtype=dtype)
        self.optimiser = OptimiserGroup((self.network,), 1, config.learning_rate, max_norm=None)
        self.elites = torch.arange(config.elites, device=device)

    def fit(self, transitions: Transitions, streams: Streams) -> Metrics:
        """Train from the current weights until no member improves; returns metrics (1,).

        Loss and gradient norm are means over the last epoch; ``model/holdout_mse`` is the mean of the
        elites' lowest errors.

        A random part of the transitions (1, n) is held out. Each member learns from a bootstrap of the
        rest, drawn once and reshuffled every epoch, and ends with the weights of its own best epoch.
        As in the reference, the variance bounds keep their final values.

        Raises:
            UserError: there are too few transitions to hold one out.
        """
        config, network = self.config, self.network
        observation = transitions.observation[0]
        inputs = torch.cat([observation, transitions.action[0]], dim=-1)
        targets = torch.cat(
            [transitions.reward[0, :, None], transitions.next_observation[0] - observation], dim=-1
        )
        held_count = config.held_out(len(inputs))
        if held_count == 0:
            raise UserError(
                f"{len(inputs)} transitions are too few for a dynamics model; use a longer warm-up"
            )
        order = streams.permutations(len(inputs), 1)[0, 0]
        held, kept = order[:held_count], order[held_count:]
        network.standardise(inputs[kept])
        rows = kept[streams.integers(len(kept), config.members, len(kept))[0]]  # (N, n): fixed for all epochs

        weights = list(network.layers.parameters())
        best = [weight.detach().clone() for weight in weights]
        lowest = torch.full((config.members,), float("inf"), device=inputs.device, dtype=inputs.dtype)
        epochs = stale = 0
        while stale <= config.patience:
            losses, norms = [], []
            for batch in rows.split(config.batch_size, dim=1):
                loss = ensemble_objective(network, inputs[batch], targets[batch])
                norms.append(self.optimiser.step(loss))
                losses.append(loss.detach())
            rows = rows.gather(1, streams.permutations(rows.shape[1], config.members)[0])
            error = self._squared_error(inputs[held], targets[held])
            improved = error < (1.0 - config.improvement) * lowest
            lowest = torch.where(improved, error, lowest)
            for kept_weight, weight in zip(best, weights, strict=True):
                kept_weight[improved] = weight.detach()[improved]
            stale = 0 if bool(improved.any()) else stale + 1
            epochs += 1

        with torch.no_grad():
            for kept_weight, weight in zip(best, weights, strict=True):
                weight.copy_(kept_weight)
        self.elites = lowest.argsort()[: config.elites]
        return {
            "loss/model": torch.stack(losses).mean(dim=0),
            "grad_norm/model": torch.stack(norms).mean(dim=0),
            "model/holdout_mse": lowest[self.elites].mean()[None],
            "model/epochs": lowest.new_tensor([epochs]),
        }

    @torch.no_grad()
    def _squared_error(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error of every member's mean (N,) on inputs (n, inputs)."""
        mean, _ = self.network(inputs.expand(self.config.members, -1, -1))
        return (mean - targets).square().mean(dim=(1, 2))

    @torch.no_grad()
    def sample(self, observation: Tensor, action: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Imagined rewards (1, n) and next observations (1, n, observation), each by a random elite.

        Inputs are sorted by elite, so that each is evaluated by one member only.
        """
        count, device = observation.shape[1], observation.device
        choice = streams.integers(len(self.elites), count)[0]
        order, counts = choice.argsort(), torch.bincount(choice, minlength=len(self.elites))
        longest = int(counts.max())
        first = counts.cumsum(dim=0) - counts
        slot = torch.empty_like(choice)
        slot[order] = torch.arange(count, device=device) - first[choice[order]]
        slot += choice * longest

        pairs = torch.cat([observation[0], action[0]], dim=-1)
        inputs = pairs.new_zeros(len(self.elites) * longest, pairs.shape[1])
        inputs[slot] = pairs
        mean, log_variance = self.network(inputs.unflatten(0, (-1, longest)), self.elites)
        mean, log_variance = mean.flatten(0, 1)[slot], log_variance.flatten(0, 1)[slot]
        noise = streams.normal(*mean.shape, dtype=mean.dtype)[0]
        drawn = mean + (0.5 * log_variance).exp() * noise
        return drawn[None, :, 0], observation + drawn[None, :, 1:]

    def state(self) -> dict[str, Any]:
        """All state that training changes; between calls of `fit` the best weights are the current ones."""
        return {
            "network": dict(self.network.state_dict()),
            "optimiser": self.optimiser.state(),
            "elites": self.elites,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state(state["optimiser"])
        self.elites = state["elites"].to(self.elites)


@torch.no_grad()
def multi_step_error(dynamics: EnsembleDynamics, sequences: Transitions) -> Tensor:
    """Prediction error by number of steps ahead → (K,).

    Every elite follows its own means from the first states of the sequences (1, K, batch) with the recorded
    actions. Entry k − 1 is the mean squared error of the state k steps ahead, in the task's units,
    over elites, sequences and components.
    """
    elites = dynamics.elites
    state = sequences.observation[0, 0].expand(len(elites), -1, -1)
    errors = []
    for action, after in zip(sequences.action[0], sequences.next_observation[0], strict=True):
        pairs = torch.cat([state, action.expand(len(elites), -1, -1)], dim=-1)
        state = state + dynamics.network(pairs, elites)[0][..., 1:]
        errors.append((state - after).square().mean())
    return torch.stack(errors)
