"""Encoders in a Hugging Face directory: ``config.json``, weights and tokenizer files."""

from collections.abc import Mapping
from pathlib import Path

import torch
from focus_export.head import HuggingFaceHead
from torch import Tensor

from focus_plugin.checkpoint.architecture import HuggingFaceConfig, same_architecture
from focus_plugin.checkpoint.checkpoint import Checkpoint, assemble, count_layers, multiplied_out
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.names import (
    EMBEDDING,
    OUTPUT_BIAS,
    OUTPUT_EMBEDDING,
    POSITIONS,
    from_hugging_face,
    to_hugging_face,
)
from focus_plugin.checkpoint.tokenizer_files import read_tokenizer
from focus_plugin.checkpoint.weights import load_pickled, load_safetensors, named_tensors
from focus_plugin.errors import FocusError
from focus_plugin.files import write_json
from focus_plugin.vocabulary.files import SENTENCEPIECE, TOKENIZER_JSON
from focus_plugin.vocabulary.huggingface import hugging_face_library
from focus_plugin.vocabulary.readers import read_json
from focus_plugin.vocabulary.tokenizers import Tokenizer
from focus_plugin.vocabulary.vocabulary import BEGIN, END, MASK, PAD, UNKNOWN, Vocabulary

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"
PICKLED = "pytorch_model.bin"
PICKLED_SHARDS = "pytorch_model.bin.index.json"
_ROWS = (EMBEDDING, OUTPUT_EMBEDDING, OUTPUT_BIAS)


def read_huggingface(directory: Path) -> Checkpoint:
    """Read an XLM-R, RoBERTa or CamemBERT directory.

    Raises FocusError for an encoder that fairseq cannot represent exactly.
    """
    config = same_architecture(path := directory / CONFIG, read_json(path))
    weights = _read_weights(directory)
    return from_weights(path, config, weights, *read_tokenizer(directory, config.kind))


def from_weights(
    path: Path,
    config: HuggingFaceConfig,
    weights: Mapping[str, Tensor],
    vocabulary: Vocabulary,
    tokenizer: Tokenizer | None,
) -> Checkpoint:
    """The encoder with ``weights``, by transformers' names. ``path``: the file of ``config``, named in errors.

    Raises FocusError for an encoder that fairseq cannot represent exactly.
    """
    tensors = from_hugging_face(weights)
    _require_sizes(path, config, tensors)
    _take_output(path, config, weights, tensors)
    _take_positions(path.parent, config, weights, tensors)
    if vocabulary.ids.get(PAD, config.pad) != config.pad:
        raise FocusError(
            f"{path}: pad_token_id is {config.pad}, but {PAD} has the id {vocabulary.ids[PAD]} in the "
            "tokenizer; they must be equal, since positions depend on pad_token_id."
        )
    rows = len(tensors.get(EMBEDDING, ()))
    if rows % 8 == 0 and 0 < rows - len(vocabulary) < 128:  # padding rows without tokens
        tensors.update({name: tensors[name][: len(vocabulary)] for name in _ROWS if name in tensors})
    return assemble(path.parent, tensors, vocabulary, tokenizer, config.attention_heads)


def write_huggingface(
    directory: Path, checkpoint: Checkpoint, head: HuggingFaceHead, head_tensors: Mapping[str, Tensor], tokenizer: Path
) -> None:
    """Write an encoder as transformers has XLM-R: ``config.json``, ``model.safetensors`` and the tokenizer's files.

    ``head_tensors``: the tensors of the head, by the keys of ``head.tensors``. ``tokenizer``: the file of the
    checkpoint's tokenizer. A factorized embedding is multiplied out, since XLM-R has none. Raises FocusError if
    transformers does not support this kind of model.
    """
    from safetensors.torch import save_file

    checkpoint = multiplied_out(checkpoint)
    config, vocabulary = checkpoint.config, checkpoint.vocabulary
    library = hugging_face_library(tokenizer, vocabulary)
    unwanted = (() if config.untied else (OUTPUT_EMBEDDING,)) if head.masked_lm else ("encoder.lm_head.",)
    kept = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(tuple(unwanted))}
    renamed = {**to_hugging_face(kept), **{theirs: head_tensors[ours] for ours, theirs in head.tensors.items()}}
    weights = {name: tensor.contiguous() for name, tensor in renamed.items()}
    weights["roberta.embeddings.token_type_embeddings.weight"] = torch.zeros(1, config.width)
    if config.untied and head.masked_lm:
        weights["lm_head.decoder.bias"] = weights["lm_head.bias"].clone()  # a separate tensor there if not tied
    save_file(weights, directory / WEIGHTS, {"format": "pt"})
    write_json(directory / CONFIG, {**_config(config, vocabulary, head.architecture), **head.config})
    library.save(str(directory / TOKENIZER_JSON))
    special = {"bos": BEGIN, "eos": END, "unk": UNKNOWN, "sep": END, "pad": PAD, "cls": BEGIN, "mask": MASK}
    named = {f"{name}_token": library.id_to_token(vocabulary.ids[token]) for name, token in special.items()}
    write_json(directory / "special_tokens_map.json", named)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config.max_positions}
    settings |= {"model_input_names": ["input_ids", "attention_mask"], "clean_up_tokenization_spaces": False}
    write_json(directory / "tokenizer_config.json", {**settings, **named})
    if tokenizer.name == SENTENCEPIECE:
        (directory / SENTENCEPIECE).write_bytes(tokenizer.read_bytes())


def _config(config: EncoderConfig, vocabulary: Vocabulary, architecture: str) -> dict[str, object]:
    return {
        "architectures": [f"XLMRobertaFor{architecture}"],
        "model_type": "xlm-roberta",
        "vocab_size": len(vocabulary),
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.attention_heads,
        "intermediate_size": config.feedforward,
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",  # as XLM-R's own; CTranslate2 requires it
        "max_position_embeddings": config.max_positions + 2,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "bos_token_id": vocabulary.ids[BEGIN],
        "pad_token_id": vocabulary.ids[PAD],
        "eos_token_id": vocabulary.ids[END],
        "tie_word_embeddings": not config.untied,
    }


def weight_files(directory: Path) -> list[Path]:
    """The files that hold the weights: one file, or an index and the shards that it names; an empty list if there are
    none.

    safetensors files are preferred to pickles. Raises FocusError for an index that names files elsewhere.
    """
    for whole, index in ((WEIGHTS, SHARDS), (PICKLED, PICKLED_SHARDS)):
        if (path := directory / whole).is_file():
            return [path]
        if (path := directory / index).is_file():
            return [path, *_shards(path)]
    return []


def _shards(index: Path) -> list[Path]:
    shards = read_json(index).get("weight_map")
    names = set(shards.values()) if isinstance(shards, dict) else set()
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise FocusError(f"{index}: its weight_map must map the names of tensors to names of files beside it.")
    return [index.with_name(name) for name in sorted(names)]


def _read_weights(directory: Path) -> dict[str, Tensor]:
    files = [path for path in weight_files(directory) if path.name not in (SHARDS, PICKLED_SHARDS)]
    if not files:
        raise FocusError(
            f"{directory}: has no weights; looked for {WEIGHTS}, {SHARDS}, {PICKLED} and {PICKLED_SHARDS}."
        )
    pickled = files[0].suffix == ".bin"
    parts = [named_tensors(path, load_pickled(path)) if pickled else load_safetensors(path) for path in files]
    return {name: tensor for part in parts for name, tensor in part.items()}


def _require_sizes(path: Path, config: HuggingFaceConfig, tensors: Mapping[str, Tensor]) -> None:
    """Raise FocusError if a size in ``config.json`` differs from that of the weights: it describes another model."""
    feedforward = tensors.get("encoder.sentence_encoder.layers.0.fc1.bias", ())
    found = {
        "num_hidden_layers": count_layers(tensors),
        "intermediate_size": len(feedforward),
        "max_position_embeddings": len(tensors.get(POSITIONS, ())),
        "vocab_size": len(tensors.get(EMBEDDING, ())),
    }
    for name, size in found.items():
        if size and config.sizes.get(name, size) != size:
            raise FocusError(f"{path}: {name} is {config.sizes[name]}, but the weights beside it have {size}.")


def _take_output(
    path: Path, config: HuggingFaceConfig, weights: Mapping[str, Tensor], tensors: dict[str, Tensor]
) -> None:
    """Put the masked-LM head's output embedding and bias, as transformers uses them, into ``tensors``."""
    if "encoder.lm_head.dense.weight" not in tensors:
        raise FocusError(
            f"{path.parent}: has no masked-LM head, which converting and training need: it was saved without a head or "
            "for another task. Give the masked LM from which it was trained."
        )
    if not config.tied and OUTPUT_EMBEDDING not in tensors:
        raise FocusError(
            f"{path}: tie_word_embeddings is False, but the weights have no lm_head.decoder.weight; transformers would "
            "initialize it at random."
        )
    if (bias := weights.get("lm_head.decoder.bias")) is not None:
        tensors[OUTPUT_BIAS] = bias


def _take_positions(
    directory: Path, config: HuggingFaceConfig, weights: Mapping[str, Tensor], tensors: dict[str, Tensor]
) -> None:
    """Convert the position table to fairseq's, in which the first position is row 2 and there are no token types.

    All tokens have type 0, so its vector is added to every position's.
    """
    if (positions := tensors.get(POSITIONS)) is None or positions.ndim != 2:
        return
    types = next((value for name, value in weights.items() if name.endswith("token_type_embeddings.weight")), None)
    if types is not None:
        if types.shape[1:] != positions.shape[1:] or not len(types):
            raise FocusError(
                f"{directory}: its token types have shape {tuple(types.shape)}; expected rows as wide as the embedding."
            )
        if torch.any(types[0] != 0):
            positions = positions.to(torch.float32) + types[0].to(torch.float32)
    first = positions[config.pad + 1 :]
    tensors[POSITIONS] = (
        positions if config.pad == 1 else torch.cat([torch.zeros_like(positions[:1]).expand(2, -1), first])
    )
