"""The commands that open, serve and fill MLflow."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alm.errors import UserError
from reproduce.commands.console import say, store_warnings
from reproduce.commands.options import ReadsRuns, require_positive
from reproduce.lab.places import RUNS, WORKPLACE
from reproduce.lab.run_directories import directories_under
from reproduce.tracking.client import MlflowRuns
from reproduce.tracking.following import sync
from reproduce.tracking.importing import import_published, import_store
from reproduce.tracking.links import links, update_views
from reproduce.tracking.server import Address, serving
from reproduce.tracking.uri import is_server, resolve_uri, shown_uri


@dataclass(frozen=True)
class Ui(ReadsRuns):
    """Open MLflow on this machine with all stored runs imported."""

    port: int | None = None
    """Port on 127.0.0.1; by default 5000, or any free port if that is taken."""

    def run(self) -> int:
        """Serve until Ctrl-C, or print the links of a server that the tracking URI names."""
        store, uri, address = self.opened(), resolve_uri(), Address(port=self.port)
        if self.port is not None and not is_server(uri):
            address.with_free_port()  # checked before the import, which may take a minute
        with _until_interrupted():
            tracker = MlflowRuns(uri)
            sent = import_store(store, tracker) + import_published(tracker)
            for problem in sent.problems:
                say("warning", problem)
            print(f"imported {sent.runs} runs ({sent.points} values) that MLflow did not have")
            if is_server(uri):
                _print_links(tracker, shown_uri(uri).rstrip("/"))
                return 0
            print("starting the MLflow server …")
            with serving(uri, address) as (base, process):
                _print_links(tracker, base)
                print("press Ctrl-C to stop", flush=True)
                return process.wait()
        return 0


def _print_links(tracker: MlflowRuns, base: str) -> None:
    for experiment, titles in links(tracker, base).items():
        print(experiment)
        for title, link in titles.items():
            print(f"  {title}\n    {link}")


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """End the block cleanly on Ctrl-C and SIGTERM."""
    # Ctrl-C too: a shell without job control starts background processes with Ctrl-C ignored.
    requests, interrupt = (signal.SIGINT, signal.SIGTERM), signal.default_int_handler
    previous = {which: signal.signal(which, interrupt) for which in requests}
    try:
        yield
    except KeyboardInterrupt:
        print("stopped")
    finally:
        for which, handler in previous.items():
            signal.signal(which, handler)


@dataclass(frozen=True)
class Server:
    """Run an MLflow tracking server in front of a database that several people share.

    Needs the extra [server]; see docs/scaling.md. A single user needs only the command ui.
    """

    database: str | None = None
    """Address of the database, such as postgresql://user@host/name; by default MLFLOW_BACKEND_STORE_URI. Keep
    a password in that variable, PGPASSWORD or ~/.pgpass: other users of the machine can see arguments."""
    artifacts: Path = WORKPLACE / "mlartifacts"
    """Directory of the runs' files; only the server reads and writes it."""
    host: str = "127.0.0.1"
    """Address to listen on; the default serves this machine alone."""
    port: int | None = None
    """TCP port; by default 5000, or any free port if that is taken."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names by which other machines reach the server, such as mlflow.lab.org; it answers only to these
    and to the names of this machine."""
    workers: int = 2
    """Number of processes that answer requests."""

    def run(self) -> int:
        """Serve until Ctrl-C."""
        require_positive(self.workers, "workers")
        database = self.database or os.environ.get("MLFLOW_BACKEND_STORE_URI")
        if not database:
            raise UserError(
                "A tracking server needs the address of its database: name it with --database or in "
                "MLFLOW_BACKEND_STORE_URI, as in postgresql://user@host/name (for one person: ui)."
            )
        if "://" not in database:
            raise UserError(
                f"{database!r} is not a database's address: give one such as postgresql://user@host/name."
            )
        address = Address(host=self.host, port=self.port, names=self.allowed_hosts)
        uri, address = resolve_uri(database), address.with_free_port()
        with _until_interrupted():
            MlflowRuns(uri)  # creates the tables once, before several server processes could try at once
            print(f"starting the MLflow server of {shown_uri(uri)}, files in {self.artifacts} …")
            with serving(uri, address, self.artifacts, self.workers) as (base, process):
                print(f"it answers at {base}; others log to it with")
                print(f"  export MLFLOW_TRACKING_URI={base}")
                print("press Ctrl-C to stop", flush=True)
                return process.wait()
        return 0


@dataclass(frozen=True)
class Sync(ReadsRuns):
    """Send MLflow everything it lacks from run directories and stored runs."""

    runs_dir: Path = RUNS
    """Directory of runs in training."""

    def run(self) -> int:
        """Send what MLflow lacks; what cannot be read does not hold back the rest."""
        store, tracker = self.opened(), MlflowRuns()
        with store_warnings() as unread:
            directories = [one.path for one in directories_under(self.runs_dir).values()]
            sent = sync(directories, tracker) + import_store(store, tracker)
        sent += import_published(tracker)
        update_views(tracker)
        for problem in sent.problems:
            say("warning", problem)
        incomplete = bool(unread or sent.problems)
        end = "MLflow lacks what could not be read" if incomplete else "MLflow is up to date"
        print(f"sent {sent.points} values of {sent.runs} runs; {end}")
        return int(incomplete)
