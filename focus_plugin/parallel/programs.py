"""Word alignment by a program: eflomal or fast_align."""

import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from focus_plugin.errors import FocusError
from focus_plugin.parallel.counts import TranslationCounts
from focus_plugin.parallel.words import Words

EFLOMAL, FAST_ALIGN = "eflomal-align", "fast_align"
_ADVICE = {
    EFLOMAL: "the extra 'align' installs it: pip install 'focus-fairseq[align]'.",
    FAST_ALIGN: "build it from https://github.com/clab/fast_align and put it on the PATH.",
}


def align_by_eflomal(source: Words, target: Words) -> TranslationCounts:
    """The links that eflomal finds from the words of the target to those of the source, counted.

    Östling & Tiedemann, The Prague Bulletin of Mathematical Linguistics 106, 2016: a hidden Markov model with
    fertilities, by Gibbs sampling. Its random seed cannot be set. ``source``, ``target``: the same number of lines,
    none without a word. Raises FocusError if it is not installed or fails.
    """
    with tempfile.TemporaryDirectory(prefix="focus-align-") as directory:
        old, new, links = (Path(directory) / name for name in ("source", "target", "links"))
        for path, words in ((old, source), (new, target)):
            path.write_text("".join(f"{' '.join(line)}\n" for line in _lines(words)), encoding="ascii")
        _run([_command(EFLOMAL), "-s", str(old), "-t", str(new), "-f", str(links)])
        return _counted(source, target, links.read_text(encoding="ascii"))


def align_by_fast_align(source: Words, target: Words) -> TranslationCounts:
    """As :func:`align_by_eflomal`, by fast_align with the options that it recommends.

    Dyer, Chahuneau & Smith, NAACL 2013: IBM model 2 that prefers links near the diagonal.
    """
    with tempfile.TemporaryDirectory(prefix="focus-align-") as directory:
        both = Path(directory) / "both"
        pairs = zip(_lines(source), _lines(target), strict=True)
        both.write_text("".join(f"{' '.join(old)} ||| {' '.join(new)}\n" for old, new in pairs), encoding="ascii")
        return _counted(source, target, _run([_command(FAST_ALIGN), "-i", str(both), "-d", "-o", "-v"]))


def _lines(words: Words) -> Iterator[list[str]]:
    """Each line as the numbers of its words, which no program cuts, lowercases or takes for a separator."""
    for line in np.split(words.numbers, np.cumsum(words.lengths)[:-1]):
        yield [str(number) for number in line.tolist()]


def _command(name: str) -> str:
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise FocusError(f"{name}: no such command; {_ADVICE[name]}")
    return found


def _run(command: Sequence[str]) -> str:
    """The standard output of a command. Raises FocusError with the end of its messages if it fails."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        said = " ".join(done.stderr.split()[-50:])
        raise FocusError(f"{command[0]} failed with exit code {done.returncode}: {said}")
    return done.stdout


def _counted(source: Words, target: Words, links: str) -> TranslationCounts:
    """The counts of links, of which each line has some as ``0-2 1-0``: places of words in its source and target."""
    lines = links.splitlines()
    if len(lines) != len(source.lengths):
        raise FocusError(f"The aligner gave links for {len(lines):,} of {len(source.lengths):,} pairs of sentences.")
    places = np.array([link.split("-") for line in lines for link in line.split()], dtype=np.int64).reshape(-1, 2)
    line = np.repeat(np.arange(len(lines)), [len(text.split()) for text in lines])
    old, new = (
        words.numbers[(np.cumsum(words.lengths) - words.lengths)[line] + places[:, side]]
        for side, words in enumerate((source, target))
    )
    keys, counts = np.unique(old.astype(np.int64) * len(target.known) + new, return_counts=True)
    left, right = np.divmod(keys, len(target.known))
    return TranslationCounts(source.known, target.known, left, right, counts.astype(np.float64))
