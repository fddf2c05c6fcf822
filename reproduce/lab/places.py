"""Places: the code, the data that comes with it, and the user's own files.

In a clone all three are in the repository. An installed package (``pip install``) contains its data and
writes to the current directory.
"""

from pathlib import Path

CODE = Path(__file__).resolve().parents[2]
"""The folder of the packages `alm`, `baselines`, `paper_figures` and `reproduce`."""
IN_CLONE = (CODE / "pyproject.toml").is_file()
"""Whether the code is that of a clone."""
WORKPLACE = CODE if IN_CLONE else Path.cwd()
"""Directory of runs/, out/ and mlflow.db, and working directory of subprocesses."""
_DATA = CODE if IN_CLONE else CODE / "reproduce" / "data"
OUT = WORKPLACE / "out"
"""Tables, figures, pages and measurements that commands write for the user; not tracked by git."""
RESULTS = _DATA / "results"
"""Shipped results: stored runs, printed and published numbers, and those of the theory."""
RUNS = WORKPLACE / "runs"
"""Runs that are being trained."""
OWN = RUNS / "store"
"""The user's own finished runs, not tracked by git."""
SHIPPED = RESULTS / "runs"
"""Finished runs that come with the repository; commands only read them."""
RECORDS = _DATA / "benchmarks" / "results"
"""Shipped records of benchmarks."""
MEASURED = OUT / "benchmarks"
"""Benchmark results of this machine; ``make record`` copies them into the repository."""


def installing(extra: str) -> str:
    """The command that installs an extra, in a clone with the versions that were tested."""
    what = f"-c constraints.txt -e '.[{extra}]'" if IN_CLONE else f"'alm-reproduction[{extra}]'"
    return f"pip install {what}"
