"""The common look of all figures: fonts, sizes, and a colour and marker for each algorithm."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex, to_rgb
from matplotlib.ticker import FuncFormatter

from reproduce.exhibits.catalogue import FIGURES
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

_PALETTE = ("#8B0000", "#004D40", "#EE8866", "#B28BE0", "#997700", "#B5BD00", "#C51B7D")
"""Colours of ALM's variants, used by no algorithm; they differ from each other and from ALM's blue, also for
red- or green-blind readers (CIELAB distances of at least 15)."""

_MARKERS = ("s", "^", "D", "v", "P", "X", "<")

_COUNT = len(_PALETTE)

_VARIANTS = (
    "no-kl",
    "no-value",
    "no-classifier",
    "td3-loss",
    "log-naive",
    "log-model",
    "log-transformed",
    "mnm",
    "reconstruction",
    "linear-classifier",
    "value-encoder",
    "value-encoder-model",
    "base+bf16",
    "value-expansion",
    "real-warmup",
    "horizon-schedule",
    "time-discount",
    "online-kl",
    "relu",
    "joint",
)
"""ALM's variants in the order of their looks, such that variants in one figure differ in colour. Add new ones
at the end, so that the others keep theirs. A variant that is not listed has a look by its name."""

_BESIDE_ALGORITHMS = {"quarter": Look("#8B0000", "v")}
"""Variants drawn beside algorithms, in a colour and with a marker that none of these has."""

_LEVELS = ("#E8965A", "#DE6F52", "#C44A5E", "#98356E", "#6C2A6E", "#3F1F5B")
"""Shades from light to dark, for ordered series; ALM itself keeps its blue."""


def looks(series: Sequence[Series]) -> dict[str, Look]:
    """The look of each curve of a figure, by label.

    Each algorithm and each variant of ALM has its own look, the same in every figure unless its colour is
    taken, as may happen to curves that someone adds. Ordered series differ in shade; another estimate of the
    same runs is darker and dotted, with open markers.
    """
    levels = [one for one in series if one.level is not None and not one.unchanged]
    found: dict[str, Look] = {}
    seen: set[tuple[str, str]] = set()
    for one in series:
        own = LOOKS.get(one.algorithm) or _by_name(one.algorithm)
        if one in levels:
            shade = _LEVELS[levels.index(one) * (len(_LEVELS) - 1) // max(len(levels) - 1, 1)]
            found[one.label] = Look(shade, _MARKERS[levels.index(one) % len(_MARKERS)])
        elif (one.algorithm, one.variant) in seen:
            red, green, blue = to_rgb(own.colour)
            dark = to_hex((0.4 * red, 0.4 * green, 0.4 * blue))
            found[one.label] = Look(dark, "s", ":", hollow=True)
        else:
            look = own if one.variant in ("base", "million") else _by_name(one.variant)
            found[one.label] = _apart(look, one.label, found)
        seen.add((one.algorithm, one.variant))
    return found


def looks_apart(series: Sequence[Series]) -> dict[str, Look]:
    """The look of each curve in a picture of any algorithms and variants, by label; no two look alike.

    What has a look in the suite's figures has it here, too, unless its colour is taken. Others have one by
    their label, in a colour of their own while there is one.
    """
    known = {one.label: _in_figures(one) for one in series}
    found: dict[str, Look] = {}
    # Unchanged algorithms first: a variant may be drawn like its algorithm where that is absent.
    for one in sorted(series, key=lambda one: (known[one.label] is None, one.variant != "base")):
        found[one.label] = _apart(known[one.label], one.label, found)
    return found


def _apart(look: Look | None, label: str, found: Mapping[str, Look]) -> Look:
    """A look or, if there is none or its colour is taken, one by a label, in a free colour if any is."""
    colours = {other.colour for other in found.values()}
    if look is not None and look.colour not in colours:
        return look
    place = zlib.crc32(label.encode())
    free = [new for step in range(_COUNT**2) if (new := _at(place + step)) not in found.values()]
    # Bands have a colour only.
    return next((new for new in free if new.colour not in colours), free[0])


def _in_figures(one: Series) -> Look | None:
    """The look of an algorithm or variant in the suite's figures; None if it has none."""
    for exhibit in FIGURES:
        for drawn in exhibit.series:
            if (drawn.algorithm, drawn.variant) == (one.algorithm, one.variant) and not drawn.estimate:
                return looks(exhibit.series)[drawn.label]
    if one.algorithm == "alm" and one.variant in (*_BESIDE_ALGORITHMS, *_VARIANTS):
        return _by_name(one.variant)
    return LOOKS.get(one.algorithm) if one.variant == "base" else None


def _by_name(name: str) -> Look:
    """The look of a variant, or of an algorithm that `LOOKS` lacks."""
    if name in _BESIDE_ALGORITHMS:
        return _BESIDE_ALGORITHMS[name]
    return _at(_VARIANTS.index(name) if name in _VARIANTS else zlib.crc32(name.encode()))


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
