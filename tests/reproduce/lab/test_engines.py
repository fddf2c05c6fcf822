"""Engines: the same results wherever jobs run, refusals in one sentence, a worker and its process."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import submitit
from rich.console import Console

from alm.errors import UserError
from benchmarks import failures
from benchmarks.clusters import ray_nodes
from patience import PATIENCE, wait_for
from reproduce.cli import main
from reproduce.lab.executors import Ended, Job, Resources
from reproduce.lab.executors.choosing import Engine
from reproduce.lab.executors.ray import _carry_out
from reproduce.lab.executors.remote import Worker, add_to_log, marked
from reproduce.lab.executors.slurm import SlurmJobs
from reproduce.lab.grid import run_grid
from reproduce.lab.jobs import resources_of
from reproduce.lab.missing import Missing
from reproduce.lab.places import CODE
from reproduce.lab.provenance import Code

pytestmark = pytest.mark.programs

SEEDS = (0, 1)


def script(text):
    return ("-c", textwrap.dedent(text))


def a_job(folder, arguments, **changes):
    log = folder / "logs" / "a.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    return Job("a job", arguments, (), log, **changes)


def ended(executor, handle):
    wait_for(lambda: executor.poll(handle) is not None)
    return executor.poll(handle)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Results of two smoke runs by processes of this machine."""
    runs = tmp_path_factory.mktemp("local") / "runs"
    assert failures.grid(runs, SEEDS, None) == 0
    found = failures.results(runs, SEEDS)
    assert sorted(found) == list(SEEDS) and all(len(lines) > 5 for lines in found.values())
    return found


# --- what a command asks for ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--address", "auto"], "--address has no meaning with --on local"),
        (["--on", "slurm", "--address", "auto"], "--address has no meaning with --on slurm"),
        (["--on", "ray", "--partition", "gpu"], "--partition has no meaning with --on ray"),
        (["--hours", "4"], "--hours has no meaning with --on local"),
        (["--on", "ray", "--per-gpu", "3"], "--per-gpu has no meaning with --device cpu"),
        (["--on", "slurm", "--per-gpu", "3", "--device", "cuda"], "--per-gpu has no meaning with --on slurm"),
        (["--on", "ray", "--per-gpu", "0", "--device", "cuda"], "at least 1, not 0"),
        (["--on", "ray", "--device", "cuda:1"], "which chooses the GPU"),
        (["--on", "slurm", "--hours", "0"], "above 0 and finite, not 0"),
        (["--on", "slurm", "--hours", "inf"], "above 0 and finite, not inf"),
        (["--on", "slurm", "--hours", "0.08"], "--hours 0.08 leaves a job no time"),
        (["--on", "mars"], "Jobs run on local, ray or slurm, not on 'mars'"),
        (["--on", "slurm"], "there is no SLURM on this machine"),
        (["--on", "ray", "--address", "127.0.0.1:1"], "no Ray cluster answers at 127.0.0.1:1"),
        (["--on", "ray", "--address", "ray://head:1"], "auto or HOST:PORT, not 'ray://head:1'"),
        (["--on", "ray", "--address", "head:99999"], "auto or HOST:PORT, not 'head:99999'"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(tmp_path, capsys, monkeypatch, options, words):
    monkeypatch.setenv("PATH", str(tmp_path))  # no srun, whatever machine this is
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert main(["grid", "figure7", "--scale", "smoke", *places, *options]) == 2
    said = capsys.readouterr().err
    assert words in said and said.startswith("error: ") and said.count("\n") == 1


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_extra_names_the_command_that_installs_it(tmp_path, capsys, monkeypatch, engine, package):
    monkeypatch.setitem(sys.modules, package, None)
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert main(["grid", "figure7", "--scale", "smoke", "--on", engine, *places]) == 2
    assert f"pip install -c constraints.txt -e '.[{engine}]'" in capsys.readouterr().err


def test_slurm_is_told_what_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("reproduce.lab.executors.slurm.SlurmJobs", lambda *told: told)
    folder = tmp_path / "logs" / "slurm"
    assert Engine("slurm", "cpu", partition="moon", hours=4.0).executor(tmp_path) == (folder, "moon", 4.0)
    assert Engine("slurm", "cpu").executor(tmp_path) == (folder, None, 24.0)


def test_resources_follow_device_population_and_the_memory_that_runs_took(make_run):
    group = Missing(failures.specs((0, 1, 2)), (0, 0, 0), 600)
    assert resources_of(group.specs, [], 0.0) == Resources(1, 0.0, None)
    assert resources_of(group.specs, [], Engine("ray", "cuda", per_gpu=4).gpus) == Resources(3, 0.25, None)
    about = {"algorithm": "td3", "task": "Hopper", "scale": "smoke"}
    runs = [
        make_run({600: 1.0}, **about, seed=seed, final={"cost/peak_memory_bytes": peak})
        for seed, peak in ((0, 1000.0), (1, 3000.0))
    ]
    assert resources_of(group.specs, runs, 0.0).memory_bytes == 3750
    assert (
        Engine("slurm", "cuda").gpus == Engine("local", "cuda:1").gpus == 1.0
        and Engine("local", "cpu").gpus == 0.0
    )


# --- a worker ---------------------------------------------------------------------------------------


def test_a_worker_writes_the_log_and_tells_the_end(tmp_path):
    def carried_out(text):
        return Worker(a_job(tmp_path, script(text)), Code.here()).carry_out()

    assert carried_out("print('hello')") == Ended(0)
    assert (tmp_path / "logs/a.log").read_text() == "hello\n"
    assert carried_out("raise SystemExit(3)") == Ended(3)
    assert carried_out("import os; os.kill(os.getpid(), 9)") == Ended(-signal.SIGKILL)
    # Someone else asked for an end: checkpoints are there, but the job is not done.
    stopped = carried_out("raise SystemExit(130)")
    assert stopped == Ended(130) and not stopped.by_itself and str(stopped) == "stopped by someone else"


def test_words_of_a_job_have_their_log_though_someone_tidied_up(tmp_path):
    job = a_job(tmp_path, script("pass"))
    shutil.rmtree(job.log.parent)
    add_to_log(job, "the node went away")
    assert job.log.read_text() == "the node went away\n"


def test_a_worker_that_is_asked_to_stop_before_it_began_runs_nothing(tmp_path):
    end = Worker(a_job(tmp_path, script("print('ran')")), Code.here()).carry_out(lambda: True)
    assert end == Ended(130) and (tmp_path / "logs/a.log").read_text() == ""


@pytest.mark.parametrize(("passes_on", "times"), [(True, 1), (False, 0)])
def test_a_worker_passes_sigterm_on_once_and_where_the_engine_does_not(
    tmp_path, monkeypatch, passes_on, times
):
    """A second time would mean at once, without checkpoints."""

    class Child:
        looks = asked = 0

        def wait(self, seconds):
            self.looks += 1
            os.kill(os.getpid(), signal.SIGTERM)
            if self.looks < 3:
                raise subprocess.TimeoutExpired((), seconds)
            return 130

        def terminate(self):
            self.asked += 1

    def ignore(*_):
        pass

    child = Child()
    monkeypatch.setattr("reproduce.lab.executors.remote.start_tied", lambda *_: child)
    before = signal.signal(signal.SIGTERM, ignore)
    try:
        worker = Worker(a_job(tmp_path, ("anything",)), Code.here())
        assert worker.carry_out(passes_on_sigterm=passes_on) == Ended(130)
        assert signal.getsignal(signal.SIGTERM) is ignore
    finally:
        signal.signal(signal.SIGTERM, before)
    assert child.asked == times


def test_a_worker_may_be_stopped_by_a_signal_at_any_moment_of_its_waiting(tmp_path, monkeypatch):
    """Even while ``Popen.wait`` holds its lock, which the interrupted program cannot give back."""
    child = subprocess.Popen([sys.executable, *script("import time; time.sleep(600)")])
    monkeypatch.setattr("reproduce.lab.executors.remote.start_tied", lambda *_: child)
    worker = Worker(a_job(tmp_path, ("anything",)), Code.here())
    waiting = threading.Thread(target=worker.carry_out, kwargs={"passes_on_sigterm": False}, daemon=True)
    stopping = threading.Thread(target=worker.stop, daemon=True)
    with child._waitpid_lock:
        waiting.start()
        wait_for(lambda: worker._child is child)
        stopping.start()
        stopping.join(PATIENCE)
        assert not stopping.is_alive()
    waiting.join(PATIENCE)
    assert child.returncode == -signal.SIGTERM
    worker.stop()  # once more, when there is nothing to wait for


def test_what_travels_does_not_depend_on_where_the_grid_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = a_job(Path(), script("print()"))
    slurm = SlurmJobs(Path("logs", "slurm"), None, hours=1.0, cluster="local")
    assert slurm.submit(job).stop.parent == tmp_path / "logs" / "slurm"


def test_a_worker_refuses_other_code_in_one_sentence(tmp_path):
    here = Code.here()
    versions = tuple((name, "0.1" if name == "numpy" else version) for name, version in here.packages)
    for other, words in (
        (replace(here, commit="f" * 40), f"commit {here.commit[:7]} instead of fffffff"),
        (replace(here, sources="0123"), f"sources {here.sources}"),
        (replace(here, packages=versions), "instead of 0.1"),
    ):
        end = Worker(a_job(tmp_path, script("print('ran')")), other).carry_out()
        assert end == Ended(2)
        assert words in end.words and "bring" in end.words and "\n" not in end.words
    assert (tmp_path / "logs/a.log").read_text() == ""


def test_a_worker_refuses_folders_that_are_not_the_grids(tmp_path):
    """Whatever is at their paths: a clone of the worker's own has a store there, too."""
    runs, store = tmp_path / "runs", tmp_path / "store"
    with marked(runs, store) as marks:
        worker = Worker(a_job(tmp_path, script("print('ran')"), marks=marks), Code.here())
        assert worker.carry_out() == Ended(0)
        marks[1].unlink()
        end = worker.carry_out()
        assert end == Ended(2)
        assert f"does not see the grid's {store}: choose a --runs-dir and a --store" in end.words
    assert (tmp_path / "logs/a.log").read_text() == "ran\n"
    assert not [*runs.iterdir(), *store.iterdir()]


def test_the_grid_marks_what_jobs_elsewhere_must_see(tmp_path, monkeypatch):
    """At paths that do not depend on where it was started, which the log's does not, either."""
    seen, logs = {}, set()
    monkeypatch.chdir(tmp_path)

    class Elsewhere:
        def submit(self, job):
            seen[job.label] = [mark.parent for mark in job.marks if mark.is_file()]
            logs.add(job.log.parent)
            return job.label

        def poll(self, handle):
            return Ended(0)

        def close(self):
            pass

    monkeypatch.setattr(Engine, "executor", lambda engine, runs_dir: Elsewhere())
    runs, store = tmp_path / "runs", tmp_path / "store"
    command = ["grid", "figure13", "--scale", "smoke", "--first-seeds", "1", "--no-track"]
    for engine, marked_folders in (("ray", [runs, store]), ("local", [])):
        main([*command, "--on", engine, "--runs-dir", "runs", "--store", "store"])
        assert list(seen.values()) == [marked_folders] * len(seen) and seen
        assert logs == {runs / "logs"}


def test_the_code_of_a_process_follows_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr("reproduce.lab.provenance.CODE", tmp_path)
    for folder in ("alm", "baselines", "reproduce"):
        (tmp_path / folder).mkdir()
    (tmp_path / "alm" / "agent.py").write_text("a = 1\n")
    before = Code.here()
    assert before.commit == "unknown" and Code.here() == before
    (tmp_path / "notes.txt").write_text("no code")
    assert Code.here() == before
    (tmp_path / "alm" / "agent.py").write_text("a = 2\n")
    assert Code.here().differences(before) == [f"sources {Code.here().sources} instead of {before.sources}"]


def test_a_process_ends_with_the_worker_that_started_it(tmp_path):
    """A worker that is killed in an instant leaves nobody behind who goes on training."""
    mark = tmp_path / "pid"
    child = (
        f"import os, pathlib, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    parent = f"""
        import sys
        from pathlib import Path
        from reproduce.lab.executors import Job
        from reproduce.lab.executors.remote import Worker, marked
        from reproduce.lab.provenance import Code
        job = Job("a job", ("-c", {child!r}), (), Path({str(tmp_path)!r}, "a.log"))
        Worker(job, Code.here()).carry_out()
    """
    worker = subprocess.Popen([sys.executable, *script(parent)], cwd=CODE)
    pid = int(wait_for(lambda: mark.exists() and mark.read_text(), worker))
    assert os.path.exists(f"/proc/{pid}")
    worker.kill()
    worker.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))


# --- SLURM, by submitit's processes of this machine -------------------------------------------------


@pytest.fixture
def slurm(tmp_path):
    """Jobs as of SLURM; whatever a failed test leaves behind ends with it."""
    executor = SlurmJobs(tmp_path / "logs" / "slurm", "moon", hours=1.0, cluster="local")
    handles, submit = [], executor.submit
    executor.submit = lambda job: handles.append(submit(job)) or handles[-1]
    yield executor
    for handle in handles:
        if handle.known is not None:
            kill_all(handle)


def processes(handle):
    """submitit's controller of a job on this machine, what it started, and what that started."""
    try:
        controller = psutil.Process(int(handle.known.job_id))
        return [controller, *controller.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def send(signal_number, processes):
    """A signal to those processes that have not ended meanwhile, as by the signal to another of them."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal_number)


def kill_all(handle):
    send(signal.SIGKILL, processes(handle))


def test_slurm_gives_the_results_of_local_processes(tmp_path, slurm, undisturbed):
    assert run_grid(failures.smoke_jobs(tmp_path, [0]), slurm, 1, tmp_path, Console(quiet=True)) == 0
    assert failures.results(tmp_path, [0]) == {0: undisturbed[0]}


def test_a_slurm_job_tells_how_it_ended(tmp_path, slurm, monkeypatch):
    monkeypatch.setattr("reproduce.lab.executors.slurm._GRACE_SECONDS", 0.5)
    left = tmp_path / "logs" / "slurm" / "a.stop"  # by a grid that was killed
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    assert ended(slurm, slurm.submit(a_job(tmp_path, script("raise SystemExit(3)")))) == Ended(3)
    handle = slurm.submit(a_job(tmp_path, script("import time; print('on', flush=True); time.sleep(600)")))
    wait_for(lambda: slurm.poll(handle) is None and "on" in (tmp_path / "logs/a.log").read_text())
    kill_all(handle)  # the node is gone
    assert ended(slurm, handle) == Ended(-signal.SIGKILL)
    assert "ended without a result" in (tmp_path / "logs/a.log").read_text()


_SAVES_ON_SIGTERM = """
    import pathlib, signal, sys, time
    def stop(*_):
        (place / "saved").touch()
        sys.exit(130)
    place = pathlib.Path(sys.argv[1])
    if (place / "saved").exists():
        print("went on"); sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    (place / "started").touch()
    time.sleep(600)
"""


def test_a_slurm_job_that_is_stopped_writes_its_checkpoints(tmp_path, slurm):
    handle = slurm.submit(a_job(tmp_path, (*script(_SAVES_ON_SIGTERM), str(tmp_path))))
    never = slurm.submit(replace(a_job(tmp_path, script("print()")), log=tmp_path / "logs" / "b.log"))
    slurm.stop(never)  # still gathered: it never starts
    wait_for(lambda: slurm.poll(handle) is None and (tmp_path / "started").exists())
    slurm.stop(handle)
    assert ended(slurm, handle) == ended(slurm, never) == Ended(130)
    assert (tmp_path / "saved").exists() and not (tmp_path / "logs" / "b.log").exists()
    assert not list((tmp_path / "logs" / "slurm").glob("*.stop"))


@pytest.mark.parametrize(("state", "cancelled"), [("PENDING", [True]), ("RUNNING", [])])
def test_a_slurm_job_that_waits_is_cancelled_and_one_that_runs_is_asked(tmp_path, slurm, state, cancelled):
    told = []
    known = SimpleNamespace(state=state, done=lambda **_: False, cancel=lambda **_: told.append(True))
    handle = replace(slurm.submit(a_job(tmp_path, ())), known=known)
    slurm.stop(handle)
    assert told == cancelled and handle.stop.exists()


def test_a_slurm_job_whose_time_ends_goes_on_in_another_allocation(tmp_path, slurm):
    with marked(tmp_path) as marks:  # which are gone where the grid was stopped at once
        handle = slurm.submit(a_job(tmp_path, (*script(_SAVES_ON_SIGTERM), str(tmp_path)), marks=marks))
        wait_for(lambda: slurm.poll(handle) is None and (tmp_path / "started").exists())
    # What SLURM sends to all processes of a job, ahead of the time limit and of a preemption.
    send(signal.SIGUSR2, processes(handle)[1:])
    assert ended(slurm, handle) == Ended(0)
    assert (tmp_path / "saved").exists()
    assert (tmp_path / "logs/a.log").read_text() == "went on\n"


def test_what_slurm_refuses_is_one_sentence(tmp_path, slurm, monkeypatch):
    def refuse(tasks):
        raise submitit.core.utils.FailedJobError("\nsbatch: error: invalid partition specified: moon")

    monkeypatch.setattr(slurm._executor, "submit_array", refuse)
    with pytest.raises(UserError, match=r"^SLURM refuses the jobs \(invalid partition specified: moon\)"):
        run_grid([a_job(tmp_path, script("print()"))], slurm, 1, tmp_path, Console(quiet=True))


def test_jobs_that_take_alike_are_as_few_arrays_as_slurm_allows(tmp_path, slurm, monkeypatch):
    monkeypatch.setattr("reproduce.lab.executors.slurm._LARGEST_ARRAY", 2)
    arrays, parameters = [], []
    monkeypatch.setattr(slurm, "_submit_array", lambda one: arrays.append([s.job.label for s in one]))
    monkeypatch.setattr(slurm._executor, "update_parameters", lambda **given: parameters.append(given))
    for label, resources in (
        ("a", Resources(1)),
        ("b", Resources(2, 0.5, 3 * 2**30 + 1)),
        ("c", Resources(1)),
    ):
        slurm.submit(replace(a_job(tmp_path, ()), label=label, resources=resources))
    last = slurm.submit(replace(a_job(tmp_path, ()), label="d"))
    assert slurm.poll(last) is None
    assert arrays == [["a", "c"], ["d"], ["b"]]
    assert {given["slurm_partition"] for given in parameters} == {"moon"}
    assert parameters[0]["slurm_array_parallelism"] == 3 and "gpus_per_node" not in parameters[0]
    assert parameters[1]["gpus_per_node"] == 1 and parameters[1]["mem_gb"] == 4
    assert parameters[1]["cpus_per_task"] == 2 and parameters[1]["timeout_min"] == 60


# --- Ray --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    with ray_nodes(failures.NODES) as nodes:
        yield nodes


@pytest.fixture
def ray_tasks(cluster, monkeypatch):
    from reproduce.lab.executors.ray import RayTasks

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://here:5000")
    executor = RayTasks(cluster.address)
    yield executor
    executor.close()


def disturbed(kind, kills, tmp_path, cluster, undisturbed):
    """What became of runs after kills of a kind: all are as if nothing had happened."""
    cluster.fill(failures.NODES)
    tally = failures.Disturbance(tmp_path / "runs", SEEDS, cluster).run(kind, kills, undisturbed)
    assert (tally.done, tally.identical) == (len(SEEDS), len(SEEDS))
    assert tally.lost_points == tally.doubled_points == tally.two_at_once == 0
    return tally


def test_a_node_is_killed_in_the_middle_of_a_run(tmp_path, cluster, undisturbed):
    """What was lost is trained again elsewhere; results are those of local processes, bit for bit."""
    assert disturbed("node", 1, tmp_path, cluster, undisturbed).retries >= 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", failures.KINDS)
def test_whatever_is_killed_every_run_ends_as_if_nothing_had_happened(tmp_path, cluster, undisturbed, kind):
    tally = disturbed(kind, 2, tmp_path, cluster, undisturbed)
    if kind != "grid":  # which, started again, does not know what the other one tried
        assert tally.retries >= 2


def test_ray_tasks_stop_with_checkpoints_and_refuse_other_code(tmp_path, ray_tasks):
    handle = ray_tasks.submit(a_job(tmp_path, (*script(_SAVES_ON_SIGTERM), str(tmp_path))))
    wait_for(lambda: (tmp_path / "started").exists())
    assert ray_tasks.poll(handle) is None
    ray_tasks.stop(handle)
    assert ended(ray_tasks, handle) == Ended(130)
    assert (tmp_path / "saved").exists()
    ray_tasks._code = replace(ray_tasks._code, commit="f" * 40)
    handle = ray_tasks.submit(a_job(tmp_path, script("print('ran')")))
    assert ended(ray_tasks, handle) == Ended(2)
    assert "instead of fffffff" in (tmp_path / "logs/a.log").read_text().splitlines()[-1]


def test_a_ray_worker_can_be_stopped_though_its_cluster_was_started_in_the_background(tmp_path):
    """Where SIGINT is ignored, as after ``ray start &`` in a script, Ray's cancelling would be lost."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert _carry_out(a_job(tmp_path, script("print()")), Code.here()) == Ended(0)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_ray_tasks_write_to_the_mlflow_of_the_grid(tmp_path, ray_tasks):
    text = "import os; print(os.environ['MLFLOW_TRACKING_URI'])"
    assert ended(ray_tasks, ray_tasks.submit(a_job(tmp_path, script(text)))) == Ended(0)
    assert (tmp_path / "logs/a.log").read_text() == "http://here:5000\n"


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (Resources(1, 0.5), "1 CPUs, 0.5 GPUs"),
        (Resources(1000), "1000 CPUs"),
        (Resources(1, 0.0, 2**50), "1 CPUs, 1048576.0 GiB of memory"),
    ],
)
def test_a_job_that_no_node_can_hold_is_named(tmp_path, ray_tasks, resources, words):
    job = a_job(tmp_path, script("print()"), resources=resources)
    with pytest.warns(UserWarning, match=f"no node of the Ray cluster has {words}: a job waits for one"):
        handle = ray_tasks.submit(job)
    assert ray_tasks.poll(handle) is None
    ray_tasks.stop(handle)
    assert ended(ray_tasks, handle) == Ended(130)
