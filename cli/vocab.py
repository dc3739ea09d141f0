"""``focus vocab``"""

from typing import Any

import click
from focus_cli.common import phases, quiet_option, tell
from focus_cli.declared import options_of

from focus_plugin.options import build
from focus_plugin.text import Text
from focus_plugin.vocabulary.options import UnigramTraining, VocabularyOptions


@click.command("vocab")
@options_of(VocabularyOptions, UnigramTraining)
@quiet_option
def command(quiet: bool, **values: Any) -> None:
    """Train a SentencePiece vocabulary for the target language, or take a published tokenizer."""
    from focus_plugin.jobs.vocabulary import make_vocabulary, take_vocabulary

    options: VocabularyOptions = build(VocabularyOptions, values)
    if not options.output:
        raise click.UsageError("Missing option '--output'.")
    if options.tokenizer and not options.size:
        text = Text.of(*options.text)
        manifest = take_vocabulary(text, options.tokenizer, options.output, phases(quiet))
    elif options.size and not options.tokenizer:
        text = Text.of(*options.text)
        manifest = make_vocabulary(text, options.size, options.output, build(UnigramTraining, values), phases(quiet))
    else:
        raise click.UsageError("Give either --size, to train a vocabulary, or --tokenizer, to take a published one.")
    counts = manifest.counts
    tell(
        quiet,
        f"{options.output}: {counts['pieces']} pieces, {counts['tokens_per_word']:.3f} tokens per word "
        f"on {counts['words']:,} words of {text}.",
    )
    if left_out := counts.get("left_out"):
        some = ", ".join(map(repr, left_out[:5])) + (", ..." if len(left_out) > 5 else "")
        tell(quiet, f"Tokens left out, since no text is cut into them: {len(left_out)} ({some}).")
