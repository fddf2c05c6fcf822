"""TD3 compared with its authors' code: sfujim/TD3."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from baselines.td3 import TD3, TD3Config
from benchmarks.references.comparing import (
    Pairs,
    drawn_noise,
    largest_difference,
    load,
    modules_of,
    random_transitions,
    scattered,
    take_over,
)
from benchmarks.references.draws import Draws

REPOSITORY = "sfujim/TD3"
FILES = ("TD3.py",)
UPDATES = 6
"""Critic updates; every second one also updates the policy."""


def compare(checkout: Path, task: str) -> dict[str, Any]:
    """Largest difference of parameters over some updates at full size; their code logs no losses.

    Raises:
        benchmarks.references.comparing.CheckoutError: the folder is not a checkout of the code.
        benchmarks.references.draws.DrawError: the code draws differently from the version compared.
    """
    generator = torch.Generator().manual_seed(0)
    ours = scattered(TD3, TD3Config, task, generator)
    spec, config = ours.task, ours.config
    with modules_of(checkout, FILES):
        theirs = load("TD3").TD3(
            spec.observation_size,
            spec.action_size,
            spec.action_high,
            discount=config.discount,
            tau=config.target_rate,
            policy_noise=config.target_std * spec.action_high,
            noise_clip=config.target_clip * spec.action_high,
            policy_freq=config.policy_delay,
        )
        take_over(_pairs(ours, theirs))
        for step in range(1, UPDATES + 1):
            some = random_transitions(spec, config.batch_size, generator=generator)
            noise = drawn_noise(ours)
            batch = (
                some.observation[0],
                some.action[0],
                some.next_observation[0],
                some.reward[0, :, None],
                1.0 - some.terminal[0, :, None],
            )
            with Draws(noise["next_action"]).handed_out():
                theirs.train(SimpleNamespace(sample=lambda _, batch=batch: batch), config.batch_size)
            ours.update(some, noise, step)
    return {
        "updates": UPDATES,
        "parameters": largest_difference(_pairs(ours, theirs)),
    }


def _pairs(ours: TD3, theirs: Any) -> Pairs:
    net = ours.networks
    pairs: list[Any] = []
    for actor, own in ((theirs.actor, net.actor), (theirs.actor_target, net.target_actor)):
        pairs.append(([actor.l1, actor.l2, actor.l3], own, 0))
    for critic, twins in ((theirs.critic, net.critic), (theirs.critic_target, net.target_critic)):
        pairs.append(([critic.l1, critic.l2, critic.l3], twins.layers, 0))
        pairs.append(([critic.l4, critic.l5, critic.l6], twins.layers, 1))
    return pairs
