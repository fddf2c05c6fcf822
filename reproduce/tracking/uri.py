"""Tracking URI, the address of an MLflow server or database: resolving, showing and probing it."""

import os
import re
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from reproduce.lab.places import WORKPLACE

_PROBE_SECONDS = 5.0
_SERVERS = ("http", "https")
_SQL_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_SCHEMES = (*_SERVERS, "sqlite", "file", "databricks", *_SQL_PORTS)
_EXAMPLES = "http://127.0.0.1:5000, sqlite:////folder/mlflow.db or postgresql://user@host/name"


class TrackingError(OSError):
    """A failure to use an MLflow server or database; the message is one sentence with what to do."""


def resolve_uri(uri: str | None = None) -> str:
    """The tracking URI: as given, else ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` in the repository.

    A relative SQLite path is made absolute, so that it names the same file from everywhere.

    Raises:
        TrackingError: it cannot be parsed as an address.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{WORKPLACE / 'mlflow.db'}"
    try:
        _ = urlsplit(uri).port
    except ValueError:
        # An unparsable URI has no known parts, so everything that may be a password is cut.
        raise TrackingError(
            f"MLflow's address {re.sub('//.*@', '//', uri)} cannot be read: give one such as {_EXAMPLES} in "
            "MLFLOW_TRACKING_URI."
        ) from None
    file = sqlite_file(uri)
    return f"sqlite:///{file.absolute()}" if file else uri


def shown_uri(uri: str) -> str:
    """The URI without user name and password."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def without_password(text: str, uri: str) -> str:
    """A text in which the URI's password, if any, is replaced by asterisks."""
    password = urlsplit(uri).password
    return text.replace(password, "***") if password else text


def is_server(uri: str) -> bool:
    """Whether it is the URL of a server, which links can open; a database must be served first."""
    return urlsplit(uri).scheme in _SERVERS


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite URI; three slashes precede a relative path, four an absolute one."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def artifact_root(uri: str) -> str | None:
    """URI for the artifacts of a database's experiments; None if a server decides it."""
    if is_server(uri) or urlsplit(uri).scheme == "databricks":
        return None
    file = sqlite_file(uri)
    return ((file.parent if file else WORKPLACE) / "mlartifacts").as_uri()


def require_answer(uri: str) -> None:
    """Fail at once if nothing can be reached at a URI; MLflow would take up to minutes.

    Raises:
        OSError: the URI is not an address, nothing answers there, or the file there cannot be opened.
    """
    file = sqlite_file(uri)
    if file and file.exists():
        file.open("rb").close()
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in _SCHEMES and uri != "databricks" and not Path(uri).is_dir():
        raise OSError(f"it is not an address such as {_EXAMPLES}")
    if parts.hostname is None or (scheme not in _SERVERS and scheme not in _SQL_PORTS):
        return
    if scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname):
        return  # only the proxy has to reach it
    port = parts.port or _SQL_PORTS.get(scheme) or (443 if scheme == "https" else 80)
    socket.create_connection((parts.hostname, port), timeout=_PROBE_SECONDS).close()
