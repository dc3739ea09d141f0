"""The ONNX graph and its verification, against transformers' XLM-R as the oracle."""

from functools import partial

import numpy as np
import onnx
import onnxruntime
import pytest
from export_models import ENCODER, LABELS, PAD, VOCABULARY, export_config, fairseq_tensors, oracle, reference
from focus_export.batching import padded
from focus_export.graph import build_graph, save_graph
from focus_export.verify import largest_difference, random_batches, require_equal
from hypothesis import given, settings
from hypothesis import strategies as st

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
def graphs(tensors):
    return {head: build_graph(ENCODER, tensors, head).SerializeToString() for head in HEADS}


@pytest.fixture(scope="module")
def sessions(graphs):
    return {head: onnxruntime.InferenceSession(graph) for head, graph in graphs.items()}


def batch(lengths, seed=0):
    random = np.random.default_rng(seed)
    return padded([random.integers(4, VOCABULARY, length) for length in lengths], PAD)


def run(session, ids, lengths):
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input_ids": ids, "lengths": lengths}), strict=True))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("seed", range(5))
def test_every_padding_pattern_matches_transformers(model, graphs, head, seed):
    batches = list(random_batches(export_config(head), seed))
    assert require_equal(graphs[head], partial(reference, model, head), batches, TOLERANCE) <= TOLERANCE


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
    onnx.checker.check_model(graphs["mood"])
    outputs = {output.name: output.shape for output in onnxruntime.InferenceSession(graphs["mood"]).get_outputs()}
    assert outputs == {"hidden_states": ["batch", "length", ENCODER.width], "logits": ["batch", len(LABELS)]}


def test_a_text_longer_than_the_position_table_is_refused(sessions):
    ids, lengths = batch([ENCODER.max_positions + 1])
    with pytest.raises(Exception, match="index out of range"):
        run(sessions["mean"], ids, lengths)


def test_a_missing_tensor_is_named(tensors):
    name = "encoder.sentence_encoder.layers.1.fc1.bias"
    with pytest.raises(FocusError, match=name):
        build_graph(ENCODER, {key: value for key, value in tensors.items() if key != name}, "mean")


def test_an_absent_head_is_named(tensors):
    with pytest.raises(FocusError, match=r"classification_heads\.topic\.dense\.weight"):
        build_graph(ENCODER, tensors, "topic")


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
        build_graph(ENCODER, {**tensors, name: tensors[name][1:]}, "mean")
    with pytest.raises(FocusError, match=f"{name} has shape"):
        build_graph(ENCODER, {**tensors, name: tensors[name][None]}, "mean")


@pytest.mark.parametrize("name", ["layers.0.fc1.bias", "embed_tokens.weight", "layers.0.fc1.weight"])
def test_a_tensor_of_more_or_fewer_dimensions_is_named(tensors, name):
    name = f"encoder.sentence_encoder.{name}"
    for wrong in (tensors[name][..., None], tensors[name][..., 0]):
        with pytest.raises(FocusError, match=f"{name} has shape"):
            build_graph(ENCODER, {**tensors, name: wrong}, "mean")


def test_half_precision_weights_become_float32(model, tensors):
    halves = {name: array.astype(np.float16) for name, array in tensors.items()}
    graph = build_graph(ENCODER, halves, "mean").SerializeToString()
    difference = largest_difference(graph, partial(reference, model, "mean"), random_batches(export_config("mean")))
    assert TOLERANCE < difference < 0.05


def test_weights_above_the_threshold_go_to_a_file_beside(tmp_path, tensors, sessions):
    save_graph(build_graph(ENCODER, tensors, "mood"), tmp_path / "one.onnx")
    save_graph(build_graph(ENCODER, tensors, "mood"), tmp_path / "two.onnx", external_above=10_000)
    assert {path.name for path in tmp_path.iterdir()} == {"one.onnx", "two.onnx", "two.onnx.data"}
    assert (tmp_path / "two.onnx").stat().st_size < (tmp_path / "one.onnx").stat().st_size / 2
    ids, lengths = batch([4, 9])
    expected = run(sessions["mood"], ids, lengths)
    for name in ("one.onnx", "two.onnx"):
        got = run(onnxruntime.InferenceSession(str(tmp_path / name)), ids, lengths)
        np.testing.assert_array_equal(got["logits"], expected["logits"])


def test_a_difference_beyond_the_tolerance_is_an_error(model, graphs):
    def shifted(ids, lengths):
        values = reference(model, "mood", ids, lengths)
        return {**values, "logits": values["logits"] + 0.5 * (len(ids) == 6)}

    with pytest.raises(FocusError, match=r"differs by 0\.5, more than tolerance 1e-05; nothing written"):
        require_equal(graphs["mood"], shifted, random_batches(export_config("mood")), TOLERANCE)


def test_not_a_number_is_beyond_any_tolerance(model, graphs):
    def broken(ids, lengths):
        values = reference(model, "mood", ids, lengths)
        values["hidden_states"][0, 0, 0] = np.nan
        return values

    with pytest.raises(FocusError, match="differs by nan"):
        require_equal(graphs["mood"], broken, random_batches(export_config("mood")), 1e9)


def test_hidden_states_at_padding_are_not_compared(model, graphs):
    def garbage_at_padding(ids, lengths):
        values = reference(model, "mood", ids, lengths)
        values["hidden_states"][np.arange(ids.shape[1]) >= lengths[:, None]] = 1e6
        return values

    assert largest_difference(graphs["mood"], garbage_at_padding, random_batches(export_config("mood"))) <= TOLERANCE


def test_verification_reads_a_model_from_a_path(tmp_path, model, tensors):
    save_graph(build_graph(ENCODER, tensors, "first"), tmp_path / "model.onnx", external_above=0)
    batches = random_batches(export_config("first"))
    assert 0 < largest_difference(tmp_path / "model.onnx", partial(reference, model, "first"), batches) <= TOLERANCE


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
