"""The laboratory and its results: runs are made (`lab`), tracked (`tracking`) and shown (`exhibits`).

For notebooks: the functions of `reproduce.api` (docs/python.md).
"""

from typing import Any

__all__ = [
    "claims",
    "compare",
    "figure",
    "load_curves",
    "load_policy",
    "published_curves",
    "table",
]


def __getattr__(name: str) -> Any:
    # Training imports this package too, and must not load what draws.
    if name in __all__:
        from reproduce import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
