"""Methods that someone names: the sides of a comparison, with their runs from store and run directories, and
further rows of a table or curves of a figure.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, Unpack

from alm.errors import UserError
from alm.names import nearest
from alm.training.scale import SCALES
from reproduce.exhibits.catalogue import label_of
from reproduce.exhibits.kinds import SHOWN_SCALES, FigureExhibit, Series, TableExhibit
from reproduce.lab.algorithms import ALGORITHMS, BASE
from reproduce.lab.archive import run_of_directory
from reproduce.lab.published import Footnote
from reproduce.lab.run_directories import directories_under, passing_over
from reproduce.lab.settings import canonical_variant
from reproduce.lab.specs import RunFields, method_name, train_command, variant_parts
from reproduce.lab.store import Store, StoredRun, place_options

_ADDED = Footnote(
    key="added",
    kind="protocol",
    short="no row of the paper; networks and settings are those of its runs",
    full="No row of the paper's table, but added to it. Networks and settings are those of its runs, "
    "whatever the scale says of the other rows.",
)
_PUBLISHED = ("authors", "published")
"""What someone may type who looks for published curves."""
_Shown = TypeVar("_Shown", TableExhibit, FigureExhibit)


def side_named(name: str) -> Series:
    """The side named ``"alm/my-idea"``, ``"alm/base[horizon=7]"``, or ``"alm"`` (unchanged), say.

    Its label is that of tables and figures (`label_of`).
    """
    algorithm, _, variant = name.partition("/")
    side = Series("", algorithm, canonical_variant(variant or BASE.name))
    return replace(side, label=label_of(side))


def told_apart(sides: Iterable[Series], taken: Iterable[str] = ()) -> list[Series]:
    """The sides; those that share a label, or have one that is taken, are named as on the command line."""
    sides = list(sides)
    count = Counter([*(side.label for side in sides), *taken])
    return [side if count[side.label] == 1 else replace(side, label=side.command_name) for side in sides]


def with_beside(exhibit: _Shown, names: Iterable[str], store: Store) -> _Shown:
    """A table or figure with a row or curve for each of some names, too, at the scales where it has runs.

    Raises:
        UserError: a name has a row or curve already, is that of another's, or has no stored run on a task
            and at a scale of the exhibit.
    """
    scales = SHOWN_SCALES if isinstance(exhibit, FigureExhibit) else SCALES
    added: list[Series] = []
    there = [one.label for one in exhibit.series]
    for side in told_apart(dict.fromkeys(map(side_named, names)), there):
        for one in exhibit.series:
            if (one.algorithm, one.variant, one.noise) == (side.algorithm, side.variant, ""):
                raise UserError(
                    f"{side.command_name} is in {exhibit.name} already, as {one.label}: leave it out."
                )
            if one.label == side.label:
                raise UserError(f"{exhibit.name} has another method of the name {side.label} already.")
        runs = store.runs(algorithm=side.algorithm, variant=side.variant)
        scales_there = [
            run.spec.scale
            for run in runs
            if run.spec.scale in scales and run.spec.task in exhibit.tasks_at(run.spec.scale)
        ]
        if not scales_there:
            scale = "laptop" if exhibit.tasks_at("laptop") else "paper"
            raise UserError(Shelf(store, None, scale).why_nothing(side, exhibit.tasks_at(scale)[0]))
        added.append(replace(side, group="added", remark=_ADDED, only_at=tuple(dict.fromkeys(scales_there))))
    return replace(exhibit, series=(*exhibit.series, *added), beside=tuple(added))


@dataclass(frozen=True)
class Shelf:
    """The runs of a scale, each from the store or from its run directory, whichever holds more of it.

    Without a directory of runs, only the store counts.
    """

    store: Store
    runs_dir: Path | None
    scale: str

    def runs(self, side: Series, task: str) -> list[StoredRun]:
        """The runs of one side on a task, by seed, including failed ones."""
        return self._held(task=task, algorithm=side.algorithm, variant=side.variant)

    def _held(self, **wanted: Unpack[RunFields]) -> list[StoredRun]:
        """The runs whose specification has the wanted values."""
        wanted["scale"] = self.scale
        held = {run.spec: run for run in self.store.runs(**wanted)}
        for spec, directory in directories_under(self.runs_dir, **wanted).items() if self.runs_dir else ():
            stored = held.get(spec)
            if stored is None or stored.status == "partial":
                with passing_over(directory):
                    found = run_of_directory(directory)
                    if found and (stored is None or found.last_step > stored.last_step):
                        held[spec] = replace(found, own=True)
        return [held[spec] for spec in sorted(held)]

    @property
    def _places(self) -> str:
        """Where runs were looked for, in words."""
        return f"{self.store} or {self.runs_dir}" if self.runs_dir else str(self.store)

    def why_nothing(self, side: Series, task: str) -> str:
        """The message for a side without a run to compare: which runs exist, and how to train one."""
        names = {run.spec: method_name(run.spec.algorithm, run.spec.variant) for run in self._held()}
        on_task = dict.fromkeys(name for spec, name in names.items() if spec.task == task)
        others = [name for name in on_task if name != side.command_name]
        instead = f"there are runs of {', '.join(others) or 'no other'}"
        # The user's own are known only by their runs, of which there may be some at another scale.
        stored = self.store.runs(algorithm=side.algorithm)
        scales = dict.fromkeys((*SCALES, *(run.spec.scale for run in stored)))
        relatives = [
            run for one in scales for run in replace(self, scale=one)._held(algorithm=side.algorithm)
        ]
        own = [run for run in relatives if run.spec.variant == side.variant]
        known = ALGORITHMS.get(side.algorithm)
        suite = (BASE.name, *known.variants) if known else ()
        variant = variant_parts(side.variant)[0]
        if side.label in _PUBLISHED and not relatives:
            return (
                f"{side.label!r} means published curves, which are no runs and cannot be compared: "
                "reproduce.published_curves() has them, and python -m reproduce table 1 --beside alm/my-idea "
                "shows published numbers beside those of your own method."
            )
        if variant not in suite and not own:
            if relatives or known:
                hint = nearest(variant, sorted({*suite, *(run.spec.variant for run in relatives)}))
                what = f"a variant {side.variant!r} of {side.algorithm}{hint}"
            else:
                hint = nearest(side.algorithm, [*ALGORITHMS, *(spec.algorithm for spec in names)])
                what = f"an algorithm {side.algorithm!r}{hint}"
            return (
                f"Neither the suite nor a run in {self._places} has {what}; one of your own must be trained "
                f"first (docs/new_variant.md); on {task} at {self.scale} scale {instead}."
            )
        failed = side.command_name in on_task
        on_task_at = dict.fromkeys(run.spec.scale for run in own if run.spec.task == task)
        elsewhere = " and ".join(scale for scale in on_task_at if scale != self.scale)
        plugin = next((run.provenance["plugin"]["file"] for run in own if "plugin" in run.provenance), "")
        command = train_command(side.algorithm, side.variant, task, self.scale, plugin=plugin)
        return (
            f"{'Every' if failed else 'No'} run of {side.command_name!r} on {task} at {self.scale} scale "
            f"{'has failed' if failed else f'is in {self._places}'}"
            f"{f' (there are some at {elsewhere} scale)' if elsewhere else ''}; {instead}; to train it: "
            f"python -m reproduce {command}{place_options(self.store, self.runs_dir)}"
        )
