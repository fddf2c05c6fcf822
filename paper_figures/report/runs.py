"""A stored run in words: its row in the page's list, and its provenance."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from reproduce.exhibits.statistics.aggregates import FloatArray
from reproduce.lab.algorithms import run_length_if_known
from reproduce.lab.store import StoredRun

_CURVE_WIDTH, _CURVE_HEIGHT = 96.0, 22.0


@dataclass(frozen=True)
class RunRow:
    """One run of the page's list.

    Attributes:
        run: the run itself.
        anchor: its identity, unique on the page.
        total_steps: environment steps of the whole run; None for a scale unknown here.
        last_return: return of its last evaluation.
        memory: peak memory of its process in bytes; NaN if unknown.
        curve: its returns as points of an SVG polyline of `CURVE_BOX`; empty without two of them.
        origin: names and texts of its provenance.
        config: its configuration as indented JSON.
        plugin: text of the file that declared its variant or algorithm; empty if the suite did.
    """

    run: StoredRun
    anchor: str
    total_steps: int | None
    last_return: float
    memory: float
    curve: str
    origin: tuple[tuple[str, str], ...]
    config: str
    plugin: str


CURVE_BOX = f"0 0 {_CURVE_WIDTH:g} {_CURVE_HEIGHT:g}"


def run_row(run: StoredRun) -> RunRow:
    """A stored run in words."""
    returns = run.evaluations["eval/return"].to_numpy(np.float64)
    plugin = run.provenance.get("plugin", {})
    return RunRow(
        run=run,
        anchor=f"run-{run.digest}",
        total_steps=run_length_if_known(run.spec),
        last_return=float(returns[-1]),
        memory=run.final.get("cost/peak_memory_bytes", math.nan),
        curve=_curve(run.evaluations["step"].to_numpy(np.float64), returns),
        origin=tuple(_origin(run).items()),
        config=json.dumps(run.config, indent=1, sort_keys=True, ensure_ascii=False),
        plugin=plugin.get("text", ""),
    )


def _curve(steps: FloatArray, returns: FloatArray) -> str:
    """Returns over steps, from corner to corner of the box."""
    finite = np.isfinite(returns)
    steps, returns = steps[finite], returns[finite]
    if len(steps) < 2:
        return ""
    x = 1 + (steps - steps[0]) / (steps[-1] - steps[0]) * (_CURVE_WIDTH - 2)
    spread = max(float(np.ptp(returns)), 1e-9)
    y = 1 + (returns.max() - returns) / spread * (_CURVE_HEIGHT - 2)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _origin(run: StoredRun) -> dict[str, str]:
    """The provenance of a run in reading order; fields unknown here follow as JSON."""
    rest = dict(run.provenance)
    plugin = rest.pop("plugin", {})
    code = "with uncommitted changes" if rest.pop("git_dirty", False) else "nothing uncommitted"
    hardware, packages = rest.pop("hardware", {}), rest.pop("packages", {})
    if "memory_bytes" in hardware:
        hardware = hardware | {"memory_bytes": f"{hardware['memory_bytes'] / 1e9:.1f} GB"}
    words = {
        "status": run.status + (f": {run.reason}" if run.reason else ""),
        "command": rest.pop("command", ""),
        "code version": f"{rest.pop('git_sha', 'unknown')}, {code}",
        "packages": _listed(packages, " "),
        "protocol": run.protocol,
        "hardware": _listed(hardware, ": "),
        "device": rest.pop("device", ""),
        "threads": str(rest.pop("threads", "")),
        "seeds in the process": f"{seeds:.3g}" if (seeds := rest.pop("population", None)) else "",
        "started": _moment(rest.pop("started_ms", None)),
        "finished": _moment(rest.pop("finished_ms", None)),
        "plugin": _listed({name: value for name, value in plugin.items() if name != "text"}, ": "),
        "identity": run.digest,
        **{name: json.dumps(value, sort_keys=True) for name, value in sorted(rest.items())},
    }
    return {name: text for name, text in words.items() if text}


def _listed(values: dict[str, Any], between: str) -> str:
    return ", ".join(f"{name.removesuffix('_bytes')}{between}{value}" for name, value in values.items())


def _moment(milliseconds: int | None) -> str:
    """Epoch milliseconds as a date."""
    if milliseconds is None:
        return ""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"
