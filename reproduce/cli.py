"""The command line: train runs, see what is stored, print tables, look at runs in MLflow.

Bad input ends with one sentence and exit code 2; a mistake in the code of a plugin with one and 3; an
interrupted run with 130; a command that trained its runs but those that other processes train, with 75.
"""

import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console

from paper_figures.commands import Figure, Report, Theory
from reproduce.helptexts import describe, wrapped
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.errors import EXIT_INTERRUPTED, is_sentence
from reproduce.lab.places import CODE, WORKPLACE
from reproduce.lab.plugins import Plugin, PluginFailure, load_plugin, mistakes_of
from reproduce.lab.specs import variant_parts
from reproduce.options import OUT, RUNS, ReadsRuns, WritesRuns

if TYPE_CHECKING:
    from alm.training.run_directory import RunDirectory
    from reproduce.exhibits import Exhibit
    from reproduce.lab.policies import Policy
    from reproduce.lab.store import Store, StoredRun


_VARIANTS = (
    "Named change of the algorithm; base is the algorithm unchanged. "
    + " ".join(
        f"Of {name}: {', '.join(algorithm.variants)}."
        for name, algorithm in ALGORITHMS.items()
        if algorithm.variants
    )
    + " One of your own comes from --plugin."
)


@dataclass(frozen=True)
class Train(WritesRuns):
    """Train an algorithm on a task.

    The same command resumes what was interrupted and skips what is done. A kill at any moment loses the work
    since the last checkpoint, some two minutes, and never a result. Seeds train together as one population,
    those of mbpo and slbo one after another; none of them depends on the others. Seeds that another process
    trains are left to it.
    """

    task: str
    """T-Humanoid, T-Ant, HalfCheetah, Walker2d, Hopper, Ant or Humanoid; of the mbbl benchmark
    mbbl/HalfCheetah, mbbl/Walker2d, mbbl/Hopper, mbbl/Ant and mbbl/SlimHumanoid, which a fall does not end,
    and mbbl/Walker2d-ET, mbbl/Hopper-ET, mbbl/Ant-ET, mbbl/SlimHumanoid-ET and mbbl/Humanoid-ET, which it
    does; each also with noise on observations (HalfCheetah-obsnoise-0.1) or executed actions
    (HalfCheetah-dynnoise-0.3)."""
    algorithm: str = "alm"
    """Algorithm: alm, sac, td3, redq, sac-avg, td3-ours, mbpo, sac-svg2, sac-svg3, svg, or slbo (on mbbl
    tasks)."""
    variant: Annotated[str, tyro.conf.arg(help=_VARIANTS)] = "base"
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A setting of the configuration on top of the variant, field=value, such as horizon=7; may be repeated.
    The run is stored as base[horizon=7]; a setting that the variant has anyway is left out, so that ALM with
    horizon=3 is just base. Values are numbers, true, false, none, words, or tuples such as 400,200; a wrong
    name lists the settings that there are."""
    plugin: Path | None = None
    """A Python file of your own that declares further variants or algorithms: see docs/new_variant.md."""
    seeds: tuple[int, ...] = (0,)
    """Seeds to train."""
    scale: str = "laptop"
    """paper (the paper's Table 3), laptop (twenty minutes a seed) or smoke (seconds, no use)."""
    until: int | None = None
    """Stop at so many environment steps, a multiple of the evaluation interval, and store what there is as
    partial: as far as a table reads, say. The same command with more of them, or without, goes on."""
    device: str = "cpu"
    """Torch device, such as cpu, cuda or cuda:1."""
    threads: int = 1
    """CPU threads for tensor operations. Results are bit-exact for the same number only."""
    precision: str = "float32"
    """float32, or bf16: layers in bfloat16, all else in float32. Its runs are stored apart (base+bf16)."""
    compile: str = "auto"
    """Run updates through torch.compile: on, off, or auto, which is off (it does not pay on a CPU,
    see docs/performance.md)."""
    runs_dir: Path = RUNS
    """Where runs are kept while they train."""
    track: bool = True
    """Write to MLflow while training (MLFLOW_TRACKING_URI, by default mlflow.db in the repository)."""

    def run(self) -> int:
        """Train what is missing of the seeds; store what is done."""
        plugin = load_plugin(self.plugin) if self.plugin else None
        with mistakes_of(plugin, self.algorithm, self.variant, self.runs_dir):
            return self._train(plugin)

    def _train(self, plugin: Plugin | None) -> int:
        from alm.training.execution import Execution
        from alm.training.lease import EXIT_HELD, RunLockedError
        from alm.training.loop import Interrupted
        from alm.training.run_directory import RunDirectory
        from reproduce.lab.archive import UnreadableRunError, archive_run
        from reproduce.lab.training import (
            ResolvedRuns,
            check_machine,
            check_until,
            group_by_step,
            open_run,
            require_storable,
            train_population,
        )

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
        check_machine(self.device, self.threads)
        check_until(resolved, self.until)
        store = self.opened()
        stored = require_storable(resolved, store)
        execution = Execution.choose(self.precision, self.compile, self.device, resolved.agent_class)
        opened, ended, held = [], [], []
        try:
            with ExitStack() as leases:
                for spec in resolved.specs:
                    try:
                        directory = open_run(
                            resolved, spec, self.runs_dir, self.device, self.threads, execution
                        )
                    except RunLockedError as error:
                        held.append(error)
                        print(f"error: {error}", file=sys.stderr)
                        continue
                    if directory is None:
                        ended.append(RunDirectory(self.runs_dir / spec.relative_dir))
                        print(f"{spec.label}: {_ending(ended[-1])}, see {ended[-1].path}")
                        continue
                    leases.callback(directory.close)
                    opened.append(directory)
                    if spec in stored and stored[spec].status == "done":
                        _warn_of_stored(stored[spec], store, directory)
                with _tracked(opened if self.track else []):
                    for group in group_by_step(opened, resolved.seeds_apart):
                        train_population(resolved, group, self.device, self.threads, execution, self.until)
        except Interrupted as stop:
            print(stop, file=sys.stderr)
            return EXIT_INTERRUPTED
        unread = []
        if self.scale != "smoke":
            # What had ended may have found the store full or out of reach.
            for directory in (*ended, *opened):
                if directory.status == "unfinished" and self.until is None:
                    continue
                try:
                    if path := archive_run(directory, store):
                        print(f"stored {path}")
                    _keep_policies(directory, store)
                except UnreadableRunError as error:
                    unread.append(str(error))
        if unread:
            raise ValueError("; ".join(unread))
        if held:
            return EXIT_HELD
        return 1 if any(directory.status == "failed" for directory in (*ended, *opened)) else 0


def _warn_of_stored(run: "StoredRun", store: "Store", directory: "RunDirectory") -> None:
    """Say of a run that is stored to its end that training it again changes nothing of what is shown."""
    print(
        f"warning: {run.spec.label} is stored already ({store.place(run)}) and will be shown from there; "
        f"what is trained now stays in {directory.path}. Other --seeds add to it, another --store keeps "
        "both.",
        file=sys.stderr,
    )


def _keep_policies(directory: "RunDirectory", store: "Store") -> None:
    """Store the policies of a stored run; one that cannot be is said, and no reason to fail."""
    from reproduce.lab.policies import archive_policies

    try:
        for path in archive_policies(directory, store):
            print(f"stored {path}")
    except ValueError as error:
        # Also that this version knows its variant no more, by which a policy is taken from a checkpoint.
        print(f"warning: no policy is kept of {directory.path}: {error}", file=sys.stderr)


def _ending(directory: "RunDirectory") -> str:
    """How a run ended before, in words."""
    if directory.status != "failed":
        return "has ended already"
    from reproduce.lab.run_states import why_failed

    return f"has failed ({why_failed(directory)})"


@contextmanager
def _tracked(directories: "list[RunDirectory]") -> Iterator[None]:
    """Let another process write these runs to MLflow while the block runs.

    If they have all ended, wait for its last words; else it ends by itself, soon after this process.
    """
    if not directories:
        yield
        return
    from reproduce.tracking.following import start_follower

    follower = start_follower([directory.path for directory in directories])
    yield
    if all(directory.status in ("done", "failed") for directory in directories):
        try:
            follower.wait(timeout=120)
        except subprocess.TimeoutExpired:
            print("MLflow is slow; it goes on receiving this run in the background", file=sys.stderr)


@dataclass(frozen=True)
class Sync(ReadsRuns):
    """Bring MLflow up to date with every run directory and every stored run."""

    runs_dir: Path = RUNS
    """Where runs are kept while they train."""

    def run(self) -> int:
        """Send what MLflow does not have yet."""
        from reproduce.lab.archive import directories_under
        from reproduce.tracking.following import sync
        from reproduce.tracking.importing import import_published, import_store
        from reproduce.tracking.links import refresh_views

        sent = sync(directory.path for directory in directories_under(self.runs_dir))
        sent += import_store(self.opened()) + import_published()
        refresh_views()
        for problem in sent.problems:
            print(f"warning: {problem}", file=sys.stderr)
        print(f"sent {sent.points} values of {sent.runs} runs; MLflow is up to date")
        return 0


@dataclass(frozen=True)
class Ui(ReadsRuns):
    """Open MLflow on this machine with the stored runs imported."""

    port: int | None = None
    """Port on 127.0.0.1; by default 5000 if it is free, else any free one."""

    def run(self) -> int:
        """Serve until Ctrl-C."""
        from reproduce.tracking.ui import serve

        return serve(self.opened(), port=self.port)


@dataclass(frozen=True)
class Server:
    """Serve a database to which several people write their runs: an MLflow tracking server.

    Needs the extra [server]. One person needs none of this: see ui. How a lab runs it: docs/scaling.md.
    """

    database: str | None = None
    """Its address, such as postgresql://user@host/name; by default MLFLOW_BACKEND_STORE_URI. A password is
    better kept in that variable, in PGPASSWORD or in ~/.pgpass: other users of a machine see arguments."""
    artifacts: Path = WORKPLACE / "mlartifacts"
    """Folder of the runs' files, which the server alone reads and writes."""
    host: str = "127.0.0.1"
    """Address to listen on: this machine alone by default."""
    port: int | None = None
    """TCP port; by default 5000 if it is free, else any free one."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which other machines call the server, such as mlflow.lab.org. It answers to no others but
    those of this machine."""
    workers: int = 2
    """Processes that answer requests."""

    def run(self) -> int:
        """Serve until Ctrl-C."""
        from reproduce.tracking.server import Address
        from reproduce.tracking.ui import serve_database

        database = self.database or os.environ.get("MLFLOW_BACKEND_STORE_URI")
        if not database:
            raise ValueError(
                "A tracking server needs the address of its database: name it with --database or in "
                "MLFLOW_BACKEND_STORE_URI, as in postgresql://user@host/name (for one person: ui)."
            )
        if "://" not in database:
            raise ValueError(
                f"{database!r} is no address of a database: give one such as postgresql://user@host/name."
            )
        address = Address(host=self.host, port=self.port, names=self.allowed_hosts)
        return serve_database(database, self.artifacts, address, self.workers)


@dataclass(frozen=True)
class Archive(WritesRuns):
    """Store runs of the runs directory as far as they got, the unfinished ones as partial, and policies.

    The last and the best policy of one seed of each algorithm, variant, task and scale is stored; of a run
    that began with a version that kept none, the last alone, from its newest checkpoint.
    """

    runs_dir: Path = RUNS
    """Where runs are kept while they train."""

    def run(self) -> int:
        """Archive all but smoke runs; one that cannot be read keeps no other back."""
        from reproduce.lab.archive import UnreadableRunError, archive_run, directories_under

        store, unread = self.opened(), 0
        for directory in directories_under(self.runs_dir):
            if directory.read_json("config.json")["spec"]["scale"] != "smoke":
                try:
                    path = archive_run(directory, store)
                except UnreadableRunError as error:
                    print(f"warning: not stored: {error}", file=sys.stderr)
                    unread += 1
                else:
                    print(f"stored {path}" if path else f"nothing new in {directory.path}")
                    _keep_policies(directory, store)
        return 1 if unread else 0


@dataclass(frozen=True)
class Runs(ReadsRuns):
    """Say what is stored, what is being trained here, and how much of every exhibit is there."""

    all: bool = False
    """A line for each run, in the place of one for each task."""
    runs_dir: Path = RUNS
    """Where runs are kept while they train."""

    def run(self) -> int:
        """Print the list."""
        from reproduce.exhibits.inventory import print_inventory

        print_inventory(self.held(), self.runs_dir, _console(), self.all)
        return 0


Exhibits = Annotated[tuple[str, ...], tyro.conf.Positional]


@dataclass(frozen=True)
class PlanExhibits(ReadsRuns):
    """List what exhibits miss: runs, steps, operations, estimated hours, and the commands that train them."""

    exhibits: Exhibits
    """Names of tables and figures, such as table1 or figure5a; none: all of them."""
    scale: str = "laptop"
    """paper, laptop or smoke."""
    first_seeds: int | None = None
    """Only so many seeds of every cell."""
    workers: int | None = None
    """Also print how long it takes on so many cores, and on so many GPUs."""
    runs_dir: Path | None = None
    """Where runs are kept while they train, by default runs: what has a checkpoint there goes on from it."""

    def run(self) -> int:
        """Print the plan."""
        from reproduce.exhibits.coverage import missing_of
        from reproduce.exhibits.inventory import print_plan

        exhibits, store = _exhibits(self.exhibits), self.held()
        missing = missing_of(exhibits, store, self.scale, self.first_seeds, self.runs_dir or RUNS)
        print_plan(exhibits, missing, store, self.scale, _console(), self.workers)
        return 0


@dataclass(frozen=True)
class Grid(WritesRuns):
    """Train what exhibits miss, several runs at a time.

    A run that fails stops no other, one that was killed is tried again, and one that another process trains
    is waited for. The same command goes on after an interruption, skips what is stored, and picks up what was
    begun.
    """

    exhibits: Exhibits
    """Names of tables and figures, such as table1 or figure5a; none: all of them."""
    scale: str = "laptop"
    """paper, laptop or smoke."""
    first_seeds: int | None = None
    """Only so many seeds of every cell."""
    on: str = "local"
    """Where runs train: local (processes of this machine), ray (a Ray cluster) or slurm (job arrays); these
    two need pip install -e '.[ray]' or '.[slurm]': see docs/scaling.md."""
    address: str | None = None
    """With ray: the cluster's address; by default auto, the cluster that this machine belongs to."""
    partition: str | None = None
    """With slurm: the partition; by default SLURM's own."""
    hours: float | None = None
    """With slurm: time limit of a job, by default 24; before it ends, runs write checkpoints and are queued
    again."""
    per_gpu: int | None = None
    """With ray and cuda: jobs that share a GPU, by default 1."""
    workers: int | None = None
    """Jobs at a time; by default one for each core, or one population on a GPU; with ray and slurm as many
    as the cluster has room for."""
    device: str = "cpu"
    """Torch device, such as cpu, cuda or cuda:1."""
    runs_dir: Path = RUNS
    """Where runs are kept while they train; what they print is in its folder logs."""
    track: bool = True
    """Write to MLflow while training."""
    status: bool = False
    """Train nothing: show where the runs stand that these exhibits miss, or without names every run in the
    runs directory; from any machine that shares it."""

    def run(self) -> int:
        """Print the plan, then train."""
        if self.status:
            return self._print_states()
        from reproduce.exhibits.coverage import missing_of
        from reproduce.exhibits.inventory import print_plan
        from reproduce.lab.executors.choosing import Engine
        from reproduce.lab.grid import default_workers, jobs, run_grid
        from reproduce.lab.planning import Needs
        from reproduce.lab.training import check_machine
        from reproduce.tracking.client import resolve_uri

        engine = Engine(
            self.on, self.device, self.address, self.partition, self.hours, self.per_gpu, self.workers
        )
        if not engine.elsewhere:
            check_machine(self.device, threads=1)
        exhibits, store, console = _exhibits(self.exhibits), self.held(), _console()
        missing = missing_of(exhibits, store, self.scale, self.first_seeds, self.runs_dir)
        print_plan(exhibits, missing, store, self.scale, console)
        options = ["--runs-dir", str(self.runs_dir.resolve())]
        options += ["--store", str(self.store.resolve())] if self.store else []
        track = self.track
        if track and engine.elsewhere and not os.environ.get("MLFLOW_TRACKING_URI"):
            console.print(
                "MLFLOW_TRACKING_URI names no server for all nodes: make sync writes to MLflow later"
            )
            track = False
        options += [] if track else ["--no-track"]
        if not missing:
            return 0
        if uri := os.environ.get("MLFLOW_TRACKING_URI"):
            # Jobs run in the repository, from where a relative path leads elsewhere.
            os.environ["MLFLOW_TRACKING_URI"] = resolve_uri(uri)
        workers = self.workers or default_workers(self.device)
        if engine.elsewhere and self.workers is None:
            workers = sum(len(group.specs) for group in missing)  # an engine queues by itself
        needs = Needs(store, engine.gpus)
        work = jobs(missing, self.device, options, self.runs_dir, workers, needs.of)
        executor = engine.executor(self.runs_dir)
        try:
            return run_grid(work, executor, workers, self.runs_dir, console)
        finally:
            executor.close()

    def _print_states(self) -> int:
        from reproduce.exhibits.coverage import missing_of
        from reproduce.lab.run_states import print_states, state_of, states_under

        if self.exhibits:
            missing = missing_of(_exhibits(self.exhibits), self.held(), self.scale, self.first_seeds)
            wanted = ((spec, group.wanted) for group in missing for spec in group.specs)
            states = [state_of(spec, self.runs_dir, until) for spec, until in wanted]
        else:
            states = states_under(self.runs_dir)
        print_states(states, _console())
        return 0


def _console() -> Console:
    """A console for text with names of variants, in which ``[horizon=7]`` is no markup."""
    return Console(markup=False)


def _exhibits(names: tuple[str, ...]) -> "list[Exhibit]":
    from reproduce.exhibits import EXHIBITS, exhibit_named

    return [exhibit_named(name) for name in names or EXHIBITS]


@dataclass(frozen=True)
class Table(ReadsRuns):
    """Print a table of the paper and write it as Markdown, CSV and LaTeX.

    Table 1: returns on the benchmark's tasks. 2: how the methods differ, with gradient steps counted while
    agents learn. 3: ALM's hyper-parameters, printed, configured and stored. 4: ALM's networks, printed and as
    the code builds them. 5: ALM with an entropy bonus.
    """

    table: Annotated[Literal["1", "2", "3", "4", "5"], tyro.conf.Positional]
    """Its number."""
    protocol: Literal["A", "B", "printed"] = "A"
    """Of table 1. A: measured on the paper's tasks (gym's v2). B: every row measured on the tasks of Wang et
    al. (2019), from which most printed baselines are quoted. printed: the paper's numbers alone."""
    mix: bool = False
    """Pool runs of different task definitions or simulator versions in tables 1 and 5 all the same; the table
    says so."""
    context: bool = False
    """Of table 1: also what others published of later methods on gym's v4 tasks."""
    out: Path = OUT / "tables"
    """Where the files go."""

    def run(self) -> int:
        """Render the table."""
        from reproduce.exhibits import TABLE1, TABLE1_MBBL, TABLE5
        from reproduce.exhibits.code_tables import CODE_TABLES
        from reproduce.exhibits.scores import score_table
        from reproduce.exhibits.writing import render

        if self.table != "1" and (self.protocol != "A" or self.context):
            raise ValueError("Only table 1 has protocols and a context: leave --protocol and --context out.")
        store, make = self.opened(), CODE_TABLES.get(f"table{self.table}")
        exhibit = TABLE5 if self.table == "5" else TABLE1_MBBL if self.protocol == "B" else TABLE1
        measured = self.protocol != "printed"
        options = measured, self.mix, self.context
        table = (lambda: make(store)) if make else (lambda: score_table(exhibit, store, *options))
        render(table, self.out, _console())
        return 0


@dataclass(frozen=True)
class Compare(ReadsRuns):
    """Compare two algorithms or variants: numbers with intervals, both curves, and where MLflow has them.

    For instance: python -m reproduce compare alm/no-kl alm --task HalfCheetah
    """

    first: Annotated[str, tyro.conf.Positional]
    """An algorithm, such as redq, or a variant, such as alm/no-kl, alm/my-idea (no plugin is needed) or
    'alm/base[horizon=7]' (in quotation marks: brackets are special to some shells)."""
    second: Annotated[str, tyro.conf.Positional]
    """What it is compared with, such as alm."""
    task: tuple[str, ...]
    """One or more tasks."""
    scale: str = "laptop"
    """paper, laptop or smoke; scales never mix."""
    metric: Literal["return", "window"] = "return"
    """return: of the evaluation at the last step that all seeds of both have reached. window: mean return of
    the evaluations in the last tenth of the steps until then."""
    runs_dir: Path | None = None
    """Where runs are kept while they train: they count as far as they got. By default runs, and nowhere with
    --store or --no-own."""
    out: Path = OUT / "comparisons"
    """Where the curves (PNG, PDF, CSV) and the numbers (CSV) go."""

    def run(self) -> int:
        """Print and draw the comparison."""
        from paper_figures.comparison import write
        from reproduce.exhibits.comparison import Comparison, print_comparison
        from reproduce.tracking.client import TrackingError
        from reproduce.tracking.links import where_to_look

        comparison = Comparison.of(
            self.first,
            self.second,
            self.task,
            self.scale,
            self.metric,
            self.opened(),
            self.runs_dir or (RUNS if self.own and self.store is None else None),
        )
        console = _console()
        print_comparison(comparison, console)
        for path in write(comparison, self.out):
            console.print(f"wrote {path}", highlight=False, soft_wrap=True)
        try:
            console.print(where_to_look(comparison.runs), highlight=False, soft_wrap=True)
        except TrackingError as error:
            print(f"warning: {error}", file=sys.stderr)
        return 0


@dataclass(frozen=True)
class Claims(ReadsRuns):
    """Print what the paper claims in words beside what the stored runs say, one claim a row."""

    scale: str = "paper"
    """paper, laptop or smoke: the runs to look at."""
    out: Path = OUT / "tables"
    """Where the table goes, as Markdown, CSV and LaTeX."""

    def run(self) -> int:
        """Print the table."""
        from reproduce.exhibits.claims import claims_table
        from reproduce.exhibits.writing import render

        render(lambda: claims_table(self.held(), self.scale), self.out, _console())
        return 0


@dataclass(frozen=True)
class Latents(WritesRuns):
    """Measure what trained models predict along one episode: the data of Figure 7.

    Needs the last checkpoints of finished runs, which stay where the runs were trained.
    """

    task: str = "HalfCheetah"
    """Task of the runs."""
    scale: str = "laptop"
    """paper, laptop or smoke."""
    runs_dir: Path = RUNS
    """Where the runs were trained."""

    def run(self) -> int:
        """Measure every run of the figure that is here."""
        from reproduce.exhibits import exhibit_named
        from reproduce.lab.latents import measure_latents

        needed = exhibit_named("figure7").needs(self.scale)
        for path in measure_latents(needed, self.task, self.scale, self.opened(), self.runs_dir):
            print(f"wrote {path}")
        return 0


@dataclass(frozen=True)
class Documents:
    """Bring the numbers in README.md and docs/ up to date with the store."""

    def run(self) -> int:
        """Rewrite the generated parts."""
        from reproduce.exhibits.documents import refresh

        changed = refresh(CODE)
        print("\n".join(f"updated {path}" for path in changed) or "the documents are up to date")
        return 0


@dataclass(frozen=True)
class ChosenPolicy(ReadsRuns):
    """Which trained policy: what is not given is chosen by what there is."""

    algorithm: Annotated[str, tyro.conf.Positional]
    """Algorithm, such as alm."""
    task: Annotated[str, tyro.conf.Positional]
    """Task, such as HalfCheetah."""
    variant: str = "base"
    """Variant, such as no-kl or 'base[horizon=7]'."""
    scale: str | None = None
    """paper, laptop or smoke; by default the largest there is."""
    seed: int | None = None
    """Seed of the run; by default the smallest there is."""
    policy: Literal["last", "best"] | None = None
    """last (of the end of training) or best (of the evaluation with the highest mean return, which flatters
    it); by default the last, if it is there."""
    plugin: Path | None = None
    """The Python file that declares the variant or algorithm, if it is one of your own."""
    runs_dir: Path = RUNS
    """Where runs are trained: a policy that is not stored is looked for here."""

    @contextmanager
    def found(self) -> "Iterator[tuple[Policy, Plugin | None]]":
        """The policy, and the plugin if one is given; mistakes of its code in the block are one sentence."""
        from reproduce.lab.policies import find_policy

        plugin = load_plugin(self.plugin) if self.plugin else None
        chosen = self.variant, self.scale, self.seed, self.policy, plugin
        policy = find_policy(self.algorithm, self.task, self.opened(), self.runs_dir, *chosen)
        with mistakes_of(plugin, self.algorithm, variant_parts(self.variant)[0], self.runs_dir):
            yield policy, plugin


@dataclass(frozen=True)
class Evaluate(ChosenPolicy):
    """Play a trained policy in new episodes, beside the evaluation that is stored with it.

    For instance: python -m reproduce evaluate alm HalfCheetah --episodes 100
    """

    episodes: int = 100
    """New episodes."""

    def run(self) -> int:
        """Play and print."""
        from reproduce.lab.playing import play

        with self.found() as (policy, plugin):
            print(play(policy, self.episodes, plugin).text())
        return 0


@dataclass(frozen=True)
class Render(ChosenPolicy):
    """Film a trained policy: a whole episode as MP4, its first seconds as GIF.

    For instance: python -m reproduce render alm HalfCheetah. Needs the extra render and EGL or OSMesa: see
    docs/policies.md.
    """

    out: Path = OUT / "films"
    """Where the films go."""

    def run(self) -> int:
        """Draw and write both."""
        from reproduce.lab.rendering import film

        with self.found() as (policy, plugin):
            for path in film(policy, self.out, plugin):
                print(f"wrote {path}")
        return 0


@dataclass(frozen=True)
class Gallery(ReadsRuns):
    """Film every stored last policy for README.md and the report, with a card for each.

    Needs EGL or OSMesa.
    """

    out: Path = OUT / "gallery"
    """Where clips (GIF) and cards (JSON) go, in place of those there."""

    def run(self) -> int:
        """Draw those that are new; documents shows them."""
        from reproduce.lab.gallery import make_gallery

        made = make_gallery(self.opened(), self.out)
        for problem in made.problems:
            print(f"warning: {problem}", file=sys.stderr)
        print(f"{len(made.cards)} clips in {self.out}, {made.size / 1e6:.1f} MB")
        return 1 if made.problems else 0


COMMANDS: dict[str, Any] = {
    "train": Train,
    "runs": Runs,
    "plan": PlanExhibits,
    "grid": Grid,
    "table": Table,
    "figure": Figure,
    "claims": Claims,
    "theory": Theory,
    "report": Report,
    "latents": Latents,
    "compare": Compare,
    "ui": Ui,
    "server": Server,
    "sync": Sync,
    "archive": Archive,
    "evaluate": Evaluate,
    "render": Render,
    "gallery": Gallery,
    "documents": Documents,
}


# What the extra [train] installs, and reading stored results does without.
_FOR_TRAINING = ("torch", "mujoco", "gymnasium", "mlflow", "safetensors")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    logging.basicConfig(format="%(levelname)s: %(message)s")
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    given = _one_spelling(sys.argv[1:] if arguments is None else arguments)
    command = None
    try:
        try:
            if given and given[0] in COMMANDS:
                describe(COMMANDS[given[0]])
            # A script that completes command lines, which tyro prints, too, has to keep its lines.
            with wrapped() if {"-h", "--help"} & set(given) else nullcontext():
                command = tyro.extras.subcommand_cli_from_dict(
                    {**COMMANDS}, prog="python -m reproduce", args=given
                )
            _require_sense(command)
            return int(command.run())
        finally:
            # When Python ends it would be too late to catch that nobody reads any more.
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads, such as head, has seen enough. Python would complain of what is left when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _refused(_in_words(error, command), 2)
    except (ValueError, RuntimeError) as error:
        if _was_interrupted(error):
            return EXIT_INTERRUPTED
        if not is_sentence(error):
            raise
        return _refused(str(error), 2)
    except PluginFailure as error:
        return _refused(str(error), 3)
    except ModuleNotFoundError as error:
        if (package := (error.name or "").partition(".")[0]) not in _FOR_TRAINING:
            raise
        return _refused(
            f"{given[0]} needs {package}, which is not installed: install the extra [train], in a clone with "
            "pip install -c constraints.txt -e '.[train]'",
            2,
        )
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _was_interrupted(error: BaseException) -> bool:
    """Whether an error arose while Ctrl-C was on its way: torch raises one where that meets it writing."""
    while error.__context__ is not None:
        error = error.__context__
        if isinstance(error, KeyboardInterrupt):
            return True
    return False


def _refused(sentence: str, code: int) -> int:
    """Print one line, whatever names it quotes, and return the exit code."""
    shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in sentence)
    print(f"error: {shown}", file=sys.stderr)
    return code


def _require_sense(command: Any) -> None:
    """Refuse what no command can do anything with.

    Raises:
        ValueError: a store that was named and is not there, by a command that only reads it and finds no
            runs elsewhere, or a number below one of what there must be some of.
    """
    elsewhere = getattr(command, "runs_dir", None)
    if isinstance(command, ReadsRuns) and not (elsewhere and elsewhere.exists()):
        command.require_store()
    for option, what in (("first_seeds", "first seeds"), ("workers", "workers")):
        number = getattr(command, option, None)
        if number is not None and number < 1:
            raise ValueError(f"The number of {what} must be at least 1, not {number}.")


def _one_spelling(arguments: Sequence[str]) -> list[str]:
    """The arguments with ``table1`` written as ``table 1``, and ``figure5a`` as ``figure 5a``."""
    if arguments and (joined := re.fullmatch(r"(table|figure)(\d.*|G)", arguments[0])):
        return [*joined.groups(), *arguments[1:]]
    return list(arguments)


def _in_words(error: OSError, command: Any) -> str:
    """What the system refused a command, and what to do about it; an error of ours says that itself."""
    if error.errno is None:
        return str(error)
    place = f" {error.filename}" if error.filename else ""
    named = [f"--{name.replace('_', '-')}" for name in ("runs_dir", "store", "out") if hasattr(command, name)]
    if isinstance(command, ReadsRuns):
        named = [name for name in named if name == "--out"]
    options = f" ({', '.join(named)})" if named else ""
    again = ": it goes on from the last checkpoint" if isinstance(command, (Train, Grid)) else ""
    return (
        f"cannot read or write{place}: {error.strerror or error}; make room or choose a place you may write "
        f"to{options}, then repeat the command{again}"
    )
