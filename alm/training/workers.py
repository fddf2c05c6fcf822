"""Threads for simulators: MuJoCo lets go of Python's lock while it computes."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Does something for each of several items, in threads or, with a count of one, in turn.

    What is done for one item may touch nothing that is touched for another; then both ways give the same.
    """

    def __init__(self, count: int = 1) -> None:
        self._pool = ThreadPoolExecutor(count) if count > 1 else None

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """The results in the order of the items; the first error is raised."""
        return list((self._pool.map if self._pool else map)(work, items))

    def close(self) -> None:
        """Let the threads go."""
        if self._pool:
            self._pool.shutdown()
