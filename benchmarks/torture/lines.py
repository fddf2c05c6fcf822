"""Command lines: every option of every command with values of every kind, and settings of every algorithm.

A nonsensical line ends with one sentence, or with the parser's usage, and exit code 2; a valid one does its
work. Neither shows a traceback or writes anywhere but where the line says. Commands that would take hours
or never end (the grid, the server, the theory, the report) are left out.
"""

import os
import re
import shutil
import tempfile
import typing
from dataclasses import fields
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import tyro

import reproduce.commands.figures
import reproduce.commands.tracking
import reproduce.lab.grid
from alm.training.scale import scale_named
from benchmarks.torture import world
from benchmarks.torture.trials import Ended, Process, Series, on_writes
from reproduce.cli import COMMANDS, main
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.settings import _settings as settings_of

_WORDS = (
    *("", " ", "-", "--", "-1", "0", "1", "2.5", "1e400", "nan", "9" * 20, "not-a-number", "true", "%s"),
    *("../outside", "../../outside", "/dev/null", "a/b/c", "a\\b", "~", "$HOME", "*", "a b", "a\nb"),
    *("[bold]", "base[", "base[horizon=7", "x]", "+", "+bf16", "base+bf16", "alm/", "/alm", "naïve"),
    *("x" * 300, "x" * 5000, "Hopper-obsnoise-", "Hopper-obsnoise-nan", "Hopper-obsnoise--1", "mbbl/"),
    *("日本🙂", "\x1b[31m", "{}"),
)
_PATHS = (
    *("", "new/and/deep", "../outside", "/dev/null", "/dev/null/x", "/proc/nowhere", "a-file", "x" * 300),
    *("日本🙂", "-1"),
)
_NUMBERS = (
    *("-1", "0", "1", "2", "0.5", "1.5", "1e15", "-1e-3", "1e300", "nan", "inf", "", "none", "true", "7=8"),
    *("(1,2)", "x"),
)
_LEFT_OUT: tuple[tuple[Any, str], ...] = (
    (reproduce.lab.grid, "run_grid"),
    (reproduce.commands.tracking.Ui, "run"),
    (reproduce.commands.figures.Theory, "run"),
    (reproduce.commands.figures.Report, "run"),
)


def line(draw: Random) -> list[str]:
    """A command with a random value for one option."""
    name = draw.choice([name for name in COMMANDS if name != "documents"])
    if name == "train" and draw.random() < 0.6:
        return _with_setting(draw)
    command: Any = COMMANDS[name]
    hints = typing.get_type_hints(command, include_extras=True)
    option = draw.choice([one.name for one in fields(command)])
    path = "path" in str(typing.get_type_hints(command)[option]).lower()
    value = draw.choice(_PATHS if path else _WORDS)
    given: dict[str, list[str]] = {}
    positional: list[str] = []
    for one in fields(command):
        if tyro.conf.Positional in getattr(hints[one.name], "__metadata__", ()):
            usual = {"exhibits": "table1", "table": "1", "figure": "3", "first": "alm", "second": "td3-ours"}
            usual |= {"algorithm": "alm", "task": "Hopper"}
            positional.append(value if one.name == option else usual[one.name])
        elif one.name == option:
            given[one.name] = [f"--{option.replace('_', '-')}", value]
        elif one.name in ("runs_dir", "store", "out"):
            given[one.name] = [f"--{one.name.replace('_', '-')}", f"usual/{one.name}"]
        elif one.name == "task":
            given[one.name] = ["--task", "Hopper"]
        elif one.name == "track":
            given[one.name] = ["--no-track"]
    return [name, *positional, *(word for words in given.values() for word in words)]


def _with_setting(draw: Random) -> list[str]:
    """Training command with a setting of a random algorithm."""
    name = draw.choice(world.ALL)
    _, config = ALGORITHMS[name].load()
    task = world.task_of(name)
    setting = draw.choice([one for one, _ in settings_of(config.at(scale_named(world.SCALE), task))])
    assignment = f"{setting}={draw.choice(_NUMBERS)}"
    usual = [one for one in world.SETTINGS.get(name, ()) if one.partition("=")[0] != setting]
    small = [word for one in usual for word in ("--set", one)]
    places = ["--runs-dir", "usual/runs_dir", "--store", "usual/store"]
    names = ["--algorithm", name, "--task", task, "--scale", world.SCALE, "--no-track"]
    return ["train", *names, *small, "--set", assignment, *places]


def trial(folder: Path, words: list[str]) -> list[str]:
    """Problems found when a line is run in its own folder."""
    here, outside = folder / "here", folder / "written-elsewhere"
    (here / "usual" / "store").mkdir(parents=True)
    (here / "a-file").write_text("a file, not a directory")

    def work() -> int:
        os.chdir(here)
        os.environ["MLFLOW_TRACKING_URI"] = world.NO_MLFLOW
        for owner, name in _LEFT_OUT:
            setattr(owner, name, lambda *_, **__: 0)
        elsewhere: list[str] = []

        def note(path: Path, event: str) -> None:
            if not _may_change(path, folder):
                elsewhere.append(f"{event} {path}")

        on_writes(note)
        try:
            return main(words)
        finally:
            outside.write_text("\n".join(elsewhere))

    ended = Process(work, folder / "printed").wait()
    problems = ended.problems + _problems(ended)
    if elsewhere := outside.read_text() if outside.exists() else "":
        problems.append(f"it changed {elsewhere.splitlines()[0]}")
    return problems


_TEMPORARY = Path(tempfile.gettempdir())  # libraries make sure it exists


def _may_change(path: Path, folder: Path) -> bool:
    """Whether a path belongs to the trial, the system or a cache."""
    if path.is_relative_to(folder) or path.parts[1:2] in (("dev",), ("proc",)) or path == _TEMPORARY:
        return True
    return "__pycache__" in path.parts or any("cache" in part or part == "matplotlib" for part in path.parts)


def _problems(ended: Ended) -> list[str]:
    if ended.code == 0 or (ended.code == 1 and "failed at step" in ended.out + ended.err):
        return []
    if ended.code != 2:
        return [f"exit code {ended.code}: {ended.err.strip()[-300:]}"]
    if "For full helptext" in ended.err:
        return []  # the parser's usage
    # Training reports its start before it finds that memory is insufficient.
    beginning = re.compile(r"warning: |WARNING: |.* seeds? [\d ]+: (precision |from step |step )")
    said = [one for one in ended.err.splitlines() if one and not beginning.match(one)]
    if len(said) != 1 or not said[0].startswith("error: "):
        return [f"not one sentence: {ended.err.strip()[-300:]!r}"]
    return []


def torture(series: Series) -> None:
    """Trials of command lines, each in a folder of its own."""
    for number, draw, place in islice(series.trials(), series.count):
        words = line(draw)
        problems = trial(place, words)
        kind = "train --set" if "--set" in words else words[0]
        shown = " ".join(repr(word) if len(word) < 80 else f"{word[:20]!r}…" for word in words)
        series.add(number, kind, [f"{shown}: {one}" for one in problems])
        if not problems:
            shutil.rmtree(place)
