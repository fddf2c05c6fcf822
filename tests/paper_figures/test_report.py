"""The page of everything: complete, self-contained, escaped, the same each time, and usable in a browser."""

import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict
from html.parser import HTMLParser

import pytest
import tyro

from alm.config import ALMConfig
from alm.training.scale import scale_named
from paper_figures.report.entries import curve_entries
from reproduce.cli import COMMANDS, _one_spelling, main
from reproduce.commands import figures
from reproduce.commands.figures import Report
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.gallery import cards, shown
from reproduce.lab.places import CODE
from reproduce.lab.store import Store, StoreWarning

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A clip of one frame."""

SCRIPT = "python -m reproduce train --plugin '<script>alert(1)</script>.py'"


@pytest.fixture(scope="module")
def store(tmp_path_factory, make_run):
    """Laptop runs on HalfCheetah: two of SAC, a failed TD3, and an ALM run that is not finished."""
    store = Store(tmp_path_factory.mktemp("store"))

    def add(algorithm, seed, curve, **options):
        count = len(curve)
        extra = {"time/evaluation_s": [5.0] * count, "time/update_ms": [6.0] * count}
        provenance = {"device": "cpu", "threads": 1, "command": SCRIPT, "git_sha": "abcdef1" + "0" * 33}
        provenance["population"] = 1
        options = {"scale": "laptop", "extra": extra, "provenance": provenance} | options
        store.write(make_run(curve, algorithm=algorithm, seed=seed, **options))

    final = {"cost/wall_h": 0.5, "cost/peak_memory_bytes": 4e8}
    add("sac", 0, {5000: -5.0, 50_000: 20.0}, final=final)
    add("sac", 1, {5000: 0.0, 50_000: 100.0})
    add("td3", 0, {5000: 1.0, 6000: 2.0}, status="failed", reason="loss/critic is <not finite> at step 6100")
    agent = asdict(ALMConfig.at(scale_named("laptop"), "HalfCheetah"))
    add("alm", 0, {5000: 0.0, 6000: 9.0}, status="partial", config={"agent": agent})
    return store


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """One clip with its card."""
    folder = tmp_path_factory.mktemp("gallery")
    spec = {"algorithm": "td3", "variant": "base", "task": "T-Ant", "scale": "paper", "seed": 0}
    card = {"spec": spec, "step": 300, "evaluated_step": 300, "returns": [51.6], "source": "evaluation"}
    card |= {"digest": "d", "commit": "c", "dirty": False, "kind": "last", "protocol": "v2", "plugin": ""}
    (folder / "a-seed-0.json").write_text(json.dumps(card))
    (folder / "a-seed-0.gif").write_bytes(PIXEL)
    return folder


@pytest.fixture(scope="module")
def begun():
    """How many steps the progress bar was told of, then those that began, once there is a report."""
    return []


@pytest.fixture(scope="module")
def report(store, gallery, begun, tmp_path_factory):
    @contextmanager
    def steps(count):
        begun.append(count)
        yield begun.append

    path = tmp_path_factory.mktemp("report") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "steps", steps)
        assert Report(store=store.root, gallery=gallery, out=path).run() == 0
    return path


def test_the_bar_is_as_long_as_the_work(report, begun):
    count, *steps = begun
    assert len(steps) == len(set(steps)) == count
    assert "making the report: figure5a" in steps


class Page(HTMLParser):
    """What a page declares: its elements by tag with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(report):
    return Page(report.read_text())


def test_every_exhibit_has_its_place_and_every_link_a_target(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(EXHIBITS) | {"claims-paper", "claims-laptop", "curves-sac", "runs"} <= set(ids)
    targets = {link["href"] for link in page.of("a") if link["href"].startswith("#")}
    assert targets <= {f"#{name}" for name in ids}
    assert {"#table1-a", "#figure3"} <= targets


def test_the_page_loads_nothing(page):
    assert page.of("img")
    for tag, attributes in page.elements:
        assert attributes.get("src", "data:").startswith("data:")
        if tag in ("link", "a"):
            assert attributes["href"].startswith(("data:", "#"))
        assert not (tag == "script" and attributes)
    assert not any("@import" in text or "url(" in text for text in page.texts)


def test_what_a_run_says_is_text(page, report):
    assert SCRIPT in page.texts
    assert len(page.of("script")) == 1 and "<script>alert" not in report.read_text()
    assert any("failed: loss/critic is <not finite> at step 6100" in text for text in page.texts)


def test_hours_that_are_not_known_are_counted(page):
    text = " ".join(" ".join(page.texts).split())
    assert "0.5 hours of training, 3 runs of unknown hours left out" in text
    assert "Hours are per seed; memory is that of the process" in text


def test_what_is_missing_is_seen_with_what_makes_it(page):
    text = " ".join(" ".join(page.texts).split())
    assert "2 of 50, 1 partial" in text and "1 failed" in text
    # Figure 11 and others, of which only unchanged ALM is stored.
    assert (
        "Nothing is shown: at paper scale none of its runs is stored yet; at laptop scale no run of "
        "identity encoder is stored." in text
    )
    assert "python -m reproduce grid figure3 --scale laptop" in text
    assert "train --algorithm sac --task HalfCheetah --scale laptop --seeds 2" in text


def test_every_command_is_one_of_the_suite_in_a_clone_and_in_a_package(page):
    shown = {text for text in page.texts if text.startswith(("make ", "python -m reproduce "))}
    assert {f"python -m reproduce {name}" for name in ("table1-mbbl", "figure17-dynamics", "report")} <= shown
    for command in shown - {SCRIPT}:
        _, _, package, *arguments = shlex.split(command)
        assert package == "reproduce"
        tyro.extras.subcommand_cli_from_dict(COMMANDS, args=_one_spelling(arguments))


def test_images_hold_the_figures_and_their_data(page):
    images = {image["alt"]: image["src"] for image in page.of("img")}
    source = images["Figure 3, Sample efficiency and runtime, laptop scale"]
    assert base64.b64decode(source.partition("base64,")[2]).startswith(b"<?xml")
    points = {link["download"]: link["href"] for link in page.of("a") if "download" in link}
    csv = base64.b64decode(points["figure3-laptop.csv"].partition("base64,")[2]).decode()
    assert csv.startswith("step,training_step,return,hours,") and "SAC" in csv


def test_clips_of_policies_stand_in_the_page(page):
    images = {image["alt"]: image["src"] for image in page.of("img")}
    caption = "TD3 on T-Ant, paper scale, 300 steps: return 52"
    assert base64.b64decode(images[caption].partition("base64,")[2]) == PIXEL
    assert f"{caption} (as evaluated)" in page.texts


def test_runs_stand_beside_published_methods_once_there_are_some(store, make_run, tmp_path):
    assert "field" not in {entry.name for entry in curve_entries(store)}
    own = Store(tmp_path)
    own.write(make_run({100_000: 3000.0, 200_000: 6000.0}, algorithm="sac", task="HalfCheetah"))
    (field,) = (entry for entry in curve_entries(own) if entry.name == "field")
    assert field.title == "Beside other methods, as published"
    assert field.command == "python -m reproduce figure field"
    (image,) = field.images
    csv = base64.b64decode(image.points.partition("base64,")[2]).decode()
    assert "SAC" in csv and image.file == "field"


@pytest.mark.programs
def test_a_damaged_card_costs_its_own_clip_alone(gallery, tmp_path):
    shutil.copytree(gallery, tmp_path, dirs_exist_ok=True)
    (tmp_path / "a-seed-1.json").write_text("{")
    with pytest.warns(StoreWarning, match="a-seed-1.json is not a card of a policy"):
        assert len(shown(cards(tmp_path))) == len(shown(cards(gallery))) == 1


def test_the_same_store_gives_the_same_bytes(store, gallery, report, tmp_path):
    again = tmp_path / "again.html"
    command = [sys.executable, "-m", "reproduce", "report", "--store", str(store.root)]
    command += ["--gallery", str(gallery), "--out", str(again)]
    elsewhere = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run(command, cwd=CODE, check=True, env=elsewhere)
    assert again.read_bytes() == report.read_bytes()


@pytest.fixture
def few_exhibits(monkeypatch):
    """Only tables that are made of the code, no curves and no theory."""
    few = {name: EXHIBITS[name] for name in ("table1", "table2", "table3")}
    monkeypatch.setattr("paper_figures.report.page.EXHIBITS", few)
    monkeypatch.setattr("paper_figures.report.page.curve_entries", lambda store: [])
    monkeypatch.setattr("paper_figures.report.page.theory_entries", lambda folder: [])


def test_without_torch_a_table_says_what_it_needs(store, tmp_path, monkeypatch, few_exhibits):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert Report(store=store.root, out=tmp_path / "report.html").run() == 0
    text = (tmp_path / "report.html").read_text()
    assert "needs torch: install the extra [train]" in text and "Exploration stddev. clip" in text


def test_a_broken_file_is_named_and_the_rest_is_shown(store, tmp_path, capsys, few_exhibits):
    copy = tmp_path / "runs"
    shutil.copytree(store.root, copy)
    (copy / "sac/base/HalfCheetah/laptop/seed-1.parquet").write_bytes(b"no parquet")
    assert main(["report", "--store", str(copy), "--out", str(tmp_path / "report.html")]) == 0
    assert capsys.readouterr().err.count("seed-1.parquet is left out") == 1
    text = (tmp_path / "report.html").read_text()
    assert "sac/base/HalfCheetah/laptop/seed-1.parquet is left out" in text and str(tmp_path) not in text


def test_where_stores_lie_is_in_no_page(store, tmp_path, monkeypatch, few_exhibits):
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    monkeypatch.setattr("reproduce.lab.store.OWN", own)
    monkeypatch.setattr("reproduce.lab.store.SHIPPED", shipped)
    for root, seed in ((own, 0), (shipped, 1)):
        shutil.copytree(store.root, root)
        (root / f"sac/base/HalfCheetah/laptop/seed-{seed}.parquet").write_bytes(b"no parquet")
    assert Report(out=tmp_path / "report.html").run() == 0
    text = (tmp_path / "report.html").read_text()
    assert all(f"laptop/seed-{seed}.parquet is left out" in text for seed in (0, 1))
    assert str(tmp_path) not in text


def test_runs_of_different_protocols_cost_a_figure_not_the_page(store, make_run, tmp_path, monkeypatch):
    copy = tmp_path / "runs"
    shutil.copytree(store.root, copy)
    extra = {"time/evaluation_s": [5.0], "time/update_ms": [6.0]}
    other = make_run({50_000: 1.0}, algorithm="sac", seed=2, scale="laptop", protocol="v5", extra=extra)
    Store(copy).write(other)
    few = {name: EXHIBITS[name] for name in ("table1", "figure9", "figure3")}
    monkeypatch.setattr("paper_figures.report.page.EXHIBITS", few)
    assert Report(store=copy, out=tmp_path / "report.html").run() == 0
    text = (tmp_path / "report.html").read_text()
    assert "Runs of different protocols may not be pooled" in text
    # The page of curves is left out although every file was read.
    assert "curves-sac at laptop scale is left out" in text and "could not be read" not in text
    assert "figure curves --mix" in text


def test_bad_input_is_one_sentence(store, tmp_path, capsys, few_exhibits):
    assert main(["report", "--store", str(tmp_path / "none"), "--out", str(tmp_path / "report.html")]) == 2
    assert "There is no directory" in capsys.readouterr().err
    (tmp_path / "file").touch()
    out = str(tmp_path / "file" / "report.html")
    assert main(["report", "--store", str(store.root), "--out", out]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_page_works_in_a_browser(new_tab, report):
    tab = new_tab()
    problems, requests = [], []
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(report.as_uri(), wait_until="load")
    assert tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")

    rows = tab.locator("#run-list > tbody")

    def column(index):
        return [row.locator("td").nth(index).inner_text() for row in rows.all() if row.is_visible()]

    assert rows.count() == 4
    tab.fill("#search", "sac laptop")
    assert column(1) == ["sac", "sac"] and tab.inner_text("#found") == "2 of 4 runs"
    tab.fill("#search", "abcdef1")
    tab.select_option("select[data-field=status]", "failed")
    assert column(1) == ["td3"]
    tab.click("button[type=reset]")
    tab.wait_for_function("document.getElementById('found').textContent === '4 runs'")

    returns = tab.get_by_role("button", name="return")
    returns.click()
    assert column(8) == ["2", "9", "20", "100"]
    returns.click()
    assert column(8) == ["100", "20", "9", "2"]

    first = rows.first
    assert not first.locator(".details").is_visible()
    first.get_by_role("checkbox").check()
    assert "alert(1)" in first.locator(".details").inner_text()
    assert problems == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def test_a_narrow_page_does_not_scroll_sideways(new_tab, report):
    tab = new_tab(viewport={"width": 400, "height": 800})
    tab.goto(report.as_uri(), wait_until="load")
    assert tab.evaluate("document.documentElement.scrollWidth") == 400


def test_the_list_of_runs_is_read_without_scripts(new_tab, report):
    tab = new_tab(java_script_enabled=False)
    tab.goto(report.as_uri(), wait_until="load")
    assert not tab.locator("#filters").is_visible()
    first = tab.locator("#run-list > tbody").first
    first.get_by_role("checkbox").check()
    assert "nothing uncommitted" in first.locator(".details").inner_text()
