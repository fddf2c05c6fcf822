"""Films of trained policies: episodes drawn off screen by MuJoCo, written as MP4 and GIF.

The simulator renders through EGL or OSMesa, whichever works; ``MUJOCO_GL`` takes precedence. The camera is
the same in every task and follows the torso.
"""

import io
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alm.errors import UserError
from alm.training.files import write_bytes
from reproduce.lab.places import installing
from reproduce.lab.playing import FRESH_EPISODES, Actor
from reproduce.lab.plugins import Plugin
from reproduce.lab.policies import Policy
from reproduce.lab.specs import RunSpec

if TYPE_CHECKING:
    from PIL import Image

WIDTH, HEIGHT = 480, 320
"""Pixels of a film: multiples of 16, as the codec requires, within MuJoCo's default buffer."""
CLIP_WIDTH, CLIP_HEIGHT = 240, 160
"""Pixels of a clip."""
FILM_FPS, CLIP_FPS = 25, 10
"""Upper limits of frames per second of simulated time."""
CLIP_SECONDS = 5.0
LARGEST_CLIP = 500_000
"""Largest size of a clip in bytes; colours, then frames, are reduced to fit."""
_PROBE = "import mujoco; mujoco.GLContext(16, 16).make_current()"


class LargeClipError(UserError):
    """A clip that is too large even with the fewest colours and frames; others may fit."""


@dataclass(frozen=True)
class Frame:
    """One picture of an episode, RGB (height, width, 3), with the return and steps so far."""

    pixels: np.ndarray
    episode_return: float
    step: int


def require_encoder() -> None:
    """Check that an MP4 can be written.

    Raises:
        UserError: imageio-ffmpeg is not installed.
    """
    if find_spec("imageio_ffmpeg") is None:
        raise UserError(f"films need the package imageio-ffmpeg: install it with {installing('render')}")


@cache
def choose_gl() -> str:
    """Set ``MUJOCO_GL``, before MuJoCo is imported, to an off-screen backend that works, and return it.

    A process chooses once, as MuJoCo does.

    Raises:
        UserError: no backend works.
    """
    chosen = os.environ.get("MUJOCO_GL")
    ways = (chosen,) if chosen else ("egl", "osmesa") if sys.platform == "linux" else ("",)
    for way in ways:
        tried = subprocess.run(
            [sys.executable, "-c", _PROBE], env={**os.environ, "MUJOCO_GL": way}, capture_output=True
        )
        if tried.returncode == 0:
            os.environ["MUJOCO_GL"] = way
            return way
    raise UserError(
        f"nothing here renders off screen (tried MUJOCO_GL={', '.join(ways)}): install EGL (on Debian: "
        "apt-get install libegl1 libgl1-mesa-dri) or OSMesa (apt-get install libosmesa6)"
    )


def episode(
    policy: Policy,
    width: int,
    height: int,
    fps: int,
    seconds: float | None = None,
    plugin: Plugin | None = None,
) -> tuple[float, Iterator[Frame]]:
    """Frame rate and frames of one episode that no evaluation has played.

    Args:
        policy: the policy that acts.
        width, height: pixels.
        fps: frames per second at most; frames are a whole number of environment steps apart.
        seconds: simulated time after which to stop; None: the whole episode.
        plugin: origin of the policy's variant, if not the suite.

    Raises:
        PolicyError: the policy cannot be used.
    """
    import torch

    from alm.tasks import make
    from alm.training.streams import Purpose, environment_seed

    torch.set_num_threads(1)
    actor = Actor.of(policy, plugin)
    environment = make(policy.spec.task)
    duration = float(environment.unwrapped.dt)  # type: ignore[attr-defined]
    every = math.ceil(1.0 / (fps * duration) - 1e-9)

    def frames() -> Iterator[Frame]:
        view = _View(environment.unwrapped, width, height)
        # The same start as the first of the new episodes of `reproduce.lab.playing.play`.
        observation, _ = environment.reset(
            seed=environment_seed(policy.spec.seed, Purpose.EVALUATION, FRESH_EPISODES, 0)
        )
        total, step, ended = 0.0, 0, False
        yield Frame(view.picture(), total, step)
        while not ended and (seconds is None or step * duration < seconds):
            observation, reward, terminated, truncated, _ = environment.step(actor.act(observation))
            total, step, ended = total + float(reward), step + 1, terminated or truncated
            if step % every == 0 or ended:
                yield Frame(view.picture(), total, step)
        view.close()
        environment.close()

    return 1.0 / (every * duration), frames()


class _View:
    """The one camera of all films."""

    def __init__(self, environment: Any, width: int, height: int) -> None:
        import mujoco

        self._data = environment.data
        self._renderer = mujoco.Renderer(environment.model, height, width)
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
        # The torso of every robot is the first body after the world.
        self._camera.trackbodyid = 1
        self._camera.distance, self._camera.azimuth, self._camera.elevation = 4.0, 90.0, -15.0
        self._without = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION)

    def picture(self) -> np.ndarray:
        """RGB (height, width, 3) of the current state."""
        self._renderer.update_scene(self._data, self._camera)
        for flag in self._without:  # both cost most of the time of a processor that draws
            self._renderer.scene.flags[flag] = 0
        pixels: np.ndarray = self._renderer.render().copy()
        return pixels

    def close(self) -> None:
        self._renderer.close()


def captioned(frame: Frame) -> "Image.Image":
    """A frame with return and step in its upper left corner."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(frame.pixels)
    size = max(11, picture.height // 18)
    text = f"return {frame.episode_return:.0f}   step {frame.step}"
    ImageDraw.Draw(picture).text(
        (size // 2, size // 3),
        text,
        fill="white",
        stroke_width=1,
        stroke_fill="black",
        font=ImageFont.load_default(size),
    )
    return picture


def write_film(frames: Iterator[Frame], fps: float, path: Path) -> None:
    """Write frames as an MP4 (H.264)."""
    import imageio_ffmpeg

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        writer = imageio_ffmpeg.write_frames(str(unfinished), (WIDTH, HEIGHT), fps=fps)
        writer.send(None)
        for frame in frames:
            writer.send(captioned(frame).tobytes())
        writer.close()
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_clip(frames: Sequence[Frame], fps: float, path: Path) -> int:
    """Write frames as a GIF of at most `LARGEST_CLIP` bytes; returns its size in bytes.

    Raises:
        LargeClipError: it does not fit.
    """
    pictures = [captioned(frame) for frame in frames]
    for stride, colours in product((1, 2, 4), (128, 64, 32, 16)):
        content = _gif(pictures[::stride], fps / stride, colours)
        if len(content) <= LARGEST_CLIP:
            write_bytes(path, content)
            return len(content)
    raise LargeClipError(f"{path} cannot be made smaller than {LARGEST_CLIP} bytes: ask for fewer frames")


def _gif(pictures: Sequence["Image.Image"], fps: float, colours: int) -> bytes:
    """An endless GIF."""
    from PIL.Image import Dither

    first, *more = [picture.quantize(colours, dither=Dither.NONE) for picture in pictures]
    content = io.BytesIO()
    how: dict[str, Any] = {"duration": round(1000 / fps), "loop": 0, "optimize": True}
    first.save(content, "GIF", save_all=True, append_images=more, **how)
    return content.getvalue()


def film(policy: Policy, folder: Path, plugin: Plugin | None = None) -> tuple[Path, Path]:
    """Write a whole episode as MP4 and its first seconds as GIF; returns both files.

    Raises:
        UserError: a package or a rendering backend is missing.
        PolicyError: the policy cannot be used.
    """
    require_encoder()
    choose_gl()
    name = f"{file_name(policy.spec)}-{policy.kind}"
    whole, short = folder / f"{name}.mp4", folder / f"{name}.gif"
    fps, frames = episode(policy, WIDTH, HEIGHT, FILM_FPS, plugin=plugin)
    write_film(frames, fps, whole)
    clip(policy, short, plugin)
    return whole, short


def file_name(spec: RunSpec) -> str:
    """A run's name as one word, for file names and URLs."""
    parts = spec.algorithm, spec.variant, spec.task, spec.scale, f"seed-{spec.seed}"
    return re.sub(r"[^A-Za-z0-9.+=_-]", "_", "-".join(parts))


def clip(policy: Policy, path: Path, plugin: Plugin | None = None) -> None:
    """Write the first seconds of an episode as a GIF."""
    fps, frames = episode(policy, CLIP_WIDTH, CLIP_HEIGHT, CLIP_FPS, CLIP_SECONDS, plugin)
    write_clip(list(frames), fps, path)
