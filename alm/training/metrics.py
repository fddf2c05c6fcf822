"""Training metrics of a population: averages over log intervals, and detection of non-finite losses."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from alm.training.agent import Metrics

# Reading from a device makes the host wait for it; a CPU has no such wait.
_READ_EVERY = 100
# Later than any step.
_NEVER = 1 << 40


class Failure(NamedTuple):
    """First non-finite number of a seed."""

    seed: int  # position in the population
    metric: str
    step: int


class FiniteCheck:
    """First step at which a loss or gradient norm of each seed was NaN or infinite, kept on the device.

    Args:
        device: device of the metrics.
    """

    def __init__(self, device: str) -> None:
        self._every = 1 if torch.device(device).type == "cpu" else _READ_EVERY
        self._unread = 0
        self._first: dict[tuple[str, ...], Tensor] = {}
        """By the names of an update's metrics: the first step (metrics, S) int64, or `_NEVER`."""

    def note(self, metrics: Metrics, step: int) -> list[Failure]:
        """Check the metrics of an update; returns the result of `read` if one is due, else nothing."""
        names = tuple(name for name in metrics if name.startswith(("loss/", "grad_norm/")))
        if not names:
            return []
        finite = torch.stack([metrics[name] for name in names]).isfinite()
        failed = torch.where(finite, _NEVER, step)
        self._first[names] = failed.minimum(self._first[names]) if names in self._first else failed
        self._unread += 1
        return self.read() if self._unread >= self._every else []

    def read(self) -> list[Failure]:
        """Failures noted so far, earliest first: of a seed, the first of all metrics with the same names."""
        self._unread = 0
        failures = []
        for names, first in self._first.items():
            rows = torch.arange(len(names), device=first.device)[:, None]
            # If several metrics fail at one step, report the first in the update's order.
            earliest = (first * len(names) + rows).amin(dim=0).cpu()
            found = [divmod(number, len(names)) for number in earliest.tolist()]
            failures += [
                Failure(seed, names[row], step) for seed, (step, row) in enumerate(found) if step < _NEVER
            ]
        return sorted(failures, key=lambda failure: failure.step)


class Recorder:
    """Averages of training metrics since the last log interval, and the clocks of the runs.

    Every seed has a clock of its own: before it joined the population it may have trained with others.

    Args:
        seeds: size S of the population.
        device: device of the metrics.
    """

    def __init__(self, seeds: int, device: str = "cpu") -> None:
        self._seeds, self._device = seeds, device
        self.clocks = [0.0] * seeds
        """Wall-clock seconds that each seed's run has taken."""
        self.clear()

    def clear(self) -> None:
        """Begin a new interval; the clocks continue."""
        self._steps = 0
        self._counts: dict[str, int] = {}
        self._sums: Metrics = {}
        self._episodes: list[list[tuple[float, int]]] = [[] for _ in range(self._seeds)]
        self._seconds = {"act": 0.0, "environment": 0.0, "update": 0.0}

    def add(self, metrics: Metrics) -> None:
        """Add the metrics of one update, each (S,); they stay on their device."""
        for name, value in metrics.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
            self._counts[name] = self._counts.get(name, 0) + 1

    def add_episode(self, seed: int, episode_return: float, length: int) -> None:
        """Add a finished training episode of one seed."""
        self._episodes[seed].append((episode_return, length))

    def add_time(self, **seconds: float) -> None:
        """Add the wall-clock seconds of one step: of acting, environments and updates."""
        self._steps += 1
        for name, value in seconds.items():
            self._seconds[name] += value
        self.advance(sum(seconds.values()))

    def advance(self, seconds: float) -> None:
        """Add wall-clock seconds to every seed's clock."""
        self.clocks = [clock + seconds for clock in self.clocks]

    def averages(self) -> list[dict[str, float]]:
        """Mean of every metric, per seed, over the interval's updates that reported it."""
        names = list(self._sums)
        means = [self._sums[name] / self._counts[name] for name in names]
        table = torch.stack(means).cpu() if names else None
        rows = []
        for i in range(self._seeds):
            row = {} if table is None else dict(zip(names, table[:, i].tolist(), strict=True))
            if self._episodes[i]:
                returns, lengths = zip(*self._episodes[i], strict=True)
                row["train/return"], row["train/length"] = float(np.mean(returns)), float(np.mean(lengths))
            for name, seconds in self._seconds.items():
                row[f"time/{name}_ms"] = 1000.0 * seconds / max(self._steps, 1)
            row["time/steps_per_second"] = self._steps / max(sum(self._seconds.values()), 1e-9)
            rows.append({name: value for name, value in row.items() if np.isfinite(value)})
        return rows

    def state(self, seed: int) -> dict[str, Any]:
        """One seed's running averages, and its clock."""
        return {
            "counts": dict(self._counts),
            "steps": self._steps,
            "seconds": dict(self._seconds),
            "total_seconds": self.clocks[seed],
            "episodes": [list(episode) for episode in self._episodes[seed]],
            "sums": {name: value[seed : seed + 1].cpu() for name, value in self._sums.items()},
        }

    def load_state(self, seed: int, state: dict[str, Any]) -> None:
        """Restore one seed's state; times of the interval are the population's."""
        self._counts, self._steps = dict(state["counts"]), state["steps"]
        self._seconds, self.clocks[seed] = dict(state["seconds"]), state["total_seconds"]
        self._episodes[seed] = [(value, length) for value, length in state["episodes"]]
        for name, value in state["sums"].items():
            if name not in self._sums:
                # Checkpoints are always loaded on the CPU.
                self._sums[name] = torch.zeros(self._seeds, dtype=value.dtype, device=self._device)
            self._sums[name][seed] = value[0]
