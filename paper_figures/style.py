"""One look for every figure: fonts, sizes, and a colour for each algorithm."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

COLOURS = {"alm": "#0072B2"}
"""Colours of Okabe and Ito, told apart by the colour-blind and in greyscale."""

PUBLISHED = "0.55"
"""Grey of what others published."""


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
