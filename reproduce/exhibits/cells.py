"""The cells of a table: what the paper prints and what the stored runs give, never mixed."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import pandas as pd

from alm.training.scale import SCALES
from reproduce.exhibits import Row, TableExhibit
from reproduce.exhibits.formats import steps_in_words, steps_reached
from reproduce.exhibits.statistics.seeds import cell_statistics
from reproduce.lab.curves import window_mean
from reproduce.lab.published import Footnote, authors_curve, printed_scores
from reproduce.lab.store import Store, StoredRun, StoreWarning

__all__ = ["Block", "Cell", "collect", "tidy"]

_PAPER_SEEDS = 5
_PAPER_STEPS = 200_000


@dataclass(frozen=True)
class Cell:
    """One cell, and one row of the tidy frame.

    Attributes:
        block: ``"printed"`` or ``"measured"``.
        algorithm: label of the table's row.
        task: name of the table's column.
        mean: over seeds, of the return at ``step``; NaN if missing.
        std: deviation over seeds as printed, or the sample standard deviation; NaN for a single seed.
        seeds: how many seeds ``mean`` is over; None if not known or missing.
        seeds_wanted: how many seeds a complete cell has; None for printed cells.
        step: environment steps at which the return was read; None if missing.
        step_wanted: environment steps at which it should be read; None if absent.
        scale: scale of the runs; empty for printed cells.
        protocol: task definition and simulator versions; for printed cells the task as far as known.
        window_mean: mean return over the last 10 % of the steps; for printed ALM cells from the authors'
            released scores, see the footnote.
        window_std: its sample standard deviation over seeds.
        status: ``"printed"``, ``"complete"`` (read at the wanted step), ``"partial"`` (no run got there yet),
            ``"failed"`` (only failed runs), ``"missing"``, or ``"absent"`` where the block has no such cell.
        unfinished: stored runs that are left out because others got further.
        failed: stored runs that failed, left out.
        source: where the number comes from; ``"missing"`` if there is none.
        footnotes: what is known about a printed number.
    """

    block: str
    algorithm: str
    task: str
    mean: float
    std: float
    seeds: int | None
    seeds_wanted: int | None
    step: int | None
    step_wanted: int | None
    scale: str
    protocol: str
    window_mean: float
    window_std: float
    status: str
    unfinished: int
    failed: int
    source: str
    footnotes: tuple[Footnote, ...] = ()


@dataclass(frozen=True)
class Block:
    """Cells of one origin; ``cells`` holds every row × task of the exhibit by label and task."""

    title: str
    step: int | None
    """Environment steps at which every cell should be read; None if they differ."""
    cells: dict[tuple[str, str], Cell]


def collect(exhibit: TableExhibit, store: Store, mix: bool) -> list[Block]:
    """The blocks of a table: what is printed, then runs by scale and protocol, the paper's scale first."""
    runs: dict[tuple[str, str], list[StoredRun]] = {("paper", ""): []}
    for row in exhibit.rows:
        if row.algorithm is None:
            continue
        for run in store.runs(algorithm=row.algorithm, variant=row.variant):
            if run.spec.scale not in SCALES:
                known = ", ".join(SCALES)
                warnings.warn(
                    f"{run.spec.label} is not shown: the scales are {known}.", StoreWarning, stacklevel=2
                )
            elif run.spec.task in exhibit.tasks:
                runs.setdefault((run.spec.scale, run.protocol), []).append(run)
    if any(scale == "paper" and protocol for scale, protocol in runs):
        del runs["paper", ""]
    if mix:
        runs = _mixed(runs)
    # The paper's own scale first, then the others by name.
    order = sorted(runs, key=lambda block: (block[0] != "paper", block))
    return [_printed_block(exhibit)] + [_measured_block(exhibit, *block, runs[block]) for block in order]


def _mixed(runs: Mapping[tuple[str, str], list[StoredRun]]) -> dict[tuple[str, str], list[StoredRun]]:
    """One block a scale, under a name that says what was mixed."""
    scales: dict[str, dict[str, list[StoredRun]]] = {}
    for (scale, protocol), own in runs.items():
        scales.setdefault(scale, {})[protocol] = own
    mixed = {}
    for scale, by_protocol in scales.items():
        names = "; ".join(by_protocol)
        title = f"MIXED PROTOCOLS, not comparable: {names}" if len(by_protocol) > 1 else names
        mixed[scale, title] = [run for own in by_protocol.values() for run in own]
    return mixed


def _absent(row: Row, task: str, block: str) -> Cell:
    """A place of a table in which its block has nothing to show."""
    return Cell(
        block=block,
        algorithm=row.label,
        task=task,
        seeds=None,
        seeds_wanted=None,
        step=None,
        step_wanted=None,
        scale="",
        protocol="",
        status="absent",
        unfinished=0,
        failed=0,
        source="",
        mean=math.nan,
        std=math.nan,
        window_mean=math.nan,
        window_std=math.nan,
    )


def _printed_block(exhibit: TableExhibit) -> Block:
    cells = {
        (row.label, task): _absent(row, task, "printed") for row in exhibit.rows for task in exhibit.extras
    }
    for printed in printed_scores(exhibit.number):
        task = exhibit.columns[printed.task]
        own = printed.same_task_as_alm == "reference"
        # The released scores are those of unchanged ALM.
        curve = authors_curve(printed.task) if printed.algorithm == "ALM(3)" else None
        cells[printed.algorithm, task] = Cell(
            block="printed",
            algorithm=printed.algorithm,
            task=task,
            mean=printed.mean,
            std=printed.std,
            seeds=_PAPER_SEEDS if own else None,
            seeds_wanted=None,
            step=_PAPER_STEPS,
            step_wanted=_PAPER_STEPS,
            scale="",
            protocol=printed.environment,
            window_mean=math.nan if curve is None else window_mean(curve, _PAPER_STEPS),
            window_std=math.nan,
            status="printed",
            unfinished=0,
            failed=0,
            source=f"{printed.source}; from {printed.origin}",
            footnotes=printed.footnotes,
        )
    return Block("Printed in the paper", _PAPER_STEPS, cells)


def _measured_block(exhibit: TableExhibit, scale: str, protocol: str, runs: list[StoredRun]) -> Block:
    cells = {}
    for row in exhibit.rows:
        for task in exhibit.tasks:
            if task not in exhibit.tasks_at(scale):
                cells[row.label, task] = _absent(row, task, "measured")
                continue
            own = [
                run
                for run in runs
                if (run.spec.algorithm, run.spec.variant, run.spec.task) == (row.algorithm, row.variant, task)
            ]
            cells[row.label, task] = _measured_cell(exhibit, row, task, scale, protocol, own)
    steps = {exhibit.step(scale, task) for task in exhibit.tasks_at(scale)}
    step = steps.pop() if len(steps) == 1 else None
    at = f"read at {steps_in_words(step)} steps" if step else "read at the end of the runs"
    return Block(" · ".join(filter(None, ("Measured", f"{scale} scale", at, protocol))), step, cells)


def _measured_cell(
    exhibit: TableExhibit, row: Row, task: str, scale: str, protocol: str, runs: list[StoredRun]
) -> Cell:
    wanted = exhibit.step(scale, task)
    # Whatever became of a run later, a failure included, its value at the step stands.
    reached = [run for run in runs if run.last_step >= wanted]
    failed = sum(run.status == "failed" and run not in reached for run in runs)
    unfinished = [run for run in runs if run.status != "failed" and run not in reached and run.last_step > 0]
    pooled = reached or unfinished
    nothing = Cell(
        block="measured",
        algorithm=row.label,
        task=task,
        mean=math.nan,
        std=math.nan,
        seeds=None,
        seeds_wanted=len(SCALES[scale].seeds),
        step=None,
        step_wanted=wanted,
        scale=scale,
        protocol=protocol,
        window_mean=math.nan,
        window_std=math.nan,
        status="failed" if failed else "missing",
        unfinished=0,
        failed=failed,
        source="failed" if failed else "missing",
    )
    if not pooled:
        return nothing
    # Where no run got to the step, all are read at the last step that every one of them has reached.
    step = wanted if reached else min(run.last_step for run in pooled)
    numbers = cell_statistics([run.curve(exhibit.metric) for run in pooled], step)
    return replace(
        nothing,
        **asdict(numbers),
        status="complete" if reached else "partial",
        unfinished=len(unfinished) if reached else 0,
        source="measured" if reached else f"measured, partial: {steps_reached(numbers.step, wanted)}",
    )


def tidy(blocks: Sequence[Block]) -> pd.DataFrame:
    """The tidy frame: one row a cell, footnotes as their keys separated by spaces."""
    records = []
    for block in blocks:
        for cell in block.cells.values():
            record = {name: getattr(cell, name) for name in Cell.__dataclass_fields__}
            records.append(record | {"footnotes": " ".join(note.key for note in cell.footnotes)})
    frame = pd.DataFrame.from_records(records)
    whole = ["seeds", "seeds_wanted", "step", "step_wanted", "unfinished", "failed"]
    return frame.astype(dict.fromkeys(whole, "Int64"))
