"""``make bench``: milliseconds of SAC, TD3 and REDQ per environment step, against plain implementations.

One thread, float32, the papers' sizes on HalfCheetah. The plain implementation has one module, one
optimiser and one forward pass per critic. All updates of an environment step are timed (twenty for
REDQ); "learn" adds sampling and noise, "step" also acting and the simulator.
"""

import statistics
from collections.abc import Callable

import tyro
from rich.console import Console
from rich.table import Table

from alm.task_registry import task_spec
from alm.training.scale import scale_named
from benchmarks.environment_step import Candidate
from benchmarks.plain import PLAIN, updates_per_step
from benchmarks.timing import (
    TASK,
    as_in_training,
    filled_replay,
    gigaflop,
    median_ratio,
    take_turns,
    write_record,
)
from reproduce.lab.algorithms import algorithm_named

ROUNDS = {"sac": 200, "td3": 200, "redq": 12}


def measure(name: str) -> dict[str, float]:
    """Medians over rounds in which ours and the plain implementation take turns."""
    task, replay = task_spec(TASK), filled_replay(6000)
    agent_class, config_class = algorithm_named(name).load()
    config = config_class.at(scale_named("paper"), TASK)
    agent, plain = agent_class(task, config, (0,)), PLAIN[name](task, config)
    drawn, noise = replay.sample(config.batch_size, agent.learning), agent.draw_noise()
    own_noise = {key: value[0] for key, value in noise.items()}

    # TD3 updates its policy in every second step: rounds of two steps all cost the same.
    updates = range(1, 2 * updates_per_step(config) + 1)

    def update() -> None:
        for number in updates:
            agent.update(drawn, noise, number)

    def plain_update() -> None:
        for number in updates:
            plain.update(drawn[0], own_noise, number)

    def learn() -> None:
        for step in (1, 2):
            agent.learn(replay, step)

    work: dict[str, Callable[[], object]] = {
        "update_ms": update,
        "plain_update_ms": plain_update,
        "learn_ms": learn,
        "step_ms": Candidate(name, "paper", replay).two_steps,
    }
    times = take_turns(work, ROUNDS[name])
    out = {key: statistics.median(values) / 2 for key, values in times.items()}
    out["plain_over_ours"] = median_ratio(times["plain_update_ms"], times["update_ms"])
    out["gflop"] = gigaflop(update) / 2
    out["gflops"] = 1000 * out["gflop"] / out["update_ms"]
    return out


def main() -> None:
    """Measure, print a table and write ``out/benchmarks/baseline_updates.json``."""
    as_in_training()
    results = {name: measure(name) for name in ROUNDS}
    table = Table(title=f"One environment step of the baselines, {TASK} sizes, float32, one CPU thread")
    table.add_column("")
    for name in results:
        table.add_column(algorithm_named(name).title, justify="right")
    for label, key, form in (
        ("updates", "update_ms", "{:.1f} ms"),
        ("plain per-critic implementation", "plain_update_ms", "{:.1f} ms"),
        ("plain / ours (median of pairs)", "plain_over_ours", "{:.2f} ×"),
        ("updates with sampling and noise", "learn_ms", "{:.1f} ms"),
        ("whole step with acting and simulator", "step_ms", "{:.1f} ms"),
        ("matrix products of the updates", "gflop", "{:.2f} GFLOP"),
        ("throughput", "gflops", "{:.0f} GFLOP/s"),
    ):
        table.add_row(label, *(form.format(result[key]) for result in results.values()))
    Console().print(table)
    write_record("baseline_updates", {"paper": results}, task=TASK, rounds=ROUNDS["redq"])


if __name__ == "__main__":
    tyro.cli(main)
