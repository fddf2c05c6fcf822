"""A process that keeps freed memory does not ask the system for it again."""

import subprocess
import sys

import pytest

# Each block is larger than those before it, so that glibc, left to itself, takes it from the system and gives
# it back; kept memory has to grow by the difference only.
GROWING = """
import resource, torch
from alm.training.execution import keep_freed_memory
kept = {kept} and keep_freed_memory()
torch.ones(300_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for size in range(500_000, 5_000_000, 250_000):
    torch.ones(size)
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_asked_for(kept):
    command = [sys.executable, "-c", GROWING.format(kept=kept)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    has_kept, pages = map(int, out.split())
    if kept and not has_kept:
        pytest.skip("the C library is not glibc")
    return pages


def test_kept_memory_is_not_asked_for_again():
    together = 4 * sum(range(500_000, 5_000_000, 250_000)) / 4096
    assert pages_asked_for(kept=False) > 0.9 * together
    # Between a ninth, one block's growth, and a third, where something small lies in its way.
    assert pages_asked_for(kept=True) < 0.5 * together
