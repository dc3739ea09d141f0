"""Finds the tasks in ``focus_plugin/heads`` and among the entry points of installed packages."""

from focus_plugin.discovery import Registry
from focus_plugin.finetuning.declaration import TaskHead

TASKS: Registry[TaskHead] = Registry(
    what="task",
    package="focus_plugin.heads",
    attribute="HEAD",
    group="focus_fairseq.heads",
    accepts=lambda found: isinstance(found, TaskHead),
)


def find_task(name: str) -> TaskHead:
    """The task called ``name``. Raises FocusError as :meth:`Registry.find` does."""
    return TASKS.find(name).declaration


def all_tasks() -> tuple[TaskHead, ...]:
    """All tasks, by name."""
    return tuple(map(find_task, TASKS.names()))
