"""The laboratory and its results: runs are made (`lab`), tracked (`tracking`) and shown (`exhibits`).

For notebooks: `load_curves`, `compare`, `table`, `claims` and `figure` of `reproduce.api`.
"""

from typing import Any

__all__ = ["claims", "compare", "figure", "load_curves", "table"]


def __getattr__(name: str) -> Any:
    # Training imports this package too, and must not load what draws.
    if name in __all__:
        from reproduce import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
