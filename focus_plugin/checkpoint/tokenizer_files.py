"""Reads the tokenizer in a Hugging Face directory, with its token ids."""

from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.vocabulary.files import CONVERSION, SENTENCEPIECE, TOKENIZER_JSON, dictionary_token, tokenizer_token
from focus_plugin.vocabulary.forms import plain_form
from focus_plugin.vocabulary.readers import (
    in_order,
    load_sentencepiece,
    read_json,
    read_sentencepiece,
    read_tokenizer_json,
    read_vocab_json,
    with_forms,
)
from focus_plugin.vocabulary.tokenizers import (
    Tokenizer,
    byte_level_tokenizer,
    hugging_face_tokenizer,
    sentencepiece_tokenizer,
)
from focus_plugin.vocabulary.vocabulary import MASK, PAD, UNKNOWN, Vocabulary

ADDED = "added_tokens.json"
SETTINGS = "tokenizer_config.json"
_CAMEMBERT = ("<s>NOTUSED", PAD, "</s>NOTUSED", UNKNOWN, "<unk>NOTUSED")  # before SentencePiece's ids from 1 on


def read_tokenizer(directory: Path, kind: str) -> tuple[Vocabulary, Tokenizer]:
    """The vocabulary and the tokenizer; ``kind``: the encoder's ``model_type``. Raises FocusError if there is none.

    Tokens that were added to a tokenizer are in its ``tokenizer.json``, or in ``added_tokens.json`` beside its other
    files. Those in ``added_tokens.json`` are part of the vocabulary, but text is never cut into them.
    """
    if (path := directory / TOKENIZER_JSON).is_file():
        return read_tokenizer_json(path), hugging_face_tokenizer(path)
    if (path := directory / SENTENCEPIECE).is_file():
        vocabulary = _read_camembert(path) if _is_camembert(directory, kind) else read_sentencepiece(path)
        return _with_added(directory, vocabulary), sentencepiece_tokenizer(path)
    if (path := directory / "vocab.json").is_file() and (directory / "merges.txt").is_file():
        return _with_added(directory, read_vocab_json(path)), byte_level_tokenizer(path, directory / "merges.txt")
    raise FocusError(
        f"{directory}: has no tokenizer; looked for {TOKENIZER_JSON}, {SENTENCEPIECE}, and vocab.json with merges.txt; "
        f"{CONVERSION}."
    )


def _is_camembert(directory: Path, kind: str) -> bool:
    """Whether transformers would load CamemBERT's tokenizer: by ``tokenizer_config.json``, else by ``model_type``."""
    path = directory / SETTINGS
    named = read_json(path).get("tokenizer_class") if path.is_file() else None
    return str(named).startswith("Camembert") if named else kind == "camembert"


def _read_camembert(path: Path) -> Vocabulary:
    processor = load_sentencepiece(path)
    pieces = [dictionary_token(processor.id_to_piece(i)) for i in range(1, processor.get_piece_size())]
    return with_forms([*_CAMEMBERT, *pieces, MASK], plain_form)


def _with_added(directory: Path, vocabulary: Vocabulary) -> Vocabulary:
    path = directory / ADDED
    added = {dictionary_token(token): i for token, i in read_json(path).items()} if path.is_file() else {}
    for token, number in added.items():
        if not isinstance(number, int) or (number < len(vocabulary) and vocabulary.tokens[number] != token):
            raise FocusError(f"{path}: the token {token!r} has the id {number}, which another token has.")
    tokens = in_order(path, {**vocabulary.ids, **added})
    forms = [plain_form(tokenizer_token(token)) for token in tokens[len(vocabulary) :]]
    return Vocabulary.of(tokens, [*vocabulary.forms, *forms])
