"""The list of docs/exhibits.md: every exhibit, and how much of it is stored."""

from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.coverage import coverage
from reproduce.exhibits.documents import Blocks
from reproduce.exhibits.kinds import SHOWN_SCALES, CodeExhibit
from reproduce.exhibits.writing import markdown_grid
from reproduce.lab.store import Store


def blocks(store: Store) -> Blocks:
    """Every exhibit with its command, content, and number of stored runs."""
    rows = []
    for exhibit in EXHIBITS.values():
        stored = [coverage(exhibit, store, scale).text for scale in SHOWN_SCALES]
        compared, on = "–", ["–"] * len(SHOWN_SCALES)
        if not isinstance(exhibit, CodeExhibit):
            compared = "; ".join(one.label for one in exhibit.series)
            on = [", ".join(exhibit.tasks_at(scale)) or "–" for scale in SHOWN_SCALES]
        rows.append([f"`make {exhibit.name}`", exhibit.title, compared, *on, *stored])
    by_scale = [f"{what}, `{scale}`" for what in ("tasks", "stored runs") for scale in SHOWN_SCALES]
    grid = markdown_grid(["", "shows", "compares", *by_scale], rows)
    return {("docs/exhibits.md", "exhibits"): grid}
