"""MLflow as `make ui` serves it: who it answers, what is left of it, and what its links open in a browser."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from mlflow import MlflowClient

from patience import PATIENCE
from reproduce.cli import main
from reproduce.lab.places import CODE
from reproduce.lab.store import Store
from reproduce.tracking import server
from reproduce.tracking.client import MlflowRuns
from reproduce.tracking.importing import import_store
from reproduce.tracking.links import links, update_views
from reproduce.tracking.server import Address
from reproduce.tracking.uri import TrackingError

pytestmark = pytest.mark.programs

OWN = {"plugin": {"sha256": "0", "text": ""}}


class Ui:
    """`make ui` in a process of its own, which has said that it serves."""

    def __init__(self, store, uri, port):
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "reproduce", "ui", "--store", str(store.root), "--port", str(port)],
            cwd=CODE,
            # Neither may open it to others.
            env={
                **os.environ,
                "MLFLOW_TRACKING_URI": uri,
                "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
                "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if "Ctrl-C" in line:
                break
        self.base = re.search(r"http://127\.0\.0\.1:\d+", self.text)[0]
        self.port = int(self.base.rpartition(":")[2])

    @property
    def text(self):
        return "\n".join(self.lines)

    def link(self, title):
        return next(self.lines[i + 1] for i, line in enumerate(self.lines) if line.startswith(title))

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Host": f"127.0.0.1:{self.port}", **names})
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture(scope="module")
def store(tmp_path_factory, make_run):
    store = Store(tmp_path_factory.mktemp("ui") / "store")
    curves = {"alm": 3.0, "sac": 2.0, "td3": 1.0}
    for algorithm, slope in curves.items():
        for seed in range(2):
            returns = {step: slope * step + 100 * seed for step in (5000, 10000, 15000)}
            store.write(make_run(returns, algorithm=algorithm, seed=seed, scale="laptop"))
    for seed in range(2):
        returns = {step: 4.0 * step + 100 * seed for step in (5000, 10000, 15000)}
        store.write(make_run(returns, variant="my-idea", seed=seed, scale="laptop", provenance=OWN))
        store.write(make_run(returns, variant="no-kl", seed=seed, scale="laptop"))
    # What must not be shown beside them.
    store.write(make_run({5000: -9.0, 10000: -9.0}, scale="paper"))
    store.write(make_run({5000: -9.0, 10000: -9.0}, scale="laptop", task="Hopper"))
    return store


@pytest.fixture(scope="module")
def database(tmp_path_factory, store):
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    import_store(store, MlflowRuns(uri))
    return uri


@pytest.fixture(scope="module")
def ui(store, database, free_port):
    ui = Ui(store, database, free_port())
    yield ui
    ui.process.send_signal(signal.SIGINT)
    _, errors = ui.process.communicate(timeout=PATIENCE)
    assert (ui.process.returncode, errors) == (0, "")
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", ui.port))


def test_a_port_in_use_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["ui", "--store", str(tmp_path), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"error: Port {port} is in use" in said and said.count("\n") == 1
    assert not (tmp_path / "mlflow.db").exists()  # found out before the work


def test_any_free_port_is_one_that_a_browser_can_be_told():
    assert Address(port=0).with_free_port().port > 0


def test_a_server_writes_no_line_for_each_request(monkeypatch, tmp_path):
    """It may run for months, and what it writes is kept until it ends."""

    def start(command, environment, output):
        assert environment["MLFLOW_UVICORN_OPTS"] == "--no-access-log"
        raise NotImplementedError

    monkeypatch.delenv("MLFLOW_UVICORN_OPTS", raising=False)
    monkeypatch.setattr(server, "start_guarded", start)
    uri = f"sqlite:///{tmp_path / 'some.db'}"
    with pytest.raises(NotImplementedError), server.serving(uri, Address()):
        pass


@pytest.mark.parametrize("port", [None, 5000])
def test_a_host_that_is_not_this_machine_is_one_sentence(port):
    elsewhere = Address(host="192.0.2.1", port=port, names=("mlflow.lab.org",))
    with pytest.raises(TrackingError, match=r"cannot listen on 192.0.2.1 \(.*\): give an address"):
        elsewhere.with_free_port()


def test_a_server_for_others_must_know_its_names():
    with pytest.raises(ValueError, match=r"--allowed-hosts"):
        Address(host="0.0.0.0")
    assert [Address(host=host, port=80).base for host in ("::1", "[::1]")] == ["http://[::1]:80"] * 2
    open_to_others = Address(host="0.0.0.0", port=5000, names=("mlflow.lab.org",))
    assert open_to_others.base == "http://127.0.0.1:5000"
    assert {"localhost:5000", "mlflow.lab.org", "mlflow.lab.org:5000"} <= set(open_to_others.allowed_hosts)
    assert "https://mlflow.lab.org" in open_to_others.allowed_origins


def test_there_is_one_short_link_for_each_task_and_scale(ui):
    found = re.findall(r"viewStateShareKey=([^&\s]+)", ui.text)
    assert found == [
        "HalfCheetah-paper",
        "HalfCheetah-laptop",
        "HalfCheetah-laptop-variants",
        "Hopper-laptop",
    ]
    assert all(len(line) < 160 for line in ui.lines)
    assert ui.link("Table 1's printed numbers").startswith(f"{ui.base}/#/experiments/")


def test_it_answers_this_machine_alone(ui):
    for name in ("127.0.0.1", "localhost", "[::1]"):
        assert ui.request("GET", "/", Host=f"{name}:{ui.port}")[0] == 200
    for host in (f"10.0.0.5:{ui.port}", "10.0.0.5:5000", "192.168.0.1", "evil.example", f"0.0.0.0:{ui.port}"):
        assert ui.request("GET", "/", Host=host)[0] == 403, host
    search = {
        "method": "POST",
        "path": "/ajax-api/2.0/mlflow/runs/search",
        "body": '{"experiment_ids": ["1"]}',
    }
    assert ui.request(**search, Content_Type="application/json", Origin=ui.base)[0] == 200
    assert ui.request(**search, Content_Type="application/json", Origin="http://evil.example")[0] == 403


def test_the_files_of_a_run_can_be_read(ui, database):
    client = MlflowClient(database)
    (run,) = client.search_runs(["1"], "tags.task = 'Hopper'")
    status, content = ui.request("GET", f"/get-artifact?path=config.json&run_uuid={run.info.run_id}")
    assert status == 200 and b'"horizon"' in content


HOLD = (
    "import sys\nfrom reproduce.tracking.server import Address, serving\n"
    "with serving(sys.argv[1], Address(port=int(sys.argv[2]))) as (base, process):\n"
    "    print(base, flush=True)\n    process.wait()\n"
)


@pytest.mark.parametrize("whom", ["the program", "the guard"])
def test_nothing_is_left_of_a_server_that_was_killed(database, free_port, whom):
    program = subprocess.Popen(
        [sys.executable, "-c", HOLD, database, str(free_port())],
        cwd=CODE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(program.stdout.readline().rpartition(":")[2])
        descendants = psutil.Process(program.pid).children(recursive=True)
        guard, *rest = descendants
        assert "guard.py" in " ".join(guard.cmdline()) and len(rest) >= 2  # MLflow and its server
        (program if whom == "the program" else guard).kill()
        _, alive = psutil.wait_procs(descendants, timeout=PATIENCE)
        assert alive == []
    finally:
        program.kill()
        program.communicate(timeout=PATIENCE)
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))


CURVES = """
() => {
    const plots = [...document.querySelectorAll('.js-plotly-plot')];
    const drawn = plots.flatMap(plot => plot.data).filter(line => line.uuid);
    return plots.length === 1 && drawn.length >= 4 && drawn.map(
        line => ({method: line.uuid, steps: line.x, returns: line.y, colour: line.marker.color})
    );
}
"""
BANDS = "document.querySelector('.js-plotly-plot').data.filter(one => one.fillcolor).length"


def test_the_link_opens_the_curves_of_own_variants_and_baselines(ui, new_tab):
    tab = new_tab(viewport={"width": 1440, "height": 900})
    tab.goto(ui.link("HalfCheetah, laptop: ALM, the baselines"))
    # One chart alone: all others are in closed sections.
    curves = {one["method"]: one for one in tab.wait_for_function(CURVES).json_value()}

    methods = ["my-idea", "ALM(3)", "SAC", "TD3"]
    assert sorted(curves) == sorted(f"tag.method.{name}" for name in methods)
    own, worst = curves["tag.method.my-idea"], curves["tag.method.TD3"]
    assert own["steps"] == [5000, 10000, 15000]  # environment steps
    assert own["returns"] == [20050, 40050, 60050] and worst["returns"] == [5050, 10050, 15050]  # means
    assert len({curve["colour"] for curve in curves.values()}) == 4
    assert tab.evaluate(BANDS) == 4
    # Closed, the best first, and no name cut.
    names = tab.get_by_text("Group: ")
    assert [name.inner_text() for name in names.all()] == [f"Group: {name}" for name in methods]
    assert names.evaluate_all("all => all.every(one => one.scrollWidth <= one.clientWidth + 1)")


def test_the_description_leads_to_the_other_views(ui, new_tab):
    tab = new_tab(viewport={"width": 1440, "height": 900})
    tab.goto(ui.link("Hopper, laptop"))
    with tab.expect_popup() as opened:
        # The line that is seen stands for all of it, which opens downwards.
        tab.locator("a[href*='HalfCheetah-laptop-variants']").dispatch_event("click")
    opened.value.wait_for_function("document.body.textContent.includes('Group: no KL')")


def test_views_are_brought_up_to_date_and_own_descriptions_kept(tmp_path, database, make_run):
    uri = f"sqlite:///{shutil.copy(database.removeprefix('sqlite:///'), tmp_path / 'mlflow.db')}"
    tracker, client = MlflowRuns(uri), MlflowClient(uri)
    before = links(tracker, "")

    def described():
        return client.get_experiment("1").tags["mlflow.note.content"]

    (experiment,) = (name for name in before if name.startswith("alm/v2"))
    assert all(f"]({link[1:]})" in described() for link in before[experiment].values())
    new = Store(tmp_path / "store")
    new.write(make_run({5000: 1.0}, task="mbbl/Hopper", scale="laptop"))
    import_store(new, MlflowRuns(uri))
    update_views(MlflowRuns(uri))
    assert "viewStateShareKey=mbbl_Hopper-laptop" in described()

    client.set_experiment_tag("1", "mlflow.note.content", "mine")
    update_views(MlflowRuns(uri))
    assert described() == "mine"
