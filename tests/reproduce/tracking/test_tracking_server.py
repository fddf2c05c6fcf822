"""A tracking server for several people: a real Postgres, and whatever falls over meanwhile."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest

from patience import PATIENCE, wait_for
from reproduce.cli import main
from reproduce.lab.places import CODE
from reproduce.lab.store import Store
from reproduce.tracking import following
from reproduce.tracking.client import MlflowRuns
from reproduce.tracking.following import follow
from reproduce.tracking.importing import import_store
from reproduce.tracking.uri import TrackingError
from tracked import STARTED, Training

pytestmark = pytest.mark.programs

RETURN = "eval/return"


class Postgres:
    """A cluster of its own in a folder of its own, reached by a socket there and by nothing else."""

    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder
        # Postgres refuses to run as root.
        self.as_user = {}
        if os.getuid() == 0:
            known = {user.pw_name for user in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in known else "nobody")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        command = [programs / "initdb", "-D", folder / "data", "-U", "lab", "--auth=trust", "--no-sync"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **self.as_user)
        self.start()

    @property
    def uri(self):
        return f"postgresql://lab:secret@/postgres?host={self.folder}"

    def start(self):
        settings = {"listen_addresses": "", "unix_socket_directories": self.folder, "fsync": "off"}
        command = [self.programs / "postgres", "-D", self.folder / "data"]
        command += [f"--{name}={value}" for name, value in settings.items()]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.as_user
        )
        wait_for(self._answers)

    def stop(self):
        """At once: all connections break, and the log is replayed at the next start."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(PATIENCE)

    def query(self, sql):
        with psycopg.connect(host=str(self.folder), user="lab", dbname="postgres") as connection:
            return connection.execute(sql).fetchall()

    def _answers(self):
        with contextlib.suppress(psycopg.OperationalError):
            return bool(self.query("select 1"))
        return False

    def points(self, run_key):
        """Every value of the active runs with a key as (metric, step, time, value), sorted."""
        return self.query(
            "select m.key, m.step, m.timestamp, m.value from metrics m join runs r using (run_uuid)"
            f" join tags t using (run_uuid) where t.key = 'run_key' and t.value = '{run_key}'"
            " and r.lifecycle_stage = 'active' and m.key not like 'final/%' and m.key not like 'cost/%'"
            " order by 1, 2, 3"
        )

    def active_runs(self):
        """Keys of the active runs, as often as there are runs."""
        return self.query(
            "select t.value from tags t join runs r using (run_uuid)"
            " where t.key = 'run_key' and r.lifecycle_stage = 'active' order by 1"
        )


class Server:
    """`python -m reproduce server` in a process of its own."""

    def __init__(self, database, artifacts, port):
        self.database, self.artifacts, self.port = database, artifacts, port
        self.start()

    def start(self):
        """Start it, again at the same port, and wait until it says that it serves."""
        command = [sys.executable, "-m", "reproduce", "server", "--workers", "1"]
        command += ["--artifacts", str(self.artifacts)]
        command += ["--port", str(self.port)]
        self.process = subprocess.Popen(
            command,
            cwd=CODE,
            env={**os.environ, "MLFLOW_BACKEND_STORE_URI": self.database, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if "Ctrl-C" in line:
                break
        self.uri = re.search(r"MLFLOW_TRACKING_URI=(\S+)", self.said)[1]

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def postgres(absent):
    found = [shutil.which("postgres"), *map(str, Path("/usr/lib/postgresql").glob("*/bin/postgres"))]
    programs = next((Path(one).resolve().parent for one in found if one), None)
    if programs is None:
        absent("PostgreSQL", "on Debian, apt-get install postgresql")
    # Short, as the path of a socket must be, and open to the user that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="alm-postgres-", dir="/tmp") as folder:
        postgres = Postgres(programs, Path(folder))
        yield postgres
        postgres.stop()


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return tmp_path_factory.mktemp("server") / "artifacts"


@pytest.fixture(scope="module")
def server(postgres, artifacts, free_port):
    server = Server(postgres.uri, artifacts, free_port())
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def quick_to_try_again(monkeypatch):
    monkeypatch.setattr(following, "_LONGEST_WAIT_SECONDS", 1.0)


@pytest.fixture
def many_machines(monkeypatch):
    """No lock between writers, as between machines."""
    monkeypatch.setattr(MlflowRuns, "_exclusive", lambda self: contextlib.nullcontext())


@pytest.fixture
def said(server, monkeypatch):
    """What followers say, one sentence each; they send to the server and look for news ten times a second."""
    said = []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.1)
    monkeypatch.setattr(following, "print", lambda sentence, **_: said.append(sentence), raising=False)
    return said


def follow_all(trainings):
    """A thread for each run that follows it to its end, as its trainer's follower does."""
    threads = [
        threading.Thread(target=follow, args=([run.path], lambda: False), daemon=True) for run in trainings
    ]
    for thread in threads:
        thread.start()
    return threads


def end_all(threads):
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def assert_all_there_once(postgres, trainings):
    keys = [key for (key,) in postgres.active_runs()]
    for run in trainings:
        assert keys.count(run.key) == 1
        arrived = postgres.points(run.key)
        assert len(arrived) == len(run.expected())  # none double
        assert set(arrived) == run.expected()  # none lost


def test_eight_machines_write_at_once(tmp_path, postgres, server, said, artifacts, many_machines, make_run):
    """From the first use of the database on; and all of them bring the same stored run."""
    stored = make_run({1000: 1.0, 2000: 2.0}, algorithm="sac", provenance={"started_ms": STARTED})
    store = Store(tmp_path / "store")
    store.write(stored)
    trainings = [Training(tmp_path, seed=seed) for seed in range(8)]
    together = threading.Barrier(8)

    def bring():
        together.wait(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return import_store(store, MlflowRuns(server.uri))
            except TrackingError:  # as a person repeats `make sync`
                assert time.monotonic() < deadline

    importers = [threading.Thread(target=bring, daemon=True) for _ in range(8)]
    for run in trainings:
        run.steps(1000, 2000)
        run.commit()
    followers = follow_all(trainings)
    for thread in importers:
        thread.start()
    for run in trainings:
        run.steps(*range(3000, 8000, 1000))
        run.finish()
    end_all([*followers, *importers])

    assert_all_there_once(postgres, trainings)
    assert [key for (key,) in postgres.active_runs()].count(stored.digest) == 1
    returns = [
        (step, value) for key, step, _, value in postgres.points(stored.digest) if key == "eval/return"
    ]
    assert returns == [(1000, 1.0), (2000, 2.0)]
    assert len(list(artifacts.rglob("config.json"))) >= 9  # by way of the server
    assert "secret" not in server.said


def test_postgres_stops_and_starts_meanwhile(tmp_path, postgres, said):
    trainings = [Training(tmp_path, seed=seed) for seed in (20, 21)]
    for run in trainings:
        run.steps(1000, 2000)
        run.commit()
    followers = follow_all(trainings)
    wait_for(lambda: all(len(postgres.points(run.key)) == 8 for run in trainings), *followers)

    postgres.stop()
    for run in trainings:
        run.steps(3000, 4000)
        run.commit()
    wait_for(lambda: len(said) >= 2, *followers)
    postgres.start()
    for run in trainings:
        run.steps(5000)
        run.commit()
    wait_for(lambda: all(len(postgres.points(run.key)) == 20 for run in trainings), *followers)
    for run in trainings:
        run.finish()
    end_all(followers)

    assert_all_there_once(postgres, trainings)
    assert all("no run is lost" in sentence for sentence in said)


def test_the_server_is_killed_meanwhile(tmp_path, postgres, server, said):
    trainings = [Training(tmp_path, seed=seed) for seed in (30, 31)]
    for run in trainings:
        # So many that the kill falls between two requests of one pass.
        for step in range(1, 31):
            run.line(step, {f"loss/{i}": i / 2 for i in range(100)})
        run.commit()
    followers = follow_all(trainings)
    wait_for(lambda: any(postgres.points(run.key) for run in trainings), *followers)
    server.kill()
    for run in trainings:
        run.steps(1000)
        run.commit()
    wait_for(lambda: len(said) >= 2, *followers)
    server.start()
    for run in trainings:
        run.finish()
    end_all(followers)
    assert_all_there_once(postgres, trainings)


# Of MLflow's tables, once in a process; outside of pytest Python hides it.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_missing_driver_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert main(["server", "--database", "postgresql://lab:secret@/postgres?host=/nowhere"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and ".[server]" in error and "secret" not in error


def test_a_server_needs_a_database_and_names(capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI", raising=False)
    assert main(["server"]) == 2
    assert "MLFLOW_BACKEND_STORE_URI" in capsys.readouterr().err
    assert main(["server", "--database", "postgresql://x@y/z", "--host", "0.0.0.0"]) == 2
    assert "--allowed-hosts" in capsys.readouterr().err
