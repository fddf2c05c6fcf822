"""Predictions of trained models along one episode: the data of Figure 7.

Checkpoints are not stored, so predictions are measured where runs were trained, and the small result is
stored beside the runs.
"""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alm.errors import UserError
from alm.task_registry import task_spec
from alm.training.policies import PolicyFileError
from alm.training.run_directory import RunDirectory
from reproduce.lab.algorithms import BASE
from reproduce.lab.policies import PolicyError, agent_in_checkpoint, find_policy, is_of
from reproduce.lab.specs import RunSpec, train_command
from reproduce.lab.store import Store, StoredRun, StoreWarning, place_options

HORIZON = 50
"""Model steps of the longest prediction; the paper's predictions leave its figure earlier."""


def measure_latents(
    needed: Iterable[RunSpec], task: str, scale: str, store: Store, runs_dir: Path
) -> list[Path]:
    """Measure every finished run on a task whose last checkpoint is here; returns the files.

    All runs share one episode: that of the stored predictions whose runs have their checkpoints elsewhere or,
    without such predictions, that of the run of unchanged ALM with the highest last window return. The policy
    acts by the means of encoder and actor.

    Args:
        needed: the runs of Figure 7 at a scale.
        task: task of the runs to measure.
        scale: their scale.
        store: stored runs; the results are written there.
        runs_dir: directory in which the runs were trained.

    Raises:
        UserError: there is no such task; no run has a checkpoint of its end, or no run of unchanged ALM has
            one and no predictions are kept; or the policy of the kept predictions is not here.
    """
    import torch

    task = task_spec(task).name
    # The split of a sum among threads changes its last digit, which an episode magnifies.
    torch.set_num_threads(1)
    shown = [run for spec in needed if spec.task == task and (run := store.get(spec)) is not None]
    trained = [(run, agent) for run in shown if (agent := _trained_agent(run, runs_dir)) is not None]
    here = {run.spec.label: agent for run, agent in trained}
    kept = [
        found[1] for run in shown if run.spec.label not in here and (found := store.latents(run)) is not None
    ]
    unchanged = [run for run, _ in trained if run.spec.variant == BASE.name]
    if not trained or not (kept or unchanged):
        train = train_command("alm", BASE.name, task, scale) + place_options(store, runs_dir)
        raise UserError(
            f"there is no finished run of alm on {task} at {scale} scale whose last checkpoint is in "
            f"{runs_dir} and whose evaluations match those in {store}: train one with: "
            f"python -m reproduce {train}"
        )
    if kept:
        (policy, *others) = sorted(set(kept))
        agent = here.get(policy) or _stored_agent(policy, shown, store, runs_dir)
        if others or agent is None:
            raise UserError(
                f"{len(kept)} stored predictions of runs whose checkpoints are not in {runs_dir} are along "
                f"the episode of {' or '.join((policy, *others))}, and predictions along other episodes are "
                f"not comparable; {'there are several' if others else 'its policy is not here'}, so measure "
                "the runs in a separate store, which `archive --store DIRECTORY` fills: python -m reproduce "
                f"latents --task {task} --scale {scale} --store DIRECTORY"
            )
    else:
        policy = max(unchanged, key=lambda run: run.final["final/window_return"]).spec.label
        agent = here[policy]
    observation, action = _episode(agent, task)
    written = []
    for run, agent in trained:
        generator = torch.Generator().manual_seed(run.spec.seed)
        steps = _predictions(agent, observation, action, generator)
        written.append(store.write_latents(run, steps, policy))
    return written


def _trained_agent(run: StoredRun, runs_dir: Path) -> Any | None:
    """The agent at the end of a run; None if its last checkpoint is missing or, with a warning, damaged.

    A run repeated on another machine has the digest of the stored run, but not its model.
    """
    directory = RunDirectory(runs_dir / run.spec.relative_dir)
    if run.status != "done" or run.last_step not in directory.checkpoints.steps():
        return None
    returns = [line["returns"] for line in directory.last_metrics() if "returns" in line]
    if not (returns and np.array_equal(returns[-1], run.evaluations["eval/returns"].iloc[-1])):
        return None
    try:
        return agent_in_checkpoint(directory.checkpoints.path(run.last_step), run.spec, run.digest)
    except PolicyError:
        return None
    except PolicyFileError as error:
        warnings.warn(f"{run.spec.label} is not measured: {error}", StoreWarning, stacklevel=2)
        return None


def _stored_agent(label: str, shown: Sequence[StoredRun], store: Store, runs_dir: Path) -> Any | None:
    """The agent at the end of a run, from its stored policy; None if that is not stored."""
    for run in shown:
        if run.spec.label != label:
            continue
        try:
            policy = find_policy(store, runs_dir, kind="last", **run.spec.to_dict())
        except PolicyError:
            return None
        return policy.agent() if policy.step == run.last_step and is_of(policy, run) else None
    return None


def _episode(agent: Any, task: str) -> tuple[Any, Any]:
    """Observations (T + 1, observation) and actions (T, action) of one noise-free episode."""
    import torch

    from alm.tasks import make

    environment = make(task_spec(task))
    observation, _ = environment.reset(seed=0)
    observations, actions, ended = [observation], [], False
    while not ended:
        with torch.no_grad():
            state = torch.as_tensor(observation, dtype=torch.float32)[None, None]
            action = agent.networks.actor(agent.networks.encoder(state)[0])[0, 0].clamp(*agent.bounds)
        observation, _, terminated, truncated, _ = environment.step(action.numpy())
        observations.append(observation)
        actions.append(action)
        ended = terminated or truncated
    environment.close()
    return torch.as_tensor(np.array(observations), dtype=torch.float32), torch.stack(actions)


def _predictions(agent: Any, observation: Any, action: Any, generator: Any) -> pd.DataFrame:
    """The rows of a latents file (`reproduce.lab.store.LATENT_COLUMNS`)."""
    from alm.prediction import latent_path, prediction_errors

    path = latent_path(agent.networks, observation, action, generator)
    errors = prediction_errors(agent.networks, observation, action, HORIZON)
    steps = np.arange(len(observation))

    def padded(values: Sequence[float]) -> np.ndarray:
        column = np.full(len(steps), np.nan)
        column[1 : 1 + len(values)] = values
        return column

    return pd.DataFrame(
        {
            "step": steps,
            "encoded": path.encoded.numpy(),
            "predicted": path.predicted.numpy(),
            "sampled": path.sampled.numpy(),
            "squared_error": padded(errors.squared_error.tolist()),
            "divergence": padded(errors.divergence.tolist()),
        }
    )
