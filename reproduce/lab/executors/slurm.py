"""Job arrays of a SLURM cluster, through submitit."""

import math
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alm.errors import UserError
from reproduce.lab.errors import EXIT_INTERRUPTED
from reproduce.lab.executors import Ended, Job, Resources
from reproduce.lab.executors.remote import Worker, add_to_log
from reproduce.lab.places import installing
from reproduce.lab.provenance import Code

if TYPE_CHECKING:
    from submitit import Job as SubmittedJob

# From SLURM's notice to the time limit: enough for a step, an evaluation and a population's checkpoints.
_NOTICE_SECONDS = 300
# SLURM's default limit (MaxArraySize) is 1001.
_LARGEST_ARRAY = 1000
# How often a job may continue in a new allocation: as often as needed.
_REQUEUES = 10_000
# On a shared file system the result of a job may appear after SLURM reports its end.
_GRACE_SECONDS = 30.0
_FAILED = 1


class Task:
    """The callable that submitit runs on a node: runs a job, and checkpoints at the time limit.

    Args:
        job: the job.
        code: the code of the grid.
        stop: file whose presence asks for checkpoints and an end.
    """

    def __init__(self, job: Job, code: Code, stop: Path) -> None:
        self._job, self._code, self._stop = job, code, stop
        self._worker: Worker | None = None

    def __call__(self) -> Ended:
        """Run the job to its end, or to the end of the allocation."""
        self._worker = Worker(self._job, self._code)
        # SLURM itself sends SIGTERM to every process of a job.
        return self._worker.carry_out(self._stop.exists, passes_on_sigterm=False)

    def checkpoint(self) -> Any:
        """Let the process write its checkpoints before the time limit; submitit requeues it.

        submitit calls this in its signal handler, so that `__call__` stands still meanwhile.
        """
        from submitit.helpers import DelayedSubmission

        if self._worker is not None:
            self._worker.stop()
        # By then the grid may be gone, and its marks with it.
        return DelayedSubmission(Task(replace(self._job, marks=()), self._code, self._stop))


@dataclass(eq=False)
class Submission:
    """A job, with its submitit handle once its array is submitted."""

    job: Job
    stop: Path
    known: "SubmittedJob[Ended] | None" = None
    stopping: bool = False
    without_result_since: float | None = None
    ended: Ended | None = None


class SlurmJobs:
    """An `Executor` whose jobs are elements of job arrays, one array per set of resources.

    Jobs are collected until one of them is polled. At the time limit a job writes checkpoints, is requeued
    and resumes from them.

    Args:
        folder: directory of submitit's files, on a file system that all nodes share.
        partition: SLURM partition; None: the default one.
        hours: time limit of an allocation.
        cluster: "slurm"; in tests "local", submitit's processes on this machine.

    Raises:
        UserError: submitit is not installed, there is no SLURM on this machine, or the time limit leaves no
            time to train.
    """

    def __init__(
        self,
        folder: Path,
        partition: str | None,
        hours: float,
        cluster: str = "slurm",
    ) -> None:
        if 3600.0 * hours <= _NOTICE_SECONDS:
            raise UserError(
                f"--hours {hours:g} leaves a job no time: its runs write checkpoints and are requeued "
                f"{_NOTICE_SECONDS // 60} minutes before its end."
            )
        try:
            import submitit
        except ImportError:
            raise UserError(f"submitit is not installed: {installing('slurm')}") from None
        try:
            self._executor = submitit.AutoExecutor(
                folder.resolve(),
                cluster=cluster,
                slurm_max_num_timeout=_REQUEUES,
                local_max_num_timeout=_REQUEUES,
            )
        except RuntimeError:
            raise UserError(
                "there is no SLURM on this machine (srun was not found): submit from a login node of the "
                "cluster"
            ) from None
        self._folder, self._partition, self._hours = folder, partition, hours
        self._code = Code.here()
        self._gathered: list[Submission] = []

    def submit(self, job: Job) -> Submission:
        """Collect a job; it is submitted with the others when one of them is polled."""
        stop = self._folder.resolve() / f"{job.log.stem}.stop"
        stop.unlink(missing_ok=True)
        self._gathered.append(submission := Submission(job, stop))
        return submission

    def poll(self, handle: Submission) -> Ended | None:
        """The end of a job; a node failure, or a cancellation by someone else, counts as a kill.

        Raises:
            UserError: SLURM refuses the collected jobs; the message has its reason.
        """
        self._submit_gathered()
        if handle.ended is None and handle.known is not None and handle.known.done():
            handle.ended = self._end(handle, handle.known)
            if handle.ended is not None:
                add_to_log(handle.job, handle.ended.words)
                handle.stop.unlink(missing_ok=True)
        return handle.ended

    def stop(self, handle: Submission) -> None:
        """Ask a job, through a file, to write its checkpoints and end; a waiting job is cancelled."""
        handle.stopping = True
        if handle.known is None:
            # It is not among them any more if SLURM has refused them.
            self._gathered = [one for one in self._gathered if one is not handle]
            handle.ended = Ended(EXIT_INTERRUPTED)
        elif handle.ended is None:
            handle.stop.touch()
            # The state that submitit caches may be ten minutes old.
            handle.known.done(force_check=True)
            if handle.known.state == "PENDING":
                handle.known.cancel(check=False)

    def close(self) -> None:
        """Does nothing: jobs belong to SLURM."""

    def _submit_gathered(self) -> None:
        """Submit the collected jobs, in arrays."""
        gathered, self._gathered = self._gathered, []
        for resources in dict.fromkeys(one.job.resources for one in gathered):
            alike = [one for one in gathered if one.job.resources == resources]
            self._executor.update_parameters(**self._parameters(resources, len(alike)))
            for first in range(0, len(alike), _LARGEST_ARRAY):
                self._submit_array(alike[first : first + _LARGEST_ARRAY])

    def _submit_array(self, submissions: Sequence[Submission]) -> None:
        from submitit.core.utils import FailedJobError

        tasks = [Task(one.job, self._code, one.stop) for one in submissions]
        try:
            submitted = self._executor.submit_array(tasks)
        except FailedJobError as error:
            reason = str(error).strip().rpartition("\n")[2].removeprefix("sbatch: error: ").rstrip(".")
            raise UserError(
                f"SLURM refuses the jobs ({reason}): choose another --partition, --hours or --device"
            ) from None
        for one, known in zip(submissions, submitted, strict=True):
            one.known = known

    def _parameters(self, resources: Resources, jobs: int) -> dict[str, Any]:
        """SLURM's options for jobs that need these resources."""
        parameters: dict[str, Any] = {
            "name": "alm-grid",
            "timeout_min": math.ceil(60 * self._hours),
            "cpus_per_task": resources.cpus,
            "slurm_signal_delay_s": _NOTICE_SECONDS,
            "slurm_array_parallelism": jobs,
        }
        if resources.gpus:
            parameters["gpus_per_node"] = math.ceil(resources.gpus)
        if resources.memory_bytes:
            parameters["mem_gb"] = math.ceil(resources.memory_bytes / 2**30)
        if self._partition:
            parameters["slurm_partition"] = self._partition
        return parameters

    def _end(self, handle: Submission, known: "SubmittedJob[Ended]") -> Ended | None:
        """The end of a job that SLURM reports as ended; None while its result may still appear."""
        from submitit.core.utils import FailedJobError

        if known.paths.result_pickle.exists():
            try:
                return known.result()
            except FailedJobError as error:
                reason = str(error).strip().rpartition("\n")[2]
                return Ended(_FAILED, f"the worker could not run the job: {reason}")
        if handle.stopping:
            return Ended(EXIT_INTERRUPTED)
        now = time.monotonic()
        handle.without_result_since = handle.without_result_since or now
        if now - handle.without_result_since < _GRACE_SECONDS:
            return None
        return Ended(-signal.SIGKILL, f"SLURM's job {known.job_id} ended without a result ({known.state})")
