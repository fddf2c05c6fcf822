"""The loop: what is stored when, failures, interruption, and exact resumption after SIGKILL."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

from alm.tasks import make
from alm.training import loop
from alm.training.bias import headline_bias
from alm.training.bias_protocol import ValueBias
from alm.training.checkpoint import DamagedError
from alm.training.environment import TrainingEnvironment, Workers
from alm.training.evaluation import Evaluator
from alm.training.lease import LIFETIME_SECONDS, LeaseLostError, holder_of
from alm.training.loop import Interrupted
from alm.training.metrics import FiniteCheck
from alm.training.run_directory import RunDirectory
from alm.training.scale import TrainingConfig
from patience import PATIENCE, wait_for
from reproduce.lab.places import CODE
from reproduce.lab.training import group_by_step
from runs import SHORT, evaluations, timeless, tiny_agent, train, trainer

SUPPORT = Path(__file__).parents[1] / "support"


def final_parameters(directory):
    (step, *_) = directory.checkpoints.steps()
    return directory.checkpoints.load(step)["population"]["agent"]["networks"]


def test_a_run_from_start_to_done(tmp_path):
    run = trainer(tmp_path, (0, 1), bias=True)
    run.run()
    for directory in run.directories:
        lines = list(directory.metrics())
        assert [line["step"] for line in lines if "returns" in line] == [100, 130, 260]
        assert [line["step"] for line in lines if "returns" not in line] == [50, 100, 150, 200, 250]
        assert lines[-1]["training_step"] == 160
        trained = next(line["metrics"] for line in lines if line["step"] == 250)
        assert {"loss/actor", "grad_norm/critic", "model/kl", "time/update_ms"} <= set(trained)
        assert "train/return" in trained
        for line in lines:
            if "returns" in line:
                assert len(line["lengths"]) == len(line["returns"]) == SHORT.eval_episodes
                assert np.mean(line["lengths"]) == line["metrics"]["eval/length"]
        noise = [line["metrics"].get("actor/exploration_std") for line in lines if "returns" not in line]
        assert noise == [None, None, *map(run.agent.config.exploration_std, (50, 100, 150))]
        # The clock counts evaluations, but not the measurement of the value bias.
        log, evaluation = (line for line in lines if line["step"] == 100)
        passed = evaluation["wall_seconds"] - log["wall_seconds"]
        assert passed == pytest.approx(evaluation["metrics"]["time/evaluation_s"], abs=0.002)
        assert directory.status == "done"
        done = directory.read_json("DONE")
        assert lines[-1]["time_ms"] <= done["finished_ms"] <= 1000 * time.time()
        assert done["peak_memory_bytes"] > 2**26
        measured = dict(directory.values())
        assert list(measured) == [100, 130, 260]
        for line in directory.metrics():
            if "returns" in line:
                sample, metrics = measured[line["step"]], line["metrics"]
                assert set(sample.estimates) == {"lower_bound", "min_q"} and len(sample.step) >= 1000
                for name, estimate in sample.estimates.items():
                    bias = headline_bias(estimate, sample.monte_carlo)
                    logged = metrics[f"qbias/{name}_mean"], metrics[f"qbias/{name}_std"]
                    assert logged == pytest.approx(bias, rel=1e-4)
        bias = ValueBias(lambda: make("Hopper"), (0, 1))
        again = bias.measure(run.agent, 260)[run.directories.index(directory)]
        bias.close()
        np.testing.assert_allclose(measured[260].monte_carlo, again.monte_carlo, rtol=1e-4, atol=1e-4)
    assert evaluations(run.directories[0]) != evaluations(run.directories[1])


def test_a_noisy_task_is_evaluated_without_its_noise_too(tmp_path):
    config = replace(SHORT, eval_episodes=2)
    run = trainer(tmp_path, (0,), "Hopper-obsnoise-0.5", config, make_without_noise=lambda: make("Hopper"))
    run.run()
    last = [line for line in run.directories[0].metrics() if "returns" in line][-1]
    for name, task in (("", "Hopper-obsnoise-0.5"), ("_without_noise", "Hopper")):
        evaluator = Evaluator(lambda task=task: make(task), (0,), 2)
        (again,) = evaluator.evaluate(run.agent, last["step"])
        evaluator.close()
        assert last["metrics"][f"eval/return{name}"] == pytest.approx(np.mean(again.returns))
        assert last["metrics"][f"eval/return_std{name}"] == pytest.approx(np.std(again.returns))
        assert last["metrics"][f"eval/length{name}"] == np.mean(again.lengths)
        assert len(set(again.returns)) == len(set(again.lengths)) == 2
        assert name or last["lengths"] == again.lengths
    assert last["metrics"]["eval/return"] != last["metrics"]["eval/return_without_noise"]
    assert len(last["returns"]) == 2 and np.mean(last["returns"]) == last["metrics"]["eval/return"]


def test_a_seed_gives_the_same_run_whoever_its_neighbours_are(tmp_path):
    together, alone = trainer(tmp_path / "a", (3, 1, 2)), trainer(tmp_path / "b", (1,))
    together.run()
    alone.run()
    joint, single = evaluations(together.directories[1]), evaluations(alone.directories[0])
    assert [step for step, _ in joint] == [step for step, _ in single]
    np.testing.assert_allclose([r for _, r in joint], [r for _, r in single], rtol=1e-3)
    mine, other = final_parameters(together.directories[1]), final_parameters(alone.directories[0])
    for name in mine:
        torch.testing.assert_close(mine[name], other[name], rtol=1e-3, atol=1e-4)


class Counting(gymnasium.Env):
    """Observation = steps since the reset, which the reward exceeds by half a point; ends by itself at 7
    or by the limit at 5, in turns.
    """

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (11,))
    action_space = gymnasium.spaces.Box(-1, 1, (3,))

    def __init__(self):
        self.episode = -1

    def reset(self, *, seed=None, options=None):
        self.episode, self.time = self.episode + 1, 0
        return np.full(11, 0.0), {}

    def step(self, action):
        self.time += 1
        even = self.episode % 2 == 0
        ended, truncated = even and self.time == 7, not even and self.time == 5
        return np.full(11, float(self.time)), self.time + 0.5, ended, truncated, {}


def test_time_limits_are_not_terminal_and_warmup_episodes_are_dropped(tmp_path):
    run = trainer(tmp_path, (0,), make_environment=Counting)
    run.run()
    contents = run.replay.state()["contents"]
    after, terminal = contents["next_observation"][0, :, 0], contents["terminal"][0]
    end = contents["episode_end"][0]
    assert torch.equal(contents["reward"][0], after + 0.5)
    assert (after[terminal == 1] == 7).all()
    assert (terminal == 1).sum() > 10
    assert (after[end & (terminal == 0)] == 5).sum() > 10
    assert bool(end[99])  # the last warm-up transition
    assert not bool(terminal[99])
    assert contents["observation"][0, 100, 0] == 0  # a new episode begins with training
    assert torch.equal(contents["observation"][0, 1:100][~end[:99], 0], after[:99][~end[:99]])
    for line in run.directories[0].metrics():
        if "returns" not in line:  # of training: episodes of 7 steps pay 31.5, those of 5 pay 17.5
            length = line["metrics"]["train/length"]
            assert line["metrics"]["train/return"] == pytest.approx(7 * length - 17.5)
            assert 5 < length < 7


def test_actions_are_uniform_in_the_bounds_up_to_the_warm_up_and_then_the_agents(tmp_path):
    """Of a task with bounds other than ±1; the agent's steps count from 1."""
    agent, asked = tiny_agent("T-Humanoid", (0,)), []
    act = agent.act

    def spy(observation, training_step, streams):
        asked.append((run.step, training_step))
        return act(observation, training_step, streams)

    agent.act = spy
    run = trainer(tmp_path, (0,), "T-Humanoid", TrainingConfig(110, 110, 1, 110), agent)
    run.run()
    assert asked == [(step, step - 99) for step in range(100, 110)]
    random = run.replay.stored().action[0, :100]
    assert random.abs().max() <= 0.4 and random.std().item() == pytest.approx(0.4 / 3**0.5, rel=0.05)


@pytest.mark.parametrize(("configured", "capacity"), [(70, 70), (10**6, 260)])
def test_replay_is_as_large_as_configured_or_as_the_run(tmp_path, configured, capacity):
    agent = tiny_agent("Hopper", (0,), replay_capacity=configured)
    run = trainer(tmp_path, (0,), agent=agent)
    assert run.replay.capacity == capacity
    run.directories[0].close()


@pytest.mark.filterwarnings("ignore:MuJoCo")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_failed_seed_ends_and_the_others_go_on(tmp_path, device):
    """On a device the failure is read before the next evaluation, and has the step at which it was."""
    agent = tiny_agent("Hopper", (0, 1))
    learn = agent.learn

    def poisoned(replay, step):
        if step == 20:
            with torch.no_grad():
                agent.networks.reward.layers[0].weight[1] = float("nan")
        return learn(replay, step)

    agent.learn = poisoned
    run = trainer(tmp_path, (0, 1), agent=agent)
    run._finite = FiniteCheck(device)
    run.run()
    sound, failed = run.directories
    assert (sound.status, failed.status) == ("done", "failed")
    record = failed.read_json("FAILED")
    assert (record["seed"], record["step"]) == (1, 120)
    assert record["metric"] == "loss/encoder_model"
    assert max(line["step"] for line in failed.metrics()) <= 120

    undisturbed = trainer(tmp_path / "alone", (0,))
    undisturbed.run()
    np.testing.assert_allclose(
        [r for _, r in evaluations(sound)], [r for _, r in evaluations(undisturbed.directories[0])], rtol=1e-3
    )


def test_all_seeds_failed_ends_the_run_without_done(tmp_path):
    agent = tiny_agent("Hopper", (0,))
    with torch.no_grad():
        agent.networks.reward.layers[0].weight.fill_(float("inf"))
    run = trainer(tmp_path, (0,), agent=agent, bias=True)
    run.run()
    assert run.directories[0].status == "failed"
    assert run.step == 100  # the measurement of the value bias meets it first


@pytest.mark.filterwarnings("ignore:MuJoCo")
def test_an_evaluation_that_is_not_finite_fails_its_seed(tmp_path):
    agent = tiny_agent("Hopper", (0,))
    with torch.no_grad():
        agent.networks.actor[0].weight.fill_(float("nan"))
    run = trainer(tmp_path, (0,), agent=agent)
    run.run()
    assert run.directories[0].read_json("FAILED")["metric"] == "eval/return"


_SCRIPT = """
import os
import sys
import time
from pathlib import Path
sys.path[:0] = [{support!r}, {root!r}]
import torch
torch.set_num_threads(1)
from runs import trainer
folder, lifetime, stored = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
run = trainer(folder, (0, 1), lifetime=lifetime, checkpoint_seconds=0.0, bias=True)
advance = run._advance
def advance_and_hold():
    advance()
    if run.step == stored:
        run._checkpoint()
    while run.step == stored + 3 and not Path(f"{{folder}}-{{os.getpid()}}").exists():
        time.sleep(0.01)
run._advance = advance_and_hold
run.run()
"""


def start(folder, lifetime=LIFETIME_SECONDS, stay_after=-9, **options):
    """Train; with ``stay_after`` that step has a checkpoint, and training stays three steps behind it until
    it is `let_go`.
    """
    script = _SCRIPT.format(support=str(SUPPORT), root=str(CODE))
    arguments = str(folder), str(lifetime), str(stay_after)
    return subprocess.Popen([sys.executable, "-c", script, *arguments], **options)


def wait_for_step(directory, step, process):
    wait_for(lambda: step in directory.checkpoints.steps(), process)


def let_go(folder, process):
    Path(f"{folder}-{process.pid}").touch()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert start(folder).wait() == 0
    return folder


@pytest.mark.parametrize("kill_at", [60, 155])
@pytest.mark.programs
def test_killed_and_resumed_equals_uninterrupted(tmp_path, uninterrupted, kill_at):
    """SIGKILL in the warm-up and in training: same evaluations, same parameters, same metric lines."""
    process = start(tmp_path / "killed", stay_after=kill_at)
    wait_for_step(RunDirectory(tmp_path / "killed" / "1"), kill_at, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert RunDirectory(tmp_path / "killed" / "0").status != "done"
    assert start(tmp_path / "killed").wait() == 0
    for seed in ("0", "1"):
        whole, killed = RunDirectory(uninterrupted / seed), RunDirectory(tmp_path / "killed" / seed)
        assert evaluations(whole) == evaluations(killed)
        assert timeless(whole) == timeless(killed)
        one, other = final_parameters(whole), final_parameters(killed)
        assert all(torch.equal(one[name], other[name]) for name in one)
        for choose in ("best", "last"):
            steps = [getattr(directory.policies, choose)(260) for directory in (whole, killed)]
            assert steps[0] == steps[1]
            assert whole.policies.path(steps[0]).read_bytes() == killed.policies.path(steps[0]).read_bytes()


def test_checkpoints_that_take_long_to_write_are_written_less_often(tmp_path, monkeypatch):
    """A step takes a second, writing takes five: the next one is due after a hundred seconds, not ten."""
    run, clock, saved = trainer(tmp_path, (0,), checkpoint_seconds=10.0), SimpleNamespace(now=0.0), []
    checkpoints, advance = run.directories[0].checkpoints, run._advance
    save = checkpoints.save

    def pass_seconds(seconds, then):
        clock.now += seconds
        return then()

    times = {name: getattr(time, name) for name in ("perf_counter", "time_ns")}
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now, **times))
    monkeypatch.setattr(run, "_advance", lambda: pass_seconds(1.0, advance))
    monkeypatch.setattr(
        checkpoints,
        "save",
        lambda step, tree: saved.append(step) or pass_seconds(5.0, lambda: save(step, tree)),
    )
    run.run()
    assert saved == [10, 110, 210, 260]


def test_a_file_that_a_successor_dropped_first_is_told_as_a_lost_run(tmp_path, monkeypatch):
    """Stopped between the look at its checkpoints and the dropping of the oldest of them."""
    run = trainer(tmp_path, (0,), checkpoint_seconds=0.0)
    (directory,) = run.directories
    checkpoints = directory.checkpoints
    look = checkpoints.steps

    def stopped_after_looking():
        found = look()
        if len(found) > 2:
            for lease in directory.path.glob("lease.*"):
                lease.unlink()
            checkpoints.path(found[-1]).unlink()
        return found

    monkeypatch.setattr(checkpoints, "steps", stopped_after_looking)
    with pytest.raises(LeaseLostError, match=f"run {directory.path} was taken over"):
        run.run()


def test_a_file_that_vanished_of_a_run_that_is_held_is_told_as_such(tmp_path, monkeypatch):
    run = trainer(tmp_path, (0,))
    monkeypatch.setattr(run.agent, "policy_state", lambda: (tmp_path / "gone").read_bytes())
    with pytest.raises(FileNotFoundError, match="gone"):
        run.run()


@pytest.mark.programs
def test_a_population_that_was_stopped_and_taken_over_is_one_and_the_former_holder_ends(
    tmp_path, uninterrupted
):
    """SIGSTOP in training; the former holder wakes while its successor trains on."""
    folder = tmp_path / "stopped"
    seeds = [RunDirectory(folder / seed) for seed in ("0", "1")]
    former = start(folder, lifetime=1.0, stay_after=120, stderr=subprocess.PIPE, text=True)
    wait_for_step(seeds[1], 120, former)
    former.send_signal(signal.SIGSTOP)
    wait_for(lambda: not any(holder_of(seed.path)[1] for seed in seeds))
    successor = start(folder, stay_after=125)
    wait_for_step(seeds[1], 125, successor)
    let_go(folder, former)
    former.send_signal(signal.SIGCONT)
    _, error = former.communicate(timeout=PATIENCE)
    assert former.returncode == 1
    assert f"LeaseLostError: run {folder}" in error
    assert f"over by process {successor.pid} on" in error
    let_go(folder, successor)
    assert successor.wait() == 0
    for seed in seeds:
        whole = RunDirectory(uninterrupted / seed.path.name)
        assert evaluations(whole) == evaluations(seed) and timeless(whole) == timeless(seed)
        one, other = final_parameters(whole), final_parameters(seed)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_interruption_stores_the_state_at_once(tmp_path):
    run = trainer(tmp_path, (0,))
    original = run._advance

    def advance():
        original()
        if run.step == 143:
            os.kill(os.getpid(), signal.SIGTERM)

    run._advance = advance
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="step 143"):
        run.run()
    with pytest.raises(KeyboardInterrupt):  # a second request does not wait for the end of the step
        run._request_stop(signal.SIGTERM, None)
    assert signal.getsignal(signal.SIGTERM) is before
    run.directories[0].close()
    again = trainer(tmp_path, (0,))
    again.run()
    whole = trainer(tmp_path / "whole", (0,))
    whole.run()
    assert evaluations(again.directories[0]) == evaluations(whole.directories[0])


def test_an_unfinished_metrics_line_is_not_read(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.open()
    directory.start_metrics(0)
    directory.append_metrics(1, 0, 0.5, metrics={"a": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "metr')
    assert [line["step"] for line in directory.metrics()] == [1]
    with pytest.raises(ValueError, match="not JSON compliant"):
        directory.append_metrics(2, 0, 0.5, metrics={"a": float("nan")})


@pytest.mark.parametrize("task", ["Ant", "HalfCheetah", "Hopper"])
def test_an_environment_resumes_in_the_middle_of_an_episode(task):
    whole = TrainingEnvironment(make(task), seed=4)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (400, whole._environment.action_space.shape[0])).astype(np.float32)

    def play(environment, some):
        out = []
        for action in some:
            observation, reward, terminated, truncated = environment.step(action)
            out.append((observation.tolist(), reward))
            if terminated or truncated:
                environment.reset()
        return out

    play(whole, actions[:250])
    stored = json.loads(json.dumps(whole.state()))
    resumed = TrainingEnvironment(make(task), seed=99)
    resumed.load_state(stored)
    assert (resumed.episode_length, resumed.episode_return) == (whole.episode_length, whole.episode_return)
    assert play(resumed, actions[250:]) == play(whole, actions[250:])
    stored["observation"][0] += 1e-9
    with pytest.raises(ValueError, match="does not replay"):
        resumed.load_state(stored)


class Winding(gymnasium.Env):
    """A task whose actions are float64, in which sin differs from that in float32."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)

    def reset(self, *, seed=None, options=None):
        self.place = self.np_random.normal(size=2)
        return self.place, {}

    def step(self, action):
        self.place = self.place + 0.1 * np.sin(action)
        return self.place, 0.0, False, False, {}


def test_an_environment_with_actions_of_double_precision_resumes():
    whole, resumed = TrainingEnvironment(Winding(), seed=4), TrainingEnvironment(Winding(), seed=99)
    for action in np.random.default_rng(0).uniform(-1, 1, (5, 2)).astype(np.float32):
        whole.step(action)
    resumed.load_state(json.loads(json.dumps(whole.state())))
    assert resumed.observation.tolist() == whole.observation.tolist()


def test_evaluation_changes_no_training(tmp_path):
    often = trainer(tmp_path / "a", (0,), config=SHORT)
    rarely = trainer(tmp_path / "b", (0,), config=SHORT.__class__(260, 260, 1, 50))
    often.run()
    rarely.run()
    one, other = final_parameters(often.directories[0]), final_parameters(rarely.directories[0])
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_simulators_in_threads_give_the_same(tmp_path):
    for name, threads in (("turn", 1), ("threads", 3)):
        trainer(tmp_path / name, (0, 1, 2), simulator_threads=threads).run()
    for seed in "012":
        turn, threads = (RunDirectory(tmp_path / name / seed) for name in ("turn", "threads"))
        assert evaluations(turn) == evaluations(threads)
        states = [one.checkpoints.load(SHORT.total_steps)["population"]["replay"] for one in (turn, threads)]
        torch.testing.assert_close(*states, rtol=0, atol=0)


def test_an_error_in_a_thread_is_raised():
    workers = Workers(2)
    with pytest.raises(ZeroDivisionError):
        workers.each(lambda x: 1 / x, [1, 0, 2])
    assert workers.each(lambda x: 2 * x, [3, 1, 2]) == [6, 2, 4]
    workers.close()


def test_a_run_that_stops_on_purpose_goes_on_to_the_same_end(tmp_path):
    trainer(tmp_path / "whole", (0, 1)).run()
    train(tmp_path / "parts", (0, 1), until=130)
    for seed in (0, 1):
        directory = RunDirectory(tmp_path / "parts" / str(seed))
        assert directory.status != "done" and directory.checkpoints.steps()[0] == 130
        assert [step for step, _ in evaluations(directory)][-1] == 130
    trainer(tmp_path / "parts", (0, 1), until=261).run()  # beyond the end is the end
    for seed in (0, 1):
        whole, parts = (RunDirectory(tmp_path / name / str(seed)) for name in ("whole", "parts"))
        assert parts.status == "done" and evaluations(parts) == evaluations(whole)


@pytest.mark.parametrize("saved", [(100, 130), (130,)], ids=["later", "first"])
@pytest.mark.programs
def test_a_population_killed_between_two_checkpoints_is_one_again(tmp_path, saved):
    """Seed 0 has written its newest checkpoint, seed 1 has not: as if nothing had happened."""
    trainer(tmp_path / "whole", (0, 1), bias=True).run()
    for step in saved:
        run = train(tmp_path / "killed", (0, 1), until=step, bias=True)
    behind = RunDirectory(tmp_path / "killed" / "1")
    behind.checkpoints.drop_after(saved[0] if len(saved) > 1 else 0)
    behind.commit_metrics(0)
    (group,) = group_by_step(run.directories)
    assert group == run.directories
    again = trainer(tmp_path / "killed", (0, 1), bias=True)
    resume, begun = again._resume, []
    again._resume = lambda: (resume(), begun.append((again.step, again.directories[0].checkpoints.steps())))
    again.run()
    # What seed 0 had ahead is gone, so that the next two checkpoints are common ones once more.
    assert begun == [(100, [100]) if len(saved) > 1 else (0, [])]
    for seed in ("0", "1"):
        whole, killed = (RunDirectory(tmp_path / name / seed) for name in ("whole", "killed"))
        assert killed.status == "done"
        assert evaluations(whole) == evaluations(killed) and timeless(whole) == timeless(killed)
        assert [step for step, _ in killed.values()] == [100, 130, 260]
        one, other = final_parameters(whole), final_parameters(killed)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_population_killed_while_it_resumes_leaves_seeds_that_go_on_alone(tmp_path, monkeypatch):
    """Seed 0 stood further than seed 1, and was cut back to it."""
    for step in (110, 130):
        train(tmp_path, (0, 1), until=step)
    RunDirectory(tmp_path / "1").checkpoints.drop_after(110)
    start = RunDirectory.start_metrics

    def killed_at_the_second(self, offset):
        if self.path.name == "1":
            raise KeyboardInterrupt
        start(self, offset)

    monkeypatch.setattr(RunDirectory, "start_metrics", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, (0, 1), until=130)
    monkeypatch.undo()
    train(tmp_path, (0,), until=130)
    assert [step for step, _ in evaluations(RunDirectory(tmp_path / "0"))] == [100, 130]


def test_values_behind_the_checkpoint_are_dropped(tmp_path):
    run = train(tmp_path, (0,), until=130, bias=True)
    (tmp_path / "0" / "values" / "00000260.npz").write_bytes(b"of a future that is not this run's")
    trainer(tmp_path, (0,), until=130, bias=True).run()
    assert [step for step, _ in run.directories[0].values()] == [100, 130]


def test_metrics_shorter_than_the_checkpoint_are_met_at_the_start(tmp_path):
    train(tmp_path, (0,), until=130)
    metrics = tmp_path / "0" / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-10])
    short = metrics.read_bytes()
    with pytest.raises(ValueError, match=r"metrics\.jsonl has lost lines .* put a copy back"):
        trainer(tmp_path, (0,)).run()
    assert metrics.read_bytes() == short


def test_metrics_that_were_changed_are_met_by_whoever_reads_them(tmp_path):
    run = trainer(tmp_path, (0,), until=130)
    run.run()
    (directory,) = run.directories
    directory.close()
    metrics, content = tmp_path / "0" / "metrics.jsonl", (tmp_path / "0" / "metrics.jsonl").read_bytes()
    metrics.write_bytes(content.replace(b'"step": 100', b'"step": 101'))
    for read in (
        lambda: list(directory.metrics()),
        directory.committed_metrics,
        lambda: trainer(tmp_path, (0,)).run(),
    ):
        with pytest.raises(ValueError, match=r"metrics\.jsonl is not what was written"):
            read()
    # What no checkpoint covers yet is written again; a run of an earlier version has no digest.
    metrics.write_bytes(content + b'{"step": 131, "metrics": {}}\n')
    assert [line["step"] for line in directory.metrics()][-1] == 131
    (tmp_path / "0" / "committed.json").write_text(json.dumps({"metrics_offset": len(content)}))
    assert directory.committed_metrics() == content


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[1]", "it is a list, not an object"),
        ('{"metrics": {}}', "it has no step"),
        ('{"step": "x", "metrics": {}}', "its 'step' is 'x'"),
        ('{"step": 1, "metrics": []}', "its 'metrics' is a list, not an object"),
        ('{"step": 0, "metrics": {}}', "its 'step' is 0"),
        ('{"step": 1, "training_step": -1}', "its 'training_step' is -1"),
        ('{"step": 1, "wall_seconds": Infinity}', "its 'wall_seconds' is inf"),
        ('{"step": 1, "metrics": {"eval/return": NaN}}', "its 'metrics.eval/return' is nan"),
        ('{"step": 1, "returns": [null]}', r"its 'returns' is \[None\]"),
        ('{"step": 1, "returns": []}', r"its 'returns' is \[\]"),
        ('{"step": 1, "population": -3}', "its 'population' is -3"),
        ("{", "is not JSON"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path, line, words):
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 1, "metrics": {{}}}}\n{line}\n')
    with pytest.raises(ValueError, match=f"line 2 of .*metrics.jsonl .*{words}"):
        list(RunDirectory(tmp_path).metrics())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("DONE", "{", "is not JSON"),
        ("DONE", "7", "it is a int, not an object"),
        ("DONE", '{"finished_ms": "late"}', "its 'finished_ms' is 'late'"),
        ("FAILED", '{"step": true}', "its 'step' is True"),
        ("population.json", '{"seeds": 1}', "its 'seeds' is 1"),
        ("provenance.json", '{"command": null}', "its 'command' is None"),
        ("provenance.json", '{"git_sha": 5}', "its 'git_sha' is 5"),
        ("DONE", '{"peak_memory_bytes": -1}', "its 'peak_memory_bytes' is -1"),
        ("config.json", "[" * 100_000, "is not JSON"),
    ],
)
def test_a_record_that_is_none_is_named(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=f"{name} .*{words}"):
        RunDirectory(tmp_path).read_json(name)


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_is_not(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = tmp_path / "checkpoints" / f".step-000000010.pt.{ended.pid}@{socket.gethostname()}.tmp"
    in_the_making = tmp_path / f".mlflow.json.{os.getppid()}@{socket.gethostname()}.tmp"
    # Of another machine no process is known to live.
    elsewhere = tmp_path / f".DONE.{os.getppid()}@elsewhere.tmp"
    left.parent.mkdir()
    left.touch(), in_the_making.touch(), elsewhere.touch()
    RunDirectory(tmp_path).open()
    assert not left.exists() and in_the_making.exists() and not elsewhere.exists()


def test_a_run_whose_checkpoints_are_all_damaged_does_not_begin_anew(tmp_path, caplog):
    for step in (100, 130):
        train(tmp_path, (0,), until=step)
    for path in (tmp_path / "0" / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:1000])
    before = (tmp_path / "0" / "metrics.jsonl").read_bytes()
    for _ in range(2):
        with pytest.raises(DamagedError, match=r"no checkpoint of .*0 can be read.* to begin this run anew"):
            train(tmp_path, (0,))
    assert caplog.text.count("is damaged") == 2 and "weights_only" not in caplog.text
    kept = [path.name for path in sorted((tmp_path / "0" / "checkpoints").iterdir())]
    assert kept == ["step-000000100.pt.damaged", "step-000000130.pt.damaged"]
    assert (tmp_path / "0" / "metrics.jsonl").read_bytes() == before
