"""The systems that finetuning.py compares with ours, each run by a Python in which it is installed.

    python finetuning_systems.py train TABLE PRECISION SEED WORK  # transformers' Trainer; seconds of updates, as JSON
    python finetuning_systems.py export WORK                      # what optimum makes of WORK/tagger.hf
    python finetuning_systems.py serve WORK                       # names of jobs on standard input, seconds as answers

PRECISION is a key of PRECISIONS. WORK has `source.hf` and `tagger.hf` (for transformers), `words.onnx` (ours),
`optimum` (its export) and `words.txt`. Packages are imported where they are used, since each Python has only some of
them.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from serving_systems import CORES, Job, products, serve, session_options

PRECISIONS = {"autocast": True, "products": False}  # whether the Trainer uses autocast to bfloat16
BATCH, EPOCHS, RATE = 32, 2, 3e-4
PRODUCTS = "matrix products alone"


def train(table: Path, precision: str, seed: int, work: Path) -> list[float]:
    """The seconds from each update to the next of a tagger that transformers' Trainer trains on a table of tags."""
    import torch
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from focus_plugin.files import silent
    from focus_plugin.tagging.columns import TagColumns
    from focus_plugin.tagging.tables import tagged_sentences

    torch.set_float32_matmul_precision("highest" if PRECISIONS[precision] else "medium")
    sentences = list(tagged_sentences(table, TagColumns(repair=True), silent))
    tags = sorted({tag for sentence in sentences for tag in sentence.tags})
    tokenizer = AutoTokenizer.from_pretrained(work / "source.hf")

    def encoded(sentence: Any) -> dict[str, Any]:
        """Token ids, and the tag of the first piece of each word."""
        found = tokenizer(list(sentence.words), is_split_into_words=True, truncation=True, max_length=512)
        words = found.word_ids()
        first = [word is not None and word != before for word, before in zip(words, [None, *words], strict=False)]
        labels = [tags.index(sentence.tags[word]) if one else -100 for word, one in zip(words, first, strict=True)]
        return {"input_ids": found["input_ids"], "labels": labels}

    moments: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *given: object, **named: object) -> None:
            moments.append(time.perf_counter())

    arguments = TrainingArguments(
        output_dir=str(work / "unused"),
        per_device_train_batch_size=BATCH,
        num_train_epochs=EPOCHS,
        learning_rate=RATE,
        train_sampling_strategy="group_by_length",
        bf16=PRECISIONS[precision],
        use_cpu=True,
        seed=seed,
        optim="adamw_torch_fused",
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    model = AutoModelForTokenClassification.from_pretrained(work / "source.hf", num_labels=len(tags))
    collate = DataCollatorForTokenClassification(tokenizer)
    Trainer(model, arguments, collate, list(map(encoded, sentences)), callbacks=[Clock()]).train()
    return np.diff(moments).tolist()


def tags_in_ours(work: Path) -> Job:
    """The tag of each word by our runtime, of texts that are cut into words already."""
    from focus_export.runtime import Predictor

    predictor, texts = Predictor(work / "words.onnx", threads=CORES), _texts(work)
    return lambda: np.array([token.tag for result in predictor.predict(texts) for token in result.tokens])


@cache
def pipeline(work: Path) -> Any:
    """transformers' pipeline on optimum's export."""
    from optimum.onnxruntime import ORTModelForTokenClassification
    from transformers import AutoTokenizer, TokenClassificationPipeline

    model = ORTModelForTokenClassification.from_pretrained(work / "optimum", session_options=session_options())
    tokenizer = AutoTokenizer.from_pretrained(work / "optimum")
    return TokenClassificationPipeline(model=model, tokenizer=tokenizer, ignore_labels=[])


def tags_in_pipeline(work: Path, rows: int) -> Job:
    """The tag of the first piece of each word, ``rows`` texts at a time."""
    run, texts = pipeline(work), _texts(work)

    def tags() -> np.ndarray:
        found: list[str] = []
        for text, pieces in zip(texts, run(texts, batch_size=rows), strict=True):
            of_place = {place: piece["entity"] for piece in reversed(pieces) for place in range(*_places(piece))}
            starts = (match.start() for match in re.finditer("[^ ]+", text))
            # the first piece can be "▁" alone, whose place is that of the space
            found += [of_place.get(start - 1) or of_place.get(start, "") for start in starts]
        return np.array(found)

    return tags


def _places(piece: dict[str, Any]) -> tuple[int, int]:
    return piece["start"], piece["end"]


def _texts(work: Path) -> list[str]:
    return (work / "words.txt").read_text(encoding="utf-8").split("\n")[:-1]


def jobs(work: Path) -> dict[str, Callable[[], Job]]:
    """By name, what makes each system ready for its job: the tags of all texts."""
    return {
        "tags, ours": partial(tags_in_ours, work),
        "tags, pipeline 1": partial(tags_in_pipeline, work, 1),
        "tags, pipeline 32": partial(tags_in_pipeline, work, 32),
        PRODUCTS: products,
    }


def export(work: Path) -> None:
    """optimum's ONNX model of ``WORK/tagger.hf``."""
    from optimum.exporters.onnx import main_export

    main_export(str(work / "tagger.hf"), work / "optimum", "token-classification", library_name="transformers")


def main() -> None:
    """Do what the command line says."""
    match sys.argv[1:]:
        case ["train", table, precision, seed, work]:
            print(json.dumps(train(Path(table), precision, int(seed), Path(work))))
        case ["export", work]:
            export(Path(work))
        case ["serve", work]:
            serve(Path(work), jobs(Path(work)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
