"""A process that ends with the one that started it: ``python -m … .tether PID COMMAND…``.

An engine's worker may be killed in an instant (out of memory, a node that goes down). What it has started
would live on and train beside the worker that takes its place. Linux kills this process with its parent.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the command.

    Args:
        arguments: the parent's process id, then program and arguments.
    """
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # It was killed before the tie.
            sys.exit(128 + signal.SIGKILL)
    # SLURM announces the end of a job's time to all its processes; the worker acts on it.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
