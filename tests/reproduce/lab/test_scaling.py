"""Forecasts and the numbers of docs/scaling.md: arithmetic from recorded numbers."""

import json
import math
from dataclasses import replace

import pytest

from alm.training.run_directory import RunDirectory
from reproduce.cli import main
from reproduce.exhibits.documents import scaling
from reproduce.exhibits.documents.benchmarks import NOT_MEASURED, block, engines, failures
from reproduce.lab.costs import Costs, makespan
from reproduce.lab.jobs import resources_of
from reproduce.lab.missing import Missing
from reproduce.lab.provenance import cpu_name
from reproduce.lab.specs import RunSpec

ORIGIN = {
    "hardware": {"cpu": "a processor", "cores": 2, "system": "Linux"},
    "packages": {"torch": "2", "python": "3"},
    "git_dirty": False,
    "git_sha": "0" * 40,
}


def write(folder, name, results):
    (folder / f"{name}.json").write_text(json.dumps({"results": results, **ORIGIN}))


@pytest.fixture
def records(tmp_path):
    costs = {"alm": {"step_ms": 360.0, "gflop": 40.0}, "mbpo": {"step_ms": 36.0, "gflop": 1.0}}
    write(tmp_path, "environment_step", {"matrix_gigaflops": 30.0, "costs": {"paper": costs}})
    counted = {"paper": {"alm": 2000.0, "mbpo": 4000.0}}
    write(tmp_path, "kernels", {"simulator_ms": 0.5, "kernels": counted, "one_after_another": ["mbpo"]})
    return tmp_path


def missing(algorithm, seeds, scale="paper", reached=9000):
    """Runs that lack 1,000 steps each, but for the first."""
    specs = (RunSpec(algorithm=algorithm, task="HalfCheetah", seed=i, scale=scale) for i in range(seeds))
    return Missing(tuple(specs), (reached, *(9000,) * (seeds - 1)), 10_000)


def gpu_step(records, algorithm, seeds, scale="paper"):
    costs = Costs([], records)
    return costs.of(missing(algorithm, seeds, scale)).gpu_seconds / 1000


def test_a_step_on_a_gpu_takes_its_kernels_or_its_arithmetic(records, monkeypatch):
    monkeypatch.setattr("reproduce.lab.costs.KERNEL_SECONDS", 1e-6)
    monkeypatch.setattr("reproduce.lab.costs.GPU_GIGAFLOPS", 10_000.0)
    # 40 GFLOP take 4 ms, 2,000 kernels 2 ms; five seeds are five times the arithmetic.
    assert gpu_step(records, "alm", 1) == pytest.approx(0.0045)
    assert gpu_step(records, "alm", 5) == pytest.approx(0.0205)
    # Seeds one after another: 4 ms of kernels and the simulator, each.
    assert gpu_step(records, "mbpo", 5) == pytest.approx(5 * 0.0045)
    # A population trains until its last seed is there.
    costs = Costs([], records)
    assert costs.of(missing("alm", 5, reached=6000)).gpu_seconds == pytest.approx(4000 * 0.0205)
    assert math.isnan(gpu_step(records, "slbo", 1))
    assert math.isnan(gpu_step(records, "alm", 1, "laptop"))


def test_what_was_measured_on_a_gpu_takes_the_place_of_estimates(records):
    row = {"eager_ms": 9.0, "captured_ms": 3.0, "compiled_ms": 4.0}
    write(records, "gpu", {"rows": {"alm 5": row, "alm 10": row | {"captured_ms": 2.0}}})
    assert gpu_step(records, "alm", 3) == pytest.approx(0.0035)
    # Of the ways in which a population was timed the fastest counts, and the smallest one large enough.
    assert gpu_step(records, "alm", 10) == pytest.approx(0.0025)
    for way in row:
        write(records, "gpu", {"rows": {"alm 5": row | {way: 1.0}}})
        assert gpu_step(records, "alm", 5) == pytest.approx(0.0015)
    # They are of the paper's sizes.
    assert math.isnan(gpu_step(records, "alm", 3, "laptop"))
    # Of so many seeds none was timed: 40 GFLOP each.
    assert gpu_step(records, "alm", 11) == pytest.approx(11 * 0.004 + 0.0005)


def test_jobs_start_on_the_first_worker_that_is_free():
    assert makespan([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert makespan([1.0, 1.0, 3.0], 2) == 4.0
    assert makespan([3.0, 1.0, 2.0], 3) == 3.0
    assert makespan([1.0, 2.0], 10) == makespan([1.0, 2.0], 10**15) == 2.0


ENGINES = {
    "local_job_ms": 20.0,
    "training_start_seconds": 3.0,
    "grid_ms": 1.0,
    "ray": {"task_ms": 1.0, "job_ms": 500.0, "jobs_an_hour": {"1": 1700.0, "2": 3240.0}},
    "waiting_seconds": 2.0,
    "mlflow": {"values_per_second": 1000.0, "values_per_line": 20.0},
    "store": {"write_ms": 5.0, "read_ms": 10.0},
}


def test_the_blocks_of_the_page_follow_the_records(records):
    page = "docs/scaling.md"
    assert block(records, "engines", engines) == scaling.blocks(records)[page, "limits"] == NOT_MEASURED
    write(records, "engines", ENGINES)
    blocks = scaling.blocks(records)
    programme, limits = blocks[page, "programme"], blocks[page, "limits"]
    row = "| jobs per hour on 2 simulated nodes, 2 s each | 3,240 (90% of the jobs' own time) |"
    assert row in block(records, "engines", engines)
    alm = next(line for line in programme.splitlines() if line.startswith("| ALM(3) |"))
    runs, steps, core_hours, _ = (cell.strip() for cell in alm.split("|")[2:6])
    # 0.36 s a step on every core.
    assert float(core_hours.replace(",", "")) == pytest.approx(100 * float(steps.replace(",", "")), rel=0.03)
    assert int(runs.replace(",", "")) > 100
    assert "| ALM(3), sizes of laptop scale | 25 |" in programme
    assert "No cost per step is recorded for ALM(3), sizes of laptop scale, " in programme
    assert ". Rows without an estimate (?) are left out" in programme
    rows = [line.split("|") for line in limits.splitlines() if line.startswith("| 1")]
    assert [row[1].strip() for row in rows] == ["1", "10", "100", "1,000"]
    hours = [float(row[2].strip(" h").replace(",", "")) for row in rows]
    assert hours[0] > hours[1] > hours[2] > hours[3]
    assert hours[0] == pytest.approx(10 * hours[1], rel=0.05)
    assert "Estimates" in limits and "Estimates" in programme


def test_failures_are_told_by_kind(records):
    assert block(records, "failures", failures) == NOT_MEASURED
    one = {"kills": 3, "runs": 3, "done": 3, "identical": 2, "lost_points": 1, "doubled_points": 0}
    write(records, "failures", {"nodes": 3, "killed": {"a node": {**one, "two_at_once": 0, "retries": 4}}})
    assert "| a node | 3 | 3 of 3 | 2 of 3 | 1 | 0 | 0 | 4 |" in block(records, "failures", failures)


def test_a_plan_says_how_long_it_takes_on_so_many_workers(records, capsys, monkeypatch):
    monkeypatch.setattr("reproduce.lab.costs.BENCHMARK", records / "environment_step.json")
    monkeypatch.setattr("reproduce.lab.costs.matrix_gigaflops", lambda: 30.0)
    monkeypatch.setattr("reproduce.lab.costs.KERNEL_SECONDS", 1e-6)
    where = ["--scale", "paper", "--store", str(records)]
    assert main(["plan", "figure7", *where, "--workers", "2"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    # Ten seeds of 300,000 steps of 0.36 s are 30 hours each; two populations of five take 20 ms of
    # arithmetic and 0.5 ms of the simulator a step.
    assert "On 2 cores: 150.0 hours, an estimate; 10 jobs, the longest 30.0 hours." in out
    assert "On 2 GPUs: 1.7 hours, an estimate; 2 jobs, the longest 1.7 hours." in out
    assert main(["plan", "figure7", *where]) == 0
    assert "On 2 cores" not in capsys.readouterr().out
    # Of seeds that were begun only the rest counts, and of no others.
    for variant in ("base", "no-kl"):
        spec = RunSpec(algorithm="alm", variant=variant, task="HalfCheetah", seed=0, scale="paper")
        RunDirectory(records / spec.relative_dir).checkpoints.save(200_000, {})
    assert main(["plan", "figure7", *where, "--workers", "2", "--runs-dir", str(records)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "On 2 cores: 130.0 hours, an estimate; 10 jobs, the longest 30.0 hours." in out
    assert main(["plan", "figure7", *where, "--workers", "0"]) == 2
    assert "at least 1, not 0" in capsys.readouterr().err


def test_hours_are_those_of_stored_runs_on_processors_of_this_kind(records, make_run, monkeypatch):
    """A second a step without evaluations, the median of this processor's runs, whatever the benchmark says;
    else the benchmark's.
    """
    monkeypatch.setattr("reproduce.lab.costs.BENCHMARK", records / "environment_step.json")
    monkeypatch.setattr("reproduce.lab.costs.matrix_gigaflops", lambda: 30.0)
    runs, here = [], cpu_name()
    for seed, algorithm, cpu, device, seconds in (
        (0, "alm", here, "cpu", 1.0),
        (1, "alm", here, "cpu", 0.9),
        (2, "alm", here, "cpu", 9.0),
        (3, "alm", here, "cuda", 90.0),
        (4, "alm", here, "cuda", 90.0),
        (5, "alm", here, "cuda", 90.0),
        (0, "mbpo", "another", "cpu", 1.0),
        (0, "slbo", "another", "cpu", 1.0),
    ):
        provenance = {"device": device, "population": 1, "hardware": {"cpu": cpu}}
        extra = {"time/evaluation_s": [1000.0, 2000.0]}
        run = make_run(
            {5000: 1.0, 10_000: 1.0}, algorithm=algorithm, seed=seed, extra=extra, provenance=provenance
        )
        run.evaluations["wall_seconds"] = seconds * run.evaluations["training_step"] + [1000.0, 3000.0]
        runs.append(run)
    costs = Costs(runs)
    alm, mbpo, slbo, sac = (costs.of(missing(name, 2)) for name in ("alm", "mbpo", "slbo", "sac"))
    assert (alm.seconds, alm.gigaflop) == pytest.approx((2000.0, 80_000.0))
    assert (mbpo.seconds, mbpo.gigaflop) == pytest.approx((72.0, 2000.0))
    assert slbo.seconds == pytest.approx(2000.0) and math.isnan(slbo.gigaflop)
    assert math.isnan(sac.seconds)


def test_a_variant_of_other_sizes_costs_what_runs_of_these_sizes_do(records, make_run):
    """`quarter` at paper scale is as large as ALM at laptop scale, and says nothing of ALM at paper scale."""
    runs = []
    for seed, variant, scale, seconds, peak in (
        (0, "base", "paper", 1.0, 4000.0),
        (0, "quarter", "paper", 0.02, 9000.0),
        (1, "quarter", "paper", 0.03, 1000.0),
        (0, "no-kl", "laptop", 0.04, 1000.0),
    ):
        run = make_run(
            {5000: 1.0, 10_000: 1.0},
            algorithm="alm",
            variant=variant,
            scale=scale,
            seed=seed,
            extra={"time/evaluation_s": [0.0, 0.0]},
            provenance={"device": "cpu", "population": 1, "hardware": {"cpu": cpu_name()}},
            final={"cost/peak_memory_bytes": peak},
        )
        run.evaluations["wall_seconds"] = seconds * run.evaluations["training_step"]
        runs.append(run)
    costs = Costs(runs, records)
    one = RunSpec(algorithm="alm", variant="base", task="HalfCheetah", seed=5, scale="paper")
    whole, quarter = (Missing((replace(one, variant=name),), (9000,), 10_000) for name in ("base", "quarter"))
    assert costs.of(whole).seconds == pytest.approx(1000.0)
    assert costs.of(quarter).seconds == pytest.approx(30.0)
    assert (costs.of(whole).gigaflop, costs.of(quarter).gigaflop) == pytest.approx(
        (40_000.0, math.nan), nan_ok=True
    )
    memory = [resources_of(one.specs, runs, 0.0).memory_bytes for one in (whole, quarter)]
    assert memory == [5000, 11_250]


def test_runs_of_another_precision_say_nothing_of_the_time(records, make_run):
    runs = []
    for variant, seconds in (("base+bf16", 0.01), ("no-kl[horizon=2]+bf16", 0.03), ("no-kl", 0.1)):
        run = make_run(
            {5000: 1.0, 10_000: 1.0},
            variant=variant,
            extra={"time/evaluation_s": [0.0, 0.0]},
            provenance={"device": "cpu", "population": 1, "hardware": {"cpu": cpu_name()}},
        )
        run.evaluations["wall_seconds"] = seconds * run.evaluations["training_step"]
        runs.append(run)
    one = RunSpec(algorithm="alm", variant="base", task="HalfCheetah", seed=5, scale="paper")
    for variant, seconds in (("base", 0.1), ("base+bf16", 0.02)):
        of = Missing((replace(one, variant=variant),), (9000,), 10_000)
        assert Costs(runs, records).of(of).seconds == pytest.approx(1000 * seconds)


def test_runs_with_compiled_updates_are_those_that_tell_the_time(records, make_run):
    runs, costs = [], []
    for seed, compiled, resumed, seconds in (
        (0, False, [], 1.0), (1, True, [False], 0.8), (2, True, [True], 0.2), (3, True, [], 0.4)
    ):  # fmt: skip
        run = make_run(
            {5000: 1.0, 10_000: 1.0},
            seed=seed,
            extra={"time/evaluation_s": [0.0, 0.0]},
            provenance={
                "device": "cpu", "population": 1, "hardware": {"cpu": cpu_name()},
                "execution": {"compiled": compiled},
                "resumed": [{"step": 7000, "execution": {"compiled": how}} for how in resumed],
            },
        )  # fmt: skip
        run.evaluations["wall_seconds"] = seconds * run.evaluations["training_step"]
        runs.append(run)
        of = Missing((replace(run.spec, seed=9),), (9000,), 10_000)
        costs.append(Costs(runs, records).of(of).seconds)
    assert costs == pytest.approx([1000.0, 900.0, 200.0, 300.0])


def test_no_time_is_counted_for_the_warm_up(make_run):
    """A run that ended soon after its warm-up says what one costs that goes on for long."""
    run = make_run(
        {6000: 1.0},
        algorithm="slbo",
        extra={"time/evaluation_s": [0.0]},
        provenance={"device": "cpu", "population": 1},
    )
    run.evaluations["wall_seconds"] = [100.0]  # of 1,000 training steps
    # At the first evaluation of this one nothing was trained yet.
    begun = replace(run, evaluations=run.evaluations.assign(step=5000, training_step=0))
    costs = Costs([begun, run])
    one = missing("slbo", 1).specs[0]
    for reached, wanted, steps in (
        ((0,), 105_000, 100_000),
        ((2000, 6000), 7000, 2000 + 1000),
        ((7000, 4000), 7000, 2000),
        ((0,), 4000, 0),
    ):
        of = Missing((one,) * len(reached), reached, wanted)
        assert costs.of(of).seconds == pytest.approx(steps / 10)
    assert math.isnan(Costs([begun]).of(missing("slbo", 1)).seconds)
