"""``python -m paper_figures.report``: write the page from the stored runs."""

import sys
import warnings
from pathlib import Path

import tyro

from alm.training.files import write_text
from paper_figures.__main__ import RESULTS
from paper_figures.drawing import Definition
from paper_figures.report.contents import contents
from paper_figures.report.page import page
from reproduce.storing.store import ReadOnce, StoreWarning


def main(
    bias: Definition = "redq",
    store: Path = RESULTS / "runs",
    out: Path = RESULTS / "report.html",
) -> int:
    """Write one self-contained HTML page: every table, figure and claim, and every stored run.

    Args:
        bias: Definition of the value bias in figures 4 and 8: redq, paper, or per-state.
        store: Where finished runs are stored.
        out: The file.
    """
    if not store.is_dir():
        print(f"error: there is no directory {store}: name the store with --store", file=sys.stderr)
        return 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StoreWarning)
        found = contents(ReadOnce(store), bias)
    messages = dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, StoreWarning))
    for message in messages:
        print(f"warning: {message}", file=sys.stderr)
    # Where the store lies is no part of what it holds.
    text = page(found, [message.replace(f"{store}/", "") for message in messages])
    try:
        write_text(out, text)
    except OSError as error:
        print(f"error: {out} cannot be written ({error.strerror}): name another --out", file=sys.stderr)
        return 2
    print(f"wrote {out} ({len(text.encode()) / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main))
