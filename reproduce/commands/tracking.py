"""The commands that open, serve and fill MLflow."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from reproduce.commands.options import RUNS, ReadsRuns
from reproduce.lab.places import WORKPLACE


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
class Sync(ReadsRuns):
    """Bring MLflow up to date with every run directory and every stored run."""

    runs_dir: Path = RUNS
    """Where runs are kept while they train."""

    def run(self) -> int:
        """Send what MLflow does not have yet."""
        from reproduce.lab.archive import directories_under
        from reproduce.tracking.client import MlflowRuns
        from reproduce.tracking.following import sync
        from reproduce.tracking.importing import import_published, import_store
        from reproduce.tracking.links import links

        tracker = MlflowRuns()
        sent = sync((directory.path for directory in directories_under(self.runs_dir)), tracker)
        sent += import_store(self.opened(), tracker) + import_published(tracker)
        links(tracker, base="")  # brings the views up to date
        for problem in sent.problems:
            print(f"warning: {problem}", file=sys.stderr)
        end = "MLflow lacks what could not be read" if sent.problems else "MLflow is up to date"
        print(f"sent {sent.points} values of {sent.runs} runs; {end}")
        return 1 if sent.problems else 0
