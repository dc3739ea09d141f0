"""The forecast of the preparation of text for masked-LM training."""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from focus_plugin.forecast.forecast import Forecast, Step
from focus_plugin.forecast.machine import fairseq_process, seconds_of
from focus_plugin.forecast.text import amount, extrapolated_seconds, first_lines, text_of, utf8_bytes
from focus_plugin.leakage import leakage, lines_of
from focus_plugin.text import Text
from focus_plugin.vocabulary.encoding import BATCH_CHARACTERS, BATCH_LINES
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.tokenizers import load_tokenizer

_MANY_TOKENS = 65_500  # of a dictionary; with fewer, fairseq writes two bytes a token
_INDEXED = 12  # bytes of a line in fairseq's index
_LINE_HELD, _LINE_COMPARED, _TOKEN_HELD, _BYTE_HELD = 60, 150, 40, 2  # bytes in memory


def preparation_forecast(vocabulary: Path, texts: Mapping[str, Text], output: Path) -> Forecast:
    """The data directory of ``texts``, by the name of their split, cut by the tokenizer in a directory."""
    files = vocabulary_files(vocabulary)
    tokenizer, train = load_tokenizer(files[1]), texts["train"]
    amounts = {split: amount(text, tokenizer) for split, text in texts.items()}
    read = {split: text.content().bytes for split, text in texts.items()}
    whole, others = sum(read.values()), sum(read.values()) - read["train"]
    width = 2 if len(tokenizer.tokens) < _MANY_TOKENS else 4
    size = sum(path.stat().st_size for path in files)
    size += int(sum(width * found.tokens + (width + _INDEXED) * found.lines for found in amounts.values()))
    tokens, lines = (sum(values) for values in zip(*((a.tokens, a.lines) for a in amounts.values()), strict=True))
    held = fairseq_process()
    batch = min(1.0, BATCH_LINES / max(1, lines), BATCH_CHARACTERS / max(1, whole))  # of all texts
    return Forecast(
        output=output,
        steps=(
            Step(name="Reading the input", seconds=lambda rates: rates.elapsed, memory=held),
            Step(
                name="Encoding",
                seconds=lambda _: _encoding_seconds(vocabulary, train, whole),
                memory=held + int(batch * (_TOKEN_HELD * tokens + _BYTE_HELD * whole) + _LINE_HELD * lines),
                disk=size,
            ),
            Step(
                name="Comparing the texts",
                seconds=lambda rates: _comparing_seconds(train, whole + others) + size / rates.write,
                memory=held + int(_LINE_COMPARED * (lines - amounts["train"].lines) + _LINE_HELD * lines),
                disk=size,
            ),
        ),
        size=size,
    )


def _encoding_seconds(vocabulary: Path, text: Text, count: float) -> float | None:
    """Seconds to encode ``count`` bytes of texts such as ``text``, and to import fairseq before."""
    before = time.perf_counter()
    from focus_plugin.masked_lm.data import prepare_masked_lm

    imported = time.perf_counter() - before

    def work(lines: list[str]) -> None:
        with text_of(lines) as part, tempfile.TemporaryDirectory() as directory:
            prepare_masked_lm(vocabulary, {"train": part}, Path(directory))

    encoding = extrapolated_seconds(text, count, work)
    return None if encoding is None else imported + encoding


def _comparing_seconds(text: Text, count: float) -> float:
    """Seconds to compare the lines of texts, ``count`` bytes in all, by the first lines of one of them."""
    lines = first_lines(text)
    with text_of(lines) as part:
        found = lines_of(part)  # read three times: once as training text, twice as the other
        return seconds_of(lambda: leakage(found, {"valid": found})) / (3 * utf8_bytes(lines)) * count
