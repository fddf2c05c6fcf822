"""Coverage: how much of an exhibit is stored and what it lacks, for plan, inventory, documents and report.

A run is done for an exhibit once it has reached the step at which the exhibit reads it, provided it is stored
with the data that the exhibit needs: values for figures of their bias, predictions for Figure 7.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alm.training.scale import scale_named
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.kinds import SHOWN_SCALES, Exhibit, FigureExhibit
from reproduce.lab.planning import Missing, checkpointed
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store, StoredRun


@dataclass(frozen=True)
class Coverage:
    """How much of an exhibit is stored at a scale.

    Attributes:
        scale: name of the scale.
        needed: number of runs that the exhibit needs; may be 0.
        done: how many of them are stored up to the step at which the exhibit reads them.
        partial: how many are stored in part.
        unmeasured: how many of the partial ones have the steps, but lack data besides evaluations.
        failed: how many failed before that step.
        missing: runs still to be trained; failed ones are not missing.
    """

    scale: str
    needed: int
    done: int
    partial: int
    unmeasured: int
    failed: int
    missing: tuple[Missing, ...]

    @property
    def stored(self) -> int:
        """Number of runs that are stored in any state."""
        return self.done + self.partial + self.failed

    @property
    def text(self) -> str:
        """``"3 of 12"``; a dash if no run is needed."""
        return f"{self.done} of {self.needed}" if self.needed else "–"


def coverage(exhibit: Exhibit, store: Store, scale: str) -> Coverage:
    """Coverage of an exhibit by a store at a scale."""
    needs = exhibit.needs(scale)
    stored = {run.spec: run for run in store.runs(scale=scale)}
    found = Counter(
        _state(exhibit, stored[spec], read_out, store) for spec, read_out in needs.items() if spec in stored
    )
    missing = tuple(missing_of([exhibit], stored.values(), scale))
    unmeasured = found["unmeasured"]
    partial = found["partial"] + unmeasured
    return Coverage(scale, len(needs), found["done"], partial, unmeasured, found["failed"], missing)


def why_nothing_shown(exhibit: Exhibit, found: Sequence[Coverage]) -> str:
    """Half a sentence on why `FigureExhibit.says_something` rejects a picture."""
    stored = sum(one.stored for one in found)
    if not stored:
        return "none of its runs is stored yet"
    if stored == sum(one.failed for one in found):
        return "all of its stored runs have failed"
    if isinstance(exhibit, FigureExhibit) and exhibit.beside_evaluations:
        return f"its runs are stored without {exhibit.beside_evaluations}"
    return "its stored runs show nothing without the others"


def nothing_stored(name: str, store: Store, shown: Collection[str]) -> list[str]:
    """One line for each scale at which an exhibit has nothing to show, with what it would take.

    Args:
        name: name of an exhibit; other names give no line.
        store: stored runs.
        shown: scales at which it shows something.
    """
    if name not in EXHIBITS:
        return []
    lines, exhibit = [], EXHIBITS[name]
    for scale in SHOWN_SCALES:
        if scale not in shown and (found := coverage(exhibit, store, scale)).needed:
            runs = sum(len(group.specs) for group in found.missing)
            steps = sum(group.steps for group in found.missing)
            lines.append(
                f"{name} at {scale} scale: {why_nothing_shown(exhibit, [found])}; "
                f"{runs} of its {found.needed} runs lack {steps:,} environment steps: "
                f"python -m reproduce plan {name} --scale {scale}"
            )
    return lines


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


def _state(exhibit: Exhibit, run: StoredRun, read_out: int, store: Store) -> str:
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
