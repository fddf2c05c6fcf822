"""Processes on this machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from reproduce.lab.executors import Ended, Job
from reproduce.lab.places import WORKPLACE

_TIED = Path(__file__).with_name("tied.py")


def start_tied(arguments: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start Python in the repository; its output is appended to a log.

    On Linux it gets SIGTERM when this process ends, for whatever reason.

    Raises:
        OSError: the log cannot be written or Python cannot be started.
    """
    with log.open("a") as file:
        # In its own session: Ctrl-C reaches only this process, which stops its jobs cleanly.
        return subprocess.Popen(
            [sys.executable, str(_TIED), str(os.getpid()), *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=WORKPLACE,
            start_new_session=True,
        )


class LocalProcesses:
    """An `Executor` whose jobs are child processes; the caller decides how many run at a time.

    If the caller is killed, they get SIGTERM (on Linux), so that none keeps training unnoticed.
    """

    def submit(self, job: Job) -> "subprocess.Popen[bytes]":
        """Start a job's process.

        Raises:
            OSError: the log cannot be written or Python cannot be started.
        """
        return start_tied(job.arguments, job.log)

    def poll(self, handle: "subprocess.Popen[bytes]") -> Ended | None:
        """The end of a process; None while it runs."""
        code = handle.poll()
        return None if code is None else Ended(code)

    def stop(self, handle: "subprocess.Popen[bytes]") -> None:
        """Send SIGTERM, on which a training process writes its checkpoints and ends."""
        handle.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Does nothing: there is nothing to release."""
