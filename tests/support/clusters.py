"""A Ray cluster of several nodes on this machine, for tests of the engine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A node's shared memory; jobs pass nothing through it. Ray's least is 75 MiB.
_SHARED_BYTES = 80_000_000


class Nodes:
    """A cluster whose head runs no job, and nodes of one CPU each."""

    def __init__(self, number: int) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": _SHARED_BYTES, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self.add() for _ in range(number)]

    @property
    def address(self) -> str:
        """Where a driver joins."""
        return str(self._cluster.address)

    def add(self):
        """One more node."""
        return self._cluster.add_node(num_cpus=1, object_store_memory=_SHARED_BYTES)

    def kill(self, node) -> None:
        """A node's end without a warning."""
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        """The end of all processes of the cluster."""
        self._cluster.shutdown()


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
