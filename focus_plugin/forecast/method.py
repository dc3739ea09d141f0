"""How long a method takes to make rows: measured on a part of its input."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.checkpoint.read import model_files
from focus_plugin.errors import FocusError
from focus_plugin.mixing.declaration import Need
from focus_plugin.mixing.mixing import Mixing
from focus_plugin.text import Text
from focus_plugin.transfer.initialize import given_of, vectors_of
from focus_plugin.transfer.options import Initialization, trains_vectors
from focus_plugin.vocabulary.vocabulary import Vocabulary

_FEW, _MANY = 1000, 4000  # lines of each file in two trials, to separate what grows with them from what does not
_NO_LINES = (".bin", ".npz", ".safetensors")  # files that are read as a whole


@dataclass(frozen=True)
class MethodWork:
    """What the rows of a conversion are made from. language, directory: the vocabulary and its files."""

    source: Checkpoint
    language: Vocabulary
    directory: Path
    how: Initialization

    @property
    def memory(self) -> int:
        """Bytes of what is read from files and held, besides the source."""
        options = self.how.options
        texts = [text for text in self.how.files.values() if isinstance(text, Text)]
        named = [path for path in self.how.files.values() if isinstance(path, Path)]
        named += [path for path in (options.auxiliary, options.word_vectors) if path]
        files = (file for path in named for file in (model_files(path) if path.is_dir() else [path]))
        return sum(file.stat().st_size for file in files) + sum(text.bytes for text in texts)

    @property
    def foreseeable(self) -> bool:
        """Whether a trial is possible: not if the rows are computed by the source or another network."""
        directories = [path for path in self.how.files.values() if isinstance(path, Path) and path.is_dir()]
        return not ({Need.MODEL, Need.TEXT} & {*self.how.method.needs} or directories)

    def seconds(self) -> float | None:
        """Seconds in which the rows are made, without training vectors.

        The method runs on the first lines of its files, and with random vectors if those are to be trained. Of a
        mixing only the first block is computed. None if the first lines are too little for the method.
        """
        drawn = np.random.default_rng(1).standard_normal((len(self.language), self.how.vectors.dimension), np.float32)
        trained = trains_vectors(self.how)

        def vectors() -> TokenVectors:
            return TokenVectors.of(drawn) if trained else vectors_of(self.language, self.directory, self.how)

        try:
            many = self._trial(_MANY, vectors)
            if many.share == 1:
                return many.making + many.blocks
            few = self._trial(_FEW, vectors)
        except FocusError:
            return None
        each = max(0.0, many.making - few.making) / (many.share - few.share)
        return many.making + each * (1 - many.share) + many.blocks

    def _trial(self, lines: int, vectors: Callable[[], TokenVectors]) -> "_Trial":
        with tempfile.TemporaryDirectory() as directory:
            cut = {
                name: _first_lines(path, lines, Path(directory) / f"{name}.txt")
                for name, path in self.how.files.items()
            }
            how = replace(self.how, files={name: path for name, (path, _) in cut.items()})
            started = time.perf_counter()
            given = given_of(self.source, self.language, self.directory, how, vectors)
            made = how.method.make(given)
            making = time.perf_counter() - started
        blocks, new = 0.0, np.count_nonzero((made.copied < 0) & ~self.language.special)
        if isinstance(made, Mixing):
            rows = self.source.tensors[EMBEDDING][made.anchors]
            started = time.perf_counter()
            for block in made.blocks:
                block.weights @ rows
                blocks = (time.perf_counter() - started) * new / len(block.rows)
                break
        return _Trial(min((share for _, share in cut.values()), default=1.0), making, blocks)


@dataclass(frozen=True)
class _Trial:
    """share: the share of the files that was read. making: seconds until the method returned. blocks: of all blocks."""

    share: float
    making: float
    blocks: float


def _first_lines(given: Path | Text, count: int, output: Path) -> tuple[Path | Text, float]:
    """A file of the first lines of ``given``, and their share; ``given`` itself if it is short or has no lines."""
    if isinstance(given, Path) and given.suffix in _NO_LINES:
        return given, 1.0
    text = Text.of(given) if isinstance(given, Path) else given
    output.write_text("".join(f"{line}\n" for line in islice(text.lines(), count)), encoding="utf-8")
    share = output.stat().st_size / text.content().bytes
    if share >= 1:
        return given, 1.0
    return output if isinstance(given, Path) else Text.of(output), share
