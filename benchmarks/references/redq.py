"""REDQ compared with its authors' code: watchernyu/REDQ."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from baselines.redq import OfficialDensityREDQ, REDQConfig, draw_members
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
from benchmarks.references.draws import Draws

REPOSITORY = "watchernyu/REDQ"
FILES = ("redq/algos/redq_sac.py", "redq/algos/core.py")
STEPS = 3
"""Environment steps, with twenty updates each."""


def compare(checkout: Path, task: str) -> dict[str, Any]:
    """Largest differences of the variant ``official-density`` over some environment steps at full size.

    Their α, which is 0.2 until first updated, is set to exp(log α) = 1 as here.

    Raises:
        benchmarks.references.comparing.CheckoutError: the folder is not a checkout of the code.
        benchmarks.references.draws.DrawError: the code draws differently from the version compared.
    """
    generator = torch.Generator().manual_seed(0)
    ours = scattered(OfficialDensityREDQ, REDQConfig, task, generator)
    spec, config = ours.task, ours.config
    updates = config.updates_per_step
    losses = []
    with modules_of(checkout, FILES):
        theirs = load("redq.algos.redq_sac").REDQSACAgent(
            f"{task}-v2", spec.observation_size, spec.action_size, spec.action_high, "cpu",
            hidden_sizes=(config.hidden_size,) * 2, replay_size=1, batch_size=config.batch_size,
            lr=config.learning_rate, gamma=config.discount, polyak=1.0 - config.target_rate,
            start_steps=0, utd_ratio=config.updates_per_step, num_Q=config.critics,
            num_min=config.target_critics, policy_update_delay=config.updates_per_step,
        )  # fmt: skip
        theirs.alpha = theirs.log_alpha.exp().item()
        take_over(_pairs(ours, theirs))
        _exchange_heads(ours, theirs, copy=True)
        for step in range(1, STEPS + 1):
            batches = random_transitions(spec, updates, config.batch_size, generator=generator)
            noise = drawn_noise(ours, updates)
            members = draw_members(noise["members"][0], config.target_critics or 0).numpy()
            theirs.replay_buffer = _Batches([batches[:, i] for i in range(updates)])
            logged: dict[str, Any] = {}
            draws = Draws([*noise["next_action"][0], noise["action"][0, -1]], [*members])
            with draws.handed_out():
                theirs.train(SimpleNamespace(store=logged.update))
            metrics = ours.update_often(batches, noise, (step - 1) * updates + 1)
            losses.append(relative(metrics["loss/actor"], logged["LossPi"]))
    heads = _exchange_heads(ours, theirs, copy=False)
    temperature = abs(ours.networks.temperature.log_alpha.item() - theirs.log_alpha.item())
    return {
        "updates": STEPS * updates,
        "losses": max(losses),
        "parameters": max(largest_difference(_pairs(ours, theirs)), heads, temperature),
    }


class _Batches:
    """Replacement for their replay buffer, which returns each of the given batches once."""

    size = 1

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def sample_batch(self, batch_size: int) -> dict[str, np.ndarray]:
        """The next batch."""
        del batch_size
        one = self._batches.pop(0)
        columns = {
            "obs1": one.observation,
            "obs2": one.next_observation,
            "acts": one.action,
            "rews": one.reward,
            "done": one.terminal,
        }
        return {name: column[0].numpy() for name, column in columns.items()}


def _pairs(ours: OfficialDensityREDQ, theirs: Any) -> Pairs:
    """All layers except the policy's last, which is one layer here and two there."""
    net = ours.networks
    policy = [one for one in net.actor.layers if hasattr(one, "weight")][:-1]
    pairs: list[Any] = [([*theirs.policy_net.hidden_layers], policy, 0)]
    for critics, own in ((theirs.q_net_list, net.critic), (theirs.q_target_net_list, net.target_critic)):
        for i, critic in enumerate(critics):
            pairs.append(([*critic.hidden_layers, critic.last_fc_layer], own.layers, i))
    return pairs


def _exchange_heads(ours: OfficialDensityREDQ, theirs: Any, copy: bool) -> float:
    """Copy the policy's last layer into their two, or return the largest difference."""
    last = [one for one in ours.networks.actor.layers if hasattr(one, "weight")][-1]
    heads: tuple[nn.Linear, ...] = theirs.policy_net.last_fc_layer, theirs.policy_net.last_fc_log_std
    difference = 0.0
    with torch.no_grad():
        weights, biases = last.weight[0].T.chunk(2), last.bias[0, 0].chunk(2)  # type: ignore[index]
        for head, weight, bias in zip(heads, weights, biases, strict=True):
            for their, own in ((head.weight, weight), (head.bias, bias)):
                if copy:
                    their.copy_(own)
                difference = max(difference, (their - own).abs().max().item())
    return difference
