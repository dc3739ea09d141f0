"""``focus convert``"""

from pathlib import Path

import click
from focus_cli.common import given, interactive, phases, quiet_option, refuse, seed_option, tell
from focus_cli.declared import options_of

from focus_plugin.auxiliary.options import FastTextOptions, ReadingOptions
from focus_plugin.options import declared

PAPER = {"dimension": 100, "epochs": 3, "minimum_count": 10, "seed": 42, "fill": "normal", "calibrate": 0}
FASTTEXT = tuple(entry.name for entry in declared(FastTextOptions))
_UNUSED = {  # what leaves other options without effect
    "--matrix": ("method", "match_symbols", "match_fuzzy", "fill", *FASTTEXT),
    "--auxiliary": FASTTEXT,
    "--word-vectors": FASTTEXT,
    "--method random": ("auxiliary", "word_vectors"),
}


@click.command("convert")
@click.option(
    "--source",
    required=True,
    type=Path,
    help="XLM-R or its kin: a directory, or NAME[@REVISION] on the Hugging Face Hub.",
)
@click.option("--vocab", required=True, type=Path, help="Directory made by focus vocab.")
@click.option("--extend", is_flag=True, help="Keep the source's vocabulary and append what it lacks of --vocab.")
@click.option("--corpus", type=Path, help="Target text, to train the auxiliary vectors on.")
@click.option("--auxiliary", type=Path, help="Token vectors instead: .bin or .vec of fastText, .npz, .safetensors.")
@click.option("--word-vectors", type=Path, help="Word vectors instead: .bin or .vec of fastText, as cc.sw.300.bin.")
@click.option("--matrix", type=Path, help="A mixing matrix instead, as an earlier conversion left it in its output.")
@click.option("--output", required=True, type=Path, help="Directory to make: a fairseq release.")
@click.option("--method", default="focus", type=click.Choice(["focus", "random"]), help="How new rows are made.")
@click.option("--match-symbols", is_flag=True, help="Numbers, punctuation and space overlap without word start.")
@click.option("--match-fuzzy", is_flag=True, help="Tokens overlap without regard to case and word start.")
@click.option(
    "--fill",
    default="ngrams",
    type=click.Choice(["ngrams", "normal"]),
    help="Rows of tokens too rare for a vector: mixed by that of their n-grams, or drawn at random.",
)
@click.option(
    "--calibrate",
    default=16_384,
    type=click.IntRange(min=0),
    help="Tokens of --corpus to fit the output bias on; 0: leave it.",
)
@click.option("--paper", is_flag=True, help="Do what the authors' package does, with its defaults.")
@click.option("--device", default="cpu", help="Where to compute, as torch names it: cpu, cuda, cuda:1.")
@options_of(ReadingOptions, FastTextOptions)
@seed_option
@quiet_option
@click.pass_context
def command(
    context: click.Context,
    source: Path,
    vocab: Path,
    extend: bool,
    corpus: Path | None,
    auxiliary: Path | None,
    word_vectors: Path | None,
    matrix: Path | None,
    output: Path,
    method: str,
    match_symbols: bool,
    match_fuzzy: bool,
    fill: str,
    calibrate: int,
    paper: bool,
    device: str,
    skip_tokenizer_check: bool,
    dimension: int,
    epochs: int,
    minimum_count: int,
    threads: int,
    seed: int,
    quiet: bool,
) -> None:
    """Give a multilingual encoder the target vocabulary, in place of its own or besides."""
    _require_effect(context)
    from focus_plugin.jobs.convert import REPORT, Conversion, convert
    from focus_plugin.methods.focus import FocusOptions
    from focus_plugin.vocabulary.overlap import Matching

    if paper:
        values = {**PAPER, **{name: context.params[name] for name in given(context).intersection(PAPER)}}
        dimension, epochs, minimum_count = values["dimension"], values["epochs"], values["minimum_count"]
        seed, fill, calibrate = values["seed"], values["fill"], values["calibrate"]
    job = Conversion(
        source=source,
        vocabulary=vocab,
        extend=extend,
        corpus=corpus,
        auxiliary=auxiliary,
        reading=ReadingOptions(skip_tokenizer_check=skip_tokenizer_check),
        word_vectors=word_vectors,
        matrix=matrix,
        method=method,
        focus=FocusOptions(Matching(match_symbols, match_fuzzy), rare=fill == "ngrams", special_anchors=paper),
        fasttext=FastTextOptions(dimension=dimension, epochs=epochs, minimum_count=minimum_count, threads=threads),
        calibrate=calibrate,
        rank_bias=paper,
        seed=seed,
        device=device,
    )
    counts = convert(job, output, phases(quiet), interactive(quiet)).counts
    tell(
        quiet,
        f"{output}: of {counts['target_tokens']} tokens {counts['overlap']} copied, {counts['mixed']} mixed of "
        f"{counts['mean_support']:.1f} on average, {counts['filled']} filled.",
        f"{counts['source_bytes'] / 1e6:.1f} MB before, {counts['target_bytes'] / 1e6:.1f} MB after.",
    )
    if extend:
        tell(quiet, f"{counts['kept']} tokens of the source kept, {counts['appended']} appended.")
    if "source_tokens_per_word" in counts:
        before, after = counts["source_tokens_per_word"], counts["target_tokens_per_word"]
        tell(quiet, f"{before:.2f} tokens per word before, {after:.2f} after.")
    if not (corpus or paper):
        tell(quiet, "The output bias moved with its tokens; with --corpus it is fitted to the language, too.")
    tell(quiet, f"How each token came to be is in {output / REPORT}.")


def _require_effect(context: click.Context) -> None:
    """Raise UsageError for an option that was given and would have no effect."""
    values = context.params
    chosen = [f"--{name.replace('_', '-')}" for name in ("matrix", "auxiliary", "word_vectors") if values[name]]
    for option in (*chosen, f"--method {values['method']}"):
        refuse(context, _UNUSED.get(option, ()), f"has no effect with {option}; leave it out.")
    if values["calibrate"] and not values["corpus"]:
        refuse(context, ["calibrate"], "needs --corpus, the text to fit the output bias to.")
    if not values["auxiliary"]:
        refuse(context, ["skip_tokenizer_check"], "needs --auxiliary, the file that is not to be checked.")
