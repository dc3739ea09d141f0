"""Small random models, tokenizers and exports that the tests of the export room share."""

import random
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from focus_export.directory import ExportConfig, write_export
from focus_export.graph import build_graph
from focus_export.head import ServingHead
from focus_export.heads.classification import ClassificationHead
from focus_export.heads.embedding import EmbeddingHead
from focus_export.onnx_file import write_graph
from focus_export.tokenizer import TokenizerFile
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

from focus_plugin.checkpoint.config import EncoderConfig

ENCODER = EncoderConfig(layers=3, width=32, feedforward=64, attention_heads=4, max_positions=20)
VOCABULARY = 100
LABELS = ("chanya", "hasi", "kati")
BOS, PAD, EOS, UNK = 0, 1, 2, 3

_TOP_NAMES = {
    "roberta.embeddings.word_embeddings": "encoder.sentence_encoder.embed_tokens",
    "roberta.embeddings.position_embeddings": "encoder.sentence_encoder.embed_positions",
    "roberta.embeddings.LayerNorm": "encoder.sentence_encoder.layernorm_embedding",
    "classifier.dense": "head.dense",
    "classifier.out_proj": "head.out_proj",
}
_LAYER_NAMES = {
    "attention.self.query": "self_attn.q_proj",
    "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "self_attn_layer_norm",
    "intermediate.dense": "fc1",
    "output.dense": "fc2",
    "output.LayerNorm": "final_layer_norm",
}


def oracle(vocabulary: int = VOCABULARY, seed: int = 0) -> XLMRobertaForSequenceClassification:
    """transformers' model of ENCODER's shape, every weight, bias and layer-norm parameter random."""
    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=vocabulary,
        hidden_size=ENCODER.width,
        num_hidden_layers=ENCODER.layers,
        num_attention_heads=ENCODER.attention_heads,
        intermediate_size=ENCODER.feedforward,
        max_position_embeddings=ENCODER.max_positions + 2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        num_labels=len(LABELS),
        bos_token_id=BOS,
        pad_token_id=PAD,
        eos_token_id=EOS,
        attn_implementation="eager",
    )
    model = XLMRobertaForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.2)
        # fairseq has no token types
        model.roberta.embeddings.token_type_embeddings.weight.zero_()
    return model


def fairseq_tensors(model: XLMRobertaForSequenceClassification) -> dict[str, np.ndarray]:
    """The model's weights under the names of a fairseq checkpoint."""
    names = dict(_TOP_NAMES)
    for layer in range(ENCODER.layers):
        for theirs, ours in _LAYER_NAMES.items():
            names[f"roberta.encoder.layer.{layer}.{theirs}"] = f"encoder.sentence_encoder.layers.{layer}.{ours}"
    tensors = {}
    for name, tensor in model.state_dict().items():
        module, _, kind = name.rpartition(".")
        if module in names:
            tensors[f"{names[module]}.{kind}"] = tensor.numpy()
    return tensors


def reference(
    model: XLMRobertaForSequenceClassification, head: str, ids: np.ndarray, lengths: np.ndarray
) -> dict[str, np.ndarray]:
    """What the exported model of ``head`` has to give, by transformers' arithmetic."""
    mask = torch.arange(ids.shape[1])[None] < torch.from_numpy(lengths)[:, None]
    with torch.no_grad():
        hidden = model.roberta(torch.from_numpy(ids).long(), attention_mask=mask.long()).last_hidden_state
        if head == "mean":
            result = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        elif head == "first":
            result = hidden[:, 0]
        else:
            result = model.classifier(hidden)
    name = "embedding" if head in ("mean", "first") else "logits"
    return {"hidden_states": hidden.numpy(), name: result.numpy()}


def served_head(head: str) -> ServingHead:
    """``mood`` is the classifier; the others are poolings."""
    return ClassificationHead(LABELS) if head == "mood" else EmbeddingHead(head)


def export_config(
    head: str, vocabulary: int = VOCABULARY, precision: str = "fp32", hidden_states: bool = False
) -> ExportConfig:
    return ExportConfig(
        head=served_head(head),
        precision=precision,
        vocabulary=vocabulary,
        width=ENCODER.width,
        max_positions=ENCODER.max_positions,
        bos=BOS,
        pad=PAD,
        eos=EOS,
        unk=UNK,
        hidden_states=hidden_states,
    )


def random_words(count: int, seed: int) -> list[str]:
    """Words of syllables of a language that has only five consonants and five vowels."""
    chance = random.Random(seed)
    return [
        "".join(chance.choice("ktmsn") + chance.choice("aeiou") for _ in range(chance.randint(1, 4)))
        for _ in range(count)
    ]


def train_sentencepiece(directory: Path, pieces: int = 80) -> Path:
    """A SentencePiece model over random words, written into ``directory``."""
    text = directory / "text.txt"
    words = random_words(6000, seed=7)
    text.write_text(
        "\n".join(" ".join(words[start : start + 6]) for start in range(0, len(words), 6)), encoding="utf-8"
    )
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(directory / "words"), vocab_size=pieces, model_type="unigram", minloglevel=2
    )
    return directory / "words.model"


def piece_ids(tokenizer: sentencepiece.SentencePieceProcessor) -> np.ndarray:
    """fairseq's order: ``<s> <pad> </s> <unk>``, then the pieces; SentencePiece has ``<unk> <s> </s>`` first."""
    return np.array([UNK, BOS, EOS, *range(4, len(tokenizer) + 1)], np.int32)


def write_small_export(
    directory: Path, head: str, sentencepiece_model: Path, precision: str = "fp32", hidden_states: bool = False
) -> tuple[XLMRobertaForSequenceClassification, sentencepiece.SentencePieceProcessor]:
    """Export a random model of ``head`` into ``directory``; return transformers' model and the tokenizer."""
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(sentencepiece_model))
    vocabulary = len(tokenizer) + 1
    model = oracle(vocabulary)
    graph = build_graph(ENCODER, fairseq_tensors(model), served_head(head), precision, hidden_states)
    write_export(
        directory,
        export_config(head, vocabulary, precision, hidden_states),
        lambda path: write_graph(graph, path),
        TokenizerFile(
            path=sentencepiece_model, content=sentencepiece_model.read_bytes(), piece_ids=piece_ids(tokenizer)
        ),
    )
    return model, tokenizer


def texts_of_mixed_lengths(count: int, seed: int = 0) -> list[str]:
    """Texts of 0 to 6 words, some with characters the tokenizer never saw."""
    chance, words = random.Random(seed), random_words(300, seed)
    texts = [" ".join(chance.choices(words, k=chance.choice([0, 1, 1, 2, 3]))) for _ in range(count)]
    return [text + " 漢字 Ω" if chance.random() < 0.1 else text for text in texts]


def expected(exports, head, text, truncate_to=None):
    """transformers' result for one text alone, tokenised piece by piece."""
    _, model, tokenizer = exports[head]
    table = piece_ids(tokenizer)
    ids = [0, *[int(table[tokenizer.piece_to_id(piece)]) for piece in tokenizer.encode(text, out_type=str)], 2]
    ids = ids if truncate_to is None else [*ids[: truncate_to - 1], 2]
    values = reference(model, head, np.array([ids], np.int32), np.array([len(ids)], np.int32))
    (name,) = values.keys() - {"hidden_states"}
    return values[name][0]
