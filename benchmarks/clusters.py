"""A Ray cluster of several nodes on this machine, for benchmarks and tests of the engine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# A node's shared memory; jobs pass nothing through it. Ray's least is 75 MiB.
_SHARED_BYTES = 80_000_000


class Nodes:
    """A cluster whose head runs no job, and nodes of one CPU each."""

    def __init__(self, number: int) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": _SHARED_BYTES, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes = [self._add() for _ in range(number)]

    @property
    def address(self) -> str:
        """Where a driver joins."""
        return str(self._cluster.address)

    def replace(self, raylet: int) -> None:
        """Kill the node whose raylet has that process id, without a warning, and add another one."""
        (node,) = (one for one in self._nodes if raylet in self._raylets(one))
        self._nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._add())

    def shutdown(self) -> None:
        """End all processes of the cluster."""
        self._cluster.shutdown()

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=_SHARED_BYTES)

    def _raylets(self, node: Any) -> list[int]:
        return [one.process.pid for one in node.all_processes["raylet"]]


@contextmanager
def ray_nodes(number: int) -> Iterator[Nodes]:
    """A cluster while the block runs."""
    # Ray reports use to its makers unless told not to.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = Nodes(number)
    try:
        yield nodes
    finally:
        nodes.shutdown()
