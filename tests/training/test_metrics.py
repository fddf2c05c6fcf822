"""Numbers that are not finite: found at once on a CPU, later but with their step on a device."""

import torch

from alm.training.metrics import Failure, FiniteCheck


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


def test_other_metrics_read_what_was_noted_before():
    check = FiniteCheck("cuda")
    assert check.note(metrics(float("nan"), 1.0), 1) == []
    assert check.note({**metrics(1.0, 1.0), "loss/actor": torch.zeros(2)}, 2) == [
        Failure(0, "loss/critic", 1)
    ]
    assert check.read() == []
