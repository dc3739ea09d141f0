"""Running an exported model: texts in, predictions out, with nothing but ONNX Runtime, SentencePiece and NumPy."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from focus_plugin.cores import available_cores
from focus_plugin.errors import FocusError

from .ahead import ahead
from .batching import batches_by_length, padded
from .columns import with_columns
from .directory import HIDDEN_STATES, INPUTS, Export, check_model, read_export
from .providers import CPU, start_session
from .tokenizer import Tokenizer

# On a CPU, larger batches are no faster, and leave cores without one where there are few texts.
TOKEN_BUDGET = 512
# A GPU has to be given enough to do.
GPU_TOKEN_BUDGET = 8192
WINDOW_BATCHES = 32
BF16_NEEDS = "bf16 needs a GPU of compute capability 8.0 or later, and onnxruntime-gpu 1.24 or later"

Name = Callable[[int], str]
OnBatch = Callable[[Sequence[int]], object]


def _unheard(texts: Sequence[int]) -> None:
    """Who is told of batches where nobody wants to be."""


@dataclass(frozen=True)
class _Batch:
    """texts: indices in the window (rows,). ids: int32 (rows, length), padded on the right. lengths: int32 (rows,)."""

    texts: np.ndarray
    ids: np.ndarray
    lengths: np.ndarray


class Encoder:
    """An exported model, loaded once: texts in, a row of numbers for each out.

    ``config`` describes the model, ``provider`` is the execution provider it runs on, ``size`` the length of a row;
    the others are what it was made with.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        provider: str = "auto",
        require_gpu: bool = False,
        threads: int | None = None,
        workers: int | None = None,
        token_budget: int | None = None,
        truncate: bool = False,
    ) -> None:
        """``provider`` and ``require_gpu`` are those of :func:`providers.start_session`.

        On a CPU, ``threads`` cores are used, all unless given, by ``workers`` batches that run at once, a core each
        unless given: that is faster than all cores on one batch, but a single text then has one core, so give 1 where
        texts come one by one. A GPU runs one batch at a time. A batch has at most ``token_budget`` tokens, padding
        included. With ``truncate`` a text of more than ``max_positions`` tokens keeps ``<s>``, its first pieces and
        ``</s>``. Raises FocusError if the directory is not a whole and valid export, the provider is not to be had
        here or lacks the operators of an int8 or bf16 model, or a number is below 1.
        """
        for name, number in (("threads", threads), ("workers", workers), ("token_budget", token_budget)):
            if number is not None and number < 1:
                raise FocusError(f"{name} is {number}; it has to be at least 1.")
        export = read_export(directory)
        self.directory = Path(directory)
        self.config = export.config
        self._tokenizer = Tokenizer(export)
        threads = threads or available_cores()
        workers = workers or threads
        with ThreadPoolExecutor(1) as beside:  # a core that loading does not use
            checked = beside.submit(check_model, export)
            try:
                self._session = _session(export, provider, require_gpu, max(1, threads // workers))
            finally:
                checked.result()  # damage explains better than what came of it
        self.size = _result_size(export, self._session)
        self.provider: str = self._session.get_providers()[0]
        self.token_budget = token_budget or (TOKEN_BUDGET if self.provider == CPU else GPU_TOKEN_BUDGET)
        self.truncate = truncate
        self._workers = workers if self.provider == CPU else 1
        self._result = self.config.output

    def encode(self, texts: Iterable[str]) -> np.ndarray:
        """The rows of all texts, in their order: float32 (texts, size), embeddings or a classifier's logits."""
        rows = list(self.windows(texts))
        return np.concatenate(rows) if rows else np.empty((0, self.size), np.float32)

    def windows(
        self, texts: Iterable[str], name: Name = "Text {}".format, on_batch: OnBatch = _unheard
    ) -> Iterator[np.ndarray]:
        """Yield the rows of ``texts`` in their order, some at a time: float32 (texts, size), as soon as they are known.

        Texts are read a window of some batches ahead and run by similar length; the next window is tokenized while the
        model runs, so that memory does not grow with their number. Where a window ends depends on nothing but the
        texts in it. ``on_batch`` is told the indices, in the window, of texts that are done. Raises FocusError for a
        text of more than ``max_positions`` tokens, unless truncating, which it calls ``name`` of its 1-based number;
        for what is no text; and for a string in the place of the texts.
        """
        if isinstance(texts, str | bytes):
            raise FocusError("Texts were expected, and one was given; put it in a list.")
        with ThreadPoolExecutor(self._workers) as pool, closing(ahead(self._windows(texts, name, pool))) as windows:
            try:
                for window in windows:
                    rows = np.empty((sum(len(batch.texts) for batch, _ in window), self.size), np.float32)
                    for batch, result in window:
                        rows[batch.texts] = result.result()
                        on_batch(batch.texts.tolist())
                    yield rows
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _windows(
        self, texts: Iterable[str], name: Name, pool: ThreadPoolExecutor
    ) -> Iterator[list[tuple[_Batch, Future[np.ndarray]]]]:
        """The batches of each window, of at least one text, with their results to come."""
        window: list[np.ndarray] = []
        tokens = 0
        for number, text in enumerate(texts, 1):
            window.append(self._tokenizer.encode(text, self.truncate, name(number)))
            tokens += len(window[-1])
            if tokens >= WINDOW_BATCHES * self.token_budget:
                yield [(batch, pool.submit(self._run, batch)) for batch in self._batches(window)]
                window, tokens = [], 0
        if window:
            yield [(batch, pool.submit(self._run, batch)) for batch in self._batches(window)]

    def _batches(self, window: Sequence[np.ndarray]) -> list[_Batch]:
        return [
            _Batch(texts, *padded([window[text] for text in texts], self.config.pad))
            for texts in batches_by_length([len(ids) for ids in window], self.token_budget)
        ]

    def _run(self, batch: _Batch) -> np.ndarray:
        """The model's result for each text of a batch, (rows, size)."""
        feeds = dict(zip(INPUTS, (batch.ids, batch.lengths), strict=True))
        try:
            if self.provider == CPU:
                return np.asarray(self._session.run([self._result], feeds)[0])
            return run_bound(self._session, feeds, self._result, "cuda")
        except Exception as error:  # ONNX Runtime's own exceptions share no other base class
            advice = f" {BF16_NEEDS}." if self.config.precision == "bf16" else ""
            raise FocusError(
                f"ONNX Runtime failed on a batch of {len(batch.ids)} x {batch.ids.shape[1]} tokens ({error}); "
                f"if memory is short, give a smaller token budget.{advice}"
            ) from error


def _session(export: Export, provider: str, require_gpu: bool, threads: int) -> onnxruntime.InferenceSession:
    """:func:`start_session` on a provider that has the operators of the model's precision."""
    directory = export.model.parent
    if export.config.precision == "int8":
        if require_gpu or provider not in ("auto", "cpu"):
            raise FocusError(f"{directory}: is an int8 model, which runs on the CPU alone; for a GPU export fp16.")
        provider = "cpu"
    if export.config.precision != "bf16":
        return start_session(export.model, provider, require_gpu, threads)
    try:
        return start_session(export.model, provider, True, threads)
    except FocusError as error:
        raise FocusError(f"{directory}: is a bf16 model; {BF16_NEEDS}. {error}") from error


def run_bound(
    session: onnxruntime.InferenceSession, feeds: dict[str, np.ndarray], output: str, device: str
) -> np.ndarray:
    """One output of the model for ``feeds``, which are copied to the device ("cuda", "cpu") before it runs."""
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, device, 0))
    binding.bind_output(output, device, 0)
    session.run_with_iobinding(binding)
    return np.asarray(binding.copy_outputs_to_cpu()[0])


def _result_size(export: Export, session: onnxruntime.InferenceSession) -> int:
    """The size of the model's result, of which inputs and outputs have to be those the configuration tells of."""
    outputs = {output.name: output.shape for output in session.get_outputs()}
    inputs = {model_input.name for model_input in session.get_inputs()}
    if inputs != set(INPUTS) or set(outputs) - {HIDDEN_STATES} != {export.config.output}:
        raise FocusError(
            f"{export.model}: inputs {sorted(inputs)} and outputs {sorted(outputs)} are not those of this kind."
        )
    size = export.config.size
    if outputs[export.config.output][-1] != size:
        what = "the width" if export.config.labels is None else "the number of labels"
        raise FocusError(f"{export.model}: its result has another size than {what} in config.json, {size}.")
    return size


@dataclass(frozen=True)
class Classification:
    """The most probable label of a text, and the probability of every label in the model's order."""

    label: str
    scores: dict[str, float]


Prediction = Classification | np.ndarray


class Predictor:
    """An exported model asked for predictions: the probabilities of a classifier's labels, or embeddings.

    It is pickled as its arguments and loads the model again where it arrives, and can be called with a table: Ray and
    Spark take it as it is.
    """

    def __init__(self, directory: str | Path, column: str = "text", **options: Any) -> None:
        """``column`` is where a table has its texts; ``options`` are Encoder's, and so is what is raised."""
        self._again = partial(Predictor, Path(directory).absolute(), column, **options)
        self._column = column
        self.encoder = Encoder(directory, **options)
        self.config = self.encoder.config

    def __reduce__(self) -> tuple[Callable[[], "Predictor"], tuple[()]]:
        return self._again, ()

    def __call__(self, table: Any) -> Any:
        """``table`` with its predictions as columns: a dictionary of arrays, a DataFrame, or an iterable of either.

        A classifier adds ``label`` and ``scores``, the probability float32 of every label in the model's order; else
        ``embedding``. Raises FocusError if it is no table, the column of the texts is absent or one to be added is
        there already, and as :meth:`predict` does.
        """
        return with_columns(table, self._column, self._columns)

    def _columns(self, texts: Iterable[str]) -> dict[str, np.ndarray]:
        rows = self.encoder.encode(texts)
        labels = self.config.labels
        if labels is None:
            return {"embedding": rows}
        return {"label": np.array(labels, object)[rows.argmax(1)], "scores": _softmax(rows).astype(np.float32)}

    def predict(self, texts: Iterable[str], name: Name = "Text {}".format) -> Iterator[Prediction]:
        """Yield the prediction of every text, in their order: a Classification or an embedding float32 (width,).

        Reads ahead, and raises FocusError, as :meth:`Encoder.windows` does.
        """
        labels = self.config.labels
        for rows in self.windows(texts, name):
            if labels is None:
                yield from rows
            else:
                best = rows.argmax(1)
                for index, scores in zip(best, rows.tolist(), strict=True):
                    yield Classification(labels[index], dict(zip(labels, scores, strict=True)))

    def windows(
        self, texts: Iterable[str], name: Name = "Text {}".format, on_batch: OnBatch = _unheard
    ) -> Iterator[np.ndarray]:
        """As :meth:`Encoder.windows`, but of a classifier the probabilities: float64 (texts, classes)."""
        for rows in self.encoder.windows(texts, name, on_batch):
            yield rows if self.config.labels is None else _softmax(rows)


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Of each row, in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))
