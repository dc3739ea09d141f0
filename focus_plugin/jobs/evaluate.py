"""The masked-LM loss of an encoder on the validation text of a prepared directory."""

import os
import tempfile
from pathlib import Path

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release import write_release
from focus_plugin.errors import FocusError
from focus_plugin.jobs.prepare import require_text
from focus_plugin.training import MaskedLMLoss, masked_lm_loss
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary


def evaluate(model: Path, data: Path, *, tokens_per_sample: int, seed: int, cpu: bool) -> MaskedLMLoss:
    """Evaluate with fairseq-validate, whose output is kept in a temporary file if it fails; see ``masked_lm_loss``.

    ``model`` may be any directory that ``read_checkpoint`` reads; fairseq is given a release made of it. Raises
    FocusError if model and data have different vocabularies or the text is too little to say anything.
    """
    require_text(data, "valid")
    checkpoint = read_checkpoint(model)
    dictionary, tokenizer = vocabulary_files(data)
    if checkpoint.vocabulary != read_dictionary(dictionary):
        raise FocusError(f"{data}: was prepared with another vocabulary than that of {model}.")
    length = min(tokens_per_sample, checkpoint.config.max_positions)
    with tempfile.TemporaryDirectory(prefix="focus-") as release:
        write_release(Path(release), checkpoint.config, checkpoint.tensors, dictionary, tokenizer)
        descriptor, log = tempfile.mkstemp(prefix="focus-", suffix=".log")
        os.close(descriptor)
        loss = masked_lm_loss(Path(release), data, Path(log), tokens_per_sample=length, seed=seed, cpu=cpu)
    Path(log).unlink()
    return loss
