"""Forms: what values in the records of a run must be, since their file may have been damaged or edited."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

Form = type | Callable[[Any], bool] | Mapping[str, "Form"]
"""A type, a test of a value, or forms of an object's fields, some of which may be absent."""

_LARGEST = 10**14
"""More than any number of steps, bytes, seconds or milliseconds since 1970: 100 TB, or the year 5138."""


def within(low: float, high: float = _LARGEST, whole: bool = False) -> Callable[[Any], bool]:
    """The form of a number within limits, perhaps a whole one; NaN, Inf and booleans are none."""
    kinds = (int,) if whole else (int, float)
    return lambda value: type(value) in kinds and low <= value <= high


def listed(form: Callable[[Any], bool], least: int = 0) -> Callable[[Any], bool]:
    """The form of a list of values of one form, ``least`` or more of them."""
    return lambda values: isinstance(values, list) and len(values) >= least and all(map(form, values))


FINITE = within(-sys.float_info.max, sys.float_info.max)
COUNT = within(0, whole=True)

TIMES: Mapping[str, Form] = {
    "step": within(1, whole=True),
    "training_step": COUNT,
    "wall_seconds": within(0),
    "time_ms": COUNT,
}
"""When a line of metrics was written, or a row of the store."""

CONFIG: Form = {"agent": dict, "training": {"total_steps": COUNT, "eval_every": COUNT}}
"""A resolved configuration."""

PROVENANCE: Form = {
    "git_sha": str,
    "git_dirty": bool,
    "command": str,
    "packages": dict,
    "hardware": {"memory_bytes": COUNT},
    "device": str,
    "plugin": {"file": str},
    "population": within(1),
    "started_ms": COUNT,
    "finished_ms": COUNT,
    "execution": dict,
    "resumed": list,
}
"""The provenance of a run, in its directory and in the store."""


def misfit(value: Any, form: Form, name: str = "") -> str | None:
    """Reason why a JSON value does not have a form, ``"its 'step' is 'x'"``; None if it has.

    Args:
        value: the value.
        form: its form.
        name: its name in the reason, with those of the objects around it; empty for a whole record.
    """
    subject = f"its {name!r}" if name else "it"
    if isinstance(form, Mapping):
        if not isinstance(value, dict):
            return f"{subject} is a {type(value).__name__}, not an object"
        inner = (
            misfit(value[one], form[one], f"{name}.{one}" if name else one) for one in form if one in value
        )
        return next(filter(None, inner), None)
    fits = isinstance(value, form) if isinstance(form, type) else form(value)
    return None if fits else f"{subject} is {value!r:.40}"
