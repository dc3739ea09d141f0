"""What share of the batches that focus predict cuts is padding, with the token budgets of a CPU and of a GPU.

python benchmarks/padding.py --tokenizer sentencepiece.bpe.model --text texts.txt
"""

from itertools import accumulate

import numpy as np
import sentencepiece
from arguments import program_parser
from focus_export.batching import batches_by_length
from focus_export.pipeline import WINDOW_BATCHES
from focus_export.runtime import CPU_TOKEN_BUDGET, GPU_TOKEN_BUDGET

MAX_POSITIONS = 512


def padding(lengths: np.ndarray, budget: int) -> tuple[int, float]:
    """The number of batches, and the share of their tokens that is padding."""
    windows = np.array(list(accumulate(lengths.tolist()))) // (WINDOW_BATCHES * budget)
    batches = 0
    held = 0
    for window in np.unique(windows):
        inside = lengths[windows == window]
        cuts = batches_by_length(inside.tolist(), budget)
        batches += len(cuts)
        held += sum(len(cut) * int(inside[cut].max()) for cut in cuts)
    return batches, 1 - int(lengths.sum()) / held


def main() -> None:
    """Print a line a budget."""
    parser = program_parser(__doc__, "text")
    parser.add_argument("--tokenizer", required=True)
    arguments = parser.parse_args()
    pieces = sentencepiece.SentencePieceProcessor(model_file=arguments.tokenizer)
    texts = pieces.encode(arguments.text.read_text(encoding="utf-8").splitlines())
    lengths = np.array([min(len(text) + 2, MAX_POSITIONS) for text in texts])
    for budget in (CPU_TOKEN_BUDGET, GPU_TOKEN_BUDGET):
        batches, share = padding(lengths, budget)
        print(f"{len(lengths)} texts, {lengths.sum()} tokens, {budget} at once: {batches} batches, {share:.2%} padding")


if __name__ == "__main__":
    main()
