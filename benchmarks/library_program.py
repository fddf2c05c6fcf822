"""Program for the Python of `benchmarks.libraries`: steps of SAC or TD3 in Stable-Baselines3 or SBX.

``python library_program.py LIBRARY ALGORITHM STEPS`` makes STEPS environment steps, each with its update,
for every line that it reads, and answers with the processor time per step in milliseconds.
"""

import importlib
import os
import sys
import time

# One thread for JAX too.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import gymnasium
import torch

_HIDDEN = [256, 256]
_BATCH = 256
# Random steps before the first update, and the buffer size.
_STARTS, _BUFFER = 1000, 100_000


def main(library: str, algorithm: str, steps: int) -> None:
    """Warm up, then run one round per line of input."""
    torch.set_num_threads(1)
    learner = getattr(importlib.import_module(library), algorithm.upper())(
        "MlpPolicy",
        gymnasium.make("HalfCheetah-v5"),
        batch_size=_BATCH,
        learning_starts=_STARTS,
        buffer_size=_BUFFER,
        train_freq=1,
        gradient_steps=1,
        policy_kwargs={"net_arch": _HIDDEN},
        device="cpu",
    )
    learner.learn(_STARTS + steps)
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.process_time()
        learner.learn(steps, reset_num_timesteps=False)
        print(1000 * (time.process_time() - began) / steps, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
