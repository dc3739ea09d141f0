"""The forecast of a vocabulary: training one, training several for a comparison, or using a published tokenizer."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from focus_plugin.forecast.forecast import Forecast, Step
from focus_plugin.forecast.machine import PLAIN_PROCESS, Rates
from focus_plugin.forecast.text import cutting_seconds, extrapolated_seconds, first_lines, text_of, utf8_bytes
from focus_plugin.text import Text
from focus_plugin.vocabulary.importing import PublishedTokenizer
from focus_plugin.vocabulary.options import UnigramTraining
from focus_plugin.vocabulary.readers import parse_sentencepiece
from focus_plugin.vocabulary.tokenizers import Tokenizer, processor_tokenizer
from focus_plugin.vocabulary.training import train_unigram

_MODEL, _PIECE, _ENTRY = 240_000, 24, 18  # bytes: a model's normalization, a piece in it, a line of the dictionary
_FEWEST, _BYTES_OF_PIECE = 1000, 200  # a model trained on the first lines: its pieces, and bytes for each
_OF_BYTE, _SEEDS_OF_BYTE, _SEEDS = 16, 24, 120_000_000  # bytes of the trainer for each byte of text; candidate pieces
_READING = Step(name="Reading the text", seconds=lambda rates: rates.elapsed, memory=PLAIN_PROCESS)
_COUNTING = 120_000_000  # bytes of a batch of text that is cut into tokens


def training_forecast(text: Text, sizes: Sequence[int], options: UnigramTraining, output: Path | None) -> Forecast:
    """A SentencePiece model of each of ``sizes``; with ``output``, the last is written there."""
    return Forecast(
        output=output,
        steps=(_READING, *_trainings(text, sizes, options)),
        size=_MODEL + (_PIECE + _ENTRY) * sizes[-1],
    )


def taking_forecast(text: Text, published: PublishedTokenizer, output: Path) -> Forecast:
    """A published tokenizer with the counts of its tokens."""
    size = len(published.content) + _ENTRY * len(published.vocabulary)
    memory = PLAIN_PROCESS + _COUNTING + 10 * size
    counting = Step(
        name="Counting tokens",
        seconds=lambda rates: cutting_seconds(text, published.tokenizer, text.content().bytes) + size / rates.write,
        memory=memory,
        disk=size,
    )
    return Forecast(output=output, steps=(_READING, counting), size=size)


def _trainings(text: Text, sizes: Sequence[int], options: UnigramTraining) -> Iterator[Step]:
    read = text.content().bytes
    trained = min(read, options.sample_bytes)
    memory = int(PLAIN_PROCESS + _OF_BYTE * trained + min(_SEEDS_OF_BYTE * trained, _SEEDS))

    @cache  # every size takes nearly the same time
    def seconds() -> float | None:
        """Seconds of training one size and of cutting the text, from its first lines."""
        lines = first_lines(text)
        size = min(sizes[-1], max(_FEWEST, utf8_bytes(lines) // _BYTES_OF_PIECE))
        training = extrapolated_seconds(text, trained, lambda part: _tokenizer(part, size, options))
        if training is None:
            return None
        return training + cutting_seconds(text, _tokenizer(lines, size, options), read)

    def measured(_: Rates) -> float | None:
        return seconds()

    for size in sizes:
        yield Step(
            name=f"Training {size:,} pieces",
            seconds=measured,
            memory=max(memory, PLAIN_PROCESS + min(_COUNTING, 10 * read)),
            disk=_MODEL + (_PIECE + _ENTRY) * size,
            less="a smaller --sample-mb needs less",
        )


def _tokenizer(lines: list[str], size: int, options: UnigramTraining) -> Tokenizer:
    with text_of(lines) as text:
        model = train_unigram(text, text.content(), size, options, may_be_smaller=True)
        return processor_tokenizer(parse_sentencepiece(model, text))
