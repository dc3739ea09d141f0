"""The parser of the command line that the programs of this folder share."""

import argparse
from pathlib import Path


def program_parser(documentation: str | None, *paths: str) -> argparse.ArgumentParser:
    """A parser that shows ``documentation`` as it is written. Each of ``paths`` is the name of a required option."""
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in paths:
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser
