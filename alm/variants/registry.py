"""Every variant of ALM by name; this module needs no torch."""

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from alm.errors import UserError
from alm.training.scale import SCALES, Scale, TrainingConfig, scale_named

# A plus or equals sign would be read as a precision or a setting: base+bf16, base[horizon=7].
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._()-]{0,59}")


def require_name(name: Any, of: str) -> None:
    """Check that a name is valid and keeps its runs distinguishable from others.

    Raises:
        UserError: it is not.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise UserError(
            f"The name of {of} must be a word of at most 60 letters, digits and ._()- (as in my-idea-0.1), "
            f"not {reprlib.repr(name)}."
        )


def require_fields(of: str, declared: Any, sound: Mapping[str, tuple[bool, str]]) -> None:
    """Check the fields of a declaration, given for each whether it is sound and what it must be.

    Raises:
        UserError: one is not; the message names ``of``, such as ``"the variant 'no-kl'"``.
    """
    for name, (fits, needed) in sound.items():
        if not fits:
            raise UserError(f"{name} of {of} must be {needed}, not {reprlib.repr(getattr(declared, name))}.")


@dataclass(frozen=True)
class Variant:
    """A named change of an algorithm.

    Attributes:
        name: name on the command line.
        summary: the change, in one line.
        changes: fields of the configuration and their new values.
        agent: the agent's class, or its ``module:class``; None: the algorithm's own.
        config: the configuration's class, or its ``module:class``; None: the algorithm's own.
        paper_steps: environment steps of a run at paper scale; None: the scale's.
        sizes: scale whose widths and batches it has at every scale; None: those of the run's scale.

    Raises:
        UserError: the name is not a valid word, or another attribute has the wrong type.
    """

    name: str
    summary: str
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    agent: str | type[Any] | None = None
    config: str | type[Any] | None = None
    paper_steps: int | None = None
    sizes: str | None = None

    def __post_init__(self) -> None:
        require_name(self.name, "a variant")
        steps = self.paper_steps
        class_of_its_own = "a class, its 'module:class', or None"
        sound = {
            "summary": (isinstance(self.summary, str), "text"),
            "changes": (
                isinstance(self.changes, Mapping) and all(isinstance(one, str) for one in self.changes),
                "settings by their names, such as {'horizon': 7}",
            ),
            "agent": (self.agent is None or isinstance(self.agent, str | type), class_of_its_own),
            "config": (self.config is None or isinstance(self.config, str | type), class_of_its_own),
            "paper_steps": (
                steps is None or (isinstance(steps, int) and not isinstance(steps, bool) and steps > 0),
                "None or a whole number of at least 1",
            ),
            "sizes": (self.sizes in (None, *SCALES), f"None or one of {', '.join(SCALES)}"),
        }
        require_fields(f"the variant {self.name!r}", self, sound)

    def configuration(self, config_class: Any, scale: Scale, task: str) -> Any:
        """The resolved configuration of a scale and task, from ``config_class``.

        Raises:
            UserError: the configuration lacks a changed field (the message lists its fields), or the class
                returns something other than an instance of itself.
        """
        known = [setting.name for setting in fields(config_class)]
        for name in self.changes:
            if name not in known:
                raise UserError(
                    f"The variant {self.name!r} changes {name!r}, which is no setting of "
                    f"{config_class.__name__}; its settings are {', '.join(known)}."
                )
        if self.sizes is not None:
            scale = scale.sized_as(scale_named(self.sizes))
        config = config_class.at(scale, task)
        if not isinstance(config, config_class):
            name = config_class.__name__
            raise UserError(f"{name}.at must return a {name}, not {reprlib.repr(config)}.")
        return replace(config, **self.changes)

    def training(self, scale: Scale, task: str) -> TrainingConfig:
        """The training loop's configuration; a changed run length scales proportionally at other scales."""
        training = scale.training(task)
        if self.paper_steps is None:
            return training
        usual = scale_named("paper").training(task).total_steps
        return replace(training, total_steps=training.total_steps * self.paper_steps // usual)


MILLION = Variant("million", "a million steps", paper_steps=1_000_000)
"""A variant of ALM and of SAC (Figure 14)."""


def _coefficient(c: float) -> Variant:
    return Variant(f"c-{c:g}", f"c = {c:g} instead of 0.1", {"classifier_coefficient": c})


def _horizon(k: int) -> Variant:
    return Variant(f"k{k}", f"ALM({k}): K = {k} instead of 3", {"horizon": k})


_LOG, _LOG_CONFIG = "alm.variants.log_reward:LogRewardALM", "alm.variants.log_reward:LogRewardConfig"

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        variant.name: variant
        for variant in (
            Variant("no-kl", "no KL in the encoder-and-model objective", {"kl_term": False}),
            Variant("no-value", "no value in the encoder-and-model objective", {"value_term": False}),
            Variant(
                "no-classifier",
                "c = 0: no classifier in the policy objective",
                {"classifier_coefficient": 0.0},
            ),
            *map(_horizon, (1, 2, 4, 5)),
            Variant(
                "td3-loss",
                "the policy maximises the critics, as in TD3, on ALM's representation",
                agent="alm.variants.td3_loss:TD3LossALM",
            ),
            Variant(
                "ent",
                "ALM-ENT(3): a stochastic policy with SAC's entropy bonus",
                agent="alm.variants.entropy:EntropyALM",
                config="alm.variants.entropy:EntropyConfig",
            ),
            *map(_coefficient, (0.05, 0.15, 0.2, 0.5, 1.0)),
            Variant(
                "linear-classifier",
                "the classifier is one affine map",
                agent="alm.variants.architectures:LinearClassifierALM",
            ),
            Variant("log-naive", "log r̂ and log Q in both objectives", agent=_LOG, config=_LOG_CONFIG),
            Variant(
                "log-model",
                "log r̂ and log Q in the encoder-and-model objective alone",
                # The authors ran this one with shifted rewards on every task.
                {"log_in_policy": False, "reward_shift": 20.0},
                agent=_LOG,
                config=_LOG_CONFIG,
            ),
            Variant(
                "log-transformed",
                "φ(r̂) and φ(Q) in both objectives, φ(x) = a (log(x + a) − log a), a = 10000",
                {"log_offset": 10_000.0, "reward_shift": 0.0},
                agent=_LOG,
                config=_LOG_CONFIG,
            ),
            Variant(
                "mnm",
                "the encoder's mean is the observation, as in MnM",
                agent="alm.variants.architectures:IdentityEncoderALM",
                config="alm.variants.architectures:IdentityEncoderConfig",
            ),
            MILLION,
            Variant(
                "quarter", "a quarter of the paper's widths and batch, as at laptop scale", sizes="laptop"
            ),
            Variant(
                "reconstruction",
                "the encoder learns to reconstruct observations",
                agent="alm.variants.reconstruction:ReconstructionALM",
            ),
            Variant(
                "value-encoder",
                "the encoder also learns to predict reward and value",
                agent="alm.variants.value_prediction:ValueEncoderALM",
            ),
            Variant(
                "value-encoder-model",
                "encoder and model also learn to predict the value",
                agent="alm.variants.value_prediction:ValueEncoderModelALM",
            ),
            Variant(
                "value-expansion",
                "the critics also learn along the model's rollouts",
                agent="alm.variants.value_expansion:ValueExpansionALM",
            ),
            Variant(
                "real-warmup",
                "for 5000 training steps the policy learns from real states alone",
                agent="alm.variants.curricula:RealWarmupALM",
                config="alm.variants.curricula:RealWarmupConfig",
            ),
            Variant(
                "horizon-schedule",
                "the horizon grows from 1 to K, by one every 5000 training steps",
                agent="alm.variants.curricula:HorizonScheduleALM",
                config="alm.variants.curricula:HorizonScheduleConfig",
            ),
            Variant(
                "time-discount",
                "step t of the encoder-and-model objective counts 0.5^t",
                agent="alm.variants.encoder_model:TimeDiscountALM",
                config="alm.variants.encoder_model:TimeDiscountConfig",
            ),
            Variant(
                "online-kl", "no target encoder in the KL", agent="alm.variants.encoder_model:OnlineKLALM"
            ),
            Variant("relu", "ReLU in the place of ELU", agent="alm.variants.architectures:ReLUALM"),
            Variant(
                "joint",
                "on-policy: one objective for encoder, model and policy, no classifier",
                agent="alm.variants.joint:JointALM",
                config="alm.variants.joint:JointConfig",
            ),
        )
    }
)
"""Every variant, in the order of the paper's exhibits."""
