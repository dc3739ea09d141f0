"""Tokenizers with odd tokens are taken exactly, or refused by one sentence that names the user's file."""

import json
import random
import unicodedata

import pytest
import sentencepiece
from fairseq.data import Dictionary
from tokenizer_kinds import BERT, SPECIALS, byte_level, unigram, wordpiece
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

from focus_plugin.binary_data import Encoder
from focus_plugin.errors import FocusError
from focus_plugin.text import Text
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.importing import import_vocabulary
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizer_objects import read_object
from focus_plugin.vocabulary.tokenizers import load_tokenizer

SPLIT = {"type": "WhitespaceSplit"}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
STRIP = {"type": "Strip", "strip_left": False, "strip_right": True}
JOIN = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}


@pytest.fixture(scope="module")
def published(target_text, vocabulary):
    """Like the FOCUS authors': Unigram with XLM-R's normalization, special tokens first, in a function of its own."""
    charsmap = vocabulary / "sentencepiece.bpe.model"
    content = json.loads(unigram(target_text.read_text().splitlines(), 500, charsmap).to_str())
    content["normalizer"] = content["normalizer"]["normalizers"][0]
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [SPLIT, METASPACE]}
    return json.dumps(content)


@pytest.fixture
def take(target_text, tmp_path):
    """Take a tokenizer.json of this content; its tokens left out, and the directory."""

    def take(content):
        (tmp_path / "theirs.json").write_text(content if isinstance(content, str) else json.dumps(content))
        output = tmp_path / "vocabulary"
        output.mkdir()
        _, left_out = import_vocabulary(Text.of(target_text), tmp_path / "theirs.json", output)
        return list(left_out), output

    return take


def odd_lines(words, more):
    """Lines of words among odd characters and the tokens ``more``, glued together or apart."""
    draw = random.Random(7)
    odd = [
        "  ",
        " ",
        "\t",
        "\u00a0",
        "\u200b",
        "\ufeff",
        "\x01",
        "é",
        "ﬁ",
        "½",
        "東京",
        "<",
        "▁",
        "▁▁",
        "😀",
        "\r",
        "ya",
    ]
    lines = ["".join(draw.choices([*odd, *more, *draw.sample(words, 15)], k=draw.randint(0, 15))) for _ in range(3000)]
    return [*lines, *more, *words[:200], *(" ".join(draw.sample(words, 9)) for _ in range(500))]


def require_same_cuts(directory, content, words, more=()):
    """Our tokenizer and the published one cut every line alike, and the dictionary has every token."""
    dictionary, file = vocabulary_files(directory)
    ours, library = load_tokenizer(file), Tokenizer.from_str(content)
    library.encode_special_tokens = True
    unknown = "<unk>"
    held = {*read_dictionary(dictionary).tokens}
    reference = Dictionary.load(str(dictionary))
    assert {*reference.symbols, "<mask>"} == held
    scores = dict(json.loads(content)["model"]["vocab"]) if file.suffix == ".model" else {}
    lines, different = odd_lines(words, more), 0
    for line, found, encoded in zip(lines, ours.ids(lines), library.encode_batch(lines, False), strict=True):
        cut = [ours.tokens[i] for i in found]
        want = [library.id_to_token(i) for i in encoded.ids]
        assert {*cut, unknown} <= held
        if cut != want:  # equally good cuts, of which sums of another precision choose another
            different += 1
            assert sum(map(scores.__getitem__, cut)) == pytest.approx(sum(map(scores.__getitem__, want))), line
    assert different < len(lines) / 500


def edited(content, *, pieces=(), insert=(), **model):
    """The tokenizer with pieces put in the place of others, by index, with pieces put in, and a changed model."""
    content = json.loads(content)
    for index, (piece, score) in enumerate(pieces):
        content["model"]["vocab"][100 + index] = [piece, score]
    for piece in insert:
        content["model"]["vocab"].insert(50, [piece, -6.0])
    content["model"] |= model
    return json.dumps(content)


@pytest.mark.parametrize(
    ("pieces", "left_out"),
    [
        ([("\0", -5.0), ("a\0b", -4.0)], ["\0", "a\0b"]),
        ([("", -1.0)], [""]),
        ([("ﬁ", -3.0), ("½", -3.0), ("Å", -3.0)], []),
        ([("zz", 4.0), ("▁zz", 0.0)], []),
        ([("▁▁", -2.0), ("▁▁▁", -2.0), ("a▁b", -2.0)], []),
        ([("\x01", -2.0), ("\u200b", -2.0), ("<0x41>", -2.0), ("a" * 1000, -3.0)], []),
    ],
)
def test_pieces_that_are_never_cut_do_no_harm(published, take, target_text, pieces, left_out):
    content = edited(published, pieces=pieces)
    found, directory = take(content)
    assert found == left_out
    assert vocabulary_files(directory)[1].suffix == ".model"
    require_same_cuts(
        directory, content, target_text.read_text().split(), [piece.replace("\0", "") for piece, _ in pieces]
    )


def test_of_equal_pieces_the_last_counts(published, take, target_text):
    again = [piece for piece, _ in json.loads(published)["model"]["vocab"][200:203]]
    content = edited(published, pieces=[(again[0], -1.0), (again[1], -30.0), (again[2], -8.0)])
    found, directory = take(content)
    assert found == again
    require_same_cuts(directory, content, target_text.read_text().split(), again)


def test_a_piece_too_long_for_sentencepiece_keeps_the_tokenizer_as_it_is(published, take, target_text):
    long = "ba" * 5000
    content = edited(published, pieces=[(long, -3.0)])
    found, directory = take(content)
    assert (found, vocabulary_files(directory)[1].name) == ([], "tokenizer.json")
    assert long in read_dictionary(directory / "dict.txt").ids
    require_same_cuts(
        directory, content, target_text.read_text().split(), [long[:200], f"x{long[:200]}"]
    )  # of long ones the library takes minutes


def test_unknown_text_of_a_tokenizer_without_unknown_token_is_unknown(published, take, target_text):
    _, directory = take(edited(published, unk_id=None))
    tokenizer = load_tokenizer(vocabulary_files(directory)[1])
    assert [tokenizer.tokens[i] for i in tokenizer.ids(["東"])[0]] == ["▁", "<unk>"]


def test_an_unknown_token_that_is_also_a_piece_keeps_the_tokenizer_as_it_is(published, take, target_text):
    content = edited(published, unk_id=60)
    _, directory = take(content)
    assert vocabulary_files(directory)[1].name == "tokenizer.json"
    require_same_cuts(directory, content, target_text.read_text().split())


@pytest.mark.parametrize(
    ("normalizers", "splitters", "kind"),
    [
        (["rules", STRIP, JOIN], [METASPACE], "sentencepiece.bpe.model"),
        (["rules", STRIP, JOIN | {"content": " "}], [METASPACE | {"split": False}], "sentencepiece.bpe.model"),
        (["rules", STRIP, JOIN], [METASPACE | {"prepend_scheme": "first"}], "sentencepiece.bpe.model"),
        (["rules", STRIP, JOIN], [SPLIT, METASPACE], "sentencepiece.bpe.model"),
        (["rules", STRIP, JOIN], [METASPACE | {"replacement": "_"}], "tokenizer.json"),
        (["rules", STRIP, JOIN], [METASPACE | {"prepend_scheme": "never"}], "tokenizer.json"),
        (["rules", STRIP], [METASPACE], "tokenizer.json"),
        (["rules", JOIN], [METASPACE], "tokenizer.json"),
        (["rules", STRIP | {"strip_left": True, "strip_right": False}, JOIN], [METASPACE], "tokenizer.json"),
        ([STRIP, JOIN, "rules"], [METASPACE], "tokenizer.json"),
        ([STRIP, "rules", JOIN], [METASPACE], "tokenizer.json"),
        (["rules", {"type": "StripAccents"}, {"type": "Lowercase"}], [SPLIT, METASPACE], "tokenizer.json"),
        (["rules"], [METASPACE, SPLIT], "tokenizer.json"),
        (["rules"], [SPLIT, METASPACE | {"prepend_scheme": "never"}], "tokenizer.json"),
        (["rules"], [SPLIT, METASPACE | {"split": False}], "tokenizer.json"),
        ([STRIP, JOIN], [METASPACE], "tokenizer.json"),
        ([], [SPLIT, METASPACE], "tokenizer.json"),
        ([], [METASPACE], "tokenizer.json"),
    ],
)
def test_spaces_are_treated_as_by_the_published_tokenizer(published, take, target_text, normalizers, splitters, kind):
    """Whatever is at the ends of a text and between words; where SentencePiece would differ, the file stays."""
    content = json.loads(edited(published, pieces=[("▁▁", -3.0), ("▁ya", -3.0), ("_", -3.0), ("\u200b", -3.0)]))
    rules = content["normalizer"]
    steps = [rules if step == "rules" else step for step in normalizers]
    content["normalizer"] = {"type": "Sequence", "normalizers": steps}
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": splitters}
    content = json.dumps(content)
    _, directory = take(content)
    assert vocabulary_files(directory)[1].name == kind
    require_same_cuts(directory, content, target_text.read_text().split(), ["\u2003", "_", "\n\n", " \u3000"])


def test_marks_that_the_library_loses_are_kept(published, take):
    """Its normalization reads the first of two marks on a letter; SentencePiece's reads both, as NFKC does."""
    content = edited(published, pieces=[("ế", -3.0), ("ê", -3.0)])
    _, directory = take(content)
    tokenizer = load_tokenizer(vocabulary_files(directory)[1])
    decomposed = unicodedata.normalize("NFD", "ế")
    assert [tokenizer.tokens[i] for i in tokenizer.ids([decomposed])[0]] == ["▁", "ế"]
    assert Tokenizer.from_str(content).encode(decomposed, add_special_tokens=False).tokens == ["▁", "ê"]


def test_a_text_is_cut_alike_each_time(take, target_text):
    """Though the merges of a tokenizer are left out at random, as for the training of its publisher's model."""
    content = byte_level(lines := target_text.read_text().splitlines(), 500)
    want = [found.ids for found in content.encode_batch(lines, add_special_tokens=False)]
    content.model.dropout = 0.5
    _, directory = take(content.to_str())
    assert load_tokenizer(vocabulary_files(directory)[1]).ids(lines) == want


def test_added_tokens_in_the_middle(published, take, target_text):
    """Special ones are never cut from a text, so the dictionary has none but fairseq's."""
    library = Tokenizer.from_str(published)
    library.add_special_tokens(["<entity>"])
    content = json.loads(library.to_str())
    content["model"]["vocab"].insert(60, ["<entity>", 0.0])
    content["added_tokens"][-1]["id"] = 60
    content = json.dumps(content)
    _, directory = take(content)
    assert vocabulary_files(directory)[1].suffix == ".model"
    assert "<entity>" not in Dictionary.load(str(directory / "dict.txt")).symbols
    require_same_cuts(directory, content, target_text.read_text().split())


def test_other_added_tokens_in_the_middle(published, take, target_text):
    words = target_text.read_text().split()
    library = Tokenizer.from_str(published)
    library.add_tokens([words[0][1:3] + "#", "##"])
    _, directory = take(library.to_str())
    assert vocabulary_files(directory)[1].name == "tokenizer.json"
    require_same_cuts(directory, library.to_str(), words, [words[0][1:3] + "#", "##"])


def test_white_space_in_tokens_is_written_so_that_fairseq_reads_it(take, target_text, tmp_path):
    """As ModernBERT's runs of spaces and Gemma's line ends and tabs."""
    lines = target_text.read_text().splitlines()
    library = byte_level(lines, 500)
    library.normalizer = None
    library.add_tokens(["    ", "\t", "\n\n", "ba \u2028"])
    _, directory = take(library.to_str())
    names = [*Dictionary.load(str(directory / "dict.txt")).symbols, "<mask>"]
    vocabulary = read_dictionary(directory / "dict.txt")
    assert list(vocabulary.tokens) == names
    added = {"    ": "<U+0020>" * 4, "\t": "<U+0009>", "\n\n": "<U+000A>" * 2, "ba \u2028": "ba<U+0020><U+2028>"}
    assert names[-5:-1] == list(added.values())
    assert vocabulary.forms[-5:-1] == ("▁▁▁▁", "\t", "\n\n", "ba▁\u2028")
    encoder = Encoder.load(directory)
    texts = [*lines[:300], "ba    che\t\tya", "\n\nba \u2028ba ", "    "]
    for text, ids in zip(texts, encoder(texts), strict=True):
        want = library.encode(text, add_special_tokens=False).tokens
        assert [names[i] for i in ids] == [added.get(token, token) for token in want]
    read = read_object(str(tmp_path / "theirs.json"), tmp_path / "scratch")
    assert sorted(read.vocabulary.tokens) == sorted(names)


def test_white_space_in_sentencepiece_pieces(target_text, tmp_path):
    lines = target_text.read_text().splitlines()
    settings = {"normalization_rule_name": "identity", "user_defined_symbols": ["\t", "a\u2003"], "minloglevel": 2}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=str(tmp_path / "theirs"), vocab_size=300, **settings
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "theirs.model"))
    (directory := tmp_path / "vocabulary").mkdir()
    import_vocabulary(Text.of(target_text), tmp_path / "theirs.model", directory)
    names = {"\t": "<U+0009>", "a\u2003": "a<U+2003>"}
    assert {*names.values()} < {*Dictionary.load(str(directory / "dict.txt")).symbols}
    encoder = Encoder.load(directory)
    texts = ["ba\tche a\u2003ka", *lines[:50]]
    want = [[names.get(piece, piece) for piece in line] for line in processor.encode(texts, out_type=str)]
    assert [[encoder.vocabulary.tokens[i] for i in ids] for ids in encoder(texts)] == want
    pieces = load_tokenizer(vocabulary_files(directory)[1]).pieces(texts)
    assert [[piece.decode() for piece in line] for line in pieces] == want
    assert encoder.vocabulary.forms[encoder.vocabulary.ids["<U+0009>"]] == "\t"


def test_an_empty_token_has_a_name(take, target_text):
    library = json.loads(wordpiece(target_text.read_text().splitlines(), 300).to_str())
    library["model"]["vocab"][""] = len(library["model"]["vocab"])
    _, directory = take(library)
    assert Dictionary.load(str(directory / "dict.txt")).symbols[-1] == "<U+>"


@pytest.mark.parametrize("score", ["NaN", "Infinity", "-1e999", "null", '"-3"'])
def test_scores_that_are_no_numbers_are_refused(published, take, tmp_path, score):
    content = edited(published, pieces=[("zz", 0.125)]).replace("0.125", score)
    with pytest.raises(
        FocusError, match=rf"^{tmp_path}/theirs\.json: not a tokenizer file of Hugging Face tokenizers \("
    ):
        take(content)


@pytest.mark.parametrize("make", [unigram, byte_level, wordpiece])
def test_lone_surrogates_are_refused(target_text, take, tmp_path, make):
    content = make(target_text.read_text().splitlines()[:300], 400).to_str()
    last = json.loads(content)["model"]["vocab"]
    last = last[-1][0] if isinstance(last, list) else max(last, key=last.get)
    written = json.dumps(last, ensure_ascii=False)
    assert written in content
    with pytest.raises(FocusError, match=rf"^{tmp_path}/theirs\.json: not a tokenizer file"):
        take(content.replace(written, r'"\ud800x"'))


@pytest.mark.parametrize("rules", ["", "AAAA=", "=" * 8])
def test_damaged_rules_of_a_normalizer_are_refused(published, take, tmp_path, rules):
    """Hugging Face's library panics, with a BaseException."""
    content = {**json.loads(published), "normalizer": {"type": "Precompiled", "precompiled_charsmap": rules}}
    with pytest.raises(FocusError, match=rf"^{tmp_path}/theirs\.json: not a tokenizer file"):
        take(json.dumps(content))


def test_text_that_a_tokenizer_cannot_cut_is_told(take, tmp_path):
    """Hugging Face's library then raises in the middle of a batch."""
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate([*SPECIALS, "ba"])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    with pytest.raises(FocusError, match=rf"^{tmp_path}/theirs\.json: the tokenizer could not cut a line of text \("):
        take(tokenizer.to_str())


def test_a_gap_between_ids_whose_name_is_taken_is_told(take, tmp_path):
    ids = {token: i for i, token in enumerate([*SPECIALS, "ba"])} | {"<unused_6>": 7}
    with pytest.raises(
        FocusError, match=rf"^{tmp_path}/theirs\.json: the token '<unused_6>' occurs twice in the vocabulary"
    ):
        take(Tokenizer(models.WordLevel(ids, unk_token="<unk>")).to_str())


@pytest.mark.parametrize(
    "model",
    [
        models.WordLevel({"<unk>": 0}, unk_token="<unk>"),
        models.BPE({"<unk>": 0}, [], unk_token="<unk>"),
        models.Unigram([("<unk>", 0.0)], unk_id=0, byte_fallback=False),
    ],
    ids=["words", "bpe", "unigram"],
)
def test_a_tokenizer_with_only_special_tokens_is_refused(take, tmp_path, model):
    with pytest.raises(FocusError) as error:
        take(Tokenizer(model).to_str())
    assert str(error.value).startswith(f"{tmp_path / 'theirs.json'}: has only special tokens")
    assert not list((tmp_path / "vocabulary").iterdir())


def test_what_to_do_with_other_files_of_a_tokenizer_is_told(target_text, tmp_path):
    """transformers then makes the tokenizer.json that is needed."""
    wordpiece(target_text.read_text().splitlines(), 300).model.save(str(tmp_path))
    with pytest.raises(FocusError, match=r"vocab\.txt: is only a part of a tokenizer; transformers makes a tokenizer"):
        import_vocabulary(Text.of(target_text), tmp_path / "vocab.txt", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    AutoTokenizer.from_pretrained(tmp_path).save_pretrained(tmp_path)
    (output := tmp_path / "vocabulary").mkdir()
    import_vocabulary(Text.of(target_text), tmp_path / "tokenizer.json", output)
    tokens = read_dictionary(output / "dict.txt").tokens
    assert {*tokens} - {*SPECIALS} == {*(tmp_path / "vocab.txt").read_text().split()} - {*BERT}


def test_an_empty_sentencepiece_model_is_told(target_text, tmp_path):
    (tmp_path / "empty.model").touch()
    with pytest.raises(FocusError, match=rf"^{tmp_path}/empty\.model: is empty; expected a SentencePiece model"):
        import_vocabulary(Text.of(target_text), tmp_path / "empty.model", tmp_path)


def test_a_damaged_sentencepiece_model_is_told_with_its_reason(target_text, vocabulary, tmp_path):
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto.FromString((vocabulary / "sentencepiece.bpe.model").read_bytes())
    faults = {"nan": ("score", float("nan"), "NaN"), "twice": ("piece", model.pieces[20].piece, "already defined")}
    for name, (field, value, reason) in faults.items():
        changed = sentencepiece_model_pb2.ModelProto.FromString(model.SerializeToString())
        setattr(changed.pieces[10], field, value)
        (tmp_path / f"{name}.model").write_bytes(changed.SerializeToString())
        with pytest.raises(FocusError, match=rf"^{tmp_path}/{name}\.model: not a SentencePiece model \(.*{reason}"):
            import_vocabulary(Text.of(target_text), tmp_path / f"{name}.model", tmp_path)
