"""Specification of a run, its path, and its identity: a digest of specification and configuration.

Also the command that trains it.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePath
from typing import Any, NamedTuple, TypedDict, Unpack

from alm.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=()-]*")
# A slash becomes an underscore in a path, so a task's name has none of its own.
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+=()-]*(/[A-Za-z0-9][A-Za-z0-9.+=()-]*)?")
# The settings and the precision behind a variant's name: base[horizon=7,hidden_sizes=(400,200)]+bf16.
_ASSIGNMENT = r"[A-Za-z_][A-Za-z0-9_.]*=(?:\([A-Za-z0-9._,-]*\)|[A-Za-z0-9._-]+)"
_VARIANT = re.compile(rf"{_NAME.pattern}(?:\[{_ASSIGNMENT}(?:,{_ASSIGNMENT})*\](?:\+[a-z0-9]+)?)?")
_LONGEST_VARIANT = 100
# The limit of seeds of NumPy's older generators, which some environments use.
_LARGEST_SEED = 2**32 - 1
_PROTOCOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_SEED_DIRECTORY = re.compile(r"seed-(0|[1-9][0-9]*)")


class RunFields(TypedDict, total=False):
    """Some fields of a run's specification, by which runs are selected; None: any value."""

    algorithm: str | None
    variant: str | None
    task: str | None
    seed: int | None
    scale: str | None


@dataclass(frozen=True, order=True, kw_only=True)
class RunSpec:
    """One training run of one seed; ordered by its fields.

    Attributes:
        algorithm: registered name of the algorithm, such as ``"alm"``.
        variant: named change of the algorithm, perhaps with settings, as `variant_in` writes it; ``"base"``
            is the algorithm unchanged.
        task: name of the task, such as ``"HalfCheetah"`` or ``"mbbl/Hopper-ET"``.
        seed: seed of the learner, from 0 to 2**32 - 1.
        scale: named size of the experiment, such as ``"paper"`` or ``"laptop"``.

    Raises:
        UserError: a name cannot be part of a path, or the seed is out of range.
    """

    algorithm: str
    variant: str = "base"
    task: str
    seed: int
    scale: str

    def __post_init__(self) -> None:
        for name, pattern in (("algorithm", _NAME), ("variant", _VARIANT), ("scale", _NAME)):
            value = getattr(self, name)
            if not (isinstance(value, str) and pattern.fullmatch(value)):
                settings = ", perhaps with settings as in base[horizon=7]" if pattern is _VARIANT else ""
                raise UserError(
                    f"The {name} of a run must be a word of letters, digits and ._+=()-{settings}, not "
                    f"{value!r}."
                )
        if len(self.variant) > _LONGEST_VARIANT:
            raise UserError(
                f"The variant {self.variant} is too long for the name of a file: declare it under a short "
                "name of your own, see docs/new_variant.md."
            )
        if not (isinstance(self.task, str) and _TASK.fullmatch(self.task)):
            raise UserError(
                "The task of a run must be a word of letters, digits and .+=()-, or two with a slash, not "
                f"{self.task!r}."
            )
        require_seed(self.seed)

    @property
    def label(self) -> str:
        """The run in words: ``"alm/base HalfCheetah laptop seed 0"``."""
        return f"{self.algorithm}/{self.variant} {self.task} {self.scale} seed {self.seed}"

    @property
    def cell(self) -> tuple[str, str, str, str]:
        """Algorithm, variant, task and scale: what all seeds of a number have in common."""
        return self.algorithm, self.variant, self.task, self.scale

    def matches(self, **wanted: Unpack[RunFields]) -> bool:
        """Whether it has the given values."""
        own = {name: getattr(self, name) for name in wanted}
        return all(value in (None, own[name]) for name, value in wanted.items())

    @property
    def relative_dir(self) -> Path:
        """The run's path under a root of runs: ``alm/base/HalfCheetah/laptop/seed-0``.

        The task ``mbbl/Hopper`` is the directory ``mbbl_Hopper``.
        """
        task = self.task.replace("/", "_")
        return Path(self.algorithm, self.variant, task, self.scale, f"seed-{self.seed}")

    @classmethod
    def from_relative_dir(cls, path: PurePath) -> "RunSpec":
        """The inverse of `relative_dir`.

        Raises:
            UserError: ``path`` is not ``algorithm/variant/task/scale/seed-N``.
        """
        parts = path.parts
        seed = _SEED_DIRECTORY.fullmatch(parts[-1]) if len(parts) == 5 else None
        if seed is None:
            raise UserError(f"{path} does not name a run: expected algorithm/variant/task/scale/seed-N.")
        algorithm, variant, task, scale = parts[:4]
        task = task.replace("_", "/")
        return cls(algorithm=algorithm, variant=variant, task=task, seed=int(seed.group(1)), scale=scale)

    def to_dict(self) -> dict[str, Any]:
        """The fields as a plain dictionary, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunSpec":
        """The inverse of `to_dict`.

        Raises:
            UserError: a field is missing, unknown or invalid.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        missing = {"algorithm", "task", "seed", "scale"} - set(values)
        if unknown or missing:
            raise UserError(
                f"A run has the fields algorithm, variant, task, seed and scale; "
                f"missing: {sorted(missing) or 'none'}, unknown: {sorted(unknown) or 'none'}."
            )
        return cls(**values)


def may_hold(folder: PurePath, **wanted: Unpack[RunFields]) -> bool:
    """Whether a folder under a root of runs, such as ``alm/base``, is one in which a wanted run could be."""
    names = dict(zip(("algorithm", "variant", "task", "scale"), folder.parts, strict=False))
    return all(
        value is None or field == "seed" or names.get(field) == str(value).replace("/", "_")
        for field, value in wanted.items()
    )


def require_seed(seed: Any) -> None:
    """Check a seed.

    Raises:
        UserError: it is not an integer from 0 to 2**32 - 1.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"The seed of a run must be an integer of at least 0, not {seed!r}.")
    if seed > _LARGEST_SEED:
        raise UserError(f"The seed of a run must be at most {_LARGEST_SEED}, not {seed}.")


def require_protocol(protocol: Any) -> str:
    """A protocol, checked after reading because it names a folder in MLflow.

    Raises:
        UserError: it is not a word of letters, digits and ._+-.
    """
    if not (isinstance(protocol, str) and _PROTOCOL.fullmatch(protocol)):
        raise UserError(f"the protocol of a run must be a word of letters, digits and ._+-, not {protocol!r}")
    return protocol


def run_record(spec: RunSpec, protocol: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a run, which identifies it in its ``config.json`` and in the store."""
    return {
        "spec": spec.to_dict(),
        "digest": config_digest(spec, config),
        "protocol": protocol,
        "config": config,
    }


def spec_in(record: Any, place: PurePath, name: str = "config.json") -> RunSpec:
    """The run of a record that `run_record` made, to which more may have been added.

    Args:
        record: the parsed record.
        place: the run's path under a root of runs.
        name: name of the record in messages.

    Raises:
        UserError: it is not such a record, describes a run of another place, or was edited.
    """
    if not isinstance(record, Mapping) or {"spec", "digest", "protocol", "config"} - set(record):
        raise UserError(f"its {name} lacks one of spec, digest, protocol and config")
    if not isinstance(record["spec"], Mapping) or not isinstance(record["config"], Mapping):
        raise UserError(f"spec or config in its {name} is no table of names and values")
    spec = RunSpec.from_dict(record["spec"])
    if spec.relative_dir != place:
        raise UserError(f"its {name} is of {spec.label}, which has another place")
    require_protocol(record["protocol"])
    if record["digest"] != (expected := config_digest(spec, record["config"])):
        raise UserError(f"its {name} was edited: the digest {record['digest']} does not fit it ({expected})")
    return spec


def variant_in(variant: str, precision: str, settings: Sequence[str] = ()) -> str:
    """The variant that a run is stored as: ``"base"``, ``"base[horizon=7]"``, ``"base[horizon=7]+bf16"``.

    Settings and precision change results, so they are part of a run's identity; a run in float32 without
    settings has the variant's plain name.

    Args:
        variant: a named variant.
        precision: ``"float32"``, or another one, which becomes a suffix.
        settings: canonical assignments (`reproduce.lab.settings.with_settings`).
    """
    changed = f"{variant}[{','.join(settings)}]" if settings else variant
    return changed if precision == "float32" else f"{changed}+{precision}"


class VariantParts(NamedTuple):
    """The parts of the variant that a run is stored as: a named variant, settings and precision."""

    name: str
    settings: tuple[str, ...]
    precision: str


def variant_parts(variant: str) -> VariantParts:
    """The inverse of `variant_in`."""
    name, bracket, rest = variant.partition("[")
    inside, _, behind = rest.partition("]")
    name, _, precision = f"{name}{behind}".partition("+")
    settings = tuple(re.findall(_ASSIGNMENT, inside)) if bracket else ()
    return VariantParts(name, settings, precision or "float32")


def method_name(algorithm: str, variant: str) -> str:
    """The name of an algorithm, ``"alm"``, or of a variant of it, ``"alm/no-kl"``, on the command line."""
    return algorithm if variant == "base" else f"{algorithm}/{variant}"


def train_command(
    algorithm: str, variant: str, task: str, scale: str, seeds: Sequence[int] = (), plugin: str = ""
) -> str:
    """The command that trains runs, without ``python -m reproduce``.

    Args:
        algorithm: its name.
        variant: its stored name, with settings and precision.
        task: its name.
        scale: its name.
        seeds: seeds to train; empty for the command's default.
        plugin: file of the plugin that declares the variant or algorithm; empty if the suite does.
    """
    words = ["train", "--algorithm", algorithm]
    if variant != "base":
        words += variant_options(variant)
    if plugin:
        words += ["--plugin", plugin]
    words += ["--task", task, "--scale", scale]
    if seeds:
        words += ["--seeds", *map(str, seeds)]
    return shlex.join(words)


def variant_options(variant: str) -> list[str]:
    """The options of the train command that mean a variant's stored name, with settings and precision."""
    name, settings, precision = variant_parts(variant)
    words = ["--variant", name]
    for one in settings:
        words += ["--set", one]
    if precision != "float32":
        words += ["--precision", precision]
    return words


def config_digest(spec: RunSpec, config: Mapping[str, Any]) -> str:
    """The run's identity: the first 12 hex digits of the SHA-256 of ``spec`` and the resolved ``config``.

    Both are written as canonical JSON (sorted keys, no spaces), so the order of keys and tuple versus list
    do not matter; every value and its type does: ``1`` and ``1.0`` differ.

    Raises:
        TypeError: ``config`` holds something that JSON cannot represent, such as a path or an array.
        UserError: ``config`` holds NaN or Inf.
    """
    identity = {"spec": spec.to_dict(), "config": config}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
