r"""Fine-tuning a tagger beside transformers' Trainer, and serving it beside embeddings and transformers' pipeline.

    focus vocab --input swa.train.txt --size 50000 --output swa.vocab
    python benchmarks/finetuning.py --source DIR --ner DIR --vocab swa.vocab --work DIR --peers PYTHON

`--ner` has train.txt, dev.txt and test.txt in CoNLL. First `--source` is fine-tuned by `focus finetune` and by the
Trainer (which needs the package accelerate): the same weights, table, batches of 32 sentences grouped by length, and
two precisions, autocast to bfloat16 or bfloat16 in products of matrices only; of each system the faster one counts. The
rate is the median over intervals of the training, so it has neither the start nor validations. Then a tagger of XLM-R
base's shape with random weights over `--vocab` tags `--lines` sentences of test.txt: by `focus predict`, in turns with
the embeddings of its encoder; and in processes that keep their model, in turns with the pipeline on optimum's ONNX
export, which is also compared with the bare products of its matrices in float32, the least that any program needs.
`--peers` is a Python with `optimum-onnx[onnxruntime]`; unless given, this one. What is in `--work` already is
used again. Prints Markdown.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import torch
from arguments import program_parser
from finetuning_systems import BATCH, EPOCHS, PRECISIONS, PRODUCTS, RATE
from focus_export.heads.tagging import TaggingHead
from serving import in_turns, needed, ratio, worker
from steps import run
from xlmr_base import CONFIG, random_tensors

from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.release import write_release
from focus_plugin.files import read_lines, silent, whole_directory, write_json
from focus_plugin.finetuning.declaration import TASK_HEAD
from focus_plugin.finetuning.head_file import HEAD_FILE, write_head
from focus_plugin.tagging.columns import TagColumns
from focus_plugin.tagging.splitting import fitted_splitter, with_raw_text
from focus_plugin.tagging.tables import tagged_sentences
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.tokenizers import load_tokenizer

SYSTEMS = Path(__file__).with_name("finetuning_systems.py")
OURS = {"autocast": "bfloat16", "products": "products"}  # the values of --cpu-precision
VALIDATED = 100  # sentences: a validation is no part of what is measured
SAME = 0.99  # of the words must have the same tag in both systems
TARGETS = {"tuning": 1.0, "file": 1.15, "pipeline": 2.4}


def tuned_by_ours(arguments: argparse.Namespace, precision: str, turn: int) -> float:
    """Examples a second of ``focus finetune``."""
    work, train = arguments.work, arguments.ner / "train.txt"
    output, valid = work / f"ours.{precision}.{turn}", work / "valid.txt"
    given = ("--model", arguments.source, "--train", train, "--valid", valid, "--repair", "--epochs", EPOCHS, "--cpu")
    how = ("--batch-size", BATCH, "--lr", RATE, "--seed", turn, "--output", output)
    run("focus", "finetune", "tagging", *given, *how, "--", "--cpu-precision", OURS[precision])
    log = (output / "train.log").read_text(encoding="utf-8")
    steps = [json.loads(line) for line in re.findall(r" \| INFO \| train_inner \| (\{.*\})", log)]
    return median(float(step["ups"]) * float(step["bsz"]) for step in steps[1:])


def tuned_by_trainer(arguments: argparse.Namespace, precision: str, turn: int) -> float:
    """Examples a second of the Trainer."""
    kept = arguments.work / f"trainer.{precision}.{turn}.json"
    if not kept.exists():
        words = [sys.executable, SYSTEMS, "train", arguments.ner / "train.txt", precision, turn, arguments.work]
        done = subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE)
        write_json(kept, json.loads(done.stdout.splitlines()[-1]))
    seconds = np.array(json.loads(kept.read_text(encoding="utf-8")))
    every = max(1, min(50, len(seconds) // 100))  # as often as ours tells its rate
    sums = np.add.reduceat(seconds[every:], range(0, len(seconds) - every, every))[:-1]
    return BATCH * every / median(sums)


def tuning(arguments: argparse.Namespace) -> str:
    """The rates of both systems in both precisions."""
    work = arguments.work
    lines = (arguments.ner / "dev.txt").read_text(encoding="utf-8").split("\n\n")
    (work / "valid.txt").write_text("\n\n".join(lines[:VALIDATED]) + "\n", encoding="utf-8")
    run("focus", "export", "--hf", "--model", arguments.source, "--output", work / "source.hf")
    systems = {"focus finetune": tuned_by_ours, "Trainer": tuned_by_trainer}
    found = {
        (name, precision): [measure(arguments, precision, turn) for turn in range(1, arguments.turns + 1)]
        for (name, measure), precision in product(systems.items(), PRECISIONS)
    }
    rows = ["| system | precision | examples a second |", "|---|---|---:|"]
    rows += [f"| {name} | {precision} | {median(rates):.1f} |" for (name, precision), rates in found.items()]
    best = {name: max((found[name, precision] for precision in PRECISIONS), key=median) for name in systems}
    return "\n".join([*rows, "", _target("focus finetune / Trainer", ratio(*best.values()), least=TARGETS["tuning"])])


def make(arguments: argparse.Namespace) -> None:
    """The models that are served, and the texts: raw in ``texts.txt``, and as words between spaces in ``words.txt``."""
    work, config = arguments.work, EncoderConfig(**{**vars(CONFIG), "layers": arguments.layers})
    train, test = (
        list(tagged_sentences(arguments.ner / f"{part}.txt", TagColumns(repair=True), silent))
        for part in ("train", "test")
    )
    chosen = test[: arguments.lines]
    (work / "texts.txt").write_text("".join(f"{with_raw_text(one).text}\n" for one in chosen), encoding="utf-8")
    (work / "words.txt").write_text("".join(f"{' '.join(one.words)}\n" for one in chosen), encoding="utf-8")
    splitter, tags = fitted_splitter(train), sorted({tag for one in train for tag in one.tags})
    dictionary, tokenizer = (arguments.vocab / name for name in ("dict.txt", "sentencepiece.bpe.model"))
    tensors = random_tensors(len(read_dictionary(dictionary)), 0.05, config)
    scores = 0.05 * torch.randn(len(tags), config.width, generator=torch.Generator().manual_seed(2))
    head = {f"{TASK_HEAD}.tags.weight": scores, f"{TASK_HEAD}.tags.bias": scores[:, 0]}
    for name, more in (("encoder", {}), ("tagger", head)):
        if not (work / name).exists():
            with whole_directory(work / name) as directory:
                write_release(directory, config, {**tensors, **more}, dictionary, tokenizer)
                if more:
                    served = TaggingHead(tuple(tags), splitter.joined, splitter.whole)
                    write_head(directory / HEAD_FILE, served, f"{TASK_HEAD}.")
        run("focus", "export", "--onnx", "--model", work / name, "--output", work / f"{name}.onnx")
    run("focus", "export", "--onnx", "--model", work / "tagger", "--words", "spaces", "--output", work / "words.onnx")
    run("focus", "export", "--hf", "--model", work / "tagger", "--output", work / "tagger.hf")
    if not (work / "optimum").exists():
        subprocess.run([arguments.peers, SYSTEMS, "export", work], check=True)


def lengths(work: Path) -> np.ndarray:
    """The number of tokens of each text, with ``<s>`` and ``</s>``."""
    tokenizer = load_tokenizer(work / "encoder" / "sentencepiece.bpe.model")
    return np.array([len(ids) + 2 for ids in tokenizer.ids(list(read_lines(work / "words.txt")))])


def predicted(work: Path, model: str, ending: str) -> float:
    """The seconds of ``focus predict`` on ``texts.txt``."""
    output = work / f"{model}.{ending}"
    output.unlink(missing_ok=True)
    started = time.perf_counter()
    run("focus", "predict", "--model", work / f"{model}.onnx", "--input", work / "texts.txt", "--output", output)
    return time.perf_counter() - started


def serving(arguments: argparse.Namespace) -> str:
    """How long tagging takes, beside embedding the same file and beside the pipeline."""
    make(arguments)
    work, turns = arguments.work, arguments.turns
    files = {name: partial(predicted, work, *place) for name, place in _FILES.items()}
    seconds = in_turns(files, turns)
    workers = {True: worker(sys.executable, SYSTEMS, work), False: worker(arguments.peers, SYSTEMS, work)}
    jobs = {name: partial(workers[name == _TAGS[0]], name) for name in (*_TAGS, PRODUCTS)}
    in_turns(jobs, 1)  # loads the models and keeps the tags
    seconds |= in_turns(jobs, turns)
    seconds[PRODUCTS] = needed(lengths(work), seconds[PRODUCTS])
    ours, *others = (np.load(work / "results" / f"{name}.npy") for name in _TAGS)
    same = min(float((ours == other).mean()) for other in others)
    if same < SAME:
        raise SystemExit(f"only {same:.1%} of the words have the same tag in both systems")
    rows = ["| job | seconds |", "|---|---:|", *(f"| {name} | {median(own):.3g} |" for name, own in seconds.items())]
    tags, embeddings = (seconds[name] for name in _FILES)
    fastest = min(_TAGS[1:], key=lambda name: median(seconds[name]))
    return "\n".join(
        [
            *rows,
            "",
            f"{same:.2%} of {len(ours):,} words have the same tag in both systems.",
            _target("tagging a file / embedding it", ratio(tags, embeddings), most=TARGETS["file"]),
            _target("the pipeline / ours", ratio(seconds[fastest], seconds[_TAGS[0]]), least=TARGETS["pipeline"]),
            f"- the pipeline / the bare products: {ratio(seconds[fastest], seconds[PRODUCTS]):.2f}",
        ]
    )


_FILES = {"focus predict, tags": ("tagger", "jsonl"), "focus predict, embeddings": ("encoder", "npy")}
_TAGS = ("tags, ours", "tags, pipeline 1", "tags, pipeline 32")


def _target(what: str, value: float, least: float = 0.0, most: float = float("inf")) -> str:
    bound = f"at least {least}" if most == float("inf") else f"at most {most}"
    return f"- {what}: {value:.2f} (target: {bound}, {'met' if least <= value <= most else 'not met'})"


def main() -> None:
    """Measure and print."""
    parser = program_parser(__doc__, "source", "ner", "vocab", "work")
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--lines", type=int, default=400)
    parser.add_argument("--layers", type=int, default=CONFIG.layers)
    arguments = parser.parse_args()
    arguments.work = arguments.work.resolve()
    (arguments.work / "results").mkdir(parents=True, exist_ok=True)
    print(tuning(arguments), end="\n\n", flush=True)
    print(serving(arguments))


if __name__ == "__main__":
    main()
