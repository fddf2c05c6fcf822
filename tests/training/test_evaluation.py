"""Evaluations of several episodes, against episodes played one by one."""

import numpy as np
import pytest
import torch

from alm.task_registry import task_spec
from alm.tasks import make
from alm.training.evaluation import Evaluation, Evaluator

STEP, EPISODES = 700, 3
EVALUATION = 4  # `alm.training.streams.Purpose`, whose numbers never change


class Noisy:
    """A gain for each seed, and noise; sums and products alone, so that batches add no error."""

    task, device = task_spec("Hopper"), "cpu"
    gains = {3: 1.0, 8: -2.0}

    def __init__(self, *seeds):
        self.seeds = seeds

    def act_greedily(self, observation, streams):
        gain = torch.tensor([self.gains[seed] for seed in self.seeds])[:, None, None]
        return policy(gain, observation, streams.normal(EPISODES, 3))


def policy(gain, observation, noise):
    return (gain * observation[..., -3:] + 0.3 * noise).clamp(-1.0, 1.0)


def evaluate(*seeds, step=STEP, alive=None):
    evaluator = Evaluator(lambda: make("Hopper"), seeds, EPISODES)
    try:
        return evaluator.evaluate(Noisy(*seeds), step, alive=alive)
    finally:
        evaluator.close()


def derived(seed, *detail):
    """The number that a stream of a seed begins with."""
    sequence = np.random.SeedSequence(seed, spawn_key=(EVALUATION, *detail))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def played_by_hand(seed):
    """Return and length of each episode, in an environment of its own."""
    source = torch.Generator().manual_seed(derived(seed, STEP))
    noise = [torch.empty(EPISODES, 3).normal_(generator=source) for _ in range(1000)]
    found = []
    for episode in range(EPISODES):
        environment, rewards, over = make("Hopper"), [], False
        observation, _ = environment.reset(seed=derived(seed, STEP, episode) % 2**31)
        while not over:
            seen = torch.from_numpy(observation.astype(np.float32))
            action = policy(Noisy.gains[seed], seen, noise[len(rewards)][episode])
            observation, reward, terminated, truncated, _ = environment.step(action.numpy())
            rewards.append(float(reward))
            over = terminated or truncated
        environment.close()
        found.append((sum(rewards), len(rewards)))
    return found


def test_every_episode_is_that_of_its_seed_step_and_number():
    for seed, evaluation in zip((3, 8), evaluate(3, 8), strict=True):
        returns, lengths = zip(*played_by_hand(seed), strict=True)
        assert evaluation.lengths == list(lengths)
        assert evaluation.returns == pytest.approx(returns, rel=1e-12)
        # Episodes that end at different steps, in which the others go on.
        assert len(set(lengths)) == len(set(returns)) == EPISODES


def test_an_evaluation_depends_on_no_neighbour_but_on_the_step():
    alone, (beside, other) = evaluate(3)[0], evaluate(3, 8)
    assert alone == beside != other
    assert evaluate(3, step=STEP + 1)[0] != alone


def test_a_seed_that_has_failed_is_left_out():
    both = evaluate(3, 8)
    assert evaluate(3, 8, alive=(False, True)) == [Evaluation([0.0] * EPISODES, [0] * EPISODES), both[1]]
