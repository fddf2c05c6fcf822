"""``python -m benchmarks.engines``: cost of handing jobs to an engine, and its limits.

On Ray nodes simulated on this machine: the time of an empty task and of an empty job, and the throughput of
one, two and three nodes in jobs per hour. These jobs wait for two seconds, so that the cores shared by
the nodes do not matter. Also: the start-up time of a training process, the grid's own time per second on a
running job, the values per second that one MLflow database takes, and the time to read and to write a
stored run. docs/scaling.md uses the record.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from alm.training.run_directory import RunDirectory
from benchmarks.clusters import ray_nodes
from benchmarks.timing import write_record
from reproduce.lab.archive import run_of_directory
from reproduce.lab.executors import Ended, Executor, Job
from reproduce.lab.executors.local import LocalProcesses
from reproduce.lab.grid import run_grid
from reproduce.lab.places import CODE
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store

NODES = (1, 2, 3)
JOBS = 10
TASKS = 200
WAITING_SECONDS = 2.0
MLFLOW_RUNS = 2
_NOTHING = ("-c", "pass")


def seconds(call: Callable[[], object]) -> float:
    """Wall-clock time of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def work(folder: Path, number: int, arguments: tuple[str, ...]) -> list[Job]:
    """Jobs that train nothing."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    return [Job(f"job {i}", arguments, (), folder / "logs" / f"{i}.log") for i in range(number)]


def finish(jobs: list[Job], executor: Executor) -> float:
    """Time to submit all jobs and wait for their ends with frequent polling.

    Raises:
        RuntimeError: a job did not succeed.
    """
    handles = []
    began = time.perf_counter()
    for job in jobs:
        job.log.touch()
        handles.append(executor.submit(job))
    for handle in handles:
        while (end := executor.poll(handle)) is None:
            time.sleep(0.002)
        if not end.succeeded:
            raise RuntimeError(f"a job that does nothing ended with {end}")
    return time.perf_counter() - began


def on_ray(folder: Path) -> dict[str, Any]:
    """Ray's own overhead per task and per job, and jobs per hour by number of nodes."""
    from reproduce.lab.executors.ray import RayTasks

    found: dict[str, Any] = {"jobs_an_hour": {}}
    with ray_nodes(NODES[0]) as nodes:
        executor = RayTasks(nodes.address)
        try:
            finish(work(folder, 1, _NOTHING), executor)  # Ray starts its worker
            found["task_ms"] = _task_ms()
            found["job_ms"] = 1000 * finish(work(folder, JOBS, _NOTHING), executor) / JOBS
            for number in NODES:
                nodes.fill(number)
                finish(work(folder, 2 * number, _NOTHING), executor)
                waiting = ("-c", f"import time; time.sleep({WAITING_SECONDS})")
                jobs = work(folder, 4 * number, waiting)
                found["jobs_an_hour"][str(number)] = 3600 * len(jobs) / finish(jobs, executor)
        finally:
            executor.close()
    return found


def _task_ms() -> float:
    """Time of one empty Ray task, with many at once on one CPU."""
    import ray

    nothing = ray.remote(max_retries=0)(_do_nothing)

    def run_all() -> None:
        ray.get([nothing.remote() for _ in range(TASKS)])

    run_all()
    return 1000 * seconds(run_all) / TASKS


def _do_nothing() -> None:
    pass


class _Instant:
    """An executor whose jobs run for a number of polls and cost nothing."""

    def __init__(self, polls: int) -> None:
        self.polls = polls

    def submit(self, job: Job) -> list[int]:
        return [self.polls]

    def poll(self, handle: list[int]) -> Ended | None:
        handle[0] -= 1
        return Ended(0) if handle[0] <= 0 else None

    def stop(self, handle: list[int]) -> None:
        handle[0] = 0

    def close(self) -> None:
        pass


def grid_ms(runs_dir: Path, spec: RunSpec, jobs: int = 50, polls: int = 4) -> float:
    """Processor time that the grid spends on a running job per poll, about once a second.

    The jobs' run is a finished one at smoke scale, whose state every poll reads.
    """
    (runs_dir / "logs").mkdir(exist_ok=True)
    every = [Job(f"job {i}", _NOTHING, (spec,), runs_dir / "logs" / f"{i}.log") for i in range(jobs)]
    began = time.process_time()
    run_grid(every, _Instant(polls), jobs, runs_dir, Console(quiet=True))
    return 1000 * (time.process_time() - began) / (jobs * polls)


def train(folder: Path, seed: int) -> tuple[str, ...]:
    """The command of a smoke run of TD3."""
    places = ("--runs-dir", str(folder / "runs"), "--store", str(folder / "store"), "--no-track")
    return (
        "train",
        "--algorithm",
        "td3",
        "--task",
        "Hopper",
        "--scale",
        "smoke",
        "--seeds",
        str(seed),
        *places,
    )


def mlflow(folder: Path, runs: Sequence[Path]) -> dict[str, float]:
    """Speed at which one writer fills a new SQLite database with runs, excluding the first."""
    from reproduce.tracking.client import MlflowRuns
    from reproduce.tracking.following import sync

    tracker = MlflowRuns(f"sqlite:///{folder / 'mlflow.db'}")
    sync(runs[:1], tracker)
    began = time.perf_counter()
    sent = sync(runs[1:], tracker)
    taken = time.perf_counter() - began
    lines = sum(len((run / "metrics.jsonl").read_text().splitlines()) for run in runs[1:])
    return {"values_per_second": sent.points / taken, "values_per_line": sent.points / lines}


def store_ms(folder: Path, runs: Sequence[Path]) -> dict[str, float]:
    """Time to write a stored run, and to read one: the repository's own store, all at once."""
    record = run_of_directory(RunDirectory(runs[0]))
    assert record is not None
    store = Store(folder / "written")
    writing = seconds(
        lambda: [store.write(replace(record, spec=replace(record.spec, seed=i))) for i in range(50)]
    )
    kept = CODE / "results" / "runs"
    files = len(Store(kept).runs())
    reading = seconds(lambda: Store(kept).runs())  # a new store, since one reads each file once
    return {"write_ms": 1000 * writing / 50, "read_ms": 1000 * reading / files, "files": files}


def measure(folder: Path) -> dict[str, Any]:
    """All measurements, in the order of the record."""
    runs = [folder / "runs/td3/base/Hopper/smoke" / f"seed-{seed}" for seed in range(MLFLOW_RUNS)]
    for run in runs:
        subprocess.run(
            [sys.executable, "-m", "reproduce", *train(folder, int(run.name[5:]))],
            cwd=CODE,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    # A finished run: only the work before the first step is left.
    again = [sys.executable, "-m", "reproduce", *train(folder, 0)]
    start = seconds(lambda: subprocess.run(again, cwd=CODE, check=True, stdout=subprocess.DEVNULL))
    spec = RunSpec(algorithm="td3", task="Hopper", seed=0, scale="smoke")
    local = work(folder / "local", JOBS, _NOTHING)
    return {
        "local_job_ms": 1000 * sum(finish([job], LocalProcesses()) for job in local) / JOBS,
        "training_start_seconds": start,
        "grid_ms": grid_ms(folder / "runs", spec),
        "ray": on_ray(folder / "ray"),
        "waiting_seconds": WAITING_SECONDS,
        "mlflow": mlflow(folder, runs),
        "store": store_ms(folder, runs),
    }


def main() -> None:
    """Measure, print and write ``out/benchmarks/engines.json``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = measure(folder)
    for what, value in results.items():
        print(f"{what}: {value}")
    write_record("engines", results)


if __name__ == "__main__":
    tyro.cli(main)
