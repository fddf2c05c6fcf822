"""What the site needs beyond `docs/`: its pages show files of `results/` and name other files."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
_SHOWN = ("figures/*.png", "gallery/*.gif", "tables/*.md", "theory/*", "paper/README.md")
_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures, tables and data that pages refer to, under ``results/``."""
    for pattern in _SHOWN:
        for path in sorted((ROOT / "results").glob(pattern)):
            files.append(File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Links out of ``docs/``: results are on the site, other files of the repository are named only."""
    depth = page.file.src_uri.count("/")
    up = "../" * (depth + 1)
    for opening in ("](", ' src="'):
        markdown = markdown.replace(f"{opening}{up}results/", f"{opening}{'../' * depth}results/")
    return _LINK.sub(lambda found: _if_inside(found, page, Path(config.docs_dir)), markdown)


def _if_inside(found: "re.Match[str]", page: Page, docs: Path) -> str:
    target = (docs / page.file.src_uri).parent / found.group(2)
    inside = target.resolve().is_relative_to(docs.resolve())
    return found.group(0) if inside else found.group(1)
