"""``make bench``: processor time of ALM's update against a plain implementation and the matrix-product peak.

One thread, the paper's sizes on HalfCheetah. All execution modes, the plain implementation and the
matrix products take turns, so that changes of the machine's speed affect all of them; figures are medians.
With ``--compiled`` the update through torch.compile is also measured, after minutes of compilation.
"""

import statistics
from collections.abc import Callable

import torch
import tyro
from rich.console import Console
from rich.table import Table

from alm.agent import ALM
from alm.config import ALMConfig
from alm.objectives import noise_shapes
from alm.task_registry import task_spec
from alm.training.execution import Execution, execute
from alm.training.replay import Replay
from alm.training.scale import scale_named
from alm.training.streams import Purpose, Streams
from benchmarks.plain import PLAIN
from benchmarks.timing import (
    TASK,
    as_in_training,
    filled_replay,
    gigaflop,
    median_ratio,
    milliseconds,
    milliseconds_by_operation,
    take_turns,
    to_stderr,
    write_record,
)

ROUNDS = 12
_WAYS = {"float32": Execution(), "bf16": Execution("bf16")}
_COMPILED_WAYS = {"compiled": Execution(compiled=True), "compiled_bf16": Execution("bf16", compiled=True)}
# Operations of `milliseconds_by_operation` by part: matrix products, activations, optimisers.
_PARTS = {
    "matrix products": ("bmm", "baddbmm"),
    "ELU and its derivative": ("elu_", "elu_backward"),
    "layer norm and tanh": (
        "native_layer_norm", "native_layer_norm_backward", "tanh", "tanh_backward", "addcmul",
    ),
    "Adam, gradient norms, targets": (
        "_fused_adam_", "linalg_vector_norm", "_foreach_mul_", "_foreach_lerp_",
    ),
}  # fmt: skip


def measure(scale: str, replay: Replay, ways: dict[str, Execution]) -> dict[str, object]:
    """Medians over interleaved rounds for one scale, and the arithmetic of an update."""
    # Otherwise versions compiled for other sizes count towards torch.compile's limit per function, beyond
    # which it runs eagerly.
    torch.compiler.reset()
    task = task_spec(TASK)
    config = ALMConfig.at(scale_named(scale), TASK)
    agents = {name: ALM(task, config, (0,)) for name in ways}
    agent = agents["float32"]
    for name, way in ways.items():
        execute(agents[name], way, to_stderr)
    plain = PLAIN["alm"](task, config)
    sequences = replay.sample_sequences(config.batch_size, config.horizon, agent.learning)
    batch = replay.sample(config.batch_size, agent.learning)
    noise = {name: torch.randn(1, *shape) for name, shape in noise_shapes(config, task.action_size).items()}

    plain_inputs = sequences[0], batch[0], {name: value[0] for name, value in noise.items()}
    size = config.model_hidden_size
    left, right = torch.randn(config.batch_size, size), torch.randn(size, size)
    half_left, half_right = left.bfloat16(), right.bfloat16()
    observation, acting = torch.randn(1, 1, task.observation_size), Streams((0,), Purpose.ACTING)

    def updating(which: ALM) -> Callable[[], object]:
        return lambda: which.update(sequences, batch, noise, 1)

    work: dict[str, Callable[[], object]] = {
        **{f"{name}_ms": updating(which) for name, which in agents.items()},
        "plain_ms": lambda: plain.update(*plain_inputs, 1.0),
        "learn_ms": lambda: agent.learn(replay, 1),
        "act_ms": lambda: agent.act(observation, 1, acting),
        "gemm_ms": lambda: left @ right,
        "gemm_bf16_ms": lambda: half_left @ half_right,
    }
    compiling = {name: milliseconds(work[f"{name}_ms"]) / 1000 for name in ways if ways[name].compiled}
    times = take_turns(work, ROUNDS)
    out: dict[str, object] = {name: statistics.median(values) for name, values in times.items()}
    flop = gigaflop(work["float32_ms"])
    product = 2e-6 * config.batch_size * size * size
    peaks = {"float32": product / min(times["gemm_ms"]), "bf16": product / min(times["gemm_bf16_ms"])}
    for name, way in ways.items():
        own = times[f"{name}_ms"]
        out[f"plain_over_{name}"] = median_ratio(times["plain_ms"], own)
        out[f"{name}_of_peak"] = 1000 * flop / statistics.median(own) / peaks[way.precision]
    by_operation = milliseconds_by_operation(work["float32_ms"])
    parts = {part: sum(by_operation.get(name, 0.0) for name in names) for part, names in _PARTS.items()}
    whole = sum(by_operation.values())
    shares = {part: taken / whole for part, taken in parts.items()}
    return out | {
        "gflop": flop,
        "gemm_gflops": peaks["float32"],
        "gemm_bf16_gflops": peaks["bf16"],
        "products_gflops": 1000 * flop / parts["matrix products"],
        "shares": shares | {"everything else": 1 - sum(shares.values())},
        "compiling_s": compiling,
    }


def main(compiled: bool = False) -> None:
    """Measure, print a table and write ``out/benchmarks/alm_update.json``.

    Args:
        compiled: Also measure the update through torch.compile, which first takes minutes.
    """
    as_in_training()
    ways = _WAYS | (_COMPILED_WAYS if compiled else {})
    replay = filled_replay(6000)
    results = {scale: measure(scale, replay, ways) for scale in ("paper", "laptop")}
    table = Table(title=f"ALM update, {TASK} sizes, one CPU thread (median of {ROUNDS}, processor time)")
    table.add_column("")
    for scale in results:
        table.add_column(f"{scale} scale", justify="right")
    rows = [
        *((f"update, {name}", f"{name}_ms", "{:.1f} ms") for name in ways),
        ("plain per-seed implementation, float32", "plain_ms", "{:.1f} ms"),
        *((f"plain / {name} (median of pairs)", f"plain_over_{name}", "{:.2f} ×") for name in ways),
        ("update with sampling and noise", "learn_ms", "{:.1f} ms"),
        ("acting, one observation", "act_ms", "{:.2f} ms"),
        ("matrix products of an update", "gflop", "{:.2f} GFLOP"),
        ("measured GEMM peak, float32", "gemm_gflops", "{:.0f} GFLOP/s"),
        ("measured GEMM peak, bf16", "gemm_bf16_gflops", "{:.0f} GFLOP/s"),
        *((f"fraction of its peak, {name}", f"{name}_of_peak", "{:.0%}") for name in ways),
    ]
    for label, name, form in rows:
        table.add_row(label, *(form.format(result[name]) for result in results.values()))
    Console().print(table)
    write_record("alm_update", results, task=TASK, rounds=ROUNDS)


if __name__ == "__main__":
    tyro.cli(main)
