"""``focus vocab``"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from focus_cli.common import launching, phases, quiet_option, refuse, tell
from focus_cli.declared import options_of

from focus_plugin.forecast.forecast import Launch
from focus_plugin.manifest import Manifest
from focus_plugin.options import build
from focus_plugin.text import Text
from focus_plugin.vocabulary.options import UnigramTraining, VocabularyOptions

if TYPE_CHECKING:
    from focus_plugin.vocabulary.sizes import ModelShape, SizeComparison


@click.command("vocab")
@options_of(VocabularyOptions, UnigramTraining, Launch)
@quiet_option
@click.pass_context
def command(context: click.Context, /, quiet: bool, **values: Any) -> None:
    """Train a SentencePiece vocabulary for the target language, or use a published tokenizer."""
    from focus_plugin.jobs.vocabulary import compare_vocabularies, make_vocabulary, shape_of, take_vocabulary
    from focus_plugin.vocabulary.sizes import ModelShape, parse_sizes

    options, training = build(VocabularyOptions, values), build(UnigramTraining, values)
    _refuse_contradictions(context, options)
    sizes = parse_sizes(options.sizes) if options.sizes else ()
    text, phase, launch = Text.of(*options.text), phases(quiet), launching(quiet, values)
    if options.tokenizer:
        _tell_made(quiet, options, text, take_vocabulary(text, options.tokenizer, options.output, phase, launch))
        return
    size = options.size
    if sizes:
        shape = shape_of(options.source, phase) if options.source else ModelShape()
        comparison = compare_vocabularies(text, sizes, training, phase, launch, options.output)
        size = comparison.recommended
        if options.json:
            click.echo(json.dumps(_as_json(comparison, shape), indent=2))
        else:
            tell(quiet, *_table(comparison, shape))
    if options.output:
        _tell_made(quiet, options, text, make_vocabulary(text, size, options.output, training, phase, launch))


def _refuse_contradictions(context: click.Context, options: VocabularyOptions) -> None:
    if [options.size, options.tokenizer, options.sizes].count(None) != 2:
        raise click.UsageError(
            "Give --size to train a vocabulary, or --tokenizer to use a published one, or --sizes to compare sizes."
        )
    if options.tokenizer:
        refuse(context, ("sample_mb", "seed"), "has no effect on --tokenizer, which is not trained.")
    if not options.sizes:
        refuse(context, ("source", "json"), "has no effect without --sizes.")
        if not options.output:
            raise click.UsageError("Missing option '--output'.")


def _tell_made(quiet: bool, options: VocabularyOptions, text: Text, manifest: Manifest) -> None:
    """Print the result, on standard error if standard output has JSON."""
    counts = manifest.counts
    tell(
        quiet,
        f"{options.output}: {counts['pieces']} pieces, {counts['tokens_per_word']:.3f} tokens per word "
        f"on {counts['words']:,} words of {text}.",
        err=options.json,
    )
    if unknown := counts.get("unknown"):
        tell(quiet, f"{100 * unknown:.3g} % of the tokens are <unk>, text that has no other token.", err=options.json)
    if left_out := counts.get("left_out"):
        some = ", ".join(map(repr, left_out[:5])) + (", ..." if len(left_out) > 5 else "")
        tell(quiet, f"Tokens left out, since no text is cut into them: {len(left_out)} ({some}).")


def _as_json(comparison: "SizeComparison", shape: "ModelShape") -> dict[str, Any]:
    sizes = [
        {
            **asdict(figures),
            "tokens_per_word": figures.tokens_per_word,
            "embedding_mb": shape.embedding_mb(figures.size),
            "model_mb": shape.model_mb(figures.size),
        }
        for figures in comparison.figures
    ]
    return {**asdict(comparison), "figures": sizes, "width": shape.width}


def _table(comparison: "SizeComparison", shape: "ModelShape") -> Iterator[str]:
    from focus_plugin.vocabulary.sizes import RARE

    yield f"{'size':>10}  {'tokens per word':>15}  {'embeddings':>10}  {'model':>10}  {f'fewer than {RARE} times':>22}"
    for figures in comparison.figures:
        model = shape.model_mb(figures.size)
        whole = "" if model is None else f"{model:,.1f} MB"
        rare = f"{figures.rare:,} ({100 * figures.rare / figures.size:.0f} %)"
        yield (
            f"{figures.size:>10,}  {figures.tokens_per_word:>15.3f}  {shape.embedding_mb(figures.size):>7,.1f} MB  "
            f"{whole:>10}  {rare:>22}"
        )
    for size in comparison.too_large:
        yield f"{size:>10,}  more pieces than the text can fill"
    yield f"Sizes in MB are those of float32, with embeddings of width {shape.width}."
    yield f"Recommended: --size {comparison.recommended}, since {comparison.reason}"
