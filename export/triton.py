"""A model repository for Triton Inference Server: the encoder for its ONNX Runtime backend, and a model of texts.

Triton batches requests of one shape, and one of another shape ends a batch. Token ids seldom have the same shape, a
text always has. So Triton batches texts, and the model that takes them sorts these by length and asks for the encoder.
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from .directory import HIDDEN_STATES, INPUTS, PIECE_IDS, SENTENCEPIECE, Export
from .providers import CUDA_SETTINGS
from .runtime import GPU_TOKEN_BUDGET, TOKEN_BUDGET

LABELS = "labels.txt"
MAX_BATCH_SIZE = 256
QUEUE_DELAY_MICROSECONDS = 1000
_CONFIG = "config.pbtxt"
_VERSION = "1"
_PROGRAMS = {"triton_model.py": "model.py", "batching.py": "batching.py"}


def write_repository(directory: Path, export: Export, name: str) -> None:
    """Write two models into ``directory``: ``name``, which takes texts, and ``name`` + "_encoder", which it asks.

    Triton knows them by their directories' names.
    """
    text, encoder = directory / name, directory / f"{name}_encoder"
    for model, configuration in ((text, _text_configuration(export)), (encoder, _encoder_configuration(export))):
        (model / _VERSION).mkdir(parents=True)
        (model / _CONFIG).write_text(configuration, encoding="utf-8")
        if export.config.labels:
            (model / LABELS).write_text("".join(f"{label}\n" for label in export.config.labels), encoding="utf-8")
    exported = export.model.parent
    for names, model in (((SENTENCEPIECE, PIECE_IDS), text), (export.sha256, encoder)):
        for name in names:
            shutil.copyfile(exported / name, model / _VERSION / name)
    for program, copy in _PROGRAMS.items():
        shutil.copyfile(Path(__file__).with_name(program), text / _VERSION / copy)


def _encoder_configuration(export: Export) -> str:
    """Inputs and outputs as the ONNX model has them. Triton adds a dimension to each row's length, and takes it off."""
    config = export.config
    inputs = [_tensor(name, "TYPE_INT32", shape, export) for name, shape in zip(INPUTS, ([-1], []), strict=True)]
    outputs = [_tensor(config.output, "TYPE_FP32", [config.size], export)]
    if config.hidden_states:
        outputs.append(_tensor(HIDDEN_STATES, "TYPE_FP32", [-1, config.width], export))
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


def _text_configuration(export: Export) -> str:
    config = export.config
    parameters = {
        "encoder_output": config.output,
        "max_positions": config.max_positions,
        "bos": config.bos,
        "pad": config.pad,
        "eos": config.eos,
        "token_budget": TOKEN_BUDGET,
        "truncate": "false",
    }
    return _configuration(
        "python",
        [_tensor("text", "TYPE_STRING", [1], export)],
        [_tensor("scores" if config.labels else config.output, "TYPE_FP32", [config.size], export)],
        "# A second instance tokenizes while the first waits for the encoder.",
        "instance_group [ { kind: KIND_CPU count: 2 } ]",
        f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_DELAY_MICROSECONDS} }}",
        f"# token_budget: most tokens that go through the encoder together; {GPU_TOKEN_BUDGET} on a GPU.",
        '# truncate: "true" cuts texts that are longer than max_positions tokens, instead of refusing them.',
        *(f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}' for key, value in parameters.items()),
    )


def _configuration(backend: str, inputs: Iterable[str], outputs: Iterable[str], *settings: str) -> str:
    """A model's configuration in protobuf's text format."""
    lines = [f'backend: "{backend}"', f"max_batch_size: {MAX_BATCH_SIZE}"]
    lines += (f"input {tensor}" for tensor in inputs)
    lines += (f"output {tensor}" for tensor in outputs)
    return "\n".join([*lines, *settings]) + "\n"


def _tensor(name: str, kind: str, shape: Sequence[int], export: Export) -> str:
    """An input or output; ``shape`` is without the batch, -1 is a free dimension."""
    dimensions = ", ".join(map(str, shape)) or "1"
    reshape = "" if shape else " reshape { shape: [ ] }"
    labels = f' label_filename: "{LABELS}"' if export.config.labels and name in ("logits", "scores") else ""
    return f'{{ name: "{name}" data_type: {kind} dims: [ {dimensions} ]{reshape}{labels} }}'
