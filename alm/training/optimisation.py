"""One optimiser group: gradient of a population's loss, optional clipping per seed, Adam."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class OptimiserGroup:
    """Adam over some modules; the gradient norm is measured and clipped for each seed separately.

    Args:
        modules: the networks that this group trains; parameters have a leading member axis.
        seeds: size S of the population.
        learning_rate: Adam's step size (betas and epsilon are torch's defaults).
        max_norm: largest Euclidean norm of one seed's gradient over the whole group; ``None``: no clipping.
    """

    def __init__(
        self, modules: Iterable[nn.Module], seeds: int, learning_rate: float, max_norm: float | None = None
    ) -> None:
        self.parameters = [p for module in modules for p in module.parameters()]
        self.seeds = seeds
        self.max_norm = max_norm
        on_cpu = self.parameters[0].device.type == "cpu"
        # Capturable: the step count can be captured into a CUDA graph; CPUs lack the option.
        self.adam = torch.optim.Adam(self.parameters, lr=learning_rate, fused=True, capturable=not on_cpu)

    def step(self, loss: Tensor) -> Tensor:
        """One step on ``loss`` (S,), one value per seed; returns the gradient norms before clipping (S,).

        Only the gradients of this group's parameters are computed, so networks that merely pass
        gradients through (a frozen critic, say) cost no weight gradients.
        """
        return self.apply(torch.autograd.grad(loss.sum(), self.parameters))

    def apply(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """Adam step after clipping, with one gradient per parameter; returns the norms before clipping (S,).

        A parameter whose gradient is ``None`` does not change, nor do its moments.
        """
        moved = [(p, g) for p, g in zip(self.parameters, gradients, strict=True) if g is not None]
        # A plain sum over parameters has one expanded number as its gradient; Adam would read past it.
        by_seed = [g.reshape(self.seeds, -1).contiguous() for _, g in moved]
        norms: Tensor = torch.linalg.vector_norm(
            torch.stack([torch.linalg.vector_norm(g, dim=1) for g in by_seed]), dim=0
        )
        if self.max_norm is not None:
            scale = (self.max_norm / (norms + 1e-6)).clamp(max=1.0)
            torch._foreach_mul_(by_seed, [scale[:, None]] * len(by_seed))
        for (parameter, _), gradient in zip(moved, by_seed, strict=True):
            parameter.grad = gradient.view_as(parameter)
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None
        return norms

    def state(self) -> dict[str, Any]:
        """Adam's moments in parameter order and the step count: one number, or one per parameter."""
        states = [self.adam.state.get(p, {}) for p in self.parameters]
        if not any(states):
            return {"steps": 0}
        steps = [int(s["step"].item()) if s else 0 for s in states]
        # A parameter that no loss has depended on yet has Adam's initial state.
        first, second = (
            [s[moment] if s else torch.zeros_like(p) for s, p in zip(states, self.parameters, strict=True)]
            for moment in ("exp_avg", "exp_avg_sq")
        )
        return {
            "steps": steps[0] if len(set(steps)) == 1 else steps,
            "first_moment": first,
            "second_moment": second,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.adam.state.clear()
        if state["steps"] == 0:
            return
        steps = state["steps"]
        counts = steps if isinstance(steps, list) else [steps] * len(self.parameters)
        for parameter, count, first, second in zip(
            self.parameters, counts, state["first_moment"], state["second_moment"], strict=True
        ):
            self.adam.state[parameter] = {
                "step": torch.tensor(float(count), device=parameter.device),
                "exp_avg": first.to(parameter).clone(),
                "exp_avg_sq": second.to(parameter).clone(),
            }


def step_together(groups: Sequence[OptimiserGroup], loss: Tensor) -> list[Tensor]:
    """One step of several groups on one ``loss`` (S,); all gradients are computed before any group changes.

    Each group is clipped separately. Parameters that the loss does not depend on do not change.
    Returns the gradient norms before clipping, (S,) for each group.
    """
    parameters = [p for group in groups for p in group.parameters]
    gradients = torch.autograd.grad(loss.sum(), parameters, allow_unused=True)
    norms, start = [], 0
    for group in groups:
        end = start + len(group.parameters)
        norms.append(group.apply(gradients[start:end]))
        start = end
    return norms
