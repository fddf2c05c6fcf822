"""The training loop: warm-up, act, step, store, update, evaluate, checkpoint — for every agent.

All seeds of the population advance in lockstep: one environment step each, then one call of
`Agent.learn`. But for rounding, a seed's outcome does not depend on the others; a seed whose
losses are no longer finite ends as failed while the rest continue.
"""

import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from torch import Tensor

from alm.training.agent import Agent, Metrics, require_metrics, require_shape, require_tree
from alm.training.bias import headline_bias
from alm.training.bias_protocol import Estimating, ValueBias
from alm.training.checkpoint import load_newest
from alm.training.environment import TrainingEnvironment, Workers
from alm.training.evaluation import Evaluation, Evaluator
from alm.training.metrics import Failure, FiniteCheck, Recorder
from alm.training.population import join_seeds, share_of_seed
from alm.training.progress import Reporter
from alm.training.replay import Replay
from alm.training.run_directory import RunDirectory
from alm.training.scale import TrainingConfig
from alm.training.streams import Purpose, Streams

# A checkpoint is due this long after the last one or, if longer, this multiple of what writing that one took.
_CHECKPOINT_SECONDS = 120.0
_CHECKPOINT_SHARE = 20.0


class Interrupted(Exception):
    """Requested stop of a run; its state is stored and the same command resumes it."""


class Trainer:
    """Trainer of one population to the end of its run, resuming from its run directories.

    Args:
        agent: a freshly built population, whose device the replay shares.
        make: builds one environment of its task.
        config: length of the run, and intervals of evaluations and logs.
        directories: one opened run directory for each seed, in the agent's order.
        reporter: shows progress.
        checkpoint_seconds: time between two checkpoints; longer if writing one takes over a twentieth of it.
        simulator_threads: threads that step the seeds' simulators; outcomes do not depend on it.
        make_without_noise: builds one noise-free environment, in which a noisy task is also evaluated;
            None: the task has no noise.
        until: environment step, before the run's end, at which to stop with a checkpoint; None: train to
            the end.
    """

    def __init__(
        self,
        agent: Agent,
        make: Callable[[], gymnasium.Env],
        config: TrainingConfig,
        directories: Sequence[RunDirectory],
        reporter: Reporter,
        checkpoint_seconds: float = _CHECKPOINT_SECONDS,
        simulator_threads: int = 1,
        make_without_noise: Callable[[], gymnasium.Env] | None = None,
        until: int | None = None,
    ) -> None:
        self.agent, self.task, self.device, self.config = agent, agent.task, agent.device, config
        self.directories, self.reporter = directories, reporter
        self.checkpoint_seconds = checkpoint_seconds
        self.until = min(config.total_steps, until or config.total_steps)
        self.warmup = agent.config.warmup_steps
        self.environments = [TrainingEnvironment(make(), seed) for seed in agent.seeds]
        self.workers = Workers(simulator_threads)
        self.evaluators = {
            suffix: Evaluator(build, agent.seeds, config.eval_episodes, self.workers)
            for suffix, build in (("", make), ("_without_noise", make_without_noise))
            if build is not None
        }
        self.bias = ValueBias(make, agent.seeds) if isinstance(agent, Estimating) else None
        self.acting = Streams(agent.seeds, Purpose.ACTING, device=self.device)
        self.replay = Replay(
            len(agent.seeds),
            min(agent.config.replay_capacity, config.total_steps),
            self.task.observation_size,
            self.task.action_size,
            self.device,
        )
        self.alive = [True] * len(agent.seeds)
        self.step = 0
        self._recorder = Recorder(len(agent.seeds), self.device)
        self._finite = FiniteCheck(self.device)
        self._stop_requested = False

    def run(self) -> None:
        """Train to the end of the run, or to the requested step and write a checkpoint there.

        Raises:
            Interrupted: SIGINT or SIGTERM arrived; a checkpoint has been written.
            alm.training.lease.LeaseLostError: another process has taken one of the runs.
        """
        handlers = {s: signal.signal(s, self._request_stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._resume()
            self._agent_state()  # one that no checkpoint can hold is better found now
            self.reporter.start(self.step, self.until, self.warmup)
            self._checkpoint_due = time.monotonic() + self.checkpoint_seconds
            while self.step < self.until and any(self.alive):
                self._advance()
                if self._stop_requested or self.step == self.until < self.config.total_steps:
                    self._checkpoint()
                if self._stop_requested:
                    raise Interrupted(f"stopped at step {self.step}; the same command goes on from there")
            if any(self.alive) and self.step == self.config.total_steps:
                self._finish()
        except FileNotFoundError:
            # A process that took over the run drops old files, perhaps one that this one was about to drop.
            for directory in self.directories:
                directory.require_held()
            raise
        finally:
            for which, handler in handlers.items():
                signal.signal(which, handler)
            self.reporter.close()
            for evaluator in self.evaluators.values():
                evaluator.close()
            if self.bias is not None:
                self.bias.close()
            for environment in self.environments:
                environment.close()
            self.workers.close()

    def _advance(self) -> None:
        """One environment step of every seed, and everything due after it."""
        began = time.perf_counter()
        actions = self._choose_actions()
        acted = time.perf_counter()
        self._step_environments(actions)
        self.step += 1
        stepped = time.perf_counter()

        training_step = self.step - self.warmup
        if training_step == 0:
            self._drop_episodes()
        if training_step > 0 and (metrics := self._learn(training_step)):
            self._recorder.add(metrics)
            self._end_failed(self._finite.note(metrics, self.step))
        updated = time.perf_counter()
        self._recorder.add_time(act=acted - began, environment=stepped - acted, update=updated - stepped)
        self.reporter.step(self.step)

        if self.step % self.config.log_every == 0:
            self._log()
        last = self.step == self.config.total_steps
        if last or training_step == 0 or (training_step > 0 and self.step % self.config.eval_every == 0):
            self._evaluate()
        if last or time.monotonic() >= self._checkpoint_due:
            self._checkpoint()

    def _learn(self, training_step: int) -> Metrics:
        return require_metrics(self.agent.learn(self.replay, training_step), len(self.agent.seeds))

    def _choose_actions(self) -> Tensor:
        """Actions (S, action): uniform during the warm-up, the agent's afterwards."""
        if self.step < self.warmup:
            return self.acting.uniform(
                self.task.action_size, low=self.task.action_low, high=self.task.action_high
            )
        observation = torch.from_numpy(self._observations()).to(self.device)[:, None]
        actions = self.agent.act(observation, self.step - self.warmup + 1, self.acting)
        shape = (len(self.agent.seeds), 1, self.task.action_size)
        return require_shape("what `act` returns", actions, shape, "(S, batch, action)")[:, 0]

    def _observations(self) -> np.ndarray:
        return np.stack([e.observation for e in self.environments]).astype(np.float32)

    def _step_environments(self, actions: Tensor) -> None:
        """Step every living seed's environment with its action and store the transitions."""
        seeds = len(self.environments)
        before, after = self._observations(), np.zeros((seeds, self.task.observation_size), np.float32)
        rewards, terminal = np.zeros(seeds, np.float32), np.zeros(seeds, np.float32)
        ended = np.zeros(seeds, bool)
        chosen = actions.cpu().numpy()
        living = [i for i in range(seeds) if self.alive[i]]
        outcomes = self.workers.each(lambda i: self.environments[i].step(chosen[i]), living)
        for i, (observation, reward, terminated, truncated) in zip(living, outcomes, strict=True):
            environment = self.environments[i]
            after[i], rewards[i] = observation, reward
            terminal[i], ended[i] = float(terminated), terminated or truncated
            if ended[i]:
                self._recorder.add_episode(i, environment.episode_return, environment.episode_length)
                environment.reset()
        self.replay.add(
            torch.from_numpy(before),
            actions,
            torch.from_numpy(rewards),
            torch.from_numpy(after),
            torch.from_numpy(terminal),
            torch.from_numpy(ended),
        )

    def _drop_episodes(self) -> None:
        """Begin new episodes after the warm-up, as the authors' code does."""
        self.replay.end_episode()
        for environment in self.environments:
            environment.reset()

    def _end_failed(self, failures: Sequence[Failure]) -> None:
        """End the living seeds among those whose losses or gradient norms are no longer finite."""
        for index, metric, step in failures:
            if self.alive[index]:
                self._fail(index, metric, step)

    def _fail(self, index: int, metric: str, step: int | None = None) -> None:
        """End one seed as failed, by default at this step; the others continue."""
        step = self.step if step is None else step
        seed, reason = self.agent.seeds[index], f"{metric} is not finite"
        self.alive[index] = False
        self.directories[index].write_json(
            "FAILED", {"seed": seed, "step": step, "metric": metric, "reason": reason}
        )
        self.reporter.message(f"seed {seed} failed at step {step}: {reason}")

    def _log(self) -> None:
        """Write the averages since the last log interval, and the exploration noise of the last actions."""
        self._end_failed(self._finite.read())
        training_step = self.step - self.warmup
        std = self.agent.exploration_std(training_step) if training_step > 0 else None
        noise = {} if std is None else {"actor/exploration_std": float(std)}
        for i, values in enumerate(self._recorder.averages()):
            self._append(i, metrics=values | noise)
        self._recorder.clear()

    def _evaluate(self) -> None:
        """Evaluate every living seed's policy, measure its value bias, and record both."""
        self._end_failed(self._finite.read())
        began = time.perf_counter()
        found = {
            suffix: evaluator.evaluate(self.agent, self.step, tuple(self.alive))
            for suffix, evaluator in self.evaluators.items()
        }
        seconds = time.perf_counter() - began
        self._recorder.advance(seconds)
        for suffix, evaluations in found.items():
            for i, evaluation in enumerate(evaluations):
                if self.alive[i] and not np.isfinite(evaluation.returns).all():
                    self._fail(i, f"eval/return{suffix}")
        evaluations = found[""]
        for i, bias in enumerate(self._measure_bias()):
            values = {"time/evaluation_s": seconds, **bias}
            for suffix, of_seeds in found.items():
                values |= {
                    f"eval/return{suffix}": float(np.mean(of_seeds[i].returns)),
                    f"eval/return_std{suffix}": float(np.std(of_seeds[i].returns)),
                    f"eval/length{suffix}": float(np.mean(of_seeds[i].lengths)),
                }
            episodes = {"returns": evaluations[i].returns, "lengths": evaluations[i].lengths}
            self._append(i, metrics=values, **episodes, population=len(self.directories))
        self._keep_policies(evaluations)
        self.reporter.evaluation(
            self.step,
            [
                float(np.mean(evaluation.returns)) if alive else None
                for evaluation, alive in zip(evaluations, self.alive, strict=True)
            ],
        )

    def _keep_policies(self, evaluations: Sequence[Evaluation]) -> None:
        """Save every living seed's policy at this step; checkpoints decide which of them are kept."""
        state, seeds = self.agent.policy_state(), len(self.directories)
        for i, directory in enumerate(self.directories):
            if self.alive[i] and state:
                directory.policies.save(self.step, share_of_seed(state, i, seeds), evaluations[i].returns)

    def _measure_bias(self) -> list[dict[str, float]]:
        """Save the value sample of every living seed; returns its normalised bias (REDQ's) for the metrics.

        The runs' clocks are paused meanwhile, because not every algorithm is measured.
        """
        metrics: list[dict[str, float]] = [{} for _ in self.alive]
        if self.bias is None:
            return metrics
        agent = cast(Estimating, self.agent)
        samples = self.bias.measure(agent, self.step, tuple(self.alive))
        for i, sample in enumerate(samples):
            if sample is None:
                continue
            for name, estimate in sample.estimates.items():
                bias = headline_bias(estimate, sample.monte_carlo)
                metrics[i] |= {f"qbias/{name}_mean": bias.mean, f"qbias/{name}_std": bias.std}
            unusable = [name for name, value in metrics[i].items() if not np.isfinite(value)]
            if unusable:
                self._fail(i, unusable[0])
            else:
                self.directories[i].write_values(self.step, sample)
        return metrics

    def _append(self, seed: int, **content: Any) -> None:
        """Append a line to a living seed's metrics."""
        if self.alive[seed]:
            self.directories[seed].append_metrics(
                self.step, max(self.step - self.warmup, 0), self._recorder.clocks[seed], **content
            )

    def _checkpoint(self) -> None:
        """Store every living seed's state."""
        self._end_failed(self._finite.read())
        seeds = len(self.directories)
        began = time.monotonic()
        population = {
            "agent": self._agent_state(),
            "replay": self.replay.state(),
            "acting": self.acting.state(),
        }
        for i, directory in enumerate(self.directories):
            if not self.alive[i]:
                continue
            offset = directory.metrics_offset()
            tree = {
                "step": self.step,
                "population": share_of_seed(population, i, seeds),
                "environment": self.environments[i].state(),
                "recorder": self._recorder.state(i),
                "metrics_offset": offset,
            }
            directory.checkpoints.save(self.step, tree)
            directory.commit_metrics(offset)
            directory.policies.keep_for(directory.checkpoints.steps())
        self._checkpoint_due = time.monotonic() + max(
            self.checkpoint_seconds, _CHECKPOINT_SHARE * (time.monotonic() - began)
        )

    def _agent_state(self) -> dict[str, Any]:
        return require_tree("what `state` returns", self.agent.state(), len(self.agent.seeds))

    def _resume(self) -> None:
        """Resume from the newest common checkpoint, or start from the beginning if there is none."""
        found = load_newest([directory.checkpoints for directory in self.directories])
        for directory in self.directories:
            directory.write_json("population.json", {"seeds": list(self.agent.seeds)})
        offsets = [0] * len(self.directories)
        if found is not None:
            self.step, trees = found
            population = join_seeds([tree["population"] for tree in trees])
            self.agent.load_state(population["agent"])
            self.replay.load_state(population["replay"])
            self.acting.load_state(population["acting"])
            for i, tree in enumerate(trees):
                self.environments[i].load_state(tree["environment"])
                self._recorder.load_state(i, tree["recorder"])
            offsets = [tree["metrics_offset"] for tree in trees]
        # A seed that had come further would keep its two checkpoints, and not the next common one. They go
        # before metrics are cut: killed in between, it would have one that covers more than there are.
        for directory in self.directories:
            directory.drop_after(self.step)
        for directory, offset in zip(self.directories, offsets, strict=True):
            directory.start_metrics(offset)

    def _finish(self) -> None:
        """Write the record that marks a run as done."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak_bytes = peak if sys.platform == "darwin" else peak * 1024
        memory = f"peak memory {peak_bytes / 2**30:.2f} GiB"
        if torch.device(self.device).type == "cuda":
            memory += f", {torch.cuda.max_memory_allocated(self.device) / 2**30:.2f} GiB on {self.device}"
        self.reporter.message(f"done after {max(self._recorder.clocks) / 60:.1f} min; {memory}")
        for i, directory in enumerate(self.directories):
            if self.alive[i]:
                directory.write_json(
                    "DONE", {"peak_memory_bytes": peak_bytes, "finished_ms": time.time_ns() // 1_000_000}
                )

    def _request_stop(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        if self._stop_requested:
            raise KeyboardInterrupt
        self._stop_requested = True
        self.reporter.message("stopping after this step; press Ctrl-C again to stop at once")
