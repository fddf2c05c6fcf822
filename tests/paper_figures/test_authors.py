"""The figure of ALM over the authors' curves, looked at through its artists."""

import numpy as np
import pandas as pd

from paper_figures.authors import draw, evaluations
from paper_figures.style import save
from reproduce.lab.store import Store


def runs():
    rows = []
    for task, seeds, last in (("HalfCheetah", (0,), 10), ("Walker2d", (0, 1), 15)):
        for seed in seeds:
            for step in range(0, last + 1 - seed, 5):
                rows.append((task, seed, 5, 300_000, 1000 * step + 5000, 1000 * step, step + seed))
    names = ["task", "seed", "seeds_wanted", "total_steps", "step", "training_step", "return"]
    return pd.DataFrame(rows, columns=names)


AUTHORS = pd.DataFrame(
    {
        "task": "HalfCheetah",
        "training_step": [5000, 10_000],
        "return_mean": [1.0, 2.0],
        "return_std": [0.5, 0.5],
    }
)


def test_panels_curves_and_counts():
    figure = draw(runs(), AUTHORS)
    cheetah, walker = figure.axes
    assert cheetah.get_title() == "HalfCheetah, paper scale"
    assert len(cheetah.collections) == 1  # the authors' band
    assert "2 of 5 seeds, 20k of 300k steps" in [text.get_text() for text in walker.texts]
    mean = walker.lines[-1]
    # Seed 1 stops before step 15k, so the mean of both does too.
    np.testing.assert_allclose(mean.get_xdata(), [0, 5000, 10_000])
    np.testing.assert_allclose(mean.get_ydata(), [0.5, 5.5, 10.5])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["ALM(3), authors' 5 seeds", "this suite, mean (thin: each seed)"]


def test_runs_that_the_authors_have_no_curve_of_are_left_out(tmp_path, make_run):
    store = Store(tmp_path / "runs")
    for task, scale in (("HalfCheetah", "paper"), ("HalfCheetah", "laptop"), ("Hopper", "paper")):
        store.write(make_run({5000: 0.0, 10_000: 50.0}, task=task, scale=scale, status="partial"))
    found = evaluations(store, AUTHORS)
    assert found["task"].tolist() == ["HalfCheetah"] * 2 and set(found["total_steps"]) == {300_000}


def test_files_are_stable(tmp_path):
    for name in ("a", "b"):
        save(draw(runs(), AUTHORS), tmp_path / name)
    for suffix in ("png", "pdf"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
