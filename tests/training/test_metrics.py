"""Numbers that are not finite, found at once on a CPU and later on a device, and averages that resume."""

import pytest
import torch

from alm.training.metrics import Failure, FiniteCheck, Recorder


def metrics(*losses, norm=1.0):
    return {
        "loss/critic": torch.tensor(losses),
        "grad_norm/critic": torch.full((len(losses),), norm),
        "critic/target": torch.full((len(losses),), float("nan")),
    }


def test_on_a_cpu_a_failure_is_found_at_its_step():
    check = FiniteCheck("cpu")
    assert check.note(metrics(1.0, 2.0), 7) == []
    assert check.note(metrics(1.0, float("inf")), 8) == [Failure(1, "loss/critic", 8)]
    assert check.read() == [Failure(1, "loss/critic", 8)]


def test_the_first_metric_of_the_first_step_is_named():
    check = FiniteCheck("cpu")
    assert check.note(metrics(float("nan"), norm=float("nan")), 3) == [Failure(0, "loss/critic", 3)]
    assert check.note(metrics(1.0, norm=float("nan")), 4) == [Failure(0, "loss/critic", 3)]


def test_on_a_device_reading_waits_and_keeps_the_step():
    check = FiniteCheck("cuda")
    for step in range(10, 109):
        assert check.note(metrics(1.0, float("nan") if step >= 20 else 1.0), step) == []
    assert check.note(metrics(1.0, 1.0), 109) == [Failure(1, "loss/critic", 20)]


def test_what_not_every_update_reports_is_read_no_sooner_and_the_first_failure_comes_first():
    """As of TD3, whose actor is updated at every second step."""
    check = FiniteCheck("cuda")
    nan = float("nan")
    for step in range(1, 9):
        seldom = {"loss/actor": torch.tensor([1.0, nan if step == 4 else 1.0])} if step % 2 == 0 else {}
        assert check.note(metrics(nan if step == 3 else 1.0, nan if step == 6 else 1.0) | seldom, step) == []
    assert check.note(metrics(1.0, nan), 9) == []
    assert check.read() == [
        Failure(0, "loss/critic", 3),
        Failure(1, "loss/actor", 4),
        Failure(1, "loss/critic", 9),
    ]


def test_what_some_updates_lack_is_averaged_over_the_others():
    recorder = Recorder(1)
    for update in ({"loss": 1.0}, {"loss": 2.0, "actor/reward": 4.0}, {"loss": 3.0, "actor/reward": 6.0}):
        recorder.add({name: torch.tensor([value]) for name, value in update.items()})
    resumed = Recorder(1)
    resumed.load_state(0, recorder.state(0))
    for one in (recorder, resumed):
        (row,) = one.averages()
        assert (row["loss"], row["actor/reward"]) == (2.0, 5.0)


def test_averages_in_the_making_are_resumed():
    whole, before, after = Recorder(2), Recorder(2), Recorder(2)
    for recorder in (whole, before):
        recorder.add(metrics(1.0, 2.0))
    for seed in range(2):
        after.load_state(seed, before.state(seed))
    for recorder in (whole, after):
        recorder.add(metrics(2.0, 5.0))
    assert [row["loss/critic"] for row in after.averages()] == [1.5, 3.5]
    assert after.averages() == whole.averages()


def test_a_run_keeps_its_own_clock_in_a_population_that_it_joins():
    slow, fast, joined = Recorder(1), Recorder(1), Recorder(2)
    slow.add_time(act=20.0)
    fast.add_time(act=10.0)
    for seed, before in enumerate((slow, fast)):
        joined.load_state(seed, before.state(0))
    joined.add_time(environment=1.0)
    joined.advance(2.0)
    assert [joined.state(seed)["total_seconds"] for seed in range(2)] == [23.0, 13.0]


def test_times_are_means_over_the_steps_of_an_interval_and_the_clock_goes_on():
    recorder = Recorder(1)
    recorder.add({"loss": torch.tensor([1.0])})
    for _ in range(4):
        recorder.add_time(act=0.001, environment=0.002, update=0.005)
    times = {"act_ms": 1.0, "environment_ms": 2.0, "update_ms": 5.0, "steps_per_second": 125.0}
    times = {f"time/{name}": value for name, value in times.items()}
    assert recorder.averages() == [pytest.approx({"loss": 1.0} | times)]
    recorder.clear()
    assert recorder.averages() == [dict.fromkeys(times, 0.0)] and recorder.clocks == [pytest.approx(0.032)]


def test_times_in_the_making_are_resumed():
    before, after = Recorder(1), Recorder(1)
    before.add_time(update=0.003)
    after.load_state(0, before.state(0))
    after.add_time(update=0.001)
    (row,) = after.averages()
    assert (row["time/update_ms"], row["time/steps_per_second"]) == pytest.approx((2.0, 500.0))


def test_averages_in_the_making_are_resumed_on_a_device():
    """A checkpoint is read on the CPU; the device here has shapes but no numbers."""
    before, after = Recorder(2), Recorder(2, "meta")
    before.add(metrics(1.0, 2.0))
    for seed in range(2):
        after.load_state(seed, before.state(seed))
    after.add({name: value.to("meta") for name, value in metrics(2.0, 5.0).items()})
