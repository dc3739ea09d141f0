"""A SentencePiece unigram model as the ``tokenizer.json`` that cuts text as it does."""

import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentencepiece import sentencepiece_model_pb2

from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE
from focus_plugin.vocabulary.forms import WORD_START
from focus_plugin.vocabulary.readers import load_sentencepiece, text_pieces
from focus_plugin.vocabulary.vocabulary import BEGIN, END, MASK, SPECIALS, UNKNOWN, Vocabulary

if TYPE_CHECKING:
    import tokenizers

_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time
_Piece = _protobuf.ModelProto.SentencePiece
_APART = "\ufdd0"  # a code point that is no character, so that no text has it
_JOINING = "\u200c\u200d\U0001f3fb-\U0001f3ff"  # what belongs to the character before it, and is no mark


def hugging_face_unigram(path: Path, vocabulary: Vocabulary) -> "tokenizers.Tokenizer":
    """The tokenizer in a SentencePiece unigram model, with the ids of ``vocabulary`` and ``<s> </s>`` around a text.

    It cuts text as SentencePiece does, but for letters written apart as three characters, such as e, circumflex and
    acute, or as two that have six bytes, such as kana and voicing mark, or of which one has a form of its own, such as
    º and acute: the library does not put these together. Where scores are not multiples of SCORE_STEP, the two may
    choose differently among cuts that are (nearly) equally good.
    Raises FocusError for a model of another kind, and for a vocabulary of other tokens than the model's.
    """
    import tokenizers
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers, processors

    _check_tokens(path, vocabulary)
    model = _protobuf.ModelProto.FromString(path.read_bytes())
    split = _splits_at_spaces(path, model)
    scores = {piece.piece: piece.score for piece in model.pieces if piece.piece not in SPECIALS}
    scored = [(token, scores.get(token, 0.0)) for token in vocabulary.tokens]
    library = tokenizers.Tokenizer(tokenizers.models.Unigram(scored, vocabulary.ids[UNKNOWN], False))
    rules = model.normalizer_spec
    prefix = [normalizers.Prepend(WORD_START)] if rules.add_dummy_prefix else []
    single = [normalizers.Replace(Regex(f"^ +|[ {WORD_START}]+$"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    spaces = [*(single if rules.remove_extra_whitespaces else ()), normalizers.Replace(" ", WORD_START)]
    characters = []
    if rules.precompiled_charsmap:
        apart = normalizers.Replace(Regex(_loose_marks()), _APART)
        characters = [apart, normalizers.Precompiled(rules.precompiled_charsmap), normalizers.Replace(_APART, "")]
    library.normalizer = normalizers.Sequence([*characters, *spaces, *prefix])
    library.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=split)
    library.decoder = decoders.Metaspace(prepend_scheme="always" if prefix else "never")
    library.add_special_tokens([tokenizers.AddedToken(token, lstrip=token == MASK) for token in SPECIALS])
    library.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}",
        pair=f"{BEGIN} $A {END} {END} $B {END}",
        special_tokens=[(token, vocabulary.ids[token]) for token in (BEGIN, END)],
    )
    return library


def _loose_marks() -> str:
    """A regular expression for the places before marks that do not compose with what they follow.

    The library looks a character up together with all its marks and joiners and replaces the whole by what the shortest
    beginning it finds stands for: of ``o``, dot below and grave accent the accent is lost, unless it is set apart. It
    panics if anything is set apart from nothing, at a text's beginning.
    """
    bases: dict[str, str] = {}
    for composed in map(chr, range(sys.maxunicode + 1)):
        parts = unicodedata.normalize("NFD", composed)
        kept = unicodedata.is_normalized("NFC", composed) and unicodedata.is_normalized("NFKC", parts[0])
        if len(parts) == 2 and unicodedata.category(parts[1]) == "Mn" and kept:
            bases[parts[1]] = bases.get(parts[1], "") + parts[0]
    composing = "|".join(f"(?<=[{letters}]){mark}" for mark, letters in sorted(bases.items()))
    return rf"(?!\A)(?=[\p{{M}}{_JOINING}])(?!{composing})"


def _check_tokens(path: Path, vocabulary: Vocabulary) -> None:
    text = {token for token in vocabulary.tokens if token not in SPECIALS}
    if different := sorted(text.symmetric_difference(text_pieces(load_sentencepiece(path)))):
        raise FocusError(f"{path}: has other pieces than {DICTIONARY} beside it, such as {different[0]!r}.")


def _splits_at_spaces(path: Path, model: Any) -> bool:
    """Whether no piece goes on over a space, so that words can be cut, and cut pieces be remembered, one by one.

    Raises FocusError for kinds of pieces that the library's Unigram has not.
    """
    crossing = [piece for piece in model.pieces if WORD_START in piece.piece[1:]]
    split = all(piece.type == _Piece.UNUSED for piece in crossing)
    known = (_Piece.NORMAL, _Piece.UNKNOWN, _Piece.CONTROL)
    other = any(piece.type not in known for piece in model.pieces if not (split and piece in crossing))
    if model.trainer_spec.model_type != _protobuf.TrainerSpec.UNIGRAM or other:
        raise FocusError(
            f"{path}: is not a plain unigram model, but of another type or with bytes, unused or user-defined pieces; "
            f"Hugging Face's library has no {SENTENCEPIECE} of that kind."
        )
    return split
