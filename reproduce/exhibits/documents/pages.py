"""The pages with all their blocks, and all stored curves as one file."""

import re
from pathlib import Path

from alm.errors import UserError
from alm.training.files import write_text
from reproduce.exhibits.documents import (
    benchmarks,
    findings,
    policies,
    published,
    runs,
    scaling,
    theory,
)
from reproduce.exhibits.tidy import tidy_curves
from reproduce.lab.store import Store


def documents(repository: Path) -> dict[Path, str]:
    """Every document with measured numbers, and the curves, regenerated from the store."""
    results, records = repository / "results", repository / "benchmarks" / "results"
    store = Store(results / "runs")
    blocks = {
        **findings.blocks(store),
        **published.blocks(store, records),
        **runs.blocks(store, results / "figures"),
        **theory.blocks(store, results / "theory"),
        **policies.blocks(repository),
        **benchmarks.blocks(records),
        **scaling.blocks(records),
    }
    texts: dict[Path, str] = {}
    for (page, name), block in blocks.items():
        path = repository / page
        texts[path] = _with_block(texts.get(path, path.read_text()), name, block)
    texts[results / "curves.csv"] = _curves(store)
    return texts


def refresh(repository: Path) -> list[Path]:
    """Update the documents from the store; returns those that changed."""
    changed = []
    for path, text in documents(repository).items():
        if not path.exists() or text != path.read_text():
            write_text(path, text)
            changed.append(path)
    return changed


def _curves(store: Store) -> str:
    """Every stored curve; in the repository the column of ownership is meaningless."""
    curves = tidy_curves(store).drop(columns="own")
    return str(curves.to_csv(index=False, lineterminator="\n", float_format="%.2f"))


def _with_block(text: str, name: str, block: str) -> str:
    """``text`` with the content between the marks of a block replaced."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise UserError(f"a document lacks the marks {begin} and {end}: put them where the numbers belong")
    return pattern.sub(lambda _: f"{begin}\n{block}\n{end}", text)
