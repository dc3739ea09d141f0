"""The text model of a Triton repository: it tokenizes texts, batches them by length and calls the encoder.

Triton's Python backend runs a copy of this file. Beside it are copies of the head's file and of the few modules that
both import. NumPy and SentencePiece must be installed, and tokenizers for a model with a
``tokenizer.json``.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))
from focus_export.batching import batches_by_length, padded
from focus_export.head import Encoded, RowHead
from focus_export.served_heads import make_head
from focus_export.tokenizer import RowTokens, TokenizerFile, text_tokenizer

from focus_plugin.errors import FocusError

from .served_head import HEAD


class TritonPythonModel:
    """The class that Triton's Python backend loads. It calls ``initialize`` once, and ``execute`` for each batch."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the tokenizer beside this file and the parameters of ``args["model_config"]``, Triton's JSON."""
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._pad = int(parameters["pad"])
        self._token_budget = int(parameters["token_budget"])
        self._truncate = parameters["truncate"] == "true"
        self._inputs = [entry["name"] for entry in config["input"]]
        self._has_objects = config["output"][-1]["data_type"] == "TYPE_STRING"
        self._encoder = f"{args['model_name']}_encoder"
        self._head = make_head(HEAD, json.loads(parameters["head"]))
        self._outputs = self._head.outputs(int(parameters["width"]))
        path = Path(__file__).with_name(parameters["tokenizer"])
        piece_ids = np.load(path.with_name("piece_ids.npy"), allow_pickle=False)
        self._tokenizer = text_tokenizer(
            TokenizerFile(path=path, content=path.read_bytes(), piece_ids=piece_ids),
            RowTokens(**{field.name: int(parameters[field.name]) for field in fields(RowTokens)}),
        )

    async def execute(self, requests: Sequence[Any]) -> list[Any]:
        """A response for each request: the results of its samples, or the error of the first sample with one."""
        encoded = [self._encode_request(request) for request in requests]
        rows = [row for samples in encoded if isinstance(samples, list) for sample in samples for row in sample.rows]
        outputs = iter(await self._run(rows))
        return [
            self._response(samples, [[next(outputs) for _ in sample.rows] for sample in samples])
            if isinstance(samples, list)
            else pb_utils.InferenceResponse(error=samples)
            for samples in encoded
        ]

    def _encode_request(self, request: Any) -> Any:
        """Each sample of a request encoded, or a TritonError."""
        tensors = [pb_utils.get_input_tensor_by_name(request, name) for name in self._inputs]
        texts = [tensor.as_numpy()[:, 0] for tensor in tensors if tensor is not None]  # some inputs are optional
        encoded = []
        for number, sample in enumerate(zip(*texts, strict=True), 1):
            try:
                decoded = tuple(text.decode() for text in sample)
                whole = decoded if len(decoded) > 1 else decoded[0]
                encoded.append(self._head.encode(self._tokenizer, whole, self._truncate))
            except UnicodeDecodeError as error:
                return _refused(f"Text {number}: not valid UTF-8 (byte {error.start}).")
            except FocusError as error:
                return _refused(f"Text {number}: {error}")
        return encoded

    async def _run(self, rows: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """The encoder's outputs for each row of token ids, without padding."""
        batches = list(batches_by_length([len(row) for row in rows], self._token_budget))
        outputs = await asyncio.gather(*(self._run_batch([rows[index] for index in batch]) for batch in batches))
        found: list[dict[str, np.ndarray]] = [{} for _ in rows]
        for batch, arrays in zip(batches, outputs, strict=True):
            for output, array in zip(self._outputs, arrays, strict=True):
                for index, values in zip(batch, array, strict=True):
                    found[index][output.name] = output.without_padding(values, len(rows[index]))
        return found

    async def _run_batch(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The encoder's outputs for one batch, an array (rows, ...) each."""
        names = [output.name for output in self._outputs]
        ids, lengths = padded(rows, self._pad)
        request = pb_utils.InferenceRequest(
            model_name=self._encoder,
            requested_output_names=names,
            inputs=[pb_utils.Tensor("input_ids", ids), pb_utils.Tensor("lengths", lengths[:, None])],
            preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
        )
        response = await request.async_exec()
        if response.has_error():
            raise pb_utils.TritonModelException(response.error().message())
        return [pb_utils.get_output_tensor_by_name(response, name).as_numpy() for name in names]

    def _response(self, samples: Sequence[Encoded], outputs: Sequence[Sequence[dict[str, np.ndarray]]]) -> Any:
        """The results of a request: rows of numbers, and one JSON object for each sample, as in JSON Lines."""
        for number, parts in enumerate(outputs, 1):
            if not all(np.isfinite(array).all() for part in parts for array in part.values()):
                error = pb_utils.TritonError(f"Text {number}: the model's result is not a finite number.")
                return pb_utils.InferenceResponse(error=error)
        tensors = []
        if isinstance(self._head, RowHead):
            names = [output.name for output in self._outputs]
            rows = self._head.rows({name: np.stack([part[name] for (part,) in outputs]) for name in names})
            tensors.append(pb_utils.Tensor(self._head.row_name, rows.astype(np.float32)))
            results = self._head.results(rows)
        else:
            results = map(self._head.result, samples, outputs)
        if self._has_objects:
            records = [json.dumps(self._head.record(result), ensure_ascii=False).encode() for result in results]
            tensors.append(pb_utils.Tensor("result", np.array(records, object)[:, None]))
        return pb_utils.InferenceResponse(tensors)


def _refused(message: str) -> Any:
    return pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
