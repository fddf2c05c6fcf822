"""Policies of a run: what greedy acting needs, in one safetensors file per evaluation kept.

A file holds tensors and one JSON record, so reading a stranger's file executes no code. A digest over both
is stored with them and checked on every read, since safetensors itself only checks that sizes fit.
torch is imported only for saving and loading.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alm.errors import UserError
from alm.training.files import StepFiles, write_bytes

if TYPE_CHECKING:
    from torch import Tensor

_KEY = "alm-policy"
log = logging.getLogger(__name__)


class PolicyFileError(UserError):
    """File that cannot be read as a policy; the message is one sentence that names it and says what to do."""


def write_policy(
    path: Path,
    tensors: Mapping[str, "Tensor"],
    record: Mapping[str, Any],
    permit: Callable[[], None] = lambda: None,
) -> None:
    """Write tensors by name, and a record of JSON types (no NaN or infinity), as `write_bytes` does."""
    from safetensors.torch import save

    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One key: the order of several would differ between writes, and so would the bytes.
    sealed = json.dumps({"record": record, "sha256": _digest(record, held)}, sort_keys=True, allow_nan=False)
    write_bytes(path, save(held, metadata={_KEY: sealed}), permit)


def read_record(path: Path) -> dict[str, Any]:
    """Record of a policy; its tensors are not read.

    Raises:
        PolicyFileError: the file is not a policy, or is damaged.
        OSError: it cannot be read.
    """
    return _read(path, with_tensors=False)[0]


def read_policy(path: Path) -> tuple[dict[str, Any], dict[str, "Tensor"]]:
    """Record and tensors of a policy, verified against their digest.

    Raises:
        PolicyFileError: the file is not a policy, or is damaged.
        OSError: it cannot be read.
    """
    return _read(path, with_tensors=True)


def _read(path: Path, with_tensors: bool) -> tuple[dict[str, Any], dict[str, "Tensor"]]:
    from safetensors import SafetensorError, safe_open

    with path.open("rb"):
        pass  # raises the system's own error, which says why it cannot be read
    try:
        with safe_open(path, framework="pt" if with_tensors else "np") as file:
            sealed = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()} if with_tensors else {}  # noqa: SIM118
        record = sealed["record"]
        if not isinstance(record, dict):
            raise TypeError
        sound = not with_tensors or sealed["sha256"] == _digest(record, tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise PolicyFileError(
            f"{path} is no policy of this suite, or is damaged ({_kind(error)}): put a sound copy back, or "
            "move it away"
        ) from None
    if not sound:
        raise PolicyFileError(
            f"{path} is damaged (its content is not what was written): put a sound copy back, or move it away"
        )
    return record, tensors


def _kind(error: Exception) -> str:
    return "it has no record" if isinstance(error, (KeyError, TypeError)) else str(error).partition("\n")[0]


def _digest(record: Mapping[str, Any], tensors: Mapping[str, "Tensor"]) -> str:
    """SHA-256 of the record and of names, types, shapes and values, independent of the file's layout."""
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name in sorted(tensors):
        values = tensors[name].numpy()
        digest.update(f"{name} {values.dtype} {values.shape};".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


class Policies(StepFiles):
    """Policies of one run by the step of their evaluation."""

    suffix = ".safetensors"

    def save(self, step: int, tensors: Mapping[str, "Tensor"], returns: Sequence[float]) -> None:
        """Save one seed's policy with its evaluation's returns, replacing an earlier one of that step."""
        write_policy(self.path(step), tensors, {"step": step, "returns": list(returns)}, self._permit)

    def best(self, until: int) -> int | None:
        """The step up to ``until`` with the highest mean evaluation return, the first in case of ties.

        A damaged file is skipped with a warning; ``None`` if there is no other.
        """
        means: dict[int, float] = {}
        for step in self.steps():
            if step <= until:
                try:
                    means[step] = float(np.mean(read_record(self.path(step))["returns"]))
                except FileNotFoundError:
                    pass  # the training process has deleted it since
                except (PolicyFileError, KeyError, TypeError, ValueError) as error:
                    log.warning("%s is passed over: %s", self.path(step), error)
        return max(means, key=lambda step: (means[step], -step), default=None)

    def last(self, until: int) -> int | None:
        """The newest step up to ``until``; ``None`` if there is none."""
        return max((step for step in self.steps() if step <= until), default=None)

    def keep_for(self, checkpoints: Iterable[int]) -> None:
        """Delete all but the best and the last policy up to each of these steps, from which a run may resume.

        The best of all may be newer than the older of two checkpoints; a run resumed from that checkpoint
        needs the best before it again.
        """
        self._permit()
        kept = {choose(step) for step in checkpoints for choose in (self.best, self.last)}
        for step in self.steps():
            if step not in kept:
                self.path(step).unlink()
