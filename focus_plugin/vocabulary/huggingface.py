"""Makes a ``tokenizer.json`` for transformers that has the ids of a release and cuts text as its tokenizer does."""

import json
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focus_export.tokenizer import parse_tokenizer_json
from sentencepiece import sentencepiece_model_pb2

from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.files import DICTIONARY, SENTENCEPIECE, dictionary_token, tokenizer_token
from focus_plugin.vocabulary.forms import WORD_START
from focus_plugin.vocabulary.readers import BERT_NAMES, load_sentencepiece, read_json, text_pieces
from focus_plugin.vocabulary.vocabulary import BEGIN, END, MASK, SPECIALS, UNKNOWN, Vocabulary

if TYPE_CHECKING:
    import tokenizers

_protobuf: Any = sentencepiece_model_pb2  # its classes are made at run time
_Piece = _protobuf.ModelProto.SentencePiece
_APART = "\ufdd0"  # a code point that is not a character, so it does not occur in text
# What NFC composes or moves and SentencePiece does not: a Korean consonant after a syllable, a half-width voicing mark
# after another mark.
_KEPT = "(?<=[\uac00-\ud7a3])(?=[\u11a8-\u11c2])|(?<=\\p{M})(?=[\uff9e\uff9f])"
_JOINING = "\u200c\u200d\U0001f3fb-\U0001f3ff"  # belong to the character before them, but are not marks


def hugging_face_library(path: Path, vocabulary: Vocabulary) -> "tokenizers.Tokenizer":
    """The tokenizer in a SentencePiece model or a ``tokenizer.json``, with the ids of ``vocabulary``.

    It puts a text in ``<s> </s>``. Raises FocusError if that is not possible.
    """
    return (hugging_face_sentencepiece if path.name == SENTENCEPIECE else renumbered)(path, vocabulary)


def renumbered(path: Path, vocabulary: Vocabulary) -> "tokenizers.Tokenizer":
    """The tokenizer in a ``tokenizer.json`` with the ids of ``vocabulary``; it puts a text in ``<s> </s>``.

    Special tokens that it lacks are added. Those with BERT's names keep them. Raises FocusError for a token that
    ``vocabulary`` lacks.
    """
    from tokenizers import processors

    content = read_json(path)
    model, added = content["model"], content.get("added_tokens") or []
    unigram = model["type"] == "Unigram"
    scores = dict(model["vocab"])  # ids, except in a Unigram model
    written = {dictionary_token(token): token for token in (*scores, *(entry["content"] for entry in added))}
    written |= {ours: written[bert] for bert, ours in BERT_NAMES.items() if bert in written and ours not in written}
    ids = {written.get(token, token): number for token, number in vocabulary.ids.items()}
    if strange := sorted({*written.values()} - ids.keys()):
        raise FocusError(f"{path}: has the token {strange[0]!r}, which {DICTIONARY} beside it lacks.")
    # The library numbers the tokens of the model first, and then those added tokens that the model lacks.
    special = {token: written.get(token, token) for token in SPECIALS}
    last = max(ids[token] for token in {*scores, *special.values()} - {special[MASK]})
    if unigram:
        if model["unk_id"] is not None:
            model["unk_id"] = ids[model["vocab"][model["unk_id"]][0]]
        model["vocab"] = [[token, scores.get(token, 0.0)] for token, number in ids.items() if number <= last]
    else:
        model["vocab"] = {token: number for token, number in ids.items() if number <= last}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    known = {entry["content"] for entry in added}
    lacking = [{**plain, "content": token} for token in special.values() if token not in known]
    entries = [{**entry, "id": ids[entry["content"]]} for entry in (*added, *lacking) if entry["content"]]
    content |= {"added_tokens": sorted(entries, key=lambda entry: int(entry["id"])), "post_processor": None}
    library = parse_tokenizer_json(json.dumps(content).encode(), path)
    library.encode_special_tokens = False
    begin, end = ((special[token], vocabulary.ids[token]) for token in (BEGIN, END))
    trims = '"ByteLevel"' in json.dumps(content.get("pre_tokenizer"))
    library.post_processor = processors.RobertaProcessing(end, begin, trim_offsets=trims, add_prefix_space=trims)
    return library


def hugging_face_sentencepiece(path: Path, vocabulary: Vocabulary) -> "tokenizers.Tokenizer":
    """The tokenizer in a SentencePiece model, with the ids of ``vocabulary``; it puts a text in ``<s> </s>``.

    It cuts text as SentencePiece does, with three exceptions. The library does not compose a mark with a character that
    has a compatibility form (º, acute). If the scores of a unigram model are not multiples of SCORE_STEP, the two may
    choose different cuts of a text that have (almost) the same score. And of a text of control characters alone, a
    SentencePiece model with ``▁`` after words leaves ``▁``, and the library nothing.

    Raises FocusError for a model that the library does not support, and if the model's pieces are not the tokens of
    ``vocabulary``.
    """
    import tokenizers
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers, processors

    _check_tokens(path, vocabulary)
    model = _protobuf.ModelProto.FromString(path.read_bytes())
    split = _splits_at_spaces(path, model)
    library = tokenizers.Tokenizer(_library_model(model, vocabulary))
    rules = model.normalizer_spec
    suffix = model.trainer_spec.treat_whitespace_as_suffix
    mark = normalizers.Replace(Regex(r"(?<!\A)\z"), WORD_START) if suffix else normalizers.Prepend(WORD_START)
    marks = [mark] if rules.add_dummy_prefix else []
    single = [normalizers.Replace(Regex(f"^ +|[ {WORD_START}]+$"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    spaces = [*(single if rules.remove_extra_whitespaces else ()), normalizers.Replace(" ", WORD_START)]
    characters = []
    if rules.precompiled_charsmap:
        composes = _composes(path)
        apart = normalizers.Replace(Regex(_loose_marks(composes)), _APART)
        # By the rules alone, the library composes nothing of six bytes or more, such as a syllable of Korean letters.
        composing = [normalizers.NFC()] if composes else []
        own = normalizers.Precompiled(rules.precompiled_charsmap)
        characters = [apart, *composing, own, *composing, normalizers.Replace(_APART, "")]
    library.normalizer = normalizers.Sequence([*characters, *spaces, *marks])
    _check_user_defined(path, model, library.normalizer)
    splitters: list[pre_tokenizers.PreTokenizer] = []
    if not suffix:
        splitters = [pre_tokenizers.Metaspace(prepend_scheme="never", split=split)]
    elif split:
        splitters = [pre_tokenizers.Split(WORD_START, "merged_with_previous")]
    if _is_unigram(model) and model.trainer_spec.byte_fallback:  # else the text <0x41> would be read as a byte
        splitters.insert(0, pre_tokenizers.Split(Regex("<(?=0x[0-9A-F]{2}>)"), "merged_with_previous"))
    library.pre_tokenizer = pre_tokenizers.Sequence(splitters) if len(splitters) != 1 else splitters[0]
    words = decoders.Metaspace(prepend_scheme="always" if marks and not suffix else "never")
    library.decoder = decoders.Sequence([decoders.ByteFallback(), words]) if model.trainer_spec.byte_fallback else words
    library.add_special_tokens([tokenizers.AddedToken(token, lstrip=token == MASK) for token in SPECIALS])
    library.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}",
        pair=f"{BEGIN} $A {END} {END} $B {END}",
        special_tokens=[(token, vocabulary.ids[token]) for token in (BEGIN, END)],
    )
    return library


def _library_model(model: Any, vocabulary: Vocabulary) -> "tokenizers.models.Model":
    """The library's model with the pieces of a SentencePiece model.

    In SentencePiece's BPE, each two neighbours whose text together is a piece are joined, those of the piece with the
    highest score first. The library has a list of such pairs instead.
    """
    import tokenizers

    bytes_too = bool(model.trainer_spec.byte_fallback)
    if _is_unigram(model):
        highest = max((piece.score for piece in model.pieces if piece.type == _Piece.NORMAL), default=0.0)
        scores = {piece.piece: piece.score for piece in model.pieces if piece.piece not in SPECIALS}
        for piece in (piece.piece for piece in model.pieces if piece.type == _Piece.USER_DEFINED):
            scores[piece] = len(piece.encode()) * max(highest, 0.0) - 0.1  # as SentencePiece computes it
        scored = [(token, scores.get(token, 0.0)) for token in map(tokenizer_token, vocabulary.tokens)]
        return tokenizers.models.Unigram(scored, vocabulary.ids[UNKNOWN], bytes_too)
    score_of = {piece.piece: piece.score for piece in model.pieces if piece.type == _Piece.NORMAL}
    joined = [
        (-score, place, (piece[:place], piece[place:]))
        for piece, score in score_of.items()
        for place in range(1, len(piece))
        if piece[:place] in score_of and piece[place:] in score_of
    ]
    return tokenizers.models.BPE(
        {tokenizer_token(token): number for token, number in vocabulary.ids.items()},
        [pair for *_, pair in sorted(joined)],
        unk_token=UNKNOWN,
        fuse_unk=True,
        byte_fallback=bytes_too,
    )


def _loose_marks(composes: bool) -> str:
    """A regular expression for the places before marks that do not compose with the characters before them.

    ``composes``: see ``_composes``; if not, no mark is assumed to compose with several characters.

    A separator is inserted there, because the library normalizes a character together with all its marks: it replaces
    the whole by the normal form of the shortest prefix in its table. Of ``o``, dot below and grave accent, the accent
    would be lost. The beginning of a text does not match: with a separator there, the library panics.
    """
    bases: dict[str, str] = {}
    longer = []
    for composed in map(chr, range(sys.maxunicode + 1)):
        before, mark = (parts := unicodedata.normalize("NFD", composed))[:-1], parts[-1]
        kept = unicodedata.is_normalized("NFC", composed) and unicodedata.is_normalized("NFKC", parts[0])
        if before and unicodedata.category(mark)[0] == "M" and kept:
            if len(before) == 1:
                bases[mark] = bases.get(mark, "") + before
            elif composes:
                longer.append(f"(?<={before}){mark}")
    composing = "|".join([*(f"(?<=[{letters}]){mark}" for mark, letters in sorted(bases.items())), *longer])
    marks = rf"(?!\A)(?=[\p{{M}}{_JOINING}])(?!{composing})"
    return f"{marks}|{_KEPT}" if composes else marks


def _composes(path: Path) -> bool:
    """Whether a SentencePiece model composes characters, as its usual rules do."""
    normalize = load_sentencepiece(path).normalize
    return all(normalize(unicodedata.normalize("NFD", word)) == normalize(word) for word in ("\u00e9", "\ud55c"))


def _check_tokens(path: Path, vocabulary: Vocabulary) -> None:
    text = {token for token in vocabulary.tokens if token not in SPECIALS}
    if different := sorted(text.symmetric_difference(text_pieces(load_sentencepiece(path)))):
        raise FocusError(f"{path}: its pieces differ from {DICTIONARY} beside it, for example {different[0]!r}.")


def _splits_at_spaces(path: Path, model: Any) -> bool:
    """Whether no piece contains a space inside, so that words can be cut one by one (and cached by the library).

    Raises FocusError for a type of model and kinds of pieces that the library does not support.
    """
    inside = slice(None, -1) if model.trainer_spec.treat_whitespace_as_suffix else slice(1, None)
    crossing = [piece for piece in model.pieces if WORD_START in piece.piece[inside]]
    split = all(piece.type == _Piece.UNUSED for piece in crossing)
    known = (_Piece.NORMAL, _Piece.UNKNOWN, _Piece.CONTROL, _Piece.BYTE)
    known += (_Piece.USER_DEFINED,) if _is_unigram(model) else ()
    other = any(piece.type not in known for piece in model.pieces if not (split and piece in crossing))
    types = (_protobuf.TrainerSpec.UNIGRAM, _protobuf.TrainerSpec.BPE)
    if model.trainer_spec.model_type not in types or other:
        raise FocusError(
            f"{path}: is of another type than unigram and BPE, or has unused pieces, or is BPE with user-defined "
            "pieces; Hugging Face's library does not support this."
        )
    return split


def _is_unigram(model: Any) -> bool:
    return bool(model.trainer_spec.model_type == _protobuf.TrainerSpec.UNIGRAM)


def _check_user_defined(path: Path, model: Any, normalizer: "tokenizers.normalizers.Normalizer") -> None:
    """Raise FocusError if a user-defined piece would be normalized in a text; SentencePiece leaves it as it is."""
    for piece in (piece.piece for piece in model.pieces if piece.type == _Piece.USER_DEFINED):
        if f"a{piece}a" not in normalizer.normalize_str(f"a{piece}a"):
            raise FocusError(
                f"{path}: has the user-defined piece {piece!r}, which Hugging Face's library would normalize."
            )
