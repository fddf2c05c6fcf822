"""Training of the runs of one command: what is checked before, their directories, and the training loop."""

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alm.errors import UserError
from alm.training.files import write_text
from alm.training.run_directory import PLUGIN_COPY, RunDirectory
from reproduce.formats import seeds_named
from reproduce.lab.missing import checkpointed
from reproduce.lab.places import WORKPLACE
from reproduce.lab.plugins import Plugin, frames_of
from reproduce.lab.provenance import provenance, resumed, was_compiled
from reproduce.lab.resolved_runs import ResolvedRuns
from reproduce.lab.run_directories import reading
from reproduce.lab.specs import RunSpec, config_digest, method_name, spec_in
from reproduce.lab.store import Store, StoredRun

if TYPE_CHECKING:
    from alm.training.execution import Execution


def keep_compiled_code() -> None:
    """Keep what torch.compile makes for the next run."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(WORKPLACE / ".cache" / "inductor"))


def check_machine(device: str, threads: int) -> None:
    """Check that this machine has the requested device and threads.

    Raises:
        UserError: torch cannot use the device, or threads are fewer than one or more than the cores.
    """
    import torch

    if threads < 1:
        raise UserError(f"The number of threads must be at least 1, not {threads}.")
    cores = os.cpu_count() or 1
    if threads > cores:
        raise UserError(f"The number of threads must be at most this machine's {cores} cores, not {threads}.")
    try:
        # A device without data, such as meta, creates tensors but cannot return a value.
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0][:120].rstrip(".")
        raise UserError(
            f"device {device!r} cannot be used ({reason}); choose cpu, or install a "
            "torch build with support for it"
        ) from None


def check_until(resolved: ResolvedRuns, until: int | None) -> None:
    """Check that training can stop at the requested step: at an evaluation within the run.

    Raises:
        UserError: it cannot.
    """
    every, total = resolved.training.eval_every, resolved.training.total_steps
    if until is not None and (until % every or not resolved.agent_config.warmup_steps < until <= total):
        raise UserError(
            f"--until {until} is not an evaluation step of this run: choose a multiple of {every} after the "
            f"{resolved.agent_config.warmup_steps} steps of the warm-up, up to {total}."
        )


def require_storable(resolved: ResolvedRuns, store: Store) -> dict[RunSpec, StoredRun]:
    """Check that the store can take the runs, before hours are spent on them; returns those already stored.

    Raises:
        UserError: the store holds another configuration of one of the runs.
        OSError: the store cannot be written.
    """
    if resolved.specs[0].scale != "smoke":
        store.require_writable()
    stored = {spec: run for spec in resolved.specs if (run := store.get(spec)) is not None}
    for spec, run in stored.items():
        if run.digest != config_digest(spec, resolved.config):
            raise _conflict(resolved, spec, store.place(run), "digest", run.digest, "--store")
    return stored


def as_begun(execution: "Execution", resolved: ResolvedRuns, root: Path) -> "Execution":
    """The execution, compiled only if all of the runs that go on were so: each keeps to one rounding."""
    ways = []
    for spec in resolved.specs:
        directory = RunDirectory(root / spec.relative_dir)
        # What is amiss with a directory is said when it is opened.
        with suppress(OSError, UserError):
            if directory.status == "unfinished" and (record := directory.find_json("provenance.json")):
                ways.append(was_compiled(record))
    return replace(execution, compiled=all(ways)) if ways else execution


def open_run(
    resolved: ResolvedRuns, spec: RunSpec, root: Path, execution: "Execution"
) -> RunDirectory | None:
    """Open a run's directory for training; ``None`` if the run has already ended.

    Raises:
        UserError: the directory holds another configuration or protocol of the same run, or a record that
            does not belong there.
        reproduce.lab.run_directories.UnreadableRunError: one of its records is missing or damaged.
        alm.training.checkpoint.DamagedError: no checkpoint is readable any more.
        alm.training.lease.RunLockedError: another process trains the run.
    """
    directory = RunDirectory(root / spec.relative_dir)
    found = directory.status
    begun = found != "new" and _is_begun(resolved, spec, directory)
    if found in ("done", "failed"):
        return None
    if found != "new":
        # Damage that would prevent training or storing the run is better found now.
        with reading(directory):
            if begun:
                directory.read_json("provenance.json")
            for name in ("population.json", "committed.json"):
                directory.find_json(name)
    directory.checkpoints.require_sound()
    directory.open()
    if directory.status != found:  # another process has trained it in the meantime
        directory.close()
        return open_run(resolved, spec, root, execution)
    if begun:
        record = directory.read_json("provenance.json")
        directory.write_json("provenance.json", resumed(record, checkpointed(spec, root), execution))
    else:
        origin = provenance(execution)
        if resolved.plugin:
            origin["plugin"] = resolved.plugin.record
            write_text(directory.path / PLUGIN_COPY, resolved.plugin.text)
        directory.write_json("provenance.json", origin)
        directory.write_json("config.json", resolved.record(spec))
    return directory


def _is_begun(resolved: ResolvedRuns, spec: RunSpec, directory: RunDirectory) -> bool:
    """Whether a directory that is not new holds the run; if not, the run may be begun there.

    Raises:
        UserError, reproduce.lab.run_directories.UnreadableRunError: as `open_run` does.
    """
    with reading(directory):
        stored = directory.read_json("config.json")
    if {"digest", "protocol"} - set(stored):
        raise UserError(
            f"{directory.path / 'config.json'} is not the record of a run: move {directory.path} away, "
            "or choose another --runs-dir"
        )
    record = resolved.record(spec)
    for what in ("digest", "protocol"):
        if stored[what] != record[what]:
            # An attempt without a checkpoint, perhaps due to an error in a plugin, leaves nothing to resume.
            if directory.status == "unfinished" and not directory.checkpoints.steps():
                return False
            raise _conflict(resolved, spec, directory.path, what, stored[what], "--runs-dir")
    try:
        spec_in(stored, spec.relative_dir)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{directory.path} cannot be trained ({str(error).rstrip('.')}): mend or move it, or choose "
            "another --runs-dir"
        ) from None
    return True


def _conflict(
    resolved: ResolvedRuns, spec: RunSpec, place: Path, what: str, stored: str, option: str
) -> UserError:
    cure = f"move or delete these files, or choose another {option}"
    if resolved.plugin and what == "digest":
        copy = place / PLUGIN_COPY
        old = f"go on with the old file (--plugin {shlex.quote(str(copy))}), or " if copy.is_file() else ""
        cure = f"{resolved.plugin.file} has changed since, so give the variant another name, or {old}{cure}"
    return UserError(
        f"{place} holds {spec.label} with another {what} ({stored}, now "
        f"{resolved.record(spec)[what]}): {cure}"
    )


def train_population(
    resolved: ResolvedRuns,
    directories: Sequence[RunDirectory],
    execution: "Execution",
    until: int | None = None,
) -> None:
    """Train the seeds of opened directories together, to the end of the run or to the step ``until``.

    The seeds must be at the same step; see `group_by_step`.

    Raises:
        alm.training.loop.Interrupted: training was asked to stop; the state is stored.
        UserError: there is not enough memory.
    """
    import torch

    from alm.tasks import make
    from alm.training.execution import execute, keep_freed_memory
    from alm.training.loop import Trainer
    from alm.training.progress import reporter

    torch.set_num_threads(execution.threads)
    keep_freed_memory()
    seeds = [directory.read_json("config.json")["spec"]["seed"] for directory in directories]
    spec = resolved.specs[0]
    name = method_name(spec.algorithm, spec.variant)
    title = f"{name} {spec.task} {spec.scale} {seeds_named(seeds)}"
    progress = reporter(title)
    progress.message(f"{title}: {execution.describe()}")
    keep_compiled_code()
    device = execution.device
    with _enough_memory(title, device, resolved.plugin):
        agent = resolved.agent(seeds, device)
        execute(agent, execution, progress.message)
        Trainer(
            agent,
            lambda: make(resolved.task),
            resolved.training,
            directories,
            progress,
            # On a CPU the other cores are for other runs; a GPU would wait for each simulator in turn.
            simulator_threads=1 if device == "cpu" else min(len(seeds), os.cpu_count() or 1),
            make_without_noise=(lambda: make(resolved.task.base))
            if resolved.task.base != resolved.task.name
            else None,
            until=until,
        ).run()


@contextmanager
def _enough_memory(title: str, device: str, plugin: Plugin | None) -> Iterator[None]:
    """Turn out-of-memory errors of torch and NumPy into one sentence.

    Raises:
        UserError: there is not enough memory.
    """
    try:
        yield
    except (MemoryError, OverflowError, RuntimeError) as error:
        if not _lacks_memory(error, plugin):
            raise
        raise UserError(
            f"{title} does not fit into the memory of {device}: choose smaller sizes or batches."
        ) from error


def _lacks_memory(error: Exception, plugin: Plugin | None) -> bool:
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # torch has its own exception type only for GPUs; what a plugin's code raises may mean anything.
    if plugin and frames_of(plugin.path, error):
        return False
    first = (str(error).splitlines() or [""])[0]
    return isinstance(error, OverflowError) or bool(
        re.search("memory|overflow|invalid dimension", first, re.I)
    )


def group_by_step(directories: Sequence[RunDirectory], apart: bool = False) -> list[list[RunDirectory]]:
    """Groups of directories that can train as populations: those with a common checkpoint, or each ``apart``.

    A population killed between the checkpoints of two seeds resumes together at the checkpoint before: the
    first group has the step that most directories share, the newest of such steps. Seeds without a checkpoint
    start together, along with seeds of their population that were killed at their first checkpoint.
    """
    if apart:
        return [[directory] for directory in directories]
    held = {directory: directory.checkpoints.steps() or [0] for directory in directories}
    begun = {seeds for directory, steps in held.items() if steps == [0] and (seeds := _population(directory))}
    for directory, steps in held.items():
        if len(steps) == 1 and _population(directory) in begun:
            held[directory] = [0]
    groups = []
    while held:
        common = Counter(step for steps in held.values() for step in steps)
        chosen = max(common, key=lambda step: (common[step], step))
        groups.append([directory for directory, steps in held.items() if chosen in steps])
        held = {directory: steps for directory, steps in held.items() if chosen not in steps}
    return groups


def _population(directory: RunDirectory) -> tuple[int, ...]:
    """The seeds of a run's original population; empty if it has not started."""
    return tuple((directory.find_json("population.json") or {}).get("seeds", ()))
