"""What the training objective of ``focus train`` is made of: options of fairseq-train, files, and what is released."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from focus_plugin.bilingual.alignment import mean_cosine
from focus_plugin.bilingual.pairs import PAIRS, TokenPair, chosen_pairs, pair_ids, read_translations, write_translations
from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.languages import LANGUAGE_FILE, LANGUAGE_ROWS, SIDES, folded
from focus_plugin.checkpoint.names import EMBEDDING
from focus_plugin.errors import FocusError
from focus_plugin.masked_lm.options import PARALLEL, SOURCE_TEXT, Pretraining

MASKED_LM = ("--task", "focus_masked_lm", "--criterion", "focus_masked_lm")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A training objective.

    words: the task and the criterion of fairseq-train, with their options. files: the input files that only this
    objective reads, by their names in the manifest. pairs: the pairs of words that are used.
    """

    words: tuple[str, ...] = MASKED_LM
    files: Mapping[str, Path]
    pairs: tuple[TokenPair, ...] = ()


def objective_of(job: Pretraining) -> Objective:
    """The objective of a training. Raises FocusError if its data has no dictionary or no parallel text for it."""
    files = {path.name: path for path in _files(job)}
    languages = ("--language-embeddings",) if job.language_embeddings else ()
    match job.objective:
        case "mlm":
            return Objective(files=files, words=(*MASKED_LM, *languages))
        case "tlm":
            if not files[f"{PARALLEL[0]}.bin"].is_file():
                raise FocusError(f"{job.data}: holds no parallel text; give it to focus prepare with --parallel.")
            tlm = ("--task", "focus_tlm", "--parallel-share", str(job.parallel_share), "--criterion", "focus_masked_lm")
            return Objective(files=files, words=(*tlm, "--restart-positions", *languages))
    single = job.single_pieces or job.objective != "align-mlm"
    pairs = chosen_pairs(read_translations(job.data), job.dictionary_share, single, job.seed)
    chosen = ("--dictionary-share", str(job.dictionary_share), *(("--single-pieces",) if single else ()))
    return Objective(files=files, words=(*_of_dictionary(job), *chosen, *languages), pairs=tuple(pairs))


def _of_dictionary(job: Pretraining) -> tuple[str, ...]:
    match job.objective:
        case "dict-mlm-input":
            return ("--task", "focus_dict_mlm", "--criterion", "focus_masked_lm")
        case "dict-mlm-output":
            return ("--task", "focus_align_mlm", "--criterion", "focus_dict_mlm")
    return (
        *("--task", "focus_align_mlm", "--criterion", "focus_align_mlm"),
        *("--align-weight", str(job.align_weight)),
        *("--align-distance", job.align_distance, "--align-margin", str(job.align_margin)),
    )


def _files(job: Pretraining) -> Iterator[Path]:
    source_text = job.data / f"{SOURCE_TEXT}.bin"
    if source_text.is_file():
        yield source_text
    if job.objective == "tlm":
        yield from (job.data / f"{name}.bin" for name in PARALLEL)
    elif job.objective != "mlm":
        yield job.data / PAIRS


def released(
    objective: Objective, job: Pretraining, source: Checkpoint, trained: Mapping[str, Tensor], directory: Path
) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The tensors of the trained encoder, and the figures for its manifest; other files are written to ``directory``.

    trained: the tensors of the checkpoint. The embedding of ``job.language``, if there is one, is added to those of the
    positions.
    """
    kept = {name: trained[name].float() for name in source.tensors}
    figures: dict[str, object] = {}
    if objective.pairs:
        write_translations(directory / PAIRS, objective.pairs)
        ids = pair_ids(objective.pairs, source.vocabulary.ids, job.data / PAIRS)
        before, after = (mean_cosine(tensors[EMBEDDING].float(), ids) for tensors in (source.tensors, kept))
        cosines = {"cosine_before": round(before, 6), "cosine": round(after, 6)}
        figures["dictionary"] = {"pairs": len(objective.pairs), **cosines}
    if job.language_embeddings:
        rows = trained[LANGUAGE_ROWS].float().contiguous()
        save_file({LANGUAGE_ROWS: rows}, directory / LANGUAGE_FILE)
        kept = folded(kept, rows[SIDES.index(job.language)], source.vocabulary)
    return kept, figures
