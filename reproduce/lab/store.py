"""The store of finished runs: one Parquet file per run, with evaluations as rows and its record as metadata.

A run lives at ``<root>/<algorithm>/<variant>/<task>/<scale>/seed-<n>.parquet``. The frame has one row per
evaluation; the record (specification, configuration, provenance, …) is one JSON object under the Parquet
key ``alm-run``, so any Parquet reader can open a run without this module.

Files beside it, if measured: ``seed-<n>.values.parquet`` holds the raw value estimates and returns of the
run's bias measurements, one row per state–action pair; ``seed-<n>.latents.parquet`` holds the predictions
of its model along one episode, one row per step. ``seed-<n>.last.safetensors`` and
``seed-<n>.best.safetensors`` are its policies (`reproduce.lab.policies`).
"""

import json
import math
import os
import shlex
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd
import pyarrow as pa

from alm.errors import UserError
from alm.training.files import remove_abandoned
from alm.training.forms import CONFIG, FINITE, PROVENANCE, TIMES, Form, listed, misfit, within
from alm.training.scale import SCALES
from reproduce.lab import parquet
from reproduce.lab.curves import Curve
from reproduce.lab.errors import reason_of
from reproduce.lab.places import IN_CLONE, OWN, RESULTS, RUNS, SHIPPED
from reproduce.lab.specs import RunFields, RunSpec, config_digest, may_hold, run_record, spec_in

SCHEMA = 1
"""Version of the file format."""

STATUSES = ("done", "partial", "failed")

EVALUATION_COLUMNS: Mapping[str, pa.DataType] = {
    "step": pa.int64(),
    "training_step": pa.int64(),
    "wall_seconds": pa.float64(),
    "time_ms": pa.int64(),
    "eval/return": pa.float64(),
    "eval/return_std": pa.float64(),
    "eval/length": pa.float64(),
    "eval/returns": pa.list_(pa.float64()),
}
"""Columns of every run: environment steps including warm-up, training steps, seconds since the start, epoch
milliseconds; then mean return, its std over episodes, mean episode length, and the return of each
episode. Further columns are float metrics such as ``loss/critic`` or ``time/update_ms``."""

_LATER_COLUMNS: Mapping[str, pa.DataType] = {"eval/lengths": pa.list_(pa.float64())}
"""Columns that runs of versions before 0.16 lack: the length of each episode, empty where it is not known."""

VALUE_COLUMNS: Mapping[str, pa.DataType] = {
    "step": pa.int32(),
    "episode": pa.int16(),
    "episode_step": pa.int16(),
    "monte_carlo": pa.float32(),
}
"""Columns of a value file: environment steps at the measurement, the pair's episode and its step in that
episode, and the discounted return from there. Further columns are estimates, such as ``min_q``."""

LATENT_COLUMNS: Mapping[str, pa.DataType] = {
    "step": pa.int32(),
    "encoded": pa.float32(),
    "predicted": pa.float32(),
    "sampled": pa.float32(),
    "squared_error": pa.float32(),
    "divergence": pa.float32(),
}
"""Columns of a latents file: step t of the episode; first coordinate of the representation as encoded, as
predicted from the first state, and as sampled along the way (`alm.prediction.Path`); errors of t-step
predictions, averaged over starts (`alm.prediction.PredictionErrors`), NaN at 0 and beyond their horizon."""


def _are_scalars(values: Any) -> bool:
    """Whether a value is an object of numbers; null stands for NaN and Inf."""
    return isinstance(values, dict) and all(one is None or FINITE(one) for one in values.values())


_RECORD: Form = {"config": CONFIG, "provenance": PROVENANCE, "final": _are_scalars}
_ROW = {**TIMES, "eval/returns": listed(FINITE, least=1), "eval/lengths": listed(within(0))}
_METADATA_KEY = b"alm-run"
_VALUES_SUFFIX, _LATENTS_SUFFIX = ".values.parquet", ".latents.parquet"
_DIGEST_KEY, _POLICY_KEY = b"alm-digest", b"alm-policy"


class StoreWarning(UserWarning):
    """A run that could not be read, or a policy that could not be stored, while the others were."""


_Version = tuple[int, int, int]
"""Inode, time of change and size of a file. Writes are renames, so whatever has changed is another file."""


@dataclass(frozen=True, eq=False, kw_only=True)
class StoredRun:
    """A stored run.

    Attributes:
        spec: which run.
        config: resolved configuration, nested, of JSON types only (tuples come back as lists).
        protocol: the task's definition and simulator versions, such as ``"v2-gymnasium1.4.0-mujoco4.0.0"``.
        provenance: git_sha, git_dirty, command, packages, hardware, device, started_ms, finished_ms, ….
        status: ``"done"``, ``"partial"`` (stopped or still running) or ``"failed"``.
        reason: why the run failed; None unless it did.
        final: scalars of the whole run; NaN and Inf are stored as null and come back as NaN.
        evaluations: one row per evaluation, at least one, by increasing ``step``; columns are
            `EVALUATION_COLUMNS`, ``eval/lengths`` except in old runs, and float metrics.
        own: whether it was read from the upper of two overlaid stores, the user's own.

    Raises:
        UserError: the status is unknown, a reason is missing or out of place, or there is no evaluation.
    """

    spec: RunSpec
    config: dict[str, Any]
    protocol: str
    provenance: dict[str, Any]
    status: str
    evaluations: pd.DataFrame
    final: dict[str, float] = field(default_factory=dict)
    reason: str | None = None
    own: bool = False

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise UserError(
                f"The status of {self.spec.label} must be one of {', '.join(STATUSES)}, not {self.status!r}."
            )
        if (self.status == "failed") != bool(self.reason):
            raise UserError(f"{self.spec.label} needs a reason if it failed, and only then.")
        if self.evaluations.empty:
            raise UserError(f"{self.spec.label} has no evaluation yet.")

    @cached_property
    def digest(self) -> str:
        """Its identity."""
        return config_digest(self.spec, self.config)

    @property
    def record(self) -> dict[str, Any]:
        """Its record, as in a run's ``config.json``."""
        return run_record(self.spec, self.protocol, self.config)

    @property
    def last_step(self) -> int:
        """Environment steps at the last evaluation."""
        return int(self.evaluations["step"].iloc[-1])

    def curve(self, metric: str = "eval/return") -> Curve:
        """A column of the evaluations by environment step.

        Raises:
            KeyError: there is no such column.
        """
        steps, values = self.evaluations["step"], self.evaluations[metric]
        return Curve(steps.to_numpy(np.int64), values.to_numpy(np.float64))

    @property
    def code(self) -> str:
        """The first digits of its code version; a plus sign marks uncommitted changes."""
        changed = "+" if self.provenance.get("git_dirty") else ""
        return f"{self.provenance.get('git_sha', 'unknown')[:7]}{changed}"

    @property
    def seed_hours(self) -> float:
        """Hours per seed, evaluations included: a population's hours divided by its size; NaN if unknown."""
        return self.final.get("cost/wall_h", math.nan) / self.provenance.get("population", math.nan)

    @property
    def training_seconds(self) -> pd.Series:
        """Training seconds per seed up to each evaluation, without the time of evaluations.

        The time of a population is divided by its size; NaN if the size is unknown.
        """
        evaluating = self.evaluations.get("time/evaluation_s", pd.Series(np.nan, self.evaluations.index))
        seconds = self.evaluations["wall_seconds"] - evaluating.cumsum()
        return seconds / self.provenance.get("population", np.nan)


class Store:
    """Finished runs under one directory, optionally overlaid on those of another.

    A file is read, and warned of if it is damaged, again only after it has been replaced. One that the system
    refuses is tried again each time.

    Args:
        root: directory in which runs are written; it need not exist for reading.
        beneath: second directory, only read: it provides a run unless ``root`` has more evaluations of it.
    """

    def __init__(self, root: Path, beneath: Path | None = None) -> None:
        self.root, self.beneath = root, beneath
        self._held: dict[Path, tuple[_Version, StoredRun | None]] = {}

    def __str__(self) -> str:
        """Its directories in words: ``"runs/store or results/runs"``."""
        return " or ".join(map(str, reversed(self.roots)))

    def path(self, spec: RunSpec) -> Path:
        """The file of a run, whether or not it is stored."""
        return self.root / _relative_file(spec)

    def require_writable(self) -> None:
        """Check that the directory is writable.

        Raises:
            OSError: it is not.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.root) as file:
            file.write(b"a run of some kilobytes will follow")

    def remove_abandoned(self, spec: RunSpec) -> None:
        """Remove files that killed writers of a run left; to be called only by the holder of its lease."""
        path = self.path(spec)
        remove_abandoned(path.parent, f"{path.stem}.")

    def write(self, run: StoredRun) -> Path:
        """Store ``run``, replacing an earlier record of the same specification, and return its file.

        The write is atomic. The bytes depend only on the content and the version of pyarrow: columns after
        the required ones are ordered by name, and the keys of the record are sorted.

        Raises:
            UserError: a required column is missing, a metric is not numeric, the steps do not increase, a
                return is not finite, or a time is not plausible.
            TypeError: configuration or provenance cannot be written as JSON.
        """
        path, metadata = self.path(run.spec), {_METADATA_KEY: _record_json(run)}
        # Dictionaries and column statistics would double the size of a file of some sixty rows.
        parquet.write(path, _to_table(run), metadata, use_dictionary=False, write_statistics=False)
        return path

    def write_values(self, run: StoredRun, pairs: pd.DataFrame) -> Path:
        """Store the value samples of ``run``, replacing earlier ones, and return their file.

        Raises:
            UserError: a column of `VALUE_COLUMNS` is missing, there is no estimate, or a value is no
                number.
        """
        estimates = sorted(set(pairs.columns) - set(VALUE_COLUMNS))
        missing = [name for name in VALUE_COLUMNS if name not in pairs.columns]
        if missing or not estimates:
            raise UserError(f"The value samples of {run.spec.label} lack {missing or 'an estimate'}.")
        columns = dict(VALUE_COLUMNS) | dict.fromkeys(estimates, pa.float32())
        path = self.path(run.spec).with_suffix(_VALUES_SUFFIX)
        parquet.write(
            path,
            parquet.table_of(pairs, columns),
            {_DIGEST_KEY: run.digest.encode()},
            use_dictionary=["step", "episode", "episode_step"],
            use_byte_stream_split=["monte_carlo", *estimates],
            write_statistics=False,
        )
        return path

    def values(self, run: StoredRun, estimates: Iterable[str] = ()) -> pd.DataFrame | None:
        """The value samples of a stored run, by step; None if missing or, with a warning, broken.

        A file without one of the given ``estimates`` is broken.
        """
        columns = {**VALUE_COLUMNS, **dict.fromkeys(estimates, pa.float32())}
        table = _beside(self.place(run).with_suffix(_VALUES_SUFFIX), run, columns)
        if table is None:
            return None
        pairs: pd.DataFrame = table.to_pandas()
        return pairs[pairs["step"] <= run.last_step]

    def estimates(self, run: StoredRun) -> frozenset[str]:
        """Estimates in the run's value file; empty if the file is missing or, with a warning, broken."""
        table = _beside(self.place(run).with_suffix(_VALUES_SUFFIX), run, VALUE_COLUMNS)
        return frozenset(table.column_names if table else ()) - set(VALUE_COLUMNS)

    def write_latents(self, run: StoredRun, steps: pd.DataFrame, policy: str) -> Path:
        """Store the predictions of a run's model, replacing an earlier file, and return the file.

        Args:
            run: the run of the model.
            steps: one row per step, with the columns `LATENT_COLUMNS`.
            policy: label of the run whose policy acted in the episode.
        """
        path = self.path(run.spec).with_suffix(_LATENTS_SUFFIX)
        metadata = {_DIGEST_KEY: run.digest.encode(), _POLICY_KEY: policy.encode()}
        parquet.write(path, parquet.table_of(steps, LATENT_COLUMNS), metadata)
        return path

    def latents(self, run: StoredRun) -> tuple[pd.DataFrame, str] | None:
        """The steps and policy that `write_latents` stored; None if missing or, with a warning, broken."""
        # Latents are measured after training: those of a run in the store beneath are written to this one.
        relative = _relative_file(run.spec).with_suffix(_LATENTS_SUFFIX)
        for root in reversed(self.roots):
            if (table := _beside(root / relative, run, LATENT_COLUMNS, _POLICY_KEY)) is not None:
                return table.to_pandas(), table.schema.metadata[_POLICY_KEY].decode()
        return None

    def place(self, run: StoredRun) -> Path:
        """The file from which a run was read."""
        root = self.root if run.own or self.beneath is None else self.beneath
        return root / _relative_file(run.spec)

    def get(self, spec: RunSpec) -> StoredRun | None:
        """The stored run of ``spec``; None if missing or, with a warning, broken."""
        found = [root / _relative_file(spec) for root in self.roots]
        return self._further(spec, [path for path in found if path.exists()])

    def runs(self, **wanted: Unpack[RunFields]) -> list[StoredRun]:
        """Every stored run whose specification has the wanted values, sorted by specification.

        Only matching files are opened. A file that cannot be read, or whose path does not name a run, gives
        one `StoreWarning` and is skipped. Where the latter is in a folder that no wanted run could be
        in, nothing wanted is left out, and the warning is a plain `UserWarning`.
        """
        found: dict[RunSpec, list[Path]] = {}
        for root in self.roots:
            # Links are followed only by the second pattern, files in strange places are found by the first.
            for path in sorted({*root.glob("**/*.parquet"), *root.glob("*/*/*/*/*.parquet")}):
                if path.name.endswith((_VALUES_SUFFIX, _LATENTS_SUFFIX)):
                    continue
                place = path.relative_to(root).with_suffix("")
                try:
                    spec = RunSpec.from_relative_dir(place)
                except UserError as error:
                    category = StoreWarning if may_hold(place.parent, **wanted) else UserWarning
                    _warn(path, str(error), "move it away", category)
                    continue
                if spec.matches(**wanted):
                    found.setdefault(spec, []).append(path)
        runs = (self._further(spec, found[spec]) for spec in sorted(found))
        return [run for run in runs if run is not None]

    @property
    def roots(self) -> list[Path]:
        """The directories to read, lowest first."""
        return [self.root] if self.beneath is None else [self.beneath, self.root]

    def _further(self, spec: RunSpec, paths: list[Path]) -> StoredRun | None:
        """The furthest of one run's files, given lowest first; of equals the first."""
        runs = [run for path in paths if (run := self._read(path, spec)) is not None]
        return max(runs, key=lambda run: run.last_step, default=None)

    def _read(self, path: Path, spec: RunSpec) -> StoredRun | None:
        # One bad file must not stop the others from being read; pyarrow and json raise many types.
        try:
            # To open a file asks a file server for it; its attributes alone may come from a cache.
            with path.open("rb") as file:
                state = os.fstat(file.fileno())
            version = state.st_ino, state.st_mtime_ns, state.st_size
            held, run = self._held.get(path, (None, None))
            if held == version:
                return run
            own = self.beneath is not None and path.is_relative_to(self.root)
            run = replace(_from_table(parquet.read(path), spec), own=own)
        except Exception as error:
            _warn_of(path, error)
            # What the system refuses now it may give later; pyarrow's own errors of damage have no number.
            if isinstance(error, OSError) and error.errno is not None:
                return None
            run = None
        if run is not None and (problem := _of_another_scale(run)):
            _warn(path, problem, "delete it or train it again")
            run = None
        self._held[path] = version, run
        return run


def default_store(own: bool = True) -> Store:
    """The store of commands and notebooks: the user's own runs over the repository's, or the latter alone."""
    return Store(OWN, SHIPPED) if own else Store(SHIPPED)


def place_options(store: Store, runs_dir: Path | None = None) -> str:
    """The options that name a store and a directory of runs, where they are not the default ones.

    Each has a space before it: they go behind a command.
    """
    words = []
    if runs_dir is not None and runs_dir.resolve() != RUNS.resolve():
        words += ["--runs-dir", str(runs_dir)]
    if store.root.resolve() not in (OWN.resolve(), SHIPPED.resolve()):
        words += ["--store", str(store.root)]
    return f" {shlex.join(words)}" if words else ""


def _of_another_scale(run: StoredRun) -> str | None:
    """Evidence that a run was trained under an earlier definition of its scale; None if there is none.

    The evidence is the evaluation interval, which depends on the scale alone.
    """
    scale, every = SCALES.get(run.spec.scale), run.config.get("training", {}).get("eval_every")
    if scale and every is not None and every != scale.eval_every:
        return (
            f"it was evaluated every {every} steps, so it was trained under another definition of "
            f"{scale.name!r}, and is not comparable with today's runs, evaluated every {scale.eval_every}"
        )
    return None


def _relative_file(spec: RunSpec) -> Path:
    directory = spec.relative_dir
    return directory.with_name(f"{directory.name}.parquet")


def _beside(path: Path, run: StoredRun, columns: Mapping[str, pa.DataType], *texts: bytes) -> pa.Table | None:
    """A file beside a run; None if missing or, with a warning, not of the run's configuration.

    Its metadata has the texts of that configuration's digest and of some further keys.
    """
    if not path.exists():
        return None
    try:
        table = parquet.read(path)
        parquet.require_columns(table, columns, pa.float32())
        metadata = table.schema.metadata or {}
        digest, *_ = [metadata[key].decode() for key in (_DIGEST_KEY, *texts)]
        if digest != run.digest:
            raise UserError(f"it belongs to the configuration {digest}, not {run.digest}")
    except Exception as error:
        _warn_of(path, error)
        return None
    return table


def _warn_of(path: Path, error: Exception) -> None:
    shipped = IN_CLONE and path.resolve().is_relative_to(RESULTS)
    fix = f"run `git checkout -- {path}`" if shipped else "replace it by a sound copy"
    _warn(path, reason_of(error), f"{fix} or delete it")


def _warn(path: Path, problem: str, fix: str, category: type[Warning] = StoreWarning) -> None:
    sentence = f"{path} is left out ({problem}); {fix}; the other runs were read."
    warnings.warn(sentence, category, stacklevel=4)


def _to_table(run: StoredRun) -> pa.Table:
    columns = _columns_of(run.evaluations.columns)
    metrics = sorted(set(run.evaluations.columns) - set(columns))
    columns |= dict.fromkeys(metrics, pa.float64())
    table = parquet.table_of(run.evaluations, columns)
    _require_evaluations(table)
    return table


def _columns_of(names: Iterable[str]) -> dict[str, pa.DataType]:
    """The columns, besides metrics, of a run that has columns of these names."""
    return {**EVALUATION_COLUMNS, **{name: _LATER_COLUMNS[name] for name in names if name in _LATER_COLUMNS}}


def _require_evaluations(table: pa.Table) -> None:
    """Raise UserError unless columns are complete, steps increase, returns are finite, times plausible."""
    columns = _columns_of(table.column_names)
    parquet.require_columns(table, columns, pa.float64())
    if any(table[name].null_count for name in columns):
        raise UserError("an evaluation has gaps")
    steps, returns = table["step"].to_numpy(), table["eval/return"].to_numpy()
    if np.any(np.diff(steps) <= 0):
        raise UserError("its evaluation steps do not increase")
    if len(lost := steps[~np.isfinite(returns)]):
        raise UserError(f"its return at step {lost[0]} is not finite")
    for row in table.select([name for name in _ROW if name in columns]).to_pylist():
        if problem := misfit(row, _ROW):
            raise UserError(problem)


def _record_json(run: StoredRun) -> bytes:
    record = {
        **run.record,
        "schema": SCHEMA,
        "status": run.status,
        "reason": run.reason,
        "provenance": run.provenance,
        "final": {name: value if math.isfinite(value) else None for name, value in run.final.items()},
    }
    return json.dumps(record, sort_keys=True, allow_nan=False).encode()


def _from_table(table: pa.Table, spec: RunSpec) -> StoredRun:
    """The run in ``table``; raises some exception if it is not the run of ``spec``."""
    metadata = table.schema.metadata or {}
    if _METADATA_KEY not in metadata:
        raise UserError("it has no alm-run record")
    record = json.loads(metadata[_METADATA_KEY])
    if not isinstance(record, dict):
        raise UserError("its alm-run record is no object")
    if record["schema"] != SCHEMA:
        raise UserError(f"it has format {record['schema']}, this version reads {SCHEMA}")
    spec_in(record, spec.relative_dir, "alm-run record")
    if problem := misfit(record, _RECORD):
        raise UserError(problem)
    _require_evaluations(table)
    return StoredRun(
        spec=spec,
        status=record["status"],
        reason=record["reason"],
        protocol=record["protocol"],
        config=record["config"],
        provenance=record["provenance"],
        final={name: math.nan if value is None else value for name, value in record["final"].items()},
        evaluations=table.to_pandas(),
    )
