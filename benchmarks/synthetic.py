"""The experiment of ALIGN-MLM in small: does a task that is learned in a language work in one derived from it?

    python benchmarks/synthetic.py --text DIR --ner DIR --pos DIR --language swa --work DIR

`--text` has LANG.train.txt and LANG.valid.txt; `--ner` and `--pos` have LANG/train.txt, dev.txt and test.txt (CoNLL).
For each setting an encoder is pretrained on the text and on that of a derived language (derived_languages.py), from
random weights, or, with `--start`, from the layers of another encoder and random embeddings of tokens. Taggers are
trained on the original and on the derived tables, and both are tested on the derived one. BS: trained and tested on the
derived language. BZ: trained on the original. Alignment: the share of tokens whose nearest row by cosine, among those
of all tokens of the derived language, is their twin.

Each finished setting is a line of WORK/rows.jsonl and is not repeated; what is in `--work` already is used again. So
the same command goes on after an interruption, and `--only` does some of the settings. Prints Markdown.
"""

import argparse
import json
import random
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import mean

import torch
from arguments import program_parser
from derived_languages import (
    derived_line,
    derived_table,
    double_vocabulary,
    normalizer,
    sentences_of,
    udpipe_parser,
)
from random_encoder import write_random_encoder
from safetensors.torch import load_file
from scipy.stats import spearmanr
from steps import counts, run

from focus_plugin.bilingual.pairs import PAIRS, TokenPair, chosen_pairs, read_translations
from focus_plugin.checkpoint.config import EncoderConfig
from focus_plugin.checkpoint.languages import LANGUAGE_FILE, LANGUAGE_ROWS, SIDES
from focus_plugin.checkpoint.names import EMBEDDING, POSITIONS
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.checkpoint.release import RELEASE_MODEL
from focus_plugin.files import whole_directory, whole_file
from focus_plugin.finetuning.options import TableEvaluation
from focus_plugin.jobs.evaluate_table import evaluate_table

TASKS = {"ner": "f1", "pos": "accuracy"}  # with their metrics
OBJECTIVES = ("mlm", "tlm", "dict-mlm-input", "align-mlm")
WITH_LANGUAGES = ("tlm", "dict-mlm-input")
BOTH = ("transliteration", "inversion")
SHARED = {"tlm": "--parallel-share"}  # the option for the share, --dictionary-share by default
PUBLISHED_SHARES = {"mlm": 1.0, "tlm": 0.25}  # 0.5 by default


@dataclass(frozen=True)
class Setting:
    """One pretraining. share: of the dictionary or of the parallel lines. variant: "shuffled", "weightless" or none."""

    changes: tuple[str, ...]
    objective: str
    seed: int
    share: float
    variant: str = ""

    @property
    def language(self) -> str:
        """The name of the derived language."""
        return "+".join(self.changes)

    def __str__(self) -> str:
        parts = (self.language, self.objective, f"{self.share:g}", self.variant, f"seed{self.seed}")
        return ".".join(part for part in parts if part)


def settings(seeds: Sequence[int], syntax: bool = False) -> Iterator[Setting]:
    """All settings: the main comparison with all seeds; other languages and the controls with one seed.

    syntax: also with another syntax, which needs a parser.
    """
    for seed, objective in product(seeds, OBJECTIVES):
        yield Setting(BOTH, objective, seed, PUBLISHED_SHARES.get(objective, 0.5))
    others = [("transliteration",), ("transliteration", "permutation"), *[("transliteration", "syntax")] * syntax]
    for changes in others:
        for objective in OBJECTIVES:
            yield Setting(changes, objective, seeds[0], PUBLISHED_SHARES.get(objective, 0.5))
    for share in (0.25, 1.0):
        yield Setting(BOTH, "align-mlm", seeds[0], share)
    for variant in ("shuffled", "weightless"):
        yield Setting(BOTH, "align-mlm", seeds[0], 0.5, variant)


def write(path: Path, lines: Iterator[str]) -> None:
    """Write a text unless it is there."""
    if not path.exists():
        with whole_file(path) as new:
            new.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def prepare(arguments: argparse.Namespace, setting: Setting) -> tuple[Path, Path]:
    """The directory of the derived language, with its tables, and the data to train on."""
    work = arguments.work
    train = arguments.text / f"{arguments.language}.train.txt"
    run("focus", "vocab", "--input", train, "--size", arguments.size, "--output", work / "vocab")
    doubled, normalized = work / "doubled", normalizer(work / "vocab")
    parser = udpipe_parser(arguments.udpipe) if arguments.udpipe else None
    if not doubled.exists():
        with whole_directory(doubled) as new:
            double_vocabulary(work / "vocab", new)
            _shuffle(new / "dictionary.tsv", new / "dictionary.shuffled.tsv")
    derived, original = work / setting.language, work / "original"
    for part in ("train", "valid"):
        lines = (arguments.text / f"{arguments.language}.{part}.txt").read_text(encoding="utf-8").splitlines()
        sentences = [sentence for line in lines for sentence in sentences_of(normalized(line))]
        write(original / f"{part}.txt", iter(sentences))
        write(derived / f"{part}.txt", (derived_line(sentence, setting.changes, parser) for sentence in sentences))
    for task, part in product(TASKS, ("train", "dev", "test")):
        tables = getattr(arguments, task) / arguments.language
        lines = (tables / f"{part}.txt").read_text(encoding="utf-8").splitlines()
        write(original / f"{task}.{part}.txt", derived_table(lines, (), normalized))
        write(derived / f"{task}.{part}.txt", derived_table(lines, setting.changes, normalized, parser))
    shuffled = ".shuffled" if setting.variant == "shuffled" else ""
    data = derived / f"data{shuffled}"
    run(
        *("focus", "prepare", "--vocab", doubled, "--output", data),
        *("--train", derived / "train.txt", "--source-text", original / "train.txt", "--valid", derived / "valid.txt"),
        *("--dictionary", doubled / f"dictionary{shuffled}.tsv", "--dictionary-of-tokens"),
        *("--parallel", original / "train.txt", "--parallel", derived / "train.txt"),
    )
    return derived, data


def _shuffle(dictionary: Path, output: Path) -> None:
    """The same tokens with the twins of others."""
    lines = dictionary.read_text(encoding="utf-8").splitlines()
    tokens, twins = zip(*(line.split("\t") for line in lines), strict=True)
    others = random.Random(1).sample(twins, len(twins))
    output.write_text("".join(f"{a}\t{b}\n" for a, b in zip(tokens, others, strict=True)), encoding="utf-8")


def new_encoder(arguments: argparse.Namespace, seed: int) -> Path:
    """An encoder with random weights, except those of the layers of ``--start``."""
    width, heads = arguments.width, max(1, arguments.width // 64)
    config = EncoderConfig(arguments.layers, width, 4 * width, attention_heads=heads, max_positions=arguments.length)
    if arguments.start:
        config = read_checkpoint(arguments.start).config
    output, vocabulary = arguments.work / f"random.seed{seed}", arguments.work / "doubled"
    return write_random_encoder(output, config, vocabulary, seed, arguments.start)


def pretrain(arguments: argparse.Namespace, setting: Setting, data: Path) -> Path:
    """The pretrained encoder; with language embeddings that of the derived language."""
    output, updates = arguments.work / "encoders" / str(setting), arguments.updates
    share = () if setting.objective == "mlm" else (SHARED.get(setting.objective, "--dictionary-share"), setting.share)
    weight = ("--align-weight", 0) if setting.variant == "weightless" else ()
    run(
        *("focus", "train", data, "--init", new_encoder(arguments, setting.seed), "--output", output),
        *("--objective", setting.objective, *share, *weight),
        *(("--language-embeddings",) if setting.objective in WITH_LANGUAGES else ()),
        *("--recipe", arguments.recipe, "--lr", arguments.lr),
        *("--updates", updates, "--validate-every", -(-updates // 4)),
        *("--batch-tokens", arguments.tokens, "--device-tokens", arguments.tokens, "--seed", setting.seed),
        *(("--cpu",) if arguments.cpu else ()),
        *("--", *shlex.split(arguments.fairseq)),
    )
    return output


def of_language(model: Path, encoder: Path, output: Path, languages: tuple[str, str]) -> Path:
    """``model``, which has one language of ``encoder`` in its positions, with another one; itself without languages."""
    if not (encoder / LANGUAGE_FILE).exists():
        return model
    if not output.exists():
        rows = load_file(encoder / LANGUAGE_FILE)[LANGUAGE_ROWS]
        old, new = (rows[SIDES.index(language)] for language in languages)
        with whole_directory(output) as made:
            shutil.copytree(model, made, dirs_exist_ok=True)
            state = torch.load(made / RELEASE_MODEL)
            positions = state["model"][POSITIONS]
            positions[2:] += new - old
            torch.save(state, made / RELEASE_MODEL)
    return output


def transfer(arguments: argparse.Namespace, setting: Setting, derived: Path, encoder: Path) -> dict[str, float]:
    """BS and BZ of each task."""
    found, models = {}, arguments.work / "taggers" / str(setting)
    original = of_language(encoder, encoder, models / "encoder.source", ("target", "source"))
    for task, metric in TASKS.items():
        epochs = getattr(arguments, f"{task}_epochs")
        for name, tables, start in (("bs", derived, encoder), ("bz", arguments.work / "original", original)):
            tagger = models / f"{task}.{name}"
            run(
                *("focus", "finetune", "tagging", "--model", start, "--output", tagger, "--seed", setting.seed),
                *("--train", tables / f"{task}.train.txt", "--valid", tables / f"{task}.dev.txt", "--repair"),
                *("--epochs", epochs, "--lr", arguments.tagger_lr, *(("--cpu",) if arguments.cpu else ())),
            )
            if name == "bz":
                tagger = of_language(tagger, encoder, models / f"{task}.bz.target", ("source", "target"))
            table = derived / f"{task}.test.txt"
            job = TableEvaluation(model=tagger, table=(table,), cpu=arguments.cpu, columns={"repair": True})
            found[f"{task}.{name}"] = 100 * evaluate_table(job).metrics[metric]
    return found


def alignment(encoder: Path, data: Path, seed: int) -> dict[str, float]:
    """Per cent of tokens whose nearest row among those of the derived language is their twin.

    dictionary: of the tokens that a share of 0.5 has; held out: of all others.
    """
    checkpoint, pairs = read_checkpoint(encoder), read_translations(data.with_name("data"))
    embedding, ids = checkpoint.tensors[EMBEDDING], checkpoint.vocabulary.ids
    used = read_translations(encoder) if (encoder / PAIRS).exists() else chosen_pairs(pairs, 0.5, True, seed)
    known = {pair.source for pair in used}
    right = nearest_is_twin(embedding, pairs, ids)
    in_dictionary = torch.tensor([pair.source in known for pair in pairs])
    parts = {"all": right, "dictionary": right[in_dictionary], "held out": right[~in_dictionary]}
    return {name: 100 * float(part.float().mean()) for name, part in parts.items() if len(part)}


def nearest_is_twin(embedding: torch.Tensor, pairs: Sequence[TokenPair], ids: Mapping[str, int]) -> torch.Tensor:
    """Whether the row nearest to that of each pair's token, among those of all twins, is its twin's; shape (pairs,)."""
    rows = torch.nn.functional.normalize(embedding, dim=1)
    source, target = (torch.tensor([ids[getattr(pair, side)[0]] for pair in pairs]) for side in SIDES)
    return (rows[source] @ rows[target].T).argmax(1) == torch.arange(len(pairs))


def measure(arguments: argparse.Namespace, setting: Setting) -> dict[str, object]:
    """Everything about one setting: a line of rows.jsonl."""
    derived, data = prepare(arguments, setting)
    encoder = pretrain(arguments, setting, data)
    losses = counts(encoder)["valid_loss_nats"]
    found = {"alignment": alignment(encoder, data, setting.seed), "losses": losses}
    return {"setting": asdict(setting), **found, **transfer(arguments, setting, derived, encoder)}


def table(rows: Sequence[Mapping]) -> Iterator[str]:
    """The results in Markdown, a line for each setting with the mean over its seeds; then what follows from them."""
    groups: dict[tuple, list[Mapping]] = {}
    for row in rows:
        chosen = row["setting"]
        key = ("+".join(chosen["changes"]), chosen["objective"], chosen["share"], chosen["variant"])
        groups.setdefault(key, []).append(row)
    head = "derived by | objective | share | seeds | POS BS / BZ | NER BS / BZ | aligned: dictionary | held out | loss"
    yield f"| {head} |"
    yield f"|{'---|' * (head.count('|') + 1)}"
    for (language, objective, share, variant), members in groups.items():
        scores = {name: mean(row[name] for row in members) for name in ("pos.bs", "pos.bz", "ner.bs", "ner.bz")}
        cells = [language, f"{objective} {variant}".strip(), "" if objective == "mlm" else f"{share:g}", len(members)]
        cells += [f"{scores[f'{task}.bs']:.1f} / {scores[f'{task}.bz']:.1f}" for task in ("pos", "ner")]
        for part in ("dictionary", "held out"):
            values = [row["alignment"][part] for row in members if part in row["alignment"]]
            cells.append(f"{mean(values):.1f} %" if values else "")
        cells.append(f"{mean(min(row['losses'].values()) for row in members):.3f}")
        yield f"| {' | '.join(map(str, cells))} |"
    yield ""
    for task in TASKS:
        gaps = [row[f"{task}.bs"] - row[f"{task}.bz"] for row in rows]
        if len(rows) > 2:
            correlation = spearmanr([row["alignment"]["all"] for row in rows], gaps).statistic
            yield f"Spearman of alignment with BS - BZ, {task}: {correlation:.2f} over {len(rows)} runs."
    yield from _weightless(rows)


def _weightless(rows: Sequence[Mapping]) -> Iterator[str]:
    """Whether the losses of masked LM are those of the alignment with a weight of zero, to the last digit."""
    for row in rows:
        chosen = row["setting"]
        if chosen["variant"] == "weightless":
            same = {**chosen, "objective": "mlm", "variant": "", "share": PUBLISHED_SHARES["mlm"]}
            for other in rows:
                if other["setting"] == same:
                    equal = "the same as" if other["losses"] == row["losses"] else "NOT those of"
                    yield f"With a weight of zero, the losses are {equal} masked LM: {row['losses']}."


def main() -> None:
    """Run what has no row yet, and print the table of all rows."""
    parser = program_parser(__doc__, "text", "ner", "pos", "work")
    numbers = {"size": 6_000, "layers": 4, "width": 256, "length": 128, "updates": 3_000, "tokens": 8_192}
    for name, default in {**numbers, "ner-epochs": 10, "pos-epochs": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=str(default))
    parser.add_argument(
        "--start", type=Path, help="encoder with whose layers the pretraining starts; none: random ones"
    )
    parser.add_argument("--recipe", default="plain", help="of the pretraining: plain")
    parser.add_argument("--lr", type=float, default=1e-3, help="of the pretraining: 1e-3")
    parser.add_argument("--fairseq", default="", help='options for the pretraining: "--mask-prob 0.3 --dropout 0"')
    parser.add_argument("--tagger-lr", type=float, default=5e-4, help="of the taggers: 5e-4")
    parser.add_argument("--language", required=True, help="the name of the language in the files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--udpipe", type=Path, help="model of UDPipe: also derive a language with another syntax")
    parser.add_argument("--only", default="", help="settings whose name has this text, such as align-mlm or seed1")
    parser.add_argument("--cpu", action="store_true")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    path = arguments.work / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    for setting in settings(arguments.seeds, syntax=bool(arguments.udpipe)):
        known = json.loads(json.dumps(asdict(setting)))
        if arguments.only in str(setting) and known not in [row["setting"] for row in rows]:
            print(f"--- {setting}", file=sys.stderr, flush=True)
            rows.append(json.loads(json.dumps(measure(arguments, setting))))
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print("\n".join(table(rows)), file=sys.stderr, flush=True)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
