"""Commands that serve MLflow: the user interface for a single user, and the tracking server of a lab."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reproduce.tracking.client import MlflowRuns, resolve_uri, shown_uri
from reproduce.tracking.importing import import_published, import_store
from reproduce.tracking.links import links
from reproduce.tracking.server import Address, serving

if TYPE_CHECKING:
    from reproduce.lab.store import Store


def serve(
    store: "Store",
    tracking_uri: str | None = None,
    port: int | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Import stored runs and published numbers, serve them on 127.0.0.1 until Ctrl-C; returns an exit code.

    If the tracking URI already names a server, only its links are printed.

    Args:
        store: the stored runs.
        tracking_uri: see `reproduce.tracking.client.resolve_uri`.
        port: TCP port; None: 5000, or any free port if that is taken.
        say: prints one line.

    Raises:
        reproduce.tracking.client.TrackingError: the port is in use, MLflow cannot be used, or does not start.
    """
    uri = resolve_uri(tracking_uri)
    is_server = urlsplit(uri).scheme in ("http", "https")
    address = Address(port=port)
    if port is not None and not is_server:
        address.with_free_port()  # checked before the import, which may take a minute
    with _until_interrupted(say):
        tracker = MlflowRuns(uri)
        sent = import_store(store, tracker) + import_published(tracker)
        say(f"imported {sent.runs} runs ({sent.points} values) that MLflow did not have")
        if is_server:
            _say_links(tracker, shown_uri(uri).rstrip("/"), say)
            return 0
        say("starting the MLflow server …")
        with serving(uri, address) as (base, process):
            _say_links(tracker, base, say)
            say("press Ctrl-C to stop")
            return process.wait()
    return 0


def serve_database(
    database: str,
    artifacts: Path,
    address: Address,
    workers: int,
    say: Callable[[str], None] = print,
) -> int:
    """Serve a database shared by several people until Ctrl-C; returns an exit code.

    Args:
        database: its SQLAlchemy URI; missing tables are created.
        artifacts: directory of the runs' files; only the server reads and writes it.
        address: where it listens, and the host names it answers to.
        workers: number of processes that answer requests.
        say: prints one line.

    Raises:
        reproduce.tracking.client.TrackingError: the port is in use, the database cannot be used, or MLflow
            does not start.
    """
    uri = resolve_uri(database)
    address = address.with_free_port()
    with _until_interrupted(say):
        MlflowRuns(uri)  # creates the tables once, before several server processes could try at once
        say(f"starting the MLflow server of {shown_uri(uri)}, files in {artifacts} …")
        with serving(uri, address, artifacts, workers) as (base, process):
            say(f"it answers at {base}; others log to it with")
            say(f"  export MLFLOW_TRACKING_URI={base}")
            say("press Ctrl-C to stop")
            return process.wait()
    return 0


@contextmanager
def _until_interrupted(say: Callable[[str], None]) -> Iterator[None]:
    """End the block cleanly on Ctrl-C and SIGTERM."""
    # Ctrl-C too: a shell without job control starts background processes with Ctrl-C ignored.
    requests, interrupt = (signal.SIGINT, signal.SIGTERM), signal.default_int_handler
    previous = {which: signal.signal(which, interrupt) for which in requests}
    try:
        yield
    except KeyboardInterrupt:
        say("stopped")
    finally:
        for which, handler in previous.items():
            signal.signal(which, handler)


def _say_links(tracker: MlflowRuns, base: str, say: Callable[[str], None]) -> None:
    for experiment, titles in links(tracker, base).items():
        say(experiment)
        for title, link in titles.items():
            say(f"  {title}\n    {link}")
