"""What sentence-transformers reads beside an encoder that transformers loads: how tokens become one embedding."""

from pathlib import Path

from focus_plugin.files import write_json

_MODULES = "sentence_transformers.models"
_POOLING = "1_Pooling"
# The mean is assumed where it is not denied, so that both are written.
_MODES = {"mean": "pooling_mode_mean_tokens", "first": "pooling_mode_cls_token"}


def write_pooling(directory: Path, width: int, max_positions: int, pooling: str) -> None:
    """Make ``directory``, which ``write_huggingface`` wrote, one that sentence-transformers loads, too.

    ``pooling``: "mean" of the hidden states of all tokens, or that of the "first". ``max_positions``: tokens at which
    it cuts a text. The names are the older ones, which all its releases read.
    """
    modules = (("", "Transformer"), (_POOLING, "Pooling"))
    listed = [
        {"idx": index, "name": str(index), "path": path, "type": f"{_MODULES}.{name}"}
        for index, (path, name) in enumerate(modules)
    ]
    write_json(directory / "modules.json", listed)
    write_json(directory / "sentence_bert_config.json", {"max_seq_length": max_positions, "do_lower_case": False})
    (directory / _POOLING).mkdir()
    modes = {key: mode == pooling for mode, key in _MODES.items()}
    write_json(directory / _POOLING / "config.json", {"word_embedding_dimension": width, **modes})
