"""The input of a trainer of auxiliary embeddings."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from focus_plugin.auxiliary.options import VectorOptions
from focus_plugin.files import Progress
from focus_plugin.text import Text
from focus_plugin.vocabulary.tokenizers import Tokenizer
from focus_plugin.vocabulary.training import sample_lines
from focus_plugin.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class VectorTraining:
    """What to train vectors on, and how.

    tokenizer: the tokenizer of ``target``. scratch: a directory for temporary files. verbose: whether fastText shows
    its own progress.
    """

    corpus: Text
    tokenizer: Tokenizer
    target: Vocabulary
    options: VectorOptions
    seed: int
    scratch: Path
    verbose: bool = False

    def lines(self, progress: Progress) -> Iterator[str]:
        """The lines of the corpus that are not empty, or a sample of them.

        ``progress`` is called with the number of bytes read since the last call.
        """
        return sample_lines(self.corpus, self.corpus.content(), self.options.sample_bytes, self.seed, progress)

    def no_text(self) -> str:
        """The message for an empty corpus."""
        return f"{self.corpus}: the corpus is empty; it needs at least one line of text."

    def no_frequent_token(self) -> str:
        """The message if no token reaches the minimum count."""
        count = self.options.minimum_count
        return f"{self.corpus}: no token occurs {count} times; give more text or lower --min-count."
