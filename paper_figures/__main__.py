"""``python -m paper_figures NAME``: draw a figure from the stored runs into `results/figures/`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import tyro

from alm.training.scale import scale_named
from paper_figures.style import save
from reproduce.published import authors_curves
from reproduce.store import Store

RESULTS = Path(__file__).resolve().parents[1] / "results"


def alm_evaluations(store: Store) -> pd.DataFrame:
    """Every stored evaluation of unchanged ALM, tidy, paper scale first."""
    frames = []
    for run in sorted(store.runs(algorithm="alm", variant="base"), key=lambda r: r.spec.scale != "paper"):
        scale = scale_named(run.spec.scale)
        frame = run.evaluations[["step", "training_step"]].copy()
        frame["return"] = run.evaluations["eval/return"]
        frame = frame.assign(
            task=run.spec.task,
            scale=run.spec.scale,
            seed=run.spec.seed,
            seeds_wanted=len(scale.seeds),
            total_steps=scale.training(run.spec.task).total_steps,
        )
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def main(
    figure: Annotated[Literal["authors"], tyro.conf.Positional],
    store: Path = RESULTS / "runs",
    out: Path = RESULTS / "figures",
) -> int:
    """Draw a figure as PNG and PDF, with the plotted data as CSV beside it.

    Args:
        figure: authors: ALM's stored runs over the authors' published curves.
        store: Where finished runs are stored.
        out: Where the files go.
    """
    from paper_figures import authors

    runs = alm_evaluations(Store(store))
    if runs.empty:
        print(f"error: {store} holds no ALM run; train one, for instance with: make train", file=sys.stderr)
        return 2
    save({"authors": authors.draw}[figure](runs, authors_curves()), out / figure)
    runs.to_csv(out / f"{figure}.csv", index=False, lineterminator="\n", float_format="%.4f")
    print(f"wrote {out / figure}.png, .pdf and .csv")
    return 0


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main))
