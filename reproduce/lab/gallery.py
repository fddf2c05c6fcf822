"""The gallery: a clip of every stored last policy, with a card that records its origin."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from alm.errors import UserError
from alm.training.files import write_json
from alm.training.policies import PolicyFileError
from reproduce.lab.policies import Policy, PolicyError, policies_stored, policy_in, stored_policy
from reproduce.lab.rendering import LargeClipError, choose_gl, clip, file_name
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store


@dataclass(frozen=True)
class Card:
    """A clip and the policy that it shows; the card's file beside it holds the policy's record."""

    policy: Policy
    clip: Path

    @classmethod
    def of(cls, policy: Policy, folder: Path) -> "Card":
        """The card of a policy whose clip belongs in ``folder``."""
        return cls(policy, folder / f"{file_name(policy.spec)}.gif")

    @classmethod
    def read(cls, path: Path) -> "Card":
        """The card in a file, which is also the path of its policy.

        Raises:
            FileNotFoundError: there is none.
            UserError: the file is not a card.
        """
        try:
            return cls(policy_in(json.loads(path.read_bytes()), path), path.with_suffix(".gif"))
        except (KeyError, TypeError, ValueError, RecursionError):
            raise UserError(
                f"{path} is not a card of a policy: remake it with: python -m reproduce gallery"
            ) from None

    def write(self) -> None:
        """Write it beside the clip."""
        write_json(self.path, self.policy.record)

    @property
    def path(self) -> Path:
        """Its file."""
        return self.clip.with_suffix(".json")

    @property
    def is_drawn(self) -> bool:
        """Whether the clip is there, and this card beside it."""
        try:
            return self.clip.exists() and Card.read(self.path).policy.record == self.policy.record
        except (FileNotFoundError, ValueError):
            return False


@dataclass(frozen=True)
class Made:
    """The present state of a gallery: its cards, the bytes of its clips, and policies not drawn."""

    cards: list[Card]
    size: int
    problems: list[str]


def _read(path: Path, spec: RunSpec, kind: str) -> Policy:
    """A stored policy; one that the system refuses to read is reported without stopping the others."""
    try:
        return stored_policy(path, spec, kind)
    except OSError as error:
        raise PolicyFileError(f"{path} cannot be read ({error.strerror}): mend it or move it away") from None


def make_gallery(store: Store, folder: Path) -> Made:
    """Draw missing and outdated clips, and remove clips and cards whose policy is gone.

    Raises:
        UserError: this machine cannot render off screen.
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
            card = Card.of(policy, folder)
            if not card.is_drawn:
                choose_gl()
                clip(policy, card.clip)
                card.write()
        except (LargeClipError, PolicyError, PolicyFileError) as error:
            problems.append(str(error))
            continue
        size += card.clip.stat().st_size
        kept |= {card.clip.name, card.path.name}
        cards.append(card)
    # A film that lies there too has the policy's kind at the end of its name.
    for path in folder.glob("*-seed-*.*"):
        if re.fullmatch(r".+-seed-\d+\.(gif|json)", path.name) and path.name not in kept:
            path.unlink()
    return Made(cards, size, problems)
