"""Generated parts of docs/findings.md: what this suite has found, in numbers of the store and of others."""

import numpy as np

from reproduce.exhibits.catalogue import TABLE1
from reproduce.exhibits.scores import score_table
from reproduce.exhibits.table import Score
from reproduce.exhibits.writing import markdown_grid
from reproduce.lab.published import FIELD_TASKS, authors_curves, field_scores
from reproduce.lab.store import Store

__all__ = ["one_protocol", "wins"]

_STEP = 200_000
_WARMUP = 5000
_RIVALS = ("SAC", "TD3")


def one_protocol(store: Store) -> str:
    """Table 1's tasks: ALM's released curve, SAC and TD3 as printed, as measured here, and published SAC."""
    rows = []
    for task in TABLE1.columns:
        row = [task, _authors(task)]
        for rival in _RIVALS:
            row += [_printed(store, rival, task), _measured(store, rival, task)]
        rows.append([*row, _published(task)])
    header = ["", "ALM(3), released curve"]
    header += [f"{rival}, {which}" for rival in _RIVALS for which in ("printed", "measured here")]
    return markdown_grid([*header, "SAC, published on v4"], rows)


def wins(store: Store) -> str:
    """On how many tasks ALM's released mean is above SAC's and TD3's, printed and measured; means alone."""
    lines = []
    sources = {"as the paper prints them": _printed_score, "measured on ALM's own tasks": _score}
    for which, look_up in sources.items():
        ahead: list[str] = []
        behind: list[str] = []
        unknown: list[str] = []
        for task in TABLE1.columns:
            own = _alm(task)
            rivals = [look_up(store, rival, task) for rival in _RIVALS]
            if own is None or any(one is None or one.status == "partial" for one in rivals):
                unknown.append(task)
            else:
                best = max(one.mean for one in rivals if one is not None)
                (ahead if own > best else behind).append(task)
        text = f"- With SAC and TD3 {which}: ALM(3)'s released mean is the highest on "
        text += f"{len(ahead)} of the {len(ahead) + len(behind)} tasks that have all three"
        text += f" ({', '.join(ahead)})" if ahead else ""
        text += f", not on {', '.join(behind)}" if behind else ""
        text += f"; no number for {', '.join(unknown)}" if unknown else ""
        lines.append(f"{text}.")
    return "\n".join(lines)


def _alm(task: str) -> float | None:
    """Mean of the authors' five seeds at the last evaluation within 200k environment steps."""
    frame = authors_curves()
    own = frame[(frame["task"] == task) & (frame["training_step"] + _WARMUP <= _STEP)]
    return None if own.empty else float(own["return_mean"].iloc[-1])


def _authors(task: str) -> str:
    frame = authors_curves()
    own = frame[(frame["task"] == task) & (frame["training_step"] + _WARMUP <= _STEP)]
    if own.empty:
        return "not released"
    last = own.iloc[-1]
    return f"{last['return_mean']:.0f} ± {last['return_std']:.0f} ({int(last['seeds'])} seeds)"


def _printed_score(store: Store, rival: str, task: str) -> Score | None:
    printed = score_table(TABLE1, store, measured=False).scores
    return next((one for one in printed if (one.algorithm, one.task) == (rival, task)), None)


def _printed(store: Store, rival: str, task: str) -> str:
    score = _printed_score(store, rival, task)
    return "–" if score is None else score.number()


def _score(store: Store, rival: str, task: str) -> Score | None:
    """The cell of Table 1 at paper scale; None if it has no number."""
    found = (one for one in score_table(TABLE1, store).scores if one.block == "measured")
    here = [one for one in found if (one.algorithm, one.task, one.scale) == (rival, task, "paper")]
    return next((one for one in here if one.has_number), None)


def _measured(store: Store, rival: str, task: str) -> str:
    score = _score(store, rival, task)
    return "missing" if score is None else f"{score.number()} {score.basis}"


def _published(task: str) -> str:
    if task not in FIELD_TASKS:
        return "–"
    values, step = field_scores("sac", FIELD_TASKS[task], _STEP)
    low, high = np.min(values), np.max(values)
    return f"{np.mean(values):.0f} [{low:.0f}, {high:.0f}] ({len(values)} seeds, {step / 1000:.0f}k)"
