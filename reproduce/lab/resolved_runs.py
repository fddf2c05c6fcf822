"""From the words of a command to runs: names and settings resolved into specifications and configurations."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from alm.errors import UserError
from alm.task_registry import TaskSpec, task_spec
from alm.training.scale import TrainingConfig, scale_named
from reproduce.lab.plugins import Plugin, method_named
from reproduce.lab.settings import require_used, require_valid, with_settings
from reproduce.lab.specs import RunSpec, run_record, variant_in


@dataclass(frozen=True)
class ResolvedRuns:
    """The runs of one command before training, with names and configuration resolved."""

    specs: tuple[RunSpec, ...]
    task: TaskSpec
    agent_class: Any
    agent_config: Any
    training: TrainingConfig
    config: dict[str, Any]
    plugin: Plugin | None
    """The plugin that declares the variant or algorithm; None if the suite does."""

    @classmethod
    def of(
        cls,
        algorithm: str,
        variant: str,
        task: str,
        seeds: Sequence[int],
        scale: str,
        plugin: Plugin | None = None,
        precision: str = "float32",
        settings: Sequence[str] = (),
    ) -> "ResolvedRuns":
        """Resolve settings and the names of suite and plugin.

        Args:
            algorithm: name of the algorithm.
            variant: name of its variant, ``"base"`` for none.
            task: name of the task.
            seeds: seeds of the runs; duplicates count once.
            scale: name of the scale.
            plugin: source of further names.
            precision: precision of the networks' layers, part of the stored variant's name.
            settings: ``field=value`` each, on top of the variant (`reproduce.lab.settings.with_settings`).

        Raises:
            UserError: in one sentence: no seed or an invalid one; an unknown algorithm, variant, task, scale
                or setting; a task that the algorithm cannot learn, or a setting that cannot be stored.
        """
        if not seeds:
            raise UserError("There is no seed to train: give one or more, such as --seeds 0 1 2.")
        task_, scale_ = task_spec(task), scale_named(scale)
        algorithm_, variant_ = method_named(algorithm, variant, plugin)
        agent_class, config_class = algorithm_.load(variant_)
        own = plugin if plugin and plugin.provides(algorithm, variant) else None
        name = f"{algorithm}/{variant}"
        with _declared_in(own, name):
            declared = variant_.configuration(config_class, scale_, task_.name)
        agent_config, changed = with_settings(declared, settings)
        require_used(changed, agent_class.unused_settings, name)
        training = variant_.training(scale_, task_.name)
        with _declared_in(None if settings else own, name):
            require_valid(agent_config)
            _require_updates(agent_config, training, f"{name} at {scale} scale")
            _require_storable(agent_config, name)
        specs = tuple(
            RunSpec(
                algorithm=algorithm,
                variant=variant_in(variant, precision, changed),
                task=task_.name,
                seed=seed,
                scale=scale,
            )
            for seed in dict.fromkeys(seeds)
        )
        config = {
            "agent": dataclasses.asdict(agent_config),
            "training": dataclasses.asdict(training),
        }
        if own:
            # The plugin's text is in no commit of the repository, so it is part of the run's identity.
            config["plugin"] = {"sha256": own.sha256}
        return cls(specs, task_, agent_class, agent_config, training, config, own)

    def record(self, spec: RunSpec) -> dict[str, Any]:
        """The content of a run's ``config.json``."""
        return run_record(spec, self.task.protocol, self.config)

    def agent(self, seeds: Sequence[int], device: str = "cpu") -> Any:
        """A freshly built population (imports torch)."""
        return self.agent_class(self.task, self.agent_config, seeds, device=device)


@contextmanager
def _declared_in(plugin: Plugin | None, name: str) -> Iterator[None]:
    """Say of a declaration that the suite refuses which plugin it is in.

    Raises:
        UserError: replaces the suite's sentence.
    """
    try:
        yield
    except UserError as error:
        if plugin is None:
            raise
        raise UserError(f"{name} of the plugin {plugin.path} cannot be trained: {error}") from None


def _require_updates(agent_config: Any, training: TrainingConfig, name: str) -> None:
    """Raise UserError if a run would end before its first update."""
    total, warmup = training.total_steps, agent_config.warmup_steps
    # An algorithm that learns in stages declares when the first one ends.
    first = getattr(agent_config, "first_update", warmup + 1)
    if total < first:
        early = (
            f"within its warm-up of {warmup}" if total <= warmup else f"before its first update at {first}"
        )
        raise UserError(f"A run of {name} would end after {total} steps, {early}: nothing would be learned.")


def _require_storable(agent_config: Any, name: str) -> None:
    """Raise UserError if a setting cannot be written as JSON in UTF-8."""
    for setting in dataclasses.fields(agent_config):
        value = getattr(agent_config, setting.name)
        try:
            json.dumps(
                value, sort_keys=True, allow_nan=False, ensure_ascii=False, default=_object_of
            ).encode()
        except (RecursionError, TypeError, ValueError) as error:
            raise UserError(
                f"The setting {setting.name} of {name} cannot be stored ({error}): settings are numbers, "
                "text, True, False, None, or lists of these."
            ) from None


def _object_of(value: Any) -> dict[str, Any]:
    """Settings within a setting, as an object of JSON; raises TypeError for any other value."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"a {type(value).__name__} is no JSON")
    return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
