"""Which run: its specification, and the digest that makes specification and configuration one identity."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePath
from typing import Any

__all__ = ["RunSpec", "config_digest", "variant_in"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=()-]*")
# A slash becomes an underscore in a path, so a task's name has none of its own.
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+=()-]*(/[A-Za-z0-9][A-Za-z0-9.+=()-]*)?")
_SEED_DIRECTORY = re.compile(r"seed-(0|[1-9][0-9]*)")


@dataclass(frozen=True, order=True, kw_only=True)
class RunSpec:
    """One training run of one seed; ordered by its fields as they stand.

    Attributes:
        algorithm: registered name of the algorithm, such as ``"alm"``.
        variant: named change of the algorithm; ``"base"`` is the algorithm unchanged.
        task: name of the task, such as ``"HalfCheetah"`` or ``"mbbl/Hopper-ET"``.
        seed: seed of the learner, 0 or more.
        scale: named size of the experiment, such as ``"paper"`` or ``"laptop"``.

    Raises:
        ValueError: a name could not stand in a path, or the seed is negative.
    """

    algorithm: str
    variant: str = "base"
    task: str
    seed: int
    scale: str

    def __post_init__(self) -> None:
        for name in ("algorithm", "variant", "scale"):
            value = getattr(self, name)
            if not (isinstance(value, str) and _NAME.fullmatch(value)):
                raise ValueError(
                    f"The {name} of a run must be a word of letters, digits and ._+=()-, not {value!r}."
                )
        if not (isinstance(self.task, str) and _TASK.fullmatch(self.task)):
            raise ValueError(
                "The task of a run must be a word of letters, digits and .+=()-, or two with a slash, not "
                f"{self.task!r}."
            )
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise ValueError(f"The seed of a run must be an integer of at least 0, not {self.seed!r}.")

    @property
    def label(self) -> str:
        """The run in words: ``"alm/base HalfCheetah laptop seed 0"``."""
        return f"{self.algorithm}/{self.variant} {self.task} {self.scale} seed {self.seed}"

    @property
    def relative_dir(self) -> Path:
        """Where the run lives under a root of runs: ``alm/base/HalfCheetah/laptop/seed-0``.

        The task ``mbbl/Hopper`` is the directory ``mbbl_Hopper``.
        """
        task = self.task.replace("/", "_")
        return Path(self.algorithm, self.variant, task, self.scale, f"seed-{self.seed}")

    @classmethod
    def from_relative_dir(cls, path: PurePath) -> "RunSpec":
        """The inverse of :attr:`relative_dir`.

        Raises:
            ValueError: ``path`` is not ``algorithm/variant/task/scale/seed-N``.
        """
        parts = path.parts
        seed = _SEED_DIRECTORY.fullmatch(parts[-1]) if len(parts) == 5 else None
        if seed is None:
            raise ValueError(f"{path} does not name a run: expected algorithm/variant/task/scale/seed-N.")
        algorithm, variant, task, scale = parts[:4]
        task = task.replace("_", "/")
        return cls(algorithm=algorithm, variant=variant, task=task, seed=int(seed.group(1)), scale=scale)

    def to_dict(self) -> dict[str, Any]:
        """The fields as a plain dictionary, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunSpec":
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: a field is missing, unknown or invalid.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        missing = {"algorithm", "task", "seed", "scale"} - set(values)
        if unknown or missing:
            raise ValueError(
                f"A run has the fields algorithm, variant, task, seed and scale; "
                f"missing: {sorted(missing) or 'none'}, unknown: {sorted(unknown) or 'none'}."
            )
        return cls(**values)


def variant_in(variant: str, precision: str) -> str:
    """The variant that a run is stored as: in float32 as it is, otherwise with a suffix (``"base+bf16"``).

    Precision changes results, so runs of two are never one; float32 runs keep the name they always had.
    """
    return variant if precision == "float32" else f"{variant}+{precision}"


def config_digest(spec: RunSpec, config: Mapping[str, Any]) -> str:
    """The run's identity: the first 12 hex digits of the SHA-256 of ``spec`` and the resolved ``config``.

    Both are written as canonical JSON (sorted keys, no spaces), so neither the order of keys nor tuple
    against list matters; every value does, and so does its type: ``1`` and ``1.0`` differ.

    Raises:
        TypeError: ``config`` holds something that JSON has no form for, such as a path or an array.
        ValueError: ``config`` holds a number that is not finite.
    """
    identity = {"spec": spec.to_dict(), "config": config}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
