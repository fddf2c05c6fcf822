"""The links of the user interface, and the server itself."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from reproduce.lab.published import printed_scores
from reproduce.lab.store import Store
from reproduce.tracking.client import TrackingError
from reproduce.tracking.links import chart_link, compare_link
from reproduce.tracking.ui import serve

REPOSITORY = Path(__file__).parents[2]


def test_links_open_charts_and_comparisons():
    assert chart_link("http://127.0.0.1:5000", "3") == (
        "http://127.0.0.1:5000/#/experiments/3/runs?compareRunsMode=CHART&workflowType=machine_learning"
    )
    assert compare_link("http://127.0.0.1:5000", ["a", "b"], ["1"]) == (
        "http://127.0.0.1:5000/#/compare-runs?runs=%5B%22a%22%2C%22b%22%5D&experiments=%5B%221%22%5D"
    )


def test_a_port_in_use_is_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrackingError, match=f"Port {port} is in use") as raised:
            serve(Store(tmp_path), f"sqlite:///{tmp_path / 'mlflow.db'}", port)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "mlflow.db").exists()  # found out before the work


@pytest.mark.slow
def test_the_server_starts_answers_and_stops(tmp_path, make_run):
    store = Store(tmp_path / "store")
    for seed in range(2):
        store.write(make_run({5000: 1.0, 10000: 4.0}, seed=seed))
    program = (
        "import sys\nfrom pathlib import Path\nfrom reproduce.lab.store import Store\n"
        "from reproduce.tracking.ui import serve\n"
        "sys.exit(serve(Store(Path(sys.argv[1])), sys.argv[2], say=lambda line: print(line, flush=True)))\n"
    )
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(store.root), uri],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if "Ctrl-C" in line:
                break
        text = "\n".join(lines)
        base = re.search(r"http://127\.0\.0\.1:\d+", text)[0]
        charts = re.findall(r"/#/experiments/(\d+)/runs\?compareRunsMode=CHART", text)
        assert len(charts) == 2  # the protocol of the runs, and what is published
        compared = re.search(r"compare runs on HalfCheetah\n(\S+)", text)[1]
        printed = [cell for cell in printed_scores(1) if cell.task == "HalfCheetah"]
        assert len(printed) > 1
        # Ours, the printed ones, and the authors' curve.
        assert len(re.findall(r"%22[0-9a-f]{32}%22", compared)) == 2 + len(printed) + 1

        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{base}/", timeout=30) as answer:
            assert answer.status == 200
            assert b"<html" in answer.read().lower()
        run_id = re.search(r"%22([0-9a-f]{32})%22", compared)[1]
        with opener.open(f"{base}/get-artifact?path=config.json&run_uuid={run_id}", timeout=30) as answer:
            assert b'"horizon"' in answer.read()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == ""
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", int(base.rpartition(":")[2])))
