"""A Ray cluster of several nodes on this machine, for benchmarks and tests of the engine."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Shared memory per node; jobs do not use it. Ray's minimum is 75 MiB.
_SHARED_BYTES = 80_000_000
_ATTEMPTS = 5


class Nodes:
    """Cluster of nodes with one CPU each; the first is its head, on which the cluster depends."""

    def __init__(self, number: int) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "object_store_memory": _SHARED_BYTES, "include_dashboard": False}
        self._cluster = _patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        self._others: list[Any] = []
        self.fill(number)

    @property
    def address(self) -> str:
        """Address at which drivers connect."""
        return str(self._cluster.address)

    def fill(self, number: int) -> None:
        """Add nodes up to a number, including the head."""
        while len(self._others) < number - 1:
            self._others.append(_patiently(self._add))

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=_SHARED_BYTES)

    def can_kill(self, raylet: int) -> bool:
        """Whether a process is the raylet of a node that is not the head."""
        return any(raylet in _raylets(node) for node in self._others)

    def kill(self, raylet: int) -> None:
        """Kill without warning the node whose raylet has that process id."""
        (node,) = (one for one in self._others if raylet in _raylets(one))
        self._others.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        """End all processes of the cluster."""
        self._cluster.shutdown()


def _patiently(start: Callable[[], Any]) -> Any:
    """Result of ``start`` with retries: on a busy machine Ray gives up on a node after half a minute.

    Raises:
        RuntimeError: it never started.
    """
    for _ in range(_ATTEMPTS):
        try:
            return start()
        except Exception as error:  # Ray has no specific type for this
            if "timed out during startup" not in str(error):
                raise
    raise RuntimeError(f"no node of Ray's started within {_ATTEMPTS} tries: this machine is too busy")


def _raylets(node: Any) -> list[int]:
    return [one.process.pid for one in node.all_processes["raylet"]]


@contextmanager
def ray_nodes(number: int) -> Iterator[Nodes]:
    """A cluster while the block runs."""
    # Ray reports usage to its makers unless disabled.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = Nodes(number)
    try:
        yield nodes
    finally:
        nodes.shutdown()
