"""Encodes text into the directory that fairseq's masked-LM task reads, with the files of the vocabulary."""

import math
import shutil
from dataclasses import asdict
from pathlib import Path

from focus_plugin.bilingual.pairs import PAIRS, encode_dictionary, write_translations
from focus_plugin.errors import FocusError
from focus_plugin.files import sha256
from focus_plugin.forecast.forecast import AT_ONCE, Forecast, Launch
from focus_plugin.forecast.preparation import preparation_forecast
from focus_plugin.leakage import LEAKAGE, Seen, Watched, as_counts, lines_of
from focus_plugin.manifest import FILE, Manifest, describe, expect_kind
from focus_plugin.masked_lm.options import SOURCE_TEXT, TextPreparation
from focus_plugin.outputs import make_resumable_directory
from focus_plugin.parallel.text import ParallelText, read_pairs
from focus_plugin.progress import Phase, no_phase
from focus_plugin.text import Text
from focus_plugin.vocabulary.files import tokenizer_package, vocabulary_files
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer

DATA_KIND = "masked-LM data"
TRANSLATIONS, PARALLEL_TEXT = "translations", "parallel"  # names in a manifest's inputs and counts
TIMES_READ = "times_read"  # of each language, the key in the counts of a manifest
FEWEST_TOKENS = 100  # of which 15 are predicted; fairseq fails where none is


def prepare(job: TextPreparation, output: Path, phase: Phase = no_phase, launch: Launch = AT_ONCE) -> Manifest:
    """Write the data directory unless ``output`` already holds it; see ``prepare_masked_lm``."""
    from focus_plugin.masked_lm.data import prepare_masked_lm
    from focus_plugin.masked_lm.languages import Repeated, named_texts, times_read

    refuse_colon(output)
    dictionary, tokenizer = vocabulary_files(job.vocabulary)
    languages = named_texts(job.train)
    train = Text.of(*(file.path for text in languages.values() for file in text.files))
    texts = {"train": train, "valid": Text.of(*job.valid)}
    if job.test:
        texts["test"] = Text.of(*job.test)
    if job.source_text:
        texts[SOURCE_TEXT] = Text.of(*job.source_text)
    beside = _beside(job)
    size = sum(text.bytes for text in (*texts.values(), *beside.values()))
    several = {f"train, {name}": text for name, text in languages.items()} if len(languages) > 1 else {}
    with phase("Reading the input", size + (train.bytes if several else 0)) as progress:
        inputs = {"dictionary": sha256(dictionary), "tokenizer": sha256(tokenizer)}
        inputs |= {split: text.content(progress).digest for split, text in texts.items()}
        inputs |= {name: text.content(progress).digest for name, text in {**beside, **several}.items()}
    options: dict[str, object] = {"dictionary_of_tokens": job.dictionary_of_tokens} if job.dictionary else {}
    times = times_read(languages, job.sampling_alpha)
    if several:
        options["sampling_alpha"] = job.sampling_alpha
    if job.shards > 1:
        options["shards"] = job.shards
    repeated = sum(math.ceil(times[name]) * text.bytes for name, text in languages.items()) - train.bytes
    manifest = describe(
        DATA_KIND, options, inputs, (tokenizer_package(tokenizer), "fairseq"), {"vocabulary": job.vocabulary}
    )

    def build(directory: Path) -> dict[str, object]:
        """Encode all texts into the directory, and count."""
        translations = _translations(beside[TRANSLATIONS], job, directory) if job.dictionary else {}
        parallel = _parallel(job, directory, phase) if job.parallel else {}
        seen = Seen({split: lines_of(text) for split, text in texts.items() if split not in ("train", SOURCE_TEXT)})
        named = len(train.files) > 1
        watched = Repeated(tuple((Watched(text, seen, named), times[name]) for name, text in languages.items()))
        with phase("Encoding", size + repeated) as progress:
            counts = prepare_masked_lm(job.vocabulary, {**texts, "train": watched}, directory, progress, job.shards)
        shutil.copyfile(tokenizer, directory / tokenizer.name)
        read = {TIMES_READ: times} if several else {}
        splits = {split: asdict(count) for split, count in counts.items()}
        return {**splits, **translations, **parallel, LEAKAGE: as_counts(seen.leakage()), **read}

    def forecast() -> Forecast:
        read = sum(times[name] * text.content().bytes for name, text in languages.items())
        repeats = read / max(1, train.content().bytes)
        return preparation_forecast(job.vocabulary, {**texts, **beside}, output, repeats)

    return make_resumable_directory(output, manifest, build, forecast, launch)


def _beside(job: TextPreparation) -> dict[str, Text]:
    """The dictionary and the parallel text. Raises FocusError for more than two files of parallel text."""
    if len(job.parallel) > 2:
        raise FocusError("--parallel is given more than twice; give one file with two columns, or two files.")
    named = {TRANSLATIONS: job.dictionary, PARALLEL_TEXT: job.parallel}
    return {name: Text.of(*files) for name, files in named.items() if files}


def _parallel(job: TextPreparation, directory: Path, phase: Phase) -> dict[str, object]:
    """Write parallel text; the figures for the manifest."""
    from focus_plugin.masked_lm.data import prepare_parallel

    text = ParallelText(tuple(map(Text.of, job.parallel)))
    pairs = read_pairs(text, most=0, seed=1)
    with phase("Encoding the parallel text", 2 * len(pairs.source)) as progress:
        sides = prepare_parallel(job.vocabulary, pairs, directory, progress)
    tokens, told = [side.tokens for side in sides], [sentence] if (sentence := pairs.left_out(text)) else []
    return {PARALLEL_TEXT: {"lines": len(pairs.source), "tokens": tokens, "left_out": told}}


def _translations(text: Text, job: TextPreparation, directory: Path) -> dict[str, object]:
    """Write the pairs of a dictionary; the figures for the manifest."""
    files = vocabulary_files(job.vocabulary)
    vocabulary, tokenizer = read_dictionary(files[0]), load_tokenizer(files[1])
    encoded = encode_dictionary(text, tokenizer, vocabulary, job.dictionary_of_tokens)
    write_translations(directory / PAIRS, encoded.pairs)
    return {TRANSLATIONS: encoded.counts()}


def require_prepared(data: Path, *splits: str) -> None:
    """Raise FocusError unless ``data`` was made by ``prepare`` and each of ``splits`` has enough text."""
    counts = expect_kind(data, DATA_KIND).counts
    refuse_colon(data)
    for split in splits:
        if split not in counts:
            raise FocusError(f"{data}: holds no {split} text; give it to focus prepare with --{split}.")
        of_split = counts[split] if isinstance(counts[split], dict) else {}
        tokens, lines = (of_split.get(name) for name in ("tokens", "lines"))
        if not isinstance(tokens, int) or not isinstance(lines, int):
            raise FocusError(f"{data / FILE}: does not say how many tokens {split} has; prepare it again.")
        if tokens < FEWEST_TOKENS:
            raise FocusError(f"{data}: too little text in {split}: {tokens} tokens, and {FEWEST_TOKENS} are needed.")


def refuse_colon(data: Path) -> None:
    """Raise FocusError if fairseq would take a colon in the name of its data directory for the end of a path."""
    if ":" in str(data):
        raise FocusError(f"{data}: fairseq treats a colon as the end of a path; choose a directory without a colon.")
