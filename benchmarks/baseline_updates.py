"""``make bench``: milliseconds of SAC, TD3 and REDQ per environment step, against plain implementations.

One thread, float32, the papers' sizes on HalfCheetah; updates compiled, as in runs, and eager. The plain
implementation has one module, one optimiser and one forward pass per critic. All updates of an environment
step are timed (twenty for REDQ); "step" adds sampling, noise, acting and the simulator, and is compiled.
"""

import statistics
from collections.abc import Callable

import torch
import tyro
from rich.console import Console
from rich.table import Table

from alm.task_registry import task_spec
from alm.training.execution import Execution, execute
from alm.training.scale import scale_named
from benchmarks.environment_step import Candidate
from benchmarks.plain import PLAIN, updates_per_step
from benchmarks.timing import (
    TASK,
    as_in_training,
    execute_as_in_runs,
    filled_replay,
    gigaflop,
    median_ratio,
    take_turns,
    to_stderr,
    write_record,
)
from reproduce.lab.algorithms import algorithm_named

ROUNDS = {"sac": 200, "td3": 200, "redq": 12}


def measure(name: str) -> dict[str, float]:
    """Medians over rounds in which ours and the plain implementation take turns."""
    task, replay = task_spec(TASK), filled_replay(6000)
    agent_class, config_class = algorithm_named(name).load()
    config = config_class.at(scale_named("paper"), TASK)
    agent, compiled = (agent_class(task, config, (0,)) for _ in range(2))
    execute(compiled, Execution(compiled=True), to_stderr)
    plain = PLAIN[name](task, config)
    drawn, noise = replay.sample(config.batch_size, agent.learning), agent.draw_noise()
    own_noise = {key: value[0] for key, value in noise.items()}

    # TD3 updates its policy in every second step: rounds of two steps all cost the same.
    updates = range(1, 2 * updates_per_step(config) + 1)

    def all_updates(update: Callable[..., object], *inputs: object) -> Callable[[], None]:
        def run() -> None:
            for number in updates:
                update(*inputs, number)

        return run

    eager = all_updates(agent.update, drawn, noise)
    candidate = Candidate(name, "paper", replay)
    execute_as_in_runs(candidate.agent)
    work: dict[str, Callable[[], object]] = {
        "compiled_ms": all_updates(compiled.update, drawn, noise),
        "eager_ms": eager,
        "plain_ms": all_updates(plain.update, drawn[0], own_noise),
        "step_ms": candidate.two_steps,
    }
    times = take_turns(work, ROUNDS[name])
    out = {key: statistics.median(values) / 2 for key, values in times.items()}
    for way in ("compiled", "eager"):
        out[f"plain_over_{way}"] = median_ratio(times["plain_ms"], times[f"{way}_ms"])
    out["gflop"] = gigaflop(eager) / 2
    out["gflops"] = 1000 * out["gflop"] / out["compiled_ms"]
    return out


def main() -> None:
    """Measure, print a table and write ``out/benchmarks/baseline_updates.json``."""
    as_in_training()
    results = {}
    for name in ROUNDS:
        torch.compiler.reset()  # see `alm_update.measure`
        results[name] = measure(name)
    table = Table(title=f"One environment step of the baselines, {TASK} sizes, float32, one CPU thread")
    table.add_column("")
    for name in results:
        table.add_column(algorithm_named(name).title, justify="right")
    for label, key, form in (
        ("updates, compiled", "compiled_ms", "{:.1f} ms"),
        ("updates, eager", "eager_ms", "{:.1f} ms"),
        ("plain per-critic implementation", "plain_ms", "{:.1f} ms"),
        ("plain / compiled (median of pairs)", "plain_over_compiled", "{:.2f} ×"),
        ("plain / eager (median of pairs)", "plain_over_eager", "{:.2f} ×"),
        ("whole step with acting and simulator", "step_ms", "{:.1f} ms"),
        ("matrix products of the updates", "gflop", "{:.2f} GFLOP"),
        ("throughput, compiled", "gflops", "{:.0f} GFLOP/s"),
    ):
        table.add_row(label, *(form.format(result[key]) for result in results.values()))
    Console().print(table)
    write_record("baseline_updates", {"paper": results}, task=TASK, rounds=ROUNDS["redq"])


if __name__ == "__main__":
    tyro.cli(main)
