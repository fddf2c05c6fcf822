"""Metadata of a run in MLflow: name, tags, parameters, and scalars of the whole run."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reproduce.lab.algorithms import ALGORITHMS, BASE, title_of
from reproduce.lab.specs import RunSpec, require_protocol, variant_parts

SMOKE = "alm/smoke"
"""Experiment of smoke runs, of every protocol."""

_SPELLED = {"kl": "KL", "td3": "TD3", "mnm": "MnM", "ent": "ENT", "quarter": "ALM quarter"}


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Metadata of a run: everything in MLflow except metrics.

    Attributes:
        experiment: name of the MLflow experiment.
        name: name of the run in lists and charts.
        key: identity of the run, the tag ``run_key``.
        start_ms: start time in milliseconds since 1970.
        tags: further tags; values are text.
        params: parameters; values are text.
        artifacts: JSON documents by file name.
    """

    experiment: str
    name: str
    key: str
    start_ms: int
    tags: dict[str, str]
    params: dict[str, str]
    artifacts: dict[str, Any]


def record_of(run: dict[str, Any], provenance: dict[str, Any]) -> RunRecord:
    """The MLflow record of one of our runs, from the content of its ``config.json`` and its provenance.

    Raises:
        UserError: the specification is invalid, or the protocol, which names the experiment, is not a word.
    """
    spec, protocol = RunSpec.from_dict(run["spec"]), require_protocol(run["protocol"])
    has_plugin = "plugin" in provenance
    method = _method(spec, has_plugin)
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
        # Charts of a task and scale draw one line per method, the mean of its seeds. MLflow hashes key and
        # value of this tag to a colour; with this key, ALM, the baselines and most variants differ.
        "method": method,
        "protocol": protocol,
        "source": "ours",
        "role": _role(spec, has_plugin),
        "git_sha": str(provenance.get("git_sha", "unknown")),
        "mlflow.source.git.commit": str(provenance.get("git_sha", "unknown")),
        "git_dirty": str(provenance.get("git_dirty", "unknown")).lower(),
        "host": str(hardware.get("cpu", "unknown")),  # the kind of machine; its name stays private
        "device": str(provenance.get("device", "unknown")),
    }
    return RunRecord(
        experiment=SMOKE if spec.scale == "smoke" else f"alm/{protocol}",
        # Lists truncate names, so what differs comes first; one filters by task and scale.
        name=f"{method} s{spec.seed}",
        key=run["digest"],
        start_ms=provenance.get("started_ms") or 1,  # missing only if damaged; MLflow reads 0 as the present
        tags=tags,
        # Identity as parameters too: parallel coordinates show parameters and metrics, not tags.
        params={**identity, **_flat(run["config"])},
        artifacts={"config.json": run, "provenance.json": provenance},
    )


def _method(spec: RunSpec, has_plugin: bool) -> str:
    """Name of a variant for all its seeds, as in the paper's legends: ``ALM(3)``, ``no KL``, ``my-idea``.

    MLflow's list of groups shows about ten characters, so a variant of ALM omits the algorithm.
    """
    name, settings, precision = variant_parts(spec.variant)
    title = title_of(spec.algorithm)
    if name == BASE.name:
        words = ["ALM" if spec.algorithm == "alm" and settings else title]
    elif spec.algorithm != "alm":
        words = [title, name]
    elif not has_plugin:
        words = [_spelled(name)]
    else:
        taken = {*map(title_of, ALGORITHMS), *map(_spelled, ALGORITHMS["alm"].variants)}
        words = ["ALM", name] if name in taken else [name]
    words += settings
    if precision != "float32":
        words.append(precision)
    return " ".join(words)


def _spelled(variant: str) -> str:
    """The name of a variant of ALM in words: ``no-kl`` is no KL, ``k5`` is ALM(5)."""
    if re.fullmatch(r"k\d+", variant):
        return f"ALM({variant[1:]})"
    return " ".join(_SPELLED.get(word, word) for word in variant.split("-"))


def _role(spec: RunSpec, has_plugin: bool) -> str:
    """Role of a run among the others, in any precision; ``own``: not a named variant of the suite.

    ALM of another size, such as ``quarter``, is the method, too.
    """
    name, settings, _ = variant_parts(spec.variant)
    if has_plugin or settings:
        return "own"
    if spec.algorithm != "alm":
        return "baseline"
    variant = ALGORITHMS["alm"].variants.get(name)
    resized = variant is not None and variant.sizes is not None
    return "method" if name == BASE.name or resized else "variant"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as text by dotted name; text is unchanged, other values become JSON."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat
