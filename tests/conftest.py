"""One thread for every test, since the suite runs several workers at once; synthetic runs; a browser.

Tests marked ``programs`` take more than half of the suite's time. They run where ``ALM_TEST_ALL`` is set, as
in continuous integration, and wherever one names their file.
"""

import os
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from patience import PATIENCE
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import StoredRun

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
# Tiny runs of a scale that is usually long would be compiled for minutes.
os.environ["CXX"] = "none"


def pytest_collection_modifyitems(config, items):
    """Leave out what starts whole programs, unless it was asked for."""
    if os.environ.get("ALM_TEST_ALL"):
        return
    named = {Path(argument.partition("::")[0]).resolve() for argument in config.args}
    left_out = [item for item in items if item.get_closest_marker("programs") and item.path not in named]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    """Close what a test has drawn and only looked at."""
    yield
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")


@pytest.fixture(autouse=True)
def mlflow_of_the_tests(monkeypatch, tmp_path_factory):
    """A database of their own instead of the MLflow that whoever runs the tests may have named."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path_factory.getbasetemp() / 'mlflow.db'}")


@pytest.fixture(scope="session")
def make_run():
    """A run whose evaluations are given as {step: mean return}; keyword arguments replace the defaults."""

    def make(
        returns,
        *,
        task="HalfCheetah",
        seed=0,
        scale="paper",
        algorithm="alm",
        variant="base",
        extra=None,
        **run,
    ):
        steps = np.array(list(returns))
        values = np.array(list(returns.values()), dtype=float)
        evaluations = pd.DataFrame(
            {
                "step": steps,
                "training_step": np.maximum(steps - 5000, 0),
                "wall_seconds": steps / 100,
                "time_ms": 1_700_000_000_000 + steps,
                "eval/return": values,
                "eval/return_std": np.full(len(steps), 2.5),
                "eval/length": np.full(len(steps), 1000.0),
                "eval/returns": [[value - 1, value + 1] for value in values],
                **(extra or {}),
            }
        )
        spec = RunSpec(algorithm=algorithm, variant=variant, task=task, seed=seed, scale=scale)
        defaults = {
            "config": {"agent": {"horizon": 3}, "layers": [512, 512]},
            "protocol": "v2-gymnasium1.4.0-mujoco4.0.0",
            "provenance": {"git_sha": "0" * 40, "git_dirty": False, "packages": {"mujoco": "4.0.0"}},
            "status": "done",
        }
        return StoredRun(spec=spec, evaluations=evaluations, **{**defaults, **run})

    return make


BROWSER_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def absent():
    """A function that skips a test for what this machine lacks, or fails where all of it must run."""

    def absent(what, how):
        reason = f"{what} is not installed: {how}"
        if os.environ.get("ALM_TEST_ALL"):
            pytest.fail(f"{reason} (ALM_TEST_ALL is set)", pytrace=False)
        pytest.skip(reason)

    return absent


@pytest.fixture(scope="session")
def browser(absent):
    """Headless Chromium, in a profile of its own."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        absent("Chromium", "on Debian, apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(BROWSER_OPTIONS))
        yield browser
        browser.close()


@pytest.fixture
def new_tab(browser):
    """Opens a page in a context of its own, which waits as patiently as all tests do."""

    def open_tab(**options):
        tab = browser.new_page(**options)
        tab.set_default_timeout(1000 * PATIENCE)
        return tab

    return open_tab


@pytest.fixture(scope="session")
def free_port():
    """A function that finds a TCP port of 127.0.0.1 which nobody uses; workers must not meet at one."""

    def find():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find
