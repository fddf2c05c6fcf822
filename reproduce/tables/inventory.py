"""What is stored, what is being trained, and what an exhibit still misses."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from alm.training.scale import SCALES
from reproduce.exhibits import EXHIBITS
from reproduce.running.algorithms import run_length
from reproduce.storing.freezing import directories_under
from reproduce.storing.specs import RunSpec
from reproduce.storing.store import Store


def print_inventory(store: Store, runs_dir: Path, console: Console) -> None:
    """Print stored runs, run directories that are not stored, and what the exhibits still miss."""
    stored = store.runs()
    table = Table(title="Stored runs", title_justify="left")
    for column in ("run", "status", "steps", "return", "hours", "protocol", "code"):
        table.add_column(column, justify="right" if column in ("steps", "return", "hours") else "left")
    for run in stored:
        total = run_length(run.spec)
        table.add_row(
            run.spec.label,
            run.status,
            f"{run.last_step:,} of {total:,}",
            f"{run.final['final/return']:.0f}",
            f"{run.final['cost/wall_h']:.2f}",
            run.protocol,
            str(run.provenance.get("git_sha", ""))[:7] + ("+" if run.provenance.get("git_dirty") else ""),
        )
    console.print(table if stored else "No run is stored yet.")

    held = {run.spec: run.last_step for run in stored}
    for directory in directories_under(runs_dir):
        spec = RunSpec.from_dict(directory.read_json("config.json")["spec"])
        steps = directory.checkpoints.steps()
        if spec.scale != "smoke" and held.get(spec, -1) < (steps[0] if steps else 0):
            console.print(f"In {runs_dir}: {spec.label}, {directory.status}, checkpoint at step {steps[0]:,}")

    complete = {run.spec for run in stored if run.status == "done"}
    for scale in SCALES:
        for exhibit in EXHIBITS.values() if scale != "smoke" else ():
            needs = exhibit.needs(scale)
            there = sum(spec in complete for spec in needs)
            console.print(f"{exhibit.name} at {scale} scale: {there} of {len(needs)} runs stored")
    console.print("What one of them misses: python -m reproduce plan table1 --scale laptop")
