"""Streams follow from seed and purpose as they always did, so that a seed gives the run that it gave."""

import numpy as np
import pytest
import torch

from alm.tasks import make
from alm.training.environment import TrainingEnvironment
from alm.training.streams import Purpose, Streams

NUMBERS = {"INITIALISATION": 0, "LEARNING": 1, "ACTING": 2, "ENVIRONMENT": 3, "EVALUATION": 4}


def derived(seed, *key):
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_stream_is_that_of_its_seed_and_purpose(name):
    for seed, drawn in zip((3, 8), Streams((3, 8), Purpose[name]).normal(4), strict=True):
        source = torch.Generator().manual_seed(derived(seed, NUMBERS[name]))
        assert torch.equal(drawn, torch.empty(4).normal_(generator=source))
    assert [purpose.name for purpose in Purpose] == list(NUMBERS)


def test_training_episodes_are_those_of_the_seed():
    plain = make("Hopper")
    for seed in (3, 8):
        environment = TrainingEnvironment(make("Hopper"), seed)
        first = environment.observation
        environment.reset()
        again = environment.observation
        assert np.array_equal(plain.reset(seed=derived(seed, NUMBERS["ENVIRONMENT"]) % 2**31)[0], first)
        assert np.array_equal(plain.reset()[0], again)
