"""Program that becomes another one which gets SIGTERM when its parent ends, however that ends.

    python tied.py <identifier of the parent> <program> <arguments...>

Only Linux has the means (`prctl`); elsewhere the other program goes on without its parent.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before that
        sys.exit(1)
    # SLURM announces the end of a job's time to all its processes; the one that started this acts on it.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
