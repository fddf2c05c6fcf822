"""Results beside printed and published ones, and beside each other: docs/findings.md, in part other pages."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from reproduce.exhibits.catalogue import QUARTER, TABLE1
from reproduce.exhibits.claims import COLUMNS, judged, rows_of
from reproduce.exhibits.claims.evidence import RETURN
from reproduce.exhibits.comparison import Comparison, TaskComparison
from reproduce.exhibits.documents import Blocks
from reproduce.exhibits.kinds import READ_OUT
from reproduce.exhibits.pooling import require_comparable
from reproduce.exhibits.scores import score_table
from reproduce.exhibits.statistics.significance import LEVEL, MeanDifference, Summary
from reproduce.exhibits.table import Score
from reproduce.exhibits.writing import markdown_grid
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.published import FIELD_TASKS, field_scores
from reproduce.lab.specs import variant_in
from reproduce.lab.store import Store

_ALM, _RIVALS = "ALM(3)", ("SAC", "TD3")


def blocks(store: Store) -> Blocks:
    """Table 1 within one protocol and who wins by it, claims, and ALM beside other algorithms and in bf16."""
    table1 = one_protocol(store)
    findings = {**table1, **claims(store), "beside-alm": beside_alm(store)}
    return {
        ("README.md", "one-protocol"): table1["one-protocol"],
        ("docs/index.md", "wins"): table1["wins"],
        ("docs/performance.md", "precision"): bf16_beside_float32(store),
        **{("docs/findings.md", name): text for name, text in findings.items()},
    }


def one_protocol(store: Store) -> dict[str, str]:
    """Blocks by name: rows of Table 1 beside each other, and how many tasks ALM wins by them.

    ALM is its authors' and, smaller, measured here; SAC and TD3 are printed and measured. Both blocks read
    the cells of Table 1.
    """
    scores = _of_table1(store)

    def here(method: str, task: str) -> str:
        return "<br>".join(scores["measured"][method, task].parts)

    rows = []
    for task in TABLE1.columns:
        alm = scores["authors"][_ALM, task]
        row = [task, "<br>".join(alm.parts if alm.basis else [f"{alm.number()} (printed)"])]
        row.append(here(QUARTER.label, task))
        for rival in _RIVALS:
            row += [scores["printed"][rival, task].number(), here(rival, task)]
        rows.append([*row, _published(task)])
    header = ["", "ALM(3), released curve or printed", f"{QUARTER.label}, measured here"]
    header += [f"{rival}, {which}" for rival in _RIVALS for which in ("printed", "measured here")]
    grid = markdown_grid([*header, "SAC, published on v4"], rows)
    return {"one-protocol": grid, "wins": "\n".join(_wins(scores))}


def _wins(scores: Mapping[str, "_Scores"]) -> Iterator[str]:
    """Number of tasks on which ALM's mean exceeds SAC's and TD3's, printed and measured."""
    authors, measured = scores["authors"], scores["measured"]
    yield _win("The authors' ALM(3) beside SAC and TD3 as printed", authors, _ALM, scores["printed"])
    beside = "beside SAC and TD3 measured here, on ALM's own tasks"
    yield _win(f"The authors' ALM(3) {beside}", authors, _ALM, measured)
    if any(measured[QUARTER.label, task].status == "complete" for task in TABLE1.columns):
        beside = "beside SAC and TD3 of full size, all measured here"
        yield _win(f"{QUARTER.label}, {beside}", measured, QUARTER.label, measured)


def _win(who: str, of_alm: "_Scores", alm: str, of_rivals: "_Scores") -> str:
    """A sentence on the tasks where ALM's mean exceeds both rivals', where not, and what is more than chance.

    Leads over the better of the two are tested where it was measured here and each has enough seeds.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for task in TABLE1.columns:
        own, rivals = of_alm[alm, task], [of_rivals[rival, task] for rival in _RIVALS]
        if not all(one.has_number and one.status != "partial" for one in (own, *rivals)):
            found["unknown"].append(task)
            continue
        best = max(rivals, key=lambda one: one.mean)
        leads = own.mean > best.mean
        found["ahead" if leads else "behind"].append(task)
        if not leads and own.window_mean > max(one.window_mean for one in rivals):
            found["ahead by window"].append(task)
        if best.block != "measured":
            continue
        if own.block == "printed":
            found["printed"].append(task)
        if min(own.seeds or 0, best.seeds or 0) < RETURN.seeds_needed:
            found["few seeds"].append(task)
        elif leads:
            sides = (Summary(one.mean, one.std, one.seeds or 0) for one in (own, best))
            clear = MeanDifference.of_summaries(*sides).p < LEVEL
            found["clear" if clear else "unclear"].append(task)
    ahead, known = found["ahead"], len(found["ahead"]) + len(found["behind"])
    clauses = [f"the highest mean on {len(ahead)} of the {known} tasks that have all three"]
    clauses[0] += f" ({', '.join(ahead)})" if ahead else ""
    clauses += [f"{words} {', '.join(found[kind])}" for kind, words in _CLAUSES.items() if found[kind]]
    return f"- {who}: {'; '.join(clauses)}."


_CLAUSES = {
    "behind": "not on",
    "ahead by window": "by the mean over the last tenth of the steps also on",
    "clear": "a lead of more than chance on",
    "unclear": "chance is not excluded on",
    "few seeds": "too few seeds for a test on",
    "printed": "ALM's printed number stands for",
    "unknown": "no number for",
}
"""What is said of tasks besides those where ALM is ahead."""


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
    """Cells of Table 1 as printed, of the authors (released or, without a curve, printed), and measured.

    Raises:
        reproduce.exhibits.pooling.StoreMixError: its runs of paper scale differ in protocol.
    """
    rows = {(one.algorithm, one.variant) for one in TABLE1.series}
    require_comparable(
        run
        for run in store.runs(scale="paper")
        if run.spec.task in TABLE1.tasks and (run.spec.algorithm, run.spec.variant) in rows
    )
    every = score_table(TABLE1, store).placed

    def cells(block: str, scale: str = "") -> dict[tuple[str, str], Score]:
        own = ((column, one) for column, one in every if (one.block, one.scale) == (block, scale))
        return {(one.algorithm, column): one for column, one in own}

    printed = cells("printed")
    released = {place: one for place, one in cells("released").items() if one.has_number}
    return {"printed": printed, "authors": {**printed, **released}, "measured": cells("measured", "paper")}


def _published(task: str) -> str:
    if task not in FIELD_TASKS:
        return "–"
    values, step = field_scores("sac", FIELD_TASKS[task], READ_OUT)
    low, high = np.min(values), np.max(values)
    return f"{np.mean(values):.0f} [{low:.0f}, {high:.0f}] ({len(values)} seeds, {step / 1000:.0f}k)"
