"""Plugins: variants and algorithms from the researcher's own file, and reports of its errors.

Such a file declares ``VARIANTS = {"alm": [Variant(...), ...]}``, ``ALGORITHMS = {"mine": Algorithm(...)}``,
or both (docs/new_variant.md). Loading it changes nothing in the suite: `ResolvedRuns` looks
up names in the suite and in the file. Reading stored runs does not need the file.
"""

import hashlib
import re
import reprlib
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from alm.errors import UserError
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
from reproduce.lab.errors import frames, in_words
from reproduce.lab.plugin_checks import MODULE, doubts_about, fault_of, is_plugins

_GUIDE = "see docs/new_variant.md"


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
        UserError: the file cannot be read or run, or declares nothing; or a declaration is not a variant or
            algorithm, cannot be loaded, or has a name that is taken.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(
            f"The plugin {path} cannot be read ({reason}): give the path of a Python file, {_GUIDE}."
        ) from None
    module = _run(path, text)
    plugin = Plugin(path, text, _declared_variants(path, module), _declared_algorithms(path, module))
    if not plugin.variants and not plugin.algorithms:
        raise UserError(
            f'The plugin {path} declares no variant: add VARIANTS = {{"alm": [Variant(...)]}}, {_GUIDE}.'
        )
    _check_names(plugin)
    _check_classes(plugin)
    return plugin


def _run(path: Path, text: str) -> ModuleType:
    """The module of a source text."""
    module = ModuleType(f"{MODULE}{path.stem}")
    module.__file__ = str(path)
    # The file may import others beside it. Last on the path, so that they replace no installed module.
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
        raise UserError(
            f"The plugin {path} cannot be run (line {lines[-1]}: {in_words(error)}): "
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
        raise UserError(
            f"VARIANTS of the plugin {path} must map names of algorithms to lists of Variant, such as "
            f'{{"alm": [Variant(...)]}}, not {reprlib.repr(declared)}; {_GUIDE}.'
        )
    return {name: tuple(variants) for name, variants in declared.items() if variants}


def _declared_algorithms(path: Path, module: ModuleType) -> dict[str, Algorithm]:
    declared = vars(module).get("ALGORITHMS", {})
    if not (isinstance(declared, Mapping) and all(isinstance(one, Algorithm) for one in declared.values())):
        raise UserError(
            f"ALGORITHMS of the plugin {path} must map names to Algorithm, such as "
            f'{{"mine": Algorithm(...)}}, not {reprlib.repr(declared)}; {_GUIDE}.'
        )
    return dict(declared)


def _check_names(plugin: Plugin) -> None:
    path = plugin.path
    for name in plugin.algorithms:
        try:
            require_name(name, "an algorithm")
        except UserError as error:
            raise UserError(f"ALGORITHMS of the plugin {path} cannot be used: {error}") from None
        if name in ALGORITHMS:
            raise UserError(f"There is an algorithm {name!r} already: give that of {path} another name.")
    algorithms = {**ALGORITHMS, **plugin.algorithms}
    for name, variants in plugin.variants.items():
        try:
            taken = {BASE.name, *algorithm_named(name, algorithms).variants}
        except UnknownAlgorithmError as error:
            raise UserError(f"VARIANTS of the plugin {path} cannot be used: {error}") from None
        own = [variant.name for variant in variants]
        for variant in own:
            if variant in taken:
                raise UserError(
                    f"{name} has a variant {variant!r} already: give that of {path} another name."
                )
            if own.count(variant) > 1:
                raise UserError(
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
        if fault := fault_of(algorithm, variant):
            raise UserError(f"{label} of the plugin {plugin.path} cannot be trained: {fault}.")
    doubts = (doubt for _, algorithm, variant in declared for doubt in doubts_about(*algorithm.load(variant)))
    for doubt in dict.fromkeys(doubts):
        warnings.warn(f"{doubt} (plugin {plugin.path})", stacklevel=3)


def frames_of(path: Path, error: BaseException) -> list[traceback.FrameSummary]:
    """The places in a plugin's file through which an error came, the innermost last."""
    return [frame for frame in frames(error) if frame.filename == str(path)]


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
        if not own and (isinstance(error, (OSError, UserError))):
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
            f"{algorithm}/{variant} of the plugin {plugin.path} cannot go on ({place}: {in_words(error)}); "
            f"{kept}; correct the file and repeat the command."
        ) from error


def _declaration(plugin: Plugin, algorithm: str, variant: str) -> str:
    """Where a plugin declares a variant's class, or else the variant: ``my_idea.py:22, class CalmALM``."""
    of, named = method_named(algorithm, variant, plugin)
    for cls in (one for pair in of.load(named) for one in pair.__mro__ if is_plugins(one)):
        if found := re.search(rf"^[ \t]*class {cls.__name__}\b", plugin.text, re.MULTILINE):
            return f"{plugin.file}:{_line(plugin.text, found.start())}, class {cls.__name__}"
    found = re.search(rf"""["']{re.escape(variant)}["']""", plugin.text)
    return f"{plugin.file}:{_line(plugin.text, found.start())}" if found else plugin.file


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
