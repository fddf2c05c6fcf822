"""Robots on plain MuJoCo calls, and episodes of tasks by random actions."""

import warnings
from pathlib import Path

import gymnasium
import mujoco
import numpy as np

import alm.tasks
from alm.task_registry import TASKS

ASSETS = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"


class Robot:
    """A MuJoCo model and its state, with contact forces computed after every control interval."""

    def __init__(self, xml):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*settotalmass")
            self.model = mujoco.MjModel.from_xml_path(str(ASSETS / xml))
        self.data = mujoco.MjData(self.model)

    def place(self, qpos, qvel):
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:] = qpos, qvel
        mujoco.mj_forward(self.model, self.data)

    def advance(self, control, substeps):
        self.data.ctrl[:] = control  # the engine clips it
        for _ in range(substeps):
            mujoco.mj_step(self.model, self.data)
        mujoco.mj_rnePostConstraint(self.model, self.data)


def make(name):
    """A task's environment, with and without its limit of time."""
    env = alm.tasks.make(name)
    return env, env.unwrapped


def random_actions(name, number, seed=0, scale=1.0):
    """Actions in ±1 for every task, as a tanh policy gives: outside the range of the humanoids, ±0.4."""
    rng = np.random.default_rng(seed)
    return (scale * rng.uniform(-1, 1, (number, TASKS[name].action_size))).astype(np.float32)


def episode(env, name, seed, steps):
    """Everything that random actions give in some steps, episodes following each other."""
    trace = [env.reset(seed=seed)[0].tobytes()]
    for action in random_actions(name, steps, seed=99):
        observation, reward, terminated, truncated, _ = env.step(action)
        trace.append((observation.tobytes(), reward, terminated, truncated))
        if terminated or truncated:
            trace.append(env.reset()[0].tobytes())
    return trace
