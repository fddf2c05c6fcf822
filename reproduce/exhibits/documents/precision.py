"""The effect of bf16 on returns, for docs/performance.md."""

from reproduce.exhibits.comparison import Comparison
from reproduce.exhibits.documents import Blocks
from reproduce.exhibits.writing import markdown_grid
from reproduce.lab.specs import variant_in
from reproduce.lab.store import Store


def blocks(store: Store) -> Blocks:
    """ALM in bf16 beside float32."""
    return {("docs/performance.md", "precision"): _bf16_beside_float32(store)}


def _bf16_beside_float32(store: Store) -> str:
    """Effect of bf16 on ALM's returns at laptop scale, task by task."""
    algorithm, scale = "alm", "laptop"
    variant = variant_in("base", "bf16")
    stored = store.runs(algorithm=algorithm, variant=variant, scale=scale)
    tasks = [run.spec.task for run in stored if run.status != "failed"]
    if not tasks:
        return "Not measured: no run in bf16 is stored at this scale."
    found = Comparison.of([f"{algorithm}/{variant}", algorithm], tasks, scale, "return", store)
    rows = [
        [
            task.task,
            f"{task.step:,}",
            *(f"{side.mean.text()}, {side.seeds}" for side in reversed(task.sides)),
            contrast.difference.text(sign="+"),
            contrast.improvement.text(2),
        ]
        for task in found.tasks
        for contrast in task.contrasts
    ]
    header = ["", "steps", "float32", "bf16", "bf16 − float32", "P(bf16 > float32)"]
    return f"{markdown_grid(header, rows)}\n\n{' '.join(found.notes())}"
