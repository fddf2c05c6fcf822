"""The command that trains one algorithm on one task."""

import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from alm.errors import UserError
from alm.task_registry import TASKS
from alm.training.lease import EXIT_HELD, LeaseLostError, RunLockedError
from alm.training.run_directory import RunDirectory
from reproduce.commands.console import say
from reproduce.commands.options import WritesRuns
from reproduce.formats import on_one_line
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.archive import archive
from reproduce.lab.errors import EXIT_INTERRUPTED
from reproduce.lab.places import RUNS
from reproduce.lab.plugins import Plugin, load_plugin, mistakes_of
from reproduce.lab.resolved_runs import ResolvedRuns
from reproduce.lab.run_directories import UnreadableRunError
from reproduce.lab.run_states import why_failed
from reproduce.lab.specs import RunSpec, variant_options, variant_parts
from reproduce.lab.store import Store, StoredRun
from reproduce.lab.training import (
    as_begun,
    check_machine,
    check_until,
    group_by_step,
    open_run,
    require_storable,
    train_population,
)
from reproduce.tracking.following import start_follower

if TYPE_CHECKING:
    from alm.training.execution import Execution

_TASK = (
    f"Task: {', '.join(TASKS)}. Those of mbbl end at a fall only if their names end in -ET. Any task can "
    "have noise on observations (HalfCheetah-obsnoise-0.1) or on executed actions (HalfCheetah-dynnoise-0.3)."
)
_ALGORITHM = (
    f"Algorithm: {', '.join(ALGORITHMS)}; slbo learns mbbl tasks only. The command algorithms says what they "
    "are. Your own come from --plugin."
)
_VARIANT = (
    "Named variant of the algorithm; base is the unchanged algorithm. "
    + " ".join(
        f"For {name}: {', '.join(algorithm.variants)}."
        for name, algorithm in ALGORITHMS.items()
        if algorithm.variants
    )
    + " The command algorithms says what they change. Your own come from --plugin."
)


@dataclass(frozen=True)
class Train(WritesRuns):
    """Train an algorithm on a task.

    Repeating the command resumes interrupted runs and skips finished ones. A kill at any moment costs only
    the work since the last checkpoint, about two minutes. Seeds train together as one population (those of
    mbpo and slbo one after another), and no seed affects another. Seeds that another process is training are
    skipped.
    """

    task: Annotated[str, tyro.conf.arg(help=_TASK)]
    algorithm: Annotated[str, tyro.conf.arg(help=_ALGORITHM)] = "alm"
    variant: Annotated[str, tyro.conf.arg(help=_VARIANT)] = "base"
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Override one setting of the variant's configuration, as field=value; may be repeated. With horizon=7
    the run is stored as base[horizon=7]. A setting equal to the variant's own is dropped, so ALM with
    horizon=3 is just base. Values are numbers, true, false, none, words, or tuples such as 400,200. The
    command algorithms lists the settings."""
    plugin: Path | None = None
    """Your own Python file with more variants or algorithms; see docs/new_variant.md."""
    seeds: tuple[int, ...] = (0,)
    """Seeds to train, with spaces between them: --seeds 0 1 2."""
    scale: str = "laptop"
    """paper (the paper's Table 3), laptop (twenty minutes a seed for alm, four to a hundred for the others)
    or smoke (seconds; only to try things out)."""
    until: int | None = None
    """Stop at this many environment steps (a multiple of the evaluation interval), for instance where a
    table reads runs, and store the run as partial. A larger value, or none, continues the run."""
    device: str = "cpu"
    """Torch device, such as cpu, cuda or cuda:1."""
    threads: int = 1
    """CPU threads for tensor operations. Results are bit-exact only for the same number of threads."""
    precision: str = "float32"
    """float32, or bf16: layers in bfloat16, all else in float32; stored separately, as base+bf16."""
    compile: str = "auto"
    """Whether to compile updates with torch.compile, which makes some methods faster and first takes up to
    some minutes: on, off, or auto, which is on for every method of the suite but SAC-SVG and SLBO, at paper
    and laptop scale on a CPU, if there is a C++ compiler (docs/performance.md)."""
    runs_dir: Path = RUNS
    """Directory for runs in training."""
    track: bool = True
    """Log to MLflow while training (MLFLOW_TRACKING_URI; by default mlflow.db in the repository)."""

    def run(self) -> int:
        """Train the seeds that are missing; store those that finish."""
        plugin = load_plugin(self.plugin) if self.plugin else None
        with mistakes_of(plugin, self.algorithm, self.variant, self.runs_dir):
            return self._train(plugin)

    def _train(self, plugin: Plugin | None) -> int:
        from alm.training.execution import Execution
        from alm.training.loop import Interrupted

        self._require_plain_variant()
        resolved = ResolvedRuns.of(
            self.algorithm,
            self.variant,
            self.task,
            self.seeds,
            self.scale,
            plugin,
            self.precision,
            self.set,
        )
        if plugin and resolved.plugin is None:
            say(
                "warning",
                f"{self.algorithm}/{self.variant} is the suite's own, so the plugin {plugin.path} changes "
                f"nothing; it declares {', '.join(plugin.names)}: choose with --algorithm and --variant.",
            )
        check_machine(self.device, self.threads)
        check_until(resolved, self.until)
        store = self.opened()
        stored = require_storable(resolved, store)
        execution = Execution.choose(
            self.precision,
            self.compile,
            self.device,
            self.threads,
            resolved.agent_class,
            # A plugin is debugged more easily without, and may change before every run.
            lasts=self.scale != "smoke" and resolved.plugin is None,
        )
        if self.compile == "auto":
            execution = as_begun(execution, resolved, self.runs_dir)
        try:
            with ExitStack() as leases:
                opened, ended, held = self._open_runs(resolved, execution, store, stored, leases)
                with _tracked(opened if self.track else []):
                    lost = self._train_runs(resolved, execution, opened)
        except Interrupted as stop:
            print(stop, file=sys.stderr)
            return EXIT_INTERRUPTED
        # Runs that ended earlier are tried again: the store may have been full or unreachable then.
        directories = [*ended, *opened]
        if self.scale != "smoke":
            self._archive(directories, store)
        elif opened:
            option = "" if self.runs_dir == RUNS else " and --runs-dir"
            print(
                f"smoke runs are not stored: they are in {self.runs_dir}, which compare reads with "
                f"--scale smoke{option}"
            )
        if held or lost:
            return EXIT_HELD
        return 1 if any(directory.status == "failed" for directory in directories) else 0

    def _open_runs(
        self,
        resolved: ResolvedRuns,
        execution: "Execution",
        store: Store,
        stored: Mapping[RunSpec, StoredRun],
        leases: ExitStack,
    ) -> tuple[list[RunDirectory], list[RunDirectory], bool]:
        """Directories opened for training, those of runs that have ended, and whether others are held.

        ``leases`` closes the opened ones.
        """
        opened, ended, held = [], [], False
        for spec in resolved.specs:
            try:
                directory = open_run(resolved, spec, self.runs_dir, execution)
            except RunLockedError as error:
                held = True
                say("error", error)
                continue
            if directory is None:
                ended.append(RunDirectory(self.runs_dir / spec.relative_dir))
                print(on_one_line(f"{spec.label}: {_ending(ended[-1])}, see {ended[-1].path}"))
                continue
            leases.callback(directory.close)
            opened.append(directory)
            store.remove_abandoned(spec)
            if spec in stored and stored[spec].status == "done":
                say(
                    "warning",
                    f"{spec.label} is stored already ({store.place(stored[spec])}) and will be shown from "
                    f"there; the new run stays in {directory.path}. Choose other --seeds to add runs, or "
                    "another --store to keep both.",
                )
        return opened, ended, held

    def _train_runs(
        self, resolved: ResolvedRuns, execution: "Execution", opened: Sequence[RunDirectory]
    ) -> bool:
        """Train, population by population; returns whether the lease of one was lost to another process."""
        lost = False
        for group in group_by_step(opened, resolved.agent_class.trains_seeds_apart):
            try:
                train_population(resolved, group, execution, self.until)
            except LeaseLostError as error:
                lost = True
                say("error", error)
        return lost

    def _require_plain_variant(self) -> None:
        """Refuse the name that a run with settings or precision is stored as.

        Raises:
            UserError: the variant is such a name; the message has the options that mean it.
        """
        name = variant_parts(self.variant).name
        if name and name != self.variant:
            raise UserError(
                f"--variant takes a name without settings and precision, not {self.variant!r}: write "
                f"{shlex.join(variant_options(self.variant))} instead."
            )

    def _archive(self, directories: Sequence[RunDirectory], store: Store) -> None:
        """Store runs that have ended, and all of them if they were to end at ``--until``.

        Raises:
            UserError: some cannot be read; the others are stored.
        """
        unread = []
        for directory in directories:
            if directory.status == "unfinished" and self.until is None:
                continue
            try:
                for path in archive(directory, store):
                    print(f"stored {path}")
            except UnreadableRunError as error:
                unread.append(str(error))
        if unread:
            raise UserError("; ".join(unread))


def _ending(directory: RunDirectory) -> str:
    """How an earlier run ended, in words."""
    return f"has failed ({why_failed(directory)})" if directory.status == "failed" else "has ended already"


@contextmanager
def _tracked(directories: Sequence[RunDirectory]) -> Iterator[None]:
    """Have another process log these runs to MLflow while the block runs.

    If all runs have ended, wait until it has sent the rest; else it ends by itself soon after this process.
    """
    if not directories:
        yield
        return
    follower = start_follower([directory.path for directory in directories])
    yield
    if all(directory.status in ("done", "failed") for directory in directories):
        try:
            follower.wait(timeout=120)
        except subprocess.TimeoutExpired:
            print("MLflow is slow; this run is still being sent in the background", file=sys.stderr)
