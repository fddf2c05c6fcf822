"""``python -m benchmarks.sizes``: cost of a seed at the candidate sizes of the laptop scale.

All updates of an environment step on HalfCheetah, one CPU thread, for a seed alone and for one of five in a
population.
"""

from dataclasses import replace
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from alm.training.scale import scale_named
from benchmarks.populations import ROUNDS, seed_costs
from benchmarks.timing import TASK, as_in_training, write_record
from reproduce.lab.algorithms import algorithm_named

_ALM = (
    {"hidden_size": 512, "model_hidden_size": 1024, "batch_size": 512},
    {"hidden_size": 256, "model_hidden_size": 512, "batch_size": 256},
    {"hidden_size": 256, "model_hidden_size": 512, "batch_size": 128},
    {"hidden_size": 128, "model_hidden_size": 256, "batch_size": 256},
    {"hidden_size": 128, "model_hidden_size": 256, "batch_size": 128},
)
_REDQ = tuple(
    {"hidden_size": width, "batch_size": batch} for width, batch in ((256, 256), (128, 128), (128, 64))
)
_OTHERS: tuple[dict[str, int], ...] = ({"hidden_size": 256, "batch_size": 256},)
_SIZES = {"alm": _ALM, "redq": _REDQ, "sac": _OTHERS, "td3": _OTHERS}


def main() -> None:
    """Measure, print a table and write ``sizes.json`` of the results."""
    as_in_training()
    table = Table(title="Updates of one step and seed, HalfCheetah, one CPU thread, processor time")
    for column in ("", "width", "batch", "alone, ms", "of five, ms"):
        table.add_column(column, justify="right" if column else "left")
    results: list[dict[str, Any]] = []
    for name, sizes in _SIZES.items():
        config = algorithm_named(name).load()[1].at(scale_named("paper"), TASK)
        for size in sizes:
            costs = seed_costs(name, replace(config, **size), ROUNDS)
            results.append({"algorithm": name, **size, **costs})
            width, batch = str(size["hidden_size"]), str(size["batch_size"])
            table.add_row(name, width, batch, f"{costs['alone_ms']:.1f}", f"{costs['together_ms']:.1f}")
    Console().print(table)
    write_record("sizes", {"rows": results}, task=TASK, rounds=ROUNDS)


if __name__ == "__main__":
    tyro.cli(main)
