"""Kills: runs that get signals at random moments must equal undisturbed ones, bit for bit.

A cycle is one run of a population: it is trained, killed and resumed by the same command a few times,
then left to finish and compared with the undisturbed run. Half of the signals are
sent after a random time; the other half arrive just before a random one of the process's changes to the disk
(`trials.on_writes`), for example between the checkpoints of two seeds.
"""

import multiprocessing
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from alm.training.run_directory import RunDirectory
from benchmarks.torture import world
from benchmarks.torture.trials import Ended, Process, Series, on_writes, say
from reproduce.lab.run_directories import directories_under
from reproduce.lab.store import Store

POPULATIONS = ((0,), (0, 1), (0, 1, 2))
WAYS = ("SIGKILL", "SIGTERM", "SIGINT twice")
_MOST_KILLS = 4
# Exit codes of a process stopped by a signal, immediately or gracefully.
_STOPPED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, 130)


@dataclass(frozen=True)
class Undisturbed:
    """Undisturbed run of a population.

    Attributes:
        folder: folder of its runs and its store.
        writes: number of moments at which it changed the disk.
        seconds: its duration.
    """

    folder: Path
    writes: int
    seconds: float


def undisturbed(algorithm: str, seeds: tuple[int, ...], folder: Path) -> Undisturbed:
    """Undisturbed training of a population."""
    count = folder / "writes"

    def work() -> int:
        seen: list[Path] = []
        on_writes(lambda path, event: seen.append(path) if path.is_relative_to(folder) else None)
        code = world.train(algorithm, seeds, folder)
        writes = len(seen)
        count.write_text(str(writes))
        return code

    began = time.monotonic()
    ended = Process(work, folder / "printed").wait()
    if ended.code != 0:
        raise RuntimeError(f"{algorithm} with seeds {seeds} cannot be trained at all:\n{ended.err}")
    return Undisturbed(folder, int(count.read_text()), time.monotonic() - began)


def cycle(
    algorithm: str,
    seeds: tuple[int, ...],
    whole: Undisturbed,
    folder: Path,
    draw: Random,
    add: Callable[..., None],
    tracking: "Tracking | None" = None,
) -> int:
    """One run with its kills, counted by ``add``; returns the number of kills that met a working process."""
    kills: list[str] = []
    problems: list[str] = []
    for attempt in range(draw.randint(1, _MOST_KILLS)):
        way = draw.choice(WAYS)
        ended = _killed(algorithm, seeds, whole, folder, draw, way, attempt)
        problems += ended.problems
        if ended.code == 0:
            break
        if ended.code not in _STOPPED:
            problems.append(f"exit code {ended.code} after {way}: {ended.err.strip()[-300:]}")
        kills.append(way)
        if tracking and draw.random() < 0.7:
            tracking.sync(folder)
    ended = Process(lambda: world.train(algorithm, seeds, folder), folder / "printed").wait()
    problems += ended.problems
    if ended.code != 0:
        problems.append(f"the last attempt ended with {ended.code}: {ended.err.strip()[-300:]}")
    else:
        problems += differences(whole.folder, folder)
        if tracking:
            tracking.sync(folder)
            found = tracking.problems(folder)
            add("MLflow: points of killed runs", found)
    population = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    for way in kills:
        add(f"{way}, {population}", [])
    if problems:
        add(f"{kills[-1] if kills else 'no kill'}, {population}", problems, 0)
    return len(kills)


def _killed(
    algorithm: str,
    seeds: tuple[int, ...],
    whole: Undisturbed,
    folder: Path,
    draw: Random,
    way: str,
    attempt: int,
) -> Ended:
    """Training resumed and stopped by a signal, unless it finishes first."""
    first, second = {
        "SIGKILL": (signal.SIGKILL, None),
        "SIGTERM": (signal.SIGTERM, None),
        "SIGINT twice": (signal.SIGINT, signal.SIGINT),
    }[way]
    # The rest of the run becomes shorter with every attempt.
    part = draw.random() / (1 + attempt)
    by_write = draw.random() < 0.5
    at, later = 1 + int(part * whole.writes), draw.randint(1, 6)
    after, pause = part * whole.seconds, draw.random() * 0.02

    def work() -> int:
        if by_write:
            seen = 0

            def count(path: Path, event: str) -> None:
                nonlocal seen
                if path.is_relative_to(folder):
                    seen += 1
                    which = first if seen == at else second if seen == at + later else None
                    if which is not None:
                        os.kill(os.getpid(), which)

            on_writes(count)
        return world.train(algorithm, seeds, folder)

    process = Process(work, folder / "printed")
    if not by_write:
        deadline = time.monotonic() + after
        while time.monotonic() < deadline and not process.ended():
            time.sleep(0.001)
        process.send(first)
        if second is not None:
            time.sleep(pause)
            process.send(second)
    return process.wait()


def differences(whole: Path, killed: Path) -> list[str]:
    """Differences between undisturbed and killed runs, in words; times are ignored."""
    problems: list[str] = []
    pairs = list(zip(_directories(whole), _directories(killed), strict=False))
    if len(_directories(whole)) != len(_directories(killed)):
        return [f"{len(_directories(killed))} run directories instead of {len(_directories(whole))}"]
    for one, other in pairs:
        name = other.path.name
        if other.status != one.status:
            problems.append(f"{name} is {other.status}, not {one.status}")
        if other.status != "done":
            continue
        lines, again = _lines(one), _lines(other)
        counted, found = Counter(step for step, _ in lines), Counter(step for step, _ in again)
        lost, doubled = counted - found, found - counted
        if lost or doubled:
            problems.append(f"{name}: points lost at {sorted(lost)}, doubled at {sorted(doubled)}")
        elif lines != again:
            problems.append(f"{name}: other metrics")
        samples, others = list(one.values()), list(other.values())
        if [step for step, _ in samples] != [step for step, _ in others]:
            problems.append(f"{name}: value samples of other steps")
        elif not all(_same(vars(a), vars(b)) for (_, a), (_, b) in zip(samples, others, strict=True)):
            problems.append(f"{name}: other value samples")
        if not _same(_last_state(one), _last_state(other)):
            problems.append(f"{name}: another last checkpoint")
        if _policies(one) != _policies(other):
            problems.append(f"{name}: other policies")
        size = other.metrics_path.stat().st_size
        if other.read_json("committed.json")["metrics_offset"] != size:
            problems.append(f"{name}: not all metrics are committed")
    problems += [f"{path} is left over" for path in killed.glob("**/.*.tmp")]
    return problems + _stored_differences(Store(whole / "store"), Store(killed / "store"))


def _policies(run: RunDirectory) -> dict[str, tuple[int, bytes]]:
    """Steps and contents of the last and the best policy."""
    newest = max(run.policies.steps(), default=0)
    steps = {"last": run.policies.last(newest), "best": run.policies.best(newest)}
    return {
        kind: (step, run.policies.path(step).read_bytes()) for kind, step in steps.items() if step is not None
    }


def _directories(folder: Path) -> list[RunDirectory]:
    return list(directories_under(folder / "runs").values())


def _lines(directory: RunDirectory) -> list[tuple[tuple[int, bool], Any]]:
    """Every line: its step, whether it is an evaluation, and its content other than times."""
    return [
        (
            (line["step"], "returns" in line),
            (
                {name: value for name, value in line["metrics"].items() if not name.startswith("time/")},
                line.get("returns"),
            ),
        )
        for line in directory.metrics()
    ]


def _last_state(directory: RunDirectory) -> Any:
    step = directory.checkpoints.steps()[0]
    tree = directory.checkpoints.load(step)
    if tree is None:
        return None
    # The length of a line depends on the digits of its times.
    clock = {"seconds", "total_seconds"}
    recorder = {name: value for name, value in tree["recorder"].items() if name not in clock}
    return step, {**tree, "recorder": recorder, "metrics_offset": None}


def _same(one: Any, other: Any) -> bool:
    """Whether two trees are equal, bit for bit in every tensor and array."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other, equal_nan=True)
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and list(one) == list(other)
            and all(_same(one[k], other[k]) for k in one)
        )
    if isinstance(one, (list, tuple)):
        return isinstance(other, (list, tuple)) and len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or (one != one and other != other)


def _stored_differences(whole: Store, killed: Store) -> list[str]:
    problems = []
    runs, others = whole.runs(), killed.runs()
    if [run.spec for run in runs] != [run.spec for run in others]:
        return [f"{len(others)} stored runs instead of {len(runs)}"]
    for run, other in zip(runs, others, strict=True):
        columns = [name for name in run.evaluations if not name.startswith("time") and name != "wall_seconds"]
        same = (run.status, run.digest) == (other.status, other.digest) and _same(
            {name: run.evaluations[name].tolist() for name in columns},
            {name: other.evaluations[name].tolist() for name in columns},
        )
        if not same:
            problems.append(f"the stored run of seed {run.spec.seed} is another one")
        pairs, again = whole.values(run), killed.values(other)
        if (pairs is None) != (again is None) or (pairs is not None and not pairs.equals(again)):
            problems.append(f"the stored value samples of seed {run.spec.seed} are others")
    return problems


class Tracking:
    """MLflow in a separate process, which imports it once, with databases of killed runs.

    Args:
        folder: folder of the databases.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("fork")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, folder), daemon=True)
        self._process.start()
        theirs.close()

    def sync(self, folder: Path) -> None:
        """Send the committed metrics of a folder's runs, like the command ``sync``."""
        self._ask("sync", folder)

    def problems(self, folder: Path) -> list[str]:
        """Points of the runs' metrics that are missing, duplicated or different in the folder's database."""
        return list(self._ask("problems", folder))

    def _ask(self, what: str, folder: Path) -> Any:
        self._ours.send((what, folder))
        answer = self._ours.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the process."""
        self._ours.send(None)
        self._process.join()


def _serve(requests: Connection, folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from reproduce.tracking.client import MlflowRuns
    from reproduce.tracking.following import sync

    template = folder / "empty.db"
    MlflowRuns(f"sqlite:///{template}").experiments()
    while (request := requests.recv()) is not None:
        what, runs = request
        database = runs / "mlflow.db"
        if not database.exists():
            shutil.copy(template, database)
        try:
            if what == "sync":
                requests.send(
                    sync(
                        (one.path for one in _directories(runs)), MlflowRuns(f"sqlite:///{database}")
                    ).problems
                )
            else:
                requests.send(_tracking_problems(runs, database))
        except Exception as error:
            requests.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _tracking_problems(folder: Path, database: Path) -> list[str]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = list(client.search_runs(experiments))
    problems = []
    for directory in _directories(folder):
        record = directory.read_json("config.json")
        own = [run for run in runs if run.data.tags.get("run_key") == record["digest"]]
        name = directory.path.name
        if len(own) != 1 or own[0].info.status != "FINISHED":
            problems.append(f"{name}: {len(own)} runs in MLflow, {[run.info.status for run in own]}")
            continue
        lines = list(directory.metrics())
        written = Counter(
            (key, line["step"], value) for line in lines for key, value in line["metrics"].items()
        )
        held = Counter(
            (key, point.step, point.value)
            for key in own[0].data.metrics
            if not key.startswith(("final/", "cost/"))
            for point in client.get_metric_history(own[0].info.run_id, key)
        )
        clock = ("time/",)
        lost = [one for one in written - held if not one[0].startswith(clock)]
        doubled = [one for one in held - written if not one[0].startswith(clock)]
        if lost or doubled:
            problems.append(f"{name}: MLflow lost {lost[:3]}, has besides {doubled[:3]}")
        places, others = (Counter((key, step) for key, step, _ in one.elements()) for one in (written, held))
        if places != others:
            problems.append(
                f"{name}: MLflow lost {list(places - others)[:3]}, doubled {list(others - places)[:3]}"
            )
    return problems


def torture(series: Series, tracked_every: int) -> None:
    """Cycles over all algorithms and populations until the number of kills is reached.

    ``tracked_every``: every how many cycles MLflow is also checked; 0: never.
    """
    wholes: dict[tuple[str, tuple[int, ...]], Undisturbed] = {}
    tracking = Tracking(series.folder / "mlflow") if tracked_every else None
    done = 0
    for number, draw, place in series.trials():
        if done >= series.count:
            break
        # The order starts with all algorithms and mixes the populations.
        algorithm = world.ALL[number % len(world.ALL)]
        seeds = POPULATIONS[(number // len(world.ALL) + number) % len(POPULATIONS)]
        key = (algorithm, seeds)
        if key not in wholes:
            wholes[key] = undisturbed(algorithm, seeds, series.folder / "whole" / f"{algorithm}-{len(seeds)}")
        before = len(series.tally.failures)
        tracked = tracking if tracking and number % tracked_every == 0 else None
        done += cycle(algorithm, seeds, wholes[key], place, draw, partial(series.add, number), tracked)
        if len(series.tally.failures) == before:
            shutil.rmtree(place)
        if (number + 1) % 10 == 0:
            say(f"{done} kills in {number + 1} cycles, {len(series.tally.failures)} failures")
    if tracking:
        tracking.close()
