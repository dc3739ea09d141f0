"""Vocabularies: trained, read, taken from published tokenizers and counted."""

import json
import random
import shutil
import sys
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import sentencepiece
from fairseq.data import Dictionary
from invoked import run
from tokenizer_kinds import KINDS, unigram
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from vocabularies import train_on

from focus_plugin.errors import FocusError
from focus_plugin.files import read_lines
from focus_plugin.manifest import read_manifest
from focus_plugin.text import Text
from focus_plugin.vocabulary import encoding, training
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.forms import byte_level_form
from focus_plugin.vocabulary.importing import import_vocabulary
from focus_plugin.vocabulary.readers import (
    load_sentencepiece,
    load_tokenizer_json,
    read_dictionary,
    read_sentencepiece,
    read_tokenizer_json,
    read_vocab_json,
    read_vocabulary,
)
from focus_plugin.vocabulary.tokenizers import (
    hugging_face_tokenizer,
    load_tokenizer,
    piece_ids,
    sentencepiece_tokenizer,
)
from focus_plugin.vocabulary.unigram import sentencepiece_model
from focus_plugin.vocabulary.vocabulary import SPECIALS, Vocabulary


def test_layout_is_that_of_xlmr(vocabulary):
    """As fairseq reads it: four specials, the pieces in SentencePiece's order, <mask> last."""
    tokens = read_dictionary(vocabulary / "dict.txt").tokens
    reference = Dictionary.load(str(vocabulary / "dict.txt"))
    reference.add_symbol("<mask>")
    assert list(tokens) == reference.symbols
    assert tokens[:4] == SPECIALS[:4]
    assert tokens[-1] == "<mask>"
    assert len(tokens) == 500 + 2
    assert read_sentencepiece(vocabulary / "sentencepiece.bpe.model").tokens == tokens


def test_normalization_is_that_of_xlmr(vocabulary):
    processor = load_sentencepiece(vocabulary / "sentencepiece.bpe.model")
    assert processor.normalize("  Ｂａ\u00a0\t che\u200b  ") == "▁Ba▁che"


def test_dictionary_counts_the_corpus(vocabulary, target_text):
    processor = load_sentencepiece(vocabulary / "sentencepiece.bpe.model")
    counts = dict(line.rsplit(" ", 1) for line in read_lines(vocabulary / "dict.txt"))
    seen = [piece for line in read_lines(target_text) for piece in processor.encode(line, out_type=str)]
    for piece in list(counts)[:20]:
        assert int(counts[piece]) == seen.count(piece)
    found = encoding.count_pieces(Text.of(target_text), sentencepiece_tokenizer(vocabulary / "sentencepiece.bpe.model"))
    words = sum(len(line.split()) for line in read_lines(target_text))
    assert (found.words, found.lines) == (words, 3000)
    assert found.tokens_per_word == pytest.approx(len(seen) / words)


def test_batches_do_not_change_the_count(vocabulary, target_text, monkeypatch):
    tokenizer = sentencepiece_tokenizer(vocabulary / "sentencepiece.bpe.model")
    whole = encoding.count_pieces(Text.of(target_text), tokenizer)
    monkeypatch.setattr(encoding, "BATCH_LINES", 7)
    assert np.array_equal(encoding.count_pieces(Text.of(target_text), tokenizer).pieces, whole.pieces)


def test_long_lines_make_small_batches(monkeypatch):
    monkeypatch.setattr(encoding, "BATCH_CHARACTERS", 10)
    assert list(encoding.batches(["aaaa", "bbbb", "cccc", "d" * 50, "e"])) == [
        ["aaaa", "bbbb", "cccc"],
        ["d" * 50],
        ["e"],
    ]


def test_padding_in_a_tokenizer_file_is_not_counted(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "b": 2}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(length=100)
    tokenizer.enable_truncation(2)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert hugging_face_tokenizer(tmp_path / "tokenizer.json").count(["a b a", "a"]) == 4


def test_same_seed_same_bytes(target_text, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        (tmp_path / name).mkdir()
        train_on(target_text, 300, tmp_path / name, sample_mb=0.04, seed=seed)
    a, b, c = ((tmp_path / name / "sentencepiece.bpe.model").read_bytes() for name in "abc")
    assert a == b
    assert a != c, "another seed draws another sample"


def test_a_sample_bounds_what_sentencepiece_reads(target_text, tmp_path, monkeypatch):
    """The lines that reach the trainer are a share of the corpus; the counts are of all of it."""
    seen = []
    train = sentencepiece.SentencePieceTrainer.train

    def counting(sentence_iterator, **options):
        return train(sentence_iterator=(seen.append(len(line)) or line for line in sentence_iterator), **options)

    monkeypatch.setattr(sentencepiece.SentencePieceTrainer, "train", counting)
    counts = train_on(target_text, 300, tmp_path, sample_mb=target_text.stat().st_size / 4e6)
    assert 500 < len(seen) < 1000
    assert counts.lines == 3000


@pytest.mark.parametrize("longest", [1, 2, 7, 100])
def test_long_lines_are_cut_at_spaces(longest):
    line = "ab cde  fghijklm nop " * 3
    parts = list(training.cut_line(line, longest))
    assert "".join(parts) == line
    assert all(0 < len(part) <= longest for part in parts)
    for part in parts[:-1]:
        assert part.endswith(" ") or " " not in part


def test_a_corpus_of_one_long_line_is_trained_on(target_text, tmp_path, monkeypatch):
    """SentencePiece leaves out lines above a length, in silence."""
    monkeypatch.setattr(training, "LONGEST_SENTENCE", 4000)
    corpus = tmp_path / "one.txt"
    corpus.write_text(target_text.read_text().replace("\n", " "))
    train_on(corpus, 300, tmp_path)
    assert len(read_dictionary(tmp_path / "dict.txt")) == 302


def test_no_piece_holds_white_space(tmp_path):
    """fairseq splits dictionaries and encoded lines at everything Python calls white space."""
    spaces = [chr(i) for i in range(sys.maxunicode + 1) if chr(i).isspace() and chr(i) not in "\n\r"]
    corpus = tmp_path / "spaces.txt"
    corpus.write_text("\n".join(f"ab{space}cd{space}{space}ef{space}" for space in spaces * 20), encoding="utf-8")
    train_on(corpus, 14, tmp_path)
    tokens = read_dictionary(tmp_path / "dict.txt").tokens
    assert all(len(token.split()) == 1 for token in tokens)
    assert len(tokens) == 14 + 2


def test_faults_of_the_corpus_are_told(tmp_path):
    corpus = tmp_path / "corpus.txt"
    for text, message in (
        (b"", r"corpus\.txt: is empty"),
        (b"\n \n\t\n", r"corpus\.txt: is empty"),
        (b"some words here\n", "give --size [0-9]+ or less"),
        (b"good\nb\xe9d\n", r"corpus\.txt, line 2: not valid UTF-8"),
    ):
        corpus.write_bytes(text)
        with pytest.raises(FocusError, match=message):
            train_on(corpus, 1000, tmp_path)


def test_text_that_a_published_tokenizer_lacks_is_told(tmp_path, target_text):
    """Also if the tokenizer has another name for the unknown piece."""
    model, text = tmp_path / "m.model", tmp_path / "text.txt"
    sentencepiece.SentencePieceTrainer.train(
        input=str(target_text), model_prefix=str(tmp_path / "m"), vocab_size=200, unk_piece="[UNK]", minloglevel=2
    )
    found = sentencepiece.SentencePieceProcessor(model_file=str(model)).encode("ba ኢትዮጵያ", out_type=str)
    text.write_text("ba ኢትዮጵያ\n", encoding="utf-8")
    made = run("focus", "vocab", "--tokenizer", model, "--input", text, "--output", tmp_path / "vocab").stdout
    assert f"{100 / len(found):.2g} % of the tokens are <unk>" in made
    assert read_manifest(tmp_path / "vocab").counts["unknown"] == 1 / len(found)
    known = run("focus", "vocab", "--tokenizer", model, "--input", target_text, "--output", tmp_path / "known").stdout
    assert "<unk>" not in known


def test_a_model_without_control_symbols_is_mapped_by_its_pieces(tmp_path, target_text):
    sentencepiece.SentencePieceTrainer.train(
        input=str(target_text), model_prefix=str(tmp_path / "m"), vocab_size=200, bos_id=-1, eos_id=-1, minloglevel=2
    )
    tokenizer = sentencepiece_tokenizer(tmp_path / "m.model")
    vocabulary = read_sentencepiece(tmp_path / "m.model")
    ids = piece_ids(tokenizer, vocabulary)
    assert [vocabulary.tokens[i] for i in ids] == list(tokenizer.tokens)


def test_byte_level_forms_are_text():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    text = "Ünïcödé żółw 東京 привет\tword"
    trainer = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([text] * 5, trainer)
    tokens = tokenizer.encode(text).tokens
    assert "".join(byte_level_form(token) for token in tokens) == "▁" + text.replace(" ", "▁")
    assert byte_level_form("Ã") == "<0xC3>"


def test_forms_of_bpe_with_marks_of_ends_and_continuations(target_text, tmp_path):
    """As HerBERT's, CLIP's and CamemBERTa's: a form has a space where a word ends or begins, and nothing else."""
    lines = target_text.read_text().splitlines()[:500]
    for marks, alphabet, split, want in (
        ({"end_of_word_suffix": "</w>"}, [], pre_tokenizers.WhitespaceSplit(), "Xylo▁ba▁"),
        (
            {"end_of_word_suffix": "</w>"},
            pre_tokenizers.ByteLevel.alphabet(),
            pre_tokenizers.Sequence(
                [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
            ),
            "Xylo▁ba▁",
        ),
        ({"continuing_subword_prefix": "##"}, [], pre_tokenizers.WhitespaceSplit(), "▁Xylo▁ba"),
    ):
        tokenizer = Tokenizer(models.BPE(**marks))
        tokenizer.pre_tokenizer = split
        trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False, **marks)
        tokenizer.train_from_iterator([*lines, "Xylo ba"] * 3, trainer)
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        vocabulary = read_tokenizer_json(tmp_path / "tokenizer.json")
        forms = [vocabulary.forms[i] for i in tokenizer.encode("Xylo ba").ids]
        assert "".join(forms) == want


def test_tokenizer_json_keeps_the_order_of_ids(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "▁a": 5}, unk_token="<unk>"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert read_tokenizer_json(tmp_path / "tokenizer.json").tokens[4:] == ("<unused_4>", "▁a")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(FocusError, match=r"tokenizer\.json: not a tokenizer"):
        read_tokenizer_json(tmp_path / "tokenizer.json")


@pytest.fixture(scope="module")
def kinds(target_text, vocabulary, tmp_path_factory):
    """A tokenizer.json of every kind."""
    directory = tmp_path_factory.mktemp("kinds")
    lines = target_text.read_text().splitlines()
    for kind, train in KINDS.items():
        train(lines, 700).save(str(directory / f"{kind}.json"))
    unigram(lines, 700, charsmap=vocabulary / "sentencepiece.bpe.model").save(str(directory / "unigram.json"))
    return directory


def odd_texts(words, count, seed):
    """Words glued to white space, symbols, composed characters and characters of many scripts."""
    draw = random.Random(seed)
    odd = ["  ", " ", "\t", "\u00a0", "\u3000", "é", "½", "Å", "ﬁ", "…", '"', "東京", "мир", "\u200b", "😀", ""]
    return ["".join(draw.choices([*odd, *draw.sample(words, 20)], k=draw.randint(0, 15))) for _ in range(count)]


def test_a_unigram_tokenizer_becomes_the_same_sentencepiece_model(kinds, target_text):
    """Text by text. Where two segmentations have one score, sums of other precision may choose the other."""
    path = kinds / "unigram.json"
    processor = sentencepiece.SentencePieceProcessor(
        model_proto=sentencepiece_model(json.loads(path.read_text())).content
    )
    library, words = load_tokenizer_json(path), target_text.read_text().split()
    score = dict(json.loads(path.read_text())["model"]["vocab"])
    texts = odd_texts(words, 20_000, seed=1) + target_text.read_text().split("\n")
    differing = 0
    for text, theirs in zip(texts, library.encode_batch(texts, add_special_tokens=False), strict=True):
        ours = [processor.id_to_piece(i) for i in processor.encode(text)]
        want = [library.id_to_token(i) for i in theirs.ids]
        if ours != want:
            differing += 1
            assert sum(map(score.get, ours)) == pytest.approx(sum(map(score.get, want)), abs=1e-4), text
    assert differing < len(texts) / 1000


def test_what_sentencepiece_cannot_be_stays_as_it_is(kinds):
    content = json.loads((kinds / "unigram.json").read_text())
    assert sentencepiece_model(content) is not None
    lower = {**content, "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}}
    split = {**content, "pre_tokenizer": {"type": "Whitespace"}}
    word = {**content, "added_tokens": [{"id": 9, "content": "ba", "special": False}]}
    others = [json.loads((kinds / f"{kind}.json").read_text()) for kind in KINDS if kind != "unigram"]
    assert [sentencepiece_model(other) for other in (lower, split, word, *others)] == [None] * 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_published_tokenizer_becomes_a_vocabulary(kinds, kind, target_text, tmp_path):
    """Its own pieces, as fairseq numbers them, with counts that are those of its own encoding."""
    counts, _ = import_vocabulary(Text.of(target_text), kinds / f"{kind}.json", tmp_path)
    file = "sentencepiece.bpe.model" if kind == "unigram" else "tokenizer.json"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dict.txt", file]
    reference = Dictionary.load(str(tmp_path / "dict.txt"))
    reference.add_symbol("<mask>")
    target, published = read_dictionary(tmp_path / "dict.txt"), read_tokenizer_json(kinds / f"{kind}.json")
    assert list(target.tokens) == reference.symbols
    assert set(target.tokens) == {*published.tokens, "<mask>"}
    assert all(target.forms[target.ids[token]] == published.forms[i] for token, i in published.ids.items())
    library = Tokenizer.from_file(str(kinds / f"{kind}.json"))
    encoded = library.encode_batch(list(read_lines(target_text)), add_special_tokens=False)
    seen = Counter(token for found in encoded for token in found.tokens)
    assert counts.pieces.sum() == seen.total()
    assert counts.unknown == seen["<unk>"] + seen["[UNK]"]
    assert [reference.count[target.ids[token]] for token in target.tokens[4:-1]] == [
        seen[token] for token in target.tokens[4:-1]
    ]


def test_pieces_and_ids_are_of_one_encoding(kinds, vocabulary, target_text):
    lines = [*target_text.read_text().splitlines()[:50], ""]
    for path in (vocabulary / "sentencepiece.bpe.model", *(kinds / f"{kind}.json" for kind in KINDS)):
        tokenizer = load_tokenizer(path)
        cut = [[piece.decode() for piece in line] for line in tokenizer.pieces(lines)]
        assert cut == [[tokenizer.tokens[i] for i in line] for line in tokenizer.ids(lines)]
        assert tokenizer.count(lines) == sum(map(len, cut)) > 50


def test_names_of_special_tokens_in_a_text_are_text(kinds):
    for kind in ("byte-level", "wordpiece"):
        (pieces,) = load_tokenizer(kinds / f"{kind}.json").pieces(["ba </s> [SEP] <mask> di"])
        assert not {b"</s>", b"<mask>"} & set(pieces)


def test_a_sentencepiece_model_of_any_name_is_taken_as_it_is(vocabulary, target_text, tmp_path):
    shutil.copy(vocabulary / "sentencepiece.bpe.model", tmp_path / "theirs.spm")
    (tmp_path / "out").mkdir()
    import_vocabulary(Text.of(target_text), tmp_path / "theirs.spm", tmp_path / "out")
    for name in ("dict.txt", "sentencepiece.bpe.model"):
        assert (tmp_path / "out" / name).read_bytes() == (vocabulary / name).read_bytes()


def test_a_model_and_its_dictionary_are_one_vocabulary(kinds, vocabulary):
    assert read_vocabulary(vocabulary / "sentencepiece.bpe.model") == read_dictionary(vocabulary / "dict.txt")
    assert read_vocabulary(kinds / "byte-level.json") == read_tokenizer_json(kinds / "byte-level.json")
    with pytest.raises(FocusError, match="no such file"):
        read_vocabulary(kinds / "absent.model")


def test_a_directory_with_a_published_tokenizer_is_sent_to_focus_vocab(kinds, vocabulary, tmp_path):
    shutil.copy(kinds / "byte-level.json", tmp_path / "tokenizer.json")
    with pytest.raises(FocusError, match=r"has no dict\.txt.*focus vocab --tokenizer .*tokenizer\.json makes one"):
        vocabulary_files(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    shutil.copy(vocabulary / "sentencepiece.bpe.model", tmp_path / "other.model")
    with pytest.raises(FocusError, match=r"focus vocab --tokenizer .*other\.model makes one"):
        vocabulary_files(tmp_path)


def test_ids_without_a_token_can_be_in_a_target(kinds, target_text, tmp_path):
    content = json.loads((kinds / "byte-level.json").read_text())
    last = max(content["model"]["vocab"], key=content["model"]["vocab"].get)
    content["model"]["vocab"][last] += 1
    (tmp_path / "gap.json").write_text(json.dumps(content))
    import_vocabulary(Text.of(target_text), tmp_path / "gap.json", tmp_path)
    assert f"<unused_{content['model']['vocab'][last] - 1}>" in read_dictionary(tmp_path / "dict.txt").tokens


@pytest.mark.parametrize("wrong", [-1, 10**12])
def test_ids_that_no_vocabulary_has_are_told(tmp_path, wrong):
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": wrong}))
    with pytest.raises(FocusError, match=rf"vocab\.json: the token 'b' has the id {wrong}"):
        read_vocab_json(tmp_path / "vocab.json")


def test_faults_of_a_published_tokenizer_are_told(target_text, tmp_path):
    (tmp_path / "t.json").write_text('{"model": 1}')
    (tmp_path / "t.model").write_bytes(b"nonsense")
    for name, message in (
        ("t.json", "not a tokenizer"),
        ("t.model", rf"{tmp_path}/t\.model: not a SentencePiece model"),
        ("x", "no such file"),
    ):
        with pytest.raises(FocusError, match=message):
            import_vocabulary(Text.of(target_text), tmp_path / name, tmp_path)


def test_a_token_twice_is_refused():
    with pytest.raises(FocusError, match="'a' occurs twice in the vocabulary"):
        Vocabulary.of(["a", "b", "a"])


def test_text_is_read_with_any_line_end_and_byte_order_mark(tmp_path):
    (tmp_path / "t.txt").write_bytes("\ufeffone\r\ntwo\u2028still two\nthree".encode())
    assert list(read_lines(tmp_path / "t.txt")) == ["one", "two\u2028still two", "three"]


def test_reading_is_lazy(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"good\n" * 1000 + b"\xff\n")
    assert list(islice(read_lines(tmp_path / "t.txt"), 3)) == ["good"] * 3
