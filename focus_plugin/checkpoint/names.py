"""The names of an encoder's weights in fairseq, which this program uses, and in transformers."""

import re
from collections.abc import Mapping

from torch import Tensor

EMBEDDING = "encoder.sentence_encoder.embed_tokens.weight"
PROJECTION = "encoder.sentence_encoder.embed_tokens.projection.weight"
POSITIONS = "encoder.sentence_encoder.embed_positions.weight"
OUTPUT_EMBEDDING = "encoder.lm_head.weight"
OUTPUT_BIAS = "encoder.lm_head.bias"

_HUGGING_FACE = {
    "embeddings.word_embeddings.weight": EMBEDDING,
    "embeddings.position_embeddings.weight": POSITIONS,
    "embeddings.LayerNorm": "encoder.sentence_encoder.layernorm_embedding",
    "encoder.layer.{}.attention.self.query": "encoder.sentence_encoder.layers.{}.self_attn.q_proj",
    "encoder.layer.{}.attention.self.key": "encoder.sentence_encoder.layers.{}.self_attn.k_proj",
    "encoder.layer.{}.attention.self.value": "encoder.sentence_encoder.layers.{}.self_attn.v_proj",
    "encoder.layer.{}.attention.output.dense": "encoder.sentence_encoder.layers.{}.self_attn.out_proj",
    "encoder.layer.{}.attention.output.LayerNorm": "encoder.sentence_encoder.layers.{}.self_attn_layer_norm",
    "encoder.layer.{}.intermediate.dense": "encoder.sentence_encoder.layers.{}.fc1",
    "encoder.layer.{}.output.dense": "encoder.sentence_encoder.layers.{}.fc2",
    "encoder.layer.{}.output.LayerNorm": "encoder.sentence_encoder.layers.{}.final_layer_norm",
    "lm_head.dense": "encoder.lm_head.dense",
    "lm_head.layer_norm": "encoder.lm_head.layer_norm",
    "lm_head.decoder.weight": OUTPUT_EMBEDDING,
    "lm_head.bias": OUTPUT_BIAS,
}


def expected_names(layers: int, factorized: bool = False) -> list[str]:
    """The name of every tensor of an encoder with a masked-LM head, in the order in which they are written.

    ``factorized``: whether the embedding is, see ``EncoderConfig.factors``.
    """
    names = [PROJECTION] if factorized else []
    for name in _HUGGING_FACE.values():
        whole = (
            [name]
            if name in (EMBEDDING, POSITIONS, OUTPUT_EMBEDDING, OUTPUT_BIAS)
            else [f"{name}.weight", f"{name}.bias"]
        )
        names += [part.format(i) for part in whole for i in (range(layers) if "{}" in part else [0])]
    return names


def expected_shape(
    name: str, embedding: tuple[int, int], positions: int, width: int, feedforward: int
) -> tuple[int, ...]:
    """The shape of the tensor ``name`` in an encoder of these sizes; ``embedding``: that of the embedding."""
    rows, length = embedding
    if name in (EMBEDDING, OUTPUT_EMBEDDING):
        return embedding
    if name == PROJECTION:
        return width, length
    if name in (POSITIONS, OUTPUT_BIAS):
        return (positions, width) if name == POSITIONS else (rows,)
    module, _, part = name.rpartition(".")
    outputs = feedforward if module.endswith("fc1") else width
    if part == "bias" or "norm" in module:
        return (outputs,)
    return outputs, feedforward if module.endswith("fc2") else width


def from_hugging_face(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` by fairseq's names. Those without one (pooler, position ids, token types) are left out."""
    renamed = {}
    for name, tensor in tensors.items():
        name = re.sub(r"^(roberta|bert|model)\.", "", name)
        pattern = re.sub(r"\.\d+\.", ".{}.", name)
        number = re.search(r"\.(\d+)\.", name)
        stem, _, part = pattern.rpartition(".")
        target = _HUGGING_FACE.get(pattern) or (f"{_HUGGING_FACE[stem]}.{part}" if stem in _HUGGING_FACE else None)
        if target:
            renamed[target.format(number[1]) if number else target] = tensor
    return renamed


def to_hugging_face(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` by transformers' names, with the prefix of XLM-R's classes."""
    names = {ours: theirs for theirs, ours in _HUGGING_FACE.items()}
    renamed = {}
    for name, tensor in tensors.items():
        pattern = re.sub(r"\.\d+\.", ".{}.", name)
        number = re.search(r"\.(\d+)\.", name)
        stem, _, part = pattern.rpartition(".")
        target = names.get(pattern) or (f"{names[stem]}.{part}" if stem in names else pattern)
        prefix = "roberta." if target.startswith(("embeddings.", "encoder.")) else ""
        renamed[prefix + target.format(number[1] if number else "")] = tensor
    return renamed


def from_old_fairseq(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` by the names of today's fairseq; those of its releases since 2019 are renamed.

    In these releases the encoder was called decoder, the layer norm of the embeddings was called ``emb_layer_norm``,
    and the query, key and value projections were one matrix.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        name = re.sub(r"^decoder\.", "encoder.", name).replace(".emb_layer_norm.", ".layernorm_embedding.")
        stem, packed, part = name.partition(".in_proj_")
        if packed:
            for projection, share in zip("qkv", tensor.tensor_split(3), strict=True):
                renamed[f"{stem}.{projection}_proj.{part}"] = share
        else:
            renamed[name] = tensor
    return renamed
