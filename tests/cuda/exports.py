"""Write small random exports of every precision that a GPU takes, for check.py: exports.py DIRECTORY."""

import sys
import tempfile
from pathlib import Path

from export_models import train_sentencepiece, write_small_export


def main() -> None:
    """One directory a head and precision."""
    directory = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as beside:
        tokenizer = train_sentencepiece(Path(beside))
        for head in ("mood", "mean", "first"):
            for precision in ("fp32", "fp16", "bf16"):
                hidden_states = head == "first"
                write_small_export(directory / f"{head}.{precision}", head, tokenizer, precision, hidden_states)


if __name__ == "__main__":
    main()
