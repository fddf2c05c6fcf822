"""Processes of this machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from reproduce.lab.executors import Ended, Job
from reproduce.lab.places import WORKPLACE

TIED = Path(__file__).with_name("tied.py")
"""Program that ties a process to the one that starts it."""


class LocalProcesses:
    """An `Executor` whose jobs are child processes; how many run at a time is the caller's business.

    If the caller is killed, they get SIGTERM (on Linux), so that none trains on unseen.
    """

    def submit(self, job: Job) -> "subprocess.Popen[bytes]":
        """Start a job's process.

        Raises:
            OSError: the log cannot be written or Python cannot be started.
        """
        command = (sys.executable, str(TIED), str(os.getpid()), *job.command)
        with job.log.open("a") as file:
            # In a session of its own: Ctrl-C is for the grid, which stops its jobs in good order.
            return subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, cwd=WORKPLACE, start_new_session=True
            )

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
