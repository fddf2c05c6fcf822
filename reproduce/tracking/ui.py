"""The MLflow user interface: import what is stored, start a server for this machine, print where to look."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reproduce.tracking.client import (
    MlflowRuns,
    TrackingError,
    artifact_root,
    quiet_environment,
    resolve_uri,
    shown_uri,
)
from reproduce.tracking.importing import import_published, import_store
from reproduce.tracking.links import links

if TYPE_CHECKING:
    from reproduce.lab.store import Store

__all__ = ["serve", "serving"]

_HOST = "127.0.0.1"
_USUAL_PORT = 5000
_START_SECONDS = 180.0
_STOP_SECONDS = 15.0


@contextmanager
def serving(uri: str, port: int | None = None) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """An MLflow server of a database on this machine, as its address and process; it stops at the end.

    Args:
        uri: resolved tracking URI of a database that exists.
        port: TCP port; None takes 5000 if that is free, else any free one.

    Raises:
        reproduce.tracking.client.TrackingError: the port is in use, or the server does not start.
    """
    port = _port(port)
    base = f"http://{_HOST}:{port}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        _HOST,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    environment = {
        **quiet_environment(),
        # Its only use is for evaluations of language models, and it grows without end (mlflow #22792).
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **os.environ,
        # Not as an argument: it may hold a password.
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifact_root(uri) or "",
    }
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process, which then stops the server in order
        )
        try:
            if not _answers(base, process):
                output.seek(0)
                lines = output.read().decode(errors="replace").strip().splitlines() or ["no output"]
                raise TrackingError(
                    f"The MLflow server on port {port} did not start ({lines[-1].strip()}): try "
                    "another --port, or start `mlflow server` yourself to see all of its output."
                )
            yield base, process
        finally:
            _stop(process)


def serve(
    store: "Store",
    tracking_uri: str | None = None,
    port: int | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Import the store and the published numbers, serve them on 127.0.0.1 until Ctrl-C; returns an exit code.

    Where the tracking URI names a server already, only its links are printed.

    Args:
        store: the stored runs.
        tracking_uri: see `reproduce.tracking.client.resolve_uri`.
        port: TCP port; None takes 5000 if that is free, else any free one.
        say: prints one line.

    Raises:
        reproduce.tracking.client.TrackingError: the port is in use, MLflow cannot be used, or does not start.
    """
    uri = resolve_uri(tracking_uri)
    if port is not None:
        _port(port)  # before the import, which may take a minute
    # Ctrl-C too: a shell without job control starts what it puts in the background with Ctrl-C ignored.
    previous = {which: signal.signal(which, _interrupt) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        sent = import_store(store, uri) + import_published(uri)
        say(f"imported {sent.runs} runs ({sent.points} values) that MLflow did not have")
        tracker = MlflowRuns(uri)
        if urlsplit(uri).scheme in ("http", "https"):
            _say_links(tracker, shown_uri(uri).rstrip("/"), say)
            return 0
        say("starting the MLflow server …")
        with serving(uri, port) as (base, process):
            _say_links(tracker, base, say)
            say("press Ctrl-C to stop")
            return process.wait()
    except KeyboardInterrupt:
        say("stopped")
        return 0
    finally:
        for which, handler in previous.items():
            signal.signal(which, handler)


def _say_links(tracker: MlflowRuns, base: str, say: Callable[[str], None]) -> None:
    for title, link in links(tracker, base).items():
        say(f"{title}\n  {link}")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _port(wanted: int | None) -> int:
    """A port that is free now.

    Raises:
        TrackingError: the wanted one is not.
    """
    if wanted is not None:
        if not _is_free(wanted):
            raise TrackingError(
                f"Port {wanted} is in use or not allowed: choose another, or none to get a free one."
            )
        return wanted
    if _is_free(_USUAL_PORT):
        return _USUAL_PORT
    with socket.socket() as free:
        free.bind((_HOST, 0))
        return int(free.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just closed is free
        try:
            probe.bind((_HOST, port))
        except (OSError, OverflowError):
            return False
    return True


def _answers(base: str, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until the server answers; False if it ends before, or takes too long."""
    # Not by way of a proxy, which the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with opener.open(f"{base}/health", timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            time.sleep(0.3)
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the server and the workers that it started."""
    for which in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, which)
            process.wait(_STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
