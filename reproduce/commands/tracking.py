"""The commands that open, serve and fill MLflow."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from reproduce.commands.options import RUNS, ReadsRuns
from reproduce.lab.places import WORKPLACE


@dataclass(frozen=True)
class Ui(ReadsRuns):
    """Open MLflow on this machine with all stored runs imported."""

    port: int | None = None
    """Port on 127.0.0.1; by default 5000, or any free port if that is taken."""

    def run(self) -> int:
        """Serve until Ctrl-C."""
        from reproduce.tracking.ui import serve

        return serve(self.opened(), port=self.port)


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
                f"{database!r} is not a database's address: give one such as postgresql://user@host/name."
            )
        address = Address(host=self.host, port=self.port, names=self.allowed_hosts)
        return serve_database(database, self.artifacts, address, self.workers)


@dataclass(frozen=True)
class Sync(ReadsRuns):
    """Send MLflow everything it lacks from run directories and stored runs."""

    runs_dir: Path = RUNS
    """Directory of runs in training."""

    def run(self) -> int:
        """Send what MLflow lacks."""
        from reproduce.lab.archive import directories_under
        from reproduce.tracking.client import MlflowRuns
        from reproduce.tracking.following import sync
        from reproduce.tracking.importing import import_published, import_store
        from reproduce.tracking.links import links

        tracker = MlflowRuns()
        sent = sync((directory.path for directory in directories_under(self.runs_dir).values()), tracker)
        sent += import_store(self.opened(), tracker) + import_published(tracker)
        links(tracker, base="")  # brings the views up to date
        for problem in sent.problems:
            print(f"warning: {problem}", file=sys.stderr)
        end = "MLflow lacks what could not be read" if sent.problems else "MLflow is up to date"
        print(f"sent {sent.points} values of {sent.runs} runs; {end}")
        return 1 if sent.problems else 0
