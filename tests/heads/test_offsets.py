"""The offsets of pieces in a text, for tokenizers of every kind."""

import random

import pytest
import sentencepiece
from export_models import random_words
from focus_export.tokenizer import TextTokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_kinds import KINDS, odd_lines

from focus_plugin.binary_data import Encoder
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.tokenizer import release_tokenizer
from focus_plugin.text import Text
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.importing import import_vocabulary
from focus_plugin.vocabulary.tokenizers import Tokenizer, load_tokenizer

ALL = ("sentencepiece", "bytes", *KINDS)
MARKS = "▁Ġ#"  # at the beginning of tokens
IGNORED = "\t\r\n \u00a0\u2028\u3000\u200b\ufeff\0▁"  # that some tokenizer leaves out
ODD = ["e\u0301", "x\u0323\u0300", "\u0301", "😀", "👩\u200d🚀", "👍🏽", "🇹🇿", "<s>"]
ODD += ["\r\n", "\u1112\u1161\u11ab", "ｶﾞ", "\u212b"]
ALPHABET = [*"ktamui12TA.", *IGNORED, *"ﬁﬃ①½㎏ﷺ漢각éß…ⅷ", *ODD]
TEXTS = st.lists(st.sampled_from(ALPHABET), max_size=25).map("".join)
Tokenizers = dict[str, tuple[TextTokenizer, Encoder, Tokenizer]]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Tokenizers:
    """The tokenizer of a release of each kind, with the encoder of its training data and the tokenizer of lines."""
    root, found = tmp_path_factory.mktemp("tokenizers"), {}
    text = root / "text.txt"
    lines = [" ".join(line.split()) for line in odd_lines(random_words(3000, seed=3), random.Random(1))]
    text.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for kind in ALL:
        if kind in KINDS:
            path = root / f"{kind}.json"
            KINDS[kind](lines, 400).save(str(path))
        else:
            path, options = root / f"{kind}.model", {"vocab_size": 400, "byte_fallback": kind == "bytes"}
            sentencepiece.SentencePieceTrainer.train(
                input=str(text), model_prefix=str(root / kind), minloglevel=2, **options
            )
        (root / kind).mkdir()
        import_vocabulary(Text.of(text), path, root / kind)
        encoder = Encoder.load(root / kind)
        found[kind] = (
            release_tokenizer(root / kind, encoder, 512),
            encoder,
            load_tokenizer(vocabulary_files(root / kind)[1]),
        )
    return found


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_pieces_are_in_order_and_leave_out_white_space_only(tokenizers: Tokenizers, kind: str, text: str) -> None:
    tokenizer, encoder, of_lines = tokenizers[kind]
    pieces, covered = tokenizer.pieces(text), set()
    (ids,) = encoder([text])
    assert pieces.ids.tolist() == tokenizer.ids(text).tolist() == ids.tolist()
    [located] = of_lines.located([text])
    assert (located.starts.tolist(), located.ends.tolist()) == (pieces.starts.tolist(), pieces.ends.tolist())
    before, until = 0, 0
    for token, start, end in zip(ids.tolist(), pieces.starts.tolist(), pieces.ends.tolist(), strict=True):
        assert before <= start <= end <= len(text)
        assert until <= end
        name = encoder.vocabulary.tokens[token]
        assert start < end or name == "▁"
        if (word := name.lstrip(MARKS)).isascii() and word.isalpha() and text.isascii():
            assert word == text[start:end].strip(IGNORED)
        covered.update(range(start, end))
        before, until = start, end
    assert not "".join(sign for place, sign in enumerate(text) if place not in covered).strip(IGNORED)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_a_piece_is_part_of_its_characters_normal_form(tokenizers: Tokenizers, text: str) -> None:
    """As SentencePiece itself normalizes them. A piece can end in the middle of one character's normal form."""
    tokenizer, *_ = tokenizers["sentencepiece"]
    pieces, processor = tokenizer.pieces(text), tokenizer._processor
    for piece, start, end in zip(processor.encode(text, out_type=str), pieces.starts, pieces.ends, strict=True):
        assert piece.strip("▁") in processor.normalize(text[start : end + 1])


@pytest.mark.parametrize("kind", ALL)
def test_a_word_has_the_pieces_that_it_has_within_a_text(tokenizers: Tokenizers, kind: str) -> None:
    tokenizer = tokenizers[kind][0]
    assert tokenizer.ids("ka ka").tolist() == [*tokenizer.ids("ka").tolist(), *tokenizer.word("ka")]


@pytest.mark.parametrize("kind", ALL)
def test_what_is_no_text_is_refused(tokenizers: Tokenizers, kind: str) -> None:
    for wrong in (None, 3, b"ka", "ka\ud800"):
        for function in (tokenizers[kind][0].ids, tokenizers[kind][0].pieces):
            with pytest.raises(FocusError, match="lone surrogate" if isinstance(wrong, str) else "not text"):
                function(wrong)
