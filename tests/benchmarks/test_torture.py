"""A few trials of every class of `make torture`, in processes forked from one that can be forked."""

import os
import subprocess
import sys

import pytest

from reproduce.lab.places import CODE

pytestmark = pytest.mark.programs


def test_nothing_fails(tmp_path):
    """The parent of the trials must be young: pytest's has threads."""
    command = [sys.executable, "-m", "benchmarks.torture", "--kills", "3", "--damage", "6", "--lines", "8"]
    environment = {**os.environ, "PYTHONPATH": str(CODE), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [*command, "--tracked-every", "0", "--folder", str(tmp_path)],
        cwd=CODE,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert all(name in ended.stdout for name in ("kills", "damage", "lines", "together"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("only", ["kill", "kills:", "damage:x", ""])
def test_a_class_that_there_is_not_is_refused(tmp_path, capfd, monkeypatch, only):
    """Else nothing would be tried, and nothing would fail."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # which the module would leave behind
    from benchmarks.torture.__main__ import Torture

    assert Torture(only=only, folder=tmp_path).run() == 2
    assert "kills, damage, lines" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())
