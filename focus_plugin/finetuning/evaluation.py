"""What a fine-tuned model says in PyTorch, and how good that is."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from fairseq import checkpoint_utils
from fairseq.models.roberta import RobertaModel
from focus_export.pipeline import Pipeline
from focus_export.tokenizer import Pieces, SentencePieceTokenizer, TextTokenizer, require_text
from omegaconf import open_dict

from focus_plugin.binary_data import Encoder
from focus_plugin.checkpoint.release import MODEL
from focus_plugin.errors import FocusError
from focus_plugin.finetuning.declaration import Example, Forward, TaskHead
from focus_plugin.finetuning.kept_head import KeptHead
from focus_plugin.trusted import trust_fairseq_checkpoints
from focus_plugin.vocabulary.files import SENTENCEPIECE, vocabulary_files
from focus_plugin.vocabulary.vocabulary import BEGIN, END, PAD

TOKEN_BUDGET = 2048


def load_model(directory: Path) -> RobertaModel:
    """fairseq's model of a release, ready to predict; of its head, what fairseq itself knows."""
    trust_fairseq_checkpoints()
    file = str(directory / MODEL)
    state = checkpoint_utils.load_checkpoint_to_cpu(file, {"data": str(directory)})
    with open_dict(state["cfg"]):
        state["cfg"].model.load_checkpoint_heads = True  # an override does not add what the file does not name
    # not strict: what a task keeps besides has no place in fairseq's model
    models, _, _ = checkpoint_utils.load_model_ensemble_and_task([file], strict=False, state=state)
    model: RobertaModel = models[0].eval()
    return model


def evaluate(
    directory: Path, task: TaskHead, kept: KeptHead, examples: Iterable[Example], truncate: bool, cpu: bool
) -> tuple[Mapping[str, float], int]:
    """The task's metrics of a release on examples, and how many these are.

    On the GPU if there is one and not ``cpu``. ``truncate``: cut texts that are too long.
    """
    listed = list(examples)
    names = [f"line {example.line}" for example in listed]
    samples = (example.sample for example in listed)
    pipeline = _pipeline(directory, task, kept, truncate, cpu)
    results = list(pipeline.results(samples, lambda number: names[number - 1]))
    return task.metrics([example.expected for example in listed], results), len(listed)


def _pipeline(directory: Path, task: TaskHead, kept: KeptHead, truncate: bool, cpu: bool) -> Pipeline:
    """From samples to results as they are served, but computed by PyTorch."""
    model = load_model(directory)
    device = "cuda" if torch.cuda.is_available() and not cpu else "cpu"
    model.to(device)
    encoder = Encoder.load(directory)

    @torch.inference_mode()
    def run(ids: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
        tokens, real = torch.from_numpy(ids.astype(np.int64)).to(device), torch.from_numpy(lengths).to(device)
        hidden = model(tokens, features_only=True)[0]
        outputs = task.forward(Forward(model=model, kept=kept, hidden=hidden, lengths=real))
        return {output: tensor.float().cpu().numpy() for output, tensor in outputs.items()}

    return Pipeline(
        head=kept.head,
        outputs=kept.head.outputs(model.args.encoder_embed_dim),
        tokenizer=_tokenizer(directory, encoder, model.max_positions()),
        run=run,
        pad=encoder.vocabulary.ids[PAD],
        token_budget=TOKEN_BUDGET,
        workers=1,
        truncate=truncate,
    )


class _EncoderTokenizer(TextTokenizer):
    """A tokenizer that is not SentencePiece's, which does not say where a piece stands in a text."""

    def __init__(self, encoder: Encoder, max_positions: int) -> None:
        super().__init__(encoder.vocabulary.ids[BEGIN], encoder.vocabulary.ids[END], max_positions)
        self._encoder = encoder

    def ids(self, text: str) -> np.ndarray:
        require_text(text)
        (ids,) = self._encoder([text])
        return ids

    def pieces(self, text: str) -> Pieces:
        raise FocusError("needs a SentencePiece model, which says where each piece stands in a text.")


def _tokenizer(directory: Path, encoder: Encoder, max_positions: int) -> TextTokenizer:
    _, path = vocabulary_files(directory)
    if path.name != SENTENCEPIECE:
        return _EncoderTokenizer(encoder, max_positions)
    ids, content = encoder.vocabulary.ids, path.read_bytes()
    return SentencePieceTokenizer(path, content, encoder.ids, bos=ids[BEGIN], eos=ids[END], max_positions=max_positions)
