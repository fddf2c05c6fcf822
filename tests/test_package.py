"""The wheel: installed apart from the repository it shows the stored runs and trains, in any directory."""

import os
import subprocess
import sys

import pytest

from reproduce.lab.places import CODE

pytestmark = pytest.mark.programs

BLOCKED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "mujoco", "gymnasium", "mlflow"):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The packages of a wheel that was just built."""
    place = tmp_path_factory.mktemp("package")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(CODE)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (wheel,) = place.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*install, str(place / "packages"), str(wheel)], check=True, capture_output=True)
    return place / "packages"


@pytest.fixture
def run(installed, tmp_path):
    """Runs a command of the package in an empty directory; ``alone`` without what only training needs."""

    def run(*arguments, alone=True):
        path = [str(installed)]
        if alone:
            (tmp_path / "blocked").mkdir(exist_ok=True)
            (tmp_path / "blocked" / "sitecustomize.py").write_text(BLOCKED)
            path.insert(0, str(tmp_path / "blocked"))
        (tmp_path / "here").mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-P", "-m", "reproduce", *arguments],
            cwd=tmp_path / "here",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "COLUMNS": "120"},
            capture_output=True,
            text=True,
        )

    return run


def test_the_package_shows_what_is_stored(run, tmp_path):
    """With the data inside it, without torch, mujoco, gymnasium and MLflow; files go to the directory."""
    for arguments, shown in (
        (("table", "1"), "Measured · paper scale"),
        (("claims", "--scale", "laptop"), "verdict"),
        (("compare", "alm/no-kl", "alm", "--task", "HalfCheetah"), "HalfCheetah"),
        (("figure", "5a"), "figure5a-laptop.png"),
        (("runs",), "stored runs."),
    ):
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        assert shown in done.stdout
    done = run("table", "2")
    assert done.returncode == 2
    assert "table needs torch, which is not installed: pip install 'alm-reproduction[train]'" in done.stderr
    made = {path.relative_to(tmp_path / "here").parts[:2] for path in (tmp_path / "here").rglob("*.*")}
    assert made == {("out", "tables"), ("out", "figures"), ("out", "comparisons")}


def test_the_package_trains(run, tmp_path, installed):
    before = sorted(path for path in installed.rglob("*") if "__pycache__" not in path.parts)
    done = run("train", "--task", "Hopper", "--scale", "smoke", "--no-track", alone=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here/runs/alm/base/Hopper/smoke/seed-0/DONE").exists()
    assert sorted(path for path in installed.rglob("*") if "__pycache__" not in path.parts) == before
