"""Tasks of a Ray cluster (Ray Core), each a training process on a node that Ray chooses."""

import logging
import os
import signal
import socket
import warnings
from typing import TYPE_CHECKING, Any

from alm.errors import UserError
from reproduce.lab.errors import EXIT_INTERRUPTED
from reproduce.lab.executors import Ended, Job, Resources
from reproduce.lab.executors.remote import Worker, add_to_log
from reproduce.lab.places import CODE, installing
from reproduce.lab.provenance import Code

if TYPE_CHECKING:
    from ray import ObjectRef

_FAILED = 1
_ANSWER_SECONDS = 10.0
# Variables of the submitter's environment that a job needs.
_PASSED_ON = ("MLFLOW_TRACKING_URI",)


def _carry_out(job: Job, code: Code) -> Ended:
    """The body of a task, in a worker process of Ray's."""
    # Ray cancels by SIGINT, which background processes of a shell ignore, with all their children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return Worker(job, code).carry_out()


class RayTasks:
    """An `Executor` whose jobs are tasks of a cluster; Ray queues them and chooses their nodes.

    Ray's own retries are off, because the grid retries killed jobs and counts the tries.

    Args:
        address: address of the cluster; ``"auto"``: the one that this machine is a node of.

    Raises:
        UserError: Ray is not installed.
        UserError: there is no cluster at that address.
    """

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ImportError:
            raise UserError(f"Ray is not installed: {installing('ray')}") from None
        _require_answer(address)
        variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            ray.init(
                address=address,
                namespace="alm",
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": {**variables, "PYTHONPATH": str(CODE)}},
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise _no_cluster(address, _first_line(error).partition(". ")[0].rstrip(".")) from None
        self._ray = ray
        self._code = Code.here()
        self._jobs: dict[ObjectRef[Any], Job] = {}
        self._ends: dict[ObjectRef[Any], Ended] = {}
        self._waited_for: set[Resources] = set()

    def submit(self, job: Job) -> "ObjectRef[Any]":
        """Hand a job to Ray, which starts it where resources are free."""
        if job.resources not in self._waited_for and not self._can_hold(job.resources):
            self._waited_for.add(job.resources)
            warnings.warn(
                f"no node of the Ray cluster has {_in_words(job.resources)}: {job.label} waits for one",
                stacklevel=2,
            )
        task = self._ray.remote(_carry_out).options(
            name=job.label,
            num_cpus=job.resources.cpus,
            num_gpus=job.resources.gpus,
            memory=job.resources.memory_bytes,
            max_retries=0,
        )
        handle: ObjectRef[Any] = task.remote(job, self._code)
        self._jobs[handle] = job
        return handle

    def poll(self, handle: "ObjectRef[Any]") -> Ended | None:
        """The end of a task; a task whose worker or node died was killed."""
        if handle not in self._ends:
            ready, _ = self._ray.wait([handle], timeout=0)
            if not ready:
                return None
            self._ends[handle] = end = self._end(handle)
            add_to_log(self._jobs.pop(handle), end.words)
        return self._ends[handle]

    def stop(self, handle: "ObjectRef[Any]") -> None:
        """Interrupt a task, whose process then writes checkpoints; a waiting task never starts."""
        self._ray.cancel(handle, force=False)

    def close(self) -> None:
        """Leave the cluster; running tasks end."""
        self._ray.shutdown()

    def _end(self, handle: "ObjectRef[Any]") -> Ended:
        errors = self._ray.exceptions
        try:
            end: Ended = self._ray.get(handle)
            return end
        except errors.TaskCancelledError:
            return Ended(EXIT_INTERRUPTED)
        except errors.RuntimeEnvSetupError as error:
            return Ended(_FAILED, f"the worker could not be set up: {_first_line(error)}")
        except errors.RayTaskError as error:
            return Ended(_FAILED, f"the worker could not run the job: {_last_line(error)}")
        except errors.RayError as error:
            # A worker, a node or the memory that it had is gone, and the process with it.
            return Ended(-signal.SIGKILL, f"{type(error).__name__}: {_first_line(error)}")

    def _can_hold(self, wanted: Resources) -> bool:
        """Whether a job would fit on some existing node if that were idle."""
        return any(
            node["Alive"]
            and node["Resources"].get("CPU", 0) >= wanted.cpus
            and node["Resources"].get("GPU", 0) >= wanted.gpus
            and node["Resources"].get("memory", 0) >= (wanted.memory_bytes or 0)
            for node in self._ray.nodes()
        )


def _require_answer(address: str) -> None:
    """Check that a cluster answers at an address; Ray itself would keep trying for minutes.

    Raises:
        UserError: it is not an address.
        UserError: nothing answers.
    """
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) < 2**16) or "/" in address:
        raise UserError(f"The address of a Ray cluster is auto or HOST:PORT, not {address!r}.")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise _no_cluster(address, str(getattr(error, "strerror", None) or error)) from None


def _no_cluster(address: str, reason: str) -> UserError:
    return UserError(
        f"no Ray cluster answers at {address} ({reason}): start one with 'ray start --head', or name the "
        "address that it printed"
    )


def _in_words(resources: Resources) -> str:
    memory = f", {resources.memory_bytes / 2**30:.1f} GiB of memory" if resources.memory_bytes else ""
    gpus = f", {resources.gpus:.2g} GPUs" if resources.gpus else ""
    return f"{resources.cpus} CPUs{gpus}{memory}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]
