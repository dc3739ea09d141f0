"""``--method pieces``: the mean of the source's pieces, against the tokenizers' own libraries."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from invoked import run
from mixing_inputs import dense
from tokenizer_kinds import byte_level, unigram, wordpiece
from tokenizers import Tokenizer

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.methods.pieces import METHOD, PiecesOptions, shortest_divisions
from focus_plugin.mixing.declaration import Given
from focus_plugin.transfer.apply import apply
from focus_plugin.vocabulary.readers import load_sentencepiece, read_tokenizer_json
from focus_plugin.vocabulary.tokenizers import hugging_face_tokenizer
from focus_plugin.vocabulary.vocabulary import MASK, SPECIALS, Vocabulary

KINDS = {"unigram": unigram, "byte_level": byte_level, "wordpiece": wordpiece}
WORDS = ["▁shuleni", "▁mwalimu", "▁wanafunzi", "▁kitabu", "▁anasoma"]


@pytest.fixture(scope="module", params=KINDS)
def source(request, source_text, tmp_path_factory) -> tuple[Path, Tokenizer]:
    """A tokenizer of each kind that knows the letters of WORDS, as a file and as its library has it."""
    lines = [*source_text.read_text().splitlines(), *(word[1:] for word in WORDS)]
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    KINDS[request.param](lines, 400).save(str(path))
    return path, Tokenizer.from_file(str(path))


def made(path: Path, tokens: list[str], **options: str) -> tuple[np.ndarray, Vocabulary, Vocabulary, torch.Tensor]:
    """The weights that the method gives, (target, source), the two vocabularies, and the source's embedding."""
    source, target = read_tokenizer_json(path), Vocabulary.of([*SPECIALS[:4], *tokens, MASK])
    embedding = torch.randn(len(source), 8, generator=torch.Generator().manual_seed(1))
    what = Given(
        source=source,
        target=target,
        options=PiecesOptions(**options),
        source_tokenizer=hugging_face_tokenizer(path),
        embedding=embedding,
    )
    mixing = METHOD.make(what)
    return dense(mixing, len(source)), source, target, embedding


def test_a_word_is_the_mean_of_what_the_source_cuts_it_into(source):
    path, library = source
    weights, vocabulary, target, _ = made(path, WORDS)
    for word in WORDS:
        pieces = library.encode(word[1:], add_special_tokens=False).tokens
        assert len(pieces) > 1
        want = np.zeros(len(vocabulary))
        np.add.at(want, [vocabulary.ids[piece] for piece in pieces], 1 / len(pieces))
        np.testing.assert_allclose(weights[target.ids[word]], want, atol=1e-6)


def test_what_is_inside_a_word_has_no_piece_that_starts_one_if_there_is_another(source):
    path, _ = source
    inside = [word[1:] for word in WORDS]
    weights, vocabulary, target, _ = made(path, inside)
    forms = set(vocabulary.forms)
    for token in inside:
        used = [vocabulary.forms[i] for i in np.flatnonzero(weights[target.ids[token]])]
        assert used
        assert "▁" not in used
        assert not [form for form in used if form.startswith("▁") and form[1:] in forms]
        letters = "".join(used).replace("▁", "")
        assert set(letters) <= set(token)


def test_tokens_without_known_text_are_left_to_the_fill(source):
    path, _ = source
    unknown = ["<0xC3><0xA9>", "▁<0xE2><0x96>", "▁", "▁東"]
    weights, vocabulary, target, _ = made(path, [*WORDS, *unknown])
    assert not weights[[target.ids[token] for token in unknown if token != "▁東"]].any()
    assert weights[target.ids["▁東"]].any() == ("<0xE6>" in vocabulary.forms), "bytes of it are pieces"
    assert not weights[target.special].any()


def test_characters_that_the_source_lacks_add_nothing(source_text, tmp_path):
    unigram(source_text.read_text().splitlines(), 300).save(str(tmp_path / "tokenizer.json"))
    weights, vocabulary, target, _ = made(tmp_path / "tokenizer.json", ["▁東京", "東", "▁ba東"])
    assert not weights[[target.ids["▁東京"], target.ids["東"]]].any()
    used = [vocabulary.tokens[i] for i in np.flatnonzero(weights[target.ids["▁ba東"]])]
    assert used
    assert set("".join(used)) == set("▁ba")


@pytest.mark.parametrize("part", ["first", "last"])
def test_one_piece_alone_is_a_copy_of_its_row(source, part):
    path, library = source
    weights, vocabulary, target, _ = made(path, WORDS, pieces=part)
    for word in WORDS:
        cut = library.encode(word[1:], add_special_tokens=False).tokens
        row = weights[target.ids[word]]
        assert np.flatnonzero(row).tolist() == [vocabulary.ids[cut[0] if part == "first" else cut[-1]]]
        assert row.sum() == 1


def divisions(text: str, tokens: set[str]) -> list[list[str]]:
    """All divisions of a text into tokens, one after the other, as the paper defines them."""
    if not text:
        return [[]]
    heads = (text[:i] for i in range(1, len(text) + 1))
    return [[head, *rest] for head in heads if head in tokens for rest in divisions(text[len(head) :], tokens)]


@settings(max_examples=200, deadline=None)
@given(st.text("ab▁", max_size=9), st.sets(st.text("ab▁", min_size=1, max_size=4)))
def test_the_shortest_divisions_are_those_of_a_list_of_all(text, tokens):
    ids = {token: i for i, token in enumerate(sorted(tokens))}
    listed = divisions(text, tokens) if text else []
    fewest = [division for division in listed if len(division) == min(map(len, listed))]
    want = np.zeros(len(ids))
    for division in fewest:
        np.add.at(want, [ids[token] for token in division], 1 / len(division) / len(fewest))
    found = np.zeros(len(ids))
    for i, share in shortest_divisions(text, ids, 4).items():
        found[i] = share
    np.testing.assert_allclose(found, want, atol=1e-9)


def test_vipi_is_the_mean_over_the_shortest_divisions_of_a_token(source):
    path, _ = source
    tokens = [*WORDS, *(word[1:] for word in WORDS), "▁", "▁<0xC3>", "▁東", "<0xC3>"]
    weights, vocabulary, target, _ = made(path, tokens, pieces="vipi")
    forms = {form for form, special in zip(vocabulary.forms, vocabulary.special, strict=True) if not special}
    by_form = {form: i for i, form in enumerate(vocabulary.forms)}
    for token in tokens[: 2 * len(WORDS)]:
        listed = divisions(token, forms)
        fewest = [division for division in listed if len(division) == min(map(len, listed))]
        want = np.zeros(len(vocabulary))
        for division in fewest:
            np.add.at(want, [by_form[form] for form in division], 1 / len(division) / len(fewest))
        np.testing.assert_allclose(weights[target.ids[token]], want, atol=1e-6)
        assert np.count_nonzero(want) > 1
    assert not weights[[target.ids[token] for token in tokens[2 * len(WORDS) :]]].any()


def test_rows_are_scaled_to_the_norm_of_the_source_and_the_bias_is_not(source):
    path, _ = source
    plain, vocabulary, target, embedding = made(path, WORDS)
    scaled, *_ = made(path, WORDS, norm="source")
    rows = [target.ids[word] for word in WORDS]
    norms = np.linalg.norm(scaled[rows] @ embedding.numpy(), axis=1)
    np.testing.assert_allclose(norms, np.linalg.norm(embedding.numpy(), axis=1).mean(), rtol=1e-5)
    for row in rows:
        np.testing.assert_allclose(scaled[row] / scaled[row].sum(), plain[row], atol=1e-6)
    bias = torch.randn(len(vocabulary), generator=torch.Generator().manual_seed(2))
    what = Given(
        source=vocabulary,
        target=target,
        options=PiecesOptions(norm="source"),
        source_tokenizer=hugging_face_tokenizer(path),
        embedding=embedding,
    )
    tensors = {EMBEDDING: embedding, "encoder.lm_head.weight": embedding, OUTPUT_BIAS: bias}
    done = apply(tensors, METHOD.make(what), seed=1)
    np.testing.assert_allclose(done.tensors[OUTPUT_BIAS].numpy()[rows], plain[rows] @ bias.numpy(), atol=1e-6)


def test_the_command_on_a_sentencepiece_source(release, vocabulary, tmp_path):
    output = tmp_path / "out"
    run("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", "pieces", "--output", output)
    source, target = read_checkpoint(release), read_checkpoint(output)
    library = load_sentencepiece(release / "sentencepiece.bpe.model")
    new = [token for token in target.vocabulary.tokens if token not in source.vocabulary.ids and token[0] == "▁"]
    checked = 0
    for token in new:
        ids = [source.vocabulary.ids.get(piece) for piece in library.encode(token[1:], out_type=str)]
        if None in ids:
            continue
        checked += 1
        want = source.tensors[EMBEDDING][ids].mean(0)
        torch.testing.assert_close(target.tensors[EMBEDDING][target.vocabulary.ids[token]], want, atol=1e-6, rtol=0)
    assert checked > 50
    said = run("focus", "explain", output, new[0]).stdout
    assert said.startswith(f"{new[0]}: a mixture of ")
    assert "cosine" not in said
