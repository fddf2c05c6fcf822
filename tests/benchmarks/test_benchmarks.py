"""The benchmarks run, at tiny sizes; what they find is no test's business."""

import json
import runpy
import sys

import pytest
import torch

from alm.training.execution import Execution
from alm.training.scale import scale_named
from baselines.td3 import TD3Config
from benchmarks import denormals, gpu, independent, populations
from benchmarks.plain import PLAIN, plain_learner
from benchmarks.timing import milliseconds_by_operation, operations, write_record
from reproduce.exhibits.documents.benchmarks import denormals as denormal_rows
from reproduce.exhibits.documents.benchmarks import gpu as gpu_rows
from reproduce.exhibits.documents.benchmarks import population_gains as gain_rows
from reproduce.exhibits.documents.benchmarks import populations as population_rows
from reproduce.exhibits.documents.benchmarks import sizes as size_rows


def test_the_gpu_benchmark_measures_what_it_would_on_a_device():
    assert {"alm", "sac", "td3", "redq", "sac-avg", "td3-ours", "sac-svg2", "sac-svg3", "svg"} == set(
        gpu.populations()
    )
    ways = {"eager": Execution(), "captured": Execution(), "compiled": Execution()}
    found = gpu.measure("td3", 2, "cpu", ways, scale="smoke", rounds=2)
    assert found["kernels"] > 50 and found["gflop"] > 0 and found["seed_updates_per_second"] > 0
    row = found | {"of_peak": 0.1, "over_plain": None}
    header, rows = gpu_rows({"results": {"rows": {"td3 2": row}}})
    assert len(header) == len(rows[0]) and rows[0][:2] == ["td3", "2"]


def test_a_record_says_of_its_benchmark_what_that_says_itself(tmp_path, monkeypatch):
    """No task that another benchmark measures on."""
    monkeypatch.setattr("benchmarks.timing.MEASURED", tmp_path)
    write_record("jobs", {"ms": 0.5})
    write_record("updates", {"ms": 2.0}, task="Ant", rounds=7)
    jobs, updates = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("jobs", "updates"))
    about = {"results", "packages", "hardware", "git_sha", "git_dirty"}
    assert (set(jobs), jobs["results"]) == (about, {"ms": 0.5})
    assert (set(updates), updates["task"], updates["rounds"]) == (about | {"task", "rounds"}, "Ant", 7)


def test_sac_of_a_library_is_recorded_as_it_goes_and_its_failure_is_said(monkeypatch):
    kept = []
    monkeypatch.setattr(independent, "write_record", lambda name, results, **about: kept.append(results))
    reports = independent.Reports()
    for report in ((1, "evaluation 5000 12.5\n"), (0, "evaluation 5000 7\n"), (0, 0), (1, 3)):
        reports.put(report)
    with pytest.raises(SystemExit, match="seed 1 ended with exit code 3"):
        independent.record("T-Ant", (0, 1), reports)
    # A seed without an evaluation is not in the record, which may be all that there will be.
    assert kept == [{"1": [(5000, 12.5)]}, {"0": [(5000, 7.0)], "1": [(5000, 12.5)]}]


_ASKED = [
    "alm_update",
    "baseline_updates",
    "denormals",
    "engines",
    "gpu",
    "independent",
    "populations",
    "sizes",
]


@pytest.mark.parametrize("name", _ASKED)
def test_who_asks_for_help_measures_nothing(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.delitem(sys.modules, f"benchmarks.{name}", raising=False)
    monkeypatch.setattr("benchmarks.timing.write_record", None)
    with pytest.raises(SystemExit) as stop:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    assert stop.value.code == 0 and "Measure" in capsys.readouterr().out


@pytest.mark.parametrize("name", PLAIN)
def test_plain_implementations_learn_from_the_same_replay(name):
    learn = plain_learner(name, "smoke")
    assert operations(lambda: learn(2)) > 50


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device: it would be measured")
def test_without_a_device_nothing_is_written(capsys):
    assert gpu.main() == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_operations_and_their_times():
    a = torch.ones(4, 4)
    assert operations(lambda: (a @ a).view(16) + 1) == 2
    taken = milliseconds_by_operation(lambda: (a @ a) + 1, rounds=2)
    assert set(taken) == {"mm", "add"} and all(ms >= 0 for ms in taken.values())


def test_populations_are_measured_with_and_without_kept_memory():
    found = populations.measure("td3", "smoke", 2, "given_back", updates=2)
    assert found["ms"] > 0 and found["pages"] >= 0
    assert populations.measure("td3", "smoke", 1, "plain", updates=2)["ms"] > 0
    costs = populations.seed_costs("td3", TD3Config.at(scale_named("smoke"), "HalfCheetah"), rounds=1)
    assert costs["saved"] == pytest.approx(1 - costs["together_ms"] / costs["alone_ms"])
    record = {"results": {"paper": {"sac": costs | {"saved": 0.15}, "alm": costs | {"saved": 0.14}}}}
    header, rows = gain_rows(record)
    assert [len(row) for row in rows] == [len(header)] * 2
    assert [row[-2:] for row in rows] == [["15%", "populations"], ["14%", "single seeds"]]
    row = {"algorithm": "td3", "hidden_size": 16, "batch_size": 8, "alone_ms": 12.0, "together_ms": 6.0}
    header, rows = size_rows({"task": "HalfCheetah", "results": {"rows": [row]}})
    assert header[-1] == "a seed of five, 50,000 steps"
    assert rows == [["td3", "16", "8", "12.0 ms", "6.0 ms", "10 min", "5 min"]]
    one = {"kept_ms": 2.0, "given_back_ms": 3.0, "given_back_over_kept": 1.5, "given_back_pages": 1234.0}
    one["plain_over_kept"] = 1.25
    header, rows = population_rows({"results": {"td3 smoke 1": one, "td3 smoke 5": one | {"kept_ms": 4.0}}})
    assert [len(row) for row in rows] == [len(header)] * 2
    assert rows[1] == ["td3, smoke scale", "5", "4.0 ms", "2.00 ×", "3.0 ms", "1.50 ×", "1,234", "1.25 ×"]


def test_updates_are_measured_with_denormals_rounded_and_kept():
    found = denormals.measure("svg", "smoke", transitions=300, updates=2, rounds=1)
    assert found["kept_over_rounded"] == pytest.approx(found["kept_ms"] / found["rounded_ms"])
    header, rows = denormal_rows({"results": {"svg": found}})
    assert len(rows[0]) == len(header) and rows[0][0] == "svg"
