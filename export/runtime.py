"""Running an exported model: texts in, predictions out, with nothing but ONNX Runtime, SentencePiece and NumPy."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import sentencepiece

from focus_plugin.errors import FocusError

from .batching import batches_by_length, padded
from .directory import HIDDEN_STATES, INPUTS, Export, check_model, read_export

# Larger batches leave a CPU's cache: on two cores, 4096 tokens at a time ran at three quarters of 1024's speed.
TOKEN_BUDGET = 1024
# Sorting a window of 32 batches leaves about 5 % of padding; of 16 about 10 %.
WINDOW_BATCHES = 32


@dataclass(frozen=True)
class Classification:
    """The most probable label of a text, and the probability of every label in the model's order."""

    label: str
    scores: dict[str, float]


Prediction = Classification | np.ndarray


class Predictor:
    """An exported model, loaded once and asked often.

    ``providers`` are ONNX Runtime's execution providers, the CPU unless told; ``threads`` is the number of threads of
    one operator, all cores unless told. Raises FocusError if the directory is not a whole and valid export, or a
    provider is not to be had here.
    """

    def __init__(
        self, directory: str | Path, providers: Sequence[str] | None = None, threads: int | None = None
    ) -> None:
        export = read_export(directory)
        self.config = export.config
        self._piece_ids = export.piece_ids
        self._tokenizer = _tokenizer(export)
        with ThreadPoolExecutor(1) as beside:  # a core that loading does not use
            checked = beside.submit(check_model, export)
            try:
                self._session = _session(export, providers or ["CPUExecutionProvider"], threads)
            finally:
                checked.result()  # damage explains better than what came of it

    def predict(
        self,
        texts: Iterable[str],
        token_budget: int = TOKEN_BUDGET,
        truncate: bool = False,
        name: Callable[[int], str] = "Text {}".format,
    ) -> Iterator[Prediction]:
        """Yield the prediction of every text, in their order: a Classification or an embedding float32 (width,).

        Texts are read a window of some batches ahead and run by similar length, a batch of at most ``token_budget``
        tokens at a time, so that memory does not grow with their number. Raises FocusError for a text of more than
        ``max_positions`` tokens, which it calls ``name`` of its 1-based number; with ``truncate`` such a text keeps
        ``<s>``, its first pieces and ``</s>``.
        """
        window: list[np.ndarray] = []
        tokens = 0
        for number, text in enumerate(texts, 1):
            window.append(self._encode(text, truncate, name, number))
            tokens += len(window[-1])
            if tokens >= WINDOW_BATCHES * token_budget:
                yield from self._predict_window(window, token_budget)
                window, tokens = [], 0
        yield from self._predict_window(window, token_budget)

    def _encode(self, text: str, truncate: bool, name: Callable[[int], str], number: int) -> np.ndarray:
        """``<s>``, the token ids of the pieces, ``</s>``: int32 (length,)."""
        config = self.config
        pieces = self._tokenizer.encode(text)
        length = len(pieces) + 2
        if length > config.max_positions and not truncate:
            raise FocusError(
                f"{name(number)}: {length} tokens, but the model takes at most {config.max_positions}; "
                "split the text, or allow it to be truncated."
            )
        pieces = pieces[: config.max_positions - 2]
        ids = np.empty(len(pieces) + 2, np.int32)
        ids[0], ids[-1] = config.bos, config.eos
        ids[1:-1] = self._piece_ids[pieces]
        return ids

    def _predict_window(self, window: Sequence[np.ndarray], token_budget: int) -> Sequence[Prediction]:
        """The predictions of encoded texts, in their order."""
        results: dict[int, np.ndarray] = {}
        for batch in batches_by_length([len(ids) for ids in window], token_budget):
            arrays = padded([window[index] for index in batch], self.config.pad)
            (rows,) = self._session.run([self.config.output], dict(zip(INPUTS, arrays, strict=True)))
            results.update(zip(batch, rows, strict=True))
        ordered = [results[index] for index in range(len(window))]
        labels = self.config.labels
        return ordered if labels is None else [_classification(labels, logits) for logits in ordered]


def _classification(labels: Sequence[str], logits: np.ndarray) -> Classification:
    """Softmax over ``logits`` (classes,)."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    scores = dict(zip(labels, (powers / powers.sum()).tolist(), strict=True))
    return Classification(labels[int(np.argmax(logits))], scores)


def _tokenizer(export: Export) -> sentencepiece.SentencePieceProcessor:
    tokenizer = sentencepiece.SentencePieceProcessor()
    try:
        tokenizer.load(str(export.sentencepiece))
    except (RuntimeError, OSError) as error:
        raise FocusError(f"{export.sentencepiece}: not a SentencePiece model ({error}).") from error
    if len(tokenizer) != len(export.piece_ids):
        raise FocusError(
            f"{export.sentencepiece}: {len(tokenizer)} pieces, but piece_ids.npy beside it has {len(export.piece_ids)}."
        )
    return tokenizer


def _session(export: Export, providers: Sequence[str], threads: int | None) -> onnxruntime.InferenceSession:
    if absent := set(providers) - set(onnxruntime.get_available_providers()):
        available = ", ".join(onnxruntime.get_available_providers())
        raise FocusError(f"ONNX Runtime has no {', '.join(sorted(absent))} here; it has {available}.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(export.model), options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's own exceptions share no other base class
        raise FocusError(f"{export.model}: ONNX Runtime cannot load it ({error}).") from error
    if unused := set(providers) - set(session.get_providers()):
        raise FocusError(f"ONNX Runtime could not start {', '.join(sorted(unused))}; is its driver installed?")
    _check_model(export, session)
    return session


def _check_model(export: Export, session: onnxruntime.InferenceSession) -> None:
    """The model's inputs and outputs are those the configuration tells of."""
    outputs = {output.name: output.shape for output in session.get_outputs()}
    inputs = {model_input.name for model_input in session.get_inputs()}
    if inputs != set(INPUTS) or set(outputs) - {HIDDEN_STATES} != {export.config.output}:
        raise FocusError(
            f"{export.model}: inputs {sorted(inputs)} and outputs {sorted(outputs)} are not those of this kind."
        )
    labels = export.config.labels
    size = export.config.width if labels is None else len(labels)
    if outputs[export.config.output][-1] != size:
        what = "the width" if labels is None else "the number of labels"
        raise FocusError(f"{export.model}: its result has another size than {what} in config.json, {size}.")
