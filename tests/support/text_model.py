"""The text model of a Triton repository, run with stand-ins for Triton's classes."""

import asyncio
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import triton_python_backend_utils as triton
from google.protobuf import json_format

_MODULES = ("1", "1.model", "1.served_head")


def text_model_outputs(
    repository: Path, configuration: Any, texts: Mapping[str, Sequence[str]]
) -> dict[str, np.ndarray]:
    """The outputs of the text model for one request. ``texts``: the texts of the samples, by the names of the inputs.

    ``configuration``: the model's, as ``triton_schema.read_configuration`` reads it.
    """
    written = json_format.MessageToJson(configuration, preserving_proto_field_name=True)
    name = next(path.name for path in repository.iterdir() if path.with_name(f"{path.name}_encoder").is_dir())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton, "repository", repository)
        patch.setattr(triton, "batches", [])
        patch.syspath_prepend(repository / name)
        for module in _MODULES:
            patch.delitem(sys.modules, module, raising=False)
        model = importlib.import_module("1.model").TritonPythonModel()
        model.initialize({"model_config": written, "model_name": name})
        tensors = [
            triton.Tensor(name, np.array([[text.encode()] for text in column], object))
            for name, column in texts.items()
        ]
        [response] = asyncio.run(model.execute([triton.InferenceRequest(tensors)]))
        for module in _MODULES:
            sys.modules.pop(module, None)
    assert [tensor.name for tensor in response.output_tensors] == [entry.name for entry in configuration.output]
    return {tensor.name: tensor.array for tensor in response.output_tensors}
