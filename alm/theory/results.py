"""All theory results: rows of every exhibit."""

from collections.abc import Callable

import numpy as np

from alm.theory import demonstrations, exhibits
from alm.theory.counterexamples import every_counterexample
from alm.theory.exhibits import Row, number
from alm.theory.statements import CHECKS, check_all
from alm.theory.verdicts import Finding

Exhibits = dict[str, list[Row]]
"""Rows by name: theory-statements, theory-counterexamples, theory-bound-over-k, theory-tighter-bound,
theory-gap-a5, theory-a7, theory-joint, theory-optimism, theory-lottery."""


def run(seed: int = 0, progress: Callable[[float], None] | None = None) -> Exhibits:
    """Rows of every check and demonstration, determined by ``seed``.

    ``progress`` is called with the fraction done, from 0 to 1. Every exhibit has its own random stream.
    """
    # Three ascents for the gap of A.5 and two for optimism.
    done, total = 0, len(CHECKS) + 5 * demonstrations.STEPS + demonstrations.joint_learning_steps()

    def advance() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done / total)

    streams = iter(np.random.SeedSequence(seed).spawn(6))

    def stream() -> np.random.Generator:
        return np.random.default_rng(next(streams))

    return {
        "theory-statements": [statement_row(one) for one in check_all(stream(), progress=advance)],
        "theory-counterexamples": exhibits.counterexample_rows(every_counterexample()),
        "theory-bound-over-k": exhibits.bound_over_k(stream()),
        "theory-tighter-bound": exhibits.tighter_bound(stream()),
        "theory-gap-a5": exhibits.gap_a5(stream(), demonstrations.STEPS, progress=advance),
        "theory-a7": exhibits.offline_counterexamples(),
        "theory-optimism": demonstrations.optimism(stream(), progress=advance),
        "theory-lottery": demonstrations.lottery(),
        "theory-joint": demonstrations.joint_learning(stream(), progress=advance),
    }


def statement_row(one: Finding) -> Row:
    """A finding as a row of the table of statements."""
    example = one.counterexample
    return {
        "place": one.place,
        "statement": one.statement,
        "checks": one.instances,
        "violations": one.violations,
        # Rounding errors differ between machines.
        "largest excess": 0.0 if abs(one.worst) < 1e-9 else number(one.worst),
        "verdict": str(one.verdict),
        "detail": one.detail,
        "counterexample": f"{example.words}, γ = {example.mdp.discount[0]:g}, K = {example.horizon}"
        if example
        else "",
    }
