"""Hypernetworks of ZeTT with random weights: written as they are published, and their arithmetic as an oracle."""

import json
from pathlib import Path
from typing import Any

import msgpack
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import RobertaConfig, RobertaModel

HIDDEN, INNER, LONGEST = 24, 40, 4


def settings(tokens: int, row: int, extra: int, **changed: Any) -> dict[str, Any]:
    return {
        "model_type": "zett_hypernetwork",
        "hn_model_name_or_path": "roberta-base",
        "hn_model_type": "roberta",
        "hn_surface_maxlen": LONGEST,
        "hn_n_layers": 2,
        "hn_hidden_size": HIDDEN,
        "hn_intermediate_size": INNER,
        "hn_num_attention_heads": 3,
        "hn_embed_using_source_embeddings": True,
        "hn_rescale_embeddings": True,
        "hn_predict_bias": True,
        "hn_embed_lang_id": True,
        "hn_n_extra_tokens": extra,
        "n_langs": 3,
        "langs": ["en", "sw", "zu"],
        "n_embd": row,
        "original_vocab_size": tokens,
        "pad_token_id": 1,
        "separate_out_embeddings": False,
        **changed,
    }


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense1, self.dense2 = nn.Linear(HIDDEN, INNER), nn.Linear(INNER, HIDDEN)
        self.ln = nn.LayerNorm(HIDDEN, eps=1e-6)

    def forward(self, given: Tensor) -> Tensor:
        approximate = nn.GELU(approximate="tanh")
        return self.ln(given + approximate(self.dense2(approximate(self.dense1(given)))))


class Scaler(nn.Module):
    def __init__(self, length: int) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.ones(1, length)), nn.Parameter(torch.zeros(1, length))

    def forward(self, rows: Tensor) -> Tensor:
        return self.w * rows + self.b


class Theirs(nn.Module):
    """The authors' network of the modules of PyTorch and transformers, all padding computed. Weights are random."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.config, row = config, config["n_embd"]
        both = row * (2 if config["separate_out_embeddings"] else 1)
        made = both if config.get("hn_single_head") else row
        roberta = RobertaConfig(
            vocab_size=2,
            hidden_size=HIDDEN,
            intermediate_size=INNER,
            num_hidden_layers=config["hn_n_layers"],
            num_attention_heads=config["hn_num_attention_heads"],
            max_position_embeddings=LONGEST + 5,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        )
        self.model = RobertaModel(roberta, add_pooling_layer=False)
        self.fallback_embeddings = nn.Embedding(max(config["hn_n_extra_tokens"], 1), both)
        self.input_projection = nn.Sequential(nn.Linear(both, HIDDEN), Block())
        self.output_projection = nn.Sequential(Block(), nn.Linear(HIDDEN, made))
        if config["separate_out_embeddings"] and not config.get("hn_single_head"):
            self.output_projection_out = nn.Sequential(Block(), nn.Linear(HIDDEN, row))
        if config["hn_rescale_embeddings"]:
            self.in_scaler, self.scaler = Scaler(both), Scaler(row)
            if config["separate_out_embeddings"]:
                self.out_scaler = Scaler(row)
        if config["hn_predict_bias"]:
            self.bias_projection = nn.Linear(HIDDEN, 1)
        if config["hn_embed_lang_id"]:
            self.lang_embeddings = nn.Embedding(config["n_langs"], HIDDEN)
        for name, parameter in self.named_parameters():
            nn.init.normal_(parameter.data, 1.0 if name.endswith(("ln.weight", "LayerNorm.weight", ".w")) else 0.0, 0.3)
        self.eval()

    @torch.no_grad()
    def forward(self, pieces: Tensor, source: Tensor, language: int | None) -> tuple[Tensor, Tensor | None, Tensor]:
        """Embedding, output embedding and bias of tokens, whose pieces are padded to LONGEST."""
        config, row = self.config, self.config["n_embd"]
        extra = torch.cat([source, self.fallback_embeddings.weight])
        rows = self.in_scaler(source) if config["hn_rescale_embeddings"] else source
        read = torch.cat([rows, extra[len(source) :]])[pieces]
        inputs, mask = self.input_projection(read), pieces != 1
        table = self.model.embeddings
        inputs = inputs + table.position_embeddings.weight[:LONGEST] + table.token_type_embeddings.weight[0]
        if language is not None:
            behind = self.lang_embeddings.weight[language].expand(len(pieces), 1, HIDDEN)
            inputs, mask = torch.cat([inputs, behind], 1), torch.cat([mask, mask.new_ones(len(pieces), 1)], 1)
        masked = torch.zeros(len(pieces), 1, 1, mask.shape[1]).masked_fill(~mask[:, None, None], -1e9)
        states = table.LayerNorm(inputs)
        for layer in self.model.encoder.layer:
            found = layer(states, masked)
            states = found[0] if isinstance(found, tuple) else found
        first = states[:, 0]
        made, output = self.output_projection(first), None
        if config["separate_out_embeddings"]:
            output = made[:, row:] if config.get("hn_single_head") else self.output_projection_out(first)
        made = made[:, :row]
        if config["hn_rescale_embeddings"]:
            made, output = self.scaler(made), output if output is None else self.out_scaler(output)
        return made, output, self.bias_projection(first)[:, 0] if config["hn_predict_bias"] else torch.zeros(len(made))


def write(directory: Path, network: Theirs, tokenizer: Tokenizer) -> Path:
    """As published for PyTorch."""
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(network.config))
    tokenizer.save(str(directory / "tokenizer.json"))
    save_file(network.state_dict(), directory / "model.safetensors")
    return directory


def write_flax(directory: Path, network: Theirs, tokenizer: Tokenizer) -> Path:
    """As trained by the authors: by Flax's names, with linear layers turned around."""
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(network.config))
    tokenizer.save(str(directory / "tokenizer.json"))
    tree: dict[str, Any] = {}
    for name, tensor in network.state_dict().items():
        parts = name.replace("lang_embeddings.", "model.embeddings.lang_embedding.").split(".")
        if "projection" in parts[0] and parts[1].isdigit():
            parts[1] = f"layers_{parts[1]}"
        module = parts[-2]
        if parts[-1] == "weight" and "embedding" in module:
            parts[-1] = "embedding"
        elif parts[-1] == "weight":
            parts[-1] = "scale" if module in ("LayerNorm", "ln") else "kernel"
            tensor = tensor if module in ("LayerNorm", "ln") else tensor.T
        place = tree
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        values = tensor.contiguous().numpy()
        place[parts[-1]] = msgpack.ExtType(1, msgpack.packb((values.shape, values.dtype.name, values.tobytes())))
    (directory / "flax_model.msgpack").write_bytes(msgpack.packb(tree))
    return directory
