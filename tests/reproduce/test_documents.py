"""Documents carry the store's numbers, not typed ones."""

from pathlib import Path

import pytest

from reproduce.documents import documents, refresh

ROOT = Path(__file__).parents[2]


def test_the_committed_documents_agree_with_the_store():
    """If this fails: make documents."""
    for path, text in documents(ROOT).items():
        assert text == path.read_text(), f"{path.name} is out of date"


def test_refresh_replaces_the_block_only(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("a\n<!-- table1:begin -->\nold\n<!-- table1:end -->\nb\n")
    (tmp_path / "docs" / "fidelity.md").write_text("<!-- authors:begin -->\n<!-- authors:end -->\n")
    assert len(refresh(tmp_path)) == 2
    readme = (tmp_path / "README.md").read_text()
    assert readme == "a\n<!-- table1:begin -->\nNo run is stored yet.\n<!-- table1:end -->\nb\n"
    assert refresh(tmp_path) == []
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(ValueError, match="lacks the marks"):
        refresh(tmp_path)
