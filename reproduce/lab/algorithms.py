"""Registry of algorithms and variants by name; importing this module imports no agent."""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any

from alm.errors import UserError
from alm.names import nearest
from alm.task_registry import UnknownTaskError
from alm.training.scale import SCALES, scale_named
from alm.variants import MILLION, VARIANTS, Variant, require_fields
from reproduce.lab.specs import RunSpec, variant_parts

BASE = Variant("base", "the algorithm unchanged")


class UnknownAlgorithmError(UserError):
    """An unknown algorithm or variant; the message lists those that exist."""


@dataclass(frozen=True)
class Algorithm:
    """An algorithm: its names, and its agent and configuration or where to import them from.

    Attributes:
        title: its name in tables and figures.
        summary: one line for help texts.
        agent: a class that implements `alm.training.agent.Agent`, or its ``module:class``.
        config: the class of its configuration, or its ``module:class``.
        page: its page in ``docs/algorithms``, without ``.md``; none if it comes from a plugin.
        variants: its variants by name, without `BASE`.

    Raises:
        UserError: an attribute has the wrong type, or a variant is named as `BASE` is.
    """

    title: str
    summary: str
    agent: str | type[Any]
    config: str | type[Any]
    page: str = ""
    variants: Mapping[str, Variant] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not isinstance(self.title, str):
            raise UserError(f"The title of an algorithm must be text, not {reprlib.repr(self.title)}.")
        a_class = "a class or its 'module:class'"
        sound = {
            "summary": (isinstance(self.summary, str), "text"),
            "agent": (isinstance(self.agent, str | type), a_class),
            "config": (isinstance(self.config, str | type), a_class),
            "page": (isinstance(self.page, str), "text"),
        }
        require_fields(f"the algorithm {self.title!r}", self, sound)
        named = isinstance(self.variants, Mapping) and all(
            isinstance(one, Variant) and one.name == name for name, one in self.variants.items()
        )
        if named and BASE.name in self.variants:
            raise UserError(
                f"No variant of the algorithm {self.title!r} may be called {BASE.name!r}, as the algorithm "
                "unchanged is."
            )
        if not named:
            raise UserError(
                f"The variants of the algorithm {self.title!r} must be Variant by their own names, such as "
                f"{{'fast': Variant('fast', ...)}}, not {reprlib.repr(self.variants)}."
            )

    def load(self, variant: Variant = BASE) -> tuple[Any, Any]:
        """The agent class and the configuration class of a variant (imports torch)."""
        agent = self.agent if variant.agent is None else variant.agent
        config = self.config if variant.config is None else variant.config
        return _load(agent), _load(config)


ALGORITHMS: Mapping[str, Algorithm] = {
    "alm": Algorithm(
        "ALM(3)",
        "Aligned Latent Models (Ghugare et al., 2023)",
        "alm.agent:ALM",
        "alm.config:ALMConfig",
        page="alm",
        variants=VARIANTS,
    ),
    "sac": Algorithm(
        "SAC",
        "soft actor-critic with a learned temperature",
        "baselines.sac:SAC",
        "baselines.sac:SACConfig",
        page="sac",
        variants=MappingProxyType({MILLION.name: MILLION}),
    ),
    "td3": Algorithm("TD3", "twin delayed DDPG", "baselines.td3:TD3", "baselines.td3:TD3Config", page="td3"),
    "redq": Algorithm(
        "REDQ",
        "randomised ensembled double Q-learning: ten critics, twenty updates a step",
        "baselines.redq:REDQ",
        "baselines.redq:REDQConfig",
        page="redq",
        variants=MappingProxyType(
            {
                "official-density": Variant(
                    "official-density",
                    "1e-6 inside the logarithm of the policy's density, as in the official code",
                    agent="baselines.redq:OfficialDensityREDQ",
                )
            }
        ),
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
        "SAC whose policy maximises the return of two steps of a recurrent model, then the critics",
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


def algorithm_named(name: str, algorithms: Mapping[str, Algorithm] = ALGORITHMS) -> Algorithm:
    """The algorithm of that name, of those given.

    Raises:
        UnknownAlgorithmError: there is none; the message lists those that exist.
    """
    if name in algorithms:
        return algorithms[name]
    raise UnknownAlgorithmError(
        f"There is no algorithm {name!r}{nearest(name, algorithms)}; the algorithms are "
        f"{', '.join(algorithms)}."
    )


def variant_named(algorithm: str, name: str, algorithms: Mapping[str, Algorithm] = ALGORITHMS) -> Variant:
    """The variant of that name of an algorithm, ``"base"`` included.

    Raises:
        UnknownAlgorithmError: there is no such algorithm or variant; the message lists those that exist.
    """
    variants = {BASE.name: BASE, **algorithm_named(algorithm, algorithms).variants}
    if name in variants:
        return variants[name]
    raise UnknownAlgorithmError(
        f"There is no variant {name!r} of {algorithm}{nearest(name, variants)}; the variants are "
        f"{', '.join(variants)}."
    )


def title_of(algorithm: str, variant: str = BASE.name) -> str:
    """Name of an algorithm or a variant in tables and texts: ``SAC``, ``ALM(3)+bf16``, ``ALM(3) no-kl``."""
    known = ALGORITHMS.get(algorithm)
    name = known.title if known else algorithm
    unchanged = variant_parts(variant).name == BASE.name
    return f"{name}{variant.removeprefix(BASE.name)}" if unchanged else f"{name} {variant}"


def run_length(spec: RunSpec) -> int:
    """Environment steps of a whole run; a variant unknown here has the scale's length."""
    return _variant_of(spec).training(scale_named(spec.scale), spec.task).total_steps


def sizes_of(spec: RunSpec) -> str:
    """The scale whose widths and batches a run has: its own, unless its variant has those of another."""
    return _variant_of(spec).sizes or spec.scale


def _variant_of(spec: RunSpec) -> Variant:
    """A run's variant; one that is unknown here counts as unchanged."""
    algorithm = ALGORITHMS.get(spec.algorithm)
    return algorithm.variants.get(variant_parts(spec.variant).name, BASE) if algorithm else BASE


def run_length_if_known(spec: RunSpec) -> int | None:
    """`run_length`; None for a scale or task unknown to this version, which stored runs may have."""
    try:
        return run_length(spec) if spec.scale in SCALES else None
    except UnknownTaskError:
        return None


def _load(place: str | type[Any]) -> Any:
    if isinstance(place, type):
        return place
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
