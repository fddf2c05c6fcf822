"""The algorithms that can be trained, by name; importing this module imports none of them."""

import difflib
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
        page: its page in ``docs/algorithms``, without ``.md``.
    """

    title: str
    summary: str
    agent: str
    config: str
    page: str

    def load(self) -> tuple[Any, Any]:
        """The agent class and the configuration class (imports torch)."""
        return _load(self.agent), _load(self.config)


ALGORITHMS = {
    "alm": Algorithm(
        "ALM(3)",
        "Aligned Latent Models (Ghugare et al., 2023)",
        "alm.agent:ALM",
        "alm.config:ALMConfig",
        page="alm",
    ),
    "sac": Algorithm(
        "SAC",
        "soft actor-critic with a learned temperature",
        "baselines.sac:SAC",
        "baselines.sac:SACConfig",
        page="sac",
    ),
    "td3": Algorithm("TD3", "twin delayed DDPG", "baselines.td3:TD3", "baselines.td3:TD3Config", page="td3"),
    "redq": Algorithm(
        "REDQ",
        "randomised ensembled double Q-learning: ten critics, twenty updates a step",
        "baselines.redq:REDQ",
        "baselines.redq:REDQConfig",
        page="redq",
    ),
    "sac-avg": Algorithm(
        "SAC-AVG",
        "REDQ with the mean of all target critics",
        "baselines.redq:SACAverage",
        "baselines.redq:SACAverageConfig",
        page="redq",
    ),
    "td3-ours": Algorithm(
        "TD3 (ours)",
        "ALM's actor, critics and exploration on raw observations, without a model",
        "baselines.td3_ours:TD3Ours",
        "baselines.td3_ours:TD3OursConfig",
        page="td3_ours",
    ),
    "sac-svg2": Algorithm(
        "SAC-SVG(2)",
        "SAC whose policy climbs two steps of a recurrent model, then the critics",
        "baselines.sac_svg:SACSVG",
        "baselines.sac_svg:SACSVGConfig",
        page="sac_svg",
    ),
    "sac-svg3": Algorithm(
        "SAC-SVG(3)",
        "SAC-SVG with three model steps",
        "baselines.sac_svg:SACSVG3",
        "baselines.sac_svg:SACSVG3Config",
        page="sac_svg",
    ),
    "mbpo": Algorithm(
        "MBPO",
        "model-based policy optimisation: SAC on short rollouts of an ensemble of dynamics models",
        "baselines.mbpo:MBPO",
        "baselines.mbpo:MBPOConfig",
        page="mbpo",
    ),
    "svg": Algorithm(
        "SVG(1)",
        "one-step stochastic value gradients on replayed transitions",
        "baselines.svg:SVG",
        "baselines.svg:SVGConfig",
        page="svg",
    ),
    "slbo": Algorithm(
        "SLBO",
        "stochastic lower bounds optimisation: TRPO in a learned model (mbbl tasks)",
        "baselines.slbo:SLBO",
        "baselines.slbo:SLBOConfig",
        page="slbo",
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
