"""The forecast of the preparation of text for masked-LM training."""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from focus_plugin.forecast.forecast import Forecast, Step
from focus_plugin.forecast.machine import fairseq_process
from focus_plugin.forecast.text import Amount, amount, extrapolated_seconds, text_of
from focus_plugin.leakage import Seen, Watched, lines_of
from focus_plugin.masked_lm.options import SHARD_LINES
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import BATCH_CHARACTERS
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.tokenizers import load_tokenizer

_MANY_TOKENS = 65_500  # of a dictionary; with fewer, fairseq writes two bytes a token
_INDEXED = 12  # bytes of a line in fairseq's index
_LINE_COMPARED, _TOKEN_HELD, _BYTE_HELD = 150, 60, 3  # bytes in memory
_BATCHES = 3  # in memory at once


def preparation_forecast(vocabulary: Path, texts: Mapping[str, Text], output: Path, times: float = 1.0) -> Forecast:
    """The data directory of ``texts``, by the name of their split, cut by the tokenizer in a directory.

    ``times``: how often the text "train" is written, on average.
    """
    files = vocabulary_files(vocabulary)
    tokenizer, train = load_tokenizer(files[1]), texts["train"]
    amounts = {split: amount(text, tokenizer) for split, text in texts.items()}
    read = {split: text.content().bytes for split, text in texts.items()}
    amounts["train"] = Amount(amounts["train"].lines * times, amounts["train"].tokens * times)
    whole = sum(read.values()) + (times - 1) * read["train"]
    width = 2 if len(tokenizer.tokens) < _MANY_TOKENS else 4
    size = sum(path.stat().st_size for path in files)
    size += int(sum(width * found.tokens + (width + _INDEXED) * found.lines for found in amounts.values()))
    tokens, lines = (sum(values) for values in zip(*((a.tokens, a.lines) for a in amounts.values()), strict=True))
    held = fairseq_process()
    batch = min(1.0, _BATCHES * min(SHARD_LINES / max(1, lines), BATCH_CHARACTERS / max(1, whole)))  # of all texts
    compared = _LINE_COMPARED * (lines - amounts["train"].lines)
    return Forecast(
        output=output,
        steps=(
            Step(name="Reading the input", seconds=lambda rates: rates.elapsed, memory=held),
            Step(
                name="Encoding",
                seconds=lambda rates: _encoding_seconds(vocabulary, train, whole, size / rates.write),
                memory=held + int(batch * (_TOKEN_HELD * tokens + _BYTE_HELD * whole) + compared),
                disk=size,
            ),
        ),
        size=size,
    )


def _encoding_seconds(vocabulary: Path, text: Text, count: float, writing: float) -> float | None:
    """Seconds to encode ``count`` bytes of texts such as ``text``, with ``writing``, and to import fairseq before."""
    before = time.perf_counter()
    from focus_plugin.masked_lm.data import prepare_masked_lm

    imported = time.perf_counter() - before

    def work(lines: list[str]) -> None:
        with text_of(lines) as part, tempfile.TemporaryDirectory() as directory:
            seen = Seen({"valid": lines_of(part)})
            prepare_masked_lm(vocabulary, {"train": Watched(part, seen, named=False)}, Path(directory))

    encoding = extrapolated_seconds(text, count, work)
    return None if encoding is None else imported + encoding + writing
