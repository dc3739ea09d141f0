"""The masked-LM loss of an encoder on the validation text of a prepared directory."""

from pathlib import Path

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.jobs.prepare import KIND as DATA
from focus_plugin.manifest import expect_kind
from focus_plugin.training import MaskedLMLoss, masked_lm_loss
from focus_plugin.vocabulary.files import DICTIONARY
from focus_plugin.vocabulary.readers import read_dictionary

FEWEST_TOKENS = 100  # of which 15 are predicted; fairseq fails where none is


def evaluate(model: Path, data: Path, log: Path, *, tokens_per_sample: int, seed: int, cpu: bool) -> MaskedLMLoss:
    """Evaluate with fairseq-validate, its output in ``log``; see ``masked_lm_loss``.

    Raises FocusError if model and data have different vocabularies or the text is too little to say anything.
    """
    tokens = expect_kind(data, DATA).counts["valid"]["tokens"]
    if tokens < FEWEST_TOKENS:
        raise FocusError(f"{data}: too little validation text: {tokens} tokens, and {FEWEST_TOKENS} are needed.")
    checkpoint = read_checkpoint(model)
    if checkpoint.vocabulary != read_dictionary(data / DICTIONARY):
        raise FocusError(f"{data}: was prepared with another vocabulary than that of {model}.")
    length = min(tokens_per_sample, checkpoint.config.max_positions)
    return masked_lm_loss(model, data, log, tokens_per_sample=length, seed=seed, cpu=cpu)
