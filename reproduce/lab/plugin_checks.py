"""Checks of a plugin's classes before anything is trained: faults, for which it is refused, and doubts."""

import difflib
import importlib
import inspect
import reprlib
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from alm.variants import Variant
from reproduce.lab.algorithms import Algorithm
from reproduce.lab.errors import frames, in_words

MODULE = "plugin:"
"""First letters of the names of plugins' modules; no other module has a colon in its name."""


def is_plugins(cls: type) -> bool:
    """Whether a plugin defines a class."""
    return cls.__module__.startswith(MODULE)


def fault_of(algorithm: Algorithm, variant: Variant) -> str | None:
    """The reason why a variant's agent or configuration cannot be used; None if both can."""
    try:
        agent, config = algorithm.load(variant)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        places = [f"{one.filename}:{one.lineno}: " for one in frames(error) if not _loads(one.filename)]
        # Further in may be a library's code; only errors of syntax have a place of their own.
        place = -1 if isinstance(error, SyntaxError) else 0
        where, cure = (places[place], "correct it") if places else ("", "give the class itself")
        return f"its agent or configuration cannot be loaded ({where}{in_words(error)}); {cure}"
    from alm.training.agent import Agent  # imports torch, which is here by now

    if not (isinstance(agent, type) and issubclass(agent, Agent)):
        return (
            f"its agent {_shown(agent)} is not a class that extends alm.training.agent.Agent, as "
            "alm.agent.ALM does"
        )
    if not (isinstance(config, type) and is_dataclass(config) and hasattr(config, "at")):
        return (
            f"its configuration {_shown(config)} is not a dataclass with a class method `at`, as ALMConfig is"
        )
    try:
        inspect.signature(config.at).bind(scale=None, task=None)
    except (TypeError, ValueError):
        at = f"`at` of its configuration {config.__name__}{_line_of(config.at)}"
        return f"{at} must be a class method that takes a scale and the name of a task, as ALMConfig's does"
    if missing := sorted(agent.__abstractmethods__):
        names = ", ".join(f"`{name}`" for name in missing)
        return f"its agent {agent.__name__} does not define {names}, as every agent must"
    return next(_misfits(agent), None) or next(_misfits(config), None) or _unmade(agent)


def _loads(file: str) -> bool:
    """Whether a file is code that loads the modules which a plugin names."""
    loading = (__file__, inspect.getfile(Algorithm), inspect.getfile(importlib))
    return file in loading or file.startswith("<frozen ")


def _shown(value: Any) -> str:
    """A value in words, even if its ``__repr__`` fails."""
    words = reprlib.Repr()
    words.maxother = 200
    return words.repr(value)


def doubts_about(agent: type, config: type) -> Iterator[str]:
    """Declarations that have no effect, in words: settings that are none, misspelt methods."""
    for cls in _of_plugin(config):
        typed = inspect.get_annotations(cls)
        if typed and "__dataclass_fields__" not in vars(cls):
            yield f"{cls.__name__} adds no settings without @dataclass(frozen=True)"
        for name, value in _public(cls):
            if not (name in typed or callable(value) or hasattr(value, "__get__")):
                yield f"`{name}` of {cls.__name__} is no setting without a type: write `{name}: type = …`"
    for own in (agent, config):
        mine = _of_plugin(own)
        defined = {name for cls in mine for name, _ in _public(cls)}
        suite = {name for cls in own.__mro__ if cls not in mine for name, _ in _public(cls)}
        for name in sorted(defined - suite):
            if close := difflib.get_close_matches(name, sorted(suite - defined), n=1, cutoff=0.85):
                what = f"`{name}` of {own.__name__}{_line_of(getattr(own, name))}"
                yield f"{what} replaces nothing: did you mean `{close[0]}`?"


def _of_plugin(cls: type) -> list[type]:
    """A class and those that it extends, as far as a plugin defines them."""
    return [one for one in cls.__mro__ if is_plugins(one)]


def _public(cls: type) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in vars(cls).items() if not name.startswith("_")]


def _misfits(own: type) -> Iterator[str]:
    """Overrides in a plugin's class that do not fit the suite's class that it extends, in words."""
    lineage = own.__mro__
    for place, cls in enumerate(lineage):
        if not is_plugins(cls):
            continue
        for name, defined in vars(cls).items():
            bases = [base for base in lineage[place + 1 :] if not is_plugins(base)]
            base = next((base for base in bases if name in vars(base)), None)
            if base is None or (name.startswith("__") and name != "__init__"):
                continue
            given = vars(base)[name]
            what = f"`{name}` of {cls.__name__}{_line_of(defined)}"
            if isinstance(given, (property, cached_property)) and inspect.isfunction(defined):
                yield f"{what} must be a @cached_property, as in {base.__name__}"
            elif inspect.isfunction(given) and not (callable(defined) or isinstance(defined, staticmethod)):
                yield f"{what} must be a method, as in {base.__name__}, not {reprlib.repr(defined)}"
            elif inspect.isfunction(given) and inspect.isfunction(defined):
                needed, taken = inspect.signature(given), inspect.signature(defined)
                if not _takes(taken, needed):
                    yield (
                        f"{what} takes ({', '.join(taken.parameters)}), but must accept the parameters "
                        f"of {base.__name__}'s: ({', '.join(needed.parameters)})"
                    )


def _unmade(agent: Any) -> str | None:
    """The reason why `ResolvedRuns.agent` could not make an agent of a class; None if it could."""
    try:
        inspect.signature(agent).bind(None, None, None, device="cpu")
    except TypeError:
        given = ", ".join(inspect.signature(agent.__init__).parameters)
        return (
            f"`__init__` of {agent.__name__}{_line_of(agent.__init__)} takes ({given}), but must accept "
            "(task, config, seeds, device='cpu'), as Agent's does"
        )
    return None


def _takes(taken: inspect.Signature, needed: inspect.Signature) -> bool:
    """Whether a function accepts, in order, the positional arguments that another one requires."""
    in_order = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [
        one for one in needed.parameters.values() if one.default is one.empty and one.kind in in_order
    ]
    try:
        taken.bind(*required)
    except TypeError:
        return False
    return True


def _line_of(function: Any) -> str:
    """The place of a function's definition, as in `` (my_idea.py:31)``; empty if it is not a function."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return f" ({Path(code.co_filename).name}:{code.co_firstlineno})" if code else ""
