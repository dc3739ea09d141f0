"""The task ``focus_tlm``: masked LM on a text and on lines with their translations (Conneau & Lample 2019)."""

import logging
from dataclasses import dataclass, field
from typing import Any

from fairseq.data import FairseqDataset, data_utils
from fairseq.tasks import register_task
from fairseq.tasks.masked_lm import MaskedLMConfig

from focus_plugin.errors import FocusError
from focus_plugin.masked_lm.bilingual_samples import SOURCE, ParallelSamples, fitting_pairs, pair_lengths
from focus_plugin.masked_lm.options import PARALLEL
from focus_plugin.tasks.focus_masked_lm import FocusMaskedLMTask

logger = logging.getLogger(__name__)


@dataclass
class FocusTLMConfig(MaskedLMConfig):
    """How much of the parallel text is used."""

    parallel_share: float = field(default=1.0, metadata={"help": "share of the parallel lines that are used"})


@register_task("focus_tlm", dataclass=FocusTLMConfig)
class FocusTLMTask(FocusMaskedLMTask):
    """Masked LM that also has samples of a line and its translation, on both of which tokens are masked.

    Each line begins with ``<s>``, where models with ``--restart-positions`` count positions anew. Pairs that are longer
    than a sample are left out.
    """

    def _training_parts(self, epoch: int, combine: bool) -> list[tuple[FairseqDataset, int]]:
        lines, translations = (self._side(name) for name in PARALLEL)
        lengths, longest = pair_lengths(lines.sizes, translations.sizes), self.cfg.tokens_per_sample
        kept = fitting_pairs(lengths, longest, self.cfg.parallel_share, self.cfg.seed)
        if too_long := int((lengths > longest).sum()):
            logger.info("%d of %d parallel lines have more than %d tokens", too_long, len(lengths), longest)
        if not len(kept):
            raise FocusError(f"{self.data_directory}: none of its {len(lengths):,} parallel lines is used.")
        parallel = ParallelSamples(lines, translations, kept, self.dictionary.bos())
        return [*super()._training_parts(epoch, combine), (parallel, SOURCE)]

    def _side(self, name: str) -> Any:
        side = data_utils.load_indexed_dataset(str(self.data_directory / name), self.source_dictionary)
        if side is None:
            raise FocusError(
                f"{self.data_directory}: holds no parallel text; give it to focus prepare with --parallel."
            )
        return side
