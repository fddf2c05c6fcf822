"""Predictions of trained models along one episode: the data of Figure 7.

Checkpoints are no part of the store, so this is measured where runs were trained, and the small result is
stored beside them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alm.task_registry import task_spec
from alm.training.run_directory import RunDirectory
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store, StoredRun
from reproduce.lab.training import ResolvedRuns

HORIZON = 50
"""Model steps of the longest prediction; those of the paper's figure leave its view earlier."""


class NoCheckpointError(ValueError):
    """There is no trained agent to measure; the message says how to get one."""


def measure_latents(
    needed: Iterable[RunSpec], task: str, scale: str, store: Store, runs_dir: Path
) -> list[Path]:
    """Measure every finished run on a task whose last checkpoint is here; returns the files.

    One episode serves all: that of the run of unchanged ALM with the highest last window return, acting by
    the means of its encoder and its actor.

    Args:
        needed: the runs of Figure 7 at a scale.
        task: task of the runs that are measured.
        scale: their scale.
        store: stored runs; the results are written there.
        runs_dir: where the runs were trained.

    Raises:
        NoCheckpointError: no run of unchanged ALM has a checkpoint of its end.
    """
    import torch

    # An episode magnifies the last digit, and how a sum is shared among threads changes it.
    torch.set_num_threads(1)
    trained: list[tuple[StoredRun, Any]] = []
    for spec in needed:
        run = store.get(spec) if spec.task == task else None
        agent = None if run is None else _trained_agent(run, runs_dir)
        if run is not None and agent is not None:
            trained.append((run, agent))
    unchanged = [(run, agent) for run, agent in trained if run.spec.variant == "base"]
    if not unchanged:
        raise NoCheckpointError(
            f"there is no finished run of alm on {task} at {scale} scale in both {store.root} and "
            f"{runs_dir}: train one with: make train TASK={task} SCALE={scale}"
        )
    best, agent = max(unchanged, key=lambda pair: pair[0].final["final/window_return"])
    observation, action = _episode(agent, task)
    written = []
    for run, agent in trained:
        generator = torch.Generator().manual_seed(run.spec.seed)
        steps = _predictions(agent, observation, action, generator)
        written.append(store.write_latents(run, steps, best.spec.label))
    return written


def _trained_agent(run: StoredRun, runs_dir: Path) -> Any | None:
    """The agent as a finished run left it; None if its last checkpoint is not here."""
    directory = RunDirectory(runs_dir / run.spec.relative_dir)
    if run.status != "done" or run.last_step not in directory.checkpoints.steps():
        return None
    spec = run.spec
    resolved = ResolvedRuns.of(spec.algorithm, spec.variant, spec.task, [spec.seed], spec.scale)
    if resolved.record(spec)["digest"] != run.digest:
        return None
    tree = directory.checkpoints.load(run.last_step)
    if tree is None:
        return None
    agent = resolved.agent([spec.seed])
    agent.load_state(tree["population"]["agent"])
    return agent


def _episode(agent: Any, task: str) -> tuple[Any, Any]:
    """Observations (T + 1, observation) and actions (T, action) of one episode without any noise."""
    import torch

    from alm.tasks import make

    environment = make(task_spec(task))
    observation, _ = environment.reset(seed=0)
    observations, actions, ended = [observation], [], False
    while not ended:
        with torch.no_grad():
            state = torch.as_tensor(observation, dtype=torch.float32)[None, None]
            action = agent.networks.actor(agent.networks.encoder(state)[0])[0, 0]
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
