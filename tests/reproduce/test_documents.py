"""Documents carry the store's numbers, not typed ones."""

from pathlib import Path

import pytest
from rich.console import Console

from reproduce.documents import documents, refresh
from reproduce.exhibits import TABLE1, TABLE1_MBBL, TABLE5
from reproduce.running.algorithms import ALGORITHMS
from reproduce.storing.store import Store
from reproduce.tables.claims import claims_table
from reproduce.tables.plain import PLAIN_TABLES
from reproduce.tables.scores import render_table

ROOT = Path(__file__).parents[2]


def test_the_committed_documents_agree_with_the_store():
    """If this fails: make documents."""
    for path, text in documents(ROOT).items():
        assert text == path.read_text(), f"{path.name} is out of date"


def test_refresh_replaces_the_block_only(tmp_path):
    (tmp_path / "docs" / "algorithms").mkdir(parents=True)
    for algorithm in ALGORITHMS.values():
        (tmp_path / "docs/algorithms" / f"{algorithm.page}.md").write_text(
            "<!-- runs:begin --><!-- runs:end -->"
        )
    (tmp_path / "README.md").write_text("a\n<!-- table1:begin -->\nold\n<!-- table1:end -->\nb\n")
    (tmp_path / "docs" / "fidelity.md").write_text(
        "<!-- authors:begin -->\n<!-- authors:end -->\n<!-- field:begin -->\n<!-- field:end -->\n"
    )
    (tmp_path / "docs" / "exhibits.md").write_text("<!-- exhibits:begin -->\n<!-- exhibits:end -->\n")
    names = ("alm-update", "where-time-goes", "baseline-updates", "environment-step", "gpu")
    marks = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in names)
    (tmp_path / "docs" / "performance.md").write_text(marks)
    assert len(refresh(tmp_path)) == 4 + len({algorithm.page for algorithm in ALGORITHMS.values()})
    assert (tmp_path / "docs" / "performance.md").read_text().count("Not measured") == len(names)
    readme = (tmp_path / "README.md").read_text()
    assert readme == "a\n<!-- table1:begin -->\nNo run is stored yet.\n<!-- table1:end -->\nb\n"
    assert refresh(tmp_path) == []
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(ValueError, match="lacks the marks"):
        refresh(tmp_path)


def test_the_committed_tables_agree_with_the_store(tmp_path):
    """If this fails: make documents."""
    store, quiet = Store(ROOT / "results" / "runs"), Console(quiet=True)
    for exhibit in (TABLE1, TABLE1_MBBL, TABLE5):
        render_table(exhibit, store.root, tmp_path, quiet)
    for table in PLAIN_TABLES.values():
        table(store).render(tmp_path, quiet)
    for scale in ("paper", "laptop"):
        claims_table(store, scale).render(tmp_path, quiet)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert len(written) == 3 * (3 + len(PLAIN_TABLES) + 2)
    for name in written:
        assert (tmp_path / name).read_bytes() == (ROOT / "results" / "tables" / name).read_bytes(), name
