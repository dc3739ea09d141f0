"""Graphs of less precision, against transformers' XLM-R and against NumPy's arithmetic."""

import copy
from dataclasses import replace

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from export_models import ENCODER, VOCABULARY, export_config, fairseq_tensors, oracle, reference, served_head
from focus_export.batching import padded
from focus_export.graph import build_graph
from focus_export.int8 import LIMIT, PRODUCT_LIMIT, activation_scale, quantized_rows
from focus_export.onnx_file import write_graph
from focus_export.ranges import largest_in_float16, measured_ranges, quantized_tensors
from focus_export.rounding import rounded
from focus_export.verify import largest_difference, random_batches
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from onnx import TensorProto, helper

from focus_plugin.errors import FocusError

HEADS = ("mood", "mean", "first")
RUNTIME = tuple(map(int, onnxruntime.__version__.split(".")[:2]))
WEIGHTS = st.floats(-1e4, 1e4, width=32)


@pytest.fixture(scope="module")
def model():
    return oracle()


@pytest.fixture(scope="module")
def tensors(model):
    return fairseq_tensors(model)


@pytest.fixture(scope="module")
def texts():
    random = np.random.default_rng(5)
    return [random.integers(4, VOCABULARY, length).astype(np.int32) for length in random.integers(2, 20, 30)]


@pytest.fixture(scope="module")
def ranges(tensors, texts, tmp_path_factory):
    names = quantized_tensors(build_graph(ENCODER, tensors, served_head("mean"), "int8"))
    exact, batches = build_graph(ENCODER, tensors, served_head("mean")), [padded([text], 1) for text in texts]
    return measured_ranges(exact, names, batches, tmp_path_factory.mktemp("ranges"))


def relative_error(path, model, head):
    """The largest difference of the result as a share of the result's spread."""
    cases = [(*batch, reference(model, head, *batch)) for batch in random_batches(export_config(head))]
    spread = np.concatenate([expected["embedding" if head != "mood" else "logits"] for *_, expected in cases]).std()
    return largest_difference(path, cases) / spread


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("precision", "least", "largest"), [("fp16", 1e-5, 0.02), ("int8", 1e-3, 0.4)])
def test_less_precision_is_near_and_takes_less_room(tmp_path, model, tensors, head, precision, least, largest):
    """Near the float32 results, but not so near that nothing was reduced."""
    write_graph(build_graph(ENCODER, tensors, served_head(head)), tmp_path / "fp32.onnx")
    write_graph(build_graph(ENCODER, tensors, served_head(head), precision), tmp_path / "less.onnx")
    assert least < relative_error(tmp_path / "less.onnx", model, head) < largest
    sizes = {name: (tmp_path / f"{name}.onnx.data").stat().st_size for name in ("fp32", "less")}
    assert sizes["less"] < 0.75 * sizes["fp32"]  # pages of 4 KiB are large for weights this small


def test_fixed_scales_make_a_row_independent_of_its_batch(tmp_path, model, tensors, ranges):
    graph = build_graph(ENCODER, tensors, served_head("mean"), "int8", ranges=ranges)
    assert not any(node.op_type == "DynamicQuantizeLinear" for node in graph.nodes)
    write_graph(graph, tmp_path / "model.onnx")
    assert 1e-3 < relative_error(tmp_path / "model.onnx", model, "mean") < 0.5
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    random = np.random.default_rng(1)
    rows = [random.integers(4, VOCABULARY, length) for length in (3, ENCODER.max_positions, 11)]
    ids, lengths = padded(rows, 1)
    (together,) = session.run(None, {"input_ids": ids, "lengths": lengths})
    for row, expected in zip(rows, together, strict=True):
        (alone,) = session.run(None, dict(zip(("input_ids", "lengths"), padded([row], 1), strict=True)))
        np.testing.assert_allclose(alone[0], expected, atol=2e-5)


def test_ranges_are_those_of_the_hidden_states(model, texts, ranges):
    """Every layer's output but the last one's is quantized; transformers says what its least and largest values are."""
    names = [name for name in ranges if name.endswith("final_layer_norm")]
    assert len(names) == ENCODER.layers - 1
    states = []
    for text in texts:
        with torch.no_grad():
            states.append(model.roberta(torch.from_numpy(text[None]).long(), output_hidden_states=True).hidden_states)
    for layer, name in enumerate(names, 1):
        values = np.concatenate([state[layer].numpy().ravel() for state in states])
        np.testing.assert_allclose(ranges[name], (values.min(), values.max()), atol=1e-5)


@pytest.mark.skipif(RUNTIME < (1, 24), reason="knows no attention in bfloat16")
@pytest.mark.parametrize("head", HEADS)
def test_onnx_runtime_accepts_every_type_of_a_bfloat16_graph(tmp_path, tensors, head):
    """It lacks nothing but operators, on a CPU."""
    write_graph(build_graph(ENCODER, tensors, served_head(head), "bf16", hidden_states=True), tmp_path / "model.onnx")
    onnx.checker.check_model(str(tmp_path / "model.onnx"))
    with pytest.raises(Exception, match="NOT_IMPLEMENTED : Could not find an implementation for"):
        onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))


def test_a_rounded_graph_is_as_far_from_float32_as_bfloat16_in_pytorch(tmp_path, model, tensors):
    graph = build_graph(ENCODER, tensors, served_head("mean"), "bf16", hidden_states=True)
    write_graph(rounded(graph), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    halved = copy.deepcopy(model).to(torch.bfloat16)
    ids, lengths = padded([np.arange(4, 4 + length, dtype=np.int32) for length in (20, 3, 11, 7)], 1)
    (states,) = session.run(["hidden_states"], {"input_ids": ids, "lengths": lengths})
    np.testing.assert_array_equal(states, states.astype(ml_dtypes.bfloat16).astype(np.float32))
    mask = torch.arange(ids.shape[1]) < torch.from_numpy(lengths)[:, None]
    with torch.no_grad():
        theirs = halved.roberta(torch.from_numpy(ids).long(), attention_mask=mask.long()).last_hidden_state
    exact = reference(model, "mean", ids, lengths)["hidden_states"]
    real = mask.numpy()
    ours, others = (np.abs(found - exact)[real].mean() for found in (states, theirs.float().numpy()))
    assert 0.7 < ours / others < 1.4


def test_layer_norms_on_a_gpu_add_up_what_has_one_shape(tmp_path, tensors):
    """CUDA's SkipLayerNormalization in strict mode, without which it overflows up to 1.27, refuses to broadcast."""
    graph = build_graph(ENCODER, tensors, served_head("mood"), "fp16")
    norms = [node for node in graph.nodes if node.op_type == "SkipLayerNormalization"]
    terms = [name for node in norms for name in node.input[:2]]
    assert terms
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, None) for name in dict.fromkeys(terms)]
    write_graph(replace(graph, outputs=outputs), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    ids, lengths = padded([np.full(length, 5) for length in (3, 11, 7)], 1)
    found = session.run(None, {"input_ids": ids, "lengths": lengths})
    shapes = {output.name: values.shape for output, values in zip(outputs, found, strict=True)}
    assert [shapes[term] for term in terms[::2]] == [shapes[term] for term in terms[1::2]]


@pytest.mark.parametrize(
    ("layer", "linear", "value"),
    [
        (0, "intermediate.dense", "layers.0.gelu.sum"),
        (1, "attention.self.value", "layers.1.self_attn.attended.sum"),
        (2, "attention.self.key", "layers.2.self_attn.k_proj.product.sum"),
        (2, "output.dense", None),
    ],
)
def test_the_largest_value_in_float16_is_that_of_the_linear_layer(texts, layer, linear, value, tmp_path):
    """transformers tells what the layer gives, its bias included. The last one's bias is added in float32."""
    model, given = oracle(), []
    module = model.get_submodule(f"roberta.encoder.layer.{layer}.{linear}")
    with torch.no_grad():
        module.bias[3] = -6e4
    module.register_forward_hook(lambda module, inputs, output: given.append(output.abs().max().item()))
    with torch.no_grad():
        for text in texts:
            model.roberta(torch.from_numpy(text[None]).long())
    exact, half = (
        build_graph(ENCODER, fairseq_tensors(model), served_head("first"), precision) for precision in ("fp32", "fp16")
    )
    name, largest = largest_in_float16(exact, half, [padded([text], 1) for text in texts], tmp_path)
    assert not any(tmp_path.iterdir())
    if value:
        assert name.endswith(value)
        assert largest == pytest.approx(max(given), rel=1e-5)
    else:
        assert largest < 100


def test_a_weight_beyond_float16_is_told(tensors):
    name = "encoder.sentence_encoder.layers.1.fc2.weight"
    large = {**tensors, name: tensors[name].copy()}
    large[name][0, 0] = -70000
    build_graph(ENCODER, large, served_head("mean"))
    with pytest.raises(FocusError, match=r"layers\.1\.fc2\.weight has a value of 7e\+04, too large for float16"):
        build_graph(ENCODER, large, served_head("mean"), "fp16")


@pytest.mark.parametrize("limit", [LIMIT, PRODUCT_LIMIT])
@given(weight=arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=WEIGHTS))
def test_rows_are_rounded_to_the_nearest_step(weight, limit):
    integers, scale = quantized_rows(weight, limit)
    assert integers.dtype == np.int8
    assert np.abs(integers.astype(int)).max() <= limit
    error = np.abs(integers * scale[:, None].astype(np.float64) - weight)
    assert (error <= 0.5001 * scale[:, None] + 1e-30).all()
    largest = np.abs(weight).max(1)
    assert (np.abs(integers.astype(int)).max(1)[largest > 1e-30] == limit).all()


def test_two_products_never_overflow_sixteen_bits(tensors):
    graph = build_graph(ENCODER, tensors, served_head("mean"), "int8")
    products = [node for node in graph.nodes if node.op_type in ("MatMulIntegerToFloat", "QAttention")]
    assert len(products) == 4 * ENCODER.layers
    for node in products:
        weight = graph.weights[node.input[1]].astype(int)
        assert 2 * 255 * np.abs(weight).max() <= np.iinfo(np.int16).max


@given(st.floats(-1e4, 1e4), st.floats(0, 1e4))
def test_fixed_scales_are_those_onnx_defines(least, width):
    """As DynamicQuantizeLinear's specification has them: the range holds 0, and 0 is a step of its own."""
    scale, zero = activation_scale(least, least + width)
    low, high = min(least, 0), max(least + width, 0)
    if high - low > 1e-30:
        np.testing.assert_allclose(scale, (high - low) / 255, rtol=1e-5)
    assert zero.dtype == np.uint8
    assert (0 - int(zero)) * scale <= low + 0.51 * scale
    assert (255 - int(zero)) * scale >= high - 0.51 * scale
