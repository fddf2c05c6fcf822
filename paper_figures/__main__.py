"""``python -m paper_figures NAME``: draw a figure from the stored runs into `results/figures/`."""

import sys
import warnings
from pathlib import Path
from typing import Annotated

import tyro

from alm.training.files import write_text
from paper_figures.drawing import NAMES, Definition, drawn
from paper_figures.style import csv_text, save
from reproduce.storing.store import ReadOnce, Store, StoreMixError, StoreWarning

RESULTS = Path(__file__).resolve().parents[1] / "results"


def main(
    figure: Annotated[str, tyro.conf.Positional],
    bias: Definition = "redq",
    mix: bool = False,
    store: Path = RESULTS / "runs",
    out: Path = RESULTS / "figures",
) -> int:
    """Draw a figure as PNG and PDF, with the plotted data as CSV beside it.

    NAME.png is of runs at paper scale, NAME-laptop.png of stored runs at laptop scale; scales never mix.

    Args:
        figure: figure3 to figure20, or a part such as figure5a; authors (ALM over its authors' published
            curves); curves (learning curves, a file for each page of docs/algorithms); or all of them.
        bias: Definition of the value bias in figures 4 and 8: redq (mean and deviation divided by
            |mean return|, at least 10), paper (without that floor), or per-state.
        mix: Draw runs of different task definitions or simulator versions together all the same; the caption
            says so.
        store: Where finished runs are stored.
        out: Where the files go.
    """
    names = NAMES if figure == "all" else (figure,)
    if unknown := set(names) - set(NAMES):
        known = ", ".join(("all", *NAMES))
        print(f"error: there is no figure {unknown.pop()!r}; the figures are {known}", file=sys.stderr)
        return 2
    # Figures share many runs.
    held = ReadOnce(store)
    return max(_draw_and_save(name, bias, mix, held, out) for name in names)


def _draw_and_save(name: str, bias: Definition, mix: bool, store: Store, out: Path) -> int:
    """Draw the files of one figure; returns the exit code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StoreWarning)
        try:
            pictures = drawn(name, store, bias, mix)
        except StoreMixError as error:
            print(f"error: {error} To draw them all the same: --mix", file=sys.stderr)
            return 2
    for message in dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, StoreWarning)):
        print(f"warning: {message}", file=sys.stderr)
    if not pictures:
        print(
            f"error: {store.root} holds no such run; train one, for instance with: make train",
            file=sys.stderr,
        )
        return 2
    try:
        for picture in pictures:
            path = out / picture.file
            save(picture.figure, path)
            write_text(path.with_suffix(".csv"), csv_text(picture.points))
            print(f"wrote {path}.png, .pdf and .csv")
    except OSError as error:
        print(f"error: {out} cannot be written ({error.strerror}): name another --out", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main))
