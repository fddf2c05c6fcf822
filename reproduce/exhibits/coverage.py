"""Coverage: how much of an exhibit is stored and what it lacks, for plan, inventory, documents and report.

A run is done for an exhibit once it has reached the step at which the exhibit reads it, provided it is stored
with the data that the exhibit needs: values for figures of their bias, predictions for Figure 7.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from alm.training.scale import scale_named
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.kinds import Exhibit, FigureExhibit, Series
from reproduce.lab.missing import Missing, checkpointed
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store, StoredRun

State = Literal["done", "partial", "unmeasured", "failed", "missing"]
"""How much of a run is stored: done up to the step at which an exhibit reads it; unmeasured if it got there,
but lacks data besides evaluations."""


@dataclass(frozen=True)
class Coverage:
    """How much of an exhibit is stored at a scale.

    Attributes:
        scale: name of the scale.
        states: the runs that the exhibit needs, and what is stored of each; may be empty.
        missing: runs still to be trained; failed ones are not missing.
    """

    scale: str
    states: Mapping[RunSpec, State]
    missing: tuple[Missing, ...]

    @property
    def needed(self) -> int:
        """Number of runs that the exhibit needs."""
        return len(self.states)

    @property
    def done(self) -> int:
        """How many of them are stored up to the step at which the exhibit reads them."""
        return self._count("done")

    @property
    def partial(self) -> int:
        """How many are stored in part, unmeasured ones among them."""
        return self._count("partial") + self.unmeasured

    @property
    def unmeasured(self) -> int:
        """How many have the steps, but lack data besides evaluations."""
        return self._count("unmeasured")

    @property
    def failed(self) -> int:
        """How many failed before that step."""
        return self._count("failed")

    @property
    def stored(self) -> int:
        """How many are stored in any state."""
        return self.needed - self._count("missing")

    def _count(self, state: State) -> int:
        return sum(one == state for one in self.states.values())

    @property
    def text(self) -> str:
        """``"3 of 12"``; a dash if no run is needed."""
        return f"{self.done} of {self.needed}" if self.needed else "–"


def coverage(exhibit: Exhibit, store: Store, scale: str) -> Coverage:
    """Coverage of an exhibit by a store at a scale."""
    stored = {run.spec: run for run in store.runs(scale=scale)}
    states = {
        spec: _state(exhibit, stored.get(spec), read_out, store)
        for spec, read_out in exhibit.needs(scale).items()
    }
    return Coverage(scale, states, tuple(missing_of([exhibit], stored.values(), scale)))


def why_nothing_shown(figure: FigureExhibit, found: Coverage) -> str:
    """Half a sentence on why `FigureExhibit.says_something` rejects a picture of a figure."""
    if not found.needed:
        return "it has no panel at this scale"
    if not found.stored:
        return "none of its runs is stored yet"
    if found.failed == found.stored:
        return "all of its stored runs have failed"
    if figure.beside_evaluations:
        part = "" if found.unmeasured else "in part and "
        return f"its runs are stored {part}without {figure.beside_evaluations}"

    def states(series: tuple[Series, ...]) -> set[State]:
        return {found.states[spec] for spec in replace(figure, series=series).needs(found.scale)}

    # Of those without which a picture says nothing, a run that has not failed would have been drawn.
    added = figure.beside and states(figure.beside) <= {"failed", "missing"}
    needed = figure.beside if added else figure.telling
    failed = "failed" in states(needed)
    lacking = ", ".join(one.label for one in needed)
    return f"no run of {lacking} is stored{' that has not failed' if failed else ''}"


def nothing_shown(figure: FigureExhibit, store: Store, scale: str) -> str:
    """Why a figure shows nothing at a scale, with what its plan lacks, which knows no added curves."""
    why = why_nothing_shown(figure, coverage(figure, store, scale))
    found = coverage(EXHIBITS[figure.name], store, scale)
    if not found.missing:
        return why
    runs = sum(len(group.specs) for group in found.missing)
    steps = sum(group.steps for group in found.missing)
    plan = f"python -m reproduce plan {figure.name} --scale {scale}"
    return f"{why}; {runs} of its {found.needed} runs lack {steps:,} environment steps: {plan}"


def missing_of(
    exhibits: Iterable[Exhibit],
    stored: Iterable[StoredRun],
    scale: str,
    first_seeds: int | None = None,
    runs_dir: Path | None = None,
) -> list[Missing]:
    """The runs of a scale that are not stored up to the last step at which an exhibit reads them, each once.

    A partially stored run saves nothing: without a checkpoint, training starts again.

    Args:
        exhibits: tables and figures.
        stored: the stored runs of the scale.
        scale: its name.
        first_seeds: how many of the first seeds of every cell to consider; None: all.
        runs_dir: directory of runs in training, searched for checkpoints; None: no search.
    """
    needed: dict[RunSpec, int] = {}
    for exhibit in exhibits:
        for spec, read_out in exhibit.needs(scale).items():
            needed[spec] = max(needed.get(spec, 0), read_out)
    by_spec = {run.spec: run for run in stored}
    kept = scale_named(scale).seeds[:first_seeds]
    groups: dict[tuple[tuple[str, ...], int], list[RunSpec]] = {}
    for spec, wanted in needed.items():
        run = by_spec.get(spec)
        # A failed run is a result: training it again would fail again.
        ended = run is not None and (run.status in ("done", "failed") or run.last_step >= wanted)
        if spec.seed in kept and not ended:
            groups.setdefault((spec.cell, wanted), []).append(spec)
    return [
        # A run that was trained further, and not stored yet, has nothing to go.
        Missing(tuple(specs), tuple(min(checkpointed(spec, runs_dir), wanted) for spec in specs), wanted)
        for (_, wanted), specs in groups.items()
    ]


def _state(exhibit: Exhibit, run: StoredRun | None, read_out: int, store: Store) -> State:
    if run is None:
        return "missing"
    if run.last_step < read_out:
        return "failed" if run.status == "failed" else "partial"
    return "done" if _is_measured(exhibit, run, store) else "unmeasured"


def _is_measured(exhibit: Exhibit, run: StoredRun, store: Store) -> bool:
    """Whether a run is stored with the data that an exhibit reads besides evaluations."""
    if not isinstance(exhibit, FigureExhibit):
        return True
    if exhibit.shows == "latents":
        return store.latents(run) is not None
    wanted = {
        one.estimate
        for one in exhibit.series
        if one.estimate and (one.algorithm, one.variant) == (run.spec.algorithm, run.spec.variant)
    }
    return wanted <= store.estimates(run)
