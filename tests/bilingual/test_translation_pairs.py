"""Bilingual dictionaries as users have them, and the pairs of tokens they become."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoked import refuse, run
from sentencepiece import SentencePieceTrainer
from tokenizer_kinds import KINDS

from focus_plugin.bilingual.dictionary import entries
from focus_plugin.bilingual.pairs import (
    PAIRS,
    TokenPair,
    chosen_pairs,
    dictionary_sentences,
    encode_dictionary,
    read_translations,
    write_translations,
)
from focus_plugin.errors import FocusError
from focus_plugin.text import Text
from focus_plugin.vocabulary.readers import read_vocabulary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer
from focus_plugin.vocabulary.vocabulary import BEGIN, END, MASK, PAD, UNKNOWN, Vocabulary

VOCABULARY = Vocabulary.of([BEGIN, PAD, END, UNKNOWN, "▁dog", "▁cat", "s", "▁mbwa", "▁paka", "▁", MASK])


def cut(line: str) -> list[int]:
    """Words that begin with a known piece, and a plural; <unk> for any other word."""
    found = []
    for word in line.split():
        stem, plural = (word[:-1], [VOCABULARY.ids["s"]]) if word.endswith("s") else (word, [])
        found += [VOCABULARY.ids.get(f"▁{stem}", VOCABULARY.ids[UNKNOWN]), *plural]
    return found


TOKENIZER = Tokenizer(
    VOCABULARY.tokens, lambda lines: [], lambda lines: [cut(line) for line in lines], lambda lines: []
)


def text_of(path: Path, content: str, newline: str = "\n") -> Text:
    path.write_bytes(content.replace("\n", newline).encode("utf-8"))
    return Text.of(path)


def pair(source: str, target: str) -> TokenPair:
    return TokenPair(tuple(source.split()), tuple(target.split()))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_tabs_spaces_and_faults(tmp_path, newline):
    """TSV and MUSE in one file, with a byte order mark; phrases need a tab."""
    content = "\ufeffdog\tmbwa\n\ncat paka\nthe dog\tmbwa yule\nlonely\n\tmbwa\nthree whole words\na\tb\tc\n \t \n"
    found = dict(entries(text_of(tmp_path / "d.tsv", content, newline).files))
    assert {place.rpartition(" ")[2]: entry for place, entry in found.items()} == {
        "1": ("dog", "mbwa"),
        "3": ("cat", "paka"),
        "4": ("the dog", "mbwa yule"),
        **dict.fromkeys("5678"),
    }


def test_what_cannot_be_used_is_counted_and_named(tmp_path):
    """Words without tokens, one side, repetitions, and both sides alike; all in one dictionary, compressed."""
    lines = ["dog mbwa", "dogs mbwa", "dog mbwa", "zebra mbwa", "dog dog", "dog", "cat paka", "cat zebra", "dog mbwa"]
    path = tmp_path / "d.txt.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    encoded = encode_dictionary(Text.of(path), TOKENIZER, VOCABULARY)
    assert encoded.pairs == (pair("▁dog", "▁mbwa"), pair("▁dog s", "▁mbwa"), pair("▁cat", "▁paka"))
    assert encoded.entries == len(lines)
    told = {
        name: (count, [place.rpartition(" ")[2] for place in places])
        for name, (count, places) in encoded.left_out.items()
    }
    assert told == {"sides": (1, ["6"]), "unknown": (2, ["4", "8"]), "equal": (1, ["5"]), "repeated": (2, ["3", "9"])}
    assert sum(count for count, _ in told.values()) + len(encoded.pairs) == len(lines)
    said = dictionary_sentences(encoded.counts())
    assert said[0] == "Dictionary: 3 pairs of 9 entries, 2 of them with one token on each side."
    assert f"2 with a word that the vocabulary cannot encode ({path}, line 4; {path}, line 8)." in " ".join(said)


def test_many_faults_are_named_by_the_first(tmp_path):
    encoded = encode_dictionary(text_of(tmp_path / "d", "dog mbwa\n" * 1000), TOKENIZER, VOCABULARY)
    assert len(encoded.pairs) == 1
    assert encoded.left_out["repeated"][0] == 999
    assert dictionary_sentences(encoded.counts())[1].endswith("line 3; " + f"{tmp_path}/d, line 4; and so on).")


@pytest.mark.parametrize("content", ["", "\n \n", "zebra paka\n", "dog\n", "dog dog\n"])
def test_a_dictionary_without_a_pair_is_refused(tmp_path, content):
    with pytest.raises(FocusError, match=r"d: no pair can be used\."):
        encode_dictionary(text_of(tmp_path / "d", content), TOKENIZER, VOCABULARY)


def test_entries_can_be_tokens(tmp_path):
    """Then a piece within words is one, too; special tokens are not."""
    text = text_of(tmp_path / "d", "s\t▁mbwa\n▁dog ▁paka\ndog mbwa\n<s> ▁paka\n")
    encoded = encode_dictionary(text, TOKENIZER, VOCABULARY, of_tokens=True)
    assert encoded.pairs == (pair("s", "▁mbwa"), pair("▁dog", "▁paka"))
    assert encoded.left_out["unknown"][0] == 2


@pytest.mark.parametrize("kind", ["byte-fallback", "byte-level", "unigram", "wordpiece", "llama", "gemma"])
def test_words_have_the_tokens_that_they_have_within_a_text(tmp_path, target_text, kind):
    """Some tokenizers put a space before each text, also before one with a space; some put none."""
    lines = target_text.read_text().splitlines()
    path = tmp_path / ("t.json" if kind in KINDS else "t.model")
    if kind in KINDS:
        KINDS[kind](lines, 500).save(str(path))
    else:
        how = {"model_type": "bpe", "byte_fallback": True, "remove_extra_whitespaces": False, "vocab_size": 600}
        name = str(path.with_suffix(""))
        SentencePieceTrainer.train(
            input=str(target_text), model_prefix=name, minloglevel=2, add_dummy_prefix=kind == "llama", **how
        )
    tokenizer, vocabulary = load_tokenizer(path), read_vocabulary(path)
    words = sorted({word for line in lines for word in line.split() if word.isalpha()})[:40]
    text = text_of(tmp_path / "d", "".join(f"{a}\t{b}\n" for a, b in zip(words[:20], words[20:], strict=True)))
    found = encode_dictionary(text, tokenizer, vocabulary).pairs
    first, *both = (
        [tokenizer.tokens[i] for i in ids] for ids in tokenizer.ids(["ba", *(f"ba {word}" for word in words)])
    )
    within = [tuple(cut[len(first) :]) for cut in both]
    assert found == tuple(map(TokenPair, within[:20], within[20:]))


tokens = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), min_size=1).filter(
    lambda text: text.split() == [text]
)
words = st.lists(tokens, min_size=1, max_size=3).map(tuple)


@given(pairs=st.lists(st.builds(TokenPair, words, words), min_size=1))
def test_the_file_holds_what_was_written(tmp_path_factory, pairs):
    directory = tmp_path_factory.mktemp("pairs")
    write_translations(directory / PAIRS, pairs)
    assert read_translations(directory) == pairs


@given(count=st.integers(1, 50), shares=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)), seed=st.integers(0, 9))
def test_smaller_shares_are_parts_of_larger_ones(count, shares, seed):
    pairs = [pair(f"s{i}", f"t{i}") for i in range(count)]
    drawn = []
    for share in sorted(shares):
        if round(share * count):
            drawn.append(chosen_pairs(pairs, share, False, seed))
            assert len(drawn[-1]) == round(share * count)
            assert drawn[-1] == [entry for entry in pairs if entry in drawn[-1]], "in the order of the dictionary"
    assert len(drawn) < 2 or set(drawn[0]) <= set(drawn[1])


def test_single_pieces_can_be_all_that_is_used():
    pairs = [pair("a b", "c"), pair("a", "c"), pair("a", "c d")]
    assert chosen_pairs(pairs, 1.0, True, 1) == pairs[1:2]
    with pytest.raises(FocusError, match=r"has 3 pairs, 1 with one token on each side, and a share of 0\.1 of them"):
        chosen_pairs(pairs, 0.1, True, 1)


def test_focus_prepare_tells_what_it_left_out(tmp_path, vocabulary, target_text):
    words = sorted({word for line in target_text.read_text().splitlines() for word in line.split() if word.isalpha()})
    lines = [f"{a}\t{b}" for a, b in zip(words[:20], words[20:40], strict=True)]
    (tmp_path / "d.tsv").write_text("\n".join([*lines, "alone", lines[0]]))
    texts = ("--train", target_text, "--valid", target_text, "--output", tmp_path / "data")
    done = run("focus", "prepare", "--vocab", vocabulary, *texts, "--dictionary", tmp_path / "d.tsv")
    assert "Dictionary: 20 pairs of 22 entries" in done.stdout
    assert f"1 with not a word and its translation ({tmp_path / 'd.tsv'}, line 21)." in done.stdout
    manifest = json.loads((tmp_path / "data" / "focus.json").read_text())
    assert manifest["counts"]["translations"]["pairs"] == len(read_translations(tmp_path / "data")) == 20
    assert "translations" in manifest["inputs"]
    (tmp_path / "d.tsv").write_text("alone\n")
    again = (*texts[:-1], tmp_path / "none")
    refuse("focus", "prepare", "--vocab", vocabulary, *again, "--dictionary", tmp_path / "d.tsv", says="no pair can")
