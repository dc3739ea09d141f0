"""The masked-LM loss of an encoder on a text of a prepared directory."""

import torch

from focus_plugin.binary_data import read_dataset
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.forecast.evaluation import EvaluationWork, evaluation_forecast
from focus_plugin.forecast.forecast import AT_ONCE, Launch, begin
from focus_plugin.jobs.prepare import DATA_KIND, require_prepared
from focus_plugin.manifest import expect_kind
from focus_plugin.masked_lm.loss import PREDICTIONS, MaskedLMLoss, masked_lm_loss
from focus_plugin.masked_lm.masking import mask_text
from focus_plugin.masked_lm.options import Evaluation
from focus_plugin.progress import Phase, no_phase
from focus_plugin.vocabulary.files import vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary

_BATCH_TOKENS = 4096


def evaluate(job: Evaluation, phase: Phase = no_phase, launch: Launch = AT_ONCE) -> MaskedLMLoss:
    """Measure the loss; see ``mask_text`` and ``masked_lm_loss``.

    ``job.model`` may be any directory that ``read_checkpoint`` reads. Raises FocusError if model and data have
    different vocabularies, or if the text is too short.
    """
    require_prepared(job.data, job.split)
    checkpoint = read_checkpoint(job.model)
    vocabulary = read_dictionary(vocabulary_files(job.data)[0])
    if checkpoint.vocabulary != vocabulary:
        raise FocusError(f"{job.data}: was prepared with another vocabulary than that of {job.model}.")
    length = min(job.tokens_per_sample, checkpoint.config.max_positions)
    on_gpu = torch.cuda.is_available() and not job.cpu
    counts = expect_kind(job.data, DATA_KIND).counts[job.split]
    work = EvaluationWork(
        config=checkpoint.config,
        rows=len(vocabulary),
        tokens=counts["tokens"] + counts["lines"],
        length=length,
        batch_tokens=_BATCH_TOKENS,
        predictions=PREDICTIONS,
        on_gpu=on_gpu,
    )
    begin(evaluation_forecast(work), launch)
    text = mask_text(read_dataset(job.data / job.split, len(vocabulary)), vocabulary, job.seed)
    if not text.predicted.any():
        raise FocusError(f"{job.data}: its {job.split} text has no tokens to predict, since all of them are <unk>.")
    with phase("Evaluating", len(text.read)) as progress:
        return masked_lm_loss(
            checkpoint,
            text,
            length=length,
            batch_tokens=_BATCH_TOKENS,
            device="cuda" if on_gpu else "cpu",
            progress=progress,
        )
