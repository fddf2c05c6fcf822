"""Results beside printed and published ones, and beside each other: docs/findings.md, in part other pages."""

from collections.abc import Mapping, Sequence

import numpy as np

from alm.training.scale import scale_named
from reproduce.exhibits.catalogue import QUARTER, TABLE1
from reproduce.exhibits.claims.evidence import RETURN
from reproduce.exhibits.claims.verdicts import COLUMNS, judged, rows_of
from reproduce.exhibits.comparison import Comparison, TaskComparison
from reproduce.exhibits.documents import Blocks
from reproduce.exhibits.kinds import READ_OUT, Series
from reproduce.exhibits.pooling import pool, require_comparable
from reproduce.exhibits.scores import score_table
from reproduce.exhibits.statistics.intervals import FloatArray
from reproduce.exhibits.statistics.significance import MeanDifference, Summary
from reproduce.exhibits.table import Score
from reproduce.exhibits.writing import markdown_grid
from reproduce.formats import p_statement, seeds_counted, steps_reached
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.curves import value_at
from reproduce.lab.published import FIELD_TASKS, authors_curves, field_scores
from reproduce.lab.specs import variant_in
from reproduce.lab.store import Store

_ALM, _RIVALS = "ALM(3)", ("SAC", "TD3")


def blocks(store: Store) -> Blocks:
    """Table 1 within one protocol, ALM's leads in it, claims, and ALM beside other algorithms and in bf16."""
    table1 = one_protocol(store)
    findings = {name: table1[name] for name in ("one-protocol", "leads")}
    findings |= {"along": leads_along_the_way(store), **claims(store), "beside-alm": beside_alm(store)}
    return {
        ("README.md", "returns"): table1["returns"],
        ("docs/index.md", "returns"): table1["returns"],
        ("docs/performance.md", "precision"): bf16_beside_float32(store),
        **{("docs/findings.md", name): text for name, text in findings.items()},
    }


def one_protocol(store: Store) -> dict[str, str]:
    """Blocks by name: cells of Table 1 side by side, in full and in short, and ALM's leads.

    ALM is its authors' and, smaller, measured here; SAC and TD3 are printed and measured.
    """
    scores = _of_table1(store)
    authors, measured = scores["authors"], scores["measured"]
    full, short, leads = [], [], []
    for task in TABLE1.columns:
        alm, smaller = authors[_ALM, task], measured[QUARTER.label, task]
        rivals = [measured[rival, task] for rival in _RIVALS]
        row = [task, *map("<br>".join, (alm.parts if alm.basis else [_in_short(alm)], smaller.parts))]
        for rival, one in zip(_RIVALS, rivals, strict=True):
            row += [scores["printed"][rival, task].number(), "<br>".join(one.parts)]
        published = "–"
        if task in FIELD_TASKS:
            values, step = field_scores("sac", FIELD_TASKS[task], READ_OUT)
            ends = f"[{min(values):.0f}, {max(values):.0f}]"
            published = f"{np.mean(values):.0f} {ends} ({len(values)} seeds, {step / 1000:.0f}k)"
        full.append([*row, published])
        short.append([task, *map(_in_short, (alm, smaller, *rivals))])
        over_published = _lead(alm, [scores["published"]["SAC", task]])
        leads.append([task, _lead(alm, rivals), over_published, _lead(smaller, rivals)])
    header = ["", "ALM(3), released curve or printed", f"{QUARTER.label}, measured here"]
    header += [f"{rival}, {which}" for rival in _RIVALS for which in ("printed", "measured here")]
    better, smaller_alm = "the better of SAC and TD3 here", QUARTER.label
    in_short = ["", "ALM(3), its authors", *(f"{who}, here" for who in (smaller_alm, *_RIVALS))]
    of_leads = ["", f"ALM's authors − {better}", "ALM's authors − published SAC", f"{smaller_alm} − {better}"]
    return {
        "one-protocol": markdown_grid([*header, "SAC, published on v4"], full),
        "returns": markdown_grid(in_short, short),
        "leads": markdown_grid(of_leads, leads),
    }


def _in_short(one: Score) -> str:
    """A number with its seeds, and its step if that is not yet the wanted one."""
    if not one.basis:
        return f"{one.number()} (printed)" if one.has_number else one.number()
    reached = f", {steps_reached(one.step, one.step_wanted)}" if one.status == "partial" else ""
    return f"{one.number()} ({seeds_counted(one.seeds, None)}{reached})"


def _lead(own: Score, rivals: Sequence[Score]) -> str:
    """The difference between a mean and the highest of some others, with Welch's test if seeds suffice."""
    if not all(one.has_number and one.status != "partial" for one in (own, *rivals)):
        return "–"
    best = max(rivals, key=lambda one: one.mean)
    sides = [Summary(one.mean, one.std, one.seeds or 0) for one in (own, best)]
    if min(side.seeds for side in sides) < RETURN.seeds_needed:
        return f"{own.mean - best.mean:+.0f} ({best.algorithm}), too few seeds for a test"
    test = MeanDifference.of_summaries(*sides)
    return f"{test.text} ({best.algorithm}), {p_statement(test.p)}"


def leads_along_the_way(store: Store) -> str:
    """ALM's mean less the higher of SAC's and TD3's, over the evaluations of the second half of the steps.

    ALM is its authors' and, smaller, measured here.
    """
    rows = []
    every, frame = scale_named("paper").eval_every, authors_curves()
    # The authors' evaluations are at the same steps.
    steps = range(READ_OUT // 2 + every, READ_OUT + 1, every)
    methods = {one.label: one for one in TABLE1.series}
    for task in TABLE1.tasks:
        own = frame[(frame["task"] == task) & frame["step"].isin(steps)]
        smaller, *measured = (
            _means(store, methods[label], task, steps) for label in (QUARTER.label, *_RIVALS)
        )
        rivals = [one for one in measured if one is not None]
        authors = own["return_mean"].to_numpy() if len(own) else None
        if len(rivals) == len(measured) and not (authors is None and smaller is None):
            best = np.max(rivals, axis=0)
            rows.append([task, *(_lead_over(one, best) for one in (authors, smaller))])
    better = "the better of SAC and TD3 here"
    return markdown_grid(["", f"ALM's authors − {better}", f"{QUARTER.label} − {better}"], rows)


def _means(store: Store, method: Series, task: str, steps: Sequence[int]) -> FloatArray | None:
    """Mean returns at some steps of the seeds that reached the read-out; None without evaluations there."""
    stored = store.runs(algorithm=method.algorithm, variant=method.variant, task=task, scale="paper")
    found = pool(stored, READ_OUT)
    curves = [run.curve() for run in found.runs]
    if not found.complete or any(curve.steps[0] > steps[0] for curve in curves):
        return None
    return np.asarray(np.mean([[value_at(curve, step) for step in steps] for curve in curves], axis=0))


def _lead_over(own: FloatArray | None, best: FloatArray) -> str:
    """A lead's mean over evaluations, and at how many of them it is one."""
    if own is None:
        return "–"
    return f"{np.mean(own - best):+.0f} (ahead at {np.sum(own > best)} of {len(best)})"


def claims(store: Store) -> dict[str, str]:
    """Blocks by name: the claims on a topic, and all that are settled, by laptop runs."""
    every = judged(store, "laptop")
    chosen = {
        "settled": [one for one in every if one.verdict in ("supported", "contradicted")],
        "ablations": [one for one in every if one.claim.place == "Figure 5a"],
        "appendix-g": [one for one in every if one.claim.place == "Appendix G"],
    }
    blocks = {}
    for name, some in chosen.items():
        blocks[name] = markdown_grid(COLUMNS, [row for one in some for row in rows_of(one)])
    return blocks


def beside_alm(store: Store) -> str:
    """Every other algorithm with finished runs on HalfCheetah at laptop scale, beside ALM(3)."""
    task, scale = "HalfCheetah", "laptop"
    finished = [
        name
        for name in ALGORITHMS
        for runs in [store.runs(algorithm=name, variant="base", task=task, scale=scale)]
        if any(run.status == "done" for run in runs)
    ]
    if "alm" not in finished or len(finished) == 1:
        return f"Not enough runs: ALM(3) and another algorithm on {task} at {scale} scale."
    rows = []
    for name in finished:
        if name == "alm":
            continue
        one = Comparison.of([name, "alm"], [task], scale, "window", store).tasks[0]
        sides, numbers = _compared(one)
        rows.append([ALGORITHMS[name].title, f"{one.step:,}", *sides, *numbers])
    header = ["", "steps", "the other", "ALM(3)", "the other − ALM(3)", "P(the other > ALM(3))"]
    return markdown_grid(header, rows)


def bf16_beside_float32(store: Store) -> str:
    """Effect of bf16 on ALM's returns at laptop scale, task by task."""
    algorithm, scale = "alm", "laptop"
    variant = variant_in("base", "bf16")
    stored = store.runs(algorithm=algorithm, variant=variant, scale=scale)
    tasks = [run.spec.task for run in stored if run.status != "failed"]
    if not tasks:
        return "Not measured: no run in bf16 is stored at this scale."
    found = Comparison.of([f"{algorithm}/{variant}", algorithm], tasks, scale, "return", store)
    rows = []
    for one in found.tasks:
        (bf16, float32), numbers = _compared(one)
        rows.append([one.task, f"{one.step:,}", float32, bf16, *numbers])
    header = ["", "steps", "float32", "bf16", "bf16 − float32", "P(bf16 > float32)"]
    return f"{markdown_grid(header, rows)}\n\n{' '.join(found.notes())}"


def _compared(one: TaskComparison) -> tuple[list[str], list[str]]:
    """Two sides on a task in words: the mean of each, and their difference and probability of improvement."""
    (contrast,) = one.contrasts
    sides = [f"{side.mean.text()}, {side.seeds}" for side in one.sides]
    return sides, [contrast.difference.text(sign="+"), contrast.improvement.text(2)]


_Scores = Mapping[tuple[str, str], Score]
"""Cells of Table 1 by row and column."""


def _of_table1(store: Store) -> dict[str, _Scores]:
    """Cells of Table 1 as printed, of the authors (released or else printed), measured, and of others.

    Raises:
        reproduce.exhibits.pooling.StoreMixError: its runs of paper scale differ in protocol.
    """
    rows = {(one.algorithm, one.variant) for one in TABLE1.series}
    require_comparable(
        run
        for run in store.runs(scale="paper")
        if run.spec.task in TABLE1.tasks and (run.spec.algorithm, run.spec.variant) in rows
    )
    every = score_table(TABLE1, store, context=True).placed

    def cells(block: str, scale: str = "") -> dict[tuple[str, str], Score]:
        own = ((column, one) for column, one in every if (one.block, one.scale) == (block, scale))
        return {(one.algorithm, column): one for column, one in own}

    printed = cells("printed")
    released = {place: one for place, one in cells("released").items() if one.has_number}
    return {
        "printed": printed,
        "authors": {**printed, **released},
        "measured": cells("measured", "paper"),
        "published": cells("published"),
    }
