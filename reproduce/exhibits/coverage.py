"""Coverage: how much of an exhibit is stored, for the plan, the inventory, the documents and the report.

A run counts as done for an exhibit once it has passed the step at which the exhibit reads it, and if it was
stored with what the exhibit reads: values for the figures of their bias, predictions for Figure 7.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reproduce.exhibits.kinds import Exhibit, FigureExhibit
from reproduce.lab.planning import Missing, missing_runs
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store, StoredRun


@dataclass(frozen=True)
class Coverage:
    """How much of an exhibit is stored at a scale.

    Attributes:
        scale: its name.
        needed: runs that the exhibit is made of; 0 if it is made of none.
        done: how many of them are stored as far as the exhibit reads them.
        partial: how many are stored in part.
        unmeasured: how many of these have the steps, but not what the exhibit reads beside evaluations.
        failed: how many failed before they were read.
        missing: what is still to be trained; what failed is not missing.
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
        """Runs that are there, whatever became of them."""
        return self.done + self.partial + self.failed

    @property
    def text(self) -> str:
        """``"3 of 12"``; a dash where no run is needed."""
        return f"{self.done} of {self.needed}" if self.needed else "–"


def coverage(exhibit: Exhibit, store: Store, scale: str) -> Coverage:
    """What of an exhibit's runs a store holds at a scale."""
    needs = exhibit.needs(scale)
    stored = {run.spec: run for run in store.runs(scale=scale)}
    found = Counter(_state(exhibit, stored[spec], store) for spec in needs if spec in stored)
    missing = tuple(missing_of([exhibit], store, scale))
    unmeasured = found["unmeasured"]
    partial = found["partial"] + unmeasured
    return Coverage(scale, len(needs), found["done"], partial, unmeasured, found["failed"], missing)


def nothing_shown(exhibit: Exhibit, found: Iterable[Coverage]) -> str:
    """Why there is no picture where `FigureExhibit.says_something` says so: half a sentence."""
    if not any(one.stored for one in found):
        return "no run of it is stored yet"
    if isinstance(exhibit, FigureExhibit) and exhibit.beside_evaluations:
        return f"its runs are stored without {exhibit.beside_evaluations}"
    return "what is stored of it shows nothing without the other runs"


def missing_of(
    exhibits: Iterable[Exhibit],
    store: Store,
    scale: str,
    first_seeds: int | None = None,
    runs_dir: Path | None = None,
) -> list[Missing]:
    """What exhibits miss at a scale, each run once (`reproduce.lab.planning.missing_runs`)."""
    needed: dict[RunSpec, int] = {}
    for exhibit in exhibits:
        for spec in exhibit.needs(scale):
            needed[spec] = max(needed.get(spec, 0), exhibit.read_out(spec))
    return missing_runs(needed, store, scale, first_seeds, runs_dir)


def _state(exhibit: Exhibit, run: StoredRun, store: Store) -> str:
    reached = run.last_step >= exhibit.read_out(run.spec)
    if not reached:
        return "failed" if run.status == "failed" else "partial"
    return "done" if _is_measured(exhibit, run, store) else "unmeasured"


def _is_measured(exhibit: Exhibit, run: StoredRun, store: Store) -> bool:
    """Whether a run was stored with what an exhibit reads beside its evaluations."""
    if not isinstance(exhibit, FigureExhibit):
        return True
    if exhibit.shows == "latents":
        return store.has_latents(run)
    wanted = {
        one.estimate
        for one in exhibit.series
        if one.estimate and (one.algorithm, one.variant) == (run.spec.algorithm, run.spec.variant)
    }
    return wanted <= store.estimates(run)
