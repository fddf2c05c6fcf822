"""The lease of a run: one process trains it, on one machine or on several that share a folder.

Whoever wants a run writes a file of its own, ``lease.<token>``, into its directory, and lists these files
afterwards.  It has the run if it sees no other file of a living process; then it removes those of the dead.
Of two that come at once, at least the later to list sees both, and the one with the smaller token
goes on.  The holder renews its file's modification time; a holder that did not for its lifetime, or whose
process on this machine is gone, may be taken over.  Names are never used twice, so nobody removes a
successor's file by mistake, and a holder whose file is gone has lost the run: it asks before every write.

Nothing else is needed of the file system than that a file which was created is seen by whoever lists the
directory after creating its own, and that opening a file which was removed fails: NFS and cluster file
systems give both, while `flock` holds on one machine only on many of them.  Ages are differences of
modification times by the file system's own clock, so that the clocks of machines need not agree.

Not by the library flufl.lock: two processes that find a lock expired at the same time may both end up with it
(as its source says), it looks at clocks of several machines, and it has no way to take over from a process
that is known to be gone.
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

import psutil

from alm.training.files import write_text

LIFETIME_SECONDS = 90.0
"""Seconds without renewal after which a run may be taken over."""
# So that a few renewals may be late.
_RENEWALS_IN_A_LIFETIME = 6
EXIT_HELD = os.EX_TEMPFAIL
"""Exit code of a command that trained all of its runs but those that other processes train."""
_GONE = (errno.ENOENT, errno.ESTALE)
_HELD = "held\n"


class RunLockedError(RuntimeError):
    """Another process trains this run."""


class LeaseLostError(RuntimeError):
    """This process was stopped for longer than the lifetime of its lease, and another one took the run."""


@dataclass(frozen=True)
class Holder:
    """A process that holds a run, or is about to, as its file in the directory says."""

    token: str
    host: str
    machine: str
    """The machine since it was last booted, and the name space of its process identifiers."""
    pid: int
    process_start: int
    """Tells the process from a later one of the same identifier; 0 where that is not known."""
    since: float
    """Seconds since the epoch, by the clock of its machine."""
    lifetime: float
    """Seconds."""
    held: bool
    """False while it looks for others."""
    renewed: float
    """Seconds since the epoch, by the clock of the file system."""

    def seconds_left(self, now: float) -> float:
        """Seconds until the run may be taken over if it is not renewed; 0: it may be now."""
        if self.machine == _machine() and not _lives(self.pid, self.process_start):
            return 0.0
        return max(0.0, self.renewed + self.lifetime - now)

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
        return f"process {self.pid} on {self.host} since {since}"


def holders(folder: Path) -> list[Holder]:
    """The processes that have a lease file in a run's directory, living or not; the holder first."""
    found = []
    for path in folder.glob("lease.*"):
        try:
            # Opening it asks the file server; a look at its attributes alone may be answered from memory.
            with path.open() as file:
                renewed = os.fstat(file.fileno()).st_mtime
                content, rest = file.readline(), file.read()
        except OSError as error:
            if error.errno not in _GONE:
                raise
            continue
        try:
            record = json.loads(content)
            found.append(Holder(**record, token=path.suffix[1:], held=rest == _HELD, renewed=renewed))
        except (TypeError, ValueError):
            # Damaged: nothing is known but its age.
            unknown = Holder(
                path.suffix[1:], "an unknown machine", "", 0, 0, renewed, LIFETIME_SECONDS, True, renewed
            )
            found.append(unknown)
    return sorted(found, key=lambda holder: (not holder.held, -holder.renewed))


def holder_of(folder: Path) -> tuple[Holder, bool] | None:
    """The process that trains the run of a directory, and whether it lives; None: nobody holds it.

    For a look only, by the clock of this machine; `Lease` decides.
    """
    held = [one for one in holders(folder) if one.held]
    living = (one for one in held if one.seconds_left(time.time()) > 0)
    if (one := next(living, None)) is not None:
        return one, True
    return (held[0], False) if held else None


class Lease:
    """The right to train the run of a directory, until `release` or the process ends.

    A thread renews it, since steps may be long (evaluations, compilation, a model trained to its end) and
    no point of the loop surely comes by in time.  It stops where the process stops, so a process that
    was stopped loses the run; one that hangs keeps it.

    Args:
        folder: the run's directory; it is there.
        lifetime: seconds without renewal after which others may take the run.

    Raises:
        RunLockedError: a living process has it.
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
        """Make sure that this process still has the run: asked before every write.

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
        """Wait until no other living process claims the run, and remove what dead ones left."""
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
            # They are about to see this one and to withdraw.
            time.sleep(0.01)
        with self._path.open("r+") as file:  # which does not create it
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
                    return  # `require` tells it to whoever writes
                # The file server may answer next time.


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # Containers of one machine share its boot but not its process identifiers.
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _lives(pid: int, start: int) -> bool:
    """Whether a process of this machine lives; if in doubt, it does."""
    if not psutil.pid_exists(pid):
        return False
    state = _process_state(pid)
    return state is None or (state[0] not in "ZX" and state[1] == start)


def _process_state(pid: int) -> tuple[str, int] | None:
    """State and start of a process, in clock ticks since boot; None: the system does not tell.

    Not psutil's time of creation, which moves with the machine's clock.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19])
