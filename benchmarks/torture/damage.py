"""Damage: one file of a small world of runs is damaged, then a command reads it.

Whatever the damage, the command shows no traceback. Either it prints and writes the same as without the
damage, or it names the damaged file or run; if it cannot continue, it says so in one sentence. A
damaged run hides no other.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.torture import world
from benchmarks.torture.kills import differences
from benchmarks.torture.trials import Ended, Process, Series
from reproduce.cli import main
from reproduce.lab import published
from reproduce.lab.store import Store

_PLACES = ("--runs-dir", "W/runs", "--store", "W/store")
_STORED = ("--store", "W/store", "--out", "W/out")
COMMANDS: dict[str, tuple[str, ...]] = {
    "runs": ("runs", "--all", *_PLACES),
    "table 1": ("table", "1", *_STORED),
    "table 3": ("table", "3", *_STORED),
    "claims": ("claims", "--scale", world.SCALE, *_STORED),
    "figure curves": ("figure", "curves", *_STORED),
    "figure 3": ("figure", "3", *_STORED),
    "compare": ("compare", "alm", "td3-ours", "--task", "Hopper", *_PLACES, "--out", "W/out"),
    "archive": ("archive", *_PLACES),
    "sync": ("sync", *_PLACES),
    "plan": ("plan", "figure3", "--store", "W/store"),
    "train": ("train",),
}
_JSON = (
    "config.json",
    "provenance.json",
    "population.json",
    "committed.json",
    "mlflow.json",
    "DONE",
    "FAILED",
)
_ODD: tuple[Any, ...] = (None, [], {}, "x", "", -1, 0, 1.5, 1e308, True, [1, "x"], {"a": None})


@dataclass(frozen=True)
class World:
    """Store, run directories and printed numbers, with the output of commands on them.

    Attributes:
        folder: its location.
        tracked: whether it includes an MLflow database; else none can be reached, which is faster.
    """

    folder: Path
    tracked: bool

    @classmethod
    def make(cls, folder: Path, tracked: bool) -> "World":
        """A world with runs of two algorithms, one of whose seeds is half-way, and a failed run."""
        place = folder / "world"
        for arguments, code in (
            (("alm", (0, 1), place), 0),
            (("td3-ours", (0, 1), place), 0),
            (("alm", (2,), place, "--until", "20"), 0),
            (("td3-ours", (0,), place, "--set", "learning_rate=1e30"), 1),
        ):
            ended = Process(lambda arguments=arguments: world.train(*arguments), folder / "printed").wait()  # type: ignore[misc]
            if ended.code != code:
                raise RuntimeError(f"{arguments} ended with {ended.code}:\n{ended.err}")
        shutil.copytree(published._DATA, place / "paper")
        made = cls(place, tracked)
        if tracked and (ended := made.run("sync", place, folder / "printed")).code != 0:
            raise RuntimeError(ended.err)
        return made

    @property
    def commands(self) -> list[str]:
        """Names of the commands to try."""
        return [name for name in COMMANDS if self.tracked or name != "sync"]

    def copy(self, folder: Path) -> Path:
        """Copy of the world in another folder."""
        return Path(shutil.copytree(self.folder, folder))

    def run(self, command: str, place: Path, printed: Path) -> Ended:
        """End of a command run on a copy of this world."""

        def work() -> int:
            database = f"sqlite:///{place / 'mlflow.db'}"
            os.environ["MLFLOW_TRACKING_URI"] = database if self.tracked else world.NO_MLFLOW
            published._DATA = place / "paper"
            if command == "train":
                return world.train("alm", (0, 1, 2), place)
            return main([word.replace("W/", f"{place}/") for word in COMMANDS[command]])

        return Process(work, printed).wait()

    @cache  # noqa: B019
    def usual(self, command: str) -> tuple[str, Path]:
        """Output of a command without damage, and the world that it leaves."""
        place = self.copy(self.folder.parent / "usual" / command.replace(" ", "-"))
        ended = self.run(command, place, place / "printed")
        if ended.code != 0 or ended.problems:
            raise RuntimeError(f"{command} fails without any damage: {ended.code}\n{ended.out}{ended.err}")
        return _shown(ended, place), place


def _shown(ended: Ended, place: Path) -> str:
    """Output of a command: its text and the numbers it writes, independent of its place."""
    files = sorted(path for path in (place / "out").glob("**/*") if path.suffix in (".csv", ".md"))
    texts = [f"{path.name}\n{path.read_text()}" for path in files]
    # The length of a path changes line breaks; a plan measures the machine's speed each time.
    shown = re.sub(r"\s+", " ", "\n".join([ended.out, *texts]).replace(str(place), "W"))
    return re.sub(r"\d+ GFLOP/s now", "some GFLOP/s now", shown)


def files_of(place: Path) -> dict[str, list[Path]]:
    """The files that can be damaged, by kind."""
    runs, store = place / "runs", place / "store"
    found = {
        "stored run": [path for path in store.glob("**/seed-*.parquet") if path.name.count(".") == 1],
        "stored values": list(store.glob("**/*.values.parquet")),
        "metrics.jsonl": list(runs.glob("**/metrics.jsonl")),
        "checkpoint": list(runs.glob("**/checkpoints/*.pt")),
        "value sample": list(runs.glob("**/values/*.npz")),
        "printed numbers": [*(place / "paper").glob("*.csv"), *(place / "paper").glob("*.json")],
    }
    for name in _JSON:
        found[name] = list(runs.glob(f"**/{name}"))
    return {kind: sorted(paths) for kind, paths in found.items() if paths}


def flip(content: bytes, draw: Random) -> bytes:
    """One to three flipped bits."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def cut(content: bytes, draw: Random) -> bytes:
    """Content without its end."""
    return content[: draw.randrange(len(content))]


def empty(content: bytes, draw: Random) -> bytes:
    """Empty content."""
    del content, draw
    return b""


def garbage(content: bytes, draw: Random) -> bytes:
    """Other content of the same length."""
    return draw.randbytes(len(content))


def retype(content: bytes, draw: Random) -> bytes:
    """JSON in which one value, possibly nested, has another type or is missing."""
    lines = content.splitlines() if content.count(b"\n{") else [content]
    number = draw.randrange(len(lines))
    tree = json.loads(lines[number])
    places: list[tuple[Any, Any]] = []

    def visit(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                visit(node[key])

    if isinstance(tree, (dict, list)):
        visit(tree)
    if not places or draw.random() < 0.1:
        tree = draw.choice(_ODD)
    else:
        node, key = draw.choice(places)
        if draw.random() < 0.3:
            del node[key]
        else:
            node[key] = draw.choice([odd for odd in _ODD if type(odd) is not type(node[key])])
    lines[number] = json.dumps(tree).encode()
    return b"\n".join(lines) + (b"\n" if len(lines) > 1 else b"")


def drop_line(content: bytes, draw: Random) -> bytes:
    """Content with one line missing."""
    lines = content.splitlines(keepends=True)
    del lines[draw.randrange(len(lines))]
    return b"".join(lines)


def double_line(content: bytes, draw: Random) -> bytes:
    """Content with one line duplicated."""
    lines = content.splitlines(keepends=True)
    place = draw.randrange(len(lines))
    return b"".join([*lines[: place + 1], lines[place], *lines[place + 1 :]])


_ANY: tuple[Callable[[bytes, Random], bytes], ...] = (flip, flip, cut, empty, garbage)


def ways_of(path: Path) -> tuple[Callable[[bytes, Random], bytes], ...]:
    """Functions that can damage a file."""
    if path.suffix in (".json", ".jsonl", "") and not path.name.endswith(".csv"):
        more = (drop_line, double_line) if path.suffix == ".jsonl" else ()
        return (*_ANY, retype, retype, retype, *more)
    return (*_ANY, drop_line, double_line) if path.suffix == ".csv" else _ANY


def trial(made: World, folder: Path, draw: Random) -> tuple[str, str, list[str]]:
    """Command run after damage to a file of a copy: kind of file, description of the trial, problems."""
    place = made.copy(folder / "w")
    kinds = files_of(place)
    kind = draw.choice(list(kinds))
    path = draw.choice(kinds[kind])
    way = draw.choice(ways_of(path))
    path.write_bytes(way(path.read_bytes(), draw))
    # Commands that read run directories are drawn more often if one of those is damaged.
    in_runs = place / "runs" in path.parents
    reading = {"compare", "archive", "sync", "train", "runs"} if in_runs else set(COMMANDS)
    often = [name for name in made.commands if name in reading]
    command = draw.choice([*made.commands, *often, *often])
    ended = made.run(command, place, folder / "printed")
    words = f"{path.relative_to(place)}, {way.__name__}; {command}"
    return kind, words, [*ended.problems, *_problems(made, command, ended, place, path, kind)]


def _problems(made: World, command: str, ended: Ended, place: Path, path: Path, kind: str) -> list[str]:
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    run = next((one for one in path.parents if one.name.startswith("seed-")), path)
    said = ended.err + ended.out  # tables list below them what they leave out
    named = str(path) in said or re.search(rf"{re.escape(str(run))}\b", said) is not None
    allowed = {0, 2} | ({1} if command in ("archive", "compare", "sync", "train") else set())
    if ended.code not in allowed:
        return [f"exit code {ended.code}: {ended.err.strip()[-300:]}"]
    problems = []
    if ended.code == 2 and (len(errors) != 1 or not named):
        problems.append(f"no sentence that names the file: {ended.err.strip()[-300:]}")
    if command == "runs":
        if ended.code:
            problems.append("the list of runs is not shown")
        shown = re.sub(r"\s+", " ", ended.out)
        for stored in Store(made.folder / "store").runs():
            if Store(place / "store").path(stored.spec) != path and stored.spec.label not in shown:
                problems.append(f"{stored.spec.label} is not shown")
    if ended.code or named or kind == "printed numbers":
        return problems
    usual, usual_place = made.usual(command)
    if command == "train":
        # It does not read runs that it does not resume, so damage there goes unnoticed.
        shutil.copyfile(made.folder / path.relative_to(place), path)
        found = [one for one in differences(usual_place, place) if "stored" not in one]
        problems += [f"silently: {one}" for one in found]
    elif _shown(ended, place) != usual and not (command == "sync" and kind == "mlflow.json"):
        problems.append("it shows something else than without the damage, and names no file")
    return problems


def torture(series: Series, tracked: bool) -> None:
    """Trials, each on a copy of one world; ``tracked``: whether MLflow is included."""
    if tracked:
        import mlflow  # noqa: F401  # once, for all children
    made = World.make(series.folder, tracked)
    for number, draw, place in islice(series.trials(), series.count):
        kind, words, problems = trial(made, place, draw)
        series.add(number, kind, [f"{words}: {one}" for one in problems])
        if not problems:
            shutil.rmtree(place)
