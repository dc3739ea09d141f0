"""Auxiliary vectors: from every kind of file, of tokens and of words, and what is refused."""

from pathlib import Path

from focus_plugin.vocabulary.encoding import BATCH_LINES, write_pieces
from focus_plugin.vocabulary.files import SENTENCEPIECE
from focus_plugin.vocabulary.readers import load_sentencepiece


def test_pieces_are_written_as_sentencepiece_cuts_them(vocabulary, target_text, tmp_path):
    lines = [*target_text.read_text().splitlines(), "", "   ", "ꙮ babo ꙮꙮ", "\u2028"] * (BATCH_LINES // 3000 + 1)
    (tmp_path / "text.txt").write_text("\n".join(lines))
    processor = load_sentencepiece(vocabulary / SENTENCEPIECE)
    progress: list[int] = []
    write_pieces(tmp_path / "text.txt", processor, tmp_path / "pieces.txt", progress.append)
    cut = (processor.encode(line, out_type=str) for line in lines)
    assert (tmp_path / "pieces.txt").read_text() == "".join(" ".join(pieces) + "\n" for pieces in cut if pieces)
    assert sum(progress) == (tmp_path / "text.txt").stat().st_size
