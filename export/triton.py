"""Writes a model repository for Triton Inference Server: an encoder for its ONNX Runtime backend, and a text model.

Triton puts requests of the same shape into a batch, and a request of another shape ends the batch. The token ids of
different texts seldom have the same shape, but texts always have. So Triton batches texts; the text model sorts them by
length and calls the encoder.
"""

import inspect
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from .directory import INPUTS, PIECE_IDS, ExportDirectory
from .head import LENGTH, Output, RowHead, ServingHead
from .providers import CUDA_SETTINGS
from .runtime import CPU_TOKEN_BUDGET, GPU_TOKEN_BUDGET

LABEL_FILENAME = "labels.txt"
RESULT = "result"  # output with the result of each sample as a JSON object, unless it is a row of numbers
MAX_BATCH_SIZE = 256
QUEUE_DELAY_MICROSECONDS = 1000
_CONFIG = "config.pbtxt"
_VERSION = "1"
# The modules that model.py and any head's file import.
_MODULES = (
    *("focus_export.batching", "focus_export.head", "focus_export.sequence_head", "focus_export.served_heads"),
    "focus_export.tokenizer",
    *("focus_plugin.discovery", "focus_plugin.errors", "focus_plugin.options"),
)


def write_repository(directory: Path, export: ExportDirectory, name: str) -> None:
    """Write two models into ``directory``: ``name``, the text model, and ``name`` + "_encoder", which it calls.

    The names of their directories are their names in Triton.
    """
    text, encoder = directory / name, directory / f"{name}_encoder"
    head = export.config.head
    for model, configuration in ((text, _text_configuration(export)), (encoder, _encoder_configuration(export))):
        (model / _VERSION).mkdir(parents=True)
        (model / _CONFIG).write_text(configuration, encoding="utf-8")
        if isinstance(head, RowHead) and head.row_labels():
            (model / LABEL_FILENAME).write_text("".join(f"{label}\n" for label in head.row_labels()), encoding="utf-8")
    exported = export.model.parent
    for names, model in (((export.tokenizer.path.name, PIECE_IDS), text), (export.sha256, encoder)):
        for file in names:
            shutil.copyfile(exported / file, model / _VERSION / file)
    _write_programs(text / _VERSION, head)


def _write_programs(directory: Path, head: ServingHead) -> None:
    """Write ``model.py``, the file of the head, and the modules that they import, in packages of the same names."""
    shutil.copyfile(Path(__file__).with_name("triton_model.py"), directory / "model.py")
    shutil.copyfile(inspect.getfile(type(head)), directory / "served_head.py")
    for module in (*_MODULES, *head.modules):
        package, _, file = module.partition(".")
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        (directory / package).mkdir(exist_ok=True)
        (directory / package / "__init__.py").touch()
        shutil.copyfile(spec.origin, directory / package / f"{file}.py")


def _encoder_configuration(export: ExportDirectory) -> str:
    """The encoder's ``config.pbtxt``. The input "lengths" has one dimension more in Triton, which is reshaped away."""
    config, head = export.config, export.config.head
    inputs = [_tensor(name, "TYPE_INT32", shape) for name, shape in zip(INPUTS, ([-1], []), strict=True)]
    named = head.outputs(config.width) if isinstance(head, RowHead) and head.row_labels() else ()
    outputs = [_output(output, labelled=output in named) for output in config.outputs]
    settings = " ".join(f'parameters {{ key: "{key}" value: "{value}" }}' for key, value in CUDA_SETTINGS.items())
    accelerators = f'gpu_execution_accelerator: [ {{ name: "cuda" {settings} }} ]'
    return _configuration(
        "onnxruntime",
        inputs,
        outputs,
        "# One instance on each GPU, or one on the CPU.",
        "instance_group [ { kind: KIND_AUTO count: 1 } ]",
        "# On a GPU, with the settings of focus predict: no TensorFloat-32, and layer norms computed in float32.",
        f"optimization {{ execution_accelerators {{ {accelerators} }} }}",
        "dynamic_batching { }",
    )


def _text_configuration(export: ExportDirectory) -> str:
    config, head = export.config, export.config.head
    parameters = {
        "head": json.dumps(asdict(head)),  # type: ignore[call-overload]  # its classes are dataclasses
        "width": config.width,
        "tokenizer": export.tokenizer.path.name,
        **asdict(config.row_tokens),
        "pad": config.pad,
        "token_budget": CPU_TOKEN_BUDGET,
        "truncate": "false",
    }
    labelled = isinstance(head, RowHead) and bool(head.row_labels())
    results = []
    if isinstance(head, RowHead):
        results.append(_tensor(head.row_name, "TYPE_FP32", [head.size(config.width)], labelled))
    if labelled or not isinstance(head, RowHead):
        results.append(_tensor(RESULT, "TYPE_STRING", [1]))
    texts = [_tensor(name, "TYPE_STRING", [1]) for name in head.inputs]
    texts += [_tensor(name, "TYPE_STRING", [1], optional=True) for name in head.more_inputs]
    return _configuration(
        "python",
        texts,
        results,
        "# A second instance tokenizes while the first waits for the encoder.",
        "instance_group [ { kind: KIND_CPU count: 2 } ]",
        f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_DELAY_MICROSECONDS} }}",
        f"# token_budget: the largest number of tokens in a batch for the encoder; {GPU_TOKEN_BUDGET} on a GPU.",
        '# truncate: if "true", texts longer than max_positions tokens are cut instead of refused.',
        *(
            f'parameters {{ key: "{key}" value {{ string_value: {json.dumps(str(value))} }} }}'
            for key, value in parameters.items()
        ),
    )


def _configuration(backend: str, inputs: Iterable[str], outputs: Iterable[str], *settings: str) -> str:
    """A model's configuration in protobuf's text format."""
    lines = [f'backend: "{backend}"', f"max_batch_size: {MAX_BATCH_SIZE}"]
    lines += (f"input {tensor}" for tensor in inputs)
    lines += (f"output {tensor}" for tensor in outputs)
    return "\n".join([*lines, *settings]) + "\n"


def _output(output: Output, labelled: bool) -> str:
    shape = [-1 if size == LENGTH else int(size) for size in output.shape]
    return _tensor(output.name, "TYPE_FP32", shape, labelled)


def _tensor(name: str, kind: str, shape: Sequence[int], labelled: bool = False, optional: bool = False) -> str:
    """An input or output. ``shape``: without the batch axis; -1 is a dimension of any size."""
    dimensions = ", ".join(map(str, shape)) or "1"
    reshape = "" if shape else " reshape { shape: [ ] }"
    labels = f' label_filename: "{LABEL_FILENAME}"' if labelled else ""
    presence = " optional: true" if optional else ""
    return f'{{ name: "{name}" data_type: {kind} dims: [ {dimensions} ]{reshape}{labels}{presence} }}'
