"""The command ``focus``, which imports only the subcommand that is called."""

import importlib
import io
import logging
import signal
import sys

import click

from focus_plugin import __version__
from focus_plugin.cores import limit_threads
from focus_plugin.errors import FocusError
from focus_plugin.forecast.forecast import EndOfDryRun

COMMANDS = {
    "vocab": "Train a SentencePiece vocabulary for the target language, or use a published tokenizer.",
    "auxiliary": "Train auxiliary embeddings of the target tokens.",
    "convert": "Give a multilingual encoder the target vocabulary.",
    "explain": "Show which source tokens the embedding of a token was made from.",
    "prepare": "Encode text for masked-LM training with fairseq.",
    "compare": "Compare ways of converting and training by short trainings.",
    "train": "Continue the pretraining of a converted encoder.",
    "evaluate": "Measure an encoder's masked-LM loss, or a fine-tuned model's metrics on a table.",
    "finetune": "Fine-tune an encoder for a task.",
    "export": "Export a model for serving, or for transformers.",
    "predict": "Run an exported model on a file of texts.",
    "inspect": "Show the content of a directory.",
}


class LazyGroup(click.Group):
    """Imports ``focus_cli.NAME`` only when the subcommand NAME is called, so that ``predict`` needs no torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the subcommands, in the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The subcommand, or None if there is none of that name."""
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"focus_cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand; an error in the user's input is printed as one sentence, with exit code 1."""
        try:
            return super().invoke(ctx)
        except EndOfDryRun:
            return None
        except FocusError as error:
            raise click.ClickException(str(error)) from error
        except ModuleNotFoundError as error:
            extra = "serve" if error.name == "onnxruntime" else "train"
            raise click.ClickException(
                f'{error.name} is not installed; this command needs the extra "{extra}".'
            ) from error
        except BrokenPipeError:  # the reader of our output, such as head, has closed it; click exits silently
            raise
        except OSError as error:
            raise click.ClickException(f"{error.filename or 'writing'}: {error.strerror or error}.") from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__)
def main() -> None:
    """Give a multilingual encoder a vocabulary made for one language, train it, and serve it."""
    logging.getLogger("fairseq").setLevel(logging.WARNING)  # fairseq logs which optional packages are missing
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files that are not UTF-8 are printed as they are
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that temporary files are removed
    limit_threads()


def export_main() -> None:
    """The command ``focus-export``, which is ``focus export``."""
    main.main(args=["export", *sys.argv[1:]], prog_name="focus")


if __name__ == "__main__":
    main()
