"""Processes of this machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from reproduce.lab.executors import Ended, Job
from reproduce.lab.places import WORKPLACE

_TIED = Path(__file__).with_name("tied.py")


def start_tied(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start a command in the repository; what it prints is appended to a log.

    It gets SIGTERM when this process ends, however that ends (on Linux).

    Raises:
        OSError: the log cannot be written or Python cannot be started.
    """
    with log.open("a") as file:
        # In a session of its own: Ctrl-C is for this process, which stops its jobs in good order.
        return subprocess.Popen(
            [sys.executable, str(_TIED), str(os.getpid()), *command],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=WORKPLACE,
            start_new_session=True,
        )


class LocalProcesses:
    """An `Executor` whose jobs are child processes; how many run at a time is the caller's business.

    If the caller is killed, they get SIGTERM (on Linux), so that none trains on unseen.
    """

    def submit(self, job: Job) -> "subprocess.Popen[bytes]":
        """Start a job's process.

        Raises:
            OSError: the log cannot be written or Python cannot be started.
        """
        return start_tied(job.command, job.log)

    def poll(self, handle: "subprocess.Popen[bytes]") -> Ended | None:
        """The end of a process; None while it runs."""
        code = handle.poll()
        if code is None:
            return None
        return Ended(code) if code >= 0 else Ended(signal=-code)

    def stop(self, handle: "subprocess.Popen[bytes]") -> None:
        """Send SIGTERM, upon which a training process writes its checkpoints and ends."""
        handle.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Nothing: processes of this machine hold nothing."""
