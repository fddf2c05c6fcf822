"""A process asks its C library to keep the memory that it frees; what that saves, `make bench` measures."""

from types import SimpleNamespace

import pytest

from alm.training import execution
from alm.training.execution import keep_freed_memory


@pytest.mark.parametrize(
    ("platform", "functions", "kept", "asked"),
    [
        ("linux", {"mallopt": 1}, True, [(-3, 32 * 2**20), (-1, 2**31 - 1)]),
        ("linux", {"mallopt": 0}, False, [(-3, 32 * 2**20), (-1, 2**31 - 1)]),
        ("linux", {}, False, []),
        ("darwin", {"mallopt": 1}, False, []),
    ],
)
def test_what_the_c_library_is_asked_for(monkeypatch, platform, functions, kept, asked):
    """M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of mallopt(3), whose result says whether it took the value."""
    calls = []

    def mallopt(parameter, value):
        calls.append((parameter, value))
        return functions["mallopt"]

    library = SimpleNamespace(mallopt=mallopt) if functions else SimpleNamespace()
    monkeypatch.setattr(execution.ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(execution.sys, "platform", platform)
    assert keep_freed_memory() is kept
    assert calls == asked
