"""From the store to the tidy frame of a figure, with the stored runs behind each of its curves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from alm.training.scale import scale_named
from reproduce.exhibits.kinds import FigureExhibit, Series
from reproduce.exhibits.pooling import Pool, pool
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store, StoredRun


@dataclass(frozen=True)
class PanelCurve:
    """One curve of one panel: its stored runs, and how many of them are plotted.

    Attributes:
        series, task: the curve, and the task of its panel.
        total_steps: environment steps at which it ends; 0 without a run.
        seeds_wanted: number of seeds that the scale asks for.
        pool: its stored runs.
        seeds: number of seeds plotted.
        last_step: environment steps that all plotted seeds have reached.
    """

    series: Series
    task: str
    total_steps: int
    seeds_wanted: int
    pool: Pool
    seeds: int = 0
    last_step: int = 0

    @property
    def unmeasured(self) -> int:
        """Number of seeds not plotted because their runs are stored without what the figure shows."""
        return len(self.pool.runs) - self.seeds


@dataclass(frozen=True)
class FigureData:
    """Everything a figure shows at one scale.

    Attributes:
        exhibit, scale: the figure, and the scale of its runs.
        points: tidy, with columns series and seed; further columns depend on the function that reads them.
        curves: one per series and panel, also where nothing is plotted.
        runs: the runs drawn.
        policy: for representations, label of the run whose episode they follow; else empty.
    """

    exhibit: FigureExhibit
    scale: str
    points: pd.DataFrame
    curves: tuple[PanelCurve, ...]
    runs: tuple[StoredRun, ...]
    policy: str = ""

    @property
    def series(self) -> list[Series]:
        """The series that are plotted in some panel, in their order."""
        return list(dict.fromkeys(curve.series for curve in self.curves if curve.seeds))

    @property
    def tasks(self) -> list[str]:
        """The tasks on which some series is plotted, in their order."""
        having = {curve.task for curve in self.curves if curve.seeds}
        return [task for task in dict.fromkeys(curve.task for curve in self.curves) if task in having]


def curves_of(exhibit: FigureExhibit, store: Store, scale: str) -> Iterator[PanelCurve]:
    """Every curve of a figure at a scale, series by series, before it is plotted."""
    wanted = len(scale_named(scale).seeds)
    for series in exhibit.series:
        for task in exhibit.tasks_at(scale):
            runs = store.runs(
                algorithm=series.algorithm, variant=series.variant, task=series.task(task), scale=scale
            )
            end = exhibit.end(runs[0].spec) if runs else 0
            yield PanelCurve(series, task, end, wanted, pool(runs, end))


def figure_data(
    exhibit: FigureExhibit,
    store: Store,
    scale: str,
    read: Callable[[StoredRun, Series], pd.DataFrame],
) -> FigureData:
    """Read curves over training; each ends at the earliest end of its seeds, or at the figure's read-out.

    Args:
        exhibit: the figure.
        store: finished and partial runs.
        scale: the only scale that is read.
        read: gives the data shown of a run of a series, with a column ``step``; no rows if the run has none.
    """
    used: dict[RunSpec, StoredRun] = {}
    points, curves = [], []
    for curve in curves_of(exhibit, store, scale):
        frames = []
        for run in curve.pool.runs:
            frame = read(run, curve.series)
            if not frame.empty:
                used[run.spec] = run
                frames.append(frame.assign(series=curve.series.label, task=curve.task, seed=run.spec.seed))
        # Runs may go on beyond the step at which the figure reads them.
        last = min([curve.total_steps, *(int(frame["step"].max()) for frame in frames)]) if frames else 0
        points += [frame[frame["step"] <= last] for frame in frames]
        curves.append(replace(curve, seeds=len(frames), last_step=last))
    every = pd.concat(points, ignore_index=True) if points else pd.DataFrame()
    return FigureData(exhibit, scale, every, tuple(curves), tuple(used.values()))
