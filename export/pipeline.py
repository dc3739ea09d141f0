"""Computes one result for each text, in order. Texts are encoded in advance and batched by length."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from focus_plugin.errors import FocusError

from .ahead import ahead
from .batching import batches_by_length, padded
from .columns import is_table
from .head import Encoded, Output, RowHead, ServingHead, encoded_sample
from .tokenizer import TextTokenizer

WINDOW_BATCHES = 32

OutputArrays = Mapping[str, np.ndarray]
# From the number of a sample, starting at 1, to its name in messages.
Name = Callable[[int], str]
# Called with the indices of samples that are done; they are counted from the beginning of the window.
OnDone = Callable[[Sequence[int]], object]
# The results of a window: for a RowHead an array (samples, size), for any other head a list.
Results = Any


def numbered(number: int) -> str:
    """The name of a sample that has no other name, such as "Text 1"."""
    return f"Text {number}"


def ignore(done: Sequence[int]) -> None:
    """A callback that does nothing, the default."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Computes results from samples.

    outputs: the outputs of the head. run: a function from ids, int32 (rows, length), padded on the right with ``pad``,
    and lengths, int32 (rows,), to the model's outputs by name. token_budget: the largest number of tokens in a batch,
    padding included. workers: the number of batches that run at once. truncate: whether a text that is too long is cut.
    """

    head: ServingHead
    outputs: tuple[Output, ...]
    tokenizer: TextTokenizer
    run: Callable[[np.ndarray, np.ndarray], OutputArrays]
    pad: int
    token_budget: int
    workers: int
    truncate: bool

    def windows(self, samples: Iterable[Any], name: Name = numbered, on_done: OnDone = ignore) -> Iterator[Results]:
        """Yield the results of ``samples`` in order, one window at a time.

        A window is a number of consecutive samples that fill several batches of similar length. While the model runs,
        the next window is encoded. The memory needed does not depend on the number of samples, and where a window ends
        depends only on the samples in it. Raises FocusError, with the ``name`` of the sample, if the head cannot encode
        a sample or an output is not finite; and if ``samples`` is a string or a table, whose names are no texts.
        """
        if not isinstance(samples, Iterable) or isinstance(samples, str | bytes):
            raise FocusError(f"Expected several texts, but a {type(samples).__name__} was given; put it in a list.")
        if is_table(samples):
            raise FocusError("Expected several texts, but a table was given; call the predictor: predictor(table).")
        before = 0
        with ThreadPoolExecutor(self.workers) as pool, closing(self._read(samples, name, pool)) as windows:
            try:
                for window in windows:
                    yield self._results(window, partial(_name_after, name, before), on_done)
                    before += len(window.encoded)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def results(self, samples: Iterable[Any], name: Name = numbered) -> Iterator[Any]:
        """Yield the result of every sample, in order. Reads ahead and raises FocusError as :meth:`windows` does."""
        for results in self.windows(samples, name):
            yield from self.head.results(results) if isinstance(self.head, RowHead) else results

    def _results(self, window: "_Window", name: Name, on_done: OnDone) -> Results:
        if isinstance(self.head, RowHead):
            return _rows(self.head, window, name, on_done)
        return _objects(self.head, window, name, on_done)

    def _read(self, samples: Iterable[Any], name: Name, pool: ThreadPoolExecutor) -> Generator["_Window", None, None]:
        """The windows of ``samples``; read in a thread, unless there is nothing to read ahead."""
        windows = self._windows(samples, name, pool)
        return windows if isinstance(samples, Sequence) and len(samples) == 1 else ahead(windows)

    def _windows(
        self, samples: Iterable[Any], name: Name, pool: ThreadPoolExecutor
    ) -> Generator["_Window", None, None]:
        """Yield windows of at least one sample. Their batches have been given to ``pool``."""
        window: list[Encoded] = []
        tokens = 0
        for number, sample in enumerate(samples, 1):
            try:
                encoded = encoded_sample(self.head, self.tokenizer, sample, self.truncate)
            except FocusError as error:
                raise FocusError(f"{name(number)}: {error}") from error
            window.append(encoded)
            tokens += max(1, sum(map(len, encoded.rows)))
            if tokens >= WINDOW_BATCHES * self.token_budget:
                yield self._started(window, pool)
                window, tokens = [], 0
        if window:
            yield self._started(window, pool)

    def _started(self, encoded: list[Encoded], pool: ThreadPoolExecutor) -> "_Window":
        rows = [row for sample in encoded for row in sample.rows]
        owners = np.repeat(np.arange(len(encoded)), [len(sample.rows) for sample in encoded])
        batches, divided = [], batches_by_length([len(row) for row in rows], self.token_budget)
        start = pool.submit if len(divided) > 1 else _done  # another thread would cost a short text a millisecond
        for chosen in divided:
            ids, lengths = padded([rows[row] for row in chosen], self.pad)
            batches.append(_Batch(chosen, owners[chosen], lengths, start(self.run, ids, lengths)))
        return _Window(encoded, self.outputs, batches)


def _done(run: Callable[..., OutputArrays], *arguments: np.ndarray) -> "Future[OutputArrays]":
    """What ``run`` returns, computed now."""
    future: Future[OutputArrays] = Future()
    future.set_result(run(*arguments))
    return future


def _name_after(name: Name, before: int, index: int) -> str:
    """The name of the sample ``index`` of a window; ``before``: the number of samples before the window."""
    return name(before + index + 1)


@dataclass(frozen=True)
class _Batch:
    """rows: the indices of its rows in the window, (rows,). owners: the index of the sample of each row."""

    rows: np.ndarray
    owners: np.ndarray
    lengths: np.ndarray
    result: "Future[OutputArrays]"


@dataclass(frozen=True)
class _Window:
    encoded: list[Encoded]
    outputs: tuple[Output, ...]
    batches: list[_Batch]

    def results(self, name: Name) -> Iterator[tuple[_Batch, OutputArrays]]:
        """Yield each batch with its outputs. Raises FocusError if an output is not finite."""
        for batch in self.batches:
            outputs = batch.result.result()
            for output in self.outputs:
                array = outputs[output.name]
                # a head's outputs at padding can be anything
                if not np.isfinite(array).all() and (wrong := _not_finite(output, array, batch.lengths)) is not None:
                    raise FocusError(
                        f"{name(int(batch.owners[wrong]))}: the model's {output.name} is not a finite number; the "
                        "model is damaged, or its precision cannot hold its values."
                    )
            yield batch, outputs


def _not_finite(output: Output, array: np.ndarray, lengths: np.ndarray) -> int | None:
    """The first row of a batch with a value that is not finite, padding excluded; None if there is none."""
    for row, (values, length) in enumerate(zip(array, lengths.tolist(), strict=True)):
        if not np.isfinite(output.without_padding(values, length)).all():
            return row
    return None


def _rows(head: RowHead, window: _Window, name: Name, on_done: OnDone) -> np.ndarray:
    rows: np.ndarray | None = None
    for batch, outputs in window.results(name):
        found = head.rows(outputs)
        if rows is None:
            rows = np.empty((len(window.encoded), *found.shape[1:]), found.dtype)
        rows[batch.owners] = found
        on_done(batch.owners.tolist())
    assert rows is not None
    return rows


def _objects(head: ServingHead, window: _Window, name: Name, on_done: OnDone) -> list[Any]:
    first = np.cumsum([0, *(len(sample.rows) for sample in window.encoded)])
    found: list[OutputArrays | None] = [None] * int(first[-1])
    missing = np.diff(first)
    for batch, outputs in window.results(name):
        for place, (row, length) in enumerate(zip(batch.rows.tolist(), batch.lengths.tolist(), strict=True)):
            found[row] = {
                output.name: output.without_padding(outputs[output.name][place], length) for output in window.outputs
            }
        np.subtract.at(missing, batch.owners, 1)
        done = np.unique(batch.owners)
        on_done(done[missing[done] == 0].tolist())
    parts: Any = found
    return [
        head.result(sample, parts[start:end])
        for sample, start, end in zip(window.encoded, first[:-1].tolist(), first[1:].tolist(), strict=True)
    ]
