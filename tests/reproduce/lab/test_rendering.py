"""Films and the gallery: frames are of the episode that was played, captions stand in them, budgets hold."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from alm.errors import UserError
from reproduce.cli import main
from reproduce.exhibits import gallery as shown
from reproduce.exhibits.documents.policies import strip, table
from reproduce.lab import gallery, rendering
from reproduce.lab.archive import archive_policies, archive_run
from reproduce.lab.places import CODE
from reproduce.lab.rendering import Frame, captioned, choose_gl, write_clip
from reproduce.lab.run_directories import directories_under
from reproduce.lab.store import Store, StoreWarning

pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def gl():
    """A way of drawing off screen; tests that draw are skipped where there is none."""
    before = os.environ.get("MUJOCO_GL")
    try:
        return choose_gl()
    except UserError as error:
        pytest.skip(str(error))
    finally:
        os.environ.pop("MUJOCO_GL", None)
        if before is not None:
            os.environ["MUJOCO_GL"] = before


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A smoke run of TD3 on Hopper, which soon falls, with its policies."""
    folder = tmp_path_factory.mktemp("rendering")
    command = ["train", "--algorithm", "td3", "--task", "Hopper", "--scale", "smoke", "--no-track"]
    assert main([*command, "--runs-dir", str(folder / "runs"), "--store", str(folder / "store")]) == 0
    store = Store(folder / "store")
    for directory in directories_under(folder / "runs").values():
        archive_run(directory, store)
        archive_policies(directory, store)
    return store


def reproduce(*arguments, **environment):
    """A command in a process of its own: MuJoCo chooses how to draw as it is imported."""
    command = [sys.executable, "-m", "reproduce", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=CODE, env={**os.environ, **environment}
    )


def frames(count, noise=False):
    rng = np.random.default_rng(0)
    shape = (160, 240, 3)
    for i in range(count):
        pixels = rng.integers(0, 256, shape, np.uint8) if noise else np.full(shape, 100, np.uint8)
        yield Frame(pixels, 10.0 * i, i)


def test_a_film_and_a_clip(gl, store, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="the extra render is not installed")
    done = reproduce("render", "td3", "Hopper", "--store", store.root, "--out", tmp_path, MUJOCO_GL=gl)
    assert done.returncode == 0, done.stderr
    whole, short = (tmp_path / f"td3-base-Hopper-smoke-seed-0-last.{kind}" for kind in ("mp4", "gif"))
    assert sorted(tmp_path.iterdir()) == sorted((whole, short))
    reader = imageio_ffmpeg.read_frames(str(whole))
    about = next(reader)
    assert about["size"] == (480, 320) and about["codec"] == "h264"
    pictures = [np.frombuffer(picture, np.uint8).reshape(320, 480, 3) for picture in reader]
    # Hopper's steps take 8 ms, so that a frame each 40 ms is one each five steps; the last is the fall.
    assert about["fps"] == pytest.approx(25.0) and len(pictures) >= 2
    assert np.ptp(pictures[0]) > 100  # neither black nor empty
    assert (pictures[0].astype(int) - pictures[-1]).std() > 1.0  # something has moved
    clip = Image.open(short)
    assert clip.size == (240, 160) and clip.n_frames >= 2 and clip.info["loop"] == 0
    assert short.stat().st_size <= rendering.LARGEST_CLIP


def test_the_gallery_follows_the_store(gl, store, tmp_path):
    folder = tmp_path / "gallery"
    command = ["gallery", "--store", store.root, "--out", folder]
    assert reproduce(*command, MUJOCO_GL=gl).stdout.startswith("1 clips in")
    name = "td3-base-Hopper-smoke-seed-0"
    clip, described = folder / f"{name}.gif", folder / f"{name}.json"
    assert sorted(folder.iterdir()) == [clip, described]
    run, held = store.runs()[0], json.loads(described.read_bytes())
    assert (held["step"], held["digest"]) == (run.last_step, run.digest)
    assert np.mean(held["returns"]) == pytest.approx(run.evaluations["eval/return"].iloc[-1])
    assert held["commit"] == run.provenance["git_sha"]

    (card,) = shown.cards(folder)
    title = f"TD3 on Hopper, smoke scale, {run.last_step:,} steps: return {card.policy.mean:.0f}"
    assert shown.caption(card) == title and shown.origin(card.policy) == "as evaluated"
    clips = strip(folder, tmp_path)
    assert f'<img src="gallery/{name}.gif" width="240" alt="{title}"' in clips
    assert clips.endswith(f"\n| {title} |")
    assert f"| TD3 | base | Hopper | smoke | 0 | {run.last_step:,} |" in table(folder)

    # What is drawn stays as it is, without anything to draw with; what has no policy any more goes.
    before = clip.read_bytes()
    assert reproduce(*command, MUJOCO_GL="disabled").returncode == 0
    assert clip.read_bytes() == before
    (folder / "sac-base-Hopper-smoke-seed-0.gif").write_bytes(before)
    (tmp_path / "empty").mkdir()
    assert reproduce("gallery", "--store", tmp_path / "empty", "--out", folder).returncode == 0
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["render", "gallery"])
def test_nothing_to_draw_with_is_one_sentence(store, tmp_path, command):
    pytest.importorskip("imageio_ffmpeg", reason="the extra render is not installed")
    which = ["td3", "Hopper"] if command == "render" else []
    done = reproduce(command, *which, "--store", store.root, "--out", tmp_path, MUJOCO_GL="disabled")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(
        "error: nothing here renders off screen (tried MUJOCO_GL=disabled): install EGL"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_missing_encoder_is_one_sentence(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rendering, "find_spec", lambda name: None)
    assert main(["render", "td3", "Hopper", "--store", str(store.root), "--out", str(tmp_path)]) == 2
    assert (
        "films need the package imageio-ffmpeg: install it with pip install -c constraints.txt -e '.[render]'"
        in (capsys.readouterr().err)
    )


def test_return_and_step_stand_in_a_frame():
    plain = next(frames(1))
    written = np.array(captioned(plain)).astype(int)
    assert (written != 100)[:30].any() and not (written != 100)[40:].any()
    other = np.array(captioned(Frame(plain.pixels, 987.0, 6))).astype(int)
    assert (written != other).any()


def test_a_clip_has_fewer_colours_then_fewer_frames_until_it_fits(tmp_path, monkeypatch):
    path = tmp_path / "a.gif"
    whole = write_clip(list(frames(12, noise=True)), 10.0, path)
    assert whole <= 500_000 and Image.open(path).n_frames == 12
    monkeypatch.setattr(rendering, "LARGEST_CLIP", whole // 3)
    assert write_clip(list(frames(12, noise=True)), 10.0, path) <= whole // 3
    fewer = Image.open(path)
    assert fewer.n_frames < 12 and fewer.info["duration"] * fewer.n_frames == pytest.approx(1200, abs=200)
    monkeypatch.setattr(rendering, "LARGEST_CLIP", 100)
    with pytest.raises(UserError, match="cannot be made smaller than 100 bytes"):
        write_clip(list(frames(12, noise=True)), 10.0, path)


def test_a_damaged_card_is_made_anew_and_a_clip_too_large_ends_nothing(store, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "choose_gl", lambda: "egl")
    monkeypatch.setattr(gallery, "clip", lambda policy, place: place.write_bytes(b"GIF"))
    (described,) = [card.path for card in gallery.make_gallery(store, tmp_path).cards]
    sound = described.read_bytes()
    for content in (b"", b"{", b"[]"):
        described.write_bytes(content)
        assert gallery.make_gallery(store, tmp_path).problems == []
        assert described.read_bytes() == sound

    def too_large(policy, place):
        raise rendering.LargeClipError(f"{place} cannot be made smaller")

    described.unlink()
    (tmp_path / "old-seed-0.gif").write_bytes(b"GIF")
    (film := tmp_path / "td3-base-Hopper-smoke-seed-0-last.gif").write_bytes(b"GIF")
    monkeypatch.setattr(gallery, "clip", too_large)
    made = gallery.make_gallery(store, tmp_path)
    assert made.cards == [] and "cannot be made smaller" in made.problems[0]
    assert list(tmp_path.iterdir()) == [film]  # which is no clip of the gallery


def test_a_policy_that_cannot_be_read_ends_nothing(store, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "choose_gl", lambda: "egl")
    monkeypatch.setattr(gallery, "clip", lambda policy, place: place.write_bytes(b"GIF"))
    copy = Store(shutil.copytree(store.root, tmp_path / "store"))
    (sound,) = copy.root.glob("**/*.last.safetensors")
    sound.with_name("seed-1.last.safetensors").mkdir()
    (tmp_path / "gallery").mkdir()
    made = gallery.make_gallery(copy, tmp_path / "gallery")
    assert [card.policy.spec.seed for card in made.cards] == [0]
    (problem,) = made.problems
    assert "seed-1.last.safetensors cannot be read (Is a directory): mend it" in problem


def test_a_strip_has_one_of_each_algorithm_before_two_of_one(tmp_path):
    about = {"step": 2, "evaluated_step": 2, "returns": [1.5], "kind": "last", "protocol": "v2", "plugin": ""}
    about |= {"source": "checkpoint", "digest": "d", "commit": "c", "dirty": True}
    for algorithm, variant in (("alm", "base"), ("alm", "k5"), ("td3", "base"), ("mine", "base")):
        spec = {"algorithm": algorithm, "variant": variant, "task": "Hopper", "scale": "laptop", "seed": 0}
        name = f"{algorithm}-{variant}-seed-0"
        (tmp_path / f"{name}.json").write_text(json.dumps(about | {"spec": spec}))
        (tmp_path / f"{name}.gif").write_bytes(b"GIF")
    found = shown.shown(shown.cards(tmp_path))
    assert [shown.title(card) for card in found] == [
        "ALM(3) on Hopper",
        "TD3 on Hopper",
        "mine on Hopper",
        "ALM(3) k5 on Hopper",
    ]
    assert shown.origin(found[0].policy) == "from the last checkpoint; evaluated at that step"
    k5 = json.loads((tmp_path / "alm-k5-seed-0.json").read_text())
    (tmp_path / "alm-k5-seed-0.json").write_text(json.dumps(k5 | {"spec": k5["spec"] | {"scale": "huge"}}))
    assert [card.policy.spec.scale for card in shown.cards(tmp_path)] == ["laptop"] * 3 + ["huge"]
    for content in ({}, [], k5 | {"step": "many"}):
        (tmp_path / "x-seed-1.json").write_text(json.dumps(content))
        with pytest.warns(
            StoreWarning,
            match=r"x-seed-1.json is not a card of a policy: remake it with: python -m reproduce g",
        ):
            assert len(shown.cards(tmp_path)) == 4
