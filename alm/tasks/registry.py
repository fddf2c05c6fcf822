"""The registry of tasks, which stands in `alm.task_registry`: importing that imports no gymnasium."""

from alm.task_registry import TASKS, TaskSpec, UnknownTaskError, task_spec

__all__ = ["TASKS", "TaskSpec", "UnknownTaskError", "task_spec"]
