"""Checkpoints: atomic, two kept, damaged ones passed over, no code executed."""

import logging
import pickle

import numpy as np
import pytest
import torch

from alm.errors import UserError
from alm.training.checkpoint import Checkpoints, DamagedError, load_newest
from alm.training.population import join_seeds, share_of_seed


def tree(value):
    return {"step": value, "nested": [{"tensor": torch.full((2, 3), float(value))}, "text"]}


def test_the_newest_two_are_kept(tmp_path):
    store = Checkpoints(tmp_path)
    for step in (10, 20, 30):
        store.save(step, tree(step))
    assert store.steps() == [30, 20]
    step, (loaded,) = load_newest([store])
    assert step == 30
    assert torch.equal(loaded["nested"][0]["tensor"], torch.full((2, 3), 30.0))


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_truncated_checkpoint_falls_back_with_a_warning(tmp_path, caplog, keep):
    store = Checkpoints(tmp_path)
    store.save(10, tree(10))
    store.save(20, tree(20))
    damaged = tmp_path / "step-000000020.pt"
    damaged.write_bytes(damaged.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING):
        step, _ = load_newest([store])
    assert step == 10
    assert "step-000000020.pt is damaged" in caplog.text
    assert "falling back" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError("can't allocate memory"), OSError(24, "Too many open files")])
def test_a_machine_in_need_says_nothing_about_a_checkpoint(tmp_path, monkeypatch, error):
    store = Checkpoints(tmp_path)
    store.save(10, tree(10))

    def fails(*_, **__):
        raise error

    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(type(error)):
        store.load(10)
    assert store.steps() == [10]


def test_a_failed_write_leaves_the_old_ones(tmp_path, monkeypatch):
    store = Checkpoints(tmp_path)
    store.save(10, tree(10))

    def broken(tree, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match="No space left"):
        store.save(20, tree(20))
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000010.pt"]


class Malicious:
    def __reduce__(self):
        return (pytest.fail, ("code was executed",))


def test_a_flipped_bit_anywhere_is_noticed(tmp_path, caplog):
    """torch itself loads most such files; the first of every seven bytes is tried, in turns another bit."""
    store = Checkpoints(tmp_path)
    store.save(10, tree(10))
    path = tmp_path / "step-000000010.pt"
    content = path.read_bytes()
    assert store.load(10).keys() == tree(10).keys()
    for place in (*range(0, len(content), 7), *range(len(content) - 43, len(content))):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        assert store.load(10) is None, place
    path.write_bytes(content)
    assert store.load(10) is not None


def test_a_file_without_a_seal_is_damaged(tmp_path, caplog):
    torch.save(tree(10), tmp_path / "step-000000010.pt")
    with pytest.raises(DamagedError, match="no checkpoint of"):
        load_newest([Checkpoints(tmp_path)])
    assert caplog.text.count("is damaged") == 1


def test_loading_executes_no_code(tmp_path, caplog):
    store = Checkpoints(tmp_path)
    store.save(10, {"bad": Malicious()})
    with pytest.raises(UserError, match="holds what torch does not load without running code"):
        load_newest([store])
    store.path(10).write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(DamagedError, match="no checkpoint of"):
        load_newest([store])


def test_what_torch_refuses_to_load_is_no_damage(tmp_path):
    store = Checkpoints(tmp_path)
    store.save(10, {"array": np.zeros(3)})
    with pytest.raises(UserError, match=r"step-000000010.pt is as it was written, but .* begin it anew"):
        load_newest([store])
    assert store.steps() == [10]


def test_seeds_resume_from_their_newest_common_step(tmp_path):
    stores = [Checkpoints(tmp_path / name) for name in "ab"]
    for step in (10, 20):
        stores[0].save(step, tree(step))
    stores[1].save(10, tree(10))
    assert load_newest(stores)[0] == 10
    stores[1].save(30, tree(30))
    stores[1].save(40, tree(40))
    with pytest.raises(ValueError, match=r"different steps \(20, 40\)"):
        load_newest(stores)


def test_seeds_that_were_stopped_while_they_wrote_their_first_checkpoints_begin_anew(tmp_path):
    stores = [Checkpoints(tmp_path / name) for name in "ab"]
    stores[0].save(10, tree(10))
    assert load_newest(stores) is None
    stores[0].save(20, tree(20))
    with pytest.raises(ValueError, match=r"different steps \(20, 0\)"):
        load_newest(stores)


def test_shares_join_to_the_whole():
    whole = {"plain": torch.randn(3, 2), "ensemble": [torch.randn(6, 4)], "steps": 5, "name": "x"}
    whole["pair"] = (torch.randn(3), 7)
    shares = [share_of_seed(whole, i, 3) for i in range(3)]
    assert shares[1]["ensemble"][0].shape == (2, 4)
    assert shares[1]["plain"].untyped_storage().nbytes() == 2 * 4  # a share does not carry the rest along
    joined = join_seeds(shares)
    assert torch.equal(joined["plain"], whole["plain"])
    assert torch.equal(joined["ensemble"][0], whole["ensemble"][0])
    assert torch.equal(joined["pair"][0], whole["pair"][0]) and joined["pair"][1] == 7
    shares[2]["steps"] = 6
    with pytest.raises(ValueError, match="cannot be resumed as one population"):
        join_seeds(shares)
