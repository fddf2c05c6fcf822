"""Launcher of a Python process that gets SIGTERM when its parent ends, for whatever reason.

    python tied.py <process ID of the parent> <arguments of Python...>

This needs Linux (`prctl`); elsewhere the process outlives its parent.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then exec Python."""
    parent, arguments = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before that
        sys.exit(1)
    # SLURM announces the time limit to all processes of a job; the parent acts on it.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    main()
