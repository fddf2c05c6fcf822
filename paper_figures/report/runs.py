"""What the page shows of a stored run: its curve, its provenance and its configuration."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np

from reproduce.lab.store import StoredRun

_CURVE_WIDTH, _CURVE_HEIGHT = 96.0, 22.0


CURVE_BOX = f"0 0 {_CURVE_WIDTH:g} {_CURVE_HEIGHT:g}"


def curve(run: StoredRun) -> str:
    """Its returns over steps as points of an SVG polyline, from corner to corner of `CURVE_BOX`.

    Empty without two finite returns.
    """
    returns = run.curve()
    finite = np.isfinite(returns.values)
    steps, values = returns.steps[finite], returns.values[finite]
    if len(steps) < 2:
        return ""
    x = 1 + (steps - steps[0]) / (steps[-1] - steps[0]) * (_CURVE_WIDTH - 2)
    spread = max(float(np.ptp(values)), 1e-9)
    y = 1 + (values.max() - values) / spread * (_CURVE_HEIGHT - 2)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def configuration(run: StoredRun) -> str:
    """Its configuration as indented JSON."""
    return json.dumps(run.config, indent=1, sort_keys=True, ensure_ascii=False)


def origin(run: StoredRun) -> dict[str, str]:
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
