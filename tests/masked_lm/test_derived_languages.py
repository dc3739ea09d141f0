"""The derived languages of the synthetic experiment: text, tables, and the doubled vocabulary."""

import pytest
from derived_languages import (
    derived_line,
    derived_sentence,
    derived_table,
    double_vocabulary,
    entities,
    inversion,
    normalizer,
    transliterated,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer

ALONE, BOTH = ["inversion"], ["transliteration", "inversion"]


def test_sentences_are_reversed_and_end_as_before():
    assert derived_line("Moja mbili tatu. Nne tano? sita saba", ALONE) == "tatu mbili Moja. tano Nne? saba sita"
    assert derived_line("Moja , mbili .", ALONE) == "mbili , Moja ."
    assert [derived_line(line, ALONE) for line in ("", "  ", ".", "Moja.")] == ["", "", ".", "Moja."]
    assert sorted(derived_line("a b c d e f g", ["permutation"]).split()) == list("abcdefg")
    assert derived_line("a b c d e f g", ["permutation"]) == derived_line("a b c d e f g", ["permutation"])


def test_tags_move_with_their_words():
    words = ["Rais", "Samia", "Suluhu", "Hassan", "wa", "Tanzania", "."]
    tags = ["O", "B-PER", "I-PER", "I-PER", "O", "B-LOC", "O"]
    moved, reversed_tags = derived_sentence(words, tags, ALONE)
    assert moved == ["Tanzania", "wa", "Hassan", "Suluhu", "Samia", "Rais", "."]
    assert reversed_tags == ["B-LOC", "O", "B-PER", "I-PER", "I-PER", "O", "O"]
    assert derived_sentence(words, ["NOUN"] * 7, BOTH)[1] == ["NOUN"] * 7


def test_entities_that_touch_stay_apart():
    tags = ["B-PER", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    assert derived_sentence(list("abcde"), tags, ALONE)[1] == ["B-LOC", "I-LOC", "B-PER", "I-PER", "B-PER"]


sentences = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "."]), st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])),
    min_size=1,
    max_size=12,
)


@given(sentence=sentences)
def test_inversion_keeps_all_entities(sentence):
    """As seqeval reads the tags, in the same words; and twice reversed is not reversed."""
    words, tags = ([pair[side] for pair in (*sentence, (".", "O"))] for side in (0, 1))
    moved, new = derived_sentence(words, tags, ALONE)
    order = inversion(words)
    at = [order.index(i) for i in range(len(words))]
    before = {(kind, frozenset(at[start : end + 1])) for kind, start, end in get_entities(tags)}
    assert {(kind, frozenset(range(start, end + 1))) for kind, start, end in get_entities(new)} == before
    again, _ = derived_sentence(moved, new, ALONE)
    assert again == words
    assert len(set(entities(tags))) == len(before) + tags.count("O")


@given(text=st.text())
@settings(deadline=None)
def test_transliteration_can_be_undone_and_keeps_spaces(text):
    other = transliterated(text)
    assert len(other) == len(text)
    assert [c.isspace() for c in other] == [c.isspace() for c in text]
    back = {transliterated(character): character for character in set(text)}
    assert "".join(back[character] for character in other) == text


@pytest.fixture(scope="module")
def doubled(tmp_path_factory, vocabulary):
    output = tmp_path_factory.mktemp("doubled")
    double_vocabulary(vocabulary, output)
    return output


def test_each_token_has_a_twin(vocabulary, doubled, target_text):
    """The original text is cut as before, and the derived text into the twins of the same tokens."""
    old, new = read_dictionary(vocabulary / DICTIONARY), read_dictionary(doubled / DICTIONARY)
    tokenizer, before = load_tokenizer(doubled / SENTENCEPIECE), load_tokenizer(vocabulary / SENTENCEPIECE)
    pairs = [line.split("\t") for line in (doubled / "dictionary.tsv").read_text().splitlines()]
    assert len(new) == len(old) + len(pairs)
    assert new.tokens[: len(old) - 1] == old.tokens[:-1]
    twins = dict(pairs) | {"▁": "▁"}
    lines = [normalizer(vocabulary)(line) for line in target_text.read_text().splitlines()[:300]]
    cut = before.pieces(lines)
    assert tokenizer.pieces(lines) == cut
    expected = [[twins[piece.decode()].encode() for piece in line] for line in cut]
    assert tokenizer.pieces([derived_line(line, ["transliteration"]) for line in lines]) == expected
    assert sum(map(len, expected)) > 1000


def test_tables_keep_their_sentences(vocabulary):
    table = ["Moja O", "mbili B-PER", "tatu I-PER", "", "", "nne O", ". O"]
    lines = list(derived_table(table, ALONE, normalizer(vocabulary)))
    assert lines == ["tatu B-PER", "mbili I-PER", "Moja O", "", "nne O", ". O", ""]
