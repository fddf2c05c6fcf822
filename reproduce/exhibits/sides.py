"""The two algorithms or variants of a comparison: names, and runs from the store and from run directories."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from reproduce.lab.algorithms import nearest
from reproduce.lab.archive import UnreadableRunError, directories_under, record_of_directory
from reproduce.lab.planning import variant_options
from reproduce.lab.settings import canonical_variant
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store, StoredRun, StoreMixError, StoreWarning

__all__ = ["Shelf", "Side"]


@dataclass(frozen=True)
class Side:
    """One of the two: an algorithm, or a variant of it."""

    algorithm: str
    variant: str

    @classmethod
    def named(cls, name: str) -> "Side":
        """From ``"alm/my-idea"``, ``"alm/base[horizon=7]"``, or ``"alm"`` for the algorithm unchanged."""
        algorithm, _, variant = name.partition("/")
        return cls(algorithm, canonical_variant(variant or "base"))

    @property
    def name(self) -> str:
        """How the command line calls it."""
        return self.algorithm if self.variant == "base" else f"{self.algorithm}/{self.variant}"


@dataclass(frozen=True)
class Shelf:
    """Where runs of a scale are: each in the store or in its directory, whichever holds more of it.

    Without a directory of runs, the store alone counts.
    """

    store: Store
    runs_dir: Path | None
    scale: str

    def runs(self, side: Side, task: str) -> list[StoredRun]:
        """The runs of one side on a task, by seed.

        Raises:
            ValueError: there is none that has not failed; the message names the sides that there are.
            StoreMixError: they have different configurations.
        """
        runs = self._held(task=task, algorithm=side.algorithm, variant=side.variant)
        if all(run.status == "failed" for run in runs):
            raise ValueError(self._nothing(side, task, bool(runs)))
        for run in runs[1:]:
            if run.config != runs[0].config:
                parts = [part for part, value in run.config.items() if value != runs[0].config.get(part)]
                raise StoreMixError(
                    f"Seeds {runs[0].spec.seed} and {run.spec.seed} of {side.name} on {task} may not be "
                    f"pooled, because their configurations differ ({', '.join(parts)}): train them again as "
                    "one variant."
                )
        return runs

    def _held(
        self, task: str | None = None, algorithm: str | None = None, variant: str | None = None
    ) -> list[StoredRun]:
        held = {
            run.spec: run
            for run in self.store.runs(scale=self.scale, task=task, algorithm=algorithm, variant=variant)
        }
        for directory in directories_under(self.runs_dir) if self.runs_dir else ():
            spec = RunSpec.from_dict(directory.read_json("config.json")["spec"])
            stored = held.get(spec)
            if (
                spec.scale == self.scale
                and task in (None, spec.task)
                and algorithm in (None, spec.algorithm)
                and variant in (None, spec.variant)
                and (stored is None or stored.status == "partial")
            ):
                try:
                    run = record_of_directory(directory)
                except UnreadableRunError as error:
                    warnings.warn(str(error), StoreWarning, stacklevel=2)
                    continue
                if run and (stored is None or run.last_step > stored.last_step):
                    held[spec] = run
        return [held[spec] for spec in sorted(held)]

    def _nothing(self, side: Side, task: str, failed: bool) -> str:
        """What to say where a side has no run that could be compared."""
        held = self._held()
        tasks = list(dict.fromkeys(run.spec.task for run in held))
        if tasks and task not in tasks:
            return (
                f"There is no run of anything on {task!r} at {self.scale} scale{nearest(task, tasks)}; "
                f"there are runs on {', '.join(tasks)}."
            )
        specs = (run.spec for run in held if run.spec.task == task)
        sides = [Side(spec.algorithm, spec.variant).name for spec in specs]
        others = [name for name in dict.fromkeys(sides) if name != side.name]
        plugins = [
            run.provenance["plugin"]["file"]
            for run in held
            if (run.spec.algorithm, run.spec.variant) == (side.algorithm, side.variant)
            and "plugin" in run.provenance
        ]
        options = [f"--algorithm {side.algorithm}", variant_options(side.variant)]
        options += [f"--plugin {plugins[0]}"] if plugins else []
        return (
            f"{'Every' if failed else 'No'} run of {side.name!r} on {task} at {self.scale} scale "
            f"{'has failed' if failed else 'is stored'}{nearest(side.name, others)}; there are runs of "
            f"{', '.join(others) or 'no other'}, and what is missing comes from: python -m reproduce train "
            f"{' '.join(options)} --task {task} --scale {self.scale}"
        )
