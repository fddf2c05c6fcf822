"""One look for every figure: fonts, sizes, and a colour and marker for each algorithm."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter


@dataclass(frozen=True)
class Look:
    """How an algorithm is drawn in every figure."""

    colour: str
    marker: str


LOOKS = {
    "alm": Look("#0072B2", "o"),
    "sac": Look("#E69F00", "s"),
    "td3": Look("#009E73", "^"),
    "redq": Look("#D55E00", "D"),
    "sac-avg": Look("#CC79A7", "v"),
    "mbpo": Look("#56B4E9", "P"),
    "td3-ours": Look("#000000", "X"),
    "sac-svg2": Look("#F0E442", "<"),
    "sac-svg3": Look("#999933", ">"),
    "svg": Look("#882255", "p"),
    "slbo": Look("#44AA99", "h"),
}
"""Colours of Okabe and Ito, then of Tol; markers tell algorithms apart without colour."""

PUBLISHED = "0.55"
"""Grey of what others published."""

NOTE = "0.35"
"""Grey of small print."""

THOUSANDS = FuncFormatter(lambda x, _: f"{x / 1000:g}k" if x else "0")
"""Steps and returns on axes: 20k instead of 20000."""


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw inside this block to get the suite's look."""
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
        }
    ):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write ``path``.png and ``path``.pdf; the same figure gives the same bytes (no date, no version)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with figure_style():
        figure.savefig(path.with_suffix(".png"), metadata={"Software": None})
        figure.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})
    plt.close(figure)
