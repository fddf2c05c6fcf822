"""Generated parts of docs/findings.md: results of this suite beside printed and published ones."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from reproduce.exhibits.catalogue import QUARTER, TABLE1
from reproduce.exhibits.claims import COLUMNS, judged, rows_of
from reproduce.exhibits.comparison import Comparison
from reproduce.exhibits.kinds import READ_OUT
from reproduce.exhibits.pooling import require_comparable
from reproduce.exhibits.scores import measured_score, score_table
from reproduce.exhibits.table import Score
from reproduce.exhibits.writing import markdown_grid
from reproduce.formats import mean_and_std
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.published import AUTHORS_WARMUP, FIELD_TASKS, authors_curves, field_scores
from reproduce.lab.store import Store

__all__ = ["beside_alm", "claims", "one_protocol", "wins"]

_ALM, _RIVALS = "ALM(3)", ("SAC", "TD3")


def one_protocol(store: Store) -> str:
    """Table 1's tasks: ALM by its authors and, smaller, measured here; SAC and TD3 printed and measured."""
    printed, measured = _rows(store)

    def here(method: str, task: str) -> str:
        score = measured.get((method, task))
        return "missing" if score is None else f"{score.number()} {score.basis}"

    rows = []
    for task in TABLE1.columns:
        alm = _released(task)
        row = [task]
        row.append(
            f"{printed[_ALM, task].number()} (printed)"
            if alm is None
            else f"{mean_and_std(alm['return_mean'], alm['return_std'])} ({int(alm['seeds'])} seeds)"
        )
        row.append(here(QUARTER.label, task))
        for rival in _RIVALS:
            row += [printed[rival, task].number(), here(rival, task)]
        rows.append([*row, _published(task)])
    header = ["", "ALM(3), released curve or printed", f"{QUARTER.label}, measured here"]
    header += [f"{rival}, {which}" for rival in _RIVALS for which in ("printed", "measured here")]
    return markdown_grid([*header, "SAC, published on v4"], rows)


def wins(store: Store) -> str:
    """Number of tasks on which ALM's mean exceeds SAC's and TD3's, printed and measured.

    Leads above the standard deviations over seeds, of ALM and of the better of the two, are counted again; a
    single seed has none.
    """
    printed, measured = _rows(store)
    authors = {task: _of_authors(printed, task) for task in TABLE1.columns}
    smaller = {
        task: (score.mean, score.std)
        for task in TABLE1.columns
        if (score := measured.get((QUARTER.label, task))) is not None and score.status == "complete"
    }
    sentences = [
        _wins("printed in the paper", printed, "the authors' ALM(3)", authors),
        _wins("measured on ALM's own tasks", measured, "the authors' ALM(3)", authors),
    ]
    if smaller:
        whose = f"{QUARTER.label}, measured here, too,"
        sentences.append(_wins("of full size, measured here", measured, whose, smaller))
    return "\n".join(sentences)


def _wins(which: str, scores: "_Scores", whose: str, alm: Mapping[str, tuple[float, float]]) -> str:
    """A sentence on the tasks where a mean and std of ALM exceed both rivals' scores, and where not."""
    ahead: list[str] = []
    clear: list[str] = []
    behind: list[str] = []
    unknown: list[str] = []
    for task in TABLE1.columns:
        rivals = [scores[rival, task] for rival in _RIVALS if (rival, task) in scores]
        complete = len(rivals) == len(_RIVALS) and all(one.status != "partial" for one in rivals)
        if not complete or task not in alm:
            unknown.append(task)
            continue
        (mean, std), best = alm[task], max(rivals, key=lambda one: one.mean)
        (ahead if mean > best.mean else behind).append(task)
        if mean - best.mean > std and mean - best.mean > best.std:
            clear.append(task)
    text = f"- Compared with SAC and TD3 {which}, {whose} has the highest mean on "
    text += f"{len(ahead)} of the {len(ahead) + len(behind)} tasks that have all three"
    text += f" ({', '.join(ahead)})" if ahead else ""
    if ahead:
        text += f", on {len(clear)} by more than the standard deviation over seeds of either"
        text += f" ({', '.join(clear)})" if clear else ""
    text += f", not on {', '.join(behind)}" if behind else ""
    text += f"; no number for {', '.join(unknown)}" if unknown else ""
    return f"{text}."


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
        sides = [f"{side.mean.text()}, {side.seeds}" for side in one.sides]
        (alm,) = one.contrasts
        numbers = alm.difference.text(sign="+"), alm.improvement.text(2)
        rows.append([ALGORITHMS[name].title, f"{one.step:,}", *sides, *numbers])
    header = ["", "steps", "the other", "ALM(3)", "the other − ALM(3)", "P(the other > ALM(3))"]
    return markdown_grid(header, rows)


_Scores = dict[tuple[str, str], Score]
"""Scores that have a number, by row and task of Table 1."""


def _rows(store: Store) -> tuple[_Scores, _Scores]:
    """The rows of Table 1 as printed, and as measured here at paper scale, with that of smaller ALM."""
    scores = list(score_table(TABLE1, store).scores)
    for task in TABLE1.columns:
        runs = [
            run
            for algorithm, variant in (("alm", QUARTER.variant), ("sac", "base"), ("td3", "base"))
            for run in store.runs(algorithm=algorithm, variant=variant, task=task, scale="paper")
        ]
        require_comparable(runs)
        scores.append(measured_score(TABLE1, QUARTER, task, "paper", "", runs))
    numbers = [one for one in scores if one.has_number]
    printed = {(one.algorithm, one.task): one for one in numbers if one.block == "printed"}
    measured = {(one.algorithm, one.task): one for one in numbers if one.scale == "paper"}
    return printed, measured


def _of_authors(printed: _Scores, task: str) -> tuple[float, float]:
    """Mean and std of ALM's released curve, or of its printed cell where none was released."""
    if (released := _released(task)) is None:
        return printed[_ALM, task].mean, printed[_ALM, task].std
    return released["return_mean"], released["return_std"]


def _released(task: str) -> pd.Series | None:
    """A row of the authors' curves: five seeds at the last evaluation within 200k environment steps."""
    frame = authors_curves()
    own = frame[(frame["task"] == task) & (frame["training_step"] + AUTHORS_WARMUP <= READ_OUT)]
    return None if own.empty else own.iloc[-1]


def _published(task: str) -> str:
    if task not in FIELD_TASKS:
        return "–"
    values, step = field_scores("sac", FIELD_TASKS[task], READ_OUT)
    low, high = np.min(values), np.max(values)
    return f"{np.mean(values):.0f} [{low:.0f}, {high:.0f}] ({len(values)} seeds, {step / 1000:.0f}k)"
