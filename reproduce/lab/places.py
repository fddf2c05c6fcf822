"""Places: the code, the data that comes with it, and where a user's own files go.

In a clone all three are the repository. An installed package (``pip install``) has its data inside, and
leaves what it makes in the directory that it is used from.
"""

from pathlib import Path

CODE = Path(__file__).resolve().parents[2]
"""The folder of the packages `alm`, `baselines`, `paper_figures` and `reproduce`."""
IN_CLONE = (CODE / "pyproject.toml").is_file()
"""Whether the code is that of a clone."""
WORKPLACE = CODE if IN_CLONE else Path.cwd()
"""Where runs/, out/ and mlflow.db are, and commands of other processes run."""
_DATA = CODE if IN_CLONE else CODE / "reproduce" / "data"
OUT = WORKPLACE / "out"
"""Tables, figures, pages and measurements that commands make for their user, no part of the repository."""
RESULTS = _DATA / "results"
"""Stored runs, printed and published numbers, and the theory's results, as they were shipped."""
RECORDS = _DATA / "benchmarks" / "results"
"""What benchmarks recorded, as it was shipped."""
MEASURED = OUT / "benchmarks"
"""What benchmarks measure on this machine; ``make record`` makes it the repository's."""
