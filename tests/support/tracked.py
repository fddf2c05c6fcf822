"""Run directories as the training loop writes them, line by line, without training."""

import json
import os

from reproduce.lab.specs import RunSpec, config_digest, run_record

STARTED = 1_700_000_000_000
PROTOCOL = "v2-gymnasium1.4.0-mujoco4.0.0"
CONFIG = {"agent": {"horizon": 3, "kl_term": True, "widths": [8, 8]}, "training": {"total_steps": 5000}}


class Training:
    """Writes a run directory as the training loop does, without training."""

    def __init__(self, root, seed=0, started_ms=STARTED, scale="laptop"):
        spec = RunSpec(algorithm="alm", task="HalfCheetah", seed=seed, scale=scale)
        self.path = root / spec.relative_dir
        self.path.mkdir(parents=True)
        self.clock = started_ms
        self.pace = 0.25
        self.key = config_digest(spec, CONFIG)
        hardware = {"cpu": "Some CPU", "cores": 2}
        provenance = {"git_sha": "a" * 40, "git_dirty": True, "device": "cpu", "hardware": hardware}
        self.write("provenance.json", {**provenance, "started_ms": started_ms})
        self.write("config.json", run_record(spec, PROTOCOL, CONFIG))

    def write(self, name, content):
        (self.path / name).write_text(json.dumps(content))

    @property
    def size(self):
        return (self.path / "metrics.jsonl").stat().st_size

    def steps(self, *steps):
        """A line of losses and one of an evaluation at each step; every line has a time of its own."""
        for step in steps:
            self.line(step, {"loss/critic": step / 8, "time/act_ms": self.pace})
            metrics = {"eval/return": step / 2, "eval/length": 1000.0}
            self.line(step, metrics, returns=[1.0, 2.0], population=2)

    def line(self, step, metrics, **content):
        self.clock += 7
        line = {"step": step, "training_step": step, "wall_seconds": step / 10, "time_ms": self.clock}
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({**line, "metrics": metrics, **content}) + "\n")

    def commit(self):
        self.write("committed.json", {"metrics_offset": self.size})
        return self.size

    def resume(self, offset):
        os.truncate(self.path / "metrics.jsonl", offset)
        self.write("committed.json", {"metrics_offset": offset})
        self.clock += 100_000
        self.pace = 0.123456789  # so that lines written again have another length

    def finish(self):
        self.clock += 7
        self.write("DONE", {"finished_ms": self.clock})

    def expected(self):
        """Every point of the file and of a finished run as (metric, step, time, value)."""
        lines = [json.loads(line) for line in (self.path / "metrics.jsonl").open()]
        return {(k, x["step"], x["time_ms"], v) for x in lines for k, v in x["metrics"].items()}
