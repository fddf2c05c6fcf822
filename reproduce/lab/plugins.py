"""Plugins: variants and algorithms from the researcher's own file, and reports of its errors.

Such a file declares ``VARIANTS = {"alm": [Variant(...), ...]}``, ``ALGORITHMS = {"mine": Algorithm(...)}``,
or both (docs/new_variant.md).  Loading it changes nothing in the suite: `ResolvedRuns` looks
up names in the suite and in the file.  Reading stored runs does not need the file.
"""

import difflib
import hashlib
import importlib
import inspect
import re
import reprlib
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from alm.training.files import write_text
from alm.variants import Variant, require_name
from reproduce.lab.algorithms import (
    ALGORITHMS,
    BASE,
    Algorithm,
    UnknownAlgorithmError,
    algorithm_named,
    variant_named,
)
from reproduce.lab.errors import is_sentence

_GUIDE = "see docs/new_variant.md"
# No other module has a colon in its name.
_MODULE = "plugin:"


class PluginFailure(Exception):
    """A failure of a plugin's code at run time; the message is one sentence with its line and traceback."""


@dataclass(frozen=True)
class Plugin:
    """Variants and algorithms that a user's file declares.

    Attributes:
        path: path of the file.
        text: its content.
        variants: new variants, by the algorithm that they change.
        algorithms: new algorithms by name.
    """

    path: Path
    text: str
    variants: Mapping[str, tuple[Variant, ...]]
    algorithms: Mapping[str, Algorithm]

    @property
    def file(self) -> str:
        """The file's name, without directories."""
        return self.path.name

    @property
    def sha256(self) -> str:
        """Digest of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def record(self) -> dict[str, str]:
        """File name and digest, for the provenance of its runs."""
        return {"file": self.file, "sha256": self.sha256}

    @property
    def names(self) -> list[str]:
        """The names of what it declares, as in ``compare``: ``my-td3``, ``alm/my-idea``."""
        return [
            *self.algorithms,
            *(f"{name}/{variant}" for name, of in self.algorithms.items() for variant in of.variants),
            *(f"{name}/{variant.name}" for name, variants in self.variants.items() for variant in variants),
        ]

    def provides(self, algorithm: str, variant: str) -> bool:
        """Whether the plugin declares a variant, or the algorithm itself."""
        return algorithm in self.algorithms or any(
            one.name == variant for one in self.variants.get(algorithm, ())
        )


def algorithms_with(plugin: Plugin | None) -> Mapping[str, Algorithm]:
    """The suite's algorithms and, if there is a plugin, its own and its variants of either."""
    if plugin is None:
        return ALGORITHMS
    merged = {**ALGORITHMS, **plugin.algorithms}
    for name, variants in plugin.variants.items():
        known = {**merged[name].variants, **{variant.name: variant for variant in variants}}
        merged[name] = replace(merged[name], variants=known)
    return merged


def method_named(algorithm: str, variant: str, plugin: Plugin | None) -> tuple[Algorithm, Variant]:
    """The algorithm and its variant of these names, of the suite or of a plugin.

    Raises:
        UnknownAlgorithmError: there is no such algorithm or variant; without a plugin, the message says how
            to add one.
    """
    algorithms = algorithms_with(plugin)
    try:
        return algorithm_named(algorithm, algorithms), variant_named(algorithm, variant, algorithms)
    except UnknownAlgorithmError as error:
        if plugin:
            raise
        raise UnknownAlgorithmError(f"{error} For one of your own, add its file: --plugin.") from None


def load_plugin(path: Path) -> Plugin:
    """Run a plugin's file and check its declarations (imports what the file imports).

    Raises:
        ValueError: the file cannot be read or run, or declares nothing; or a declaration is not a variant or
            algorithm, cannot be loaded, or has a name that is taken.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(
            f"The plugin {path} cannot be read ({reason}): give the path of a Python file, {_GUIDE}."
        ) from None
    module = _run(path, text)
    plugin = Plugin(path, text, _declared_variants(path, module), _declared_algorithms(path, module))
    if not plugin.variants and not plugin.algorithms:
        raise ValueError(
            f'The plugin {path} declares no variant: add VARIANTS = {{"alm": [Variant(...)]}}, {_GUIDE}.'
        )
    _check_names(plugin)
    _check_classes(plugin)
    return plugin


def _run(path: Path, text: str) -> ModuleType:
    """The module of a source text."""
    module = ModuleType(f"{_MODULE}{path.stem}")
    module.__file__ = str(path)
    # The file may import others beside it.  Last on the path, so that they replace no installed module.
    if (directory := str(path.resolve().parent)) not in sys.path:
        sys.path.append(directory)
    # Dataclasses look up the module of a class there.
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        lines = [frame.lineno for frame in frames_of(path, error)] or [0]
        raise ValueError(
            f"The plugin {path} cannot be run (line {lines[-1]}: {_in_words(error)}): "
            f"correct it so that `python {path}` runs."
        ) from None
    return module


def _declared_variants(path: Path, module: ModuleType) -> dict[str, tuple[Variant, ...]]:
    declared = vars(module).get("VARIANTS", {})
    if not (
        isinstance(declared, Mapping)
        and all(isinstance(name, str) for name in declared)
        and all(isinstance(variants, (list, tuple)) for variants in declared.values())
        and all(isinstance(one, Variant) for variants in declared.values() for one in variants)
    ):
        raise ValueError(
            f"VARIANTS of the plugin {path} must map names of algorithms to lists of Variant, such as "
            f'{{"alm": [Variant(...)]}}, not {reprlib.repr(declared)}; {_GUIDE}.'
        )
    return {name: tuple(variants) for name, variants in declared.items() if variants}


def _declared_algorithms(path: Path, module: ModuleType) -> dict[str, Algorithm]:
    declared = vars(module).get("ALGORITHMS", {})
    if not (isinstance(declared, Mapping) and all(isinstance(one, Algorithm) for one in declared.values())):
        raise ValueError(
            f"ALGORITHMS of the plugin {path} must map names to Algorithm, such as "
            f'{{"mine": Algorithm(...)}}, not {reprlib.repr(declared)}; {_GUIDE}.'
        )
    return dict(declared)


def _check_names(plugin: Plugin) -> None:
    path = plugin.path
    for name in plugin.algorithms:
        try:
            require_name(name, "an algorithm")
        except ValueError as error:
            raise ValueError(f"ALGORITHMS of the plugin {path} cannot be used: {error}") from None
        if name in ALGORITHMS:
            raise ValueError(f"There is an algorithm {name!r} already: give that of {path} another name.")
    algorithms = {**ALGORITHMS, **plugin.algorithms}
    for name, variants in plugin.variants.items():
        try:
            taken = {BASE.name, *algorithm_named(name, algorithms).variants}
        except UnknownAlgorithmError as error:
            raise ValueError(f"VARIANTS of the plugin {path} cannot be used: {error}") from None
        own = [variant.name for variant in variants]
        for variant in own:
            if variant in taken:
                raise ValueError(
                    f"{name} has a variant {variant!r} already: give that of {path} another name."
                )
            if own.count(variant) > 1:
                raise ValueError(
                    f"The plugin {path} declares two variants {variant!r} of {name}: give one another name."
                )


def _check_classes(plugin: Plugin) -> None:
    declared = [
        (f"{name}/{variant.name}", algorithm, variant)
        for name, algorithm in algorithms_with(plugin).items()
        for variant in (BASE, *algorithm.variants.values())
        if plugin.provides(name, variant.name)
    ]
    for label, algorithm, variant in declared:
        if problem := _problem(algorithm, variant):
            raise ValueError(f"{label} of the plugin {plugin.path} cannot be trained: {problem}.")
    doubts = (doubt for _, algorithm, variant in declared for doubt in _doubts(*algorithm.load(variant)))
    for doubt in dict.fromkeys(doubts):
        warnings.warn(f"{doubt} (plugin {plugin.path})", stacklevel=3)


def _problem(algorithm: Algorithm, variant: Variant) -> str | None:
    """The reason why a variant's agent or configuration cannot be used; None if both can."""
    try:
        agent, config = algorithm.load(variant)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        places = [f"{one.filename}:{one.lineno}: " for one in _frames(error) if not _loads(one.filename)]
        # Further in may be a library's code; only errors of syntax have a place of their own.
        place = -1 if isinstance(error, SyntaxError) else 0
        where, cure = (places[place], "correct it") if places else ("", "give the class itself")
        return f"its agent or configuration cannot be loaded ({where}{_in_words(error)}); {cure}"
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


def _doubts(agent: type, config: type) -> Iterator[str]:
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
    return [one for one in cls.__mro__ if one.__module__.startswith(_MODULE)]


def _public(cls: type) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in vars(cls).items() if not name.startswith("_")]


def _misfits(own: type) -> Iterator[str]:
    """Overrides in a plugin's class that do not fit the suite's class that it extends, in words."""
    lineage = own.__mro__
    for place, cls in enumerate(lineage):
        if not cls.__module__.startswith(_MODULE):
            continue
        for name, defined in vars(cls).items():
            bases = [base for base in lineage[place + 1 :] if not base.__module__.startswith(_MODULE)]
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


def frames_of(path: Path, error: BaseException) -> list[traceback.FrameSummary]:
    """The places in a plugin's file through which an error came, the innermost last."""
    return [frame for frame in _frames(error) if frame.filename == str(path)]


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The places through which an error came, the innermost last; it may be one of syntax."""
    frames = list(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename:
        frames.append(traceback.FrameSummary(error.filename, error.lineno, "<module>"))
    return frames


@contextmanager
def mistakes_of(plugin: Plugin | None, algorithm: str, variant: str, runs_dir: Path) -> Iterator[None]:
    """Report an error in a plugin's code in one sentence, and keep the traceback for its author.

    The suite's own one-sentence errors, errors of the operating system and requests to stop pass through.

    Args:
        plugin: the plugin, if there is one.
        algorithm, variant: the algorithm and variant in use.
        runs_dir: directory of runs; the traceback goes to its subdirectory ``logs``.

    Raises:
        PluginFailure: replaces an exception in the plugin's code, or one that the plugin's return values
            caused in the suite.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if plugin is None or not plugin.provides(algorithm, variant):
            raise
        own = frames_of(plugin.path, error)
        if not own and (isinstance(error, OSError) or is_sentence(error)):
            raise
        if own:
            place = f"{plugin.file}:{own[-1].lineno}, in {own[-1].name}"
        else:
            place = _declaration(plugin, algorithm, variant)
        log = runs_dir / "logs" / f"{plugin.path.stem}-{algorithm}-{variant}.traceback"
        try:
            write_text(log, "".join(traceback.format_exception(error)))
            kept = f"the traceback is in {log}"
        except OSError as refused:
            kept = f"the traceback could not be written to {log} ({refused.strerror})"
        raise PluginFailure(
            f"{algorithm}/{variant} of the plugin {plugin.path} cannot go on ({place}: {_in_words(error)}); "
            f"{kept}; correct the file and repeat the command."
        ) from error


def _in_words(error: BaseException) -> str:
    """The type of an error and the first line of its message, even if its ``__str__`` fails."""
    said = error.msg if isinstance(error, SyntaxError) else traceback.TracebackException.from_exception(error)
    message = str(said).partition("\n")[0].rstrip(".")
    # The suite's own sentence about a plugin.
    return message if type(error).__name__ == "ContractError" else f"{type(error).__name__}: {message}"


def _declaration(plugin: Plugin, algorithm: str, variant: str) -> str:
    """Where a plugin declares a variant's class, or else the variant: ``my_idea.py:22, class CalmALM``."""
    of, named = method_named(algorithm, variant, plugin)
    for cls in (one for pair in of.load(named) for one in pair.__mro__ if one.__module__.startswith(_MODULE)):
        if found := re.search(rf"^[ \t]*class {cls.__name__}\b", plugin.text, re.MULTILINE):
            return f"{plugin.file}:{_line(plugin.text, found.start())}, class {cls.__name__}"
    found = re.search(rf"""["']{re.escape(variant)}["']""", plugin.text)
    return f"{plugin.file}:{_line(plugin.text, found.start())}" if found else plugin.file


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
