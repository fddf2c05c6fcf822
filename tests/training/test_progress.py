"""What a person sees while a run trains."""

import io
import time

from rich.console import Console

from alm.training.progress import BarReporter, LineReporter, reporter


def test_lines_where_nobody_watches():
    out = io.StringIO()
    report = reporter("alm Hopper", Console(file=out, width=60))
    assert isinstance(report, LineReporter)
    report.start(1000, 5000)
    time.sleep(0.05)
    report.step(1050)  # too soon for a line
    report.evaluation(1100, [123.4, None])
    lines = out.getvalue().splitlines()
    assert lines[0] == "alm Hopper: from step 1000 to 5000"
    assert len(lines) == 2
    assert lines[1].startswith("alm Hopper: step 1100/5000  ")
    assert lines[1].endswith("min  return 123 failed")
    rate = float(lines[1].split("  ")[1].removesuffix(" steps/s"))
    assert 500 < rate < 2100  # a hundred steps in a little over 0.05 s


def test_a_line_at_least_every_so_often():
    out = io.StringIO()
    report = LineReporter("t", Console(file=out), every_seconds=0.0)
    report.start(0, 10)
    report.step(1)
    report.step(2)
    assert len(out.getvalue().splitlines()) == 3


def test_a_bar_on_a_terminal():
    out = io.StringIO()
    report = reporter("alm Hopper", Console(file=out, force_terminal=True, width=140))
    assert isinstance(report, BarReporter)
    report.start(0, 5000)
    for step in (100, 1000, 2500):
        report.step(step)
        time.sleep(0.25)
    report.evaluation(2500, [77.0])
    report.message("seed 0 says hello")
    report.close()
    text = out.getvalue()
    assert "2500/5000" in text
    assert "steps/s" in text
    assert "return" in text
    assert "77" in text
    assert "seed 0 says hello" in text
