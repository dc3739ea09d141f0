"""``focus export --triton`` against Triton's schema of configurations, and its models against Predictor."""

import asyncio
import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import triton_python_backend_utils as triton
from commands import run as run_program
from export_models import (
    ENCODER,
    LABELS,
    piece_ids,
    random_words,
    train_sentencepiece,
    write_small_export,
)
from focus_export.batching import batches_by_length
from focus_export.runtime import Predictor
from google.protobuf import json_format
from invoked import refuse, run
from triton_schema import message_types, read_configuration

from focus_plugin.errors import FocusError
from focus_plugin.jobs.export_triton import export_triton

TYPES = {"tensor(float)": "TYPE_FP32", "tensor(int32)": "TYPE_INT32"}
TEXTS = [
    "kata",
    "",
    "  ",
    "漢字 Ω kata",
    "😀\0\x85",
    "<s> </s>",
    *random_words(40, seed=3),
    " ".join(random_words(4, 5)),
]


@pytest.fixture(scope="module")
def schema():
    return message_types()


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """Of a head: the exported model, its repository and its tokenizer. One gives hidden states, too."""
    root = tmp_path_factory.mktemp("triton")
    spm, made = train_sentencepiece(root), {}
    for head in ("mood", "mean"):
        _, tokenizer = write_small_export(root / f"{head}.onnx", head, spm, hidden_states=head == "mean")
        export_triton(root / f"{head}.onnx", root / head)
        made[head] = (root / f"{head}.onnx", root / head, tokenizer)
    return made


@pytest.fixture
def load(repositories, schema, monkeypatch):
    """Load the text model of a head as Triton does: with its configuration as JSON, as module ``1.model``."""

    def load(head, **parameters):
        repository = repositories[head][1]
        configuration = read_configuration(schema, repository / head)
        for name, value in parameters.items():
            configuration.parameters[name].string_value = value
        monkeypatch.setattr(triton, "repository", repository)
        monkeypatch.setattr(triton, "batches", [])
        monkeypatch.syspath_prepend(repository / head)
        for name in ("1", "1.model", "1.served_head"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        model = importlib.import_module("1.model").TritonPythonModel()
        assert Path(sys.modules["1.served_head"].__file__).is_relative_to(repository)
        written = json_format.MessageToJson(configuration, preserving_proto_field_name=True)
        model.initialize({"model_config": written, "model_name": head})
        return model

    yield load
    for name in ("1", "1.model", "1.served_head"):
        sys.modules.pop(name, None)


def ask(model, *requests):
    """The responses of a model to requests of some texts each, which came together."""
    given = [
        np.array([[text.encode() if isinstance(text, str) else text] for text in texts], object) for texts in requests
    ]
    return asyncio.run(model.execute([triton.InferenceRequest([triton.Tensor("text", texts)]) for texts in given]))


def values(response):
    assert response.error is None
    return response.output_tensors[0].array


@pytest.mark.parametrize("head", ["mood", "mean"])
def test_the_encoder_is_configured_as_the_onnx_model_is(repositories, schema, head):
    model = repositories[head][1] / f"{head}_encoder"
    configuration = read_configuration(schema, model)
    session = onnxruntime.InferenceSession(str(model / "1" / "model.onnx"))
    for told, found in ((configuration.input, session.get_inputs()), (configuration.output, session.get_outputs())):
        assert [value.name for value in told] == [value.name for value in found]
        for value, real in zip(told, found, strict=True):
            assert schema.DataType.Name(value.data_type) == TYPES[real.type]
            shape = list(value.reshape.shape if value.HasField("reshape") else value.dims)
            assert shape == [size if isinstance(size, int) else -1 for size in real.shape[1:]]
            assert np.prod(value.dims) == np.prod(shape)
    assert configuration.backend == "onnxruntime"
    assert configuration.HasField("dynamic_batching")
    (group,) = configuration.instance_group
    assert group.count == 1, "Triton's default is two, which would share the cores and hold the model twice"
    accelerators = configuration.optimization.execution_accelerators
    assert not accelerators.cpu_execution_accelerator
    (cuda,) = accelerators.gpu_execution_accelerator
    assert cuda.name == "cuda"
    assert dict(cuda.parameters) == {"use_tf32": "0", "enable_skip_layer_norm_strict_mode": "1"}


@pytest.mark.parametrize(
    ("head", "output", "size"), [("mood", "scores", len(LABELS)), ("mean", "embedding", ENCODER.width)]
)
def test_the_text_model_is_configured(repositories, schema, head, output, size):
    repository = repositories[head][1]
    text, encoder = (read_configuration(schema, repository / name) for name in (head, f"{head}_encoder"))
    assert text.backend == "python"
    assert [(value.name, value.data_type, list(value.dims)) for value in text.input] == [
        ("text", schema.TYPE_STRING, [1])
    ]
    results = [("result", schema.TYPE_STRING, [1])] if head == "mood" else []
    assert [(value.name, value.data_type, list(value.dims)) for value in text.output] == [
        (output, schema.TYPE_FP32, [size]),
        *results,
    ]
    assert text.dynamic_batching.max_queue_delay_microseconds > 0
    assert 0 < text.max_batch_size <= encoder.max_batch_size, "what came together may go on together"


def test_classes_have_their_labels(repositories, schema):
    repository = repositories["mood"][1]
    for model, output in (("mood", "scores"), ("mood_encoder", "logits")):
        labelled = {value.name: value.label_filename for value in read_configuration(schema, repository / model).output}
        assert (repository / model / labelled.pop(output)).read_text().splitlines() == list(LABELS)
        assert not any(labelled.values())


def test_texts_get_the_scores_and_the_ids_of_the_runtime(repositories, load):
    exported, _, tokenizer = repositories["mood"]
    requests = [TEXTS[:3], TEXTS[3:4], TEXTS[4:30], TEXTS[30:]]
    responses = ask(load("mood"), *requests)
    got = [values(response) for response in responses]
    assert [len(scores) for scores in got] == [len(texts) for texts in requests]
    predicted = list(Predictor(exported).predict(TEXTS))
    labels = [json.loads(row[0])["label"] for response in responses for row in response.output_tensors[1].array]
    assert labels == [prediction.label for prediction in predicted]
    want = np.array([list(prediction.scores.values()) for prediction in predicted])
    np.testing.assert_allclose(np.concatenate(got), want, atol=1e-6, rtol=0)
    table = piece_ids(tokenizer)
    ids = sorted([0, *table[tokenizer.encode(text)].tolist(), 2] for text in TEXTS)
    assert (
        sorted(row[:n].tolist() for batch, lengths in triton.batches for row, n in zip(batch, lengths, strict=True))
        == ids
    )


def test_texts_get_the_embeddings_of_the_runtime(repositories, load):
    (response,) = ask(load("mean"), TEXTS)
    want = np.stack(list(Predictor(repositories["mean"][0]).predict(TEXTS)))
    assert values(response).dtype == np.float32
    np.testing.assert_allclose(values(response), want, atol=1e-5, rtol=0)


def test_texts_that_came_together_go_through_the_encoder_by_length(repositories, load):
    tokenizer, budget = repositories["mood"][2], 32
    ask(load("mood", token_budget=str(budget)), *([text] for text in TEXTS))
    lengths = [len(tokenizer.encode(text)) + 2 for text in TEXTS]
    want = [sorted(lengths[index] for index in batch) for batch in batches_by_length(lengths, budget)]
    assert [sorted(lengths.tolist()) for _, lengths in triton.batches] == want
    assert 1 < len(want) < len(TEXTS)


def test_a_request_that_cannot_be_had_fails_alone(load):
    long = " ".join(random_words(30, seed=4))
    good, *bad = ask(load("mood"), ["kata"], ["kata", long], [b"kata", b"ab\xff"])
    assert len(values(good)) == 1
    assert len(triton.batches) == 1
    for response, says in zip(
        bad, (rf"Text 2: \d+ tokens, .* at most {ENCODER.max_positions}", "Text 2: not valid UTF-8"), strict=True
    ):
        assert not response.output_tensors
        assert re.match(says, response.error.message())
    (alone,) = ask(load("mood"), [long])
    assert alone.error.code == triton.TritonError.INVALID_ARG


def test_long_texts_are_cut_where_the_configuration_says_so(repositories, load):
    long = " ".join(random_words(30, seed=4))
    (response,) = ask(load("mean", truncate="true"), [long, "kata"])
    want = np.stack(list(Predictor(repositories["mean"][0], truncate=True).predict([long, "kata"])))
    np.testing.assert_allclose(values(response), want, atol=1e-5, rtol=0)


def test_an_encoder_that_fails_is_told(load, tmp_path, monkeypatch):
    model = load("mood")
    monkeypatch.setattr(triton, "repository", tmp_path)
    with pytest.raises(triton.TritonModelException, match=r"mood_encoder.*model\.onnx"):
        ask(model, ["kata"])


def test_a_model_that_is_not_whole_leaves_nothing(repositories, tmp_path):
    damaged = Path(shutil.copytree(repositories["mean"][0], tmp_path / "damaged.onnx"))
    content = (damaged / "model.onnx.data").read_bytes()
    (damaged / "model.onnx.data").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FocusError, match="damaged or changed"):
        export_triton(damaged, tmp_path / "repository")
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_writes_a_repository_once_and_whole(repositories, tmp_path):
    exported, repository, _ = repositories["mood"]
    command = ("focus", "export", "--triton", "--model", exported, "--output", tmp_path / "models")
    assert "the models mood and mood_encoder" in run(*command).stdout
    files = [path.relative_to(repository) for path in repository.rglob("*") if path.is_file()]
    assert sorted(path.relative_to(tmp_path / "models") for path in (tmp_path / "models").rglob("*.*")) == sorted(files)
    assert all((tmp_path / "models" / path).read_bytes() == (repository / path).read_bytes() for path in files)
    manifest = tmp_path / "models" / "focus.json"
    written = manifest.stat().st_mtime_ns
    export_triton(exported, tmp_path / "models")
    assert manifest.stat().st_mtime_ns == written, "a second run does nothing"
    assert json.loads(manifest.read_text())["kind"] == "Triton model repository"
    with pytest.raises(FocusError, match="already holds a Triton model repository made from other input"):
        export_triton(repositories["mean"][0], tmp_path / "models")
    refuse(*command[:4], repository, *command[5:], says="no such file; give a directory made by focus export --onnx")


def test_the_text_model_needs_numpy_and_sentencepiece_alone(repositories):
    program = (
        "import sys, types\n"
        "sys.modules['triton_python_backend_utils'] = types.ModuleType('triton_python_backend_utils')\n"
        "before = set(sys.modules)\n"
        "__import__('1.model')\n"
        "new = {name: getattr(sys.modules[name], '__file__', None) or '' for name in set(sys.modules) - before}\n"
        "print(sorted({name.split('.')[0] for name, file in new.items() if 'site-packages' in file}))\n"
    )
    done = run_program("python", "-c", program, cwd=repositories["mood"][1] / "mood")
    assert done.stdout.splitlines()[-1] == "['numpy', 'sentencepiece']"
