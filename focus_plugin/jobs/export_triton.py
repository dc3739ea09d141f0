"""Exports an ONNX model as a model repository for Triton Inference Server."""

from pathlib import Path

from focus_export.directory import EXPORT_CONFIG, check_model, read_export
from focus_export.triton import write_repository

from focus_plugin.files import sha256
from focus_plugin.manifest import Manifest, describe
from focus_plugin.outputs import make_directory

_KIND = "Triton model repository"
SUFFIX = ".onnx"


def export_triton(model: Path, output: Path) -> Manifest:
    """Write the repository of ``model``, a directory made by export_onnx, unless ``output`` already holds it.

    Its models are named after the directory, without ``.onnx``. Raises FocusError if it is not a complete export.
    """
    export = read_export(model)
    path = model.resolve()
    name = path.stem if path.suffix == SUFFIX else path.name
    inputs = {EXPORT_CONFIG: sha256(model / EXPORT_CONFIG)}  # which has the SHA-256 of each file
    manifest = describe(_KIND, {"name": name}, inputs)

    def build(directory: Path) -> dict[str, object]:
        check_model(export)
        write_repository(directory, export, name)
        return {"models": [name, f"{name}_encoder"]}

    return make_directory(output, manifest, build)
