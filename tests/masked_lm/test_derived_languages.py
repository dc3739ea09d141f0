"""The derived languages of the synthetic experiment: text, tables, and the doubled vocabulary."""

import random
from pathlib import Path

import pytest
from derived_languages import (
    derived_line,
    derived_sentence,
    derived_table,
    double_vocabulary,
    entities,
    heads_last,
    inversion,
    normalizer,
    transliterated,
    udpipe_parser,
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


@given(data=st.data(), count=st.integers(1, 12), stop=st.booleans())
def test_words_follow_all_that_depend_on_them(data, count, stop):
    """For any tree: dependents of a word keep their order, and nothing is lost."""
    heads = [data.draw(st.integers(-1, place - 1)) for place in range(count)]  # without circles
    places = data.draw(st.permutations(range(count)))
    tree = {places[word]: places[head] if head >= 0 else -1 for word, head in enumerate(heads)}
    words = [*(str(i) for i in range(count)), *["."] * stop]
    order = heads_last(words, lambda _: [*(tree[i] for i in range(count)), *[0] * stop])
    assert sorted(order) == list(range(len(words)))
    assert order[-1] == count or not stop
    at = {word: place for place, word in enumerate(order)}
    assert all(at[word] < at[head] for word, head in tree.items() if head >= 0)
    for head in tree.values():
        dependents = [word for word in range(count) if tree[word] == head]
        assert dependents == sorted(dependents, key=at.__getitem__)


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of UDPipe that has learned a few sentences: noun, verb, noun, adjective."""
    udpipe = pytest.importorskip("ufal.udpipe")
    draw, texts = random.Random(1), [udpipe.Sentences(), udpipe.Sentences()]
    nouns, verbs, adjectives = ["mtoto", "kitabu", "barua"], ["anasoma", "anaona"], ["kizuri", "kipya"]
    for number in range(80):
        words = [draw.choice(kind) for kind in (nouns, verbs, nouns, adjectives, ["."])]
        sentence = udpipe.Sentence()
        for word, kind in zip(words, ["NOUN", "VERB", "NOUN", "ADJ", "PUNCT"], strict=True):
            sentence.addWord(word).upostag = kind
        for word, (head, relation) in enumerate([(2, "nsubj"), (0, "root"), (2, "obj"), (3, "amod"), (2, "punct")], 1):
            sentence.setHead(word, head, relation)
        texts[number % 8 == 0].append(sentence)
    sizes = "".join(f"embedding_{name}=4;" for name in ("form", "upostag", "deprel"))
    how = f"iterations=4;{sizes}embedding_feats=0;hidden_layer=16;transition_system=projective;transition_oracle=static"
    tagger, failed = "iterations=2;provide_lemma=0;use_lemma=0", udpipe.ProcessingError()
    model = udpipe.Trainer.train("morphodita_parsito", *texts, udpipe.Trainer.NONE, tagger, how, failed)
    assert not failed.occurred(), failed.message
    path = tmp_path_factory.mktemp("udpipe") / "sw.udpipe"
    path.write_bytes(model)
    return path


def test_another_syntax(parser):
    parse = udpipe_parser(parser)
    assert derived_line("mtoto anasoma kitabu kizuri.", ["syntax"], parse) == "mtoto kizuri kitabu anasoma."
    words, tags = ["mtoto", "anaona", "barua", "kipya", "."], ["B-PER", "O", "B-LOC", "I-LOC", "O"]
    moved, new = derived_sentence(words, tags, ["transliteration", "syntax"], parse)
    assert moved == [transliterated(word) for word in ("mtoto", "kipya", "barua", "anaona", ".")]
    assert new == ["B-PER", "B-LOC", "I-LOC", "O", "O"]


def test_syntax_needs_a_parser(tmp_path):
    with pytest.raises(SystemExit, match="give a model of UDPipe with --udpipe"):
        derived_line("Moja mbili.", ["syntax"])
    pytest.importorskip("ufal.udpipe")
    (tmp_path / "model").write_text("no model")
    with pytest.raises(SystemExit, match="model: is not a model of UDPipe"):
        udpipe_parser(tmp_path / "model")


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
