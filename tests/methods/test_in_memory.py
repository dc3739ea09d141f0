"""Conversions in memory: against the authors' package, and against ``focus convert`` with the same files."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from authors import authors, source_embeddings
from invoked import run
from sentencepiece import SentencePieceProcessor
from tokenizer_kinds import byte_level
from tokenizers import Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, XLMRobertaForMaskedLM, XLMRobertaModel

from focus_plugin.auxiliary.vectors import load_vectors
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.in_memory import new_embeddings
from focus_plugin.vocabulary.readers import read_tokenizer_json

SMALL = ("--dim", 16, "--min-count", 5)
VECTORS = {"dimension": 16, "minimum_count": 5}


@pytest.fixture(scope="module")
def model(hugging_face) -> XLMRobertaForMaskedLM:
    return XLMRobertaForMaskedLM.from_pretrained(hugging_face).eval()


@pytest.fixture(scope="module")
def source(hugging_face) -> SentencePieceProcessor:
    return SentencePieceProcessor(model_file=str(hugging_face / "sentencepiece.bpe.model"))


@pytest.fixture(scope="module")
def converted(directory, hugging_face, vocabulary, target_text):
    output = directory / "in.memory"
    given = ("--source", hugging_face, "--vocab", vocabulary, "--corpus", target_text)
    run("focus", "convert", *given, *SMALL, "--output", output)
    return read_checkpoint(output)


@pytest.mark.parametrize("options", [{}, {"match_symbols": True}, {"seed": 7, "match_fuzzy": True}])
def test_the_rows_are_those_of_the_authors_package_with_the_same_arguments(pair, options):
    """Theirs by token, in the order of the tokenizer's ids."""
    theirs = {"fuzzy_match_all" if name == "match_fuzzy" else name: value for name, value in options.items()}
    want = authors(pair, fasttext_model_path=str(pair.tokens), **theirs)
    new = new_embeddings(
        source_embeddings(pair), pair.source, pair.target, auxiliary=pair.tokens, paper=True, **options
    )
    assert new.embedding.shape == (len(pair.target), source_embeddings(pair).shape[1])
    for token, i in pair.target.get_vocab().items():
        np.testing.assert_allclose(new.embedding[i].numpy(), want[token], atol=1e-5, rtol=0, err_msg=token)
    assert new.output_embedding is None
    assert new.bias is None


def test_words_do_as_in_the_authors_package(pair):
    mode = {"auxiliary_embedding_mode": "fasttext-wordlevel", "language_identifier": str(pair.words)}
    want = authors(pair, **mode)
    new = new_embeddings(
        source_embeddings(pair), pair.source.backend_tokenizer, pair.target, word_vectors=str(pair.words), paper=True
    )
    for token, i in pair.target.get_vocab().items():
        np.testing.assert_allclose(new.embedding[i].numpy(), want[token], atol=1e-5, rtol=0, err_msg=token)


def test_a_model_and_a_corpus_give_what_focus_convert_gives(model, source, vocabulary, target_text, converted):
    new = new_embeddings(model, source, vocabulary, corpus=target_text, **VECTORS)
    assert torch.equal(new.embedding, converted.tensors[EMBEDDING])
    torch.testing.assert_close(new.bias, converted.tensors[OUTPUT_BIAS], atol=1e-5, rtol=0)
    assert new.output_embedding is None


def test_lines_of_text_are_a_corpus_too(model, source, vocabulary, target_text, converted):
    lines = target_text.read_text().splitlines()
    new = new_embeddings(model, source, str(vocabulary), corpus=lines, **VECTORS)
    assert torch.equal(new.embedding, converted.tensors[EMBEDDING])


def test_a_sentencepiece_file_has_the_ids_of_xlm_r(model, source, hugging_face, vocabulary, target_text, converted):
    file = vocabulary / "sentencepiece.bpe.model"
    for target in (file, SentencePieceProcessor(model_file=str(file))):
        new = new_embeddings(model, hugging_face, target, corpus=target_text, calibrate=0, **VECTORS)
        torch.testing.assert_close(new.embedding, converted.tensors[EMBEDDING], atol=1e-5, rtol=0)


def test_the_model_has_the_new_vocabulary_afterwards(hugging_face, model, source, vocabulary, converted, target_text):
    changed = XLMRobertaForMaskedLM.from_pretrained(hugging_face).eval()
    new_embeddings(changed, source, vocabulary, corpus=target_text, **VECTORS).put_into(changed)
    ids = torch.randint(4, len(converted.vocabulary) - 1, (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        states = changed.roberta(ids).last_hidden_state
        logits = changed(ids).logits
        head = changed.lm_head.layer_norm(torch.nn.functional.gelu(changed.lm_head.dense(states)))
    want = head @ converted.tensors[EMBEDDING].T + converted.tensors[OUTPUT_BIAS]
    torch.testing.assert_close(logits, want, atol=1e-4, rtol=0)
    assert changed.config.vocab_size == len(converted.vocabulary)
    assert model.config.vocab_size != len(converted.vocabulary), "the source is left alone"


def test_vectors_as_an_array_are_those_of_a_file(pair, tmp_path):
    target = read_tokenizer_json(_saved(pair.target, tmp_path / "target.json"))
    vectors = load_vectors(pair.tokens, target)
    given = (source_embeddings(pair), pair.source, pair.target)
    own = new_embeddings(*given, vectors=np.where(vectors.rare[:, None], 0, vectors.vectors), rare="fill")
    file = new_embeddings(*given, auxiliary=pair.tokens, rare="fill")
    assert torch.equal(own.embedding, file.embedding)


def test_a_model_of_another_architecture_gets_embeddings_and_output_embeddings(source_text, target_text):
    lines = [text.read_text().splitlines() for text in (source_text, target_text)]
    source, target = (PreTrainedTokenizerFast(tokenizer_object=byte_level(part, 400)) for part in lines)
    config = GPT2Config(vocab_size=len(source), n_embd=16, n_layer=1, n_head=2, tie_word_embeddings=False)
    model = GPT2LMHeadModel(config)
    new = new_embeddings(model, source, target, method="pieces")
    assert new.embedding.shape == new.output_embedding.shape == (len(target), 16)
    shared = [token for token in target.get_vocab() if token in source.get_vocab()]
    assert len(shared) > 100
    for token in shared:
        i, j = target.get_vocab()[token], source.get_vocab()[token]
        assert torch.equal(new.embedding[i], model.get_input_embeddings().weight[j].detach())
        assert torch.equal(new.output_embedding[i], model.get_output_embeddings().weight[j].detach())
    new.put_into(model)
    assert model(torch.tensor([[1, 2, 3]])).logits.shape == (1, 3, len(target))


def _saved(tokenizer: PreTrainedTokenizerFast, path):
    tokenizer.backend_tokenizer.save(str(path))
    return path


def test_a_vocabulary_without_special_tokens_is_taken(source_text, target_text, tmp_path):
    """GPT-2 has no ``<unk>``."""
    made = []
    for name, text in (("source", source_text), ("target", target_text)):
        path = tmp_path / f"{name}.json"
        byte_level(text.read_text().splitlines(), 400).save(str(path))
        path.write_text(path.read_text().replace("<unk>", "<other>").replace("<s>", "<start>"))
        made.append(Tokenizer.from_file(str(path)))
    rows = torch.randn(made[0].get_vocab_size(), 8, generator=torch.Generator().manual_seed(1))
    new = new_embeddings(rows, *made, method="pieces")
    assert new.embedding.shape == (made[1].get_vocab_size(), 8)
    assert (new.origins.kind == 1).sum() > 50


def test_the_example_of_the_page_runs(hugging_face, pair, target_text, tmp_path):
    """As it is, but for the names of model, tokenizer and text."""
    pair.target.save_pretrained(tmp_path / "target")
    page = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
    [example] = re.findall(r"((?:^    .*\n|^\n)+)`new\.embedding` is", page, re.MULTILINE)
    names = {"xlm-roberta-base": hugging_face, "path/to/the/target/tokenizer": "target", "sw.txt": target_text}
    for name, path in names.items():
        assert f'"{name}"' in example
        example = example.replace(name, str(tmp_path / path))
    found = {}
    exec(textwrap.dedent(example), found)
    embedding = found["model"].get_input_embeddings().weight
    assert torch.equal(embedding, found["new"].embedding)
    assert len(embedding) == len(pair.target)
    assert found["model"](**pair.target("ba be", return_tensors="pt")).logits.shape[-1] == len(pair.target)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"corpus": "x.txt", "colour": 3}, "There is no option colour; the method 'focus' takes corpus"),
        ({}, r"needs auxiliary embeddings: give corpus \(target text\), or a file of them as auxiliary"),
        ({"corpus": "absent.txt"}, "absent.txt: no such file"),
        ({"method": "pieces", "auxiliary": "x"}, "auxiliary has no effect with method pieces"),
        ({"method": "random", "corpus": "x.txt", "calibrate": 100}, "calibrate needs the source model"),
        ({"vectors": np.ones((3, 4))}, "has 3 vectors for"),
        ({"auxiliary": 7}, "auxiliary is int; expected a path"),
    ],
)
def test_what_does_not_fit_is_told(pair, options, says):
    with pytest.raises(FocusError, match=says):
        new_embeddings(source_embeddings(pair), pair.source, pair.target, **options)


def test_sources_that_do_not_fit_are_told(pair, hugging_face, source):
    with pytest.raises(FocusError, match=r"have shape \(10, 8\); expected one row for each of the"):
        new_embeddings(torch.zeros(10, 8), pair.source, pair.target, method="random")
    with pytest.raises(FocusError, match="A tokenizer is of type int; expected a fast tokenizer of transformers"):
        new_embeddings(source_embeddings(pair), 3, pair.target, method="random")
    headless = XLMRobertaModel.from_pretrained(hugging_face)
    new = new_embeddings(headless, source, pair.target, method="random")
    assert new.bias is None
    with pytest.raises(FocusError, match="holds NaN"):
        new_embeddings(torch.full((len(pair.source), 4), torch.nan), pair.source, pair.target, method="random")
