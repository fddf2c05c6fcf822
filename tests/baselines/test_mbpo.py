"""MBPO: schedules, rollouts, the pool of imagined transitions, and SAC on mixed batches."""

import dataclasses

import pytest
import torch

from alm.task_registry import TASKS, task_spec
from alm.training.replay import Replay, Transitions
from alm.training.scale import SCALES
from alm.training.streams import Purpose, Streams
from baselines.ensemble_dynamics import EnsembleConfig
from baselines.mbpo import MBPO, MBPOConfig
from baselines.sac import SAC
from benchmarks.plain_baselines import PlainSoft
from reproduce.lab.resolved_runs import ResolvedRuns

HOPPER = task_spec("Hopper")
SMALL = MBPOConfig(
    hidden_size=8,
    updates_per_step=1,
    rollouts=10,
    error_horizon=2,
    target_entropy=-1.0,
    model=EnsembleConfig(members=3, elites=2, hidden_size=4),
)
REAL, IMAGINED = -1.0, 1.0


def standing(shape, generator):
    """Observations of a Hopper that has not fallen."""
    observation = 0.05 * torch.randn(*shape, 11, generator=generator)
    observation[..., 0] += 1.2
    return observation


def filled_replay(size=60, episode=None):
    """Real transitions; all rewards are `REAL`. Episodes have so many steps, or there is only one."""
    generator, replay = torch.Generator().manual_seed(0), Replay(1, size, 11, 3)
    transitions = Transitions(
        standing((1, size), generator),
        torch.rand(1, size, 3, generator=generator) * 2 - 1,
        torch.full((1, size), REAL),
        standing((1, size), generator),
        torch.zeros(1, size),
    )
    steps = torch.arange(1, size + 1)[None]
    replay.extend(transitions, steps % episode == 0 if episode else torch.zeros_like(steps, dtype=torch.bool))
    return replay


@pytest.fixture
def agent(monkeypatch):
    """A factory of agents whose model is counted and not trained: rewards number the trainings from 1 on."""

    def build(**changes):
        agent = MBPO(HOPPER, dataclasses.replace(SMALL, **changes), (5,))
        agent.trainings = []

        def fit(transitions, streams):
            agent.trainings.append(transitions.reward.shape[1])
            return {}

        def sample(observation, action, streams):
            return torch.full(observation.shape[:2], float(len(agent.trainings))), observation + 0.001

        monkeypatch.setattr(agent.dynamics, "fit", fit)
        monkeypatch.setattr(agent.dynamics, "sample", sample)
        return agent

    return build


def pool_counts(agent):
    """How many transitions of each training's rollouts are in the pool."""
    values, counts = agent.pool.stored().reward.unique(return_counts=True)
    return dict(zip(values.int().tolist(), counts.tolist(), strict=True))


# --- configuration --------------------------------------------------------------------------------

# Janner et al. (2019), table 1 of the appendix, and the configurations in jannerm/mbpo.
PUBLISHED = {  # schedule, updates, target entropy, retraining, retained epochs, width of the model
    "HalfCheetah": ((20, 150, 1, 1), 40, -3, 250, 1, 200),
    "Hopper": ((20, 150, 1, 15), 20, -1, 250, 1, 200),
    "Walker2d": ((20, 150, 1, 1), 20, -3, 250, 1, 200),
    "T-Ant": ((20, 100, 1, 25), 20, -4, 250, 1, 200),
    "T-Humanoid": ((20, 300, 1, 25), 20, -2, 1000, 5, 400),
}
PUBLISHED |= {
    "Ant": PUBLISHED["T-Ant"],
    "Humanoid": PUBLISHED["T-Humanoid"],
    "mbbl/Hopper-ET": PUBLISHED["Hopper"],
    "mbbl/Walker2d-ET": PUBLISHED["Walker2d"],
    "mbbl/HalfCheetah": PUBLISHED["HalfCheetah"],
}


@pytest.mark.parametrize("task", PUBLISHED)
def test_published_hyper_parameters(task):
    c = MBPOConfig.at(SCALES["paper"], task)
    row = c.rollout_schedule, c.updates_per_step, c.target_entropy, c.retrain_every, c.retain_epochs
    assert (*row, c.model.hidden_size) == PUBLISHED[task]
    assert (c.hidden_size, c.batch_size, c.real_batch_size, c.rollouts) == (256, 256, 12, 100_000)
    assert (c.learning_rate, c.target_rate, c.discount, c.initial_temperature) == (3e-4, 0.005, 0.99, 1.0)
    assert (c.warmup_steps, c.replay_capacity) == (5000, 1_000_000)
    assert dataclasses.replace(c.model, hidden_size=200) == EnsembleConfig(
        members=7, elites=5, hidden_size=200, learning_rate=1e-3, batch_size=256, holdout_share=0.2,
        holdout_limit=5000, improvement=0.01, patience=5,
    )  # fmt: skip


@pytest.mark.parametrize("few", ["replay_capacity=4", "warmup_steps=3"])
def test_too_few_transitions_for_the_first_model_are_refused_before_training(few):
    with pytest.raises(ValueError, match=r"with replay_capacity=.* first from 4 transitions, .* is none"):
        ResolvedRuns.of("mbpo", "base", "Hopper", [0], "smoke", settings=[few])
    enough = few.replace("4", "5").replace("3", "4")
    ResolvedRuns.of("mbpo", "base", "Hopper", [0], "smoke", settings=[enough])


def test_every_task_has_settings():
    for task in TASKS:
        assert MBPOConfig.at(SCALES["paper"], task).rollout_length(0) == 1


def test_smaller_scales_keep_updates_ensemble_and_schedule():
    paper, laptop = (MBPOConfig.at(SCALES[scale], "T-Humanoid") for scale in ("paper", "laptop"))
    assert (laptop.rollouts, laptop.model.hidden_size, laptop.real_batch_size) == (25_000, 128, 3)
    for name in ("updates_per_step", "rollout_schedule", "retrain_every", "retain_epochs", "target_entropy"):
        assert getattr(laptop, name) == getattr(paper, name)
    assert (laptop.model.members, laptop.model.elites) == (7, 5)


@pytest.mark.parametrize(
    ("task", "lengths"),
    [
        ("HalfCheetah", {0: 1, 150: 1, 400: 1}),
        # 1 + 14 (e − 20) / 130, rounded down: 2 from epoch 29.3 on, 15 at 150 only.
        ("Hopper", {0: 1, 20: 1, 29: 1, 30: 2, 85: 8, 149: 14, 150: 15, 151: 15, 1000: 15}),
        ("T-Ant", {20: 1, 23: 1, 24: 2, 25: 2, 60: 13, 99: 24, 100: 25}),
        ("T-Humanoid", {20: 1, 160: 13, 299: 24, 300: 25}),
    ],
)
def test_rollout_lengths(task, lengths):
    config = MBPOConfig.at(SCALES["paper"], task)
    assert {epoch: config.rollout_length(epoch) for epoch in lengths} == lengths


def test_pool_sizes():
    hopper, humanoid = (MBPOConfig.at(SCALES["paper"], task) for task in ("Hopper", "T-Humanoid"))
    assert [hopper.pool_size(k) for k in (1, 15)] == [400_000, 6_000_000]
    assert humanoid.pool_size(25) == 5 * 25 * 100_000


# --- the model's part of a step -------------------------------------------------------------------


def test_the_model_is_trained_at_the_first_step_of_an_epoch_and_every_250_on_all_data(agent, monkeypatch):
    a, replay, trained = agent(), filled_replay(), []
    monkeypatch.setattr(a, "update", lambda *arguments: {"loss/critic": torch.zeros(1)})
    for step in range(1, 2002):
        before = len(a.trainings)
        a.learn(replay, step)
        trained += [step] * (len(a.trainings) - before)
    assert trained == [1, 251, 501, 751, 1001, 1251, 1501, 1751, 2001]
    assert set(a.trainings) == {60}


def test_imagined_transitions_live_a_full_epoch(agent):
    """Of an epoch's four trainings all rollouts are kept; the next epoch's first replace the oldest."""
    a, replay = agent(), filled_replay()
    expected = {1: 10}
    for training, step in enumerate((1, 251, 501, 751), start=1):
        a.learn(replay, step)
        expected[training] = 10
        assert pool_counts(a) == expected
    a.learn(replay, 1001)
    assert pool_counts(a) == {2: 10, 3: 10, 4: 10, 5: 10}


def test_the_pool_grows_with_the_rollouts_and_keeps_its_contents(agent):
    a, replay = agent(rollout_schedule=(0, 1, 1, 3), retain_epochs=1), filled_replay()
    for step in (1, 251, 501, 751):
        a.learn(replay, step)
    metrics = a.learn(replay, 1001)
    assert a.pool.capacity == 120
    assert pool_counts(a) == {1: 10, 2: 10, 3: 10, 4: 10, 5: 30}
    found = [
        metrics[f"model/{name}"].item() for name in ("rollout_length", "rollout_mean_length", "pool_size")
    ]
    assert found == [3, 3, 70]
    for step in (1251, 1501, 1751):
        a.learn(replay, step)
    assert pool_counts(a) == {5: 30, 6: 30, 7: 30, 8: 30}  # the oldest made room


def test_a_grown_pool_is_resumed(agent):
    one, other, replay = (
        agent(rollout_schedule=(0, 1, 1, 3)),
        agent(rollout_schedule=(0, 1, 1, 3)),
        filled_replay(),
    )
    for step in (1, 1001):
        one.learn(replay, step)
    other.load_state(one.state())
    assert other.pool.capacity == one.pool.capacity == 120
    assert pool_counts(other) == pool_counts(one) == {1: 10, 2: 30}


@pytest.mark.parametrize("horizon", [5, 6, 70])
def test_how_far_the_models_error_is_reported_changes_no_training(agent, horizon):
    """Also where no episode, or nothing that is stored, is so long: then there is no error to report."""
    plain, other, replay = agent(error_horizon=1), agent(error_horizon=horizon), filled_replay(episode=5)
    expected, found = plain.learn(replay, 1), other.learn(replay, 1)
    assert torch.equal(plain.learning.state(), other.learning.state())
    errors = torch.cat([found.pop(f"model/error_{ahead}") for ahead in range(1, horizon + 1)])
    assert errors.isfinite().all() if horizon == 5 else errors.isnan().all()
    assert expected.pop("model/error_1").isfinite().all()
    assert found == expected
    assert all(map(torch.equal, plain.networks.parameters(), other.networks.parameters()))


def test_the_models_error_is_known_where_one_sequence_alone_is_so_long(agent):
    a = agent(error_horizon=1500)
    assert a._model_error(filled_replay(size=1500), 1).isfinite().all()


def test_rollouts_start_from_uniformly_drawn_real_states(agent):
    a, replay = agent(rollouts=6000), filled_replay()
    a.learn(replay, 1)
    states = replay.stored().observation[0]
    match = (a.pool.stored().observation[0][:, None] == states[None]).all(dim=-1)
    assert (match.sum(dim=1) == 1).all()
    counts = match.sum(dim=0)
    assert (counts - 100).abs().max() < 60  # six standard deviations


def test_rollouts_follow_the_stochastic_policy(agent):
    a, replay = agent(), filled_replay()
    state = replay.stored().observation[:, :1]
    (transitions,) = a.imagine(state.expand(1, 200, 11), 1)
    assert (transitions.action != a.act_greedily(state, a.learning)).all()
    assert transitions.action.std(dim=1).min() > 0.1


class FallingModel:
    """Predicts that rollout i falls after i + 1 steps: its height drops below 0.7 m there."""

    def __init__(self):
        self.step = 0
        self.seen = []

    def sample(self, observation, action, streams):
        self.step += 1
        self.seen.append(observation[0, :, 1].int().tolist())
        after = observation.clone()
        after[0, observation[0, :, 2] == self.step - 1, 0] = 0.69
        return torch.full(observation.shape[:2], IMAGINED), after


def test_terminated_rollouts_add_nothing_more():
    """Terminations are judged on the predicted state; the last transition of a rollout is kept."""
    agent = MBPO(HOPPER, SMALL, (5,))
    start = standing((1, 4), torch.Generator().manual_seed(0)).abs() * 0.1
    start[..., 0] = 1.2
    start[0, :, 2] = torch.arange(4)
    agent.dynamics = FallingModel()
    steps = list(agent.imagine(start, 10))
    assert [transitions.reward.shape[1] for transitions in steps] == [4, 3, 2, 1]  # and then no more
    for ahead, transitions in enumerate(steps):
        assert transitions.observation[0, :, 2].tolist() == list(range(ahead, 4))
        assert transitions.terminal[0].tolist() == [1.0] + [0.0] * (3 - ahead)
        torch.testing.assert_close(
            transitions.next_observation[0, :, 0] < 0.7, transitions.terminal[0].bool(), rtol=0, atol=0
        )
    agent.dynamics = FallingModel()
    assert len(list(agent.imagine(start, 2))) == 2


# --- SAC on mixed batches -------------------------------------------------------------------------


def test_a_batch_has_twelve_real_and_244_imagined_transitions(agent, monkeypatch):
    a, replay = agent(updates_per_step=3), filled_replay()
    batches = []
    monkeypatch.setattr(
        a, "update", lambda batch, *_: batches.append(batch) or {"loss/critic": torch.zeros(1)}
    )
    a.learn(replay, 1)
    assert len(batches) == 3
    for batch in batches:
        assert batch.observation.shape == (1, 256, 11)
        assert batch.reward[0].tolist() == [REAL] * 12 + [IMAGINED] * 244
        source = replay.stored()
        for i in range(12):  # whole rows
            (row,) = (
                (source.observation[0] == batch.observation[0, i]).all(dim=1).nonzero().flatten().tolist()
            )
            assert torch.equal(source.action[0, row], batch.action[0, i])
            assert torch.equal(source.next_observation[0, row], batch.next_observation[0, i])
    assert not torch.equal(batches[0].observation, batches[1].observation)


def test_the_updates_are_sacs_on_the_mixed_batches(agent, monkeypatch):
    """Against the plain float64 SAC, fed with what `learn` draws: losses, temperature, every parameter."""
    a, replay = agent(updates_per_step=4, learning_rate=1e-3), filled_replay()
    plain = PlainSoft(HOPPER, a.config, 2, "min", -1.0)
    plain.load(a.networks, 0)
    seen = []

    def spy(self, transitions, noise, step, original=SAC.update):
        seen.append((transitions, noise))
        return original(self, transitions, noise, step)

    monkeypatch.setattr(SAC, "update", spy)
    metrics = a.learn(replay, 1)
    assert len(seen) == 4
    for name in ("next_action", "action"):  # no two updates have the same noise
        assert len({noise[name].sum().item() for _, noise in seen}) == 4
    expected = []
    for transitions, noise in seen:
        batch = Transitions(
            *(getattr(transitions, f.name)[0].double() for f in dataclasses.fields(Transitions))
        )
        draws = {name: value[0].double() for name, value in noise.items()}
        expected.append(
            plain.critic_step(
                batch,
                draws["next_action"],
                (0, 1),
                lambda b=batch, d=draws: plain.policy_step(b, d["action"]),
            )
        )
    for name in expected[0]:
        mean = sum(e[name] for e in expected) / 4
        assert metrics[name].item() == pytest.approx(mean, rel=1e-4, abs=1e-5), name
    assert plain.largest_difference(a.networks, 0) < 1e-5
    log_alpha = a.networks.temperature.log_alpha.item()  # learned, from α = 1
    assert log_alpha == pytest.approx(plain.log_alpha.item(), abs=1e-6)
    assert abs(log_alpha) > 1e-3


def test_the_model_is_reported_on_when_it_was_trained(agent):
    a, replay = agent(), filled_replay()
    one, other = a.learn(replay, 1), a.learn(replay, 2)
    assert {"loss/critic", "model/pool_size", "model/error_1", "model/error_2"} <= set(one)
    assert set(other) == {name for name in one if not name.startswith("model/")}
    assert all(value.shape == (1,) for value in one.values())


# --- seeds ----------------------------------------------------------------------------------------


def test_more_than_one_seed_is_one_clear_error():
    with pytest.raises(ValueError, match=r"^mbpo trains one seed at a time, not 2: train them in turn\.$"):
        MBPO(HOPPER, SMALL, (0, 1))


def test_the_model_starts_from_the_seed_alone():
    one, same, other = (MBPO(HOPPER, SMALL, (seed,)) for seed in (5, 5, 6))
    weights = [agent.dynamics.network.linears[0].weight for agent in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert one.learning.state().equal(Streams((5,), Purpose.LEARNING).state())


def test_tasks_whose_end_cannot_be_told_are_refused_in_one_sentence():
    """Noise hides the state that ends a task; some tasks never end, and noise on actions hides nothing."""
    with pytest.raises(ValueError, match=r"those of Hopper-obsnoise-0.1 are noisy: choose Hopper\.$"):
        MBPOConfig.at(SCALES["paper"], "Hopper-obsnoise-0.1")
    endless = "HalfCheetah-obsnoise-0.1", "mbbl/Hopper-obsnoise-0.1", "mbbl/SlimHumanoid-obsnoise-0.1"
    for task in (*endless, "Hopper-dynnoise-0.1", "Hopper"):
        assert MBPOConfig.at(SCALES["paper"], task).rollouts > 0
