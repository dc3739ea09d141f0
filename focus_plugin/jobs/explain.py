"""Describes which source tokens the row of a target token was made from."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from focus_plugin.errors import FocusError
from focus_plugin.jobs.convert import MATRIX, REPORT
from focus_plugin.manifest import read_manifest
from focus_plugin.mixing.matrix import MixingMatrix, load_matrix, mixture
from focus_plugin.vocabulary.forms import WORD_START, byte_characters


def explain(path: Path, tokens: Sequence[str]) -> Iterator[str]:
    """Yield, for each of ``tokens``, a line on it and one for each of its source tokens with their weights.

    ``path``: a directory of focus convert, or the mixing matrix in it. Raises FocusError for a token that the target
    vocabulary does not have, and if the mixtures were too large to be saved.
    """
    if path.is_dir():
        _require_kept(path)
        path = path / MATRIX
    matrix = load_matrix(path)
    ids = {token: i for i, token in enumerate(matrix.target)}
    for token in tokens:
        yield from _lines(matrix, _row(token, ids, path))


def _row(token: str, ids: Mapping[str, int], path: Path) -> int:
    """The row of a token, written as its tokenizer writes it or with ``▁`` where a word begins.

    Byte-level BPE writes bytes, and WordPiece marks the tokens that begin no word. Raises FocusError if there is none.
    """
    marked = f"{WORD_START}{token}"
    spellings = [token, byte_characters(token)]
    if not any(other.startswith(WORD_START) for other in ids):
        spellings.append(token.removeprefix(WORD_START))
    for spelling in spellings:
        if spelling in ids:
            return ids[spelling]
    there = next((other for other in (marked, byte_characters(marked)) if other in ids), None)
    hint = f" Words start with ▁: there is {marked!r}." if there else ""
    raise FocusError(f"{path}: the target vocabulary has no token {token!r}.{hint}")


def _require_kept(directory: Path) -> None:
    manifest = read_manifest(directory)
    if manifest and manifest.counts.get("mixed") and not (directory / MATRIX).is_file():
        mean = manifest.counts.get("mean_support")
        size = f"{mean:,.0f}" if isinstance(mean, int | float) else "many"
        raise FocusError(
            f"{directory}: its mixtures were too large to be saved ({size} tokens on average). {REPORT} shows the "
            "largest weights of each."
        )


def _lines(matrix: MixingMatrix, row: int) -> Iterator[str]:
    token, parts = matrix.target[row], mixture(matrix, row)
    if matrix.copied[row] >= 0:
        yield f"{token}: copied from {parts[0][0]}."
    elif matrix.learned[row]:
        yield f"{token}: learned; the method made its row with the source model's help, not as a mixture of tokens."
    elif not parts:
        yield f"{token}: filled, since the method made nothing for it."
    else:
        similarity = matrix.similarity[row]
        compared = "" if similarity != similarity else f"; the most similar has a cosine of {similarity:.3f}"
        negative = sum(weight < 0 for _, weight in parts)
        signs = f", {negative} of them with negative weights" if negative else ""
        yield f"{token}: a mixture of {len(parts)}{signs}{compared}."
        yield from (f"{weight:8.4f}  {name}" for name, weight in parts)
