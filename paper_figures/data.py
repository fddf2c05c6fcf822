"""From the store to the tidy frame behind a figure, and what of its runs is missing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alm.training.bias import DEFINITIONS
from alm.training.scale import scale_named
from reproduce.exhibits import FigureExhibit, Metric, Series
from reproduce.exhibits.pooling import pool
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store, StoredRun, StoreMixError, require_comparable


@dataclass(frozen=True)
class Drawn:
    """What stands behind one curve of one panel."""

    series: Series
    task: str
    seeds: int
    """Seeds with data that are plotted."""
    seeds_wanted: int
    last_step: int
    """Environment steps that all of these seeds have reached."""
    total_steps: int
    failed: int = 0
    """Seeds whose run failed; they are not plotted."""
    unfinished: int = 0
    """Seeds that are not plotted because others got to the end."""


def series_drawn(coverage: Sequence[Drawn]) -> list[Series]:
    """The series that have a curve in some panel, in their order."""
    return list(dict.fromkeys(entry.series for entry in coverage if entry.seeds))


def tasks_drawn(coverage: Sequence[Drawn]) -> list[str]:
    """The tasks on which some series has a curve, in their order."""
    having = {entry.task for entry in coverage if entry.seeds}
    return [task for task in dict.fromkeys(entry.task for entry in coverage) if task in having]


@dataclass(frozen=True)
class FigureData:
    """Everything a figure shows at one scale.

    Attributes:
        points: one row a series, task, seed and evaluation.  Columns: series, task, seed, step,
            training_step, then ``return``, ``hours`` and, where the exhibit has such a row, ``beneath``;
            or ``bias_mean`` and ``bias_std``.  A curve ends where the first of its seeds does.  Of
            representations: a row a series, seed and step of the episode, with the columns of
            `reproduce.lab.store.LATENT_COLUMNS`.
        costs: one row a series, task and seed: ``update_ms`` and ``total_ms`` for each environment step, and
            the ``device`` that the run was measured on.
        coverage: one entry a series and panel.
        runs: those that are drawn.
        policy: of representations, label of the run whose episode they are along; else empty.
    """

    points: pd.DataFrame
    costs: pd.DataFrame
    coverage: tuple[Drawn, ...]
    runs: tuple[StoredRun, ...]
    policy: str = ""

    @property
    def protocols(self) -> tuple[str, ...]:
        """Task definitions and simulator versions of the runs: one, unless mixing was forced."""
        return tuple(sorted({run.protocol for run in self.runs}))

    @property
    def own(self) -> int:
        """How many of the runs are one's own."""
        return len([run for run in self.runs if run.own])


def figure_data(
    exhibit: FigureExhibit, store: Store, scale: str, definition: str, mix: bool = False
) -> FigureData:
    """Read what ``exhibit`` shows at ``scale``.

    Args:
        exhibit: the figure.
        store: finished and partial runs.
        scale: the only scale that is read.
        definition: of the bias, a name of `alm.training.bias.DEFINITIONS`.
        mix: whether runs of different protocols may stand side by side.

    Raises:
        reproduce.lab.store.StoreMixError: the runs are of different protocols, and ``mix`` is off.
    """
    seeds = scale_named(scale).seeds
    used: dict[RunSpec, StoredRun] = {}
    points, costs, coverage = [], [], []
    for series in exhibit.series:
        for task in exhibit.tasks_at(scale):
            wanted = RunSpec(
                algorithm=series.algorithm,
                variant=series.variant,
                task=series.task(task),
                seed=seeds[0],
                scale=scale,
            )
            total = exhibit.read_out(wanted)
            pooled = pool(_stored(store, series, wanted.task, scale), total)
            frames = []
            for run in pooled.runs:
                frame = (
                    _biases(store, run, series.estimate, definition)
                    if exhibit.shows == "bias"
                    else _returns(run, exhibit.beneath)
                )
                if not frame.empty:
                    used[run.spec] = run
                    frames.append(frame.assign(series=series.label, task=task, seed=run.spec.seed))
                    costs.append(_cost(run).assign(series=series.label, task=task, seed=run.spec.seed))
            last = min((int(frame["step"].max()) for frame in frames), default=0)
            points += [frame[frame["step"] <= last] for frame in frames]
            entry = Drawn(
                series, task, len(frames), len(seeds), last, total, pooled.failed, pooled.unfinished
            )
            coverage.append(entry)
    if not mix:
        require_comparable(used.values())
    return FigureData(
        pd.concat(points, ignore_index=True) if points else pd.DataFrame(),
        pd.concat(costs, ignore_index=True) if costs else pd.DataFrame(),
        tuple(coverage),
        tuple(used.values()),
    )


def latent_data(exhibit: FigureExhibit, store: Store, scale: str, mix: bool = False) -> FigureData:
    """Read the stored predictions of a figure of representations, on its one task.

    Raises:
        reproduce.lab.store.StoreMixError: the runs are of different protocols, and ``mix`` is off, or the
            predictions are along different episodes.
    """
    task, seeds = exhibit.tasks_at(scale)[0], scale_named(scale).seeds
    total = scale_named(scale).training(task).total_steps
    points, coverage, used, policies = [], [], [], set()
    for series in exhibit.series:
        pooled, measured = pool(_stored(store, series, task, scale), total), 0
        for run in pooled.runs:
            found = store.latents(run)
            if found is None:
                continue
            frame, policy = found
            points.append(frame.assign(series=series.label, seed=run.spec.seed))
            policies.add(policy)
            used.append(run)
            measured += 1
        coverage.append(
            Drawn(series, task, measured, len(seeds), pooled.step, total, pooled.failed, pooled.unfinished)
        )
    if not mix:
        require_comparable(used)
    if len(policies) > 1:
        raise StoreMixError(
            f"Predictions along different episodes may not be compared ({', '.join(sorted(policies))}): "
            f"measure all anew with: python -m reproduce latents --task {task} --scale {scale}"
        )
    frame = pd.concat(points, ignore_index=True) if points else pd.DataFrame()
    return FigureData(frame, pd.DataFrame(), tuple(coverage), tuple(used), "".join(policies))


def _stored(store: Store, series: Series, task: str, scale: str) -> list[StoredRun]:
    return store.runs(algorithm=series.algorithm, variant=series.variant, task=task, scale=scale)


def _returns(run: StoredRun, beneath: Metric | None) -> pd.DataFrame:
    """Return by step, hours of training that one seed took until then, and another metric if wanted."""
    frame = run.evaluations[["step", "training_step"]].copy()
    frame["return"] = run.evaluations["eval/return"]
    frame["hours"] = run.training_seconds / 3600.0
    if beneath is not None:
        there = [name for name in (beneath.column, beneath.otherwise) if name in run.evaluations]
        frame["beneath"] = run.evaluations[there[0]] if there else np.nan
    return frame


def _cost(run: StoredRun) -> pd.DataFrame:
    """Milliseconds for each environment step after the warm-up, of the updates and of everything; where."""
    seconds, learning = run.training_seconds, run.evaluations["training_step"] > 0
    steps = run.evaluations["training_step"].iloc[-1]
    begin = seconds[~learning].iloc[-1] if (~learning).any() else 0.0
    update = run.evaluations.loc[learning, "time/update_ms"].mean()
    return pd.DataFrame(
        {
            "update_ms": [update / run.provenance.get("population", np.nan)],
            "total_ms": [1000.0 * (seconds.iloc[-1] - begin) / max(steps, 1)],
            "device": [_device(run)],
        }
    )


def _biases(store: Store, run: StoredRun, estimate: str, definition: str) -> pd.DataFrame:
    """Mean and deviation of the bias of one estimate, by step; empty where it was not measured."""
    pairs = store.values(run)
    if pairs is None or estimate not in pairs:
        return pd.DataFrame()
    rows = []
    for step, group in pairs.groupby("step"):
        bias = DEFINITIONS[definition](
            group[estimate].to_numpy(np.float64), group["monte_carlo"].to_numpy(np.float64)
        )
        rows.append({"step": step, "bias_mean": bias.mean, "bias_std": bias.std})
    return pd.DataFrame(rows).merge(run.evaluations[["step", "training_step"]], on="step")


def _device(run: StoredRun) -> str:
    """The kind of machine, such as ``"Intel(R) Xeon(R) Processor, 1 thread"``."""
    device = run.provenance.get("device", "unknown device")
    if device != "cpu":
        return str(device)
    threads = run.provenance.get("threads", "?")
    cpu = run.provenance.get("hardware", {}).get("cpu", "unknown")
    return f"{cpu}, {threads} thread{'' if threads == 1 else 's'}"
