"""Gives a source encoder the target vocabulary, for ``focus convert``, the fairseq plugin and the Python API."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from focus_plugin.auxiliary.alignment import TokenVectors
from focus_plugin.auxiliary.cache import cached_vectors
from focus_plugin.auxiliary.options import VectorInput
from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.auxiliary.words import load_word_vectors
from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.errors import FocusError
from focus_plugin.mixing.declaration import Given, Need
from focus_plugin.mixing.extension import extended
from focus_plugin.mixing.matrix import as_mixing, load_matrix
from focus_plugin.mixing.mixing import Mixing
from focus_plugin.mixing.rows import Rows
from focus_plugin.progress import Phase, no_phase
from focus_plugin.text import Text
from focus_plugin.transfer.apply import Transfer, apply
from focus_plugin.transfer.calibration import SAMPLE_BYTES, Calibration, calibrated_bias, text_ids
from focus_plugin.transfer.check import checked, long_rows
from focus_plugin.transfer.helper import encoder_vectors
from focus_plugin.transfer.options import Initialization
from focus_plugin.transfer.origins import MIXED
from focus_plugin.vocabulary.counts import read_counts
from focus_plugin.vocabulary.files import DICTIONARY, vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer
from focus_plugin.vocabulary.training import sample_lines
from focus_plugin.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Target:
    """The vocabulary of the new model.

    vocabulary: all its tokens. tokenizer: its tokenizer, if it is known. extends: whether ``vocabulary`` is the
    source's vocabulary with the tokens of the language appended. language: the directory with the vocabulary of the
    language; without ``extends`` it holds ``vocabulary`` itself.
    """

    vocabulary: Vocabulary
    tokenizer: Tokenizer | None
    language: Path
    extends: bool = False


@dataclass(frozen=True)
class TextSample:
    """The lines of a corpus, a sample drawn with ``seed`` if it is large. It can be iterated over more than once."""

    corpus: Text
    seed: int

    def __iter__(self) -> Iterator[str]:
        return sample_lines(self.corpus, self.corpus.content(), SAMPLE_BYTES, self.seed)


def initialize(
    source: Checkpoint, target: Target, how: Initialization, phase: Phase = no_phase, verbose: bool = False
) -> Transfer:
    """The weights of ``source`` with the target vocabulary; the output bias is fitted to the corpus if there is one.

    Raises FocusError for errors in the files that ``how`` names and in the result of the method.
    """
    options = how.options
    with _full_products():
        if options.matrix:
            made = as_mixing(options.matrix, load_matrix(options.matrix), source.vocabulary, target.vocabulary)
            with phase("Applying the mixing matrix", 1):
                done = apply(source.tensors, made, seed=options.seed, fill=options.fill)
        else:
            done = _by_method(source, target, how, phase, verbose)
        return replace(done, tensors={**done.tensors, OUTPUT_BIAS: _bias(source, target, how, done.tensors, phase)})


@contextmanager
def _full_products() -> Iterator[None]:
    """Compute products in float32, even in a process that trains with less precision, so that weights are the same."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _by_method(source: Checkpoint, target: Target, how: Initialization, phase: Phase, verbose: bool) -> Transfer:
    # The method gets the language's vocabulary alone, also where it extends the source's.
    language = read_dictionary(target.language / DICTIONARY) if target.extends else target.vocabulary
    if absent := [token for token in language.tokens if token not in target.vocabulary.ids]:
        raise FocusError(f"{target.language}: its token {absent[0]!r} is not in the vocabulary that it extends.")
    given = given_of(
        source, language, target.language, how, lambda: vectors_of(language, target.language, how, phase, verbose)
    )
    with phase(f"Making rows by {how.method.name}", len(language)) as progress:
        notes: list[str] = []
        made = made_by(how, replace(given, progress=progress, tell=notes.append), source.config.row_length)
        if target.extends:
            made = extended(made, source.vocabulary, language, target.vocabulary)
        options = how.options
        done = apply(source.tensors, made, seed=options.seed, device=options.device, fill=options.fill)
        if not done.convex:
            ids = np.flatnonzero(done.origins.kind == MIXED)
            notes += long_rows(how.method.name, done.tensors[EMBEDDING], ids, source.tensors[EMBEDDING])
        return replace(done, notes=tuple(notes))


def made_by(how: Initialization, given: Given, width: int) -> Mixing | Rows:
    """What the method makes of ``given``, checked. ``width``: the length of a row. Raises FocusError."""
    made = how.method.make(given)
    return checked(how.method.name, made, len(given.source), len(given.target), width)


def given_of(
    source: Checkpoint,
    language: Vocabulary,
    directory: Path,
    how: Initialization,
    vectors: Callable[[], TokenVectors],
) -> Given:
    """What the method is given: only what it declares as its needs.

    ``language``: the target's vocabulary, whose files are in ``directory``. ``vectors``: makes auxiliary embeddings.
    """
    method, options = how.method, how.options
    filled: dict[Need, Any] = {
        Need.EMBEDDING: lambda: source.tensors[EMBEDDING],
        Need.OUTPUT_EMBEDDING: lambda: source.tensors[OUTPUT_EMBEDDING] if source.config.untied else None,
        Need.BIAS: lambda: source.tensors[OUTPUT_BIAS],
        Need.MODEL: lambda: source,
        Need.SOURCE_TOKENIZER: lambda: _source_tokenizer(source, method.name),
        Need.TARGET_TOKENIZER: lambda: load_tokenizer(vocabulary_files(directory)[1]),
        Need.TEXT: lambda: TextSample(Text.of(*options.corpus), options.seed) if options.corpus else None,
        Need.VECTORS: vectors,
    }
    return Given(
        source=source.vocabulary,
        target=language,
        options=how.of_method,
        files={file.name: file.read(how.files[file.name]) if file.name in how.files else None for file in method.files},
        seed=options.seed,
        device=options.device,
        **{need.value: filled[need]() for need in method.needs},
    )


def _source_tokenizer(source: Checkpoint, method: str) -> Tokenizer:
    if source.tokenizer is None:
        raise FocusError(
            f"The method {method!r} needs the source's tokenizer, but there is no tokenizer file beside its weights."
        )
    return source.tokenizer


def vectors_of(
    language: Vocabulary, directory: Path, how: Initialization, phase: Phase = no_phase, verbose: bool = False
) -> TokenVectors:
    """The auxiliary embeddings that the options name, or else those that are trained on the corpus.

    ``language``: the target's vocabulary, whose files are in ``directory``. Raises FocusError.
    """
    options = how.options
    if options.auxiliary and options.auxiliary.is_dir():
        return encoder_vectors(options.auxiliary, language, how.reading.skip_tokenizer_check)
    if options.auxiliary:
        uses = read_counts(directory / DICTIONARY, language)
        return load_vectors(options.auxiliary, language, uses, how.reading)
    if options.word_vectors:
        return load_word_vectors(options.word_vectors, language)
    digest = Text.of(*options.corpus).content().digest
    made_of = VectorInput(corpus=options.corpus, vocabulary=directory, seed=options.seed)
    return cached_vectors(made_of, digest, language, how.vectors, phase, verbose)


def _bias(
    source: Checkpoint, target: Target, how: Initialization, tensors: Mapping[str, Tensor], phase: Phase
) -> Tensor:
    options, vocabulary = how.options, target.vocabulary
    kept = np.array([target.extends and token in source.vocabulary.ids for token in vocabulary.tokens])
    if options.rank_bias:
        tensors = {**tensors, OUTPUT_BIAS: _resized(source.tensors[OUTPUT_BIAS], tensors[OUTPUT_BIAS], kept)}
    if not (options.corpus and options.calibrate):
        return tensors[OUTPUT_BIAS]
    if target.tokenizer is None:
        raise FocusError(
            "Fitting the output bias needs the target's tokenizer, and there is none beside dict.txt; add it or give "
            "--calibrate 0."
        )
    corpus = Text.of(*options.corpus)
    with phase("Reading text for the output bias", corpus.bytes) as progress:
        text = text_ids(corpus, target.tokenizer, vocabulary, options.seed, progress)
    calibration = Calibration(tokens=options.calibrate, kept=kept, seed=options.seed, device=options.device)
    with phase("Fitting the output bias", options.calibrate) as progress:
        return calibrated_bias(source.config, tensors, vocabulary, text, calibration, progress)


def _resized(source: Tensor, moved: Tensor, kept: np.ndarray) -> Tensor:
    """The output bias after resizing a model: ids keep their bias, new ids get 0. In an extended vocabulary all tokens
    but ``<mask>`` keep their ids, so ``moved`` already holds these biases."""
    if kept.any():
        return moved.masked_fill(torch.from_numpy(~kept), 0)
    return torch.nn.functional.pad(source[: len(moved)], (0, max(len(moved) - len(source), 0)))


def require_device(device: str) -> None:
    """Raise FocusError unless torch can compute on ``device``."""
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise FocusError(f"--device {device}: torch cannot compute there ({str(error).splitlines()[0]}).") from error


def check_finite(path: Path, checkpoint: Checkpoint) -> None:
    """Raise FocusError if a tensor holds NaN or infinity, which in any layer would make the calibrated bias NaN."""
    for name, tensor in checkpoint.tensors.items():
        if not torch.isfinite(torch.stack(torch.aminmax(tensor))).all():  # needs no copy; any NaN becomes the minimum
            raise FocusError(f"{path}: {name} holds NaN or infinity; the checkpoint is damaged.")
