"""Learning curves against steps and against time, and the cost of a step (Figure 3).

Times on different processors are not comparable, so each processor has its own panels. The costs of a step
are from a benchmark, which measures all algorithms on one machine.
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
from reproduce import formats
from reproduce.exhibits.kinds import FigureExhibit, Series
from reproduce.lab.costs import BENCHMARK, benchmark_record, benchmark_results
from reproduce.lab.provenance import timed_on
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


def costs(exhibit: FigureExhibit, scale: str) -> dict[str, float]:
    """Milliseconds per environment step at a scale by label, of the series that the benchmark has."""
    measured = benchmark_results(BENCHMARK).get("costs", {}).get(scale, {})
    return {
        one.label: measured[one.algorithm]["step_ms"]
        for one in exhibit.series
        if one.variant == "base" and one.algorithm in measured
    }


def _device(run: StoredRun) -> str:
    """The kind of machine, such as ``"Intel(R) Xeon(R) Processor, 1 thread"``."""
    if "device" not in run.provenance:
        return "unknown device"
    processor = timed_on(run.provenance)
    if run.provenance["device"] != "cpu":
        return processor
    threads = run.provenance.get("threads", "?")
    return f"{processor}, {threads} thread{'' if threads == 1 else 's'}"


@figure_style()
def draw(data: FigureData) -> Figure:
    """Draw a panel per task against steps, one per task and processor against minutes, then the costs."""
    exhibit, tasks = data.exhibit, data.tasks
    # A curve that ends with the warm-up, where the first of its seeds does, has no panel of minutes.
    learning = data.points[data.points["training_step"] > 0].dropna(subset="hours")
    # The processor with the most curves first.
    devices = list(learning.groupby("device")["series"].nunique().sort_values(ascending=False).index)
    places = [
        (task, device)
        for device in devices
        for task in tasks
        if ((learning["task"] == task) & (learning["device"] == device)).any()
    ]
    figure, groups = panels.page(len(tasks), *([len(places), 1] if places else []))
    (steps,), *timed = groups
    also = learning_curves.against_steps(steps, data)
    panels.seeds_notes(figure, steps, data)
    if timed:
        (minutes,), ((cost,),) = timed
        for axis, (task, device) in zip(minutes, places, strict=True):
            points = learning[(learning["task"] == task) & (learning["device"] == device)]
            _against_minutes(axis, exhibit, points)
            _title(axis, task, device if len(devices) > 1 else "")
            axis.set_ylim(steps[tasks.index(task)].get_ylim())
            panels.returns_axis(axis)
        panels.name_rows(minutes, "return")
        panels.notes(figure, minutes, [_timed(data, learning, *place) for place in places])
        # Panels that stand beside each other are compared.
        lows, highs = zip(*(axis.get_xlim() for axis in minutes), strict=True)
        for axis in minutes:
            axis.set_xlim(min(lows), max(highs))
        _costs(cost, data)
    panels.legend(figure, exhibit.series)
    text = f"{learning_curves.heading(data)}{also} {_of_times(data, devices)}"
    panels.caption(figure, text, data.runs)
    return figure


def _timed(data: FigureData, learning: pd.DataFrame, task: str, device: str) -> str:
    """The number of seeds of each curve in a panel of minutes, and the curves of its task without times."""
    there = learning[(learning["task"] == task) & (learning["device"] == device)]
    seeds = there.groupby("series")["seed"].nunique()
    labels = [one.label for one in data.exhibit.series]
    lines = [f"{formats.seeds_counted(seeds[one], None)}: {one}" for one in labels if one in seeds]
    untimed = data.points[(data.points["task"] == task) & data.points["hours"].isna()]
    without = [one for one in labels if one in set(untimed["series"])]
    return "\n".join([*lines, *([f"time not recorded: {'; '.join(without)}"] if without else [])])


def _title(axis: Axes, what: str, device: str) -> None:
    """Title a panel, with its processor if one is given."""
    if device:
        axis.set_title(f"{what}\n{device.replace('(R)', '').replace('(TM)', '')}", fontsize=8)
    else:
        axis.set_title(what)


def _against_minutes(axis: Axes, exhibit: FigureExhibit, points: pd.DataFrame) -> None:
    # Seeds that did not train together took different times, so the curve is drawn at their mean.
    minutes = 60.0 * points.groupby(["series", "step"])["hours"].transform("mean")
    panels.curves(axis, points.assign(minutes=minutes), exhibit.series, "minutes", "return")
    _logarithmic(axis)
    axis.set_xlabel("minutes of training for each seed")


def _costs(axis: Axes, data: FigureData) -> None:
    """Draw milliseconds per environment step, all measured on one machine."""
    known = costs(data.exhibit, data.scale)
    if not known:
        axis.set_title("cost of a step")
        panels.empty(axis, "not in the benchmark")
        return
    record = benchmark_record(BENCHMARK)
    _title(axis, f"cost of a step on {record['task']}", f"{record['hardware']['cpu']}, benchmark")
    by_label = looks(data.exhibit.series)
    for place, (label, cost) in enumerate(known.items()):
        look = by_label[label]
        axis.plot(cost, place, marker=look.marker, color=look.colour, ls="", markersize=5)
        text = f"{float(f'{cost:.3g}'):g} ms"
        axis.annotate(text, (cost, place), (7, 0), textcoords="offset points", va="center", fontsize=7)
    axis.set_yticks(range(len(known)), list(known))
    axis.set_ylim(len(known) - 0.5, -0.5)
    _logarithmic(axis)
    # Leaves room for the last number.
    axis.set_xlim(10 ** np.floor(np.log10(0.8 * min(known.values()))), 6 * max(known.values()))
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
        "Times are those of the training runs, without evaluations; if seeds trained together, their time is "
        f"divided by their number. Runs may have shared the machine with others. {whose} Cost of a step: not "
        "of these runs, but of one seed of each algorithm in the benchmark environment_step "
        "(docs/performance.md), where all take turns on one CPU thread: acting, simulator and updates in "
        "float32."
        f"{missing}"
    )
