"""Memory that a training process has freed stays with it, for the next update.

An update frees what it has computed, and glibc gives much of that back to the system at once: the next update
asks for it again, page by page.  `benchmarks/populations.py` measures what that takes.
"""

import ctypes
import sys

# Parameters of mallopt(3), and the largest values that every glibc takes: blocks up to 32 MiB come from the
# heap, and the end of the heap is given back from 2 GiB on.
_M_TRIM_THRESHOLD, _LARGEST_TRIM = -1, 2**31 - 1
_M_MMAP_THRESHOLD, _LARGEST_BLOCK = -3, 32 * 2**20


def keep_freed_memory() -> bool:
    """Keep what this process frees; ``False`` where its C library is not glibc, and nothing changes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    taken = mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK), mallopt(_M_TRIM_THRESHOLD, _LARGEST_TRIM)
    return all(taken)
