"""Guard of a server: a process that starts a command, and ends it when its own parent has ended.

However the parent ends, SIGKILL included, the pipe that is the guard's standard input closes; the guard then
kills its process group, which contains the command and its descendants.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

_STOP_SECONDS = 15.0


def start_guarded(
    command: Sequence[str], environment: Mapping[str, str], output: IO[bytes]
) -> "subprocess.Popen[bytes]":
    """Start a command that does not outlive this process; returns its guard, which ends with the command.

    Both run in a separate session: Ctrl-C reaches only this process, which then stops them in order.
    """
    return subprocess.Popen(
        # Without this file's directory on its path and without site packages, it starts at once.
        [sys.executable, "-I", "-S", __file__, *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def stop_guarded(guard: "subprocess.Popen[bytes]") -> None:
    """Ask a guarded command to end, and kill it if it takes too long."""
    for which in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(guard.pid, which)
            guard.wait(_STOP_SECONDS)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    guard.wait()
    if guard.stdin:
        guard.stdin.close()


def _kill_after_the_parent() -> None:
    while os.read(0, 1024):  # nothing is ever written: the read returns when the parent's end is closed
        pass
    os.killpg(0, signal.SIGKILL)


def _main() -> int:
    # The command is asked to end by the same signal, and the guard waits for it. A handler, unlike a
    # signal that is ignored, is not passed on to the command.
    signal.signal(signal.SIGTERM, lambda *_: None)
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_kill_after_the_parent, daemon=True).start()
    return command.wait()


if __name__ == "__main__":
    sys.exit(_main())
