"""From a command to trained runs: resolve the configuration, open the directories, train, store."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alm.tasks.registry import TaskSpec, task_spec
from alm.training.run_directory import RunDirectory
from alm.training.scale import Scale, TrainingConfig, scale_named
from alm.variants import Variant
from reproduce.algorithms import algorithm_named, variant_named
from reproduce.provenance import REPOSITORY, provenance
from reproduce.specs import RunSpec, config_digest, variant_in

if TYPE_CHECKING:
    from alm.training.execution import Execution


# What torch.compile made, for the next run.
COMPILED = REPOSITORY / ".cache" / "inductor"


class RunConflictError(ValueError):
    """A run directory holds the same run with another configuration."""


@dataclass(frozen=True)
class Plan:
    """Everything that is settled before the first step: names looked up, configuration resolved."""

    specs: tuple[RunSpec, ...]
    task: TaskSpec
    scale: Scale
    variant: Variant
    agent_config: Any
    training: TrainingConfig
    config: dict[str, Any]
    agent_class: Any
    seeds_apart: bool
    """Whether every seed trains as a population of its own."""

    @classmethod
    def of(
        cls,
        algorithm: str,
        variant: str,
        task: str,
        seeds: Sequence[int],
        scale: str,
        precision: str = "float32",
    ) -> "Plan":
        """Resolve names into a plan.

        Raises:
            ValueError: an unknown algorithm, variant, task or scale, a seed that is no seed, or a task that
                the algorithm cannot be trained on; one sentence.
        """
        task_, scale_ = task_spec(task), scale_named(scale)
        variant_ = variant_named(algorithm, variant)
        agent_class, config_class = algorithm_named(algorithm).load(variant_)
        agent_config = variant_.configuration(config_class, scale_, task_.name)
        training = variant_.training(scale_, task_.name)
        specs = tuple(
            RunSpec(
                algorithm=algorithm,
                variant=variant_in(variant, precision),
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
        apart = agent_class.trains_seeds_apart
        return cls(specs, task_, scale_, variant_, agent_config, training, config, agent_class, apart)

    def record(self, spec: RunSpec) -> dict[str, Any]:
        """The content of a run's ``config.json``."""
        return {
            "spec": spec.to_dict(),
            "digest": config_digest(spec, self.config),
            "protocol": self.task.protocol,
            "config": self.config,
        }


def check_machine(device: str, threads: int) -> None:
    """Make sure that tensors can be held and worked on as asked.

    Raises:
        ValueError: torch cannot use the device, or there would be no thread.
    """
    import torch

    if threads < 1:
        raise ValueError(f"The number of threads must be at least 1, not {threads}.")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device {device!r} cannot be used ({str(error).splitlines()[0]}); choose cpu, or install a "
            "torch build with support for it"
        ) from None


def open_run(
    plan: Plan, spec: RunSpec, root: Path, device: str, threads: int, execution: "Execution | None" = None
) -> RunDirectory | None:
    """Open a run's directory for training; ``None`` if the run has already ended.

    Raises:
        RunConflictError: the directory holds another configuration or protocol of the same run.
        alm.training.run_directory.RunLockedError: another process trains it.
    """
    directory = RunDirectory(root / spec.relative_dir)
    record = plan.record(spec)
    if directory.status != "new":
        stored = directory.read_json("config.json")
        for what in ("digest", "protocol"):
            if stored[what] != record[what]:
                raise RunConflictError(
                    f"{directory.path} holds {spec.label} with another {what} ({stored[what]}, now "
                    f"{record[what]}): move or delete that directory, or choose another --runs-dir"
                )
    if directory.status in ("done", "failed"):
        return None
    directory.open()
    if directory.status == "new":
        how = dataclasses.asdict(execution) if execution else {}
        directory.write_json("provenance.json", provenance(device, threads, how))
        directory.write_json("config.json", record)
    return directory


def train_population(
    plan: Plan, directories: Sequence[RunDirectory], device: str, threads: int, execution: "Execution"
) -> None:
    """Train the seeds of opened directories together, to the end of the horizon.

    The seeds must stand at the same step; see `group_by_step`.

    Raises:
        alm.training.loop.Interrupted: someone asked to stop; the state is stored.
    """
    import torch

    from alm.tasks import make
    from alm.training.execution import execute
    from alm.training.loop import Trainer
    from alm.training.progress import reporter

    torch.set_num_threads(threads)
    seeds = [directory.read_json("config.json")["spec"]["seed"] for directory in directories]
    spec = plan.specs[0]
    agent = plan.agent_class(plan.task, plan.agent_config, seeds, device=device)
    name = spec.algorithm if spec.variant == "base" else f"{spec.algorithm}/{spec.variant}"
    title = f"{name} {plan.task.name} {plan.scale.name}"
    title += f" seed{'s' if len(seeds) > 1 else ''} {' '.join(map(str, seeds))}"
    progress = reporter(title)
    progress.message(f"{title}: {execution.describe(device, threads)}")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(COMPILED))
    execute(agent, execution, device, progress.message)
    Trainer(agent, plan.task, lambda: make(plan.task), plan.training, directories, progress, device).run()


def group_by_step(directories: Sequence[RunDirectory], apart: bool = False) -> list[list[RunDirectory]]:
    """Directories that can train as one population: those at the same step, or each ``apart``."""
    if apart:
        return [[directory] for directory in directories]
    groups: dict[int, list[RunDirectory]] = {}
    for directory in directories:
        steps = directory.checkpoints.steps()
        groups.setdefault(steps[0] if steps else 0, []).append(directory)
    return list(groups.values())
