"""Tables 1 and 5: printed, released and measured numbers in separate blocks, never mixed.

The printed block comes first, then the authors' released curves, then one measured block per scale and
protocol.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from alm.training.scale import SCALES
from reproduce.exhibits.kinds import READ_OUT, Series, TableExhibit
from reproduce.exhibits.pooling import StoreMixError, pool, require_one_configuration, sample_std
from reproduce.exhibits.sides import with_beside
from reproduce.exhibits.table import Block, Row, Score, Table
from reproduce.formats import steps_in_words, steps_reached
from reproduce.lab.curves import window_mean
from reproduce.lab.published import (
    AUTHORS_WARMUP,
    FIELD,
    FIELD_TASKS,
    PrintedCell,
    authors_curve,
    authors_score,
    field_scores,
    printed_scores,
)
from reproduce.lab.store import Store, StoredRun, StoreWarning

_PAPER_SEEDS = 5
_HOW_TO_READ = (
    "Measured cells: mean ± sample standard deviation over seeds (number of seeds), from single evaluations "
    "at the named step; below, after w, the same for the mean over the last 10 % of the steps. "
    "A cell without a stored run says missing, one whose seeds differ in configuration unpooled; a dash "
    "marks cells that are not measured. "
    "The title of measured cells ends with the version of the tasks and of the simulator."
)
_RELEASED = (
    "Released cells: the same of the authors' five seeds, at their last evaluation within 200k environment "
    "steps; footnotes that say 200k mean their logged step, which leaves out 5000."
)


def score_table(
    exhibit: TableExhibit,
    store: Store,
    measured: bool = True,
    mix: bool = False,
    context: bool = False,
    beside: Sequence[str] = (),
) -> Table:
    """A table of scores.

    Args:
        exhibit: the table's declaration.
        store: stored runs.
        measured: whether to include released and measured blocks; without them the files are named
            ``…-printed``.
        mix: whether runs of different protocols share a block, whose title then says so; the files are named
            ``…-mixed``.
        context: whether to add a block of results that others published on gym's v4 tasks; the files are
            named ``…-context``.
        beside: methods, such as ``"alm/my-idea"``, that have a measured row, too, at the scales at which they
            have runs; the files are named ``…-beside``.

    Raises:
        UserError: a method has a row already, or no stored run on a task of the table.

    Warns:
        reproduce.lab.store.StoreWarning: a run could not be read or has an unknown scale, or the seeds of a
            cell differ in configuration.
    """
    exhibit = with_beside(exhibit, beside, store)
    blocks = [] if exhibit.number is None else [_printed_block(exhibit, printed_scores(exhibit.number))]
    notes: tuple[str, ...] = ()
    if measured:
        released = _released_blocks(exhibit)
        notes = (_HOW_TO_READ, _RELEASED) if released else (_HOW_TO_READ,)
        blocks += released
        blocks += _measured_blocks(exhibit, store, mix)
    if context:
        blocks.append(_published_block(exhibit))
    variations = {"printed": not measured, "mixed": mix, "context": context, "beside": bool(beside)}
    return Table(
        "-".join([exhibit.name, *(name for name, there in variations.items() if there)]),
        ": ".join(filter(None, (exhibit.heading, exhibit.title))),
        # The block's protocol already names the family of the tasks.
        ("", *(task.rpartition("/")[2] for task in exhibit.tasks)),
        tuple(blocks),
        notes,
    )


def _printed_block(exhibit: TableExhibit, cells: Sequence[PrintedCell]) -> Block:
    printed = {(one.algorithm, exhibit.columns[one.task]): one for one in cells}

    def score(row: Series, task: str) -> Score:
        if task in exhibit.extras:
            return Score("printed", row.label, task)
        one = printed[row.label, task]
        by_authors = one.same_task_as_alm == "reference"
        # The released scores are those of unchanged ALM.
        curve = authors_curve(one.task) if one.algorithm == "ALM(3)" else None
        return Score(
            block="printed",
            algorithm=row.label,
            task=one.measured_on,
            mean=one.mean,
            std=one.std,
            seeds=_PAPER_SEEDS if by_authors else None,
            step=READ_OUT + AUTHORS_WARMUP if by_authors else READ_OUT,
            step_wanted=READ_OUT,
            protocol=one.environment,
            window_mean=math.nan if curve is None else window_mean(curve, READ_OUT),
            status="printed",
            source=f"{one.source}; from {one.origin}",
            footnotes=one.footnotes,
        )

    rows = [row for row in exhibit.series if not row.added]
    elsewhere = any(of_paper != task for of_paper, task in exhibit.columns.items())
    title = "Printed in the paper" + (" · on the tasks that footnotes name" if elsewhere else "")
    return _block(title, exhibit, rows, score)


def _released_blocks(exhibit: TableExhibit) -> list[Block]:
    """The authors' curves of ALM, read where measured runs are; none without such a row or task."""
    rows = [row for row in exhibit.series if row.unchanged]
    released = {task: authors_score(task, READ_OUT) for task in exhibit.tasks}
    if not rows or not any(released.values()):
        return []

    def score(row: Series, task: str) -> Score:
        nothing = Score("released", row.label, task)
        if (one := released[task]) is None:
            return nothing
        return replace(
            nothing,
            **one._asdict(),
            step_wanted=READ_OUT,
            status="published",
            source="results/paper/authors_curves.csv",
        )

    title = "Released by the authors · read at 200k environment steps, their logged 195k"
    return [_block(title, exhibit, rows, score)]


def _published_block(exhibit: TableExhibit) -> Block:
    """Published results of other methods, on the closest tasks of another family."""

    def score(row: Series, task: str) -> Score:
        nothing = Score("published", row.label, task)
        if task not in FIELD_TASKS:
            return nothing
        values, step = field_scores(row.algorithm, FIELD_TASKS[task], READ_OUT)
        return replace(
            nothing,
            task=f"{FIELD_TASKS[task]}-v4",
            mean=float(np.mean(values)),
            std=sample_std(values),
            seeds=len(values),
            step=step,
            step_wanted=READ_OUT,
            protocol=f"{FIELD_TASKS[task]}-v4",
            status="published",
            source="results/paper/field_curves.csv",
        )

    rows = [Series(label, method) for method, label in FIELD.items()]
    return _block("Published by others · gym's v4 tasks, context only", exhibit, rows, score)


def _measured_blocks(exhibit: TableExhibit, store: Store, mix: bool) -> list[Block]:
    """A block for each scale and protocol or, with ``mix``, for each scale; always one for the paper's."""
    runs: dict[tuple[str, str], list[StoredRun]] = {}
    for row in exhibit.series:
        for run in store.runs(algorithm=row.algorithm, variant=row.variant):
            if run.spec.scale not in SCALES:
                known = ", ".join(SCALES)
                warnings.warn(
                    f"{run.spec.label} is not shown: the scales are {known}.", StoreWarning, stacklevel=2
                )
            elif run.spec.task in exhibit.tasks and row.measured_at(run.spec.scale):
                runs.setdefault((run.spec.scale, "" if mix else run.protocol), []).append(run)
    if not any(scale == "paper" for scale, _ in runs):
        runs["paper", ""] = []
    # The paper's own scale first, then the others by name.
    order = sorted(runs, key=lambda block: (block[0] != "paper", block))
    return [_measured_block(exhibit, block[0], runs[block]) for block in order]


def _measured_block(exhibit: TableExhibit, scale: str, runs: Sequence[StoredRun]) -> Block:
    """The runs of a scale; the title names their protocol, or those that are mixed."""
    wanted = exhibit.step(scale)
    protocols = list(dict.fromkeys(run.protocol for run in runs))
    protocol = "; ".join(protocols)
    if len(protocols) > 1:
        protocol = f"MIXED PROTOCOLS, not comparable: {protocol}"

    def score(row: Series, task: str) -> Score:
        if task not in exhibit.tasks_at(scale) or row.why_none:
            return Score("measured", row.label, task, footnotes=(row.why_none,) if row.why_none else ())
        cell = (row.algorithm, row.variant, task, scale)
        own = [run for run in runs if run.spec.cell == cell]
        pooled = pool(own, wanted)
        nothing = Score(
            block="measured",
            algorithm=row.label,
            task=task,
            seeds_wanted=len(SCALES[scale].seeds),
            step_wanted=wanted,
            scale=scale,
            protocol=protocol,
            status="failed" if pooled.failed else "missing",
            failed=pooled.failed,
            source="failed" if pooled.failed else "missing",
            footnotes=(row.remark,) if row.remark else (),
        )
        try:
            require_one_configuration(pooled.runs)
        except StoreMixError as error:  # no reason to lose the other cells
            warnings.warn(str(error), StoreWarning, stacklevel=2)
            return replace(nothing, status="unpooled", source="unpooled")
        if not pooled.runs:
            return nothing
        partial = f"measured, partial: {steps_reached(pooled.evaluated, wanted)}"
        return replace(
            nothing,
            mean=pooled.mean,
            std=pooled.std,
            window_mean=pooled.window_mean,
            window_std=pooled.window_std,
            seeds=len(pooled.runs),
            step=pooled.evaluated,
            status="complete" if pooled.complete else "partial",
            unfinished=pooled.unfinished,
            own=sum(run.own for run in pooled.runs),
            source="measured" if pooled.complete else partial,
        )

    at = f"read at {steps_in_words(wanted)} steps"
    title = " · ".join(filter(None, ("Measured", f"{scale} scale", at, protocol)))
    rows = [row for row in exhibit.series if row.shown_at(scale)]
    return _block(title, exhibit, rows, score)


def _block(
    title: str,
    exhibit: TableExhibit,
    rows: Iterable[Series],
    score: Callable[[Series, str], Score],
) -> Block:
    """A block with a score for each of some rows and each task of an exhibit."""
    made = (
        Row(row.label, tuple(score(row, task) for task in exhibit.tasks), row.group, row.why_none is None)
        for row in rows
    )
    return Block(title, tuple(made))
