"""What methods make, put into a checkpoint: rows as well as mixtures of any weights, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mixing_inputs import tensors, vocabularies
from scipy.sparse import csr_matrix, random_array

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.errors import FocusError
from focus_plugin.mixing.extension import extended
from focus_plugin.mixing.mixing import Block, Mixing, mixing_of, selected, shares
from focus_plugin.mixing.rows import Rows
from focus_plugin.transfer.apply import apply
from focus_plugin.transfer.check import checked
from focus_plugin.transfer.origins import COPIED, FILLED, LEARNED, LISTED, MIXED, counts
from focus_plugin.vocabulary.vocabulary import Vocabulary

WIDTH = 6


def weights(target: int, source: int, seed: int, density: float = 0.3) -> csr_matrix:
    """Weights of either sign whose rows sum to anything."""
    drawn = random_array((target, source), density=density, rng=np.random.default_rng(seed), format="csr")
    drawn.data = (drawn.data * 4 - 2).astype(np.float32)
    return csr_matrix(drawn, dtype=np.float32)


def learned(source: Vocabulary, target: Vocabulary, untied: bool) -> tuple[dict[str, torch.Tensor], Rows]:
    """A model, and rows of the tokens t0 to t4 of ``target``; t5 and later are left to the fill."""
    model = tensors(len(source), WIDTH, 1)
    if untied:
        model[OUTPUT_EMBEDDING] = 2 * model[EMBEDDING]
    copied = np.array([source.ids.get(token, -1) for token in target.tokens])
    draw = torch.Generator().manual_seed(2)
    embedding, output = (torch.randn(5, WIDTH, generator=draw) for _ in range(2))
    ids = np.array([target.ids[f"t{i}"] for i in (3, 0, 2, 4, 1)])
    return model, Rows(copied=copied, ids=ids, embedding=embedding, output_embedding=output, bias=output[:, 0])


@pytest.mark.parametrize("untied", [False, True])
def test_learned_rows_are_put_in_their_places(untied):
    source, target = vocabularies(10, 3, 8)
    model, made = learned(source, target, untied)
    done = apply(model, made, seed=1)
    assert torch.equal(done.tensors[EMBEDDING][made.ids], made.embedding)
    assert torch.equal(done.tensors[OUTPUT_BIAS][made.ids], made.bias)
    assert torch.equal(done.tensors[OUTPUT_EMBEDDING][made.ids], made.output_embedding if untied else made.embedding)
    kept = made.copied >= 0
    assert torch.equal(done.tensors[EMBEDDING][kept], model[EMBEDDING][made.copied[kept]])
    kinds = np.bincount(done.origins.kind, minlength=4)
    assert [kinds[kind] for kind in (COPIED, MIXED, FILLED, LEARNED)] == [15, 0, 3, 5]
    assert counts(done.origins)["learned"] == 5
    assert done.weights.shape == (len(target), len(source))
    assert done.weights.nnz == 0


def test_what_a_method_does_not_learn_is_filled():
    source, target = vocabularies(10, 3, 8)
    model, made = learned(source, target, untied=True)
    done = apply(model, replace(made, output_embedding=None, bias=None), seed=1, fill="mean")
    rest = np.array([target.ids[f"t{i}"] for i in range(5, 8)])
    for name, rows in ((EMBEDDING, rest), (OUTPUT_EMBEDDING, [*rest, *made.ids]), (OUTPUT_BIAS, [*rest, *made.ids])):
        found = done.tensors[name][rows]
        torch.testing.assert_close(found, model[name].mean(0).expand(found.shape))
    other = apply(model, replace(made, output_embedding=None), seed=1).tensors[OUTPUT_EMBEDDING]
    assert torch.isfinite(other).all()
    assert len(other[made.ids].unique(dim=0)) == 5, "drawn one by one"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_weights_of_any_sign_are_applied_as_they_are_and_the_bias_by_their_shares(seed, dense):
    source, target = vocabularies(4, 20, 12)
    copied = np.array([source.ids.get(token, -1) for token in target.tokens])
    matrix = weights(len(target), len(source), seed)
    matrix = csr_matrix(matrix.multiply((copied < 0)[:, None]), dtype=np.float32)
    matrix.eliminate_zeros()
    mixing = mixing_of(copied, matrix, convex=False)
    if dense:
        blocks = [Block(block.rows, block.weights.to_dense()) for block in mixing.blocks]
        mixing = replace(mixing, blocks=blocks)
    model = tensors(len(source), WIDTH, seed)
    model[OUTPUT_EMBEDDING] = 2 * model[EMBEDDING]
    done = apply(model, checked("any", mixing, len(source), len(target), WIDTH), seed=1)
    whole = matrix.toarray().astype(np.float64)
    mixed = np.flatnonzero(np.diff(matrix.indptr))
    for name in (EMBEDDING, OUTPUT_EMBEDDING):
        want = (whole @ model[name].numpy())[mixed]
        np.testing.assert_allclose(done.tensors[name].numpy()[mixed], want, atol=1e-4)
    sizes = np.abs(whole[mixed])
    want = sizes / sizes.sum(1, keepdims=True) @ model[OUTPUT_BIAS].numpy()
    np.testing.assert_allclose(done.tensors[OUTPUT_BIAS].numpy()[mixed], want, atol=1e-5)
    np.testing.assert_array_equal(done.weights.toarray(), matrix.toarray())
    assert not done.convex
    assert np.isnan(done.origins.similarity).all()
    for row in mixed:
        largest = np.sort(np.abs(whole[row]))[::-1][: min(LISTED, (whole[row] != 0).sum())]
        shown = done.origins.weights[row][done.origins.anchors[row] >= 0]
        np.testing.assert_allclose(np.abs(shown), largest, rtol=1e-6)
        np.testing.assert_array_equal(shown, whole[row][done.origins.anchors[row][: len(shown)]].astype(np.float32))


@given(st.integers(0, 10**6))
def test_shares_are_alike_in_both_layouts(seed):
    matrix = weights(9, 7, seed, density=0.4)
    dense = torch.from_numpy(matrix.toarray())
    want = shares(dense)
    filled = dense.abs().sum(1) > 0
    torch.testing.assert_close(want.sum(1), filled.float(), atol=1e-6, rtol=0)
    assert (want >= 0).all()
    torch.testing.assert_close(shares(dense.to_sparse_csr()).to_dense(), want)


@pytest.mark.parametrize("sparse", [True, False])
def test_selected_rows_of_a_block_are_those_of_its_matrix(sparse):
    matrix = torch.from_numpy(weights(9, 7, 3, density=0.5).toarray())
    kept = np.arange(9) % 3 != 1
    block = Block(np.arange(10, 19), matrix.to_sparse_csr() if sparse else matrix, torch.arange(9.0))
    found = selected(block, kept)
    assert found.rows.tolist() == (10 + np.flatnonzero(kept)).tolist()
    assert torch.equal(found.weights.to_dense(), matrix[torch.from_numpy(kept)])
    assert torch.equal(found.similarity, torch.arange(9.0)[torch.from_numpy(kept)])


def test_an_extension_moves_learned_rows_and_drops_those_of_source_tokens():
    source, language = vocabularies(6, 2, 5)
    target = Vocabulary.of([*source.tokens[:-1], *(f"t{i}" for i in range(5)), source.tokens[-1]])
    ids = np.array([language.ids[token] for token in ("t1", "c0", "t4")])
    copied = np.array([-1 if token == "c0" else source.ids.get(token, -1) for token in language.tokens])
    made = Rows(copied=copied, ids=ids, embedding=torch.arange(3.0)[:, None].expand(3, WIDTH), bias=torch.arange(3.0))
    moved = extended(made, source, language, target)
    assert [target.tokens[i] for i in moved.ids] == ["t1", "t4"]
    assert moved.embedding[:, 0].tolist() == moved.bias.tolist() == [0, 2]
    assert moved.copied[[target.ids[token] for token in source.tokens]].tolist() == list(range(len(source)))
    matrix = csr_matrix((np.ones(3, np.float32), ([*ids], [4, 4, 5])), (len(language), len(source)))
    mixing = checked(
        "any", extended(mixing_of(copied, matrix), source, language, target), len(source), len(target), WIDTH
    )
    assert [target.tokens[i] for block in mixing.blocks for i in block.rows] == ["t1", "t4"]


COPIED_ROWS = np.array([0, -1, -1, 1])


def block(*rows: int, values: list[list[float]] | None = None) -> Block:
    given = [[0.5, 0.5]] * len(rows) if values is None else values
    return Block(np.array(rows), torch.tensor(given))


def mixing(*blocks: Block, **changes: object) -> Mixing:
    return replace(Mixing(COPIED_ROWS, np.array([0, 2]), blocks), **changes)


def rows(**changes: object) -> Rows:
    return replace(Rows(copied=COPIED_ROWS, ids=np.array([2]), embedding=torch.zeros(1, WIDTH)), **changes)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (None, "returned NoneType; expected Mixing or Rows"),
        (mixing(copied=np.array([0, -1, -1])), "gave copied as int64 of shape (3,); expected integers, (4,)"),
        (mixing(copied=np.array([0, -1, -1, 9])), "copies rows that the source does not have"),
        (mixing(anchors=np.array([0, 3])), "an anchor that is not an id of the source"),
        (mixing(anchors=np.array([2, 2])), "or gave one twice"),
        (mixing(block(2, 1)), "not ids of the target in ascending order"),
        (mixing(block(2), block(1)), "not ids of the target in ascending order"),
        (mixing(block(2), block(2)), "not ids of the target in ascending order"),
        (mixing(block(3)), "mixes tokens that it also copies"),
        (mixing(block(1, values=[[1.0]])), "gave weights as torch.float32 of shape (1, 1); expected float32, (1, 2)"),
        (mixing(block(1, values=[[0.5, float("nan")]])), "gave weights with NaN or infinity"),
        (mixing(block(1, values=[[0.0, 0.0]]), convex=False), "gave a mixture without weights"),
        (mixing(block(1, values=[[0.9, 0.9]])), "negative or do not sum to 1"),
        (mixing(block(1, values=[[1.5, -0.5]])), "negative or do not sum to 1"),
        (rows(ids=np.array([4])), "gave a row for an id that is not a target token"),
        (rows(ids=np.array([3])), "gave rows for tokens that it also copies"),
        (rows(embedding=torch.zeros(1, WIDTH + 1)), "gave embedding as torch.float32 of shape (1, 7)"),
        (rows(embedding=torch.zeros(1, WIDTH).double()), "gave embedding as torch.float64"),
        (rows(bias=torch.zeros(2)), "gave bias as torch.float32 of shape (2,); expected float32, (1,)"),
        (rows(output_embedding=torch.full((1, WIDTH), torch.inf)), "gave output_embedding with NaN or infinity"),
    ],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_what_would_spoil_a_model_is_refused_by_the_methods_name(made, says, sparse):
    if sparse and isinstance(made, Mixing):
        blocks = [replace(one, weights=one.weights.to_sparse_csr()) for one in made.blocks]
        made = replace(made, blocks=blocks)
    with pytest.raises(FocusError) as refused:
        for _ in getattr(checked("theirs", made, 3, 4, WIDTH), "blocks", ()):
            pass
    assert str(refused.value).startswith("The method 'theirs' ")
    assert says in str(refused.value)
