"""Runs an exported model on texts. Needs only ONNX Runtime, NumPy and SentencePiece, or tokenizers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from focus_plugin.cores import available_cores
from focus_plugin.errors import FocusError

from .columns import with_columns
from .directory import INPUTS, ExportDirectory, check_model, read_export
from .head import RowHead
from .pipeline import Name, OnDone, Pipeline, Results, ignore, numbered
from .providers import ON_CPU, start_session
from .run_options import RunOptions
from .tokenizer import text_tokenizer
from .verify import largest_difference, random_batches

# On a CPU, larger batches are not faster, and with few texts some cores would have no batch.
CPU_TOKEN_BUDGET = 512
# A GPU needs large batches.
GPU_TOKEN_BUDGET = 8192
VERIFIED_LENGTH, VERIFIED_TOLERANCE = 48, 1e-4  # tokens of the longest text that verifies a provider
BF16_NEEDS = "bf16 needs a GPU of compute capability 8.0 or later, and onnxruntime-gpu 1.24 or later"


class LoadedModel:
    """An exported model, loaded once.

    directory, config: its directory and configuration. provider: the execution provider that it runs on. token_budget:
    the largest number of tokens in a batch. workers: the number of batches that run at once.
    """

    def __init__(self, directory: str | Path, options: RunOptions) -> None:
        """Load the model. Raises FocusError if the directory is not a complete and valid export, if the provider is not
        available, if it lacks the operators of an int8 or bf16 model, and if OpenVINO's results are others.
        """
        export = read_export(directory)
        self.directory = Path(directory)
        self.config = export.config
        self.tokenizer = text_tokenizer(export.tokenizer, export.config.row_tokens)
        threads = options.threads or available_cores()
        workers = options.workers or threads
        with ThreadPoolExecutor(1) as beside:  # loading the model uses only one core
            checked = beside.submit(check_model, export)
            try:
                self._session = _session(export, options, max(1, threads // workers))
            finally:
                checked.result()  # its message is clearer than ONNX Runtime's error
        _require_outputs(export, self._session)
        self.provider: str = self._session.get_providers()[0]
        on_cpu = self.provider in ON_CPU
        self.token_budget = options.token_budget or (CPU_TOKEN_BUDGET if on_cpu else GPU_TOKEN_BUDGET)
        self.workers = workers if on_cpu else 1
        self._outputs = [output.name for output in self.config.head.outputs(self.config.width)]

    def run(self, ids: np.ndarray, lengths: np.ndarray) -> Mapping[str, np.ndarray]:
        """The head's outputs for a batch: ids int32 (rows, length), padded on the right, and lengths int32 (rows,)."""
        feeds = dict(zip(INPUTS, (ids, lengths), strict=True))
        try:
            if self.provider in ON_CPU:
                results = self._session.run(self._outputs, feeds)
            else:
                results = run_bound(self._session, feeds, self._outputs, "cuda")
        except Exception as error:  # ONNX Runtime's own exceptions share no other base class
            advice = f" {BF16_NEEDS}." if self.config.precision == "bf16" else ""
            raise FocusError(
                f"ONNX Runtime failed on a batch of {len(ids)} x {ids.shape[1]} tokens ({error}); "
                f"if memory is short, give a smaller token budget.{advice}"
            ) from error
        return dict(zip(self._outputs, results, strict=True))


def _session(export: ExportDirectory, options: RunOptions, threads: int) -> onnxruntime.InferenceSession:
    """:func:`start_session`, on a provider that supports the model's precision."""
    directory, provider, require_gpu = export.model.parent, options.provider, options.require_gpu
    if provider == "openvino":
        return _on_openvino(export, require_gpu, threads)
    if export.config.precision == "int8":
        if require_gpu or provider not in ("auto", "cpu"):
            raise FocusError(f"{directory}: is an int8 model, which runs only on a CPU; for a GPU, export in fp16.")
        provider = "cpu"
    if export.config.precision != "bf16":
        return start_session(export.model, provider, require_gpu, threads)
    try:
        return start_session(export.model, provider, True, threads)
    except FocusError as error:
        raise FocusError(f"{directory}: is a bf16 model; {BF16_NEEDS}. {error}") from error


def _on_openvino(export: ExportDirectory, require_gpu: bool, threads: int) -> onnxruntime.InferenceSession:
    """A session on OpenVINO, whose results for a few batches are those of ONNX Runtime's own provider."""
    directory = export.model.parent
    if export.config.precision != "fp32":
        raise FocusError(f"{directory}: is a model in {export.config.precision}; OpenVINO runs only fp32 models here.")
    session = start_session(export.model, "openvino", require_gpu, threads)
    names = [output.name for output in session.get_outputs()]
    short = replace(export.config, max_positions=min(export.config.max_positions, VERIFIED_LENGTH))
    cases = []
    for ids, lengths in random_batches(short):
        results = session.run(names, dict(zip(INPUTS, (ids, lengths), strict=True)))
        cases.append((ids, lengths, dict(zip(names, results, strict=True))))
    difference = largest_difference(export.model, cases)
    if not difference <= VERIFIED_TOLERANCE:
        raise FocusError(
            f"{directory}: OpenVINO's results differ from those of the provider cpu by {difference:.1e}, more than "
            f"{VERIFIED_TOLERANCE:.0e}; give --provider cpu."
        )
    return session


def run_bound(
    session: onnxruntime.InferenceSession, feeds: dict[str, np.ndarray], outputs: Sequence[str], device: str
) -> list[np.ndarray]:
    """The model's outputs for ``feeds``, which are copied to the device ("cuda" or "cpu") first."""
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, device, 0))
    for name in outputs:
        binding.bind_output(name, device, 0)
    session.run_with_iobinding(binding)
    return [np.asarray(array) for array in binding.copy_outputs_to_cpu()]


def _require_outputs(export: ExportDirectory, session: onnxruntime.InferenceSession) -> None:
    """Raise FocusError if the model's inputs and outputs are not those of its configuration."""
    found = {output.name: tuple(output.shape[1:]) for output in session.get_outputs()}
    wanted = {output.name: output.shape for output in export.config.outputs}
    inputs = {model_input.name for model_input in session.get_inputs()}
    if inputs != set(INPUTS) or found.keys() != wanted.keys():
        raise FocusError(
            f"{export.model}: inputs {sorted(inputs)} and outputs {sorted(found)} are not those of the head "
            f"{export.config.head.name}."
        )
    for name, shape in wanted.items():
        if found[name] != shape:
            raise FocusError(
                f"{export.model}: its {name} has the shape {found[name]}, but config.json beside it is of a model with "
                f"{shape}."
            )


class Predictor:
    """Computes predictions with an exported model, one for each sample: a text, or a tuple of several texts.

    The head of the model determines what a prediction is (see ``focus_export.heads``). A Predictor can be called with a
    table, so Ray and Spark can use it directly. Pickling saves only its arguments; the other process loads the model
    again.
    """

    def __init__(self, directory: str | Path, columns: str | Sequence[str] | None = None, **options: Any) -> None:
        """``columns``: the columns of a table with the texts of a sample; by default the names of the head's inputs.

        ``options``: those of :class:`RunOptions`. Raises FocusError as :class:`LoadedModel` does.
        """
        self._again = partial(Predictor, Path(directory).absolute(), columns, **options)
        chosen = RunOptions(**options)
        self.model = LoadedModel(directory, chosen)
        self.head = self.model.config.head
        self.truncate = chosen.truncate
        self._columns = self.head.inputs if columns is None else (columns,) if isinstance(columns, str) else columns
        self._pipeline = Pipeline(
            head=self.head,
            outputs=self.head.outputs(self.model.config.width),
            tokenizer=self.model.tokenizer,
            run=self.model.run,
            pad=self.model.config.pad,
            token_budget=self.model.token_budget,
            workers=self.model.workers,
            truncate=self.truncate,
        )

    def __reduce__(self) -> tuple[Callable[[], "Predictor"], tuple[()]]:
        return self._again, ()

    def __call__(self, table: Any) -> Any:
        """``table`` with its predictions as additional columns.

        A table is a dictionary of arrays, a DataFrame, or an iterable of either. Raises FocusError if it is none of
        these, if a column of texts is missing or a new column already exists, and as :meth:`predict` does.
        """
        return with_columns(table, self._columns, self._table)

    def _table(self, samples: Iterable[Any]) -> dict[str, np.ndarray]:
        return self.head.table(self.rows(samples) if isinstance(self.head, RowHead) else list(self.predict(samples)))

    def predict(self, samples: Iterable[Any], name: Name = numbered) -> Iterator[Any]:
        """Yield the result of every sample, in order. Reads ahead and raises FocusError as :meth:`windows` does."""
        return self._pipeline.results(samples, name)

    def rows(self, samples: Iterable[Any], name: Name = numbered) -> np.ndarray:
        """The rows of all samples, in order, (samples, size): embeddings, or the probabilities of labels.

        Raises FocusError if the results of the head are not rows of numbers, and as :meth:`windows` does.
        """
        if not isinstance(self.head, RowHead):
            raise FocusError(
                f"{self.model.directory}: the results of its head, {self.head.name}, are not rows of numbers."
            )
        rows = list(self.windows(samples, name))
        return np.concatenate(rows) if rows else np.empty((0, self.head.size(self.model.config.width)), np.float32)

    def windows(self, samples: Iterable[Any], name: Name = numbered, on_done: OnDone = ignore) -> Iterator[Results]:
        """Yield the results of one window of samples at a time, see :meth:`Pipeline.windows`."""
        return self._pipeline.windows(samples, name, on_done)
