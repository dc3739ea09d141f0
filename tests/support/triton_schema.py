"""Triton's schema of configurations."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import text_format


def message_types() -> ModuleType:
    """The message types of Triton's published model_config.proto; the rest of its package needs gRPC."""
    directory = importlib.util.find_spec("tritonclient").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("model_config_pb2", Path(directory) / "grpc" / "model_config_pb2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_configuration(schema: ModuleType, model: Path) -> Any:
    """The configuration of a model's directory."""
    return text_format.Parse((model / "config.pbtxt").read_text(encoding="utf-8"), schema.ModelConfig())
