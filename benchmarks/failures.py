"""``python -m benchmarks.failures``: outcomes of runs whose workers, nodes and grid are killed.

Smoke runs of TD3 by the grid on three Ray nodes simulated on this machine. In the middle of runs, one of
these is killed repeatedly: Ray's worker, the training process, the node with everything on it, or the grid
(which is restarted); or the training process gets SIGTERM, as when a machine is reclaimed. At the end every
run is compared with an undisturbed one; leases are watched throughout.
docs/reliability.md uses the record.
"""

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
from rich.console import Console
from rich.table import Table

from alm.training.lease import holder_of, holders
from alm.training.run_directory import RunDirectory
from benchmarks.clusters import Nodes, ray_nodes
from benchmarks.timing import write_record
from reproduce.lab.executors import Job
from reproduce.lab.executors.local import LocalProcesses
from reproduce.lab.grid import RETRIES, run_grid
from reproduce.lab.jobs import jobs
from reproduce.lab.missing import Missing
from reproduce.lab.places import CODE
from reproduce.lab.specs import RunSpec

KINDS = {
    "worker": "Ray's worker process",
    "process": "the training process",
    "node": "a node, and all that ran there",
    "preempted": "the training process, by SIGTERM",
    "grid": "the grid, which was started again",
}
NODES = 3
_PATIENCE_SECONDS = 1200.0

Found = TypeVar("Found")


@dataclass(frozen=True)
class Tally:
    """Outcomes of disturbed runs."""

    kills: int
    runs: int
    done: int
    identical: int
    """Runs whose metrics, returns and steps all equal those of an undisturbed run, bit for bit."""
    lost_points: int
    doubled_points: int
    two_at_once: int
    """Observations of a run held by two living processes."""
    retries: int


def specs(seeds: Sequence[int]) -> tuple[RunSpec, ...]:
    """Specifications of the runs."""
    return tuple(RunSpec(algorithm="td3", task="Hopper", seed=seed, scale="smoke") for seed in seeds)


def smoke_jobs(runs_dir: Path, seeds: Sequence[int]) -> list[Job]:
    """A job for each run."""
    options = ["--no-track", "--runs-dir", str(runs_dir), "--store", str(runs_dir / "store")]
    return jobs([Missing(specs(seeds), (0,) * len(seeds), 600)], "cpu", options, runs_dir, len(seeds))


def grid(runs_dir: Path, seeds: Sequence[int], address: str | None) -> int:
    """Train the runs with the grid, on a Ray cluster or, without an address, in local processes."""
    work = smoke_jobs(runs_dir, seeds)
    if address is None:
        return run_grid(work, LocalProcesses(), 1, runs_dir, Console(width=400))
    from reproduce.lab.executors.ray import RayTasks

    return run_grid(work, RayTasks(address), len(work), runs_dir, Console(width=400))


def results(runs_dir: Path, seeds: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Metrics lines of the finished runs, without the times, which differ."""
    found = {}
    for spec in specs(seeds):
        directory = RunDirectory(runs_dir / spec.relative_dir)
        if directory.status == "done":
            found[spec.seed] = [_timeless(line) for line in directory.metrics()]
    return found


def _timeless(line: dict[str, Any]) -> dict[str, Any]:
    metrics = {name: value for name, value in line["metrics"].items() if not name.startswith("time/")}
    return {**line, "metrics": metrics, "wall_seconds": None, "time_ms": None}


class Disturbance:
    """Grid on a cluster whose parts are killed while it works.

    Args:
        runs_dir: folder of the runs.
        seeds: seeds of the runs.
        nodes: the cluster.
    """

    def __init__(self, runs_dir: Path, seeds: Sequence[int], nodes: Nodes) -> None:
        self._runs_dir, self._seeds, self._nodes = runs_dir, list(seeds), nodes
        self._places = {spec.seed: runs_dir / spec.relative_dir for spec in specs(seeds)}
        self._killed: Counter[int] = Counter()
        self._said = runs_dir / "grid.txt"
        self._two_at_once = 0
        self._over = threading.Event()
        runs_dir.mkdir(parents=True)
        self._grid = self._start_grid()

    def run(self, kind: str, kills: int, undisturbed: dict[int, list[dict[str, Any]]]) -> Tally:
        """Outcomes after kills, once the grid has finished."""
        watch = threading.Thread(target=self._watch)
        watch.start()
        try:
            for _ in range(kills):
                self._kill(kind)
            self._wait(lambda: self._grid.poll() is not None)
        finally:
            self._over.set()
            watch.join()
            if self._grid.poll() is None:
                self._grid.kill()
                self._grid.wait()
        found = results(self._runs_dir, self._seeds)
        steps = {
            seed: Counter((line["step"], "returns" in line) for line in found.get(seed, []))
            for seed in self._seeds
        }
        wanted = {
            seed: {(line["step"], "returns" in line) for line in undisturbed[seed]} for seed in self._seeds
        }
        return Tally(
            kills=kills,
            runs=len(self._seeds),
            done=len(found),
            identical=sum(found.get(seed) == undisturbed[seed] for seed in self._seeds),
            lost_points=sum(len(wanted[seed] - set(steps[seed])) for seed in self._seeds),
            doubled_points=sum(count - 1 for seed in self._seeds for count in steps[seed].values()),
            two_at_once=self._two_at_once,
            retries=self._said.read_text().count("is tried again"),
        )

    def _start_grid(self) -> "subprocess.Popen[bytes]":
        call = f"grid(Path({str(self._runs_dir)!r}), {self._seeds}, {self._nodes.address!r})"
        program = (
            f"import sys; from pathlib import Path; from benchmarks.failures import grid; sys.exit({call})"
        )
        with self._said.open("a") as file:
            return subprocess.Popen(
                [sys.executable, "-c", program], cwd=CODE, stdout=file, stderr=subprocess.STDOUT
            )

    def _kill(self, kind: str) -> None:
        """Kill something in the middle of a run, preferably of the run killed least often."""
        seed, process, worker = self._wait(lambda: self._victim(kind))
        self._killed[seed] += 1
        if kind == "worker":
            worker.kill()
        elif kind == "process":
            process.kill()
        elif kind == "preempted":
            process.send_signal(signal.SIGTERM)
        elif kind == "grid":
            self._grid.kill()
            self._grid.wait()
            self._grid = self._start_grid()
        else:
            raylet = worker.ppid()
            # Losing a machine ends everything on it; Ray ends the other processes that it knows of.
            process.kill()
            worker.kill()
            self._nodes.kill(raylet)
        with suppress(psutil.NoSuchProcess):
            process.resume()
        # Wait until the process is gone, so that its run can only be a victim again once resumed.
        self._wait(lambda: not _is(process))

    def _victim(self, kind: str) -> tuple[int, psutil.Process, psutil.Process] | None:
        """A run between its first line and its end, its suspended process, and Ray's worker."""
        for seed in sorted(self._seeds, key=lambda seed: self._killed[seed]):
            held = holder_of(self._places[seed])
            if self._killed[seed] >= RETRIES or not held or not held[1] or not self._lines(seed):
                continue
            try:
                process = psutil.Process(held[0].pid)
                process.suspend()  # so that it does not finish meanwhile
                worker = process.parent()
                if worker is not None and not self._is_done(seed) and self._may(kind, worker):
                    return seed, process, worker
                process.resume()
            except psutil.NoSuchProcess:
                continue
        return None

    def _may(self, kind: str, worker: psutil.Process) -> bool:
        """Whether the victim may be killed: nodes may, except the head."""
        return kind != "node" or self._nodes.can_kill(worker.ppid())

    def _is_done(self, seed: int) -> bool:
        return RunDirectory(self._places[seed]).status == "done"

    def _lines(self, seed: int) -> int:
        return sum(1 for _ in RunDirectory(self._places[seed]).metrics())

    def _watch(self) -> None:
        """Watch the leases of all runs continuously."""
        while not self._over.wait(0.05):
            for place in self._places.values():
                holding = [one for one in holders(place) if one.held and one.seconds_left(time.time()) > 0]
                self._two_at_once += len(holding) > 1

    def _wait(self, look: Callable[[], Found | None]) -> Found:
        """First result of ``look``, polled until it finds something.

        Raises:
            RuntimeError: it found nothing, or the grid ended first.
        """
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            if found := look():
                return found
            if self._grid.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"waited in vain; the grid said: {self._said.read_text()[-2000:]}")


def _is(process: psutil.Process) -> bool:
    """Whether a process is alive; a zombie is not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def main(kills: int = 2, seeds: int = 3) -> None:
    """Kill, print a table and write ``out/benchmarks/failures.json``.

    Args:
        kills: Number of kills of each kind; below the number of nodes.
        seeds: Runs of each kind.
    """
    every = range(seeds)
    killed: dict[str, Any] = {}
    table = Table(title=f"Killed in the middle of runs, {NODES} Ray nodes on this machine")
    for column in ("", *Tally.__annotations__):
        table.add_column(column, justify="right" if column else "left")
    with tempfile.TemporaryDirectory() as name, ray_nodes(NODES) as nodes:
        folder = Path(name)
        if grid(folder / "undisturbed", every, None):
            raise RuntimeError("an undisturbed run failed")
        undisturbed = results(folder / "undisturbed", every)
        for kind, words in KINDS.items():
            nodes.fill(NODES)
            tally = Disturbance(folder / kind, every, nodes).run(kind, kills, undisturbed)
            killed[words] = asdict(tally)
            print(words, json.dumps(killed[words]), flush=True)
            table.add_row(words, *map(str, asdict(tally).values()))
    Console().print(table)
    write_record("failures", {"nodes": NODES, "killed": killed})


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
