"""MLflow server in front of a database: by default for this machine alone; it ends with its parent."""

import contextlib
import os
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from alm.errors import UserError
from reproduce.tracking.client import QUIET
from reproduce.tracking.guard import start_guarded, stop_guarded
from reproduce.tracking.uri import TrackingError, artifact_root

if TYPE_CHECKING:
    import subprocess

_LOOPBACK = "127.0.0.1"
_THIS_MACHINE = (_LOOPBACK, "localhost", "[::1]")
_USUAL_PORT = 5000
_START_SECONDS = 180.0


@dataclass(frozen=True, kw_only=True)
class Address:
    """The address a server listens on, and the host names it answers to.

    A browser sends the host name it was given. MLflow refuses names that it does not expect, because another
    site could make its own name resolve to this machine (DNS rebinding). By default it expects all addresses
    of private networks; here it expects only the names of this machine, with the server's port, and those in
    ``names``.

    Attributes:
        host: address to listen on.
        port: TCP port; None: 5000, or any free port if that is taken; 0: any free port.
        names: further names by which browsers and clients may reach the server.

    Raises:
        UserError: other machines could reach it, but under no name.
    """

    host: str = _LOOPBACK
    port: int | None = None
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.host not in (*_THIS_MACHINE, "::1") and not self.names:
            raise UserError(
                f"A server that listens on {self.host} must know the host names by which other machines "
                "reach it: give them with --allowed-hosts, or leave --host out to serve this machine alone."
            )

    def with_free_port(self) -> "Address":
        """The same address with a port that is currently free.

        Raises:
            reproduce.tracking.uri.TrackingError: the requested port is not free, or the host is not an
                address of this machine.
        """
        port = self.port
        try:
            any_free = self._any_free()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TrackingError(
                f"A server cannot listen on {self.host} ({reason}): give an address of this machine with "
                "--host."
            ) from None
        if port is None and self._is_free(_USUAL_PORT):
            port = _USUAL_PORT
        elif not port:
            port = any_free
        elif not self._is_free(port):
            raise TrackingError(
                f"Port {port} is in use or not allowed: choose another, or none to get a free one."
            )
        return replace(self, port=port)

    @property
    def base(self) -> str:
        """The server's URL on this machine."""
        bare = self.host.strip("[]")
        host = _LOOPBACK if bare in ("0.0.0.0", "::") else f"[{bare}]" if ":" in bare else bare
        return f"http://{host}:{self.port}"

    @property
    def allowed_hosts(self) -> list[str]:
        """Values that the Host header of a request may have."""
        # Behind a proxy the name comes without the port.
        named = [form for name in self.names for form in (name, f"{name}:{self.port}")]
        return [*(f"{name}:{self.port}" for name in _THIS_MACHINE), *named]

    @property
    def allowed_origins(self) -> list[str]:
        """Origins whose pages may send modifying requests: the server's own."""
        return [f"{scheme}://{host}" for host in self.allowed_hosts for scheme in ("http", "https")]

    def _is_free(self, port: int) -> bool:
        with socket.socket(self._family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just closed is free
            try:
                probe.bind((self.host.strip("[]"), port))
            except (OSError, OverflowError):
                return False
        return True

    def _any_free(self) -> int:
        with socket.socket(self._family) as free:
            free.bind((self.host.strip("[]"), 0))
            return int(free.getsockname()[1])

    @property
    def _family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


@contextmanager
def serving(
    uri: str, address: Address, artifacts: Path | None = None, workers: int = 1
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A running MLflow server of a database, as URL and process; it stops with the block, or this process.

    Args:
        uri: resolved tracking URI of an existing database.
        address: where it listens.
        artifacts: directory that the server reads and writes for its clients; None: clients on this machine
            access the files themselves, beside the database.
        workers: number of processes that answer requests.

    Raises:
        reproduce.tracking.uri.TrackingError: the port is in use, or the server does not start.
    """
    address = address.with_free_port()
    command = [sys.executable, "-m", "mlflow", "server"]
    command += ["--host", address.host.strip("[]"), "--port", str(address.port), "--workers", str(workers)]
    if artifacts is not None:
        command += ["--artifacts-destination", artifacts.absolute().as_uri()]
    environment = {
        **QUIET,
        # Used only to evaluate language models, and it grows without bound (mlflow #22792).
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # An access log would fill a file that is read only if the server does not start.
        "MLFLOW_UVICORN_OPTS": "--no-access-log",
        **os.environ,
        # Not as an argument: it may hold a password.
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(address.allowed_hosts),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(address.allowed_origins),
    }
    environment.pop("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", None)
    if artifacts is None:
        environment["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = artifact_root(uri) or ""
    with tempfile.TemporaryFile() as output:
        process = start_guarded(command, environment, output)
        try:
            if not _answers(address, process):
                output.seek(0)
                lines = output.read().decode(errors="replace").strip().splitlines() or ["no output"]
                raise TrackingError(
                    f"The MLflow server on port {address.port} did not start ({lines[-1].strip()}): try "
                    "another --port, or start `mlflow server` yourself to see all of its output."
                )
            yield address.base, process
        finally:
            stop_guarded(process)


def _answers(address: Address, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until the server answers; False if it ends before that or takes too long."""
    # Bypasses any proxy in the environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with opener.open(f"{address.base}/health", timeout=5):
                if _listens(process.pid, address.port):
                    return True
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.3)
    return False


def _listens(pid: int, port: int | None) -> bool:
    """Whether the listener at a port is a descendant of a process, and not another that was faster."""
    with contextlib.suppress(psutil.Error):
        return any(
            one.status == psutil.CONN_LISTEN and one.laddr.port == port
            for child in psutil.Process(pid).children(recursive=True)
            for one in child.net_connections("tcp")
        )
    return False
