"""Matrix-product speed of this machine, to convert costs measured on another."""

import os
import subprocess
import sys

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SCRIPT = """
import time
import numpy as np
a = np.ones((768, 768), np.float32)
times = []
for _ in range(12):
    began = time.perf_counter()
    a @ a
    times.append(time.perf_counter() - began)
print(2e-9 * 768**3 / min(times))
"""


def matrix_gigaflops() -> float:
    """GFLOP/s of one thread in float32 matrix products, best of a few tries (a quarter of a second).

    Measured in a subprocess, because a linear-algebra library fixes its number of threads when loaded.
    """
    environment = os.environ | dict.fromkeys(_THREADS, "1")
    found = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    return float(found.stdout)
