"""``make bench``: milliseconds of ALM's update against a plain implementation and the GEMM peak.

One thread, float32, sizes of the paper on HalfCheetah.  The two implementations and the matrix product
take turns, so that a change of the machine's speed meets all of them; figures are medians.
"""

import statistics
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from alm.agent import ALM
from alm.config import ALMConfig
from alm.objectives import noise_shapes
from alm.tasks import task_spec
from alm.training.replay import Replay
from alm.training.scale import scale_named
from alm.training.streams import Purpose, Streams
from benchmarks.plain_alm import PlainALM
from benchmarks.timing import TASK, filled_replay, gigaflop, median_ratio, take_turns, write_record

ROUNDS = 12


def measure(scale: str, replay: Replay) -> dict[str, float]:
    """Medians over interleaved rounds for one scale, and the arithmetic of an update."""
    task = task_spec(TASK)
    config = ALMConfig.at(scale_named(scale), TASK)
    agent = ALM(task, config, (0,))
    plain = PlainALM(
        task.observation_size, task.action_size, task.action_low, task.action_high, config, torch.float32
    )
    sequences = replay.sample_sequences(config.batch_size, config.horizon, agent.learning)
    batch = replay.sample(config.batch_size, agent.learning)
    noise = {name: torch.randn(1, *shape) for name, shape in noise_shapes(config, task.action_size).items()}

    plain_inputs = sequences[0], batch[0], {name: value[0] for name, value in noise.items()}
    size = config.model_hidden_size
    left, right = torch.randn(config.batch_size, size), torch.randn(size, size)
    observation, acting = torch.randn(1, 1, task.observation_size), Streams((0,), Purpose.ACTING)
    work: dict[str, Callable[[], object]] = {
        "update_ms": lambda: agent.update(sequences, batch, noise, 1),
        "plain_update_ms": lambda: plain.update(*plain_inputs, 1.0),
        "learn_ms": lambda: agent.learn(replay, 1),
        "act_ms": lambda: agent.act(observation, 1, acting),
        "gemm_ms": lambda: left @ right,
    }
    times = take_turns(work, ROUNDS)
    out = {name: statistics.median(values) for name, values in times.items()}
    out["fastest_update_ms"], out["fastest_plain_update_ms"] = (
        min(times[name]) for name in ("update_ms", "plain_update_ms")
    )
    out["gflop"] = gigaflop(work["update_ms"])
    out["gemm_gflops"] = 2e-6 * config.batch_size * size * size / out["gemm_ms"]
    out["fraction_of_peak"] = out["gflop"] / (out["update_ms"] / 1000) / out["gemm_gflops"]
    out["plain_over_ours"] = median_ratio(times["plain_update_ms"], times["update_ms"])
    return out


def main() -> None:
    """Measure, print a table and write ``benchmarks/results/alm_update.json``."""
    torch.set_num_threads(1)
    replay = filled_replay(6000)
    results = {scale: measure(scale, replay) for scale in ("paper", "laptop")}
    table = Table(title=f"ALM update, {TASK} sizes, float32, one CPU thread (median of {ROUNDS})")
    table.add_column("")
    for scale in results:
        table.add_column(f"{scale} scale", justify="right")
    for label, name, form in (
        ("update", "update_ms", "{:.1f} ms"),
        ("plain per-seed implementation", "plain_update_ms", "{:.1f} ms"),
        ("plain / ours (median of pairs)", "plain_over_ours", "{:.2f} ×"),
        ("update with sampling and noise", "learn_ms", "{:.1f} ms"),
        ("acting, one observation", "act_ms", "{:.2f} ms"),
        ("matrix products of an update", "gflop", "{:.2f} GFLOP"),
        ("measured GEMM peak", "gemm_gflops", "{:.0f} GFLOP/s"),
        ("fraction of the peak", "fraction_of_peak", "{:.0%}"),
    ):
        table.add_row(label, *(form.format(result[name]) for result in results.values()))
    Console().print(table)
    write_record("alm_update", results, ROUNDS)


if __name__ == "__main__":
    main()
