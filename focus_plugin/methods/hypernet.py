"""ZeTT: rows predicted by a published hypernetwork (Minixhofer, Ponti & Vulic, NeurIPS 2024).

A hypernetwork is a small transformer that was trained together with the source model on many tokenizers. It reads how
the source would cut a token into pieces, and predicts the token's embedding and its output bias. No text is needed,
since all was learned in that training. The target's tokens, also those that overlap, are predicted alike; only special
tokens keep their rows.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from focus_plugin.errors import FocusError
from focus_plugin.mixing.declaration import Given, Method, MethodFile, Need
from focus_plugin.mixing.matching import CopyOverlapOptions, kept
from focus_plugin.options import option

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from focus_plugin.hypernetwork.config import HypernetworkConfig
    from focus_plugin.hypernetwork.network import Hypernetwork
    from focus_plugin.mixing.rows import Rows


@dataclass(frozen=True, kw_only=True)
class HypernetOptions(CopyOverlapOptions):
    """The options of ZeTT."""

    hypernet_language: str | None = option(
        None, help="Code of the target language, such as sw, for a hypernetwork that reads the language."
    )


def hypernet(given: Given) -> "Rows":
    """The rows that the hypernetwork predicts.

    Tokens without text, such as one that only marks a word, are filled. Raises FocusError if the hypernetwork was
    trained for another model than the source, and for a language that it does not know.
    """
    import numpy as np

    from focus_plugin.hypernetwork.network import predict
    from focus_plugin.hypernetwork.pieces import cut_tokens, in_bytes
    from focus_plugin.mixing.rows import Rows

    network: Hypernetwork = given.files["hypernet"]
    config = network.config
    source, language = _source_rows(given, network), _language(given, config)
    copied, texts = kept(given), in_bytes(given.target)
    new = np.flatnonzero((copied < 0) & ~given.target.special & np.array([text != "" for text in texts]))
    longest = config.encoder.max_positions
    pieces, longer = cut_tokens(network.vocabulary, [texts[i] for i in new], longest, config.padding)
    if longer:
        given.tell(
            f"{longer:,} tokens have more than {longest} pieces; the hypernetwork reads only the first {longest} of "
            "each."
        )
    made = predict(network, source, pieces, language, given.device, given.progress)
    return Rows(
        copied=copied, ids=new, embedding=made.embedding, output_embedding=made.output_embedding, bias=made.bias
    )


def _source_rows(given: Given, network: "Hypernetwork") -> "Tensor":
    """The source's embedding, with the output embedding beside it if it has one of its own; (source, length)."""
    import torch

    from focus_plugin.hypernetwork.pieces import in_bytes

    config, embedding, output = network.config, given.embedding, given.output_embedding
    assert embedding is not None
    tokens, shape = in_bytes(given.source), (config.source, config.row_length)
    if embedding.shape != shape:
        raise FocusError(
            f"--hypernet was trained for a model with an embedding of the shape {shape}; the source's has the shape "
            f"{tuple(embedding.shape)}."
        )
    if tokens != (pieces := network.vocabulary.pieces[: len(tokens)]):
        i = next(i for i, token in enumerate(tokens) if token != pieces[i])
        raise FocusError(
            f"--hypernet was trained for another model: its piece {i} is {pieces[i]!r}, and that of the source is "
            f"{tokens[i]!r}."
        )
    if config.untied != (output is not None):
        has, needs = ("has", "none") if output is not None else ("has no", "one")
        raise FocusError(f"The source {has} output embedding of its own; --hypernet is for a model with {needs}.")
    return embedding if output is None else torch.cat([embedding, output], 1)


def _language(given: Given, config: "HypernetworkConfig") -> int | None:
    """The number of the language that the hypernetwork is told; None if it is told none."""
    code, known = given.options.hypernet_language, config.languages
    if not config.language_count:
        if code:
            raise FocusError("--hypernet is told no language; leave --hypernet-language out.")
        return None
    if len(known) != config.language_count:
        raise FocusError(
            f"--hypernet has embeddings of {config.language_count} languages, but its config.json names {len(known)}; "
            "add their codes to it as the list langs, in the order of its training."
        )
    if code not in known:
        raise FocusError(f"--hypernet-language is {code!r}; --hypernet knows {', '.join(known)}.")
    return known.index(code)


def _read(directory: "Path") -> "Hypernetwork":
    from focus_plugin.hypernetwork.reading import read_hypernetwork

    return read_hypernetwork(directory)


def _parts(directory: "Path") -> "list[Path]":
    from focus_plugin.hypernetwork.reading import hypernetwork_files

    return hypernetwork_files(directory)


METHOD = Method(
    name="hypernet",
    summary="New tokens are predicted by a published hypernetwork, which was trained for the source model.",
    paper="Minixhofer et al., Zero-Shot Tokenizer Transfer, NeurIPS 2024, https://arxiv.org/abs/2405.07883",
    make=hypernet,
    options=HypernetOptions,
    files=(
        MethodFile(
            name="hypernet",
            help="Directory of the hypernetwork: config.json, tokenizer.json and model.safetensors or "
            "flax_model.msgpack.",
            read=_read,
            parts=_parts,
        ),
    ),
    needs=(Need.EMBEDDING, Need.OUTPUT_EMBEDDING),
    published={"calibrate": 0},
    packages=lambda options: ("tokenizers",),
)
