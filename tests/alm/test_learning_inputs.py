"""What ALM's learning hands to an update: batches, noise and step, from a seed's own learning stream."""

from math import prod

import pytest
import torch

from alm.training.replay import Replay, Transitions
from alm.training.streams import Purpose, Streams
from tests.alm.cases import FIELDS, SEEDS, build

EPISODE = 5


def numbered_replay(size=60):
    """Transition i carries the number i; every fifth ends an episode by a time limit."""
    number = torch.arange(float(size)).expand(len(SEEDS), -1)
    pair = number[..., None]
    replay = Replay(len(SEEDS), size, 4, 3)
    steps = Transitions(
        pair.expand(-1, -1, 4), pair.expand(-1, -1, 3), number, pair.expand(-1, -1, 4), 0 * number
    )
    replay.extend(steps, number % EPISODE == EPISODE - 1)
    return replay


def handed(name, **settings):
    agent, *_ = build(name, dtype=torch.float32, **settings)
    seen = []
    agent.update = lambda *inputs: seen.append(inputs) or {}
    agent.learn(numbered_replay(), 7)
    return agent, *seen[0]


@pytest.mark.parametrize("name", ["base", "value-encoder", "joint"])
def test_the_loss_of_reward_and_classifier_can_be_replaced(name):
    """What `heads_loss` returns is what the heads descend and what is logged."""
    agent, sequences, transitions, noise = build(name)
    own, losses = agent.heads_loss, []

    def mine(*inputs):
        loss, parts = own(*inputs)
        assert set(parts) <= {"loss/reward", "loss/classifier", "classifier/accuracy"}
        losses.append(3.0 * loss)
        return losses[-1], {"loss/reward": torch.zeros(len(SEEDS))}

    agent.heads_loss = mine
    metrics = agent.update(sequences, transitions, noise, 1)
    torch.testing.assert_close(metrics["loss/heads"], losses[0].detach())
    assert not metrics["loss/reward"].any() and "classifier/accuracy" not in metrics


@pytest.mark.parametrize("name", ["base", "value-encoder-model", "joint"])
def test_sequences_transitions_and_noise_are_draws_of_their_own(name):
    agent, sequences, transitions, noise, step = handed(name)
    config, replay, streams = agent.config, numbered_replay(), Streams(SEEDS, Purpose.LEARNING)
    newest = config.fresh_transitions if name == "joint" else None
    expected = (
        replay.sample_sequences(config.batch_size, config.horizon, streams, newest=newest),
        replay.sample(config.batch_size, streams),
    )
    for found, drawn in zip((sequences, transitions), expected, strict=True):
        assert all(torch.equal(getattr(found, f.name), getattr(drawn, f.name)) for f in FIELDS)
    draws = streams.normal(sum(prod(shape) for shape in agent.noise_shapes.values()))
    assert list(noise) == list(agent.noise_shapes)
    assert torch.equal(torch.cat([value.flatten(1) for value in noise.values()], dim=1), draws)
    assert step == 7


@pytest.mark.parametrize("name", ["base", "joint"])
@pytest.mark.parametrize("reject", [False, True])
def test_sequences_straddle_time_limits_unless_these_are_rejected(name, reject):
    _, sequences, *_ = handed(name, reject_time_limits=reject, batch_size=200)
    episode = sequences.reward // EPISODE
    assert bool((episode != episode[:, :1]).any()) is not reject


def test_sequences_of_joint_alm_are_of_its_newest_transitions():
    _, sequences, transitions, *_ = handed("joint", fresh_transitions=10, batch_size=200)
    assert sequences.reward.unique().tolist() == list(range(50, 60))
    assert transitions.reward.min() < 10
