"""``python -m benchmarks.libraries``: steps of SAC and TD3 here, in Stable-Baselines3 and in SBX.

HalfCheetah, two layers of 256, batches of 256, one update per step; acting, simulator, update and the
library's overhead, on one thread. Stable-Baselines3 (PyTorch) and SBX (JAX) run as separate programs, in a
virtual environment created on the first call (``.cache/libraries``); all candidates take turns.
"""

import statistics
import subprocess
import venv
from importlib.metadata import version
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.environment_step import Candidate
from benchmarks.populations import POPULATIONS
from benchmarks.timing import (
    TASK,
    as_in_training,
    execute_as_in_runs,
    measure_in_turns,
    median_ratio,
    milliseconds,
    random_replay,
    write_record,
)
from reproduce.lab.places import CODE

ROUNDS = 7
STEPS = 400
ALGORITHMS = ("sac", "td3")
LIBRARIES = {"stable_baselines3": "stable-baselines3==2.9.2", "sbx": "sbx-rl==0.28.0"}
"""Package names and the requirements that pip installs."""
_SIMULATOR = {"gymnasium": "gymnasium[mujoco]", "mujoco": "mujoco"}
TOGETHER = POPULATIONS[-1]
"""Seeds of a population, which is also measured."""
_PLACE = CODE / ".cache" / "libraries"
_PROGRAM = Path(__file__).with_name("library_program.py")


class Library:
    """Library that trains in a separate program, a number of steps per request."""

    def __init__(self, python: Path, library: str, algorithm: str) -> None:
        self._program = subprocess.Popen(
            [python, _PROGRAM, library, algorithm, str(STEPS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer("ready")

    def step_ms(self) -> float:
        """Processor time of one step."""
        assert self._program.stdin
        self._program.stdin.write("\n")
        self._program.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the program."""
        assert self._program.stdin
        self._program.stdin.close()
        self._program.wait()

    def _answer(self, awaited: str | None = None) -> str:
        assert self._program.stdout
        for line in self._program.stdout:
            if awaited is None or line.strip() == awaited:
                return line
        raise SystemExit(f"a library ended with exit code {self._program.wait()}; its last words are above")


class Ours:
    """Algorithm of the suite in the middle of training, one seed or a population; compiled, as in runs."""

    def __init__(self, algorithm: str, seeds: int) -> None:
        self._candidate = Candidate(algorithm, "paper", random_replay(seeds, "cpu"), seeds)
        execute_as_in_runs(self._candidate.agent)
        self._seeds = seeds

    def step_ms(self) -> float:
        """Processor time of one step of one seed."""
        return milliseconds(self._steps) / (STEPS * self._seeds)

    def _steps(self) -> None:
        for _ in range(STEPS // 2):
            self._candidate.two_steps()


def python_with_libraries() -> Path:
    """Python of a virtual environment with both libraries and this one's simulator, created if missing."""
    python = _PLACE / "bin" / "python"
    made = _PLACE / "made"
    needs = [
        *LIBRARIES.values(),
        *(f"{needed}=={version(package)}" for package, needed in _SIMULATOR.items()),
    ]
    if not made.exists() or made.read_text() != " ".join(needs):
        venv.create(_PLACE, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        # Alone and first: otherwise pip may choose a torch with CUDA.
        subprocess.run([*install, f"torch=={torch.__version__.partition('+')[0]}"], check=True)
        subprocess.run([*install, *needs], check=True)
        made.write_text(" ".join(needs))
    return python


def compare(python: Path, algorithm: str) -> dict[str, float]:
    """Medians over rounds in which all candidates take turns, and ratios to ours."""
    libraries = {name: Library(python, name, algorithm) for name in LIBRARIES}
    ours = {"alone": Ours(algorithm, 1), "together": Ours(algorithm, TOGETHER)}
    candidates: dict[str, Ours | Library] = {**ours, **libraries}
    times = measure_in_turns({name: one.step_ms for name, one in candidates.items()}, ROUNDS)
    for one in libraries.values():
        one.close()
    found = {f"{name}_ms": statistics.median(values) for name, values in times.items()}
    ratios = {
        f"{name}_over_{way}": median_ratio(times[name], times[way]) for name in libraries for way in ours
    }
    return found | ratios


def main() -> None:
    """Measure, print a table and write ``out/benchmarks/libraries.json``."""
    as_in_training()
    python = python_with_libraries()
    results = {algorithm: compare(python, algorithm) for algorithm in ALGORITHMS}
    table = Table(title=f"Milliseconds of one environment step and seed, one CPU thread (median of {ROUNDS})")
    for column in ("", "here, alone", f"here, of {TOGETHER}", *LIBRARIES):
        table.add_column(column, justify="right" if column else "left")
    for algorithm, found in results.items():
        cells = (f"{found[f'{name}_ms']:.1f}" for name in ("alone", "together", *LIBRARIES))
        table.add_row(algorithm.upper(), *cells)
    Console().print(table)
    record = {"algorithms": results, "versions": LIBRARIES, "together": TOGETHER}
    write_record("libraries", record, task=TASK, rounds=ROUNDS)


if __name__ == "__main__":
    tyro.cli(main)
