"""The documentation: links lead somewhere, code compiles, commands are known, the site builds."""

import os
import re
import shlex
import subprocess
import sys
import unicodedata
from urllib.parse import unquote

import pytest
import tyro

import reproduce
from reproduce.cli import COMMANDS, _one_spelling
from reproduce.exhibits.catalogue import exhibits_named
from reproduce.lab.places import CODE

PAGES = sorted([*CODE.glob("*.md"), *(CODE / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CODE)))


def prose(page):
    """The text of a page without its code blocks."""
    return FENCE.sub("", page.read_text())


def anchors(page):
    """What headings of a page are called in links, by GitHub's rule."""
    found = set()
    for title in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower().replace(" ", "-")
        name = "".join(c for c in plain if c in "-_" or unicodedata.category(c)[0] in "LN")
        found.add(name if name not in found else f"{name}-1")
    return found


@by_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        place, _, anchor = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        assert path.exists(), f"{target} is nowhere"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{target} names no heading"


@pytest.mark.parametrize("package", ["alm", "baselines", "reproduce", "paper_figures"])
def test_the_one_list_of_modules_is_whole(package):
    """But for the subjects of documents, of which each is one module."""
    listed = re.findall(r"\w+\.py", (CODE / "docs" / "architecture.md").read_text())
    modules = [path for path in (CODE / package).rglob("*.py") if path.parent.name != "documents"]
    missing = [path for path in modules if path.name not in listed and not path.name.startswith("__")]
    assert missing == []


@by_page
def test_python_in_pages_compiles(page):
    for language, code in FENCE.findall(page.read_text()):
        if language == "python":
            # Whole, or entries of a list or dictionary.
            assert any(compiles(form % code) for form in ("%s", "[\n%s]", "{\n%s}")), code


FRAMES = {
    "load_curves": "curves",
    "published_curves": "published",
    "compare": "compared",
    "table": "table1",
    "claims": "claims",
}
"""Variables of the page on Python that hold the frame of a function."""


def test_the_page_on_python_runs_and_lists_every_function_and_column(tmp_path, monkeypatch):
    """By the repository's own runs, so that one's own change nothing."""
    monkeypatch.setattr("reproduce.lab.store.OWN", tmp_path / "none")
    monkeypatch.chdir(tmp_path)
    page = (CODE / "docs" / "python.md").read_text()
    names = {}
    for language, code in FENCE.findall(page):
        assert language == "python"
        exec(code, names)
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert sorted(sections) == sorted(reproduce.__all__)
    for function, text in sections.items():
        assert f"reproduce.{function}(" in text
        rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        columns = [column for row in rows for column in re.findall(r"`([^`]+)`", row)]
        frame = names[FRAMES[function]] if function in FRAMES else ()
        assert sorted(columns) == sorted(frame), function
    assert "loss/critic" in names["critics"] and names["critics"]["eval/length"].gt(0).all()
    assert (tmp_path / "figure5a.pdf").is_file() and names["total"] > 100.0


def compiles(code):
    try:
        compile(code, "page", "exec")
    except SyntaxError:
        return False
    return True


def commands(page):
    """Commands of the suite in a page's code: blocks without a language or of a shell, and inline."""
    text = page.read_text()
    lines = [line for kind, code in FENCE.findall(text) if kind in ("", "sh") for line in code.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    for line in lines:
        found = re.match(r"(?:\S*python -m reproduce|make) (.+)", line.partition(" #")[0].strip())
        if found and not re.search(r"[…<>|\\·(◄]|\.\.\.", found.group(1)):
            yield line.partition(" #")[0].strip()


@by_page
def test_commands_in_pages_are_commands(page):
    rules = re.findall(r"^([\w $()%-]+):", (CODE / "Makefile").read_text(), re.MULTILINE)
    targets = set(" ".join(rules).split())
    for command in commands(page):
        words = shlex.split(command)
        if words[0] == "make":
            named = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
            for word in set(named) - targets:
                kind = next((kind for kind in ("table", "figure") if word.startswith(kind)), word)
                assert f"{kind}%" in targets, f"`{command}` is no target"
                assert exhibits_named(word)
        elif len(words) > 3:
            parse(words[words.index("reproduce") + 1 :], command)


def parse(arguments, command):
    given = _one_spelling(arguments)
    assert given[0] in COMMANDS, f"`{command}` is no command"
    if "--help" in given:
        return
    try:
        tyro.cli(COMMANDS[given[0]], args=given[1:], console_outputs=False)
    except SystemExit:
        pytest.fail(f"`{command}` is not understood")


def test_one_version_everywhere():
    (version,) = re.findall(r'^version = "(.*)"$', (CODE / "pyproject.toml").read_text(), re.MULTILINE)
    assert f"\nversion: {version}\n" in (CODE / "CITATION.cff").read_text()
    (year,) = re.findall(rf"^## {version} \((\d+)-", (CODE / "CHANGELOG.md").read_text(), re.MULTILINE)
    cited = (CODE / "README.md").read_text()
    assert f"  year      = {{{year}}},\n  note      = {{Version {version}}}\n" in cited


def test_the_site_builds(tmp_path):
    """Strictly: a broken link, or a page that is not in the navigation's folder, is an error; so is a picture
    that the site lacks."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=CODE,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Three paths" in (tmp_path / "site" / "index.html").read_text()
    pictures = {
        page.parent / unquote(address)
        for page in (tmp_path / "site").rglob("*.html")
        for address in re.findall(r'<img[^>]* src="(?!https?:|data:)([^"]+)"', page.read_text())
    }
    assert {picture.suffix for picture in pictures} >= {".gif", ".png"}
    assert [picture for picture in pictures if not picture.exists()] == []
