"""Which command reads which file: every kind of file that a user can have from somebody else."""

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A file that is damaged, and the command that reads it.

    words: of the command; names are relative to its current directory. file: the damaged one, of ``intact_files.py``.
    kind: one of ``mutations.KINDS``. signed: whether the size and digest of the file in an export's ``config.json`` are
    sometimes adapted to it.
    """

    words: str
    file: str
    kind: str
    signed: bool = False

    def inputs(self, intact: Path) -> list[str]:
        """The files and directories of ``intact`` that the command needs."""
        named = [word.split("/")[0] for word in (self.file, *shlex.split(self.words))]
        left = [f"{name}{end}" for name in named for end in ("", ".unfinished", ".unfinished.json")]
        return [name for name in dict.fromkeys(left) if (intact / name).exists()]


def _readers(words: str, **files: str) -> tuple[Reader, ...]:
    """A command that reads files of several kinds, by kind."""
    return tuple(Reader(words=words, file=file, kind=kind.replace("_", " ")) for kind, file in files.items())


COMPARE = "compare data --source release --start a '--method random' --updates 6 --seeds 1 --cpu --output comparison"
_CONVERT = "convert --vocab vocab --output output --source"
_PREPARE = "prepare --vocab vocab --output output --valid valid.txt --train"
_UNFINISHED = "predict --model topic.onnx --token-budget 32 --input train.txt --output out.jsonl"

_ENCODERS = (
    *_readers(f"{_CONVERT} release --method random", zip="release/model.pt", lines="release/dict.txt"),
    *_readers(f"{_CONVERT} release --method pieces", sentencepiece="release/sentencepiece.bpe.model"),
    *_readers(f"{_CONVERT} hf --method random", safetensors="hf/model.safetensors", json="hf/config.json"),
    *_readers(f"{_CONVERT} hf --method pieces", json="hf/tokenizer.json"),
    *_readers("inspect topic", zip="topic/model.pt"),
    *_readers("export --onnx --output output --model topic", zip="topic/model.pt", json="topic/head.json"),
    *_readers("export --onnx --output output --model tags", json="tags/head.json"),
    *_readers("export --hf --output output --model answers", json="answers/head.json"),
)
_VOCABULARIES = (
    *_readers("vocab --tokenizer tokenizer.json --input valid.txt --output output", json="tokenizer.json"),
    *_readers("vocab --size 100 --input text.gz --output output", compressed="text.gz"),
    *_readers(f"{_CONVERT} release --method random", lines="vocab/dict.txt"),
)
_TEXTS = (
    *_readers(f"{_PREPARE} text.gz", compressed="text.gz"),
    *_readers(f"{_PREPARE} train.txt", lines="train.txt"),
    *_readers(f"{_PREPARE} valid.txt", lines="vocab/dict.txt", sentencepiece="vocab/sentencepiece.bpe.model"),
    *_readers(f"{_PREPARE} valid.txt --parallel parallel.tsv", lines="parallel.tsv"),
    *_readers(f"{_PREPARE} valid.txt --dictionary dictionary.tsv", lines="dictionary.tsv"),
)
_VECTORS = (
    *_readers(f"{_CONVERT} release --matrix converted/mixing.safetensors", safetensors="converted/mixing.safetensors"),
    *_readers("explain converted ▁ba", safetensors="converted/mixing.safetensors"),
    *_readers(f"{_CONVERT} release --auxiliary vectors.bin", fasttext="vectors.bin"),
    *_readers(f"{_CONVERT} release --auxiliary vectors.vec", lines="vectors.vec"),
    *_readers(f"{_CONVERT} release --auxiliary vectors.npz", zip="vectors.npz"),
    *_readers(f"{_CONVERT} release --auxiliary vectors.safetensors", safetensors="vectors.safetensors"),
    *_readers(f"{_CONVERT} release --word-vectors words.vec", lines="words.vec"),
    *_readers(f"{_CONVERT} release --word-vectors vectors.bin", fasttext="vectors.bin"),
    *_readers(f"{_CONVERT} release --method ofa --multilingual-vectors words.vec", lines="words.vec"),
)
_TABLES = (
    *_readers("evaluate --cpu --model topic --table topic.tsv", lines="topic.tsv"),
    *_readers("evaluate --cpu --model pairs --table pairs.tsv", lines="pairs.tsv"),
    *_readers("evaluate --cpu --model tags --table tags.conll", lines="tags.conll"),
    *_readers("evaluate --cpu --model tags --table tags.conllu", lines="tags.conllu"),
    *_readers("evaluate --cpu --model tags --table tags.jsonl", json_lines="tags.jsonl"),
    *_readers("evaluate --cpu --model answers --table answers.json", json="answers.json"),
    *_readers("evaluate --cpu --model answers --table answers.jsonl", json_lines="answers.jsonl"),
)
_PREDICTIONS = (
    *(
        Reader(
            words=f"predict --input valid.txt --output output.jsonl --model {model}", file=file, kind=kind, signed=True
        )
        for model in ("topic.onnx", "tags.onnx")
        for file, kind in (
            *((f"{model}/config.json", "json"), (f"{model}/model.onnx", "onnx"), (f"{model}/model.onnx.data", "bytes")),
            *((f"{model}/piece_ids.npy", "npy"), (f"{model}/sentencepiece.model", "sentencepiece")),
        )
    ),
    *_readers("predict --model answers.onnx --input answers.jsonl --output output.jsonl", json_lines="answers.jsonl"),
    *_readers("predict --model pairs.onnx --input parallel.tsv --output output.txt", lines="parallel.tsv"),
    *_readers("predict --model topic.onnx --input text.gz --output output.npy", compressed="text.gz"),
    *_readers(_UNFINISHED, json="out.jsonl.unfinished.json", bytes="out.jsonl.unfinished"),
)
_DATA = (
    *_readers("inspect converted", json="converted/focus.json"),
    *_readers("inspect data", json="data/focus.json"),
    *_readers("evaluate data --cpu --model release", json="data/focus.json", bytes="data/valid.bin"),
    *_readers("evaluate data --cpu --model release", bytes="data/valid.idx"),
    *_readers(f"{COMPARE} --dry-run", json_lines="comparison/rows.jsonl", json="comparison/focus.json"),
)
READERS = (*_ENCODERS, *_VOCABULARIES, *_TEXTS, *_VECTORS, *_TABLES, *_PREDICTIONS, *_DATA)
