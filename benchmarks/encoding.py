"""Encoding for fastText against SentencePiece alone, in turns in one run.

    python benchmarks/encoding.py --text sw.train.txt --model sw.vocab/sentencepiece.bpe.model --turns 9

Alone: SentencePiece encodes the lines, already in memory, to ids on all cores, and they are thrown away. For fastText:
``write_pieces`` from the text to a file. Prints the seconds of both and the rate of the second as a share of the
first's: the median of the turns.
"""

import tempfile
from pathlib import Path
from statistics import median

from arguments import program_parser
from measure import seconds

from focus_plugin.files import read_lines
from focus_plugin.vocabulary.encoding import batches, write_pieces
from focus_plugin.vocabulary.readers import load_sentencepiece
from focus_plugin.vocabulary.tokenizers import load_tokenizer


def main() -> None:
    """Measure."""
    parser = program_parser(__doc__, "text", "model")
    parser.add_argument("--turns", type=int, default=9)
    arguments = parser.parse_args()
    processor, tokenizer = load_sentencepiece(arguments.model), load_tokenizer(arguments.model)
    lines = list(batches(read_lines(arguments.text)))

    def alone() -> None:
        for batch in lines:
            processor.encode(batch, num_threads=-1)

    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "pieces.txt"
        turns = [
            (seconds(alone), seconds(lambda: write_pieces(read_lines(arguments.text), tokenizer, output)))
            for _ in range(arguments.turns)
        ]
    for first, second in turns:
        print(f"alone {first:.2f} s, for fastText {second:.2f} s: {first / second:.0%}")
    print(f"median {median(first / second for first, second in turns):.0%}")


if __name__ == "__main__":
    main()
