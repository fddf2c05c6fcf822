"""Launcher of a program that gets SIGTERM when its parent ends, for whatever reason.

    python tied.py <process ID of the parent> <program> <arguments...>

This needs Linux (`prctl`); elsewhere the program outlives its parent.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then exec the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before that
        sys.exit(1)
    # SLURM announces the time limit to all processes of a job; the parent acts on it.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
