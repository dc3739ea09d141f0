"""Pairs of texts: the most probable label of how they are related, or a score."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from focus_export.head import PAIR_SPECIALS, Encoded, HeadCard
from focus_export.sequence_head import Number, OneLabel, Readout, SequenceHead, labels_fault

from focus_plugin.errors import FocusError

if TYPE_CHECKING:
    from focus_export.tokenizer import TextTokenizer


@dataclass(frozen=True)
class PairsHead(SequenceHead):
    """labels: in the order of the logits; none if the result is a score. mean, deviation: of the training scores, which
    the weights of a new head are scaled to."""

    name: ClassVar[str] = "pairs"
    inputs: ClassVar[tuple[str, ...]] = ("first", "second")
    card: ClassVar[HeadCard] = HeadCard(
        pipeline_tag="text-classification",
        texts=("This is a text.", "This is another."),
        hugging_face="""from transformers import pipeline

score = pipeline('text-classification', '.', top_k=None)
print(score({'text': 'This is a text.', 'text_pair': 'This is another.'}))""",
    )

    labels: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    def fault(self) -> str | None:
        """A sentence if the labels are not different strings, or if the mean and deviation are no such numbers."""
        if self.labels != ():
            return labels_fault(self.labels, "a pairs model")
        for name, value in (("mean", self.mean), ("deviation", self.deviation)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                return f'"{name}" is {value!r}, not a finite number'
        return None if self.deviation > 0 else f'"deviation" is {self.deviation!r}, not more than zero'

    @property
    def readout(self) -> Readout:
        """The label or the score."""
        return OneLabel(self.labels) if self.labels else Number()

    def encode(self, tokenizer: "TextTokenizer", sample: Any, truncate: bool) -> Encoded:
        """``<s>``, the pieces of the first text, ``</s></s>``, those of the second text and ``</s>``.

        With ``truncate``, pieces of long texts are left out, see :func:`kept_pieces`; otherwise raises FocusError.
        """
        import numpy as np

        first, second = map(tokenizer.ids, sample)
        pieces, room = len(first) + len(second), tokenizer.max_positions - PAIR_SPECIALS
        if pieces > room:
            if not truncate:
                raise FocusError(
                    f"{pieces + PAIR_SPECIALS} tokens with both texts, but the model takes at most "
                    f"{tokenizer.max_positions}; shorten them, or allow them to be truncated."
                )
            kept_first, kept_second = kept_pieces(len(first), len(second), room)
            first, second = first[:kept_first], second[:kept_second]
        end = [tokenizer.eos]
        row = np.concatenate([[tokenizer.bos], first, end, end, second, end])
        return Encoded((row.astype(np.int32),), left_out=max(0, pieces - room))


def kept_pieces(first: int, second: int, room: int) -> tuple[int, int]:
    """How many pieces of two texts of ``first`` and ``second`` pieces are kept if there is ``room`` for fewer.

    The end of the longer text is left out until both are equally long, then the ends of both. If the room is odd, the
    longer text has one piece more, or the second of two equally long ones. This is ``longest_first`` of the library
    tokenizers (``truncate_encodings`` in ``utils/truncation.rs``), which transformers uses.
    """
    short = min(first, second)
    kept = (short, room - short) if 2 * short <= room else (room // 2, room - room // 2)
    return kept if first <= second else (kept[1], kept[0])


HEAD = PairsHead
