"""The page about adding a task, a baseline, an exhibit: its code, put where it says, trains and is shown."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from reproduce.lab.places import CODE
from reproduce.lab.plugins import load_plugin

pytestmark = pytest.mark.programs

PAGE = (CODE / "docs" / "extending.md").read_text()
PLACES = re.findall(r"```python\n# (\S+?)(?:, (at its end|in \w+))?\n(.*?)```", PAGE, re.DOTALL)


def extended(folder):
    """A copy of the suite's code with the page's examples in it."""
    for package in ("alm", "baselines", "reproduce", "paper_figures"):
        shutil.copytree(CODE / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CODE / "results" / "paper", folder / "results" / "paper")
    shutil.copy(CODE / "pyproject.toml", folder)  # which tells a clone from a package
    shutil.copytree(CODE / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for file, where, code in PLACES:
        path = folder / file
        text = path.read_text() if path.exists() else ""
        name = where.removeprefix("in ")
        if not where:
            assert not text, f"{file} exists already"
            text = code
        elif where == "at its end":
            text = f"{text}\n\n{code}"
        else:
            # The last entry of a literal that begins with its name at the start of a line.
            begin = re.search(rf"^{name}\b.*[\[({{]$", text, re.MULTILINE)
            end = re.compile(r"^(    \)\n)?[\])}]$", re.MULTILINE).search(text, begin.end()).start()
            text = text[:end] + code + text[end:]
        path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return extended(tmp_path_factory.mktemp("extended"))


def run(suite, *arguments, module="reproduce"):
    environment = {**os.environ, "PYTHONPATH": str(suite), "OMP_NUM_THREADS": "1", "COLUMNS": "2000"}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=suite, env=environment, capture_output=True, text=True)


def test_there_is_code_for_each():
    assert [(file, where) for file, where, _ in PLACES] == [
        ("alm/tasks/locomotion.py", "at its end"),
        ("alm/task_registry.py", "in TASKS"),
        ("baselines/ddpg.py", ""),
        ("reproduce/lab/algorithms.py", "in ALGORITHMS"),
        ("reproduce/exhibits/catalogue.py", "in FIGURES"),
        ("reproduce/exhibits/catalogue.py", "in TABLES"),
    ]


def test_the_new_baseline_trains_on_the_new_task(suite):
    places = ["--runs-dir", str(suite / "runs"), "--store", str(suite / "store")]
    options = ["--algorithm", "ddpg", "--task", "EagerHalfCheetah", "--scale", "smoke", "--seeds", "0", "1"]
    done = run(suite, "train", *options, "--no-track", *places)
    assert done.returncode == 0, done.stderr
    metrics = suite / "runs/ddpg/base/EagerHalfCheetah/smoke/seed-1/metrics.jsonl"
    assert "loss/critic" in metrics.read_text()


def test_help_names_the_new_task_and_the_new_baseline(suite):
    shown = run(suite, "train", "--help").stdout
    assert "EagerHalfCheetah" in shown and "ddpg" in shown


def test_the_suites_tests_of_declarations_pass_with_the_new_exhibit(suite):
    file = "tests/paper_figures/test_figures.py::test_declarations_hang_together"
    done = run(suite, "-q", "-p", "no:cacheprovider", file, module="pytest")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


def test_the_new_baseline_can_be_a_plugin(tmp_path):
    (code,) = (code for file, _, code in PLACES if file == "baselines/ddpg.py")
    plugin = tmp_path / "ddpg.py"
    entry = 'ALGORITHMS = {"ddpg": Algorithm("DDPG", "an example", agent=DDPG, config=DDPGConfig)}'
    plugin.write_text(f"{code}\nfrom reproduce.lab.algorithms import Algorithm\n{entry}\n")
    assert load_plugin(plugin).names == ["ddpg"]


def test_the_new_exhibit_is_planned_and_drawn(suite):
    (suite / "store").mkdir(exist_ok=True)
    store = ["--store", str(suite / "store")]
    plan = run(suite, "plan", "figure-ddpg", "--scale", "paper", *store)
    assert plan.returncode == 0, plan.stderr
    assert "figure-ddpg at paper scale: 0 of 20 runs stored" in plan.stdout and "DDPG" in plan.stdout
    figure = run(suite, "figure-ddpg", "--out", str(suite / "figures"), *store)
    assert figure.returncode == 1 and "20 of its 20 runs lack" in figure.stdout, figure.stderr


def test_the_new_table_is_printed(suite):
    (suite / "store").mkdir(exist_ok=True)
    table = run(suite, "table-ddpg", "--out", str(suite / "tables"), "--store", str(suite / "store"))
    assert table.returncode == 0, table.stderr
    page = (suite / "tables" / "table-ddpg.md").read_text()
    assert "| | HalfCheetah | EagerHalfCheetah |" in page and "| DDPG | missing | missing |" in page
