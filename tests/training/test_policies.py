"""What is kept of a policy: all that acting needs, of every algorithm and variant; when it is dropped."""

import numpy as np
import pytest
import torch

from alm.task_registry import task_spec
from alm.training.policies import Policies, PolicyFileError, read_policy, read_record, write_policy
from alm.training.population import share_of_seed
from alm.training.run_directory import RunDirectory
from alm.training.scale import SCALES
from alm.training.streams import Purpose, Streams
from baselines.sac_svg import SACSVG
from reproduce.lab.algorithms import ALGORITHMS, BASE
from runs import evaluations, trainer

EVERY = [
    (name, variant)
    for name, algorithm in ALGORITHMS.items()
    for variant in (BASE, *algorithm.variants.values())
    if variant.agent or variant is BASE
]


def build(name, variant, seeds):
    """An agent none of whose numbers is a default."""
    agent_class, config_class = ALGORITHMS[name].load(variant)
    task = task_spec("mbbl/Hopper-ET" if name == "slbo" else "Hopper")
    agent = agent_class(task, variant.configuration(config_class, SCALES["smoke"], task.name), seeds)
    generator = torch.Generator().manual_seed(seeds[0])
    for value in agent.networks.state_dict().values():
        value += 0.1 * torch.rand(value.shape, generator=generator)
    if isinstance(agent, SACSVG):
        agent.standardiser.add(3.0 * torch.randn(len(seeds), 20, 11, generator=generator))
    return agent


def actions(agent, observation, seed):
    return agent.act_greedily(observation, Streams((seed,), Purpose.EVALUATION))


@pytest.mark.parametrize(("name", "variant"), EVERY, ids=[f"{name}/{v.name}" for name, v in EVERY])
def test_a_seeds_share_of_the_policy_acts_as_the_population_did(tmp_path, name, variant):
    apart = ALGORITHMS[name].load(variant)[0].trains_seeds_apart
    seeds = (3,) if apart else (5, 3)
    agent, other = build(name, variant, seeds), build(name, variant, (3,) if apart else (8,))
    if apart:
        for value in other.networks.state_dict().values():
            value += 1.0
    observation = torch.randn(1, 6, 11, generator=torch.Generator().manual_seed(0))
    together = agent.act_greedily(
        observation.expand(len(seeds), -1, -1).contiguous(), Streams(seeds, Purpose.EVALUATION)
    )[-1:]
    assert not torch.allclose(actions(other, observation, 3), together)

    path = tmp_path / "policy.safetensors"
    write_policy(path, share_of_seed(agent.policy_state(), len(seeds) - 1, len(seeds)), {"step": 1})
    record, state = read_policy(path)
    assert record == read_record(path) == {"step": 1}
    other.load_policy_state(state)
    torch.testing.assert_close(actions(other, observation, 3), together, rtol=1e-5, atol=1e-5)
    whole = sum(value.nbytes for value in agent.networks.state_dict().values()) / len(seeds)
    assert path.stat().st_size < whole  # the critics are not in it


def test_a_run_keeps_its_best_and_its_last_policy(tmp_path):
    run = trainer(tmp_path, (0, 1))
    run.run()
    for i, directory in enumerate(run.directories):
        means = {step: np.mean(returns) for step, returns in evaluations(directory)}
        assert directory.policies.last(260) == 260
        assert directory.policies.best(260) == max(means, key=means.get)
        record, state = read_policy(directory.policies.path(260))
        assert record == {"step": 260, "returns": dict(evaluations(directory))[260]}
        mine = share_of_seed(run.agent.policy_state(), i, 2)
        assert state.keys() == mine.keys() and all(torch.equal(state[name], mine[name]) for name in mine)


def test_what_was_written_behind_the_checkpoint_is_dropped(tmp_path):
    run = trainer(tmp_path, (0,), until=130)
    run.run()
    run.directories[0].close()
    policies = run.directories[0].policies
    before = {step: policies.path(step).read_bytes() for step in policies.steps()}
    policies.save(200, {"actor": torch.ones(1)}, [1e9])
    assert policies.best(260) == 200
    trainer(tmp_path, (0,), until=130).run()
    assert {step: policies.path(step).read_bytes() for step in policies.steps()} == before


def test_a_run_that_begins_anew_keeps_no_policy(tmp_path):
    RunDirectory(tmp_path / "0").policies.save(130, {"actor": torch.ones(1)}, [1e9])
    run = trainer(tmp_path, (0,), until=100)
    run.run()
    assert run.directories[0].policies.steps() == [100]


@pytest.fixture
def policies(tmp_path):
    """Five policies, the first of them the best."""
    kept = Policies(tmp_path / "policies")
    for step, mean in ((100, 5.0), (150, 9.0), (250, 20.0), (300, 1.0), (350, 2.0)):
        kept.save(step, {"actor": torch.full((1, 2), mean)}, [mean - 1, mean + 1])
    return kept


def test_the_best_before_is_there_whichever_checkpoint_is_taken_up(policies):
    policies.keep_for([350, 200])
    assert policies.steps() == [350, 250, 150]
    policies.drop_after(200)
    assert (policies.best(200), policies.last(200)) == (150, 150)
    assert policies.best(100) is None and policies.last(100) is None


def test_of_equal_ones_the_first_is_the_best(policies):
    policies.save(400, {"actor": torch.ones(1)}, [20.0])
    assert policies.best(400) == 250


def test_a_damaged_policy_stops_no_training(policies, caplog):
    policies.path(250).write_bytes(b"half of it")
    assert policies.best(350) == 150
    assert "step-000000250.safetensors is passed over" in caplog.text


def test_the_same_policy_gives_the_same_bytes(tmp_path):
    record = {"b": 1, "a": [2.0, 3.0], "c": {"d": "x"}}
    tensors = {name: torch.arange(6.0).view(2, 3) for name in "zyxwv"}
    paths = [tmp_path / f"{i}.safetensors" for i in range(5)]
    for path in paths:
        write_policy(path, tensors, record)
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_flipped_bit_is_noticed(tmp_path):
    """In every byte of the file: nothing else than what was written is ever read."""
    path, tensors = tmp_path / "a.safetensors", {"actor": torch.arange(60.0).view(3, 20)}
    write_policy(path, tensors, {"step": 7, "returns": [1.5]})
    sound = path.read_bytes()
    for place in range(len(sound)):
        damaged = bytearray(sound)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        try:
            record, read = read_policy(path)
        except PolicyFileError:
            continue
        assert record == {"step": 7, "returns": [1.5]}
        assert read.keys() == tensors.keys() and torch.equal(read["actor"], tensors["actor"])


@pytest.mark.parametrize("content", [b"", b"short", b"PAR1" * 100, b"\x80\x04}q\x00." * 9, b"\xff" * 64])
def test_a_foreign_file_is_one_sentence(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    for read in (read_policy, read_record):
        with pytest.raises(PolicyFileError, match=r"is no policy of this suite, or is damaged \(.*\): put a"):
            read(path)


def test_safetensors_of_another_origin_is_no_policy(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    for metadata in (None, {"format": "pt"}, {"alm-policy": "3"}, {"alm-policy": "{}"}, {"alm-policy": "{"}):
        save_file({"actor": torch.ones(3)}, path, metadata)
        with pytest.raises(PolicyFileError, match="is no policy of this suite"):
            read_policy(path)
