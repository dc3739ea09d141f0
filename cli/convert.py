"""``focus convert``"""

from pathlib import Path

import click
from focus_cli.common import interactive, phases, quiet_option, seed_option, tell
from focus_cli.fasttext_options import fasttext_options


@click.command("convert")
@click.option("--source", required=True, type=Path, help="XLM-R as fairseq or Hugging Face released it: a directory.")
@click.option("--vocab", required=True, type=Path, help="Directory made by focus vocab.")
@click.option("--corpus", type=Path, help="Target text, to train the auxiliary vectors on.")
@click.option("--auxiliary", type=Path, help="Token vectors instead: .bin or .vec of fastText, .npz, .safetensors.")
@click.option("--word-vectors", type=Path, help="Word vectors instead: .bin or .vec of fastText, as cc.sw.300.bin.")
@click.option("--output", required=True, type=Path, help="Directory to make: a fairseq release.")
@click.option("--method", default="focus", type=click.Choice(["focus", "random"]), help="How new rows are made.")
@click.option("--calibrate", default=16_384, help="Tokens of the corpus to fit the output bias on; 0: leave it.")
@click.option("--device", default="cpu", help="Where to compute, as torch names it: cpu, cuda, cuda:1.")
@fasttext_options
@seed_option
@quiet_option
def command(
    source: Path,
    vocab: Path,
    corpus: Path | None,
    auxiliary: Path | None,
    word_vectors: Path | None,
    output: Path,
    method: str,
    calibrate: int,
    device: str,
    dim: int,
    epochs: int,
    min_count: int,
    threads: int,
    seed: int,
    quiet: bool,
) -> None:
    """Give a multilingual encoder the target vocabulary."""
    from focus_plugin.auxiliary.training import FastTextOptions
    from focus_plugin.jobs.convert import Conversion, convert

    fasttext = FastTextOptions(dimension=dim, epochs=epochs, minimum_count=min_count, threads=threads)
    job = Conversion(source, vocab, corpus, auxiliary, word_vectors, method, fasttext, seed, calibrate, device)
    counts = convert(job, output, phases(quiet), interactive(quiet)).counts
    tell(
        quiet,
        f"{output}: of {counts['target_tokens']} tokens {counts['overlap']} copied, {counts['mixed']} mixed of "
        f"{counts['mean_support']:.1f} on average, {counts['filled']} filled.",
        f"{counts['source_bytes'] / 1e6:.1f} MB before, {counts['target_bytes'] / 1e6:.1f} MB after.",
    )
    if "source_tokens_per_word" in counts:
        before, after = counts["source_tokens_per_word"], counts["target_tokens_per_word"]
        tell(quiet, f"{before:.2f} tokens per word before, {after:.2f} after.")
