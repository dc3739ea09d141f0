"""The ONNX graph and its verification, against transformers' XLM-R as the oracle."""

import copy
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from export_models import (
    ENCODER,
    LABELS,
    PAD,
    VOCABULARY,
    export_config,
    fairseq_tensors,
    oracle,
    reference,
    served_head,
)
from focus_export.batching import padded
from focus_export.graph import build_graph
from focus_export.onnx_file import write_graph
from focus_export.verify import largest_difference, random_batches, require_equal
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import expected_names
from focus_plugin.errors import FocusError

HEADS = ("mood", "mean", "first")
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def model():
    return oracle()


@pytest.fixture(scope="module")
def tensors(model):
    return fairseq_tensors(model)


@pytest.fixture(scope="module")
def graphs(tensors, tmp_path_factory):
    """The files of each head's graph with hidden states."""
    root = tmp_path_factory.mktemp("graphs")
    for head in HEADS:
        write_graph(build_graph(ENCODER, tensors, served_head(head), hidden_states=True), root / f"{head}.onnx")
    return {head: root / f"{head}.onnx" for head in HEADS}


@pytest.fixture(scope="module")
def sessions(graphs):
    return {head: onnxruntime.InferenceSession(str(graph)) for head, graph in graphs.items()}


def batch(lengths, seed=0):
    random = np.random.default_rng(seed)
    return padded([random.integers(4, VOCABULARY, length) for length in lengths], PAD)


def cases(model, head, seed=0):
    """Batches of every padding pattern with what transformers says of them."""
    return [(*batch, reference(model, head, *batch)) for batch in random_batches(export_config(head), seed)]


def run(session, ids, lengths):
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input_ids": ids, "lengths": lengths}), strict=True))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("seed", range(5))
def test_every_padding_pattern_matches_transformers(model, graphs, head, seed):
    assert require_equal(graphs[head], cases(model, head, seed), TOLERANCE) <= TOLERANCE


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(1, ENCODER.max_positions), min_size=1, max_size=9), seed=st.integers(0, 2**32 - 1))
def test_any_lengths_match_transformers(model, graphs, sessions, lengths, seed):
    ids, real = batch(lengths, seed)
    for head in HEADS:
        expected = reference(model, head, ids, real)
        got = run(sessions[head], ids, real)
        for row, length in enumerate(lengths):
            difference = got["hidden_states"][row, :length] - expected["hidden_states"][row, :length]
            assert np.abs(difference).max() <= TOLERANCE
        assert got.keys() == expected.keys()
        (name,) = expected.keys() - {"hidden_states"}
        assert np.abs(got[name] - expected[name]).max() <= TOLERANCE


@pytest.mark.parametrize("head", HEADS)
def test_padding_is_zero_and_its_ids_influence_nothing(sessions, head):
    ids, lengths = batch([5, ENCODER.max_positions, 2, 9])
    padding = np.arange(ids.shape[1]) >= lengths[:, None]
    other = np.where(padding, VOCABULARY - 1, ids).astype(np.int32)
    first, second = run(sessions[head], ids, lengths), run(sessions[head], other, lengths)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert not first["hidden_states"][padding].any()
    assert first["hidden_states"][~padding].all()


@pytest.mark.parametrize("head", HEADS)
def test_a_row_does_not_depend_on_the_rows_beside_it(sessions, head):
    ids, lengths = batch([3, ENCODER.max_positions, 11])
    together = run(sessions[head], ids, lengths)
    for row, length in enumerate(lengths):
        alone = run(sessions[head], ids[row : row + 1, :length], lengths[row : row + 1])
        assert np.abs(alone["hidden_states"][0] - together["hidden_states"][row, :length]).max() <= TOLERANCE


def test_the_graph_is_valid_and_says_its_shapes(graphs):
    onnx.checker.check_model(str(graphs["mood"]))
    outputs = {output.name: output.shape for output in onnxruntime.InferenceSession(str(graphs["mood"])).get_outputs()}
    assert outputs == {"hidden_states": ["batch", "length", ENCODER.width], "logits": ["batch", len(LABELS)]}


@pytest.mark.parametrize("head", HEADS)
def test_without_hidden_states_the_result_is_the_same(tmp_path, model, tensors, head):
    """Also where the last layer then computes the first token alone."""
    write_graph(build_graph(ENCODER, tensors, served_head(head)), tmp_path / "model.onnx")
    assert require_equal(tmp_path / "model.onnx", cases(model, head), TOLERANCE) > 0
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    assert [output.name for output in session.get_outputs()] == ["logits" if head == "mood" else "embedding"]


def test_a_text_longer_than_the_position_table_is_refused(sessions):
    ids, lengths = batch([ENCODER.max_positions + 1])
    with pytest.raises(Exception, match="Sum node"):
        run(sessions["mean"], ids, lengths)


def test_a_missing_tensor_is_named(tensors):
    name = "encoder.sentence_encoder.layers.1.fc1.bias"
    with pytest.raises(FocusError, match=name):
        build_graph(ENCODER, {key: value for key, value in tensors.items() if key != name}, served_head("mean"))


def test_an_absent_head_is_named(tensors):
    encoder = {name: tensor for name, tensor in tensors.items() if not name.startswith("head.")}
    with pytest.raises(FocusError, match=r"no tensor head\.dense\.weight"):
        build_graph(ENCODER, encoder, served_head("mood"))


@pytest.mark.parametrize(
    "name",
    [
        "encoder.sentence_encoder.embed_positions.weight",
        "encoder.sentence_encoder.layers.0.self_attn.k_proj.weight",
        "encoder.sentence_encoder.layers.2.final_layer_norm.bias",
    ],
)
def test_a_tensor_of_another_shape_is_named(tensors, name):
    with pytest.raises(FocusError, match=f"{name} has shape"):
        build_graph(ENCODER, {**tensors, name: tensors[name][1:]}, served_head("mean"))
    with pytest.raises(FocusError, match=f"{name} has shape"):
        build_graph(ENCODER, {**tensors, name: tensors[name][None]}, served_head("mean"))


@pytest.mark.parametrize("name", ["layers.0.fc1.bias", "embed_tokens.weight", "layers.0.fc1.weight"])
def test_a_tensor_of_more_or_fewer_dimensions_is_named(tensors, name):
    name = f"encoder.sentence_encoder.{name}"
    for wrong in (tensors[name][..., None], tensors[name][..., 0]):
        with pytest.raises(FocusError, match=f"{name} has shape"):
            build_graph(ENCODER, {**tensors, name: wrong}, served_head("mean"))


def test_half_precision_weights_become_float32(tmp_path, tensors):
    """The graph of a checkpoint in float16 computes exactly what one of the same numbers in float32 computes."""
    halves = {name: array.astype(np.float16) for name, array in tensors.items()}
    graph = build_graph(ENCODER, halves, served_head("mean"))
    assert {array.dtype.kind + str(array.itemsize) for array in graph.weights.values()} <= {"f4", "i4", "i8"}
    rounded = copy.deepcopy(oracle())
    with torch.no_grad():
        for parameter in rounded.parameters():
            parameter.copy_(parameter.half())
    write_graph(graph, tmp_path / "model.onnx")
    assert require_equal(tmp_path / "model.onnx", cases(rounded, "mean"), TOLERANCE) <= TOLERANCE
    assert largest_difference(tmp_path / "model.onnx", cases(oracle(), "mean")) > TOLERANCE


def test_weights_stand_in_a_file_beside(tmp_path, tensors):
    """Every weight, bit for bit, on a page of its own, and one copy of it."""
    graph = build_graph(ENCODER, tensors, served_head("mood"))
    write_graph(graph, tmp_path / "model.onnx")
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "model.onnx.data"}
    read = {weight.name: weight for weight in onnx.load(tmp_path / "model.onnx").graph.initializer}
    assert read.keys() == graph.weights.keys()
    for name, weight in graph.weights.items():
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(read[name]), weight)
    large = [weight.nbytes for weight in graph.weights.values() if weight.nbytes > 4096]
    assert sum(large) <= (tmp_path / "model.onnx.data").stat().st_size <= sum(large) + 4096 * len(graph.weights)
    assert (tmp_path / "model.onnx").stat().st_size < 60_000


@pytest.mark.skipif(shutil.disk_usage(".").free < 8e9, reason="needs 3 GB of disk")
def test_a_table_of_more_than_two_gigabytes(tmp_path):
    """XLM-R XL's embedding, 250,002 x 2560: its rows give what they give in a graph that has no others."""
    shape = EncoderConfig(layers=1, width=2560, feedforward=64, attention_heads=32, max_positions=6)
    draw = np.random.default_rng(1)
    base = draw.standard_normal((997, shape.width), np.float32)
    table = np.resize(base, (250_002, shape.width))
    table *= np.linspace(0.5, 1.5, len(table), dtype=np.float32)[:, None]
    assert table.nbytes > 2**31
    sizes = {"fc1": (64, 2560), "fc2": (2560, 64), "embed_positions": (8, 2560), "embed_tokens": table.shape}
    tensors = {}
    for name in expected_names(shape.layers):
        part, kind = name.split(".")[-2:]
        size = sizes.get(part, (2560, 2560))
        if part != "embed_tokens":
            tensors[name] = draw.standard_normal(
                size if kind == "weight" and "norm" not in part else size[0], np.float32
            )
    rows = np.array([0, 249_990, 210_000, 7, 2])
    ids, lengths = np.array([[0, 1, 2, 4], [0, 3, 4, 0]], np.int32), np.array([4, 3], np.int32)
    results = []
    for name, weights, inputs in (("large", table, rows[ids]), ("small", table[rows], ids)):
        tensors["encoder.sentence_encoder.embed_tokens.weight"] = weights
        write_graph(build_graph(shape, tensors, served_head("mean")), tmp_path / f"{name}.onnx")
        session = onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx"))
        results += session.run(None, {"input_ids": inputs.astype(np.int32), "lengths": lengths})
        (tmp_path / f"{name}.onnx.data").unlink()  # pytest keeps what tests leave
    np.testing.assert_array_equal(*results)
    assert results[0].std() > 0.1


def test_a_difference_beyond_the_tolerance_is_an_error(model, graphs):
    wrong = cases(model, "mood")
    wrong[5][2]["logits"][0, 0] += 0.5
    with pytest.raises(
        FocusError, match=r"differs from .* by 0\.5, more than the tolerance of 1e-05; nothing was written"
    ):
        require_equal(graphs["mood"], wrong, TOLERANCE)


def test_not_a_number_is_beyond_any_tolerance(model, graphs):
    broken = cases(model, "mood")
    broken[0][2]["hidden_states"][0, 0, 0] = np.nan
    with pytest.raises(FocusError, match="differs from the original by nan"):
        require_equal(graphs["mood"], broken, 1e9)


def test_hidden_states_at_padding_are_not_compared(model, graphs):
    garbage = cases(model, "mood")
    for ids, lengths, expected in garbage:
        expected["hidden_states"][np.arange(ids.shape[1]) >= lengths[:, None]] = 1e6
    assert largest_difference(graphs["mood"], garbage) <= TOLERANCE


def test_the_random_batches_cover_every_padding_pattern():
    longest = ENCODER.max_positions
    seen = [(ids, lengths.tolist()) for ids, lengths in random_batches(export_config("mean"), seed=3)]
    patterns = [lengths for _, lengths in seen]
    assert [longest] in patterns
    assert [longest] * 2 in patterns
    assert [2, longest, 2, 2] in patterns
    assert any(len(lengths) == 1 and lengths[0] <= longest for lengths in patterns)
    assert any(len(set(lengths)) > 2 for lengths in patterns)
    for ids, lengths in seen:
        assert ids.dtype == np.int32
        assert ids.shape == (len(lengths), max(lengths))
        for row, length in zip(ids, lengths, strict=True):
            assert (row[length:] == PAD).all()
            assert (row[:length] != PAD).all()
