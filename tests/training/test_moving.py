"""A runs directory that was moved: its populations go on elsewhere as if nothing had happened."""

import shutil

import pytest
import torch

from runs import evaluations, trainer

pytestmark = pytest.mark.programs


def close(one):
    for directory in one.directories:
        directory.close()


def test_a_population_that_was_moved_goes_on_bit_for_bit(tmp_path):
    seeds = (0, 1)
    whole = trainer(tmp_path / "whole", seeds)
    whole.run()
    first = trainer(tmp_path / "here", seeds, until=130)
    first.run()
    close(first)
    (tmp_path / "another" / "place").mkdir(parents=True)
    shutil.move(tmp_path / "here", tmp_path / "another" / "place" / "there")
    second = trainer(tmp_path / "another" / "place" / "there", seeds)
    second.run()
    assert second.step == whole.step > first.step == 130
    for here, there in zip(whole.directories, second.directories, strict=True):
        assert evaluations(here) == evaluations(there)
        assert there.status == "done"
        states = (d.checkpoints.load(whole.step)["population"]["agent"] for d in (here, there))
        assert same(*states)
    close(whole)
    close(second)


def same(a, b):
    """Whether two trees hold the same values, bit for bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
