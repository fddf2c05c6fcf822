"""Learning curves against steps and against time, and the cost of a step (Figure 3).

Times on different processors are not comparable, so each processor has its own panels.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from paper_figures import learning_curves, panels
from paper_figures.data import FigureData, figure_data
from paper_figures.style import figure_style, looks
from reproduce.exhibits.kinds import FigureExhibit, Series
from reproduce.lab.provenance import processor_of
from reproduce.lab.store import Store, StoredRun


def data(exhibit: FigureExhibit, store: Store, scale: str) -> FigureData:
    """One row per series, task, seed and evaluation: step, training_step, return, hours and device.

    Hours are the training time per seed up to the evaluation; NaN if not recorded.
    """

    def read(run: StoredRun, series: Series) -> pd.DataFrame:
        del series
        hours = run.training_seconds / 3600.0
        return learning_curves.returns(run).assign(hours=hours, device=_device(run))

    return figure_data(exhibit, store, scale, read)


def costs(data: FigureData) -> pd.DataFrame:
    """Milliseconds per environment step after the warm-up: series, device, update_ms, total_ms.

    One row per run; ``update_ms`` is for updates alone, ``total_ms`` for everything but evaluations.
    """
    label = {(one.algorithm, one.variant): one.label for one in data.exhibit.series}
    rows = []
    for run in data.runs:
        seconds, learning = run.training_seconds, run.evaluations["training_step"] > 0
        steps = run.evaluations["training_step"].iloc[-1]
        begin = seconds[~learning].iloc[-1] if (~learning).any() else 0.0
        times = run.evaluations.get("time/update_ms")
        update = np.nan if times is None else times[learning].mean()
        rows.append(
            {
                "series": label[run.spec.algorithm, run.spec.variant],
                "device": _device(run),
                "update_ms": update / run.provenance.get("population", np.nan),
                "total_ms": 1000.0 * (seconds.iloc[-1] - begin) / max(steps, 1),
            }
        )
    return pd.DataFrame(rows)


def _device(run: StoredRun) -> str:
    """The kind of machine, such as ``"Intel(R) Xeon(R) Processor, 1 thread"``."""
    if "device" not in run.provenance:
        return "unknown device"
    processor = processor_of(run.provenance)
    if run.provenance["device"] != "cpu":
        return processor
    threads = run.provenance.get("threads", "?")
    return f"{processor}, {threads} thread{'' if threads == 1 else 's'}"


@figure_style()
def draw(data: FigureData) -> Figure:
    """Draw a panel per task against steps, one per task and processor against minutes, then costs."""
    exhibit, tasks = data.exhibit, data.tasks
    learning = data.points[data.points["training_step"] > 0].dropna(subset="hours")
    known = costs(data).dropna()
    # A curve that ends with the warm-up, where the first of its seeds does, has no panel of minutes.
    known = known[known["device"].isin(learning["device"])]
    # The processor with the most curves first.
    devices = list(known.groupby("device")["series"].nunique().sort_values(ascending=False).index)
    places = [
        (task, device)
        for device in devices
        for task in tasks
        if ((learning["task"] == task) & (learning["device"] == device)).any()
    ]
    figure, groups = panels.page(*filter(None, (len(tasks), len(places), len(devices))))
    (steps,), *timed = groups
    also = learning_curves.against_steps(steps, data)
    panels.seeds_notes(figure, steps, data)
    if timed:
        (minutes,), (bars,) = timed
        for axis, (task, device) in zip(minutes, places, strict=True):
            points = learning[(learning["task"] == task) & (learning["device"] == device)]
            _against_minutes(axis, exhibit, points)
            _title(axis, task, device, devices)
            axis.set_ylim(steps[tasks.index(task)].get_ylim())
            panels.returns_axis(axis)
        panels.name_rows(minutes, "return")
        for axis, device in zip(bars, devices, strict=True):
            _costs(axis, exhibit, known[known["device"] == device])
            _title(axis, "cost of a step", device, devices)
        low, high = known["update_ms"].min(), known["total_ms"].max()
        for axis in bars:  # leaves room for the last number
            axis.set_xlim(10 ** np.floor(np.log10(0.8 * low)), 4 * high)
    panels.legend(figure, exhibit.series)
    text = f"{learning_curves.heading(data)}{also} {_of_times(data, devices)}"
    panels.caption(figure, text, data.runs)
    return figure


def _title(axis: Axes, what: str, device: str, devices: Sequence[str]) -> None:
    """Title a panel, with its processor if there are several."""
    if len(devices) == 1:
        axis.set_title(what)
    else:
        axis.set_title(f"{what}\n{device.replace('(R)', '').replace('(TM)', '')}", fontsize=8)


def _against_minutes(axis: Axes, exhibit: FigureExhibit, points: pd.DataFrame) -> None:
    # Seeds that did not train together took different times, so the curve is drawn at their mean.
    minutes = 60.0 * points.groupby(["series", "step"])["hours"].transform("mean")
    panels.curves(axis, points.assign(minutes=minutes), exhibit.series, "minutes", "return")
    _logarithmic(axis)
    axis.set_xlabel("minutes of training for each seed")


def _costs(axis: Axes, exhibit: FigureExhibit, known: pd.DataFrame) -> None:
    """Draw milliseconds per environment step, averaged over the runs of all panels."""
    present = [one for one in exhibit.series if one.label in set(known["series"])]
    by_label = looks(exhibit.series)
    for position, one in enumerate(present):
        mean = known.loc[known["series"] == one.label, ["update_ms", "total_ms"]].mean()
        look = by_label[one.label]
        # One above the other, because they would overlap where updates are nearly all of the cost.
        for cost, place, face in (
            (mean["total_ms"], position - 0.17, look.colour),
            (mean["update_ms"], position + 0.17, "white"),
        ):
            axis.plot(cost, place, marker=look.marker, mfc=face, mec=look.colour, ls="", markersize=5)
            axis.annotate(
                f"{cost:.3g} ms", (cost, place), (7, 0), textcoords="offset points", va="center", fontsize=7
            )
    axis.set_yticks(range(len(present)), [one.label for one in present])
    axis.set_ylim(len(present) - 0.5, -0.5)
    _logarithmic(axis)
    axis.set_xlabel("ms for each environment step")


def _logarithmic(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _of_times(data: FigureData, devices: Sequence[str]) -> str:
    """Sentences for the caption on the times."""
    untimed = set(data.points.loc[data.points["hours"].isna(), "series"])
    without = "; ".join(one.label for one in data.exhibit.series if one.label in untimed)
    missing = f" Time not recorded: {without}." if without else ""
    if not devices:
        return missing.lstrip()
    whose = (
        f"Measured on {devices[0]}."
        if len(devices) == 1
        else "Each processor has its own panels, as times on different ones are not comparable."
    )
    return (
        "Times are those of the training runs, without evaluations; if seeds trained together, "
        "their time is divided by their number. Runs may have shared the machine with others; the benchmark "
        f"environment_step measures costs side by side. {whose} Cost of a step: filled, all but evaluations; "
        f"open, updates in the last steps before each evaluation.{missing}"
    )
