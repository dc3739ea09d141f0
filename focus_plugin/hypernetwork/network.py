"""The forward pass of a hypernetwork: from the pieces of a token to its embeddings and its output bias.

ZeTT (Minixhofer, Ponti & Vulic, NeurIPS 2024, section 3). The hypernetwork reads the source's embeddings of the pieces,
projected to its width, with the embedding of the language behind them. The state of the first piece is projected to the
embeddings of the token. All operations are those of the authors' software; here they are in float32, and a batch has
tokens with equally many pieces, so that hardly any padding is computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding, gelu, layer_norm

from focus_plugin.checkpoint.forward import linear_layer, transformed
from focus_plugin.checkpoint.names import POSITIONS, expected_names, expected_shape
from focus_plugin.files import Progress, silent
from focus_plugin.hypernetwork.config import HypernetworkConfig
from focus_plugin.hypernetwork.pieces import ByteVocabulary

TOKENS_AT_ONCE = 512
_EPSILON = 1e-6  # of the layer norms in projections


@dataclass(frozen=True, kw_only=True)
class Hypernetwork:
    """config: its shape. tensors: float32, by the names of ``expected_tensors``. vocabulary: how it cuts tokens."""

    config: HypernetworkConfig
    tensors: Mapping[str, Tensor]
    vocabulary: ByteVocabulary


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What is predicted of n tokens, float32.

    embedding: (n, row_length). output_embedding: likewise, None if it is tied. bias: (n,), None if it is not predicted.
    """

    embedding: Tensor
    output_embedding: Tensor | None
    bias: Tensor | None


def expected_tensors(config: HypernetworkConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor: those of the transformer by fairseq's names, all others by the authors'.

    ``POSITIONS`` is not among them, since its table may have any number of rows that is enough.
    """
    encoder, width, inner = config.encoder, config.encoder.width, config.encoder.feedforward
    outer = config.row_length * (2 if config.untied else 1)  # the length of what is read
    made = outer if config.single_head else config.row_length
    shapes: dict[str, tuple[int, ...]] = {"fallback_embeddings.weight": (max(config.extra, 1), outer)}
    for name in expected_names(encoder.layers):
        if ".layer" in name and "lm_head" not in name:
            shapes[name] = expected_shape(name, (0, width), 0, width, inner)
    linear = {"input_projection.0": (width, outer), "output_projection.1": (made, width)}
    blocks, scalers = ["input_projection.1", "output_projection.0"], {"in_scaler": outer, "scaler": config.row_length}
    if config.untied:
        scalers["out_scaler"] = config.row_length
        if not config.single_head:
            blocks.append("output_projection_out.0")
            linear["output_projection_out.1"] = (config.row_length, width)
    for block in blocks:
        linear |= {f"{block}.dense1": (inner, width), f"{block}.dense2": (width, inner)}
        shapes |= {f"{block}.ln.weight": (width,), f"{block}.ln.bias": (width,)}
    if config.biased:
        linear["bias_projection"] = (1, width)
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    if config.rescaled:
        shapes |= {f"{name}.{part}": (1, length) for name, length in scalers.items() for part in "wb"}
    if config.language_count:
        shapes["lang_embeddings.weight"] = (config.language_count, width)
    return shapes


def predict(
    network: Hypernetwork,
    source: Tensor,
    pieces: np.ndarray,
    language: int | None,
    device: str,
    progress: Progress = silent,
) -> Predicted:
    """The rows of tokens, computed on ``device``; the result is on the CPU.

    ``source``: the source's embedding, (source, row_length), or if the model is untied, the input and the output
    embedding beside each other. ``pieces``: (tokens, longest), the ids of the pieces and then padding; each token has
    at least one piece. ``language``: the number of the language, None if the hypernetwork is told none.
    """
    config = network.config
    on_device = replace(network, tensors={name: tensor.to(device) for name, tensor in network.tensors.items()})
    whole = Predicted(
        embedding=torch.empty(len(pieces), config.row_length),
        output_embedding=torch.empty(len(pieces), config.row_length) if config.untied else None,
        bias=torch.empty(len(pieces)) if config.biased else None,
    )
    lengths = np.count_nonzero(pieces != config.padding, axis=1)
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), TOKENS_AT_ONCE):
        tokens = order[start : start + TOKENS_AT_ONCE]
        cut = torch.from_numpy(pieces[tokens, : lengths[tokens].max()])
        read = source[cut.clamp(max=config.source - 1)]
        with torch.inference_mode():
            made = _of_batch(on_device, read.to(device), cut.to(device), language)
        for name, part in vars(made).items():
            if part is not None:
                vars(whole)[name][torch.from_numpy(tokens)] = part.cpu()
        progress(len(tokens))
    return whole


def _of_batch(network: Hypernetwork, read: Tensor, pieces: Tensor, language: int | None) -> Predicted:
    """The rows of tokens. ``read``: (tokens, pieces, length), the source's rows of the pieces."""
    config, tensors = network.config, network.tensors
    extra = embedding((pieces - config.source).clamp(min=0), tensors["fallback_embeddings.weight"])
    read = torch.where((pieces < config.source)[..., None], _scaled(tensors, "in_scaler", read), extra)
    inputs = _block(tensors, "input_projection.1", linear_layer(tensors, "input_projection.0", read))
    inputs = inputs + tensors[POSITIONS][: pieces.shape[1]]
    padding = pieces == config.padding
    if language is not None:
        behind = tensors["lang_embeddings.weight"][language].expand(len(pieces), 1, -1)
        inputs = torch.cat([inputs, behind], 1)
        padding = torch.nn.functional.pad(padding, (0, 1))
    for states in transformed(config.encoder, tensors, inputs, padding):  # noqa: B007
        pass
    first, row = states[:, 0], config.row_length
    made = linear_layer(tensors, "output_projection.1", _block(tensors, "output_projection.0", first))
    output = None
    if config.untied and config.single_head:
        output = made[:, row:]
    elif config.untied:
        output = linear_layer(tensors, "output_projection_out.1", _block(tensors, "output_projection_out.0", first))
    bias = linear_layer(tensors, "bias_projection", first)[:, 0] if config.biased else None
    return Predicted(
        embedding=_scaled(tensors, "scaler", made[:, :row]),
        output_embedding=None if output is None else _scaled(tensors, "out_scaler", output),
        bias=bias,
    )


def _block(tensors: Mapping[str, Tensor], name: str, states: Tensor) -> Tensor:
    """A feed-forward block with a residual connection and a layer norm; its GELUs are approximated by tanh."""
    inner = gelu(linear_layer(tensors, f"{name}.dense1", states), approximate="tanh")
    added = states + gelu(linear_layer(tensors, f"{name}.dense2", inner), approximate="tanh")
    return layer_norm(added, added.shape[-1:], tensors[f"{name}.ln.weight"], tensors[f"{name}.ln.bias"], _EPSILON)


def _scaled(tensors: Mapping[str, Tensor], name: str, rows: Tensor) -> Tensor:
    """Rows times the weight of a scaler plus its bias, if the hypernetwork has scalers."""
    return rows * tensors[f"{name}.w"] + tensors[f"{name}.b"] if f"{name}.w" in tensors else rows
