"""Trained policies: found in the store or in the directory of a run, and loaded to act.

Beside ``seed-<n>.parquet`` lie ``seed-<n>.last.safetensors`` and ``seed-<n>.best.safetensors``
(`alm.training.policies`), of one seed for each algorithm, variant, task and scale. They are loaded into the
agent that was trained, so that the code that acts is the code that was evaluated.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from alm.errors import UserError
from alm.names import place_among
from alm.task_registry import task_spec
from alm.training.checkpoint import DamagedError, read_checkpoint
from alm.training.forms import COUNT, FINITE, Form, listed, misfit
from alm.training.policies import PolicyFileError, read_policy, read_record
from alm.training.run_directory import RunDirectory
from alm.training.scale import SCALES, scale_named
from reproduce.lab.errors import reason_of
from reproduce.lab.plugins import Plugin, method_named
from reproduce.lab.provenance import processor_of
from reproduce.lab.resolved_runs import ResolvedRuns
from reproduce.lab.run_directories import directories_under, passing_over
from reproduce.lab.settings import canonical_variant
from reproduce.lab.specs import (
    RunFields,
    RunSpec,
    require_protocol,
    require_seed,
    train_command,
    variant_parts,
)
from reproduce.lab.store import Store, StoredRun, place_options

if TYPE_CHECKING:
    from torch import Tensor

    from alm.training.agent import Agent

KINDS = ("last", "best")
"""Policies kept of a run: of its last evaluation, and of the one with the highest mean return."""


_RECORD: Mapping[str, Form] = {
    "kind": str,
    "spec": dict,
    "digest": str,
    "protocol": str,
    "step": COUNT,
    "evaluated_step": COUNT,
    "returns": listed(FINITE, least=1),
    "source": str,
    "commit": str,
    "dirty": bool,
    "plugin": str,
}


class PolicyError(UserError):
    """A policy that is missing or unusable; the message is one sentence with what to do."""


@dataclass(frozen=True)
class Policy:
    """A policy in a file, and its metadata.

    Attributes:
        path: its file.
        kind: one of `KINDS`.
        spec: the run that it comes from.
        digest: identity of that run (`reproduce.lab.specs.config_digest`).
        protocol: definition of the task and versions of the simulator in training.
        step: environment steps that it was trained for, and at which it was evaluated.
        returns: undiscounted returns of the episodes of that evaluation.
        source: ``"evaluation"`` if saved when it was evaluated; ``"checkpoint"`` if a version before 0.17
            extracted it from one.
        commit: git commit of the code that trained it.
        dirty: whether that code had uncommitted changes.
        plugin: file of the plugin that declares its variant or algorithm; empty if the suite does.
        processor: processor that its run used; empty if unknown.
    """

    path: Path
    kind: str
    spec: RunSpec
    digest: str
    protocol: str
    step: int
    returns: tuple[float, ...]
    source: str
    commit: str
    dirty: bool
    plugin: str = ""
    processor: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """The metadata in the policy's file, of JSON types."""
        held = {**asdict(self), "evaluated_step": self.step}
        return {name: held[name] for name in _RECORD}

    @property
    def label(self) -> str:
        """The policy in words: ``"last policy of td3/base T-Ant paper seed 0"``."""
        return f"{self.kind} policy of {self.spec.label}"

    @property
    def mean(self) -> float:
        """Mean return of its evaluation."""
        return float(np.mean(self.returns))

    def tensors(self) -> dict[str, "Tensor"]:
        """Its tensors by name.

        Raises:
            PolicyFileError: the file is damaged.
        """
        return read_policy(self.path)[1]

    def agent(self, plugin: Plugin | None = None) -> "Agent":
        """A population of one that acts by this policy (imports torch).

        Raises:
            PolicyError: its run had another configuration than in this version, or needs a plugin.
            PolicyFileError: the file is damaged, or its networks are not those of the agent.
        """
        agent = _fresh_agent(self.spec, self.digest, plugin, self.plugin)
        state = self.tensors()
        if _shapes(state) != _shapes(agent.policy_state()):
            raise PolicyFileError(
                f"{self.path} does not hold the networks that {self.spec.algorithm}/{self.spec.variant} acts "
                f"with on {self.spec.task}: put a sound copy back, or move it away"
            )
        if not all(bool(value.isfinite().all()) for value in state.values()):
            raise PolicyFileError(f"{self.path} holds a number that is not finite: put a sound copy back")
        agent.load_policy_state(state)
        return agent


def _shapes(tensors: Mapping[str, "Tensor"]) -> dict[str, tuple[Any, Any]]:
    """Shapes and types by name; versions before 0.17 stored a large policy's float32 as float16."""
    import torch

    return {
        name: (value.shape, torch.float32 if value.dtype == torch.float16 else value.dtype)
        for name, value in tensors.items()
    }


def _fresh_agent(spec: RunSpec, digest: str, plugin: Plugin | None, wanted: str) -> "Agent":
    """An agent of the configuration that a run had."""
    if wanted and plugin is None:
        raise PolicyError(f"{spec.label} comes from the plugin {wanted}: give it with --plugin")
    name, settings, precision = variant_parts(spec.variant)
    resolved = ResolvedRuns.of(
        spec.algorithm, name, spec.task, [spec.seed], spec.scale, plugin, precision, settings
    )
    if resolved.record(spec)["digest"] != digest:
        what = f"the plugin {wanted}" if wanted else "the code"
        raise PolicyError(
            f"{spec.label} was trained with another configuration (digest {digest}) than {what} gives it "
            "now: check out the version that trained it"
        )
    agent: Agent = resolved.agent([spec.seed])
    if not agent.policy_modules:
        raise PolicyError(
            f"{spec.algorithm} does not say which of its networks act: set policy_modules in its agent, see "
            "docs/policies.md"
        )
    return agent


def agent_in_checkpoint(path: Path, spec: RunSpec, digest: str) -> "Agent":
    """A population of one, restored from a checkpoint of a run without plugin (imports torch).

    Raises:
        PolicyError: the run had another configuration than in this version.
        PolicyFileError: the file is damaged.
    """
    agent = _fresh_agent(spec, digest, None, "")
    try:
        tree = read_checkpoint(path)
    except DamagedError:
        raise PolicyFileError(f"the checkpoint {path} is damaged: name a run that has a sound one") from None
    agent.load_state(tree["population"]["agent"])
    return agent


def policies_of(directory: RunDirectory) -> dict[str, Policy]:
    """The last and the best policy in a run's directory, by kind."""
    config, provenance = directory.read_json("config.json"), directory.read_json("provenance.json")
    lines = directory.metrics()
    returns: dict[int, list[float]] = {one["step"]: one["returns"] for one in lines if "returns" in one}
    # A policy whose line of metrics is not yet written does not count.
    newest = max(returns, default=0)
    steps = {"last": directory.policies.last(newest), "best": directory.policies.best(newest)}
    return {
        kind: Policy(
            path=directory.policies.path(step),
            kind=kind,
            spec=RunSpec.from_dict(config["spec"]),
            digest=config["digest"],
            protocol=config["protocol"],
            step=step,
            returns=tuple(returns[step]),
            source="evaluation",
            commit=provenance.get("git_sha", "unknown"),
            dirty=provenance.get("git_dirty", True),
            plugin=provenance.get("plugin", {}).get("file", ""),
            processor=processor_of(provenance),
        )
        for kind, step in steps.items()
        if step in returns
    }


def policy_in(record: Mapping[str, Any], path: Path) -> Policy:
    """The policy of a record (`Policy.record`) that lies in a file.

    Raises:
        KeyError, TypeError, UserError: it is no such record.
    """
    if problem := misfit(record, _RECORD):
        raise UserError(problem)
    held = {name: record[name] for name in _RECORD}
    require_protocol(held["protocol"])
    if held.pop("evaluated_step") != held["step"]:  # some of versions before 0.3
        raise UserError("it was evaluated at another step than it is of")
    held |= {"spec": RunSpec.from_dict(held["spec"]), "returns": tuple(held["returns"])}
    return Policy(path, **held)


def stored_policy(path: Path, spec: RunSpec, kind: str) -> Policy:
    """The policy in a file of the store.

    Raises:
        PolicyFileError: the file is not a policy, damaged, or of another run.
    """
    record = read_record(path)
    try:
        policy = policy_in(record, path)
        if (policy.spec, policy.kind) != (spec, kind):
            raise UserError(f"it is the {policy.label}")
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyFileError(
            f"{path} is not the policy that belongs there ({reason_of(error)}): put a sound copy back, or "
            "move it away"
        ) from None
    return policy


def policies_stored(store: Store) -> dict[tuple[RunSpec, str], Path]:
    """The file of every policy in a store, by run and kind, without opening any.

    Of a policy that both of two overlaid stores hold, it is the one beside the run that is read.
    """
    found: dict[tuple[RunSpec, str], Path] = {}
    for root in store.roots:
        for path in sorted(root.glob("*/*/*/*/seed-*.*.safetensors")):
            name, kind = path.stem.partition(".")[::2]
            try:
                spec = RunSpec.from_relative_dir(path.relative_to(root).with_name(name))
            except UserError:
                continue  # the reader of the run beside it warns of it
            if kind not in KINDS:
                continue
            if (spec, kind) not in found or ((run := store.get(spec)) is not None and run.own):
                found[spec, kind] = path
    return found


def policy_path(store: Store, spec: RunSpec, kind: str) -> Path:
    """The file of a policy in a store, whether or not it is there."""
    return store.path(spec).with_suffix(f".{kind}.safetensors")


def is_of(policy: Policy, run: StoredRun) -> bool:
    """Whether a stored run contains the policy's evaluation; a run repeated on another machine may not."""
    stored = run.evaluations.set_index("step")["eval/returns"]
    return (
        policy.digest == run.digest
        and policy.step in stored.index
        and np.array_equal(policy.returns, stored[policy.step])
    )


def find_policy(
    store: Store,
    runs_dir: Path,
    *,
    algorithm: str,
    task: str,
    variant: str = "base",
    scale: str | None = None,
    seed: int | None = None,
    kind: str | None = None,
    plugin: Plugin | None = None,
) -> Policy:
    """The policy of a run, from the store or else from the directory in which it was trained.

    Among those that exist, arguments that are None select the largest scale, the smallest seed, and the last
    policy before the best. A damaged directory gives a `StoreWarning` and is skipped.

    Raises:
        PolicyError: there is none; the message says what to train.
        UserError: the task, scale, algorithm, variant or kind does not exist, its settings are malformed, or
            the seed is out of range.
        PolicyFileError: the policy is damaged.
    """
    if scale is not None:
        scale_named(scale)
    if seed is not None:
        require_seed(seed)
    if kind not in (None, *KINDS):
        raise UserError(f"There is no policy {kind!r} of a run; it has {' and '.join(map(repr, KINDS))}.")
    wanted: dict[str, Any] = {
        "algorithm": algorithm,
        "variant": canonical_variant(variant),
        "task": task_spec(task).name,
        "scale": scale,
        "seed": seed,
    }

    def order(one: tuple[RunSpec, str]) -> tuple[int, int, int]:
        spec, kind = one
        return place_among(spec.scale, SCALES), spec.seed, KINDS.index(kind)

    stored = {one: path for one, path in policies_stored(store).items() if one[0].matches(**wanted)}
    trained = _policies_trained(runs_dir, **wanted)
    found = [one for one in {**stored, **trained} if kind in (None, one[1])]
    if not found:
        if not plugin:
            method_named(algorithm, variant_parts(variant).name, plugin)
        raise PolicyError(_what_to_train(wanted, kind, store, runs_dir))
    chosen = min(found, key=order)
    if chosen not in stored:
        return trained[chosen]
    run = store.get(chosen[0])
    return replace(
        stored_policy(stored[chosen], *chosen), processor=processor_of(run.provenance) if run else ""
    )


def _policies_trained(runs_dir: Path, **wanted: Unpack[RunFields]) -> dict[tuple[RunSpec, str], Policy]:
    """The policies in the directories of the runs with the wanted values, by run and kind."""
    found: dict[tuple[RunSpec, str], Policy] = {}
    for spec, directory in directories_under(runs_dir, **wanted).items():
        with passing_over(directory):
            found |= {(spec, kind): policy for kind, policy in policies_of(directory).items()}
    return found


def _what_to_train(wanted: Mapping[str, Any], kind: str | None, store: Store, runs_dir: Path) -> str:
    scale, seed = wanted["scale"], wanted["seed"]
    which = f"{wanted['algorithm']}/{wanted['variant']} on {wanted['task']}"
    which += f" at {scale} scale" if scale else ""
    which += f" of seed {seed}" if seed is not None else ""
    stored = store.runs(**wanted)
    count = "1 run is" if len(stored) == 1 else f"{len(stored)} runs are"
    why = f" ({count} stored without one)" if stored else ""
    command = train_command(
        wanted["algorithm"], wanted["variant"], wanted["task"], scale or "laptop", [seed or 0]
    )
    return (
        f"there is no {kind + ' ' if kind else ''}policy of {which}{why} in {store} or {runs_dir}: train one "
        f"with: python -m reproduce {command}{place_options(store, runs_dir)}"
    )
