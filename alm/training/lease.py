"""Lease of a run: only one process trains it, on one machine or on several that share a folder.

A process that wants a run writes its own file, ``lease.<token>``, into the run's directory and then lists
these files. It gets the run if it sees no other living process's file, and removes those of dead ones.
If two processes compete, at least the one that lists later sees both files, and the smaller token wins.
The holder renews its file's modification time. Its run may be taken over once it has not done so for its
lifetime, or once its process on this machine is gone. Names are never reused, so nobody removes a
successor's file by mistake. A holder whose file is gone has lost the run: it checks before every write.

The file system only has to guarantee two things: listing the directory after creating one's own file shows
all files created before, and opening a removed file fails. NFS and cluster file systems give both, while
`flock` on many of them works within one machine only. Ages are differences of modification times by the
file system's own clock, so the clocks of machines need not agree.

The library flufl.lock is no alternative: two processes that find a lock expired at the same time may both
acquire it (as its source says), it compares clocks of several machines, and it cannot take over from a
process that is known to be gone.
"""

import errno
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from alm.errors import UserError
from alm.training.files import write_text
from alm.training.forms import COUNT, Form, misfit, within

LIFETIME_SECONDS = 90.0
"""Seconds without renewal after which a run may be taken over."""
# Allows a few renewals to be late.
_RENEWALS_IN_A_LIFETIME = 6
EXIT_HELD = os.EX_TEMPFAIL
"""Exit code of a command that trained all of its runs except those that other processes are training."""
_GONE = (errno.ENOENT, errno.ESTALE)
_HELD = b"held\n"
# Seconds since the epoch in the year 9892; Python's dates end with 9999.
_LATEST = 250_000_000_000
_FORM: dict[str, Form] = {
    "host": str,
    "machine": str,
    "pid": within(0, 2**31 - 1, whole=True),
    "process_start": COUNT,
    "since": within(0, _LATEST),
    "lifetime": within(1e-9, _LATEST),
}


class RunLockedError(UserError):
    """Lock conflict: another process is training this run."""


class LeaseLostError(UserError):
    """Loss of a lease: this process was suspended for longer than its lifetime, and another took the run."""


@dataclass(frozen=True)
class Holder:
    """Process that holds a run or is acquiring it, as recorded in its lease file."""

    token: str
    host: str
    machine: str
    """Identifier of the machine's current boot and its PID namespace."""
    pid: int
    process_start: int
    """Start time that distinguishes the process from a later one with the same PID; 0 if unknown."""
    since: float
    """Start of the lease in seconds since the epoch, by the holder's clock."""
    lifetime: float
    """Seconds."""
    held: bool
    """False while the process is still checking for others."""
    renewed: float
    """Last renewal in seconds since the epoch, by the file system's clock."""

    def seconds_left(self, now: float) -> float:
        """Seconds until the run may be taken over unless the lease is renewed; 0: it may be now."""
        if self.machine == _machine() and not _lives(self.pid, self.process_start):
            return 0.0
        return max(0.0, self.renewed + self.lifetime - now)

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
        return f"process {self.pid} on {self.host} since {since}"


def holders(folder: Path) -> list[Holder]:
    """Processes with a lease file in a run's directory, living or dead; the holder first."""
    found = []
    for path in folder.glob("lease.*"):
        try:
            # Opening a file queries the file server; its attributes alone may come from a cache.
            with path.open("rb") as file:
                renewed = os.fstat(file.fileno()).st_mtime
                content, rest = file.readline(), file.read()
        except OSError as error:
            if error.errno not in _GONE:
                raise
            continue
        try:
            record = json.loads(content)
        except (ValueError, RecursionError):
            record = None
        if _sound(record):
            found.append(Holder(path.suffix[1:], **record, held=rest == _HELD, renewed=renewed))
        else:  # only its age is known
            unknown = Holder(
                path.suffix[1:], "an unknown machine", "", 0, 0, renewed, LIFETIME_SECONDS, True, renewed
            )
            found.append(unknown)
    return sorted(found, key=lambda holder: (not holder.held, -holder.renewed))


def _sound(record: Any) -> bool:
    """Whether a record in a lease file has the fields that `Lease` writes, with values that can be."""
    return isinstance(record, dict) and record.keys() == _FORM.keys() and misfit(record, _FORM) is None


def holder_of(folder: Path) -> tuple[Holder, bool] | None:
    """The process that holds the run of a directory, and whether it is alive; None if nobody holds it.

    For information only, by this machine's clock; `Lease` decides.
    """
    held = [one for one in holders(folder) if one.held]
    living = (one for one in held if one.seconds_left(time.time()) > 0)
    if (one := next(living, None)) is not None:
        return one, True
    return (held[0], False) if held else None


class Lease:
    """Right to train the run of a directory, until `release` or the end of the process.

    A thread renews it, since steps may be long (evaluations, compilation, a model trained to convergence) and
    no point of the loop is certain to be reached in time. The thread is suspended with its process, so a
    suspended process loses the run; one that hangs keeps it.

    Args:
        folder: the run's existing directory.
        lifetime: seconds without renewal after which others may take the run.

    Raises:
        RunLockedError: a living process holds the run.
        OSError: the directory cannot be written.
    """

    def __init__(self, folder: Path, lifetime: float = LIFETIME_SECONDS) -> None:
        self._folder, self._lifetime = folder, lifetime
        self._token = secrets.token_hex(8)
        self._path = folder / f"lease.{self._token}"
        self._released = threading.Event()
        record = {
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "process_start": (_process_state(os.getpid()) or ("", 0))[1],
            "since": time.time(),
            "lifetime": lifetime,
        }
        write_text(self._path, json.dumps(record) + "\n")
        try:
            self._settle()
        except BaseException:
            self._path.unlink(missing_ok=True)
            raise
        self._renewing = threading.Thread(target=self._renew, name=f"lease of {folder}", daemon=True)
        self._renewing.start()

    def require(self) -> None:
        """Check that this process still holds the run; called before every write.

        Raises:
            LeaseLostError: another process has taken it.
        """
        try:
            self._path.open().close()
        except OSError as error:
            if error.errno not in _GONE:
                raise
            other = next(iter(holders(self._folder)), None)
            raise LeaseLostError(
                f"run {self._folder} was taken over by {other or 'a process that has ended since'}, because "
                f"this process gave no sign of life for {self._lifetime:g} s: it has written nothing since"
            ) from None

    def release(self) -> None:
        """Give the run back at once."""
        self._released.set()
        self._renewing.join()
        self._path.unlink(missing_ok=True)

    def _settle(self) -> None:
        """Wait until no other living process claims the run, and remove the files of dead ones."""
        while True:
            self.require()
            os.utime(self._path)
            now = self._path.stat().st_mtime
            others = [one for one in holders(self._folder) if one.token != self._token]
            living = [one for one in others if one.seconds_left(now) > 0]
            for one in living:
                if one.held or one.token < self._token:
                    raise RunLockedError(
                        f"run {self._folder} is being trained by {one}: wait for it or stop it first "
                        f"(without a sign of life it can be taken over in {one.seconds_left(now):.0f} s)"
                    )
            if not living:
                break
            # They will see this one and withdraw.
            time.sleep(0.01)
        with self._path.open("rb+") as file:  # does not create the file
            file.seek(0, os.SEEK_END)
            file.write(_HELD)
        for one in others:
            (self._folder / f"lease.{one.token}").unlink(missing_ok=True)
        self.require()

    def _renew(self) -> None:
        while not self._released.wait(self._lifetime / _RENEWALS_IN_A_LIFETIME):
            try:
                os.utime(self._path)
            except OSError as error:
                if error.errno in _GONE:
                    return  # `require` reports it before the next write
                # The file server may respond next time.


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # Containers on one machine share its boot ID but not its PIDs.
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _lives(pid: int, start: int) -> bool:
    """Whether a process of this machine is alive; True if in doubt."""
    if not psutil.pid_exists(pid):
        return False
    state = _process_state(pid)
    return state is None or (state[0] not in "ZX" and state[1] == start)


def _process_state(pid: int) -> tuple[str, int] | None:
    """State of a process and its start in clock ticks since boot; None if the system does not tell.

    psutil's creation time is not used, because it shifts with the machine's clock.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19])
