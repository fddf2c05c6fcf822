"""Every baseline through the training loop on a real task, and resumption in the middle of a run."""

import os
import signal
from dataclasses import replace

import pytest
import torch

from alm.task_registry import task_spec
from alm.training.execution import Execution, execute
from alm.training.loop import Interrupted
from alm.training.optimisation import OptimiserGroup
from alm.training.replay import Replay, Transitions
from alm.training.scale import SCALES, TrainingConfig
from reproduce.lab.algorithms import ALGORITHMS
from runs import CUDA, evaluations, timeless, train, trainer

RUN = TrainingConfig(total_steps=150, eval_every=75, eval_episodes=1, log_every=25)


CHANGES = {
    # Five trainings of the model in the 50 steps of a run, two of them before it is stopped.
    "mbpo": {"retrain_every": 10, "updates_per_step": 2, "rollouts": 30, "error_horizon": 2},
    # Both objectives of the policy are met.
    "sac-svg2": {"plain_steps": 110},
    "sac-svg3": {"plain_steps": 110},
    # Stages that end within a short run.
    "slbo": {
        "stage_steps": 60,
        "model_updates": 5,
        "policy_updates": 2,
        "imagined_steps": 60,
        "imagined_horizon": 20,
    },
}


def smoke_agent(name, seeds, device="cpu"):
    agent_class, config_class = ALGORITHMS[name].load()
    task = "mbbl/Hopper-ET" if name == "slbo" else "Hopper"
    changes = CHANGES.get(name, {}) if name == "slbo" else {"warmup_steps": 100} | CHANGES.get(name, {})
    config = replace(config_class.at(SCALES["smoke"], task), **changes)
    return agent_class(task_spec(task), config, seeds, device)


def smoke_trainer(folder, name, seeds):
    agent = smoke_agent(name, seeds)
    return trainer(folder, seeds, task=agent.task.name, config=RUN, agent=agent)


@pytest.mark.parametrize("name", ["sac", "td3", "redq", "sac-avg", "td3-ours", "mbpo", "sac-svg2", "svg"])
def test_a_run_to_the_end(tmp_path, name):
    groups = [(0,), (1,)] if ALGORITHMS[name].load()[0].trains_seeds_apart else [(0, 1)]
    directories = []
    for seeds in groups:
        run = smoke_trainer(tmp_path, name, seeds)
        run.run()
        directories += run.directories
    for directory in directories:
        assert directory.status == "done"
        assert [step for step, _ in evaluations(directory)] == [100, 150]
        last = next(line["metrics"] for line in directory.metrics() if line["step"] == 125)
        assert {"loss/critic", "loss/actor", "grad_norm/critic", "critic/target"} <= set(last)
    assert evaluations(directories[0]) != evaluations(directories[1])


def test_a_run_in_stages_to_the_end(tmp_path):
    """Only the log intervals in which a stage ends have losses, and they are that stage's."""
    run = smoke_trainer(tmp_path, "slbo", (0,))
    run.run()
    (directory,) = run.directories
    assert directory.status == "done"
    assert [step for step, _ in evaluations(directory)] == [75, 150]
    logged = {line["step"]: line["metrics"] for line in directory.metrics() if "returns" not in line}
    with_losses = [step for step, metrics in logged.items() if "loss/model" in metrics]
    assert with_losses == [75, 125]
    assert {"loss/value", "grad_norm/model", "policy/kl", "policy/accepted"} <= set(logged[75])
    assert 0 < logged[75]["policy/kl"] <= 0.015


@pytest.mark.parametrize("name", ["sac", "td3", "mbpo", "sac-svg3", "svg", "slbo"])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, name):
    """Stopped within a log interval, between two updates of TD3's actor."""

    def build(folder):
        return smoke_trainer(folder, name, (4,))

    run = build(tmp_path / "stopped")
    advance = run._advance

    def advance_and_stop():
        advance()
        if run.step == 118:
            os.kill(os.getpid(), signal.SIGTERM)

    run._advance = advance_and_stop
    with pytest.raises(Interrupted, match="step 118"):
        run.run()
    run.directories[0].close()
    again, whole = build(tmp_path / "stopped"), build(tmp_path / "whole")
    again.run()
    whole.run()
    assert again.step == whole.step == 150
    assert timeless(again.directories[0]) == timeless(whole.directories[0])
    one, other = again.agent.networks.state_dict(), whole.agent.networks.state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


def filled_replay(task, size=150):
    """Random transitions of one episode, that of a Hopper which stands."""
    generator, replay = torch.Generator().manual_seed(0), Replay(1, size, task.observation_size, 3)
    observation, after = (0.05 * torch.randn(1, size, 11, generator=generator) for _ in range(2))
    action = 2 * torch.rand(1, size, 3, generator=generator) - 1
    nothing = torch.zeros(1, size)
    replay.extend(Transitions(observation, action, nothing + 1, after, nothing), nothing.bool())
    return replay


def tensors(tree, name=""):
    """The tensors of a tree of dictionaries and lists, with their places in it."""
    if isinstance(tree, torch.Tensor):
        yield name, tree
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, part in parts:
        yield from tensors(part, f"{name}/{key}")


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
@pytest.mark.parametrize("name", ["alm", "td3", "mbpo", "sac-svg3", "svg", "slbo"])
def test_a_checkpoint_goes_to_where_the_agent_lives(monkeypatch, name):
    """Checkpoints are read on the CPU; the device here has shapes but no numbers, and no generators."""
    agent = smoke_agent(name, (0,))
    replay = filled_replay(agent.task)
    for step in (51, 60):  # MBPO's model is trained, TD3's actor is updated, SLBO's stage ends
        agent.learn(replay, step)
    torch.ones(1, device="meta") * 2  # torch's rules for shapes are imported now, with its own generators
    make = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device: make())
    elsewhere = smoke_agent(name, (0,), "meta")
    elsewhere.load_state(agent.state())
    monkeypatch.setattr(OptimiserGroup, "state", lambda group: [group._first, group._second, group._steps])
    found = dict(tensors(elsewhere.state()))
    assert found.keys() == dict(tensors(agent.state())).keys()
    assert [place for place, tensor in found.items() if not tensor.is_meta] == ["/learning"]


@CUDA
def test_stopped_and_resumed_on_a_device_equals_uninterrupted(tmp_path):
    """Stopped within a log interval, between two updates of the actor."""

    def on_device(folder, **options):
        agent = smoke_agent("td3", (4, 5), "cuda")
        run = train(folder, (4, 5), config=RUN, agent=agent, **options)
        return [timeless(directory) for directory in run.directories]

    whole = on_device(tmp_path / "whole")
    on_device(tmp_path / "stopped", until=118)
    for again, expected in zip(on_device(tmp_path / "stopped"), whole, strict=True):
        assert [step for step, _ in again] == [step for step, _ in expected]
        for (_, one), (_, other) in zip(again, expected, strict=True):
            assert one == pytest.approx(other, rel=1e-4, abs=1e-6)


@pytest.mark.slow
def test_stopped_and_resumed_with_compiled_updates_equals_uninterrupted(tmp_path, monkeypatch):
    """Bit for bit, as without."""
    monkeypatch.delenv("CXX")

    def compiled(folder, **options):
        agent = smoke_agent("td3", (4, 5))
        execute(agent, Execution(compiled=True), print)
        run = train(folder, (4, 5), config=RUN, agent=agent, **options)
        return [timeless(directory) for directory in run.directories]

    whole = compiled(tmp_path / "whole")
    compiled(tmp_path / "stopped", until=118)
    assert compiled(tmp_path / "stopped") == whole
