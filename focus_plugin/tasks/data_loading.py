"""How the tasks load their batches in other processes."""

from typing import Any

from fairseq.data import EpochBatchIterator
from fairseq.tasks import FairseqTask


class NewWorkersEachEpoch(FairseqTask):
    """A task whose data-loading processes end with the epoch.

    fairseq keeps them: they would draw the masks of the first epoch in all epochs, since they have a copy of the data
    set, and those of a task that makes new batches in each epoch would stay to the end of the training.
    """

    def get_batch_iterator(self, *given: Any, **named: Any) -> EpochBatchIterator:
        """fairseq's iterator over the batches of all epochs."""
        iterator = super().get_batch_iterator(*given, **named)
        iterator.persistent_workers = False
        return iterator
