"""Small encoders with random weights as transformers saves them, of any of its types."""

import json
import shutil
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForMaskedLM

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 34,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}


def write_encoder(directory: Path, kind: str, rows: int, dtype: torch.dtype = torch.float32, **settings) -> Path:
    """``config.json`` and weights of a masked LM of the type ``kind``, no parameter at its default."""
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_config(AutoConfig.for_model(kind, **{**SIZES, "vocab_size": rows, **settings}))
    for name, parameter in model.named_parameters():
        mean = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
        torch.nn.init.normal_(parameter.data, mean, 0.3)
    model.to(dtype).save_pretrained(directory)
    return directory


def with_config(source: Path, target: Path, **changes: object) -> Path:
    """A copy of a Hugging Face directory with other settings in its config.json."""
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, **changes}))
    return target
