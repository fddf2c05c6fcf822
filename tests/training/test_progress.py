"""What a person sees while a run trains, on a clock that the tests set."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from alm.training import progress
from alm.training.progress import BarReporter, LineReporter, reporter


@pytest.fixture
def clock(monkeypatch):
    """Seconds, as `now`, which a test moves on."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_lines_where_nobody_watches(clock):
    out = io.StringIO()
    report = reporter("alm Hopper", Console(file=out, width=60))
    assert isinstance(report, LineReporter)
    report.start(1000, 5000, 500)
    clock.now += 0.5
    report.step(1050)  # too soon for a line
    clock.now += 0.5
    report.evaluation(1100, [123.4, None])
    assert out.getvalue().splitlines() == [
        "alm Hopper: resumes at step 1,000 of 5,000",
        "alm Hopper: step 1100/5000  100.0 steps/s  eta 1 min  return 123 failed",
    ]


def test_a_line_at_least_every_so_often(clock):
    out = io.StringIO()
    report = LineReporter("t", Console(file=out), every_seconds=60.0)
    report.start(0, 10, 0)
    for step in (1, 2, 3):
        report.step(step)
        clock.now += 59.0
    assert len(out.getvalue().splitlines()) == 2


def test_the_speed_of_the_warm_up_says_nothing_about_the_time_left(clock):
    out = io.StringIO()
    report = LineReporter("t", Console(file=out))
    report.start(0, 6000, 1000)
    clock.now += 1.0
    report.evaluation(1000, [1.0])
    clock.now += 100.0
    report.evaluation(2000, [2.0])
    start, random, learning = out.getvalue().splitlines()
    assert start == "t: from step 0 of 6,000"
    assert "1000.0 steps/s  eta –" in random
    assert "10.0 steps/s  eta 7 min" in learning


def test_a_bar_on_a_terminal(clock):
    out = io.StringIO()
    report = reporter("alm Hopper", Console(file=out, force_terminal=True, width=140))
    assert isinstance(report, BarReporter)
    report.start(10, 5000, 1000)
    for step in range(20, 2500):
        clock.now += 0.1
        report.step(step)
        if step in (999, 1000):
            (task,) = report._progress.tasks
            assert task.fields["learning"] == (step == 1000)
            assert (report._progress.columns[6].render(task).plain == "-:--:--") or step == 1000
    report.evaluation(2500, [77.0])
    report.message("seed 0 says hello")
    report.close()
    text = out.getvalue()
    for part in ("resumes at step 10 of 5,000", "2500/5000", "return", "77", "seed 0 says hello"):
        assert part in text
