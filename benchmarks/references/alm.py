"""ALM compared with the authors' code: RajGhugare19/alm, branch main."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from alm.agent import ALM
from alm.config import ALMConfig
from alm.training.replay import Transitions
from benchmarks.references.comparing import (
    Pairs,
    drawn_noise,
    largest_difference,
    load,
    modules_of,
    random_transitions,
    relative,
    scattered,
    take_over,
)
from benchmarks.references.draws import Draws, Given

REPOSITORY = "RajGhugare19/alm"
FILES = ("agents/alm.py", "models.py", "utils/torch_utils.py", "utils/env.py", "utils/replay_buffer.py")
STEPS = (1, 1_000, 50_000, 99_999, 150_000)
"""Training steps of the updates, spread over the exploration noise's schedule."""
_LOSSES = {"encoder_model": ("alm_loss",), "heads": ("reward_loss", "classifier_loss"),
           "critic": ("critic_loss",), "actor": ("actor_loss",)}  # fmt: skip
_NORMS = {"encoder_model": "model_grad_norm", "heads": "reward_grad_norm",
          "critic": "critic_grad_norm", "actor": "actor_grad_norm"}  # fmt: skip


def compare(checkout: Path, task: str) -> dict[str, Any]:
    """Largest differences over some updates at full size, then in acting, evaluation and L^K.

    Raises:
        benchmarks.references.comparing.CheckoutError: the folder is not a checkout of the code.
        benchmarks.references.draws.DrawError: the code draws differently from the version compared.
    """
    generator = torch.Generator().manual_seed(0)
    ours = scattered(ALM, ALMConfig, task, generator)
    spec, config = ours.task, ours.config
    logged: list[dict[str, Any]] = []
    with modules_of(checkout, FILES, _stubs(logged)), _in_double_precision():
        theirs = load("agents.alm").AlmAgent(
            "cpu", spec.action_low, spec.action_high, spec.observation_size, spec.action_size,
            env_buffer_size=1, gamma=config.discount, tau=config.target_rate, target_update_interval=1,
            lr=dict.fromkeys(("model", "reward", "critic", "actor"), config.learning_rate),
            max_grad_norm=config.max_grad_norm, batch_size=config.batch_size, seq_len=config.horizon,
            lambda_cost=config.classifier_coefficient, expl_start=config.exploration_start,
            expl_end=config.exploration_end, expl_duration=config.exploration_steps,
            stddev_clip=config.exploration_clip, latent_dims=config.latent_size,
            hidden_dims=config.hidden_size, model_hidden_dims=config.model_hidden_size,
            log_wandb=True, log_interval=1,
        )  # fmt: skip
        take_over(_pairs(ours, theirs))
        losses, norms = [], []
        for step in STEPS:
            batch = config.batch_size
            sequences = random_transitions(spec, config.horizon, batch, generator=generator)
            transitions = random_transitions(spec, batch, generator=generator)
            noise = drawn_noise(ours)
            theirs.env_buffer = SimpleNamespace(
                sample_seq=lambda *_, of=sequences: _arrays(of), sample=lambda *_, of=transitions: _arrays(of)
            )
            own = {name: draw[0] for name, draw in noise.items()}
            with Draws(_in_their_order(own), [np.arange(batch // 2)]).handed_out():
                theirs.update(step)
            metrics = ours.update(sequences, transitions, noise, step)
            for group, names in _LOSSES.items():
                losses.append(relative(metrics[f"loss/{group}"], sum(logged[-1][name] for name in names)))
                norms.append(relative(metrics[f"grad_norm/{group}"], float(logged[-1][_NORMS[group]])))
        return {
            "updates": len(STEPS),
            "losses": max(losses),
            "gradient_norms": max(norms),
            "parameters": largest_difference(_pairs(ours, theirs)),
            "others": {
                "acting": _acting(ours, theirs, generator),
                "evaluation": _evaluation(ours, theirs, generator),
                "L^K": _lower_bound(ours, theirs, generator),
            },
        }


def _pairs(ours: ALM, theirs: Any) -> Pairs:
    net, actor = ours.networks, theirs.actor
    return [
        (theirs.encoder.encoder, net.encoder.layers, 0),
        (theirs.encoder_target.encoder, net.target_encoder.layers, 0),
        (theirs.model.model, net.model.layers, 0),
        (theirs.reward.reward, net.reward.layers, 0),
        (theirs.classifier.classifier, net.classifier.layers, 0),
        (theirs.critic.Q1, net.critic.layers, 0),
        (theirs.critic.Q2, net.critic.layers, 1),
        (theirs.critic_target.Q1, net.target_critic.layers, 0),
        (theirs.critic_target.Q2, net.target_critic.layers, 1),
        ([actor.fc1, actor.fc2, actor.mean], net.actor, 0),
    ]


def _arrays(of: Transitions) -> tuple[np.ndarray, ...]:
    columns = of.observation, of.action, of.reward, of.next_observation, of.terminal
    return tuple(column[0].numpy() for column in columns)


def _in_their_order(noise: dict[str, Tensor]) -> Iterator[Tensor]:
    """Noise of one update in the order of their requests, with zeros for halves that they do not use."""
    yield noise["sequence_z"]
    yield from noise["sequence_model"]
    yield noise["sequence_action"]
    # They draw a whole batch and use only its imagined or real half; here the first half is imagined.
    yield torch.cat([noise["heads_model_z"], torch.zeros_like(noise["heads_next_z"])])
    yield noise["heads_z"]
    yield torch.cat([torch.zeros_like(noise["heads_model_z"]), noise["heads_next_z"]])
    yield torch.cat([noise["heads_model_next_z"], torch.zeros_like(noise["heads_next_z"])])
    yield noise["critic_z"]
    yield noise["critic_next_z"]
    yield noise["critic_action"]
    yield noise["actor_z"]
    *actions, last = noise["actor_action"]
    for action, model in zip(actions, noise["actor_model"], strict=True):
        yield action
        yield model
    yield last
    # Used there for a logged number only.
    yield torch.zeros_like(noise["critic_z"])
    yield torch.zeros_like(noise["critic_z"])


def _acting(ours: ALM, theirs: Any, generator: torch.Generator) -> float:
    observation, z, noise = _numbers(ours, generator)
    with Draws([z, noise]).handed_out():
        action = theirs.get_action(observation.numpy(), 20_000)
    own = ours.act(observation[None, None], 20_000, Given(torch.cat([z, noise], dim=-1)))  # type: ignore[arg-type]
    return float(np.abs(own[0, 0].numpy() - action).max())


def _evaluation(ours: ALM, theirs: Any, generator: torch.Generator) -> float:
    observation, z, noise = _numbers(ours, generator)
    with Draws([z, noise]).handed_out():  # they draw an action but use the mean
        action = theirs.get_action(observation.numpy(), 20_000, eval=True)
    own = ours.act_greedily(observation[None, None], Given(z))  # type: ignore[arg-type]
    return float(np.abs(own[0, 0].numpy() - action).max())


def _numbers(ours: ALM, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Observation, noise for its representation (1, latent) and noise for an action (1, action)."""
    sizes = (ours.task.observation_size,), (1, ours.config.latent_size), (1, ours.task.action_size)
    one, two, three = (torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes)
    return one, two, three


def _lower_bound(ours: ALM, theirs: Any, generator: torch.Generator) -> float:
    batch, config = 64, ours.config
    some = random_transitions(ours.task, batch, generator=generator)
    z, *model = torch.randn(
        config.horizon + 1, batch, config.latent_size, generator=generator, dtype=torch.float64
    )
    with Draws([z, *model]).handed_out():
        bound = theirs.get_lower_bound(some.observation[0], some.action[0])[:, 0]
    unread = torch.zeros(config.horizon, batch, ours.task.action_size, dtype=torch.float64)
    given = Given(z, torch.stack(model), unread)
    own = ours.value_estimate(some.observation, some.action, given)[0].numpy()  # type: ignore[arg-type]
    return float(np.abs(own - bound).max() / np.abs(bound).max())


def _in_double_precision() -> Any:
    """Context in which ``torch.FloatTensor``, which they use for every tensor, keeps the precision."""
    return mock.patch.object(torch, "FloatTensor", lambda data: torch.as_tensor(np.asarray(data)).double())


def _stubs(logged: list[dict[str, Any]]) -> list[ModuleType]:
    """Stubs for their logger and for the parts of gym that modules name but updates do not use."""
    base = {name: type(name, (), {}) for name in ("MujocoEnv", "EzPickle", "Wrapper", "RewardWrapper")}
    contents: dict[str, dict[str, Any]] = {
        "wandb": {"log": lambda metrics, step: logged.append(dict(metrics))},
        "gym.utils": {"EzPickle": base["EzPickle"]},
        "gym.envs": {},
        "gym.envs.mujoco": {"mujoco_env": SimpleNamespace(MujocoEnv=base["MujocoEnv"])},
        "gym": {"Wrapper": base["Wrapper"], "RewardWrapper": base["RewardWrapper"]},
    }
    modules = []
    for name, content in contents.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        modules.append(module)
    modules[-1].__dict__["utils"] = modules[1]
    return modules
