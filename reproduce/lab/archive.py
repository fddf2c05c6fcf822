"""Archiving of run directories in a store: runs as records, and their policies beside these."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from alm.errors import UserError
from alm.training.bias import ValueSample
from alm.training.forms import TIMES
from alm.training.policies import write_policy
from alm.training.run_directory import PLUGIN_COPY, RunDirectory
from reproduce.lab.curves import run_scalars, sharing_seeds
from reproduce.lab.policies import is_of, policies_of, policies_stored, policy_path, stored_policy
from reproduce.lab.run_directories import UnreadableRunError, reading
from reproduce.lab.specs import RunSpec, spec_in
from reproduce.lab.store import Store, StoredRun, StoreWarning


def run_of_directory(directory: RunDirectory) -> StoredRun | None:
    """A run so far, as it is stored; None before its first evaluation, which a finished run cannot lack.

    It has one row per evaluation; training metrics are means over the log intervals since the previous
    evaluation. A run without DONE or FAILED is ``"partial"``.
    """
    # Read first: a run that ends meanwhile counts as partial, and its own process stores all of it.
    ended = directory.status
    rows: list[dict[str, Any]] = []
    since: list[dict[str, float]] = []
    evaluations: list[dict[str, Any]] = []
    for line in directory.metrics():
        if "returns" not in line:
            since.append(line["metrics"])
            continue
        row = {name: line[name] for name in TIMES}
        evaluations.append(line)
        # Versions before 0.16 wrote no lengths.
        episodes = {"eval/returns": line["returns"], "eval/lengths": line.get("lengths", [])}
        rows.append(dict(pd.DataFrame(since).mean()) | line["metrics"] | row | episodes)
        since = []
    if not rows:
        if ended == "done":
            raise UserError("it is done, but has no evaluation")
        return None

    record = directory.read_json("config.json")
    provenance = directory.read_json("provenance.json")
    if "command" not in provenance:
        raise UserError("provenance.json lacks the command")
    if (text := directory.path / PLUGIN_COPY).exists():
        # A stored run outlives its directory. Bytes, line endings included, because the digest covers them.
        provenance["plugin"]["text"] = text.read_bytes().decode()
    if (population := sharing_seeds(evaluations)) is not None:
        provenance["population"] = population
    frame = pd.DataFrame(rows)
    final = run_scalars(evaluations)
    status, reason = "partial", None
    if ended == "done":
        status, done = "done", directory.read_json("DONE")
        provenance["finished_ms"] = done["finished_ms"]
        final["cost/peak_memory_bytes"] = float(done["peak_memory_bytes"])
    elif ended == "failed":
        status, reason = "failed", directory.failure()
    spec = RunSpec.from_dict(record["spec"])
    # It may have been edited while the run was trained; wherever the directory lies now.
    spec_in(record, spec.relative_dir)
    return StoredRun(
        spec=spec,
        config=record["config"],
        protocol=record["protocol"],
        provenance=provenance,
        status=status,
        evaluations=frame,
        final=final,
        reason=reason,
    )


def archive(directory: RunDirectory, store: Store) -> Iterator[Path]:
    """Store a run so far and its policies, file by file; gives the new files.

    Policies that cannot be stored give a warning.

    Raises:
        UnreadableRunError: something of the run is damaged.
    """
    if (run := archive_run(directory, store)) is not None:
        yield run
    try:
        yield from archive_policies(directory, store)
    except UnreadableRunError as error:
        warnings.warn(str(error), StoreWarning, stacklevel=2)
    except (OSError, UserError) as error:
        warnings.warn(f"no policy is kept of {directory.path}: {error}", StoreWarning, stacklevel=2)


def archive_run(directory: RunDirectory, store: Store) -> Path | None:
    """Store a run so far with its value samples, unless the store holds more of it; returns its file.

    Raises:
        UnreadableRunError: something in the directory is damaged, or holds what no store takes.
    """
    with reading(directory):
        run = run_of_directory(directory)
    if run is None or not _is_news(run, store.get(run.spec)):
        return None
    evaluated = set(run.evaluations["step"])
    with reading(directory):
        pairs = [_pairs(step, sample) for step, sample in directory.values() if step in evaluated]
    try:
        # Once more before each file, since whoever trains it may have stored its end meanwhile.
        if pairs and _is_news(run, store.get(run.spec)):
            store.write_values(run, pd.concat(pairs, ignore_index=True))
        return store.write(run) if _is_news(run, store.get(run.spec)) else None
    except ValueError as error:
        raise UnreadableRunError(directory.path, error, "stored") from error


def _is_news(run: StoredRun, stored: StoredRun | None) -> bool:
    """Whether a record says more than the stored one: with equal evaluations, how the run ended."""
    if stored is None:
        return True
    if stored.status == "done" or stored.last_step > run.last_step:
        return False
    return run.last_step > stored.last_step or run.status not in ("partial", stored.status)


def _pairs(step: int, sample: ValueSample) -> pd.DataFrame:
    """A measurement as rows of the store's value file (`reproduce.lab.store.VALUE_COLUMNS`)."""
    index = {"step": step, "episode": sample.episode, "episode_step": sample.step}
    return pd.DataFrame({**index, "monte_carlo": sample.monte_carlo, **sample.estimates})


def archive_policies(directory: RunDirectory, store: Store) -> list[Path]:
    """Store the policies of a stored run beside it; returns the new files.

    Nothing is stored for a failed run, or if policies of another seed are there.

    Raises:
        UnreadableRunError: something in the directory is damaged.
        PolicyFileError: a policy to be stored is damaged.
    """
    with reading(directory):
        spec = RunSpec.from_dict(directory.read_json("config.json")["spec"])
    run = store.get(spec)
    others = {held for held, _ in policies_stored(store) if held.cell == spec.cell}
    if run is None or run.status == "failed" or others - {spec}:
        return []
    with reading(directory):
        policies = policies_of(directory)
    written = []
    for kind, policy in policies.items():
        path = policy_path(store, spec, kind)
        if is_of(policy, run) and not (
            path.exists() and stored_policy(path, spec, kind).record == policy.record
        ):
            write_policy(path, policy.tensors(), policy.record)
            written.append(path)
    return written
