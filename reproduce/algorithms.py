"""The algorithms that can be trained, by name; importing this module imports none of them."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


class UnknownAlgorithmError(ValueError):
    """An algorithm or variant that does not exist; the message names the ones that do."""


@dataclass(frozen=True)
class Algorithm:
    """Where an algorithm's agent and configuration are.

    Attributes:
        title: how tables and figures call it.
        summary: one line for help texts.
        agent: ``module:class`` of a class that keeps `alm.training.protocol.Agent`.
        config: ``module:class`` of its configuration.
    """

    title: str
    summary: str
    agent: str
    config: str

    def load(self) -> tuple[Callable[..., Any], Any]:
        """The agent class and the configuration class (imports torch)."""
        return _load(self.agent), _load(self.config)


ALGORITHMS = {
    "alm": Algorithm(
        "ALM(3)", "Aligned Latent Models (Ghugare et al., 2023)", "alm.agent:ALM", "alm.config:ALMConfig"
    ),
}


def algorithm_named(name: str) -> Algorithm:
    """The algorithm of that name.

    Raises:
        UnknownAlgorithmError: there is none; the message names the ones there are.
    """
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    close = difflib.get_close_matches(name.lower(), ALGORITHMS, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise UnknownAlgorithmError(
        f"There is no algorithm {name!r}{hint}; the algorithms are {', '.join(ALGORITHMS)}."
    )


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
