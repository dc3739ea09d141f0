"""Encodes text into the binary files that fairseq's masked-LM task reads."""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from focus_plugin.binary_data import SIZES, Encoder, writing_dataset
from focus_plugin.errors import FocusError
from focus_plugin.files import Progress, parse_json, silent, whole_file, write_json
from focus_plugin.masked_lm.options import PARALLEL, SHARD_LINES
from focus_plugin.parallel.text import Pairs
from focus_plugin.vocabulary.encoding import batches, in_background
from focus_plugin.vocabulary.files import DICTIONARY
from focus_plugin.vocabulary.vocabulary import UNKNOWN

SHARD = "shard"  # with a number: a directory in the data directory
SAVED_BATCHES = 50  # after as many, what has been written is kept if the run is interrupted
_SAVED = ".saved"  # of the file that says what has been written


@dataclass(frozen=True)
class TextCounts:
    """The size of a prepared text.

    lines: lines that are not empty. tokens: all tokens, without the ``</s>`` of each line. unknown: how many of the
    tokens are ``<unk>``.
    """

    lines: int
    tokens: int
    unknown: int


class Readable(Protocol):
    """A text, or what is made of one; see ``Text``."""

    def lines(self, progress: Progress = silent) -> Iterator[str]:
        """Yield the lines without their line ends."""


def prepare_masked_lm(
    vocabulary: Path, texts: Mapping[str, Readable], output: Path, progress: Progress = silent, shards: int = 1
) -> dict[str, TextCounts]:
    """Encode texts into the masked-LM data directory ``output``, one item per line; return the size of each text.

    ``vocabulary``: a directory with ``dict.txt`` and the tokenizer's file. ``texts``: by split, such as "train". The
    files are the same as those of fairseq-preprocess for the same tokens. A blank line, which separates documents, is
    written as ``</s>`` alone. ``shards``: the number of parts of "train", see ``shards_of``; each takes
    SHARD_LINES lines in turn. The memory needed does not depend on the size of the texts, and the bytes do not depend
    on the number of cores. What an interrupted call for the same texts has left in ``output`` is not encoded again.
    ``progress`` is called with the number of bytes read since the last call. Raises FocusError if a text has no words,
    or too few lines for the shards.
    """
    encoder = Encoder.load(vocabulary)
    shutil.copyfile(vocabulary / DICTIONARY, output / DICTIONARY)
    counts = {}
    for split, text in texts.items():
        places = [output, *(output / f"{SHARD}{number}" for number in range(1, shards if split == "train" else 1))]
        for place in places:
            place.mkdir(exist_ok=True)
        counts[split] = _write_text(encoder, text, [place / split for place in places], progress)
    _remove_saved(output)
    return counts


def shards_of(data: Path) -> list[Path]:
    """The directories with the parts of the training text: ``data`` itself, and those that are in it.

    fairseq trains on one of them in each epoch, in turn, if it is given all of them, joined by colons.
    """
    found = [path for path in data.glob(f"{SHARD}*") if path.name.removeprefix(SHARD).isdecimal()]
    return [data, *sorted(found, key=lambda path: int(path.name.removeprefix(SHARD)))]


def prepare_parallel(
    vocabulary: Path, pairs: Pairs, output: Path, progress: Progress = silent
) -> tuple[TextCounts, ...]:
    """Encode parallel lines into the data directory ``output``; return the size of both sides.

    To be called before ``prepare_masked_lm``, which removes the files from which an interrupted call resumes.
    ``progress`` is called with the number of lines done since the last call.
    """
    encoder = Encoder.load(vocabulary)
    sides = zip(PARALLEL, (pairs.source, pairs.target), strict=True)
    return tuple(_write_lines(encoder, _counted(lines, progress), [output / name]) for name, lines in sides)


def _counted(lines: Iterable[str], progress: Progress) -> Iterator[str]:
    """``lines``; ``progress`` is called with 1 for each."""
    for line in lines:
        yield line
        progress(1)


def _write_text(encoder: Encoder, text: Readable, outputs: Sequence[Path], progress: Progress) -> TextCounts:
    counts = _write_lines(encoder, text.lines(progress), outputs)
    if not counts.lines:
        raise FocusError(f"{text}: the text is empty; it needs at least one line with words.")
    return counts


@dataclass(frozen=True)
class _Saved:
    """What has been written of a text. batches: their number. files: the bytes of both files of each output."""

    batches: int
    counts: TextCounts
    files: tuple[tuple[int, int], ...]

    @classmethod
    def read(cls, outputs: Sequence[Path]) -> "_Saved":
        """What an interrupted run has saved; nothing if there was none."""
        path = Path(f"{outputs[0]}{_SAVED}")
        if not path.exists():
            return cls(0, TextCounts(0, 0, 0), ((0, 0),) * len(outputs))
        values = parse_json(path.read_text(encoding="utf-8"))
        files = tuple((data, sizes) for data, sizes in values["files"])
        return cls(values["batches"], TextCounts(**values["counts"]), files)

    def write(self, outputs: Sequence[Path]) -> None:
        """Replace what was saved before."""
        with whole_file(f"{outputs[0]}{_SAVED}") as new:
            write_json(new, asdict(self))


def _remove_saved(output: Path) -> None:
    for suffix in (_SAVED, SIZES):
        for path in output.rglob(f"*{suffix}"):
            path.unlink()


def _write_lines(encoder: Encoder, texts: Iterable[str], outputs: Sequence[Path]) -> TextCounts:
    """Encode ``texts`` into ``outputs``, or go on where an interrupted run has stopped."""
    saved = _Saved.read(outputs)
    counts, batch_count = saved.counts, saved.batches
    unknown_id, size = encoder.vocabulary.ids[UNKNOWN], encoder.dictionary_size
    with ExitStack() as stack:
        files = zip(outputs, saved.files, strict=True)
        writers = [stack.enter_context(writing_dataset(path, size, old)) for path, old in files]
        waiting = islice(batches(texts, most=SHARD_LINES), batch_count, None)
        for ids, sizes in in_background(encoder.joined, waiting):
            writers[batch_count % len(writers)].add(ids, sizes)
            batch_count += 1
            counts = TextCounts(
                lines=counts.lines + int(np.count_nonzero(sizes > 1)),
                tokens=counts.tokens + len(ids) - len(sizes),
                unknown=counts.unknown + int(np.count_nonzero(ids == unknown_id)),
            )
            if batch_count % SAVED_BATCHES == 0:
                _Saved(batch_count, counts, tuple(writer.saved() for writer in writers)).write(outputs)
        _Saved(batch_count, counts, tuple(writer.saved() for writer in writers)).write(outputs)
    if batch_count < len(outputs) > 1:
        raise FocusError(
            f"--shards {len(outputs)}: the training text is too short; each shard takes {SHARD_LINES:,} lines in turn, "
            f"so that at most {max(1, batch_count)} can be filled."
        )
    return counts
