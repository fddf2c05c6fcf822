"""The grid: jobs run side by side, a failure stops nothing, Ctrl-C stops everything in good order."""

import io
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from reproduce.cli import main
from reproduce.lab.executors import Ended, Job
from reproduce.lab.executors.local import LocalProcesses
from reproduce.lab.grid import jobs, run_grid
from reproduce.lab.planning import Missing
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store

ROOT = Path(__file__).parents[2]


def missing(*seeds, algorithm="td3", task="Hopper", scale="smoke"):
    specs = tuple(RunSpec(algorithm=algorithm, task=task, seed=seed, scale=scale) for seed in seeds)
    return Missing(specs, (0,) * len(seeds), 600)


def job(group, command, runs_dir):
    (one,) = jobs([group], "cpu", [], runs_dir)
    return replace(one, command=command)


def script(text):
    return (sys.executable, "-c", textwrap.dedent(text))


def test_seeds_are_apart_on_a_cpu_and_first_seeds_come_first():
    work = jobs([missing(0, 1), missing(0, algorithm="sac")], "cpu", ["--no-track"], Path("runs"))
    assert [job.label for job in work] == [
        "TD3 on Hopper seed 0",
        "SAC on Hopper seed 0",
        "TD3 on Hopper seed 1",
    ]
    assert work[2].command[-4:] == ("1", "--device", "cpu", "--no-track")
    (population,) = jobs([missing(0, 1)], "cuda", [], Path("runs"))
    assert population.label == "TD3 on Hopper seed 0 1"


def test_a_failure_stops_no_other_and_is_named_at_the_end(tmp_path):
    done = script(f"import pathlib, time; time.sleep(0.2); pathlib.Path({str(tmp_path)!r}, 'done').touch()")
    broken = script("import sys; print('something is odd'); sys.exit(3)")
    runs = tmp_path / "runs"
    work = [job(missing(0), broken, runs), job(missing(1), done, runs)]
    console = Console(file=io.StringIO(), width=400)
    assert run_grid(work, LocalProcesses(), 1, runs, console) == 1
    assert (tmp_path / "done").exists()
    said = console.file.getvalue()
    assert "TD3 on Hopper seed 1: done" in said
    assert "failed: TD3 on Hopper seed 0: something is odd" in said
    (log,) = (tmp_path / "runs" / "logs").glob("*seed_0.log")
    assert log.read_text() == "something is odd\n"


def test_not_more_jobs_at_a_time_than_workers(tmp_path):
    write = """
        import pathlib, sys, time
        place = pathlib.Path(sys.argv[1])
        (place / sys.argv[2]).touch(); time.sleep(0.5)
        n = len(list(place.glob("*")))
        (place / sys.argv[2]).unlink()
        sys.exit(n > 2)
    """
    place = tmp_path / "active"
    place.mkdir()
    runs = tmp_path / "runs"
    work = [job(missing(seed), (*script(write), str(place), str(seed)), runs) for seed in range(4)]
    assert run_grid(work, LocalProcesses(), 2, runs, Console(quiet=True)) == 0


def test_stopping_lets_the_jobs_write_their_checkpoints(tmp_path):
    child = f"""
        import pathlib, signal, sys, time
        def stop(*_):
            pathlib.Path({str(tmp_path)!r}, "saved").touch()
            sys.exit(130)
        signal.signal(signal.SIGTERM, stop)
        pathlib.Path({str(tmp_path)!r}, "started").touch()
        time.sleep(60)
    """
    grid = f"""
        import sys
        from pathlib import Path
        from rich.console import Console
        from reproduce.lab.executors import Job
        from reproduce.lab.executors.local import LocalProcesses
        from reproduce.lab.grid import run_grid
        from reproduce.lab.specs import RunSpec
        spec = RunSpec(algorithm="td3", task="Hopper", seed=0, scale="smoke")
        command = (sys.executable, "-c", {textwrap.dedent(child)!r})
        runs = Path({str(tmp_path)!r})
        job = Job("a job", command, (spec,), runs / "logs" / "a.log")
        sys.exit(run_grid([job], LocalProcesses(), 1, runs, Console()))
    """
    process = subprocess.Popen(script(grid), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    while not (tmp_path / "started").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (tmp_path / "saved").exists()
    assert "the same command goes on from there" in " ".join(out.split())


def test_a_local_process_tells_how_it_ended(tmp_path):
    executor = LocalProcesses()

    def ended(handle):
        while (end := executor.poll(handle)) is None:
            time.sleep(0.02)
        return end

    def submit(text):
        return executor.submit(Job("a job", script(text), (), tmp_path / "log"))

    assert ended(submit("print('hello')")) == Ended(0)
    assert (tmp_path / "log").read_text() == "hello\n"
    odd = ended(submit("raise SystemExit(3)"))
    assert odd == Ended(3) and not odd.succeeded
    sleeping = submit("import time; time.sleep(60)")
    assert executor.poll(sleeping) is None
    executor.stop(sleeping)
    stopped = ended(sleeping)
    assert stopped == Ended(signal=signal.SIGTERM) and not stopped.succeeded
    assert str(stopped) == "killed by SIGTERM"
    executor.stop(sleeping)  # it has ended: nothing happens
    assert executor.poll(sleeping) == stopped


def test_the_grid_needs_no_more_than_an_executor(tmp_path):
    """Jobs of a place that is no process, such as a cluster: queued, killed there, looked at by handle."""

    class Elsewhere:
        asked: list[int] = []

        def submit(self, job):
            job.log.write_text("step 100\n")
            return job.specs[0].seed

        def poll(self, seed):
            self.asked.append(seed)
            late = self.asked.count(seed) > 1
            return (Ended(signal=9) if seed else Ended(0)) if late else None

        def stop(self, seed):
            raise AssertionError("nobody asked for it")

    console = Console(file=io.StringIO(), width=400)
    work = jobs([missing(0, 1)], "cpu", [], tmp_path)
    assert run_grid(work, Elsewhere(), 2, tmp_path, console) == 1
    said = console.file.getvalue()
    assert "TD3 on Hopper seed 0: done" in said
    assert "failed: TD3 on Hopper seed 1: killed by SIGKILL; step 100" in said


def test_the_command_trains_what_an_exhibit_misses(tmp_path, capsys, monkeypatch):
    """A real run, by the real command; what is stored is not trained again."""
    monkeypatch.setattr("reproduce.exhibits.catalogue.EXHIBITS", {"tiny": _Tiny()})
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert main(["grid", "tiny", "--scale", "smoke", "--workers", "1", "--no-track", *places]) == 0
    assert "td3 Hopper smoke seed 0" in next((tmp_path / "runs" / "logs").glob("*.log")).read_text()
    assert (tmp_path / "runs/td3/base/Hopper/smoke/seed-0/DONE").exists()
    assert "tiny at smoke scale: 0 of 1 runs stored" in capsys.readouterr().out


class _Tiny:
    name = title = "tiny"

    def needs(self, scale):
        return [RunSpec(algorithm="td3", task="Hopper", seed=0, scale=scale)]

    def read_out(self, spec):
        return 600


def test_no_worker_is_refused(tmp_path, capsys):
    assert main(["grid", "table1", "--workers", "0", "--store", str(tmp_path)]) == 2
    assert "at least 1, not 0" in capsys.readouterr().err


def test_a_failed_run_is_not_trained_again(tmp_path, make_run):
    from reproduce.lab.planning import missing_runs

    store = Store(tmp_path)
    reason = "loss/critic is not finite at step 6100"
    run = {"algorithm": "td3", "task": "Hopper", "scale": "smoke"}
    store.write(make_run({5000: 1.0}, status="failed", reason=reason, **run))
    assert missing_runs(dict.fromkeys(_Tiny().needs("smoke"), 600), store, "smoke") == []
    with pytest.raises(ValueError, match="nonsense"):
        missing_runs(dict.fromkeys(_Tiny().needs("smoke"), 600), store, "nonsense")
