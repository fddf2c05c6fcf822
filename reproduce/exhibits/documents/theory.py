"""Tables of docs/theory.md: the checks on finite MDPs, and the practical L^K beside observed returns."""

from pathlib import Path

import numpy as np
import pandas as pd

from reproduce.exhibits.documents import Blocks
from reproduce.exhibits.kinds import SHOWN_SCALES
from reproduce.exhibits.theory import DOCUMENT_TABLES, LONG_TITLES, document_tables, read
from reproduce.exhibits.writing import markdown_grid
from reproduce.lab.algorithms import title_of
from reproduce.lab.store import Store, StoredRun

_ESTIMATES = ("lower_bound", "min_q")
_VARIANTS = ("base", "log-naive", "log-model", "log-transformed")


def blocks(store: Store, folder: Path) -> Blocks:
    """The checks that ``folder`` holds, and the practical bound by the store's value samples."""
    page, found = "docs/theory.md", document_tables(read(folder))
    tables = {
        name: markdown_grid(list(found[name]), found[name].to_numpy().tolist())
        if name in found
        else "Not computed."
        for name in DOCUMENT_TABLES
        if name not in LONG_TITLES
    }
    return {
        (page, "practical"): bound_beside_returns(store),
        **{(page, name): text for name, text in tables.items()},
    }


def bound_beside_returns(store: Store) -> str:
    """L^K and min Q beside discounted returns at the last measurement, for ALM with and without logarithms.

    One row per variant, task and scale; numbers are means over a run's pairs, averaged over seeds.
    """
    rows = []
    for scale in SHOWN_SCALES:
        for variant in _VARIANTS:
            by_task: dict[str, list[pd.Series]] = {}
            for run in store.runs(algorithm="alm", variant=variant, scale=scale):
                if (found := _of_run(store, run)) is not None:
                    by_task.setdefault(run.spec.task, []).append(found)
            for task, seeds in by_task.items():
                mean = pd.DataFrame(seeds).mean()
                rows.append(
                    [
                        title_of("alm", variant),
                        task,
                        scale,
                        str(len(seeds)),
                        *(f"{mean[name]:.0f}" for name in ("monte_carlo", *_ESTIMATES)),
                        f"{mean['below']:.0%}",
                        *(f"{mean[name]:.2f}" for name in ("of_bound", "of_q")),
                    ]
                )
    header = ["", "task", "scale", "seeds", "return", "L^K", "min Q", "pairs with L^K ≤ return"]
    header += ["correlation of L^K with the return", "of min Q"]
    return markdown_grid(header, rows) if rows else "No value samples of ALM are stored."


def _of_run(store: Store, run: StoredRun) -> pd.Series | None:
    """Means and correlations over the pairs of a run's last measurement; None without one."""
    pairs = store.values(run, _ESTIMATES)
    if pairs is None or pairs.empty:
        return None
    last = pairs[pairs["step"] == pairs["step"].max()].astype(np.float64)
    means = last[["monte_carlo", *_ESTIMATES]].mean()
    correlations = last[[*_ESTIMATES]].corrwith(last["monte_carlo"])
    means["below"] = (last["lower_bound"] <= last["monte_carlo"]).mean()
    means["of_bound"], means["of_q"] = correlations["lower_bound"], correlations["min_q"]
    return means
