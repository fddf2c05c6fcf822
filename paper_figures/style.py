"""The common look of all figures: fonts, sizes, and a colour and marker for each algorithm."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex, to_rgb
from matplotlib.ticker import FuncFormatter

from reproduce.exhibits.catalogue import HALF
from reproduce.exhibits.kinds import Series


@dataclass(frozen=True)
class Look:
    """The look of a curve; an algorithm has the same one in every figure."""

    colour: str
    marker: str
    line: str = "-"
    hollow: bool = False
    """Whether markers are open, so that they do not hide those of another curve."""


LOOKS = {
    "alm": Look("#0072B2", "o"),
    "sac": Look("#E69F00", "s"),
    "td3": Look("#009E73", "^"),
    "redq": Look("#D55E00", "D"),
    "sac-avg": Look("#CC79A7", "v"),
    "mbpo": Look("#56B4E9", "P"),
    "td3-ours": Look("#000000", "X"),
    "sac-svg2": Look("#332288", "<"),
    "sac-svg3": Look("#999933", ">"),
    "svg": Look("#882255", "p"),
    "slbo": Look("#44AA99", "h"),
}
"""Colours of Okabe and Ito but for their yellow, which is too pale for a line, then of Tol; markers tell
algorithms apart without colour. An algorithm that is not listed has a look by its name."""

VARIANTS = {
    "k1": Look("#E8965A", "s"),
    "k2": Look("#DE6F52", "^"),
    "k4": Look("#98356E", "D"),
    "k5": Look("#3F1F5B", "v"),
    "c-0.05": Look("#C3CE7C", "s"),
    "c-0.15": Look("#93B25E", "^"),
    "c-0.2": Look("#629150", "D"),
    "c-0.5": Look("#386D43", "v"),
    "c-1": Look("#2B3D10", "P"),
    "ent": Look("#1E00B4", "P"),
    "quarter": Look("#8B0000", "v"),
    HALF.variant: Look("#CC4400", "X"),
    "no-kl": Look("#C51B7D", "s"),
    "no-value": Look("#004D40", "^"),
    "no-classifier": Look("#EE8866", "D"),
    "td3-loss": Look("#B28BE0", "v"),
    "log-naive": Look("#997700", "P"),
    "log-model": Look("#00D287", "X"),
    "log-transformed": Look("#0000FF", "<"),
    "mnm": Look("#E14B5A", "s"),
    "reconstruction": Look("#965A1E", "^"),
    "linear-classifier": Look("#69693C", "D"),
    "value-encoder": Look("#3C0F2D", "v"),
    "value-encoder-model": Look("#A55AFF", "P"),
    "base+bf16": Look("#B5BD00", "X"),
    "value-expansion": Look("#781E78", "<"),
    "real-warmup": Look("#E1B45A", "s"),
    "horizon-schedule": Look("#3C6978", "^"),
    "time-discount": Look("#B47869", "D"),
    "online-kl": Look("#87C3D2", "v"),
    "relu": Look("#5A0F0F", "P"),
    "joint": Look("#1EA01E", "X"),
}
"""The look of each named variant of ALM, in a colour that no other method of the suite has. Variants of one
figure, but for neighbours on a scale, differ from each other and from ALM's blue, also for red- or
green-blind readers (CIELAB distances of at least 15)."""

_PALETTE = ("#8B0000", "#004D40", "#EE8866", "#B28BE0", "#997700", "#B5BD00", "#C51B7D")
"""Colours of curves that have no look of their own, such as one's own variants: used by no algorithm."""

_MARKERS = ("s", "^", "D", "v", "P", "X", "<")

_COUNT = len(_PALETTE)

_LEVELS = ("#E8965A", "#DE6F52", "#C44A5E", "#98356E", "#6C2A6E", "#3F1F5B")
"""Shades from light to dark, for ordered series without looks of their own; ALM itself keeps its blue."""


def looks(series: Sequence[Series]) -> dict[str, Look]:
    """The look of each curve of a figure, by label.

    Each algorithm and each named variant of ALM has its own look, the same in every figure. Other ordered
    series differ in shade; another estimate of the same runs is darker and dotted, with open markers.
    """
    levels = [one for one in series if one.level is not None and _known(one) is None]
    found: dict[str, Look] = {}
    seen: dict[tuple[str, str], Look] = {}
    for one in series:
        method = one.algorithm, one.variant
        if one in levels:
            shade = _LEVELS[levels.index(one) * (len(_LEVELS) - 1) // max(len(levels) - 1, 1)]
            found[one.label] = Look(shade, _MARKERS[levels.index(one) % len(_MARKERS)])
        elif method in seen:
            red, green, blue = to_rgb(seen[method].colour)
            dark = to_hex((0.4 * red, 0.4 * green, 0.4 * blue))
            found[one.label] = Look(dark, "s", ":", hollow=True)
        else:
            found[one.label] = _apart(one, found)
        seen.setdefault(method, found[one.label])
    return found


def looks_apart(series: Sequence[Series]) -> dict[str, Look]:
    """The look of each curve in a picture of any algorithms and variants, by label; no two look alike.

    What has a look in the suite's figures has it here, too. Others have one by their name, in a colour of
    their own while there is one.
    """
    found: dict[str, Look] = {}
    # Unchanged algorithms first: a longer run is drawn like its algorithm only where that is absent.
    for one in sorted(series, key=lambda one: (_known(one) is None, one.variant != "base")):
        found[one.label] = _apart(one, found)
    return found


def _known(one: Series) -> Look | None:
    """The look that an algorithm or a named variant has in every figure; None if it has none."""
    if one.noise:
        return None
    if one.algorithm == "alm" and one.variant in VARIANTS:
        return VARIANTS[one.variant]
    return LOOKS.get(one.algorithm) if one.variant in ("base", "million") else None


def _apart(one: Series, found: Mapping[str, Look]) -> Look:
    """A curve's look or, if it has none or its colour is taken, one by its name, of a free colour if any."""
    look, colours = _known(one), {other.colour for other in found.values()}
    if look is not None and look.colour not in colours:
        return look
    place = zlib.crc32(one.command_name.encode())
    free = [new for step in range(_COUNT**2) if (new := _at(place + step)) not in found.values()]
    # Bands have a colour only.
    return next((new for new in free if new.colour not in colours), free[0])


def _at(place: int) -> Look:
    """The look at a place of the palette, whose colours repeat with another marker."""
    return Look(_PALETTE[place % _COUNT], _MARKERS[(place + place // _COUNT) % _COUNT])


PUBLISHED = "0.55"
"""Grey of published curves."""

NOTE = "0.35"
"""Grey of small print."""

THOUSANDS = FuncFormatter(lambda x, _: f"{x / 1000:g}k".replace("-", "−") if x else "0")
"""Steps and returns on axes: 20k instead of 20000."""

PAGE = {1: (5.4, 2.7), 2: (6.8, 2.4), 3: (8.0, 2.2)}
"""Inches of a figure's width, legible on a page, and of a row's height, by number of panels in a row."""


@contextmanager
def figure_style() -> Iterator[None]:
    """A block or, as a decorator, a function in which figures get the suite's look."""
    with plt.rc_context(
        {
            "figure.dpi": 150,
            "savefig.bbox": "tight",
            "font.size": 9,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "0.92",
            "axes.axisbelow": True,
            "legend.frameon": False,
            "lines.markersize": 4,
            "pdf.fonttype": 42,
            # Without a salt, identifiers would be random.
            "svg.hashsalt": "alm",
        }
    ):
        yield
