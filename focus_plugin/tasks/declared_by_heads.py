"""The tasks and criterions that files in ``heads`` and in other packages register with fairseq themselves."""

import logging

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.discovery import TASKS, find_task

for name in TASKS.names():
    try:
        task = find_task(name)
    except FocusError as error:  # in another package, which this training may not need
        logging.getLogger(__name__).warning("%s", error)
        continue
    if task.finetuning and task.finetuning.register:
        task.finetuning.register()
