"""A guard against slower learning that counts instead of timing: tensor operations and arithmetic.

A number that falls should be lowered here; one that rises needs a reason.
"""

import pytest
import torch

from alm.task_registry import task_spec
from alm.training.replay import Replay, Transitions
from alm.training.scale import SCALES
from benchmarks.timing import gigaflop, operations
from reproduce.lab.algorithms import ALGORITHMS

# At smoke size on Hopper; the number of operations depends on no size but REDQ's twenty updates. A product
# with one column is three operations on a CPU, and faster than one.
OPERATIONS = {
    "alm": 970, "sac": 198, "td3": 143, "redq": 1906, "sac-avg": 1746, "td3-ours": 170, "sac-svg2": 1661,
}  # fmt: skip
MEGAFLOP = {
    "alm": 26.657, "sac": 0.232, "td3": 0.196, "redq": 9.107, "sac-avg": 11.545, "td3-ours": 1.427,
    "sac-svg2": 36.876,
}  # fmt: skip


def learning(name):
    """One step of learning, with sampling and noise; the optimisers' states exist already."""
    agent_class, config_class = ALGORITHMS[name].load()
    task = task_spec("Hopper")
    agent = agent_class(task, config_class.at(SCALES["smoke"], "Hopper"), (0,))
    replay, generator = Replay(1, 300, task.observation_size, task.action_size), torch.Generator()
    observation, after = torch.randn(2, 1, 300, task.observation_size, generator=generator)
    action = torch.rand(1, 300, task.action_size, generator=generator) * 2 - 1
    nothing = torch.zeros(1, 300)
    replay.extend(Transitions(observation, action, nothing, after, nothing), nothing > 0)
    # Past the phase in which SAC-SVG does without rollouts.
    agent.learn(replay, 1002)
    return lambda: agent.learn(replay, 1004)


@pytest.mark.parametrize("name", OPERATIONS)
def test_learning_makes_no_more_operations_than_it_did(name):
    found = operations(learning(name))
    assert 0.9 * OPERATIONS[name] < found <= OPERATIONS[name]


@pytest.mark.parametrize("name", MEGAFLOP)
def test_learning_does_no_more_arithmetic_than_it_did(name):
    """No gradient is computed that no optimiser asks for: a dead one would show here."""
    assert 1000.0 * gigaflop(learning(name)) == pytest.approx(MEGAFLOP[name], rel=5e-3)
