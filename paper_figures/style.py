"""One look for every figure: fonts, sizes, and a colour for each algorithm."""

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.pyplot as plt

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
            # Figures are compared byte by byte; a changing identifier inside would spoil that.
            "svg.hashsalt": "alm",
        }
    ):
        yield
