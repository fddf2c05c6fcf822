"""The gallery: a clip of every stored last policy, with a card that records its origin."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alm.training.files import write_json
from alm.training.policies import PolicyFileError
from reproduce.lab.policies import Policy, PolicyError, policies_stored, stored_policy
from reproduce.lab.rendering import LargeClipError, choose_gl, clip, file_name
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store

BUDGET = 10_000_000
"""Bytes of all clips together, limited because they are in git."""


@dataclass(frozen=True)
class Made:
    """The present state of a gallery: its cards, the bytes of its clips, and policies not drawn."""

    cards: list[dict[str, Any]]
    size: int
    problems: list[str]


def card(policy: Policy) -> dict[str, Any]:
    """The card of a policy, of JSON types."""
    spec = policy.spec
    return {
        "algorithm": spec.algorithm,
        "variant": spec.variant,
        "task": spec.task,
        "scale": spec.scale,
        "seed": spec.seed,
        "policy": policy.kind,
        "steps": policy.step,
        "evaluated_step": policy.evaluated_step,
        "return": float(np.mean(policy.returns)),
        "episodes": len(policy.returns),
        "source": policy.source,
        "digest": policy.digest,
        "commit": policy.commit,
        "uncommitted_changes": policy.dirty,
        "protocol": policy.protocol,
        "clip": f"{file_name(spec)}.gif",
    }


def _card_in(path: Path) -> Any | None:
    """The card in a file; None if missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def _read(path: Path, spec: RunSpec, kind: str) -> Policy:
    """A stored policy; one that the system refuses to read is reported without stopping the others."""
    try:
        return stored_policy(path, spec, kind)
    except OSError as error:
        raise PolicyFileError(f"{path} cannot be read ({error.strerror}): mend it or move it away") from None


def make_gallery(store: Store, folder: Path) -> Made:
    """Draw missing and outdated clips, and remove clips and cards whose policy is gone.

    Raises:
        RenderError: this machine cannot render off screen.
    """
    cards, problems, size, kept = [], [], 0, set()
    for (spec, kind), path in policies_stored(store).items():
        if kind != "last":
            continue
        try:
            policy = _read(path, spec, kind)
            if policy.plugin:
                raise PolicyError(
                    f"{spec.label} is not drawn, since it comes from a plugin: film it with render --plugin "
                    f"{policy.plugin}"
                )
            one = card(policy)
            place = folder / one["clip"]
            described = place.with_suffix(".json")
            if not (place.exists() and _card_in(described) == one):
                choose_gl()
                clip(policy, place)
                write_json(described, one)
            if size + place.stat().st_size > BUDGET:
                raise PolicyError(
                    f"the clips would take more than {BUDGET / 1e6:.0f} MB with that of {spec.label}: remove "
                    f"some policies from {store.root}"
                )
        except (LargeClipError, PolicyError, PolicyFileError) as error:
            problems.append(str(error))
            continue
        size += place.stat().st_size
        kept |= {place.name, described.name}
        cards.append(one)
    # A film that lies there too has the policy's kind at the end of its name.
    for path in folder.glob("*-seed-*.*"):
        if re.fullmatch(r".+-seed-\d+\.(gif|json)", path.name) and path.name not in kept:
            path.unlink()
    return Made(cards, size, problems)
