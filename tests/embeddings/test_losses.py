"""The losses, compared with those of sentence-transformers on the same inputs, gradients included."""

import random
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from focus_plugin.embeddings.contrastive import contrastive
from focus_plugin.embeddings.nested import nested_dimensions, with_layers
from focus_plugin.embeddings.scored import cosent, squared_error

Loss = Callable[[Sequence[Tensor]], Tensor]


def _assert_same(ours: Loss, theirs: Loss, embeddings: Sequence[Tensor]) -> None:
    """Fail unless both losses of the embeddings, and their gradients, are equal to 1e-5."""
    results = []
    for loss in (ours, theirs):
        leaves = [embedding.clone().requires_grad_() for embedding in embeddings]
        value = loss(leaves)
        value.backward()
        results.append((value.detach(), *(leaf.grad for leaf in leaves)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def _vectors(count: int, pairs: int, seed: int) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(pairs, 7, generator=draw, dtype=torch.float64) for _ in range(count)]


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 4), st.integers(1, 9), st.sampled_from([1.0, 20.0, 100.0]), st.integers(0, 999))
def test_contrastive(texts: int, pairs: int, scale: float, seed: int) -> None:
    theirs = losses.MultipleNegativesRankingLoss(None, scale=scale)
    embeddings = _vectors(texts, pairs, seed)
    _assert_same(
        lambda given: contrastive(given, scale), partial(theirs.compute_loss_from_embeddings, labels=None), embeddings
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.2, 0.5, 1.0]) | st.floats(-5, 5), min_size=1, max_size=9), st.integers(0, 999))
def test_scored_pairs(scores: list[float], seed: int) -> None:
    """Equal scores among them."""
    labels, embeddings = torch.tensor(scores), _vectors(2, len(scores), seed)
    for ours, theirs in (
        (lambda given: cosent(*given, labels, 20.0), losses.CoSENTLoss(None)),
        (lambda given: squared_error(*given, labels), losses.CosineSimilarityLoss(None)),
    ):
        _assert_same(ours, lambda given, loss=theirs: loss.compute_loss_from_embeddings(given, labels), embeddings)


LAYERS, WIDTH, PAIRS = 3, 12, 5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformer:
    """A model with a few layers, in double precision and without dropout: nothing is due to rounding or chance."""
    directory = tmp_path_factory.mktemp("bert")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=30,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=16,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    BertModel(config).save_pretrained(directory)
    (directory / "vocab.txt").write_text(
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" + "\n".join("abcdefghijklmnopqrstuvwxy")
    )
    return SentenceTransformer(modules=[Transformer(str(directory)), Pooling(WIDTH)], device="cpu").double()


def _batch(model: SentenceTransformer) -> list[dict[str, Tensor]]:
    draw = random.Random(2)
    columns = [[" ".join(draw.choices("abcdefghijklmno", k=6)) for _ in range(PAIRS)] for _ in range(2)]
    return [model.tokenize(column) for column in columns]


def _ours(model: SentenceTransformer, loss: Loss, layers: Sequence[int]) -> Tensor:
    """``with_layers`` of the embeddings of a model; layer 0 is what its first layer reads."""
    states = []
    for features in _batch(model):
        found = model[0].auto_model(**features, output_hidden_states=True).hidden_states
        real = features["attention_mask"][:, :, None]
        states.append([(hidden * real).sum(1) / real.sum(1) for hidden in found])
    return with_layers(
        loss, [column[-1] for column in states], [[column[layer] for column in states] for layer in layers]
    )


def _gradients(model: SentenceTransformer, loss: Tensor) -> tuple[Tensor, list[Tensor]]:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return loss.detach(), list(found)


def _nested(name: str, model: SentenceTransformer) -> tuple[Loss, nn.Module, Tensor]:
    """A loss of ours, one of theirs and the labels, for embeddings with 3 and 8 of 12 numbers."""
    dimensions, labels = [WIDTH, 8, 3], torch.rand(PAIRS, generator=torch.Generator().manual_seed(3))
    whole, theirs = {
        "contrastive": (lambda given: contrastive(given, 20.0), losses.MultipleNegativesRankingLoss(model)),
        "cosent": (lambda given: cosent(*given, labels, 20.0), losses.CoSENTLoss(model)),
    }[name]
    return nested_dimensions(whole, dimensions[1:]), losses.MatryoshkaLoss(model, theirs, dimensions), labels


@pytest.mark.parametrize("name", ["contrastive", "cosent"])
def test_nested_dimensions(model: SentenceTransformer, name: str) -> None:
    ours, theirs, labels = _nested(name, model)
    found = _gradients(model, _ours(model, ours, ()))
    torch.testing.assert_close(found, _gradients(model, theirs(_batch(model), labels)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("drawn", [1, 2, -1])
def test_nested_layers(model: SentenceTransformer, drawn: int, seed: int) -> None:
    """They draw some of the lower layers at each step, among which is what the first layer reads."""
    theirs = losses.AdaptiveLayerLoss(model, losses.MultipleNegativesRankingLoss(model), n_layers_per_step=drawn)
    random.seed(seed)
    wanted = _gradients(model, theirs(_batch(model), None))
    random.seed(seed)
    layers = random.sample(range(LAYERS), drawn) if drawn > 0 else range(LAYERS)
    found = _gradients(model, _ours(model, lambda given: contrastive(given, 20.0), layers))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_nested_dimensions_and_layers(model: SentenceTransformer) -> None:
    whole = losses.MultipleNegativesRankingLoss(model)
    theirs = losses.Matryoshka2dLoss(model, whole, [WIDTH, 8, 3], n_layers_per_step=-1, n_dims_per_step=-1)
    ours = nested_dimensions(lambda given: contrastive(given, 20.0), [8, 3])
    found = _gradients(model, _ours(model, ours, range(LAYERS)))
    torch.testing.assert_close(found, _gradients(model, theirs(_batch(model), None)), atol=1e-5, rtol=1e-5)
