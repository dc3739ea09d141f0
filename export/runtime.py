"""Running an exported model: texts in, predictions out, with nothing but ONNX Runtime, SentencePiece and NumPy."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from .providers import CPU, start_session
from .run_options import RunOptions
from .tokenizer import SentencePieceTokenizer

# On a CPU, larger batches are no faster, and leave cores without one where there are few texts.
TOKEN_BUDGET = 512
# A GPU has to be given enough to do.
GPU_TOKEN_BUDGET = 8192
BF16_NEEDS = "bf16 needs a GPU of compute capability 8.0 or later, and onnxruntime-gpu 1.24 or later"


class LoadedModel:
    """An exported model, loaded once.

    ``directory`` and ``config`` describe it, ``provider`` is the execution provider it runs on, ``token_budget`` the
    most tokens of a batch, ``workers`` the batches that run at once.
    """

    def __init__(self, directory: str | Path, options: RunOptions) -> None:
        """Raises FocusError if the directory is not a whole and valid export, or the provider is not to be had here or
        lacks the operators of an int8 or bf16 model.
        """
        export = read_export(directory)
        self.directory = Path(directory)
        self.config = export.config
        config = export.config
        self.tokenizer = SentencePieceTokenizer(
            export.sentencepiece,
            export.sentencepiece.read_bytes(),
            export.piece_ids,
            bos=config.bos,
            eos=config.eos,
            max_positions=config.max_positions,
        )
        threads = options.threads or available_cores()
        workers = options.workers or threads
        with ThreadPoolExecutor(1) as beside:  # a core that loading does not use
            checked = beside.submit(check_model, export)
            try:
                self._session = _session(export, options, max(1, threads // workers))
            finally:
                checked.result()  # damage explains better than what came of it
        _require_outputs(export, self._session)
        self.provider: str = self._session.get_providers()[0]
        self.token_budget = options.token_budget or (TOKEN_BUDGET if self.provider == CPU else GPU_TOKEN_BUDGET)
        self.workers = workers if self.provider == CPU else 1
        self._outputs = [output.name for output in config.head.outputs(config.width)]

    def run(self, ids: np.ndarray, lengths: np.ndarray) -> Mapping[str, np.ndarray]:
        """The head's outputs for a batch: ids int32 (rows, length), padded on the right, and lengths int32 (rows,)."""
        feeds = dict(zip(INPUTS, (ids, lengths), strict=True))
        try:
            if self.provider == CPU:
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
    """:func:`start_session` on a provider that has the operators of the model's precision."""
    directory, provider, require_gpu = export.model.parent, options.provider, options.require_gpu
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
    session: onnxruntime.InferenceSession, feeds: dict[str, np.ndarray], outputs: Sequence[str], device: str
) -> list[np.ndarray]:
    """Outputs of the model for ``feeds``, which are copied to the device ("cuda", "cpu") before it runs."""
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, device, 0))
    for name in outputs:
        binding.bind_output(name, device, 0)
    session.run_with_iobinding(binding)
    return [np.asarray(array) for array in binding.copy_outputs_to_cpu()]


def _require_outputs(export: ExportDirectory, session: onnxruntime.InferenceSession) -> None:
    """Raise FocusError unless inputs and outputs are those that the configuration tells of."""
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
    """An exported model asked for predictions, one for every sample; a sample is a text, or a tuple of several texts.

    What a prediction is the model's head says (see ``focus_export.heads``). It is pickled as its arguments and loads
    the model again where it arrives, and can be called with a table: Ray and Spark take it as it is.
    """

    def __init__(self, directory: str | Path, columns: str | Sequence[str] | None = None, **options: Any) -> None:
        """``columns`` are where a table has the texts of a sample, by default named as the head names them.

        ``options`` are those of :class:`RunOptions`, and what is raised is that of :class:`LoadedModel`.
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
        """``table`` with its predictions as columns: a dictionary of arrays, a DataFrame, or an iterable of either.

        Raises FocusError if it is no table, a column of texts is absent or a column to be added is there already, and
        as :meth:`predict` does.
        """
        return with_columns(table, self._columns, self._table)

    def _table(self, samples: Iterable[Any]) -> dict[str, np.ndarray]:
        return self.head.table(self.rows(samples) if isinstance(self.head, RowHead) else list(self.predict(samples)))

    def predict(self, samples: Iterable[Any], name: Name = numbered) -> Iterator[Any]:
        """The result of every sample, in their order; reads ahead, and raises FocusError, as :meth:`windows`."""
        return self._pipeline.results(samples, name)

    def rows(self, samples: Iterable[Any], name: Name = numbered) -> np.ndarray:
        """The rows of all samples, in their order, (samples, size): embeddings, or the probabilities of labels.

        Raises FocusError if the head's results are not rows of numbers, and as :meth:`windows` does.
        """
        if not isinstance(self.head, RowHead):
            raise FocusError(
                f"{self.model.directory}: the results of its head, {self.head.name}, are no rows of numbers."
            )
        rows = list(self.windows(samples, name))
        return np.concatenate(rows) if rows else np.empty((0, self.head.size(self.model.config.width)), np.float32)

    def windows(self, samples: Iterable[Any], name: Name = numbered, on_done: OnDone = ignore) -> Iterator[Results]:
        """As :meth:`Pipeline.windows`: the results of some samples at a time, as soon as they are known."""
        return self._pipeline.windows(samples, name, on_done)
