"""The transformed reward φ(r) = a (log(r + a) − log a) beside r (Figure 6); made of no runs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from paper_figures import panels
from paper_figures.style import LOOKS, NOTE, figure_style

OFFSET = 10_000.0
"""The paper's a."""


def values() -> pd.DataFrame:
    """r in [−20, 20] and φ(r), computed as a · log1p(r / a), which is accurate for large a."""
    reward = np.linspace(-20.0, 20.0, 401)
    return pd.DataFrame({"reward": reward, "transformed": OFFSET * np.log1p(reward / OFFSET)})


@figure_style()
def draw(points: pd.DataFrame) -> Figure:
    """Draw φ(r) over r, and their difference, which is too small to see in the first panel."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 2.9), layout="constrained")
    left.plot(points["reward"], points["reward"], color=NOTE, label="r")
    left.plot(
        points["reward"],
        points["transformed"],
        color=LOOKS["alm"].colour,
        linestyle="--",
        label="a (log(r + a) − log a)",
    )
    left.set(xlabel="r", ylabel="reward")
    left.legend()
    right.plot(points["reward"], points["transformed"] - points["reward"], color=LOOKS["alm"].colour)
    right.set(xlabel="r", ylabel="transformed − r")
    panels.caption(figure, f"Figure 6, the transformed reward with a = {OFFSET:g}. A formula, no runs.")
    return figure
