"""Provenance of a run: code version, package versions, hardware, command; and whether machines share code."""

import functools
import hashlib
import os
import platform
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from reproduce.lab.places import CODE, IN_CLONE

if TYPE_CHECKING:
    from alm.training.execution import Execution

# Stored results are data: changing them does not change the code.
_NOT_CODE = (":!results", ":!docs", ":!paper_figures", ":!benchmarks/results")
# What another start of a run may change.
_OF_EACH_START = ("git_sha", "git_dirty", "version", "packages", "hardware", "device", "threads", "execution")
_PACKAGES = ("torch", "mujoco", "gymnasium", "numpy")
# Directories whose Python files determine a run's results.
_SOURCES = ("alm", "baselines", "reproduce")
# By which an installed package is run, in the place of python -m reproduce.
_SCRIPT = "alm-reproduce"


def provenance(execution: "Execution") -> dict[str, Any]:
    """The provenance record of a run that starts now with an execution, of JSON types."""
    how = asdict(execution)
    device, threads = how.pop("device"), how.pop("threads")
    return {
        "git_sha": _git("rev-parse", "HEAD"),
        "git_dirty": IN_CLONE and bool(_git("status", "--porcelain", "--", ".", *_NOT_CODE)),
        "version": _version(),
        "command": shlex.join([Path(sys.executable).name, *without_places(sys.orig_argv[1:])]),
        "packages": _versions(),
        "hardware": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": f"{platform.system()} {platform.machine()}",
            **_gpu(device),
        },
        "device": device,
        "threads": threads,
        "execution": how,
        "started_ms": time.time_ns() // 1_000_000,
    }


def resumed(record: Mapping[str, Any], step: int, execution: "Execution") -> dict[str, Any]:
    """The provenance of a run that goes on after a step, given its record so far.

    What differs from the last start (code, packages, hardware, execution) is added to the list ``resumed``.
    """
    now, last = provenance(execution), _last_start(record)
    changed = {name: now[name] for name in _OF_EACH_START if now[name] != last.get(name)}
    if not changed:
        return dict(record)
    return {**record, "resumed": [*record.get("resumed", ()), {"step": step, **changed}]}


def was_compiled(record: Mapping[str, Any]) -> bool:
    """Whether the updates of a run were compiled when it was last started."""
    return bool(_last_start(record).get("execution", {}).get("compiled"))


def _last_start(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as of its last start."""
    return functools.reduce(lambda now, later: {**now, **later}, record.get("resumed", ()), dict(record))


@dataclass(frozen=True)
class Code:
    """Version of a process's code, as far as it determines results and their provenance.

    Attributes:
        commit: commit of the repository, "unknown" outside of one.
        sources: digest of the Python files, by path and content, committed or not.
        packages: versions of Python and of the packages that results depend on, by name.
    """

    commit: str
    sources: str
    packages: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls) -> "Code":
        """The code of this process's own repository and environment."""
        digest = hashlib.sha256()
        for path in sorted(path for folder in _SOURCES for path in (CODE / folder).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(CODE).as_posix()} {len(content)}\n".encode() + content)
        packages = tuple(_versions().items())
        return cls(_git("rev-parse", "HEAD"), digest.hexdigest()[:12], packages)

    def differences(self, other: "Code") -> list[str]:
        """Differences, such as ``"commit 1234567 instead of 89abcde"``; own value first."""
        found = []
        if self.commit != other.commit:
            found.append(f"commit {self.commit[:7]} instead of {other.commit[:7]}")
        if self.sources != other.sources:
            found.append(f"sources {self.sources} instead of {other.sources}")
        theirs = dict(other.packages)
        found += [
            f"{name} {version} instead of {theirs.get(name)}"
            for name, version in self.packages
            if version != theirs.get(name)
        ]
        return found


def without_places(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command without file locations, including that of the installed package's script.

    Locations are not part of a run, and may reveal more about a machine than its owner wants to share.
    """
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        option, joined, value = word.partition("=")
        # The command line takes underscores for hyphens.
        if (option := option.replace("_", "-")) in ("--runs-dir", "--store", "--plugin"):
            value = value if joined else next(words, "")
            kept += [option, Path(value).name] if option == "--plugin" else []
        elif Path(word).name == _SCRIPT:
            kept += ["-m", "reproduce"]
        else:
            kept.append(word)
    return kept


def _version() -> str:
    # What pip noted of a clone when it was installed may be the version of an earlier commit.
    if IN_CLONE:
        version: str = tomllib.loads((CODE / "pyproject.toml").read_text())["project"]["version"]
        return version
    return metadata.version("alm-reproduction")


def _versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}


def _git(*arguments: str) -> str:
    """Output of a git command in the clone; "unknown" outside a clone, even within another repository."""
    if not IN_CLONE:
        return "unknown"
    try:
        return subprocess.run(
            ["git", *arguments], cwd=CODE, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _gpu(device: str) -> dict[str, str]:
    """The model of a CUDA device; empty for other devices."""
    if not device.startswith("cuda"):
        return {}
    # Imported here, since reading results does without torch.
    import torch

    return {"gpu": torch.cuda.get_device_name(device)}


def processor_of(provenance: Mapping[str, Any]) -> str:
    """The processor of a run: the model of its CPU, after that of its GPU if it used one.

    A GPU without a recorded model (before version 0.9) appears as the name of the device.
    """
    hardware, device = provenance.get("hardware", {}), provenance.get("device", "cpu")
    cpu = str(hardware.get("cpu", "an unknown processor"))
    return cpu if device == "cpu" else f"{hardware.get('gpu', device)} of {cpu}"


def timed_on(provenance: Mapping[str, Any]) -> str:
    """What a run's times depend on: its processor, and whether its updates were compiled."""
    ways, processor = _ways(provenance), processor_of(provenance)
    if True not in ways:
        return processor
    return f"{processor} with {'updates compiled in part' if False in ways else 'compiled updates'}"


def always_compiled(provenance: Mapping[str, Any]) -> bool:
    """Whether all updates of a run were compiled, before it was last resumed and since."""
    return _ways(provenance) == {True}


def _ways(provenance: Mapping[str, Any]) -> set[bool]:
    """Whether the updates of a run were compiled, of each of its starts."""
    starts = provenance, *provenance.get("resumed", ())
    return {bool(one["execution"].get("compiled")) for one in starts if "execution" in one}


def cpu_name() -> str:
    """The processor's model as the operating system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
