"""Encoders in a Hugging Face directory: ``config.json``, weights and tokenizer files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from focus_plugin.checkpoint.checkpoint import Checkpoint, assemble
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import (
    EMBEDDING,
    OUTPUT_BIAS,
    OUTPUT_EMBEDDING,
    POSITIONS,
    from_hugging_face,
    to_hugging_face,
)
from focus_plugin.checkpoint.weights import load_pickled, load_safetensors, named_tensors
from focus_plugin.errors import FocusError
from focus_plugin.files import write_json
from focus_plugin.vocabulary.files import SENTENCEPIECE, TOKENIZER_JSON
from focus_plugin.vocabulary.huggingface import hugging_face_unigram
from focus_plugin.vocabulary.readers import read_json, read_sentencepiece, read_tokenizer_json, read_vocab_json
from focus_plugin.vocabulary.tokenizers import (
    Tokenizer,
    byte_level_tokenizer,
    hugging_face_tokenizer,
    sentencepiece_tokenizer,
)
from focus_plugin.vocabulary.vocabulary import BEGIN, END, MASK, PAD, UNKNOWN, Vocabulary

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"
PICKLED = "pytorch_model.bin"
# What transformers assumes where config.json is silent, and what an encoder must have to be the same in fairseq.
_EXPECTED: dict[str, tuple[object, tuple[object, ...]]] = {
    "model_type": (None, ("xlm-roberta", "roberta")),
    "hidden_act": ("gelu", ("gelu",)),
    "position_embedding_type": ("absolute", ("absolute",)),
    "layer_norm_eps": (1e-12, (1e-5,)),
    "pad_token_id": (1, (1,)),
}
_ROWS = (EMBEDDING, OUTPUT_EMBEDDING, OUTPUT_BIAS)


def read_huggingface(directory: Path) -> Checkpoint:
    """Read an XLM-R or RoBERTa directory. Raises FocusError for what this program cannot represent exactly."""
    config = _read_config(directory / CONFIG)
    tensors = from_hugging_face(weights := _read_weights(directory))
    _fold_token_types(directory, weights, tensors)
    vocabulary, tokenizer = _read_tokenizer(directory)
    rows = len(tensors.get(EMBEDDING, ()))
    if rows % 8 == 0 and 0 < rows - len(vocabulary) < 128:  # rows without a token, to make the size a round number
        tensors.update({name: tensors[name][: len(vocabulary)] for name in _ROWS if name in tensors})
    return assemble(directory, tensors, vocabulary, tokenizer, config["num_attention_heads"])


def write_huggingface(
    directory: Path,
    config: EncoderConfig,
    tensors: Mapping[str, Tensor],
    vocabulary: Vocabulary,
    tokenizer: Path,
    labels: Sequence[str] = (),
) -> None:
    """Write an encoder as transformers has XLM-R: ``config.json``, ``model.safetensors`` and the tokenizer's files.

    ``tensors``: under fairseq's names. With ``labels`` they hold a head of that many classes and the model is one for
    classification, which in transformers has no masked-LM head; without, it is a masked LM. ``tokenizer``: the
    SentencePiece model of ``vocabulary``. Raises FocusError where it is of a kind that transformers lacks.
    """
    from safetensors.torch import save_file

    library = hugging_face_unigram(tokenizer, vocabulary)
    unwanted = (() if config.untied else (OUTPUT_EMBEDDING,)) if not labels else ("encoder.lm_head.",)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(tuple(unwanted))}
    weights = {name: tensor.contiguous() for name, tensor in to_hugging_face(kept).items()}
    weights["roberta.embeddings.token_type_embeddings.weight"] = torch.zeros(1, config.width)
    if config.untied and not labels:
        weights["lm_head.decoder.bias"] = weights["lm_head.bias"].clone()  # another tensor there, where not tied
    save_file(weights, directory / WEIGHTS, {"format": "pt"})
    write_json(directory / CONFIG, _config(config, vocabulary, labels))
    library.save(str(directory / TOKENIZER_JSON))
    special = {"bos": BEGIN, "eos": END, "unk": UNKNOWN, "sep": END, "pad": PAD, "cls": BEGIN, "mask": MASK}
    named = {f"{name}_token": token for name, token in special.items()}
    write_json(directory / "special_tokens_map.json", named)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config.max_positions}
    settings |= {"model_input_names": ["input_ids", "attention_mask"], "clean_up_tokenization_spaces": False}
    write_json(directory / "tokenizer_config.json", {**settings, **named})
    (directory / tokenizer.name).write_bytes(tokenizer.read_bytes())


def _config(config: EncoderConfig, vocabulary: Vocabulary, labels: Sequence[str]) -> dict[str, object]:
    kind = "SequenceClassification" if labels else "MaskedLM"
    written: dict[str, object] = {
        "architectures": [f"XLMRobertaFor{kind}"],
        "model_type": "xlm-roberta",
        "vocab_size": len(vocabulary),
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.feedforward,
        "hidden_act": "gelu",
        "max_position_embeddings": config.max_positions + 2,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "bos_token_id": vocabulary.ids[BEGIN],
        "pad_token_id": vocabulary.ids[PAD],
        "eos_token_id": vocabulary.ids[END],
        "tie_word_embeddings": not config.untied,
    }
    if labels:
        written["id2label"] = {str(i): label for i, label in enumerate(labels)}
        written["label2id"] = {label: i for i, label in enumerate(labels)}
    return written


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise FocusError(f"{path}: not a JSON object ({error}).") from error
    for key, (default, known) in _EXPECTED.items():
        if (value := config.get(key, default)) not in known:
            names = " or ".join(str(value) for value in known)
            raise FocusError(f"{path}: {key} is {value!r}; this program converts encoders with {names} only.")
    if not isinstance(config.get("num_attention_heads"), int):
        raise FocusError(f"{path}: num_attention_heads is missing.")
    return config


def weight_files(directory: Path) -> list[Path]:
    """The files that hold the weights, none if there are none: one, or an index and the shards it names.

    Raises FocusError for an index that names no files of the directory.
    """
    if (index := directory / SHARDS).is_file() and not (directory / WEIGHTS).is_file():
        shards = read_json(index).get("weight_map")
        names = set(shards.values()) if isinstance(shards, dict) else set()
        if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
            raise FocusError(f"{index}: expected the names of files beside it, by tensor, as its weight_map.")
        return [index, *(directory / name for name in sorted(names))]
    return [path for name in (WEIGHTS, PICKLED) if (path := directory / name).is_file()][:1]


def _read_weights(directory: Path) -> dict[str, Tensor]:
    files = weight_files(directory)
    if not files:
        raise FocusError(f"{directory}: has none of {WEIGHTS}, {SHARDS} and {PICKLED}.")
    if files[0].name == PICKLED:
        return named_tensors(files[0], load_pickled(files[0]))
    parts = [load_safetensors(path) for path in files if path.name != SHARDS]
    return {name: tensor for part in parts for name, tensor in part.items()}


def _fold_token_types(directory: Path, weights: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    """fairseq has no token types. Type 0 stands at every position, so its vector can be part of each position's."""
    types = next((value for name, value in weights.items() if name.endswith("token_type_embeddings.weight")), None)
    if types is None or POSITIONS not in tensors:
        return
    if types.shape[1:] != tensors[POSITIONS].shape[1:] or not len(types):
        raise FocusError(f"{directory}: its token types have shape {tuple(types.shape)}; expected rows of its width.")
    if torch.any(types[0] != 0):
        tensors[POSITIONS] = tensors[POSITIONS] + types[0]


def _read_tokenizer(directory: Path) -> tuple[Vocabulary, Tokenizer]:
    if (path := directory / TOKENIZER_JSON).is_file():
        return read_tokenizer_json(path), hugging_face_tokenizer(path)
    if (path := directory / SENTENCEPIECE).is_file():
        return read_sentencepiece(path), sentencepiece_tokenizer(path)
    if (path := directory / "vocab.json").is_file() and (directory / "merges.txt").is_file():
        return read_vocab_json(path), byte_level_tokenizer(path, directory / "merges.txt")
    raise FocusError(
        f"{directory}: has no tokenizer; looked for tokenizer.json, {SENTENCEPIECE}, and vocab.json with merges.txt."
    )
