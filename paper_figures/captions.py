"""Words in captions and notes: what a figure shows, from which runs, and what it leaves out."""

from collections import Counter
from collections.abc import Sequence

from paper_figures.data import FigureData, PanelCurve
from reproduce import formats
from reproduce.lab.published import AUTHORS_WARMUP

# Algorithms whose networks have the paper's sizes at laptop scale.
_FULL_SIZE = ("sac", "td3", "svg")


def heading(data: FigureData) -> str:
    """The beginning of a caption; if some curves have no run, it lists those that have."""
    drawn = "; ".join(one.label for one in data.series)
    only = f" (drawn: {drawn})" if len(data.series) < len(data.exhibit.series) else ""
    return ", ".join(filter(None, (data.exhibit.heading, data.exhibit.title, f"{data.scale} scale{only}")))


def sizes(data: FigureData) -> str:
    """Sentences on networks that are smaller than the paper's, and on added curves; may be empty."""
    small = [f"{one.label}: {one.size}" for one in data.series if one.size]
    added = [one.label for one in data.series if one.added and not one.size]
    also = f" Added, with networks and settings of their own runs: {', '.join(added)}." if added else ""
    if small:
        others = ", ".join(one.label for one in data.series if not one.added) if added else "the others"
        return f" {'; '.join(small)}; {others} are of full size.{also}"
    drawn = {one.algorithm: one.label for one in data.series if not one.added}
    whole = [label for algorithm, label in drawn.items() if algorithm in _FULL_SIZE]
    if data.scale == "paper" or len(whole) == len(drawn):
        return also
    but = f", but for those of {' and '.join(whole)}" if whole else ""
    return f" Networks are smaller than the paper's at this scale{but}.{also}"


def tasks_left_out(data: FigureData) -> str:
    """A sentence on the tasks without a panel because no run is stored; may be empty."""
    failed, unmeasured = Counter[str](), {curve.task for curve in data.curves if curve.unmeasured}
    for curve in data.curves:
        failed[curve.task] += curve.pool.failed
    lacking = [task for task in failed if task not in data.tasks]
    without = [task for task in lacking if task in unmeasured]
    nothing = [
        f"{task} ({failed[task]} failed)" if failed[task] else task
        for task in lacking
        if task not in unmeasured
    ]
    return (f" No stored run on {', '.join(nothing)}." if nothing else "") + (
        f" Runs on {', '.join(without)} are stored without what is shown." if without else ""
    )


def grey(without: Sequence[str]) -> str:
    """A sentence on published curves, and on the tasks that have none."""
    none = f" (none was released of {' and '.join(without)})" if without else ""
    shift = f"shifted by their {AUTHORS_WARMUP:,} random steps"
    return f"Grey: mean ± standard deviation of the authors' five seeds of ALM(3){none}, {shift}."


def seeds_note(shown: Sequence[PanelCurve]) -> str:
    """The seeds behind the curves of a panel, in a few short lines."""
    groups: dict[str, list[str]] = {}
    # Stored series come first.
    for curve in sorted(shown, key=lambda c: not c.seeds):
        if not curve.seeds:
            state = "stored without what is shown" if curve.unmeasured else "no stored run"
        else:
            state = formats.seeds_counted(curve.seeds, curve.seeds_wanted)
            if curve.last_step < curve.total_steps:
                state += f", {formats.steps_reached(curve.last_step, curve.total_steps)}"
            if curve.unmeasured:
                state += f", {curve.unmeasured} stored without what is shown"
        state = ", ".join([state, *formats.left_out(curve.pool.unfinished, curve.pool.failed)])
        groups.setdefault(state, []).append(curve.series.label)
    return "\n".join(f"{state}: {'; '.join(labels)}" for state, labels in groups.items())
