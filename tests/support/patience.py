"""How long tests wait for what takes moments, before they call it hung."""

import threading
import time

PATIENCE = 600.0
"""Seconds: a machine that does other work may be far slower, and no test may depend on that."""


def wait_for(condition, *whom):
    """The first true value of a condition; fails once a process or thread that brings it about has ended."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        for one in whom:
            if isinstance(one, threading.Thread):
                assert one.is_alive(), "the thread has ended"
            else:
                assert one.poll() is None, one.communicate()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found
