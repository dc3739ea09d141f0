"""``focus convert``"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from focus_cli.common import given_options, interactive, launching, phases, quiet_option, tell
from focus_cli.declared import click_option, options_of

from focus_plugin.auxiliary.options import ReadingOptions, VectorOptions
from focus_plugin.forecast.forecast import Launch
from focus_plugin.mixing.declaration import Method
from focus_plugin.mixing.discovery import METHODS, find_method
from focus_plugin.options import Option, build
from focus_plugin.transfer.options import (
    DEFAULT_METHOD,
    ConversionOptions,
    Initialization,
    InitializationOptions,
    initialization,
    method_options,
    without_effect,
)


class MethodCommand(click.Command):
    """A command whose options are its own and those of the method that ``--method`` names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the method before its options are parsed. An error for an option of another method names that method."""
        named = _named(args)
        ctx.meta["named"] = named
        ctx.meta["method"] = find_method(named or DEFAULT_METHOD)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            method = ctx.meta["method"].declaration.name
            owners = [other.name for other in METHODS.shipped() if error.option_name in _flags(other)]
            if not owners:
                raise
            whose = f"methods {', '.join(owners[:-1])} and {owners[-1]}" if owners[1:] else f"method {owners[0]}"
            raise click.UsageError(f"{error.option_name} is an option of the {whose}, not of {method}.") from error

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own options and those of the method."""
        found = ctx.meta.get("method")
        own = super().get_params(ctx)
        return own if found is None else [*own[:-1], *map(click_option, method_options(found.declaration)), own[-1]]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the command's options, and then those of the method, or of all that are shipped if none is named."""
        with formatter.section("Options"):
            formatter.write_dl(_records(super().get_params(ctx), ctx))
        if ctx.meta.get("named"):
            methods: Iterable[Method] = (ctx.meta["method"].declaration,)
        else:
            methods = METHODS.shipped()
        with formatter.section("Methods"):
            formatter.write_dl([(method.name, f"{method.summary} {method.paper}".strip()) for method in methods])
            if (others := METHODS.installed_names()) and not ctx.meta.get("named"):
                formatter.write_text(f"Also installed: {', '.join(others)}.")
        for names, options in _shared_by(methods).items():
            with formatter.section(f"Options of --method {', '.join(names)}"):
                formatter.write_dl(_records(map(click_option, options), ctx))


@click.command("convert", cls=MethodCommand)
@options_of(ConversionOptions)
@click.option("--output", required=True, type=Path, help="Directory to make: a fairseq release.")
@click.option(
    "--method",
    default=DEFAULT_METHOD,
    metavar="NAME|FILE",
    help="How new rows are made: a method by name, or a .py file that declares one.",
)
@options_of(InitializationOptions, ReadingOptions, VectorOptions, Launch)
@click.option(
    "--paper", is_flag=True, help="Do the same as the software of the method's authors with its default settings."
)
@quiet_option
@click.pass_context
def command(context: click.Context, /, output: Path, quiet: bool, **values: Any) -> None:
    """Give a multilingual encoder the target vocabulary, instead of its own or in addition to it."""
    what, how = build(ConversionOptions, values), chosen_initialization(context)
    from focus_plugin.jobs.convert import REPORT, convert

    launch = launching(quiet, values)
    counts = convert(what, how, output, phases(quiet), interactive(quiet), launch).counts
    tell(quiet, *counts.get("notes", ()), *_result(output, counts))
    if not (how.options.corpus or how.options.rank_bias):
        tell(
            quiet,
            "Each token has the output bias of its source tokens; with --corpus, the bias is fitted to the language.",
        )
    tell(quiet, f"{output / REPORT} shows how the embedding of each token was made.")


def chosen_initialization(context: click.Context) -> Initialization:
    """The initialization that the parsed options in ``context`` ask for. Raises UsageError for one without effect."""
    found = context.meta["method"]
    own = {"output", "paper", "quiet"}
    chosen = {name: context.params[name] for name in given_options(context) - own}
    if sentence := without_effect(found.declaration, chosen):
        raise click.UsageError(sentence)
    return initialization(found, chosen, paper=context.params["paper"])


def _result(output: Path, counts: Mapping[str, Any]) -> Iterable[str]:
    learned = f" {counts['learned']} learned," if counts["learned"] else ""
    yield (
        f"{output}: of {counts['target_tokens']} tokens {counts['overlap']} copied, {counts['mixed']} mixed of "
        f"{counts['mean_support']:.1f} on average,{learned} {counts['filled']} filled."
    )
    yield f"{counts['source_bytes'] / 1e6:.1f} MB before, {counts['target_bytes'] / 1e6:.1f} MB after."
    if "kept" in counts:
        yield f"{counts['kept']} tokens of the source kept, {counts['appended']} appended."
    if "source_tokens_per_word" in counts:
        before, after = counts["source_tokens_per_word"], counts["target_tokens_per_word"]
        yield f"{before:.2f} tokens per word before, {after:.2f} after."
    if unknown := counts.get("source_unknown"):
        yield f"{100 * unknown:.3g} % of the tokens before are <unk>, text that the source has no other token for."


def _named(args: list[str]) -> str | None:
    """The value of ``--method`` among the arguments, if it is there."""
    named = None
    for i, argument in enumerate(args):
        if argument == "--method" and i + 1 < len(args):
            named = args[i + 1]
        elif argument.startswith("--method="):
            named = argument.removeprefix("--method=")
    return named


def _flags(method: Method) -> list[str]:
    return [f"--{entry.flag}" for entry in method_options(method)]


def _records(params: Iterable[click.Parameter], ctx: click.Context) -> list[tuple[str, str]]:
    return [record for param in params if (record := param.get_help_record(ctx)) is not None]


def _shared_by(methods: Iterable[Method]) -> dict[tuple[str, ...], list[Option]]:
    """The options of the methods, by the names of the methods that have them."""
    owners: dict[Option, tuple[str, ...]] = {}
    for method in methods:
        for entry in method_options(method):
            owners[entry] = (*owners.get(entry, ()), method.name)
    groups: dict[tuple[str, ...], list[Option]] = {}
    for entry, names in owners.items():
        groups.setdefault(names, []).append(entry)
    return groups
