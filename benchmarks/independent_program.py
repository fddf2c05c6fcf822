"""Program for the Python of `benchmarks.libraries`: SAC of another library on a task of the suite.

``python independent_program.py LIBRARY TASK SEED STEPS`` prints ``evaluation STEP RETURN`` every 5000 steps:
the mean over five greedy episodes, as at `paper` scale.
"""

import importlib
import os
import sys
from typing import Any

# One thread for JAX too.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import gymnasium
import numpy as np
import torch

from alm.tasks import make

_WARMUP = 5000
_EVERY, _EPISODES = 5000, 5


def main(library: str, task: str, seed: int, steps: int) -> None:
    """Train with the library's defaults, which are the suite's settings but for the warm-up."""
    torch.set_num_threads(1)
    learner = importlib.import_module(library).SAC(
        "MlpPolicy",
        make(task),
        learning_starts=_WARMUP,
        policy_kwargs={"net_arch": [256, 256]},
        seed=seed,
        device="cpu",
    )
    environment = make(task)

    def evaluate(*_: object) -> bool:
        step = learner.num_timesteps
        if step % _EVERY == 0:
            starts = np.random.SeedSequence((seed, step)).generate_state(_EPISODES)
            returns = [greedy_return(learner, environment, int(start)) for start in starts]
            print("evaluation", step, np.mean(returns), flush=True)
        return True

    learner.learn(steps, callback=evaluate)


def greedy_return(learner: Any, environment: gymnasium.Env, start: int) -> float:
    """Return of a greedy episode that begins at the initial state of seed ``start``."""
    observation, _ = environment.reset(seed=start)
    total, ended = 0.0, False
    while not ended:
        action, _ = learner.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = environment.step(action)
        total, ended = total + float(reward), terminated or truncated
    return total


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
