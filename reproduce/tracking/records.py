"""Metadata of a run in MLflow: its name, tags and parameters, and scalars about the whole of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reproduce.lab.curves import Curve, run_scalars
from reproduce.lab.specs import RunSpec, require_protocol
from reproduce.tracking.client import Point, RunRecord


@dataclass(frozen=True)
class SyncResult:
    """The result of a synchronisation: what it sent.

    Attributes:
        runs: runs for which anything was sent.
        points: metric values sent.
        problems: one sentence for each run that could not be read; the others were sent.
    """

    runs: int = 0
    points: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: "SyncResult") -> "SyncResult":
        return SyncResult(self.runs + other.runs, self.points + other.points, self.problems + other.problems)


def record_of(
    spec: RunSpec, digest: str, protocol: str, config: dict[str, Any], provenance: dict[str, Any]
) -> RunRecord:
    """The MLflow record of one of our runs.

    Raises:
        ValueError: the protocol, after which the experiment is called, is no word.
    """
    require_protocol(protocol)
    horizon = config.get("agent", {}).get("horizon")
    label = spec.algorithm.upper() + (f"-K{horizon}" if horizon is not None else "")
    if spec.variant != "base":
        label += f"-{spec.variant}"
    identity = {
        "algo": spec.algorithm,
        "variant": spec.variant,
        "task": spec.task,
        "seed": str(spec.seed),
        "scale": spec.scale,
    }
    hardware = provenance.get("hardware", {})
    tags = {
        **identity,
        # What a chart may average over: seeds, never scales.
        "group": f"{spec.algorithm}-{spec.variant}@{spec.task}/{spec.scale}",
        "protocol": protocol,
        "source": "ours",
        "role": _role(spec, provenance),
        "git_sha": str(provenance.get("git_sha", "unknown")),
        "mlflow.source.git.commit": str(provenance.get("git_sha", "unknown")),
        "git_dirty": str(provenance.get("git_dirty", "unknown")).lower(),
        "host": str(hardware.get("cpu", "unknown")),  # the kind of machine; its name is nobody's business
        "device": str(provenance.get("device", "unknown")),
    }
    return RunRecord(
        experiment="alm/smoke" if spec.scale == "smoke" else f"alm/{protocol}",
        name=f"{label}/{spec.task}/{spec.scale}/s{spec.seed}",
        key=digest,
        start_ms=provenance.get("started_ms"),
        tags=tags,
        # Identity as parameters too: parallel coordinates show parameters and metrics, not tags.
        params={**identity, **_flat(config)},
        artifacts={
            "config.json": {
                "spec": spec.to_dict(),
                "digest": digest,
                "protocol": protocol,
                "config": config,
            },
            "provenance.json": provenance,
        },
    )


def _role(spec: RunSpec, provenance: Mapping[str, Any]) -> str:
    if "plugin" in provenance:
        return "own"
    if spec.algorithm != "alm":
        return "baseline"
    return "method" if spec.variant == "base" else "variant"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as text by dotted name; text stays itself, the rest becomes JSON."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def final_points(returns: Mapping[int, float], wall_seconds: float, time_ms: int) -> list[Point]:
    """Scalars of a whole run at its last evaluation; ``returns`` is the mean return by environment step."""
    curve = Curve(np.array(list(returns), np.int64), np.array(list(returns.values()), np.float64))
    scalars = run_scalars(curve, wall_seconds)
    return [Point(name, value, time_ms, curve.last_step) for name, value in scalars.items()]


def start_of(rows: Sequence[Mapping[str, Any]], otherwise: int) -> int:
    """When a run started, by the time of its first row and the seconds that had passed."""
    if not rows:
        return otherwise
    return int(rows[0]["time_ms"] - 1000 * rows[0]["wall_seconds"])
