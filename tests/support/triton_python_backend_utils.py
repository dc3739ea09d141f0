"""What a model of texts uses of Triton's module of this name. The encoder it asks for is run by ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime

TRITONSERVER_MEMORY_CPU = 0
# Where the models are, and the token ids and lengths of every batch their encoder got.
repository = Path()
batches: list[tuple[np.ndarray, np.ndarray]] = []


class TritonModelException(Exception):  # noqa: N818
    pass


@dataclass
class TritonError:
    INVALID_ARG = 3
    text: str
    code: int = 0

    def message(self) -> str:
        return self.text


@dataclass
class Tensor:
    name: str
    array: np.ndarray

    def as_numpy(self) -> np.ndarray:
        return self.array


@dataclass
class PreferredMemory:
    kind: int
    device: int


@dataclass
class InferenceResponse:
    output_tensors: Sequence[Tensor] = ()
    error: TritonError | None = None


@dataclass
class _EncoderResponse:
    tensors: Sequence[Tensor]
    refused: TritonError | None = None

    def has_error(self) -> bool:
        return self.refused is not None

    def error(self) -> TritonError | None:
        return self.refused


@dataclass
class InferenceRequest:
    """A request of a client has ``inputs`` alone, one of a model the rest as well."""

    inputs: Sequence[Tensor]
    model_name: str = ""
    requested_output_names: Sequence[str] = ()
    preferred_memory: PreferredMemory = field(default_factory=lambda: PreferredMemory(1, 0))

    async def async_exec(self) -> _EncoderResponse:
        ids, lengths = (tensor.array for tensor in self.inputs)
        assert [tensor.name for tensor in self.inputs] == ["input_ids", "lengths"]
        assert lengths.shape == (len(ids), 1), "config.pbtxt tells of one dimension"
        assert self.preferred_memory.kind == TRITONSERVER_MEMORY_CPU, "else as_numpy() fails on a GPU"
        batches.append((ids, lengths[:, 0]))
        try:
            session = onnxruntime.InferenceSession(str(repository / self.model_name / "1" / "model.onnx"))
            values = session.run(list(self.requested_output_names), {"input_ids": ids, "lengths": lengths[:, 0]})
        except Exception as error:
            return _EncoderResponse((), TritonError(str(error)))
        return _EncoderResponse([Tensor(*pair) for pair in zip(self.requested_output_names, values, strict=True)])


def get_input_tensor_by_name(request: InferenceRequest, name: str) -> Tensor | None:
    return next((tensor for tensor in request.inputs if tensor.name == name), None)


def get_output_tensor_by_name(response: _EncoderResponse, name: str) -> Tensor:
    return next(tensor for tensor in response.tensors if tensor.name == name)
