"""Trust-region policy optimisation (Schulman et al., 2015): the step, and generalised advantages.

Details follow facebookresearch/slbo (``slbo/algos/TRPO.py``), where SLBO plans with it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from baselines.networks import MeanLogStd

KL_SLACK = 1.5
"""Multiple of the target KL divergence up to which a step is accepted."""
DAMPING = 0.1
"""Multiple of the identity added to the Fisher matrix."""
CONJUGATE_STEPS = 10
"""Steps of the conjugate gradient method."""
BACKTRACKS = 10
"""Number of step sizes tried, each half of the previous one."""


@dataclass(frozen=True)
class StepOutcome:
    """Outcome of a step: mean KL from the old policy, increase of the gain, and whether it was taken."""

    kl: float
    improvement: float
    accepted: bool


def advantages(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminal: Tensor,
    ended: Tensor,
    discount: float,
    trace: float,
) -> Tensor:
    """Generalised advantages of parallel rollouts; all arguments and the result are (steps, rollouts).

    A_t = δ_t + γ λ (1 − e_t) A_{t+1},  δ_t = r_t + γ (1 − d_t) V(s'_t) − V(s_t),

    with λ = ``trace``, d = ``terminal`` (no value beyond) and e = ``ended`` (terminal or truncated: another
    episode follows). ``next_value`` is that of the state reached by the step, even if it was truncated.
    """
    delta = reward + discount * (1.0 - terminal) * next_value - value
    carried = discount * trace * (1.0 - ended)
    out = torch.empty_like(delta)
    following = torch.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        following = delta[t] + carried[t] * following
        out[t] = following
    return out


def kl_divergence(old: MeanLogStd, new: MeanLogStd) -> Tensor:
    """KL(old ‖ new) of diagonal Gaussians, summed over dimensions → (…)."""
    (old_mean, old_log_std), (mean, log_std) = old, new
    squares = (2 * old_log_std).exp() + (old_mean - mean).square()
    return (log_std - old_log_std + 0.5 * squares * (-2 * log_std).exp() - 0.5).sum(dim=-1)


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], target: Tensor, steps: int, tolerance: float = 1e-10
) -> Tensor:
    """Solution x of A x = ``target`` for positive definite A, given as ``product``: x ↦ A x; vectors (n,).

    Ends after ``steps``, or once the squared residual is below ``tolerance``.
    """
    solution = torch.zeros_like(target)
    residual, direction = target.clone(), target.clone()
    squared = residual.dot(residual)
    for _ in range(steps):
        image = product(direction)
        length = squared / direction.dot(image)
        solution = solution + length * direction
        residual = residual - length * image
        previous, squared = squared, residual.dot(residual)
        if squared < tolerance:
            break
        direction = residual + (squared / previous) * direction
    return solution


def fisher_product(
    kl: Tensor, parameters: Sequence[nn.Parameter], damping: float
) -> Callable[[Tensor], Tensor]:
    """v ↦ (F + ``damping`` I) v, where F is the Hessian of ``kl`` (a scalar with graph) in the parameters.

    At the old policy that is the Fisher matrix.
    """
    slope = parameters_to_vector(torch.autograd.grad(kl, parameters, create_graph=True))

    def product(vector: Tensor) -> Tensor:
        rows = torch.autograd.grad(slope.dot(vector), parameters, retain_graph=True)
        return parameters_to_vector([row.contiguous() for row in rows]) + damping * vector

    return product


def trust_region_step(
    parameters: Sequence[nn.Parameter],
    evaluate: Callable[[], tuple[Tensor, Tensor]],
    *,
    max_kl: float,
    damping: float = DAMPING,
) -> StepOutcome:
    """Natural-gradient step that increases the gain, with a backtracking line search.

    The step is x = √(2 max_kl / yᵀAy) y with A y = ∇gain, A = F + damping · I and F the Fisher matrix; it is
    halved until the gain has not fallen, the mean KL is at most `KL_SLACK` · max_kl, and both are finite. If
    no step qualifies, the parameters do not change.

    Args:
        parameters: parameters of the policy; changed in place.
        evaluate: gain and mean KL from the old policy, scalars of the current parameters. First called
            when the policy is the old one.
        max_kl: target of the step's mean KL divergence from the old policy.
        damping: multiple of the identity added to the Fisher matrix.
    """
    gain, kl = evaluate()
    gradient = parameters_to_vector(torch.autograd.grad(gain, parameters, retain_graph=True))
    if not bool(gradient.isfinite().all()) or bool((gradient.abs() < 1e-8).all()):
        return StepOutcome(0.0, 0.0, accepted=False)
    product = fisher_product(kl, parameters, damping)
    direction = conjugate_gradient(product, gradient, CONJUGATE_STEPS)
    size = math.sqrt(2.0 * max_kl / direction.dot(product(direction)).item())
    start = parameters_to_vector(parameters).detach().clone()
    for _ in range(BACKTRACKS):
        vector_to_parameters(start + size * direction, parameters)
        with torch.no_grad():
            new_gain, new_kl = evaluate()
        improvement, distance = (new_gain - gain).item(), new_kl.item()
        if math.isfinite(improvement) and improvement >= 0.0 and distance <= KL_SLACK * max_kl:
            return StepOutcome(distance, improvement, accepted=True)
        size *= 0.5
    vector_to_parameters(start, parameters)
    return StepOutcome(0.0, 0.0, accepted=False)
