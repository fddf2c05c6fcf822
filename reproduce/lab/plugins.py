"""Variants and algorithms from a file of the researcher's own, beside those of the suite.

Such a file declares ``VARIANTS = {"alm": [Variant(...), ...]}``, ``ALGORITHMS = {"mine": Algorithm(...)}``,
or both (docs/new_variant.md).  Loading it changes nothing in the suite: `ResolvedRuns` looks
names up among those of the suite and of the file.  Reading stored runs needs no such file.
"""

import hashlib
import reprlib
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from types import ModuleType

from alm.variants import Variant
from reproduce.lab.algorithms import ALGORITHMS, BASE, Algorithm, UnknownAlgorithmError, algorithm_named

__all__ = ["Plugin", "PluginError", "load_plugin"]

_GUIDE = "see docs/new_variant.md"


class PluginError(ValueError):
    """A plugin that cannot be used; the message is one sentence with the file and what to do."""


@dataclass(frozen=True)
class Plugin:
    """Variants and algorithms that a file of one's own declares.

    Attributes:
        file: its name, without folders.
        text: its content.
        variants: new variants by the algorithm of the suite that they change.
        algorithms: new algorithms by name.
    """

    file: str
    text: str
    variants: Mapping[str, tuple[Variant, ...]]
    algorithms: Mapping[str, Algorithm]

    @property
    def sha256(self) -> str:
        """Digest of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def record(self) -> dict[str, str]:
        """File name and digest, for the provenance of its runs."""
        return {"file": self.file, "sha256": self.sha256}

    def provides(self, algorithm: str, variant: str) -> bool:
        """Whether a variant, or the algorithm itself, is declared here."""
        return algorithm in self.algorithms or any(
            one.name == variant for one in self.variants.get(algorithm, ())
        )

    def among(self, algorithms: Mapping[str, Algorithm]) -> dict[str, Algorithm]:
        """The algorithms given and the plugin's, with its variants."""
        merged = {**algorithms, **self.algorithms}
        for name, variants in self.variants.items():
            known = {**merged[name].variants, **{variant.name: variant for variant in variants}}
            merged[name] = replace(merged[name], variants=known)
        return merged


def load_plugin(path: Path) -> Plugin:
    """Run a plugin's file and check what it declares (imports what the file imports).

    Raises:
        PluginError: the file cannot be read or run, declares nothing, or declares what is no variant or
            algorithm, cannot be loaded, or has a name that is taken.
    """
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PluginError(
            f"The plugin {path} cannot be read ({reason}): give the path of a Python file, {_GUIDE}."
        ) from None
    module = _run(path, text)
    plugin = Plugin(path.name, text, _declared_variants(path, module), _declared_algorithms(path, module))
    if not plugin.variants and not plugin.algorithms:
        raise PluginError(
            f'The plugin {path} declares no variant: add VARIANTS = {{"alm": [Variant(...)]}}, {_GUIDE}.'
        )
    _check_names(path, plugin)
    _check_classes(path, plugin)
    return plugin


def _run(path: Path, text: str) -> ModuleType:
    """The module that a text makes."""
    module = ModuleType(f"plugin:{path.stem}")
    module.__file__ = str(path)
    # Dataclasses look for the module of a class there; no other module has a colon in its name.
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        frames = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else None
        where = f"line {line or (frames or [0])[-1]}"
        reason = (error.msg if isinstance(error, SyntaxError) else str(error)).partition("\n")[0]
        raise PluginError(
            f"The plugin {path} cannot be run ({where}: {type(error).__name__}: {reason}): "
            f"correct it so that `python {path}` runs."
        ) from None
    return module


def _declared_variants(path: Path, module: ModuleType) -> dict[str, tuple[Variant, ...]]:
    declared = getattr(module, "VARIANTS", {})
    if not (
        isinstance(declared, Mapping)
        and all(isinstance(variants, (list, tuple)) for variants in declared.values())
        and all(isinstance(one, Variant) for variants in declared.values() for one in variants)
    ):
        raise PluginError(
            f"VARIANTS of the plugin {path} must be lists of Variant by the name of an algorithm, such as "
            f'{{"alm": [Variant(...)]}}, not {reprlib.repr(declared)}; {_GUIDE}.'
        )
    return {name: tuple(variants) for name, variants in declared.items() if variants}


def _declared_algorithms(path: Path, module: ModuleType) -> dict[str, Algorithm]:
    declared = getattr(module, "ALGORITHMS", {})
    if not (isinstance(declared, Mapping) and all(isinstance(one, Algorithm) for one in declared.values())):
        raise PluginError(
            f"ALGORITHMS of the plugin {path} must be Algorithm by name, such as "
            f'{{"mine": Algorithm(...)}}, not {reprlib.repr(declared)}; {_GUIDE}.'
        )
    return dict(declared)


def _check_names(path: Path, plugin: Plugin) -> None:
    for name in plugin.algorithms:
        if name in ALGORITHMS:
            raise PluginError(f"There is an algorithm {name!r} already: give that of {path} another name.")
    algorithms = {**ALGORITHMS, **plugin.algorithms}
    for name, variants in plugin.variants.items():
        try:
            taken = {BASE.name, *algorithm_named(name, algorithms).variants}
        except UnknownAlgorithmError as error:
            raise PluginError(f"VARIANTS of the plugin {path} cannot be used: {error}") from None
        for variant in variants:
            if variant.name in taken:
                raise PluginError(
                    f"{name} has a variant {variant.name!r} already: give that of {path} another name."
                )
            taken.add(variant.name)


def _check_classes(path: Path, plugin: Plugin) -> None:
    algorithms = plugin.among(ALGORITHMS)
    declared = [(name, BASE) for name in plugin.algorithms]
    declared += [
        (name, one) for name in plugin.algorithms for one in plugin.algorithms[name].variants.values()
    ]
    declared += [(name, one) for name, variants in plugin.variants.items() for one in variants]
    for name, variant in declared:
        if problem := _problem(algorithms[name], variant):
            raise PluginError(f"{name}/{variant.name} of the plugin {path} cannot be trained: {problem}.")


def _problem(algorithm: Algorithm, variant: Variant) -> str | None:
    """Reason why agent and configuration of a variant cannot be used; None if they can."""
    try:
        agent, config = algorithm.load(variant)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        return f"its agent or configuration is not there ({error}); give the class itself"
    if not (isinstance(agent, type) and hasattr(agent, "trains_seeds_apart")):
        return f"its agent {agent!r} is no class that keeps alm.training.agent.Agent, as alm.agent.ALM does"
    if not (isinstance(config, type) and is_dataclass(config) and hasattr(config, "at")):
        return f"its configuration {config!r} is no dataclass with a class method `at`, as ALMConfig is"
    return None
