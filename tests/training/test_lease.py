"""The lease of a run: one holder, whatever stops, dies or comes at the same moment."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from alm.training import lease
from alm.training.lease import Lease, LeaseLostError, RunLockedError, holder_of, holders
from alm.training.run_directory import RunDirectory
from patience import PATIENCE, wait_for
from reproduce.lab.places import CODE


def python(text, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)],
        cwd=CODE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


RACE = """
import sys
from pathlib import Path
from alm.training.lease import Lease, RunLockedError
# A round begins at a line of the parent, and who has won keeps the lease until the next line.
for line in sys.stdin:
    try:
        mine = Lease(Path(line.strip()))
    except RunLockedError:
        mine = None
    print("won" if mine else "lost", flush=True)
    sys.stdin.readline()
    if mine:
        mine.release()
    print("released", flush=True)
"""


def tell(processes, line):
    for process in processes:
        process.stdin.write(f"{line}\n")
    for process in processes:
        process.stdin.flush()
    return [process.stdout.readline().strip() for process in processes]


@pytest.mark.parametrize("dead", [0, 2])
def test_of_those_that_come_at_once_exactly_one_gets_it(tmp_path, dead):
    """Also if there is something of dead processes to take over."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    racers = [python(RACE) for _ in range(3)]
    try:
        for number in range(50):
            folder = tmp_path / str(number)
            folder.mkdir()
            for i in range(dead):
                left_by_a_dead_process(folder, f"{i:016x}", ended.pid)
            said = tell(racers, folder)
            assert sorted(said) == ["lost", "lost", "won"], number
            tell(racers, "release")
            assert not list(folder.iterdir())
    finally:
        for racer in racers:
            racer.stdin.close()
        assert [racer.wait(PATIENCE) for racer in racers] == [0, 0, 0]


def left_by_a_dead_process(folder, token, pid, lifetime=90.0):
    mine = Lease(folder, lifetime)
    (path,) = (one for one in folder.glob("lease.*") if one.suffix[1:] == mine._token)
    record, held = path.read_text().splitlines()
    mine.release()
    # No process of today began at the first tick since boot; a parent may have begun at ours.
    theirs = json.loads(record) | {"pid": pid, "process_start": 1}
    (folder / f"lease.{token}").write_text(json.dumps(theirs) + f"\n{held}\n")


HOLD = """
import sys, time
from pathlib import Path
from alm.training.run_directory import RunDirectory
directory = RunDirectory(Path(sys.argv[1]))
directory.open(float(sys.argv[2]))
directory.start_metrics(0)
directory.append_metrics(1, 0, 0.5, metrics={"a": 1.0})
print("holds", flush=True)
sys.stdin.readline()
"""


def hold(folder, lifetime=90.0):
    process = python(HOLD, folder, lifetime)
    assert process.stdout.readline() == "holds\n", process.communicate()
    return process


def test_a_held_run_is_refused_by_a_sentence_that_names_the_holder(tmp_path):
    holder = hold(tmp_path)
    with pytest.raises(RunLockedError) as refused:
        RunDirectory(tmp_path).open()
    (one,) = holders(tmp_path)
    said = str(refused.value)
    assert f"process {holder.pid} on {os.uname().nodename} since 20" in said and str(tmp_path) in said
    assert "wait for it or stop it first" in said and "can be taken over in " in said
    assert holder_of(tmp_path) == (one, True) and one.seconds_left(one.renewed) == pytest.approx(90.0)
    assert len(list(tmp_path.glob("lease.*"))) == 1  # the refused one left nothing
    holder.communicate("end\n", timeout=PATIENCE)


def test_a_lease_holds_within_one_process_and_is_released_at_once(tmp_path):
    first, second = RunDirectory(tmp_path), RunDirectory(tmp_path)
    first.open()
    with pytest.raises(RunLockedError, match=f"process {os.getpid()} "):
        second.open()
    first.close()
    assert not list(tmp_path.iterdir())
    second.open()
    second.close()


def test_a_killed_holder_is_taken_over_at_once(tmp_path):
    holder = hold(tmp_path)
    holder.kill()
    wait_for(lambda: not holder_of(tmp_path)[1])  # it is a zombie until somebody waits for it
    directory = RunDirectory(tmp_path)
    directory.open()
    directory.close()
    holder.communicate(timeout=PATIENCE)
    assert not list(tmp_path.glob("lease.*"))


def test_an_identifier_that_another_process_got_since_is_no_holder(tmp_path):
    left_by_a_dead_process(tmp_path, "00", os.getppid())  # another process, and another start
    _, living = holder_of(tmp_path)
    assert not living
    Lease(tmp_path).release()
    assert holder_of(tmp_path) is None


def test_a_holder_on_another_machine_is_waited_for_until_its_lifetime_is_over(tmp_path, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(lease, "_machine", lambda: "another one")
        left_by_a_dead_process(tmp_path, "00", 1, lifetime=10_000.0)
    file = tmp_path / "lease.00"
    for age, left in ((0, 10_000), (5000, 5000)):
        os.utime(file, (time.time() - age,) * 2)
        with pytest.raises(RunLockedError) as refused:
            Lease(tmp_path)
        seconds = int(str(refused.value).rpartition("over in ")[2].removesuffix(" s)"))
        assert left - 100 <= seconds <= left
    os.utime(file, (time.time() - 10_001,) * 2)
    Lease(tmp_path).release()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        {"host": 5},
        {"pid": "x"},
        {"pid": True},
        {"pid": 10**30},
        {"process_start": None},
        {"since": "x"},
        {"since": 1e300},
        {"lifetime": "x"},
        {"lifetime": 0},
        {"lifetime": 10**400},
        {"lifetime": math.inf},
        {"lifetime": math.nan},
    ],
    ids=lambda damage: str(damage)[:30],
)
def test_a_damaged_lease_is_waited_for(tmp_path, damage):
    mine = Lease(tmp_path)
    (own,) = tmp_path.iterdir()
    record = json.loads(own.read_text().splitlines()[0])
    mine.release()
    file = tmp_path / "lease.00"
    file.write_bytes(
        damage if isinstance(damage, bytes) else json.dumps(record | damage).encode() + b"\nheld\n"
    )
    one, living = holder_of(tmp_path)
    assert living and str(one).startswith("process 0 on an unknown machine since 2")
    with pytest.raises(RunLockedError, match="an unknown machine"):
        Lease(tmp_path)
    os.utime(file, (time.time() - 91,) * 2)
    Lease(tmp_path).release()
    assert not list(tmp_path.iterdir())


def test_a_holder_renews_while_it_does_something_else(tmp_path, monkeypatch):
    """And though the file server fails once."""
    mine, utime, failed = Lease(tmp_path, lifetime=0.3), os.utime, []

    def fail_once(path):
        if not failed:
            failed.append(path)
            raise OSError(errno.EIO, "Input/output error")
        utime(path)

    monkeypatch.setattr(os, "utime", fail_once)
    wait_for(lambda: failed)
    (before,) = holders(tmp_path)
    wait_for(lambda: holders(tmp_path)[0].renewed > before.renewed + 1.0)
    mine.require()
    mine.release()


FENCED = (
    HOLD
    + """
import numpy as np
from alm.training.lease import LeaseLostError
from alm.training.bias import ValueSample
zeros = np.zeros(1, int)
sample = ValueSample(episode=zeros, step=zeros, estimates={"min_q": np.zeros(1)}, monte_carlo=np.zeros(1))
writes = [
    lambda: directory.append_metrics(2, 0, 0.5, metrics={"a": 2.0}),
    lambda: directory.checkpoints.save(2, {"step": 2}),
    lambda: directory.write_values(2, sample),
    lambda: directory.write_json("DONE", {"step": 2}),
    lambda: directory.commit_metrics(0),
    lambda: directory.drop_after(0),
    lambda: directory.start_metrics(0),
]
for write in writes:
    try:
        write()
    except LeaseLostError as error:
        print(error, flush=True)
directory.close()
"""
)


def test_a_stopped_holder_that_was_taken_over_writes_nothing_more(tmp_path):
    holder = python(FENCED, tmp_path, 0.5)
    assert holder.stdout.readline() == "holds\n", holder.communicate()
    holder.send_signal(signal.SIGSTOP)
    mine = RunDirectory(tmp_path)

    def taken():
        try:
            mine.open()
        except RunLockedError:
            return False
        return True

    wait_for(taken)
    mine.start_metrics(mine.metrics_path.stat().st_size)
    mine.checkpoints.save(1, {"step": 1})
    before = {path: path.read_bytes() for path in tmp_path.glob("**/*") if path.is_file()}
    holder.send_signal(signal.SIGCONT)
    out, error = holder.communicate("go on\n", timeout=PATIENCE)
    assert holder.returncode == 0, error
    sentences = out.splitlines()
    assert len(sentences) == 7 and len(set(sentences)) == 1
    assert f"run {tmp_path} was taken over by process {os.getpid()} on" in sentences[0]
    assert {path: path.read_bytes() for path in tmp_path.glob("**/*") if path.is_file()} == before
    mine.append_metrics(2, 0, 0.5, metrics={"a": 3.0})
    mine.close()
    assert [line["metrics"]["a"] for line in mine.metrics()] == [1.0, 3.0]


def test_metrics_that_a_former_holder_still_has_open_are_another_file(tmp_path):
    """Even what it had passed on to the system before it was stopped reaches the successor's file no more."""
    directory = RunDirectory(tmp_path)
    directory.open()
    directory.start_metrics(0)
    directory.append_metrics(1, 0, 0.5, metrics={"a": 1.0})
    former = directory._metrics
    offset = directory.metrics_offset()
    directory._metrics = None
    directory.start_metrics(offset)
    former.write("late\n")
    former.close()
    directory.append_metrics(2, 0, 0.5, metrics={"a": 2.0})
    directory.close()
    assert [line["step"] for line in directory.metrics()] == [1, 2]


def test_a_holder_that_resumes_before_anyone_took_it_goes_on(tmp_path):
    mine = Lease(tmp_path, lifetime=30.0)
    (file,) = tmp_path.iterdir()
    os.utime(file, (time.time() - 100,) * 2)  # as if it had been stopped
    mine.require()
    mine.release()


def test_a_disk_that_is_full_at_the_end_keeps_no_run(tmp_path):
    class Full:
        def close(self):
            raise OSError(28, "No space left on device")

    mine = RunDirectory(tmp_path)
    mine.open()
    mine._metrics = Full()
    with pytest.raises(OSError, match="No space left"):
        mine.close()
    assert not list(tmp_path.glob("lease.*"))


def test_a_lease_file_that_vanished_is_told_as_lost(tmp_path):
    mine = Lease(tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(LeaseLostError, match="a process that has ended since"):
        mine.require()
    mine.release()
