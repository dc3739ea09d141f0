"""``focus prepare``"""

from pathlib import Path
from typing import Any

import click
from focus_cli.common import launching, phases, quiet_option, tell
from focus_cli.declared import options_of

from focus_plugin.forecast.forecast import Launch
from focus_plugin.leakage import LEAKAGE, leakage_warnings
from focus_plugin.masked_lm.options import TextPreparation
from focus_plugin.options import build


@click.command("prepare")
@options_of(TextPreparation, Launch)
@click.option("--output", required=True, type=Path, help="Directory to make, for fairseq-train and focus train.")
@quiet_option
def command(output: Path, quiet: bool, **options: Any) -> None:
    """Encode text for masked-LM training with fairseq."""
    from focus_plugin.bilingual.pairs import dictionary_sentences
    from focus_plugin.jobs.prepare import PARALLEL_TEXT, TIMES_READ, TRANSLATIONS, prepare

    made = prepare(build(TextPreparation, options), output, phases(quiet), launching(quiet, options))
    counts = {**made.counts}
    warned, translations, parallel = (counts.pop(name, {}) for name in (LEAKAGE, TRANSLATIONS, PARALLEL_TEXT))
    for language, times in counts.pop(TIMES_READ, {}).items():
        tell(quiet, f"{language}: read {times:.2f} times.")
    for split, found in counts.items():
        unknown = 100 * found["unknown"] / found["tokens"]
        tell(quiet, f"{output}/{split}: {found['lines']:,} lines, {found['tokens']:,} tokens, {unknown:.2f} % unknown.")
    if parallel:
        both = " and ".join(f"{tokens:,}" for tokens in parallel["tokens"])
        tell(quiet, f"Parallel text: {parallel['lines']:,} lines, {both} tokens.", *parallel["left_out"])
    tell(quiet, *(dictionary_sentences(translations) if translations else ()))
    tell(quiet, *(f"Warning: {sentence}" for sentence in leakage_warnings(warned)))
