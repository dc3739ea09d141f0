"""The model of a Triton repository that takes texts: it tokenizes, batches by length and asks the encoder beside it.

Triton's Python backend runs a copy of this file, with batching.py beside it and NumPy and SentencePiece installed.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import triton_python_backend_utils as pb_utils

from .batching import batches_by_length, padded


class TritonPythonModel:
    """What Triton's Python backend looks for: ``initialize`` is called once, ``execute`` for what came together."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the tokenizer beside this file and the parameters of ``args["model_config"]``, Triton's JSON."""
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._bos, self._pad, self._eos = (int(parameters[name]) for name in ("bos", "pad", "eos"))
        self._max_positions = int(parameters["max_positions"])
        self._token_budget = int(parameters["token_budget"])
        self._truncate = parameters["truncate"] == "true"
        (output,) = config["output"]
        self._output, self._size = output["name"], int(output["dims"][0])
        self._encoder, self._encoder_output = f"{args['model_name']}_encoder", parameters["encoder_output"]
        directory = Path(__file__).parent
        self._tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(directory / "sentencepiece.model"))
        self._piece_ids = np.load(directory / "piece_ids.npy", allow_pickle=False)

    async def execute(self, requests: Sequence[Any]) -> list[Any]:
        """A response for each request: the results of its texts, or the error of its first text that has one."""
        encoded = [self._encode_request(request) for request in requests]
        results = await self._results([row for rows in encoded if isinstance(rows, list) for row in rows])
        responses, start = [], 0
        for rows in encoded:
            if isinstance(rows, list):
                tensor = pb_utils.Tensor(self._output, results[start : start + len(rows)])
                responses.append(pb_utils.InferenceResponse([tensor]))
                start += len(rows)
            else:
                responses.append(pb_utils.InferenceResponse(error=rows))
        return responses

    def _encode_request(self, request: Any) -> Any:
        """The token ids of each text of a request, or a TritonError."""
        texts = pb_utils.get_input_tensor_by_name(request, "text").as_numpy()
        try:
            return [self._encode(text, number) for number, text in enumerate(texts[:, 0], 1)]
        except ValueError as error:
            return pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)

    def _encode(self, text: bytes, number: int) -> np.ndarray:
        """``<s>``, the token ids of the pieces, ``</s>``: int32 (length,). ValueError if the text cannot be had."""
        try:
            pieces = self._tokenizer.encode(text.decode())
        except UnicodeDecodeError as error:
            raise ValueError(f"Text {number}: not valid UTF-8 (byte {error.start}).") from error
        length, longest = len(pieces) + 2, self._max_positions
        if length > longest and not self._truncate:
            raise ValueError(f"Text {number}: {length} tokens, but the model takes at most {longest}.")
        return np.array([self._bos, *self._piece_ids[pieces[: longest - 2]], self._eos], np.int32)

    async def _results(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings (rows, width), or the probabilities of the labels (rows, labels), float32."""
        batches = list(batches_by_length([len(row) for row in rows], self._token_budget))
        outputs = await asyncio.gather(*(self._encoder_run([rows[index] for index in batch]) for batch in batches))
        results: np.ndarray = np.empty((len(rows), self._size), np.float32)
        for batch, output in zip(batches, outputs, strict=True):
            results[batch] = output
        if self._encoder_output == "logits":
            powers = np.exp(results - results.max(1, keepdims=True))
            results = powers / powers.sum(1, keepdims=True)
        return results

    async def _encoder_run(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """What the encoder says of one batch of token ids: float32 (rows, size)."""
        ids, lengths = padded(rows, self._pad)
        request = pb_utils.InferenceRequest(
            model_name=self._encoder,
            requested_output_names=[self._encoder_output],
            inputs=[pb_utils.Tensor("input_ids", ids), pb_utils.Tensor("lengths", lengths[:, None])],
            preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
        )
        response = await request.async_exec()
        if response.has_error():
            raise pb_utils.TritonModelException(response.error().message())
        output: np.ndarray = pb_utils.get_output_tensor_by_name(response, self._encoder_output).as_numpy()
        return output
