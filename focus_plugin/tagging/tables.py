"""Reads tables of tagged words."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.files import Progress
from focus_plugin.finetuning.tables import existing, format_suffix
from focus_plugin.progress import spread
from focus_plugin.tagging.columns import FORMATS, TagColumns
from focus_plugin.tagging.conll import conll_sentences
from focus_plugin.tagging.conllu import conllu_sentences
from focus_plugin.tagging.json_lines import json_sentences
from focus_plugin.tagging.schemes import PLAIN, as_bio, recognized_scheme
from focus_plugin.tagging.sentences import TaggedSentence
from focus_plugin.text import TextFile

_READERS = dict(zip(FORMATS, (conll_sentences, conllu_sentences, json_sentences), strict=True))
_SUFFIXES = {".conllu": "conllu", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl"}


def tagged_sentences(path: Path, columns: TagColumns, progress: Progress) -> Iterator[TaggedSentence]:
    """The sentences of a table; tags of entities are converted to BIO. The file may be compressed.

    Raises FocusError, with file and line, for faults of the table, and for a table without sentences.
    """
    recognized = _SUFFIXES.get(format_suffix(path), FORMATS[0])
    reader = _READERS[recognized if columns.table_format == "auto" else columns.table_format]
    file = TextFile.of(existing(path))
    sentences = list(reader(path, file.lines(), columns))
    if not sentences:
        raise FocusError(f"{path}: the table has no sentences.")
    scheme = recognized_scheme(sentences, path) if columns.scheme == "auto" else columns.scheme
    for sentence in spread(file.bytes, sentences, progress):
        converted = sentence if scheme == PLAIN else as_bio(sentence, scheme, path, columns.repair)
        yield replace(converted, any_tags=columns.accept_unknown_tags)
