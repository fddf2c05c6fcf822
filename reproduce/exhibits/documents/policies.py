"""Stored policies: a strip of clips for README.md and the start page, all policies for docs/policies.md."""

import os
from pathlib import Path
from urllib.parse import quote

from reproduce.exhibits.documents import Blocks
from reproduce.exhibits.gallery import NOTHING, caption, cards, origin, shown
from reproduce.exhibits.writing import markdown_grid
from reproduce.lab.algorithms import title_of

_ACROSS = 3
"""Clips side by side."""


def blocks(repository: Path) -> Blocks:
    """The strip and the list of the repository's gallery."""
    folder = repository / "results" / "gallery"
    return {
        ("README.md", "gallery"): strip(folder, repository),
        ("docs/index.md", "gallery"): strip(folder, repository / "docs"),
        ("docs/policies.md", "cards"): table(folder),
    }


def strip(folder: Path, beside: Path) -> str:
    """The strip as a Markdown table, captions below clips, with links relative to ``beside``."""
    found = shown(cards(folder))
    if not found:
        return NOTHING
    across = min(_ACROSS, len(found))
    lines: list[list[str]] = []
    for begin in range(0, len(found), across):
        line = found[begin : begin + across]
        clips = [
            f'<img src="{quote(Path(os.path.relpath(card.clip, beside)).as_posix())}" width="240" '
            f'alt="{caption(card)}">'
            for card in line
        ]
        empty = [""] * (across - len(line))
        lines += [[*clips, *empty], [*(caption(card) for card in line), *empty]]
    return markdown_grid(lines[0], lines[1:])


def table(folder: Path) -> str:
    """All cards as a Markdown table."""
    rows = [
        [
            title_of(policy.spec.algorithm),
            policy.spec.variant,
            policy.spec.task,
            policy.spec.scale,
            str(policy.spec.seed),
            f"{policy.step:,}",
            f"{policy.mean:.0f} ({len(policy.returns)} episodes)",
            origin(policy),
            f"`{policy.digest}`",
            f"`{policy.commit[:12]}`{' with uncommitted changes' if policy.dirty else ''}",
        ]
        for policy in (card.policy for card in cards(folder))
    ]
    header = ["", "variant", "task", "scale", "seed", "steps", "return", "kept", "configuration", "commit"]
    return markdown_grid(header, rows) if rows else NOTHING
