"""A process that keeps freed memory asks the system for none when it needs the same again."""

import subprocess
import sys

import pytest

# Working memory like that of an update: blocks made one after the other, and all freed at its end.
REPEATED = """
import resource, torch
from alm.training.memory import keep_freed_memory
kept = {kept} and keep_freed_memory()
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def update():
    blocks = [torch.ones(1_000_000) for _ in range(8)]
for _ in range(3):
    update()
before = pages()
for _ in range(5):
    update()
print(int(kept), pages() - before)
"""


def asked_for(kept):
    command = [sys.executable, "-c", REPEATED.format(kept=kept)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    has_kept, pages = map(int, out.split())
    if kept and not has_kept:
        pytest.skip("the C library is not glibc")
    return pages


def test_kept_memory_is_not_asked_for_again():
    assert asked_for(kept=True) < 100
    assert asked_for(kept=False) > 10_000
