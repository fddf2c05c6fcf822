"""Selection of stored runs by names that someone typed."""

from pathlib import Path

from alm.errors import UserError
from alm.names import nearest
from alm.task_registry import task_spec
from alm.training.scale import scale_named
from reproduce.lab.algorithms import ALGORITHMS, BASE, variant_named
from reproduce.lab.run_directories import directories_under
from reproduce.lab.settings import canonical_variant
from reproduce.lab.specs import RunFields, variant_parts
from reproduce.lab.store import Store, place_options


def wanted_runs(
    store: Store,
    algorithm: str | None = None,
    variant: str | None = None,
    task: str | None = None,
    scale: str | None = None,
    runs_dir: Path | None = None,
) -> RunFields:
    """Fields of the runs that have these names, in their canonical spelling; None: any.

    Args:
        store: stored runs.
        algorithm, variant, task, scale: names of runs.
        runs_dir: directory of runs in training, whose names are known, too; None: no search.

    Raises:
        UserError: the scale or task does not exist, the variant's settings are malformed, or neither the
            suite nor a run has the algorithm or variant.
    """
    if scale is not None:
        scale_named(scale)
    task = None if task is None else task_spec(task).name
    variant = None if variant is None else canonical_variant(variant)
    # A user's own algorithms and variants are known only by their runs.
    names: RunFields = {"algorithm": algorithm, "variant": variant}
    if any(names.values()) and not (
        store.runs(**names) or (runs_dir is not None and directories_under(runs_dir, **names))
    ):
        _require_known(algorithm, variant, place_options(store, runs_dir))
    return {"algorithm": algorithm, "variant": variant, "task": task, "scale": scale}


def _require_known(algorithm: str | None, variant: str | None, places: str) -> None:
    """Refuse names that the suite does not have.

    Args:
        algorithm, variant: the names.
        places: options of the command that lists the runs that were looked at.

    Raises:
        UserError: there is no such algorithm or variant.
    """
    if algorithm is not None and "/" in algorithm:
        of, _, name = algorithm.partition("/")
        raise UserError(f"{algorithm!r} is a variant: give algorithm {of!r} and variant {name!r}.")
    name = BASE.name if variant is None else variant_parts(variant).name
    known = [BASE.name, *(one for of in ALGORITHMS.values() for one in of.variants)]
    if algorithm is not None:
        variant_named(algorithm, name)
    elif name not in known:
        raise UserError(
            f"There is no variant {name!r} of any algorithm{nearest(name, known)}; python -m reproduce runs "
            f"--all{places} lists the stored runs with their variants, and python -m reproduce algorithms "
            "alm the variants of ALM."
        )
