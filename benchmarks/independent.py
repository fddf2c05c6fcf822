"""``python -m benchmarks.independent T-Ant --seeds 0 1 2``: SAC of SBX on a task of the suite.

Another author's SAC on the very same task tells whether a return that looks low is the fault of the code or
of the task.  All seeds train at once, one process each, in the virtual environment of `benchmarks.libraries`.
The record ``out/benchmarks/independent_<task>.json`` grows with each evaluation, so a run may be stopped.
"""

import os
import queue
import subprocess
import threading
from pathlib import Path
from typing import Annotated

import tyro

from alm.tasks import task_spec
from benchmarks.libraries import LIBRARIES, python_with_libraries
from benchmarks.timing import write_record
from reproduce.lab.places import CODE

LIBRARY = "sbx"
_PROGRAM = Path(__file__).with_name("independent_program.py")
Reports = queue.Queue[tuple[int, str | int]]
"""Lines of the seeds' programs, and at last their exit codes."""


def train(python: Path, task: str, seed: int, steps: int, reports: Reports) -> None:
    """Train one seed in a process of its own."""
    command = [str(python), str(_PROGRAM), LIBRARY, task, str(seed), str(steps)]
    environment = os.environ | {"PYTHONPATH": str(CODE)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        for line in program.stdout:
            reports.put((seed, line))
    reports.put((seed, program.returncode))


def main(
    task: Annotated[str, tyro.conf.Positional], seeds: tuple[int, ...] = (0, 1, 2), steps: int = 200_000
) -> None:
    """Train all seeds, print every evaluation and keep the record up to date.

    Args:
        task: a task of the suite.
        seeds: one run each.
        steps: environment steps of a run.
    """
    name, python, reports = task_spec(task).name, python_with_libraries(), Reports()
    for seed in seeds:
        threading.Thread(target=train, args=(python, name, seed, steps, reports), daemon=True).start()
    runs: dict[str, list[tuple[int, float]]] = {str(seed): [] for seed in seeds}
    training = set(seeds)
    while training:
        seed, report = reports.get()
        if report == 0:
            training.remove(seed)
        elif isinstance(report, int):
            raise SystemExit(f"seed {seed} ended with exit code {report}; its last words are above")
        else:
            step, value = report.split()
            runs[str(seed)].append((int(step), float(value)))
            print(f"{name} seed {seed}: step {int(step):,}, return {float(value):.0f}", flush=True)
            write_record(f"independent_{name}", runs, task=name, library=LIBRARIES[LIBRARY])


if __name__ == "__main__":
    tyro.cli(main)
