"""The overlap of vocabularies of every kind, against the authors' package."""

import itertools
import random

import pytest
from deepfocus.focus import get_overlapping_tokens
from hypothesis import given
from hypothesis import strategies as st
from tokenizer_kinds import BERT, KINDS, odd_lines
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from focus_plugin.vocabulary.forms import byte_level_form, fuzzy_form, is_symbol, plain_form, wordpiece_form
from focus_plugin.vocabulary.overlap import Matching, overlap
from focus_plugin.vocabulary.readers import read_vocabulary
from focus_plugin.vocabulary.vocabulary import SPECIALS, Vocabulary


@pytest.fixture(scope="module")
def tokenizers(source_text, tmp_path_factory):
    """A file of every kind, twice: trained on other halves of one text, with numbers, cases and scripts in it."""
    directory = tmp_path_factory.mktemp("kinds")
    draw = random.Random(1)
    words = source_text.read_text().split()
    for side in ("source", "target"):
        lines = odd_lines(draw.sample(words, len(words) // 2), draw)
        for kind, train in KINDS.items():
            train(lines, 900).save(str(directory / f"{side}.{kind}.json"))
    return directory


def authors(path):
    names = ("bos", "pad", "eos", "unk", "mask")
    listed = (SPECIALS[0], SPECIALS[1], SPECIALS[2], SPECIALS[3], SPECIALS[4])
    bert = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
    special = dict(zip((f"{name}_token" for name in names), bert if "wordpiece" in path.name else listed, strict=True))
    return PreTrainedTokenizerFast(tokenizer_file=str(path), **special)


def stripped(form):
    """What the authors' package compares: white space before the text is lost, and incomplete bytes are alike."""
    start = "▁" if form.startswith("▁") else ""
    return start + form.replace("▁", " ").lstrip()


@pytest.mark.parametrize("source_kind", KINDS)
@pytest.mark.parametrize("target_kind", KINDS)
def test_same_tokens_as_the_authors(tokenizers, source_kind, target_kind):
    """For all kinds and options. Left out is what theirs confuses: white space before text, bytes, special tokens."""
    paths = [tokenizers / f"{side}.{kind}.json" for side, kind in (("source", source_kind), ("target", target_kind))]
    source, target = map(read_vocabulary, paths)
    theirs_source, theirs_target = map(authors, paths)

    def comparable(vocabulary, i):
        form = vocabulary.forms[i]
        return not vocabulary.special[i] and "<0x" not in form and stripped(form) == form and fuzzy_form(form) != ""

    for symbols, fuzzy in itertools.product((False, True), repeat=2):
        found, _ = get_overlapping_tokens(theirs_target, theirs_source, symbols, True, fuzzy)
        ids = theirs_target.get_vocab()
        want = {ids[token]: match.source[0].id for token, match in found.items()}
        got = overlap(source, target, Matching(symbols, fuzzy))
        ours = {i: int(j) for i, j in enumerate(got) if j >= 0}
        compared = [i for i in range(len(target)) if comparable(target, i)]
        assert len(compared) > 500
        assert {i: ours.get(i) for i in compared} == {i: want.get(i) for i in compared}
        assert sum(i in ours for i in compared) > 50


@pytest.mark.parametrize("source_kind", KINDS)
@pytest.mark.parametrize("target_kind", KINDS)
def test_special_tokens_meet_their_like_alone(tokenizers, source_kind, target_kind):
    source = read_vocabulary(tokenizers / f"source.{source_kind}.json")
    target = read_vocabulary(tokenizers / f"target.{target_kind}.json")
    got = overlap(source, target, Matching(symbols=True, fuzzy=True))
    for i, token in enumerate(target.tokens):
        if got[i] >= 0 and (token in SPECIALS or source.special[got[i]]):
            assert source.tokens[got[i]] == token
    assert not set(BERT) & {*source.tokens, *target.tokens}
    kept = {token for token in SPECIALS if token in source.ids and token in target.ids}
    assert {target.tokens[i] for i in range(len(target)) if target.special[i] and got[i] >= 0} == kept
    assert {"<s>", "<pad>", "</s>", "<unk>"} <= kept


def test_bytes_meet_the_same_bytes(tokenizers):
    byte_level, fallback = (
        read_vocabulary(tokenizers / f"{n}.json") for n in ("target.byte-level", "source.byte-fallback")
    )
    got = overlap(fallback, byte_level)
    assert fallback.tokens[got[byte_level.ids["Ã"]]] == "<0xC3>"
    incomplete = [i for i, form in enumerate(byte_level.forms) if form.startswith("<0x")]
    assert len(incomplete) > 50
    assert all(fallback.tokens[got[i]] == byte_level.forms[i] for i in incomplete if got[i] >= 0)


def test_white_space_is_not_all_one():
    source = Vocabulary.of(["Ġ", "ĠĠ", "ĉ", "Ċ"], [byte_level_form(token) for token in ("Ġ", "ĠĠ", "ĉ", "Ċ")])
    target = Vocabulary.of(["▁▁", "▁", "\n", "▁▁▁"])
    assert overlap(source, target).tolist() == [1, 0, 3, -1]
    assert overlap(source, target, Matching(symbols=True)).tolist() == [1, 0, 3, 0]


def test_the_choice_among_several():
    """Exact before fuzzy; of one form the last; of one fuzzy form the last written so, else the first."""
    source = Vocabulary.of(
        ["<s>", "▁Ba", "BA", "a", "b", "c", "▁7", "7"], ["<s>", "▁Ba", "BA", "x", "x", "ba", "▁7", "7"]
    )
    target = Vocabulary.of(["x", "▁ba", "▁BA", "ba", "<S>", "<s>", "<mask>", "7"])
    assert overlap(source, target).tolist() == [4, -1, -1, 5, -1, 0, -1, 7]
    assert overlap(source, target, Matching(fuzzy=True)).tolist() == [4, 5, 5, 5, -1, 0, -1, 7]
    unlike = Vocabulary.of(["▁Ba", "BA"])
    assert overlap(unlike, target, Matching(fuzzy=True)).tolist() == [-1, 0, 0, 0, -1, -1, -1, -1]


def test_symbols_are_numbers_punctuation_and_white_space():
    forms = ["7", "▁7", "½", "▁...", "-", "▁", "\t", "a", "▁7a", "…"]
    assert [is_symbol(form) for form in forms] == [True] * 7 + [False] * 3
    source, target = Vocabulary.of(["▁7", "▁ba", "!"]), Vocabulary.of(["7", "ba", "▁!"])
    assert overlap(source, target, Matching(symbols=True)).tolist() == [0, -1, 2]


@given(st.text())
def test_forms_agree_across_kinds(text):
    """The same text has one form, however it is written."""
    spaced = " " + text
    ((byte_level, _),) = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(spaced)
    assert byte_level_form(byte_level) == plain_form(spaced)
    if " " not in text and not text.startswith("##"):
        assert wordpiece_form(text) == plain_form(spaced)
        assert wordpiece_form("##" + text) == plain_form(text)
