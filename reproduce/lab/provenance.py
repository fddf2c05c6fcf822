"""Provenance of a run: code version, package versions, hardware, command; and of an error: ours or not."""

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
# Stored results are data, not code: they may differ without making the code another one.
_NOT_CODE = (":!results", ":!docs", ":!paper_figures", ":!benchmarks/results")
_OWN = ("alm", "baselines", "paper_figures", "reproduce")
_PACKAGES = ("torch", "mujoco", "gymnasium", "numpy")


def provenance(device: str, threads: int, execution: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The provenance record of a run that starts now, ready for JSON.

    ``execution`` says how its updates run (`alm.training.execution.Execution`, as a dictionary).
    """
    return {
        "git_sha": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--", ".", *_NOT_CODE)),
        "command": shlex.join([Path(sys.executable).name, *sys.orig_argv[1:]]),
        "packages": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _PACKAGES},
        },
        "hardware": {
            "cpu": _cpu_name(),
            "cores": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": f"{platform.system()} {platform.machine()}",
        },
        "device": device,
        "threads": threads,
        "execution": dict(execution or {}),
        "started_ms": time.time_ns() // 1_000_000,
    }


def is_sentence(error: BaseException) -> bool:
    """Whether an error was written for a person by this project, not raised from within a library."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or not isinstance(error, (ValueError, RuntimeError)):
        return False
    # Neither the environment nor a plugin is ours, though both may lie in the repository.
    source = Path(traceback.tb_frame.f_code.co_filename)
    return any(source.is_relative_to(REPOSITORY / package) for package in _OWN)


def _git(*arguments: str) -> str:
    """Output of a git command in the repository, or "unknown" outside of one."""
    try:
        return subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
