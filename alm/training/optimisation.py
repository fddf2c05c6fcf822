"""One optimiser group: gradient of a population's loss, optional clipping per seed, Adam."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

_DECAYS = 0.9, 0.999
_EPSILON = 1e-8


class OptimiserGroup:
    """Adam over some modules; the gradient norm is measured and clipped for each seed separately.

    The step is torch's functional Adam on moments that are held here: `torch.optim.Adam` around it, with its
    hooks and groups, would cut a compiled update into parts.

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
        self.learning_rate = learning_rate
        self.max_norm = max_norm
        self._first = [torch.zeros_like(p) for p in self.parameters]
        self._second = [torch.zeros_like(p) for p in self.parameters]
        # Adam's count for each parameter, on the device so that a CUDA graph can count. Moments are corrected
        # in its precision; torch's kernel on CUDA takes only float32.
        device = self.parameters[0].device
        precision = torch.float32 if device.type == "cuda" else torch.float64
        self._steps = torch.zeros(len(self.parameters), dtype=precision, device=device)

    def step(self, loss: Tensor) -> Tensor:
        """One step on ``loss`` (S,), one value per seed; returns the gradient norms before clipping (S,).

        Only the gradients of this group's parameters are computed, so networks that merely pass
        gradients through (a frozen critic, say) cost no weight gradients.
        """
        return self.apply(torch.autograd.grad(loss.sum(), self.parameters))

    @torch.no_grad()
    def apply(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """Adam step after clipping, with one gradient per parameter; returns the norms before clipping (S,).

        A parameter whose gradient is ``None`` does not change, nor do its moments.
        """
        moved = [i for i, gradient in enumerate(gradients) if gradient is not None]
        # A plain sum over parameters has one expanded number as its gradient; Adam would read past it.
        by_seed = [g.reshape(self.seeds, -1).contiguous() for g in gradients if g is not None]
        norms: Tensor = torch.linalg.vector_norm(
            torch.stack([torch.linalg.vector_norm(g, dim=1) for g in by_seed]), dim=0
        )
        if self.max_norm is not None:
            scale = (self.max_norm / (norms + 1e-6)).clamp(max=1.0)
            torch._foreach_mul_(by_seed, [scale[:, None]] * len(by_seed))
        clipped = [g.view_as(self.parameters[i]) for g, i in zip(by_seed, moved, strict=True)]
        # torch's fused kernel cannot become part of a compiled program, which fuses plain formulas itself.
        (self._plain_adam if torch.compiler.is_compiling() else self._fused_adam)(clipped, moved)
        return norms

    def _fused_adam(self, gradients: list[Tensor], moved: list[int]) -> None:
        """Adam step of the parameters ``moved``, in place, by torch's kernel."""
        steps = self._steps.unbind()
        adam(
            [self.parameters[i] for i in moved],
            gradients,
            [self._first[i] for i in moved],
            [self._second[i] for i in moved],
            [],
            [steps[i] for i in moved],
            fused=True,
            capturable=self._steps.is_cuda,
            amsgrad=False,
            beta1=_DECAYS[0],
            beta2=_DECAYS[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=_EPSILON,
            maximize=False,
        )

    def _plain_adam(self, gradients: list[Tensor], moved: list[int]) -> None:
        """The same as `_fused_adam` in plain operations."""
        self._steps[moved] += 1
        of_first, of_second = _bias_corrections(self._steps).unbind()
        for i, gradient in zip(moved, gradients, strict=True):
            parameter, first, second = self.parameters[i], self._first[i], self._second[i]
            first.lerp_(gradient, 1 - _DECAYS[0])
            second.mul_(_DECAYS[1]).addcmul_(gradient, gradient, value=1 - _DECAYS[1])
            scale = (second.sqrt() * of_second[i]).add_(_EPSILON)
            parameter.sub_(self.learning_rate * of_first[i] * first / scale)

    def state(self) -> dict[str, Any]:
        """Adam's moments in parameter order and the step count: one number, or one per parameter."""
        steps = [int(step) for step in self._steps.tolist()]
        if not any(steps):
            return {"steps": 0}
        return {
            "steps": steps[0] if len(set(steps)) == 1 else steps,
            "first_moment": self._first,
            "second_moment": self._second,
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self._steps.copy_(torch.as_tensor(state["steps"]))
        for moments, name in ((self._first, "first_moment"), (self._second, "second_moment")):
            # Without a step there are none.
            stored = state.get(name, [torch.zeros(())] * len(moments))
            for own, moment in zip(moments, stored, strict=True):
                own.copy_(moment)


@torch.library.custom_op("alm::bias_corrections", mutates_args=())
def _bias_corrections(steps: Tensor) -> Tensor:
    """Factors 1 / (1 − β₁ᵗ) and 1 / √(1 − β₂ᵗ) of Adam's moments after t = ``steps`` (P,) steps → (2, P).

    An operation of its own, since a compiler would put the powers into the loops over parameters and raise
    them anew for every few numbers, which takes longer than the rest of a step.
    """
    first, second = (1.0 - decay**steps for decay in _DECAYS)
    return torch.stack([first.reciprocal(), second.rsqrt()])


@_bias_corrections.register_fake
def _(steps: Tensor) -> Tensor:
    return steps.new_empty(2, len(steps))


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
