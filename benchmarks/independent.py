"""``python -m benchmarks.independent T-Ant --seeds 0 1 2``: SAC of SBX on a task of the suite.

Another author's SAC on the very same task tells whether a return that looks low is the fault of the code or
of the task. All seeds train at once, one process each, in the virtual environment of `benchmarks.libraries`.
The record ``out/benchmarks/independent_<task>.json`` grows with each evaluation, so a run may be stopped.
"""

import os
import queue
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import tyro

from alm.task_registry import task_spec
from benchmarks.libraries import LIBRARIES, python_with_libraries
from benchmarks.timing import write_record
from reproduce.lab.places import CODE

LIBRARY = "sbx"
_PROGRAM = Path(__file__).with_name("independent_program.py")
Reports = queue.Queue[tuple[int, str | int]]
"""Lines of the seeds' programs, and at last their exit codes."""


def report(seed: int, program: subprocess.Popen[str], reports: Reports) -> None:
    """Pass on the evaluations of a seed's program, and at last its exit code."""
    assert program.stdout
    for line in program.stdout:
        if line.startswith("evaluation "):
            reports.put((seed, line))
    reports.put((seed, program.wait()))


def main(
    task: Annotated[str, tyro.conf.Positional], seeds: tuple[int, ...] = (0, 1, 2), steps: int = 200_000
) -> None:
    """Measure a library's SAC: train all seeds, print every evaluation and keep the record up to date.

    Args:
        task: a task of the suite.
        seeds: one run each.
        steps: environment steps of a run.
    """
    name, python, reports = task_spec(task).name, python_with_libraries(), Reports()
    environment = os.environ | {"PYTHONPATH": str(CODE)}
    programs = {
        seed: subprocess.Popen(
            [str(python), str(_PROGRAM), LIBRARY, name, str(seed), str(steps)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in dict.fromkeys(seeds)
    }
    for seed, program in programs.items():
        threading.Thread(target=report, args=(seed, program, reports), daemon=True).start()
    try:
        record(name, programs.keys(), reports)
    finally:
        for program in programs.values():
            program.terminate()


def record(task: str, seeds: Iterable[int], reports: Reports) -> None:
    """Write the record after every evaluation, until all programs have ended.

    Raises:
        SystemExit: one of them has failed.
    """
    training, runs = set(seeds), dict[int, list[tuple[int, float]]]()
    while training:
        seed, found = reports.get()
        if found == 0:
            training.remove(seed)
        elif isinstance(found, int):
            raise SystemExit(f"seed {seed} ended with exit code {found}; its last words are above")
        else:
            _, step, value = found.split()
            runs.setdefault(seed, []).append((int(step), float(value)))
            print(f"{task} seed {seed}: step {int(step):,}, return {float(value):.0f}", flush=True)
            results = {str(seed): runs[seed] for seed in sorted(runs)}
            write_record(f"independent_{task}", results, task=task, library=LIBRARIES[LIBRARY])


if __name__ == "__main__":
    tyro.cli(main)
