"""A model repository for Triton Inference Server: the encoder for its ONNX Runtime backend, and a model of texts.

Triton batches requests of one shape, and one of another shape ends a batch. Token ids seldom have the same shape, a
text always has. So Triton batches texts, and the model that takes them sorts these by length and asks for the encoder.
"""

import inspect
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from .directory import INPUTS, PIECE_IDS, SENTENCEPIECE, ExportDirectory
from .head import LENGTH, Output, RowHead
from .providers import CUDA_SETTINGS
from .runtime import GPU_TOKEN_BUDGET, TOKEN_BUDGET

LABELS = "labels.txt"
RESULT = "result"  # of a head whose results are no rows of numbers: a JSON object for each sample
MAX_BATCH_SIZE = 256
QUEUE_DELAY_MICROSECONDS = 1000
_CONFIG = "config.pbtxt"
_VERSION = "1"
# What model.py and a head's file import.
_MODULES = (
    *("focus_export.batching", "focus_export.head", "focus_export.served_heads", "focus_export.tokenizer"),
    *("focus_plugin.discovery", "focus_plugin.errors", "focus_plugin.options"),
)


def write_repository(directory: Path, export: ExportDirectory, name: str) -> None:
    """Write two models into ``directory``: ``name``, which takes texts, and ``name`` + "_encoder", which it asks.

    Triton knows them by their directories' names.
    """
    text, encoder = directory / name, directory / f"{name}_encoder"
    head = export.config.head
    for model, configuration in ((text, _text_configuration(export)), (encoder, _encoder_configuration(export))):
        (model / _VERSION).mkdir(parents=True)
        (model / _CONFIG).write_text(configuration, encoding="utf-8")
        if isinstance(head, RowHead) and head.row_labels():
            (model / LABELS).write_text("".join(f"{label}\n" for label in head.row_labels()), encoding="utf-8")
    exported = export.model.parent
    for names, model in (((SENTENCEPIECE, PIECE_IDS), text), (export.sha256, encoder)):
        for file in names:
            shutil.copyfile(exported / file, model / _VERSION / file)
    _write_programs(text / _VERSION, inspect.getfile(type(head)))


def _write_programs(directory: Path, head: str) -> None:
    """``model.py``, the file of the head, and copies of the modules that they import, in packages of the same names."""
    shutil.copyfile(Path(__file__).with_name("triton_model.py"), directory / "model.py")
    shutil.copyfile(head, directory / "served_head.py")
    for module in _MODULES:
        package, _, file = module.partition(".")
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        (directory / package).mkdir(exist_ok=True)
        (directory / package / "__init__.py").touch()
        shutil.copyfile(spec.origin, directory / package / f"{file}.py")


def _encoder_configuration(export: ExportDirectory) -> str:
    """Inputs and outputs as the ONNX model has them. Triton adds a dimension to each row's length, and takes it off."""
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
        "# On a GPU as the runtime has it: products in float32 alone, layer norms added up in float32.",
        f"optimization {{ execution_accelerators {{ {accelerators} }} }}",
        "dynamic_batching { }",
    )


def _text_configuration(export: ExportDirectory) -> str:
    config, head = export.config, export.config.head
    parameters = {
        "head": json.dumps(asdict(head)),  # type: ignore[call-overload]  # its classes are dataclasses
        "width": config.width,
        "max_positions": config.max_positions,
        "bos": config.bos,
        "pad": config.pad,
        "eos": config.eos,
        "token_budget": TOKEN_BUDGET,
        "truncate": "false",
    }
    if isinstance(head, RowHead):
        result = _tensor(head.row_name, "TYPE_FP32", [head.size(config.width)], labelled=bool(head.row_labels()))
    else:
        result = _tensor(RESULT, "TYPE_STRING", [1])
    return _configuration(
        "python",
        [_tensor(name, "TYPE_STRING", [1]) for name in head.inputs],
        [result],
        "# A second instance tokenizes while the first waits for the encoder.",
        "instance_group [ { kind: KIND_CPU count: 2 } ]",
        f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_DELAY_MICROSECONDS} }}",
        f"# token_budget: most tokens that go through the encoder together; {GPU_TOKEN_BUDGET} on a GPU.",
        '# truncate: "true" cuts texts that are longer than max_positions tokens, instead of refusing them.',
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


def _tensor(name: str, kind: str, shape: Sequence[int], labelled: bool = False) -> str:
    """An input or output; ``shape`` is without the batch, -1 is a free dimension."""
    dimensions = ", ".join(map(str, shape)) or "1"
    reshape = "" if shape else " reshape { shape: [ ] }"
    labels = f' label_filename: "{LABELS}"' if labelled else ""
    return f'{{ name: "{name}" data_type: {kind} dims: [ {dimensions} ]{reshape}{labels} }}'
