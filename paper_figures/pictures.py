"""A drawn figure with its data, and their files, which are reproducible to the byte."""

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from alm.training.files import write_text
from paper_figures.style import figure_style


@dataclass(frozen=True)
class Picture:
    """A drawn figure.

    Attributes:
        exhibit: name of what it shows, such as ``"figure3"`` or ``"curves-alm"``.
        scale: scale of its runs; empty if it has several scales or no runs, or its name says the scale.
        figure: the drawing.
        points: its data, tidy.
        title: the algorithms and tasks of a page of learning curves; empty if the name says what it is.
    """

    exhibit: str
    scale: str
    figure: Figure
    points: pd.DataFrame
    title: str = ""

    @property
    def file(self) -> str:
        """The name of its files, without extension."""
        return self.exhibit if self.scale in ("paper", "") else f"{self.exhibit}-{self.scale}"

    def write(self, folder: Path) -> list[Path]:
        """Write the drawing, and its data as CSV, and close it; returns the files."""
        data = folder / f"{self.file}.csv"
        files = [*self.write_drawing(folder), data]
        write_text(data, csv_text(self.points))
        return files

    def write_drawing(self, folder: Path) -> list[Path]:
        """Write the drawing alone, as PNG and PDF without dates, and close it; returns the files."""
        folder.mkdir(parents=True, exist_ok=True)
        # Names are joined, because with_suffix would cut one such as c-0.05 at its dot.
        png, pdf = folder / f"{self.file}.png", folder / f"{self.file}.pdf"
        with figure_style():
            self.figure.savefig(png, metadata={"Software": None})
            self.figure.savefig(pdf, metadata={"CreationDate": None})
        plt.close(self.figure)
        return [png, pdf]

    def svg(self) -> str:
        """The drawing as SVG with outlined text and without a date, after closing it."""
        text = io.StringIO()
        with figure_style():
            self.figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(self.figure)
        return text.getvalue()


def csv_text(points: pd.DataFrame) -> str:
    """The data of a figure as CSV, with six digits per number."""
    return str(points.to_csv(index=False, lineterminator="\n", float_format="%.6g"))
