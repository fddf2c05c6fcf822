"""The grid: jobs run side by side, a failure stops nothing, Ctrl-C stops everything in good order."""

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from alm.training.execution import Execution
from alm.training.lease import EXIT_HELD
from alm.training.run_directory import RunDirectory
from patience import PATIENCE, wait_for
from reproduce.cli import main
from reproduce.exhibits.coverage import missing_of
from reproduce.exhibits.kinds import Series
from reproduce.lab import costs
from reproduce.lab.algorithms import ALGORITHMS, run_length
from reproduce.lab.executors import Ended, Job, tied
from reproduce.lab.executors.local import LocalProcesses
from reproduce.lab.grid import _Grid, default_workers, run_grid
from reproduce.lab.jobs import jobs
from reproduce.lab.missing import Missing
from reproduce.lab.places import CODE
from reproduce.lab.resolved_runs import ResolvedRuns
from reproduce.lab.run_states import print_states, state_of
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store
from reproduce.lab.training import open_run


def missing(*seeds, algorithm="td3", task="Hopper", scale="smoke"):
    specs = tuple(RunSpec(algorithm=algorithm, task=task, seed=seed, scale=scale) for seed in seeds)
    return Missing(specs, (0,) * len(seeds), 600)


CELLS = [missing(*range(5), algorithm=name) for name in ("td3", "sac", "alm")]


def job(group, arguments, runs_dir):
    (one,) = jobs([group], "cpu", [], runs_dir, workers=1)
    return replace(one, arguments=arguments)


def script(text):
    return ("-c", textwrap.dedent(text))


def test_seeds_are_apart_on_a_cpu_and_first_seeds_come_first():
    groups = [missing(0, 1), missing(0, algorithm="sac")]
    work = jobs(groups, "cpu", ["--no-track"], Path("runs"), workers=2)
    assert [job.label for job in work] == [
        "TD3 on Hopper seed 0",
        "SAC on Hopper seed 0",
        "TD3 on Hopper seed 1",
    ]
    assert work[2].arguments[-4:] == ("1", "--device", "cpu", "--no-track")
    (population,) = jobs([missing(0, 1)], "cuda", [], Path("runs"), workers=1)
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
    header, *said = log.read_text().splitlines()
    assert header.startswith("== attempt 1, 20") and "sys.exit(3)" in log.read_text()
    assert said[-1] == "something is odd"


def test_a_log_that_someone_removed_stops_no_other(tmp_path):
    runs = tmp_path / "runs"
    broken = script(f"import shutil; shutil.rmtree({str(runs / 'logs')!r}); raise SystemExit(3)")
    console = Console(file=io.StringIO(), width=400)
    work = [job(missing(0), broken, runs), job(missing(1), script("pass"), runs)]
    assert run_grid(work, LocalProcesses(), 1, runs, console) == 1
    said = console.file.getvalue()
    assert "TD3 on Hopper seed 1: done" in said
    assert "failed: TD3 on Hopper seed 0: its log cannot be read: No such file" in said


def grid_of_one_slow_job(tmp_path, stops=True):
    """A process with a grid whose job has begun; asked to stop, it writes its checkpoint, or only says so."""
    child = f"""
        import pathlib, signal, sys, time
        place = pathlib.Path({str(tmp_path)!r})
        def stop(*_):
            if {stops}:
                (place / "saved").touch()
                sys.exit(130)
            if (place / "asked").exists():  # the second time
                sys.exit(130)
            (place / "asked").touch()
        signal.signal(signal.SIGTERM, stop)
        (place / "started").touch()
        time.sleep(60)
    """
    grid = f"""
        import signal, sys
        from pathlib import Path
        from rich.console import Console
        from reproduce.lab.executors import Job
        from reproduce.lab.executors.local import LocalProcesses
        from reproduce.lab.grid import run_grid
        from reproduce.lab.specs import RunSpec
        # It is ignored where tests were started in the background of a script.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        spec = RunSpec(algorithm="td3", task="Hopper", seed=0, scale="smoke")
        arguments = ("-c", {textwrap.dedent(child)!r})
        runs = Path({str(tmp_path)!r})
        job = Job("a job", arguments, (spec,), runs / "logs" / "a.log")
        sys.exit(run_grid([job], LocalProcesses(), 1, runs, Console()))
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, *script(grid)], cwd=CODE, **pipes)
    wait_for((tmp_path / "started").exists, process)
    return process


@pytest.mark.programs
def test_stopping_lets_the_jobs_write_their_checkpoints(tmp_path):
    process = grid_of_one_slow_job(tmp_path)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert (tmp_path / "saved").exists()
    assert "the same command goes on from there" in " ".join(out.split())


def test_a_local_process_tells_how_it_ended(tmp_path):
    executor = LocalProcesses()

    def ended(handle):
        return wait_for(lambda: executor.poll(handle))

    def submit(text):
        return executor.submit(Job("a job", script(text), (), tmp_path / "log"))

    (tmp_path / "log").write_text("before\n")
    assert ended(submit("print('hello')")) == Ended(0)
    # Ctrl-C at the terminal is for the grid, which asks its jobs once.
    assert ended(submit("import os; print(os.getsid(0) == os.getpid())")) == Ended(0)
    assert (tmp_path / "log").read_text() == "before\nhello\nTrue\n"
    odd = ended(submit("raise SystemExit(3)"))
    assert odd == Ended(3) and not odd.succeeded
    sleeping = submit("import time; time.sleep(60)")
    assert executor.poll(sleeping) is None
    executor.stop(sleeping)
    stopped = ended(sleeping)
    assert stopped == Ended(-signal.SIGTERM) and not stopped.succeeded
    assert str(stopped) == "killed by SIGTERM"
    executor.stop(sleeping)  # it has ended: nothing happens
    assert executor.poll(sleeping) == stopped


def test_a_process_whose_parent_has_ended_already_does_not_begin():
    command = [sys.executable, tied.__file__, "0", *script("print('ran')")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")


def test_the_grid_needs_no_more_than_an_executor(tmp_path):
    """Jobs of a place that is no process, such as a cluster: queued, killed there, looked at by handle."""

    class Elsewhere:
        asked: list[int] = []

        def submit(self, job):
            with job.log.open("a") as log:
                log.write("step 100\n")
            return job.specs[0].seed

        def poll(self, seed):
            self.asked.append(seed)
            late = self.asked.count(seed) > 1
            return (Ended(3) if seed else Ended(0)) if late else None

        def stop(self, seed):
            raise AssertionError("nobody asked for it")

    console = Console(file=io.StringIO(), width=400)
    work = jobs([missing(0, 1)], "cpu", [], tmp_path, workers=2)
    assert run_grid(work, Elsewhere(), 2, tmp_path, console) == 1
    said = console.file.getvalue()
    assert "TD3 on Hopper seed 0: done" in said
    assert "failed: TD3 on Hopper seed 1: step 100" in said


class Scripted:
    """An executor whose jobs end as they are told: by seed, one end an attempt; None lets it run for ever."""

    def __init__(self, ends):
        self.ends, self.begun = {seed: list(of) for seed, of in ends.items()}, []

    def submit(self, job):
        self.begun.append(job.specs[0].seed)
        with job.log.open("a") as log:
            log.write(f"attempt of seed {self.begun[-1]}\n")
        return self.ends[self.begun[-1]].pop(0)

    def poll(self, end):
        return end

    def stop(self, end):
        pass


@pytest.fixture
def quick(monkeypatch):
    """Looks at jobs and leases follow one another without a pause."""
    monkeypatch.setattr("reproduce.lab.grid._POLL_SECONDS", 0.01)
    monkeypatch.setattr("reproduce.lab.grid._HELD_SECONDS", 0.02)


def run(work, executor, runs_dir, workers=1, width=400):
    console = Console(file=io.StringIO(), width=width, markup=False)
    return run_grid(work, executor, workers, runs_dir, console), console.file.getvalue()


def test_a_job_that_was_killed_or_lost_is_tried_again_twice(tmp_path, quick):
    killed, lost = Ended(-9), Ended(None)
    executor = Scripted({0: [killed, lost, Ended(0)], 1: [killed, killed, killed], 2: [Ended(1)]})
    work = jobs([missing(0, 1, 2)], "cpu", [], tmp_path, workers=1)
    code, said = run(work, executor, tmp_path)
    assert code == 1
    assert executor.begun == [0, 1, 2, 0, 1, 0, 1]  # again after the others
    assert "seed 0: killed by SIGKILL, is tried again (1 of 2)" in said
    assert "seed 0: lost, is tried again (2 of 2)" in said
    assert "seed 0: done" in said
    assert "failed: TD3 on Hopper seed 1: killed by SIGKILL, 3 times; attempt of seed 1" in said
    assert "failed: TD3 on Hopper seed 2: attempt of seed 2" in said  # by its own program: not again
    log = next((tmp_path / "logs").glob("*seed_1.log")).read_text()
    assert [f"== attempt {n}" in log for n in (1, 2, 3, 4)] == [True, True, True, False]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_as_many_jobs_at_a_time_as_workers(tmp_path, quick, workers):
    class Slow(Scripted):
        """Jobs that go on while they are looked at twice."""

        looks, running, most = {}, set(), 0

        def submit(self, job):
            seed = job.specs[0].seed
            self.looks[seed] = 0
            self.running.add(seed)
            self.most = max(self.most, len(self.running))
            return seed

        def poll(self, seed):
            self.looks[seed] += 1
            if self.looks[seed] < 3:
                return None
            self.running.discard(seed)
            return Ended(0)

    executor = Slow({})
    code, _ = run(jobs([missing(*range(5))], "cpu", [], tmp_path, workers=1), executor, tmp_path, workers)
    assert code == 0 and len(executor.looks) == 5 and executor.most == workers


def test_jobs_are_asked_to_stop_where_the_grid_cannot_go_on(tmp_path, quick):
    class Unreachable(Scripted):
        stopped = []

        def poll(self, end):
            raise ConnectionError("the cluster is gone")

        def stop(self, end):
            self.stopped.append(end)

    executor = Unreachable({0: [Ended(0)]})
    with pytest.raises(ConnectionError):
        run(jobs([missing(0)], "cpu", [], tmp_path, workers=1), executor, tmp_path)
    assert executor.stopped == [Ended(0)]


def test_by_default_there_is_a_job_a_core_or_one_on_a_gpu(monkeypatch):
    monkeypatch.setattr("psutil.cpu_count", lambda logical: 8 if logical else 4)
    assert (default_workers("cpu"), default_workers("cuda")) == (4, 1)


HOLDER = """
    import sys
    from pathlib import Path
    from alm.training.run_directory import RunDirectory
    directory = RunDirectory(Path(sys.argv[1]))
    directory.open()
    print("holds", flush=True)
    if sys.stdin.readline() == "done\\n":
        directory.write_json("config.json", {})
        directory.write_json("DONE", {})
    directory.close()
"""


def hold(run_dir):
    """A process that trains a run until it is told how to end."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, *script(HOLDER), str(run_dir)], cwd=CODE, **pipes)
    assert process.stdout.readline() == "holds\n"
    return process


@pytest.mark.parametrize("ending", ["done", "stopped"])
def test_a_run_that_another_process_trains_is_waited_for_while_others_train(tmp_path, quick, ending):
    held, free = missing(0, 1).specs
    other = hold(tmp_path / held.relative_dir)

    class Releasing(Scripted):
        def poll(self, end):
            if self.begun == [1]:  # the free one has begun: only now the other process ends
                other.communicate(f"{ending}\n", timeout=PATIENCE)
            return end

    work = jobs([missing(0, 1)], "cpu", [], tmp_path, workers=1)
    old = work[0].log
    old.parent.mkdir()
    old.write_text("what an earlier grid wrote\n")
    executor = Releasing({0: [Ended(0)], 1: [Ended(0)]})
    code, said = run(work, executor, tmp_path)
    assert code == 0
    assert executor.begun == [1, 0]
    assert f"waiting for TD3 on Hopper seed 0, which process {other.pid} on" in said
    assert old.read_text().startswith("what an earlier grid wrote\n== attempt 1")


def test_a_job_that_found_its_run_held_is_no_failure(tmp_path, quick):
    executor = Scripted({0: [Ended(EXIT_HELD)] * 5 + [Ended(0)]})
    code, said = run(jobs([missing(0)], "cpu", [], tmp_path, workers=1), executor, tmp_path)
    assert code == 0 and len(executor.begun) == 6 and "seed 0: done" in said


@pytest.mark.programs
def test_of_two_seeds_one_of_which_is_held_the_other_trains(tmp_path, capsys):
    specs = missing(0, 1).specs
    where = tmp_path / specs[0].relative_dir
    other = hold(where)
    options = ["--algorithm", "td3", "--task", "Hopper", "--scale", "smoke", "--no-track"]
    command = ["train", *options, "--seeds", "0", "1", "--runs-dir", str(tmp_path), "--store", str(tmp_path)]
    assert main(command) == EXIT_HELD
    error = capsys.readouterr().err
    assert f"error: run {where} is being trained by process {other.pid} on" in error
    states = [state_of(spec, tmp_path).status for spec in specs]
    assert states == ["running", "done"]
    other.communicate("stopped\n", timeout=PATIENCE)
    assert main(command) == 0
    assert [state_of(spec, tmp_path).status for spec in specs] == ["done", "done"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_a_job_that_gets_further_each_time_is_tried_again_for_ever(tmp_path, quick):
    """Preempted five times, each time behind another checkpoint; then thrice without."""
    killed = Ended(-15)
    executor = Scripted({0: [killed] * 8})
    work = jobs([missing(0)], "cpu", [], tmp_path, workers=1)
    folder = tmp_path / work[0].specs[0].relative_dir / "checkpoints"
    folder.mkdir(parents=True)
    usual = executor.submit

    def submit(job):
        tries = len(executor.begun) + 1
        (folder / f"step-{100 * min(tries, 5):09d}.pt").touch()
        return usual(job)

    executor.submit = submit
    code, said = run(work, executor, tmp_path)
    assert code == 1 and len(executor.begun) == 8
    assert said.count("is tried again (it had got further)") == 5
    assert said.count("is tried again (1 of 2)") == said.count("is tried again (2 of 2)") == 1


def test_workers_of_a_grid_that_was_killed_write_their_checkpoints_and_end(tmp_path):
    process = grid_of_one_slow_job(tmp_path)
    process.kill()
    wait_for((tmp_path / "saved").exists)
    process.communicate(timeout=PATIENCE)


def test_a_second_request_to_stop_ends_at_once_without_a_traceback(tmp_path):
    process = grid_of_one_slow_job(tmp_path, stops=False)
    process.send_signal(signal.SIGINT)
    wait_for((tmp_path / "asked").exists)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "stopped at once" in out and "Traceback" not in out + error


def test_what_an_operator_sees_on_a_terminal_fits_in_80_columns(tmp_path, quick, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "node-17.example.org")
    spec = replace(missing(0).specs[0], variant="base[horizon=7,hidden_sizes=(400,200)]")
    group = replace(missing(0), specs=(spec,))
    directory = RunDirectory(tmp_path / spec.relative_dir)
    directory.open()
    directory.start_metrics(0)
    for step in (100, 200, 300):
        directory.append_metrics(step, step, step / 20, metrics={"eval/return": 12.4}, returns=[12.4])

    class Ending(Scripted):
        def poll(self, end):
            directory.close()
            return end

    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system=None, markup=False)
    states = [state_of(spec, tmp_path, 600)]
    print_states(states, console)
    shown = file.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    words = " ".join(shown.split())
    assert "steps/s" in words and "300/600 20 1 min 12" in words and f"node-17:{os.getpid()}" in words
    assert "1 running" in words
    assert "horizon=7" in words
    # On a terminal the grid shows the same of the runs of its jobs.
    work = jobs([group], "cpu", [], tmp_path, workers=1)
    grid = _Grid(work, Ending({0: [Ended(0)]}), 1, tmp_path, console)
    directory.close()
    file.truncate(0)
    assert grid.run() == 0
    words = " ".join(file.getvalue().split())
    assert "0 jobs in the queue; 1 done" in words


def test_a_grid_without_a_terminal_reports_in_plain_lines(tmp_path, quick, monkeypatch):
    monkeypatch.setattr("reproduce.lab.grid._REPORT_SECONDS", 0.0)
    killed = Ended(-9)
    work = jobs([missing(0, 1)], "cpu", [], tmp_path, workers=1)
    code, said = run(work, Scripted({0: [killed, Ended(0)], 1: [Ended(0)]}), tmp_path)
    assert code == 0 and "\x1b" not in said
    assert "1 job in the queue; 2 waiting; 0 of 1200 steps" in said
    assert "  td3/base Hopper smoke seed 0: waiting  step 0/600" in said
    assert "1 tried again" in said and "0 jobs in the queue; 2 done; 1 tried again" in said


def test_states_are_read_from_run_directories_alone(tmp_path, capsys, monkeypatch):
    """As another machine would: no grid, no executor, no process of this one."""
    resolved = ResolvedRuns.of("td3", "base", "Hopper", range(5), "laptop")
    open_, stale, unfinished, failed, done = (
        open_run(resolved, spec, tmp_path, Execution()) for spec in resolved.specs
    )
    for directory in (open_, stale, unfinished, failed, done):
        directory.start_metrics(0)
        for step in (1000, 2000):
            metrics = {"eval/return": 1.5 * step}
            directory.append_metrics(step, step, step / 50, metrics=metrics, returns=[1.5 * step])
    failed.write_json("FAILED", {"reason": "loss/actor is not finite", "step": 2001})
    done.write_json("DONE", {})
    for directory in (unfinished, failed, done):
        directory.close()
    monkeypatch.setattr("alm.training.lease._machine", lambda: "another one")
    (lease,) = stale.path.glob("lease.*")
    os.utime(lease, (time.time() - 100,) * 2)
    assert main(["grid", "--status", "--runs-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    here = f"process {os.getpid()} on {os.uname().nodename}"
    label = "td3/base Hopper laptop seed"
    assert lines == [
        f"{label} 0: running  {here}  step 2k/50k  50 steps/s  eta 16 min  return 3000",
        f"{label} 1: stale  {here}  step 2k/50k  return 3000",
        f"{label} 2: unfinished  step 2k/50k  return 3000",
        f"{label} 3: failed  loss/actor is not finite at step 2001  step 2k/50k  return 3000",
        f"{label} 4: done  step 2k/50k  return 3000",
        "1 running, 1 stale, 1 unfinished, 1 failed, 1 done",
    ]
    for directory in (open_, stale):
        directory.close()


def begun(root, lines, total_steps=600):
    """A directory, still held, of a run of so many steps with lines of metrics: (step, seconds)."""
    (spec,) = missing(0).specs
    directory = RunDirectory(root / spec.relative_dir)
    directory.open()
    directory.write_json("config.json", {"config": {"training": {"total_steps": total_steps}}})
    directory.start_metrics(0)
    for step, seconds in lines:
        directory.append_metrics(step, step, seconds, metrics={})
    return directory


@pytest.mark.parametrize("edited", ["x", None, -7, 400.5])
def test_a_run_whose_number_of_steps_was_edited_ends_where_its_scale_says(tmp_path, edited):
    begun(tmp_path, [], total_steps=edited).close()
    assert state_of(missing(0).specs[0], tmp_path).wanted == 600


@pytest.mark.parametrize(("until", "wanted"), [(None, 400), (300, 300), (500, 400)])
def test_a_run_ends_where_its_configuration_says_or_before(tmp_path, until, wanted):
    begun(tmp_path, [], total_steps=400).close()
    assert state_of(missing(0).specs[0], tmp_path, until).wanted == wanted


@pytest.mark.parametrize(
    ("lines", "speed", "eta"),
    [
        # Ten lines in nine seconds, whatever was before.
        ([(1, 0.0), *((100 * i, 1000.0 + i) for i in range(1, 11))], "100 steps/s", "eta 2 min"),
        ([(500, 0.0), (4000, 3500.0)], "1 steps/s", "eta 2 h 05"),
        # Metrics and an evaluation of the same step.
        ([(100, 1.0), (100, 3.0)], "0 steps/s", ""),
    ],
)
def test_the_time_to_the_end_follows_the_speed_of_the_last_lines(tmp_path, capsys, lines, speed, eta):
    directory = begun(tmp_path, lines, total_steps=11_500)
    print_states([state_of(missing(0).specs[0], tmp_path)], Console(width=200))
    line, _ = capsys.readouterr().out.splitlines()
    assert line.endswith(f"  {speed}  {eta}" if eta else f"  {speed}")
    directory.close()


def test_a_run_that_is_done_is_done_though_its_process_still_holds_it(tmp_path):
    directory = begun(tmp_path, [])
    directory.write_json("DONE", {})
    assert state_of(missing(0).specs[0], tmp_path).status == "done"
    directory.close()


def no_line_of_a_run(path):
    (path / "metrics.jsonl").write_text('{"step": 7, "metrics": {}, "returns": [1.0]}\n' * 2)


def no_number_as_a_return(path):
    line = {"step": 0, "wall_seconds": 1, "metrics": {"eval/return": "x"}, "returns": [1.0]}
    (path / "metrics.jsonl").write_text(json.dumps(line) + "\n")


def metrics_that_are_a_folder(path):
    (path / "metrics.jsonl").mkdir()


def a_failure_that_is_a_folder(path):
    (path / "FAILED").mkdir()


def a_lease_that_is_a_folder(path):
    (path / "lease.00").mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        no_line_of_a_run,
        no_number_as_a_return,
        metrics_that_are_a_folder,
        a_failure_that_is_a_folder,
        a_lease_that_is_a_folder,
    ],
)
def test_the_status_of_a_damaged_run_stops_no_look_at_others(tmp_path, capsys, damage):
    resolved = ResolvedRuns.of("td3", "base", "Hopper", (0, 1), "laptop")
    runs = [open_run(resolved, spec, tmp_path, Execution()) for spec in resolved.specs]
    for run in runs:
        run.close()
    damage(runs[0].path)
    assert main(["grid", "--status", "--runs-dir", str(tmp_path)]) == 0
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.startswith("td3/base Hopper laptop seed 0: ") and "step 0/50k" in first
    assert second == "td3/base Hopper laptop seed 1: unfinished  step 0/50k"


def test_the_status_of_named_exhibits_is_of_what_they_miss(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("reproduce.exhibits.catalogue.EXHIBITS", {"tiny": _Tiny()})
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert main(["grid", "tiny", "--scale", "smoke", "--status", *places]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == ["td3/base Hopper smoke seed 0: waiting  step 0/600", "1 waiting"]
    assert not (tmp_path / "runs").exists()


def test_a_run_that_ended_and_was_not_stored_is_stored_by_the_grid(tmp_path, monkeypatch):
    monkeypatch.setattr("reproduce.exhibits.catalogue.EXHIBITS", {"tiny": _Tiny()})
    resolved = ResolvedRuns.of("td3", "base", "Hopper", (0,), "laptop")
    directory = open_run(resolved, resolved.specs[0], tmp_path / "runs", Execution())
    directory.start_metrics(0)
    values = {"eval/return": 10.0, "eval/return_std": 1.0, "eval/length": 5.0}
    directory.append_metrics(50_000, 50_000, 60.0, metrics=values, returns=[9.0, 11.0], population=1)
    directory.write_json("DONE", {"finished_ms": 7, "peak_memory_bytes": 9})
    directory.close()
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert main(["grid", "tiny", "--scale", "laptop", "--no-track", *places]) == 0
    (stored,) = Store(tmp_path / "store").runs()
    assert (stored.status, stored.last_step) == ("done", 50_000)


def test_a_run_that_failed_is_told_with_its_reason(tmp_path, quick):
    (spec,) = missing(0).specs
    directory = RunDirectory(tmp_path / spec.relative_dir)
    directory.write_json("config.json", {})
    directory.write_json("FAILED", {"reason": "loss/actor is not finite", "step": 101})
    code, said = run(jobs([missing(0)], "cpu", [], tmp_path, workers=1), Scripted({0: [Ended(1)]}), tmp_path)
    terminal = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    print_states([state_of(spec, tmp_path)], terminal)
    assert "failed loss/actor is not finite at step 101" in terminal.file.getvalue()
    assert code == 1
    assert "failed: TD3 on Hopper seed 0: seed 0 failed (loss/actor is not finite at step 101)" in said


@pytest.mark.parametrize(
    ("workers", "cells", "shares"),
    [
        (1, 1, [5]),
        (1, 2, [5, 5]),
        (2, 1, [2, 3]),
        (2, 3, [5, 5, 5]),
        (3, 2, [2, 2, 3, 3]),
        (5, 1, [1] * 5),
        (64, 2, [1] * 10),
    ],
)
def test_populations_on_a_cpu_where_they_are_faster_and_every_worker_has_one(
    monkeypatch, workers, cells, shares
):
    monkeypatch.setattr("reproduce.lab.jobs.populations_pay", lambda *_: True)
    work = jobs(CELLS[:cells], "cpu", [], Path("runs"), workers)
    assert sorted(len(job.specs) for job in work) == shares
    assert len({spec for job in work for spec in job.specs}) == 5 * cells
    firsts = [job.specs[0].seed for job in work]
    assert firsts == sorted(firsts)
    monkeypatch.setattr("reproduce.lab.jobs.populations_pay", lambda *_: False)
    work = jobs(CELLS[:cells], "cpu", [], Path("runs"), workers)
    assert [len(job.specs) for job in work] == [1] * (5 * cells)


def test_the_recorded_benchmark_says_where_populations_are_faster(tmp_path, monkeypatch):
    def pays(algorithm, scale, variant="base"):
        spec = RunSpec(algorithm=algorithm, variant=variant, task="HalfCheetah", seed=0, scale=scale)
        return costs.populations_pay(spec)

    record = json.loads(costs.POPULATION_GAINS.read_text())["results"]
    for scale in ("paper", "laptop"):
        assert {"sac", "td3", "svg"} <= set(record[scale]) <= set(ALGORITHMS) - {"mbpo", "slbo"}
        for algorithm in ALGORITHMS:
            saved = record[scale].get(algorithm, {"saved": 0.0})["saved"]
            assert pays(algorithm, scale) == (saved >= costs.POPULATION_MARGIN)
    other = tmp_path / "gains.json"
    monkeypatch.setattr(costs, "POPULATION_GAINS", other)
    assert not pays("sac", "paper")
    for saved, expected in ((costs.POPULATION_MARGIN, True), (costs.POPULATION_MARGIN - 0.01, False)):
        other.write_text(json.dumps({"results": {"paper": {"sac": {"saved": saved}}}}))
        assert pays("sac", "paper") == expected
        assert not pays("sac", "laptop")
    # A variant of laptop's sizes counts as a run of that scale.
    other.write_text(json.dumps({"results": {"laptop": {"alm": {"saved": 1.0}}}}))
    assert pays("alm", "paper", "quarter") and not pays("alm", "paper", "no-kl")


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
    series = (Series("TD3", "td3"),)

    def __init__(self, read_out=None):
        self.read_out = read_out

    def needs(self, scale):
        spec = RunSpec(algorithm="td3", task="Hopper", seed=0, scale=scale)
        return {spec: self.read_out or run_length(spec)}


def test_no_worker_is_refused(tmp_path, capsys):
    assert main(["grid", "table1", "--workers", "0", "--store", str(tmp_path)]) == 2
    assert "at least 1, not 0" in capsys.readouterr().err


def test_a_failed_run_is_not_trained_again(tmp_path, make_run):
    store = Store(tmp_path)
    reason = "loss/critic is not finite at step 6100"
    run = {"algorithm": "td3", "task": "Hopper", "scale": "smoke"}
    store.write(make_run({5000: 1.0}, status="failed", reason=reason, **run))
    assert missing_of([_Tiny(600)], store.runs(), "smoke") == []
    with pytest.raises(ValueError, match="nonsense"):
        missing_of([_Tiny(600)], store.runs(), "nonsense")


def test_steps_to_go_are_counted_from_checkpoints(tmp_path, make_run):
    """A stored part of a run saves nothing: training begins anew without a checkpoint."""
    store, (spec, *_) = Store(tmp_path / "store"), _Tiny().needs("smoke")
    store.write(make_run({500: 1.0}, status="partial", algorithm="td3", task="Hopper", scale="smoke"))
    (group,) = missing_of([_Tiny(600)], store.runs(), "smoke", runs_dir=tmp_path / "runs")
    assert (group.reached, group.steps) == ((0,), 600)
    for step in (200, 300):
        RunDirectory(tmp_path / "runs" / spec.relative_dir).checkpoints.save(step, {"anything": 1})
    (group,) = missing_of([_Tiny(600)], store.runs(), "smoke", runs_dir=tmp_path / "runs")
    assert (group.reached, group.steps) == ((300,), 300)
    # What has reached the step is only not stored yet.
    (group,) = missing_of([_Tiny(200)], [], "smoke", runs_dir=tmp_path / "runs")
    assert (group.reached, group.steps) == ((200,), 0)
