"""``--method transtokens``: every weight against the authors' package, given the same alignment."""

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import transtokenizers.transtokenizers as package
from invoked import refuse_all, run
from mixing_inputs import dense
from tokenizer_kinds import SPECIALS, byte_level, unigram
from transformers import PreTrainedTokenizerFast

from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.methods.transtokens import METHOD, TranstokensOptions
from focus_plugin.mixing.declaration import Given
from focus_plugin.mixing.matrix import load_matrix
from focus_plugin.parallel.counts import CountsText
from focus_plugin.text import Text
from focus_plugin.vocabulary.readers import load_sentencepiece, read_tokenizer_json
from focus_plugin.vocabulary.tokenizers import hugging_face_tokenizer

NAMES = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
KINDS = {
    "unigram to unigram": (unigram, unigram),
    "byte-level to unigram": (byte_level, unigram),
    "unigram to byte-level": (unigram, byte_level),
}
# Their code takes special tokens for text that can contain other tokens: all characters of these are in both sides.
SYMBOLS = [*"</>", "12", "007", "1998", "x", *"spadunkm"]


class InOrder(PreTrainedTokenizerFast):
    """The library's tokenizer, whose vocabulary is in the order of its ids instead of in a random one."""

    def get_vocab(self) -> dict[str, int]:
        return dict(sorted(super().get_vocab().items(), key=lambda item: item[1]))


@dataclass(frozen=True)
class Languages:
    """Two tokenizers, as directories of transformers, and an alignment of words that they cut."""

    source: Path
    target: Path
    alignment: Path

    def given(self, **options: object) -> Given:
        source, target = self.source / "tokenizer.json", self.target / "tokenizer.json"
        return Given(
            source=read_tokenizer_json(source),
            target=read_tokenizer_json(target),
            source_tokenizer=hugging_face_tokenizer(source),
            target_tokenizer=hugging_face_tokenizer(target),
            options=TranstokensOptions(**options),
            files={"alignment": CountsText(Text.of(self.alignment))},
        )


@pytest.fixture(scope="module", params=KINDS)
def languages(request, source_text, tmp_path_factory) -> Languages:
    return make_languages(request.param, source_text, tmp_path_factory.mktemp("languages"))


@pytest.fixture(scope="module")
def unigrams(source_text, tmp_path_factory) -> Languages:
    return make_languages("unigram to unigram", source_text, tmp_path_factory.mktemp("unigrams"))


def make_languages(kind: str, source_text: Path, directory: Path) -> Languages:
    """Tokenizers of text that they share in part, and random counts of pairs of its words."""
    draw = random.Random(1)
    words = sorted({word for word in source_text.read_text().split() if word.isascii() and word.isalpha()})
    halves, cuts = (words[: len(words) * 2 // 3], words[len(words) // 3 :]), []
    for name, half, train, size in zip(("source", "target"), halves, KINDS[kind], (350, 700), strict=True):
        lines = [" ".join([*draw.sample(half, 8), *SYMBOLS]) for _ in range(len(half) // 4)]
        special = dict(zip(NAMES, SPECIALS, strict=True))
        library = PreTrainedTokenizerFast(tokenizer_object=train(lines, size), **special)
        library.save_pretrained(directory / name)
        cuts.append(["—".join(library.tokenize(f" {word}")) for word in half])
    lines = [
        "\t".join([draw.choice(cuts[0]), draw.choice(cuts[1]), f"{draw.uniform(-4, 0):g}", f"{draw.uniform(5, 90):g}"])
        for _ in range(400)
    ]
    nothing = ["<eps>\t▁a\t-1\t50", "▁a\t<eps>\t-1\t50", ""]
    (directory / "alignment.tsv").write_text("".join(f"{line}\n" for line in [*lines, *nothing]))
    return Languages(directory / "source", directory / "target", directory / "alignment.tsv")


def theirs(languages: Languages, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[tuple[str, float]]]]:
    """The authors' mapping: each target token with its source tokens and their weights."""
    monkeypatch.setattr(package.transformers, "AutoTokenizer", InOrder)
    files = (str(languages.source), str(languages.target))
    mapping, _ = package.map_tokens(str(languages.alignment), *files)
    return package.smooth_mapping(files[1], mapping)


def test_every_weight_is_the_authors(languages, monkeypatch):
    mapping = theirs(languages, monkeypatch)
    given = languages.given(untranslated="unknown")
    mixing = METHOD.make(given)
    weights = dense(mixing, len(given.source))
    assert [token for token, _ in mapping] == list(given.target.tokens)
    completed = 0
    for i, (token, translations) in enumerate(mapping):
        want = np.zeros(len(given.source))
        for translation, weight in translations:
            want[given.source.ids[translation]] += weight
        if given.target.special[i]:
            assert want.argmax() == mixing.copied[i] == given.source.ids[token]
            assert want.max() > 1 - 1e-5
        else:
            assert mixing.copied[i] == -1
            np.testing.assert_allclose(weights[i], want, atol=1e-6, err_msg=token)
            completed += len(translations) > 40
    assert completed, "some tokens without a translation got those of many others"


def test_tokens_without_translation_are_filled_by_default(languages):
    given = languages.given()
    few, many = (dense(METHOD.make(languages.given(pair_count=count)), len(given.source)) for count in (85, 10))
    assert (few.any(1) <= many.any(1)).all()
    sums = many.sum(1)
    np.testing.assert_allclose(sums[many.any(1)], 1, atol=1e-5)
    assert not many[given.target.special].any()


def test_an_alignment_of_plain_words_is_cut_by_the_tokenizers(languages, tmp_path):
    """The same words, as text instead of joined tokens, have the same weights."""
    given, plain = languages.given(), []
    for line in languages.alignment.read_text().splitlines():
        cells = line.split("\t")
        if line and "<eps>" not in cells:
            words = [cell.replace("—", "").replace("▁", "").replace("Ġ", "") for cell in cells[:2]]
            plain.append("\t".join([*words, cells[3]]))
    (tmp_path / "plain.tsv").write_text("\n".join(plain))
    again = Given(**{**vars(given), "files": {"alignment": CountsText(Text.of(tmp_path / "plain.tsv"))}})
    found, want = (dense(METHOD.make(one), len(given.source)) for one in (again, given))
    np.testing.assert_allclose(found, want, atol=1e-6)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a\tb", "a.tsv, line 2: expected two words and how often they are aligned, separated by tabs (2 columns)."),
        ("a\tb\tmany", "a.tsv, line 2: expected two words and how often they are aligned"),
        ("a\tb\tnan", "a.tsv, line 2: expected two words and how often they are aligned"),
        ("a\tb\tinf", "a.tsv, line 2: expected two words and how often they are aligned"),
        ("\tb\t12", "a.tsv, line 2: expected two words and how often they are aligned"),
        (
            "東\tb\t12",
            "a.tsv: 1 of 2 pairs have a word that the source or target vocabulary cannot write, such as '東'",
        ),
        ("▁zzz—q\tb\t-1\t12", "a.tsv, line 2; was it made with other tokenizers?"),
    ],
)
def test_a_damaged_alignment_is_refused(unigrams, tmp_path, line, says):
    (tmp_path / "a.tsv").write_text(f"a\ta\t30\n{line}\n")
    given = Given(**{**vars(unigrams.given()), "files": {"alignment": CountsText(Text.of(tmp_path / "a.tsv"))}})
    with pytest.raises(FocusError) as error:
        METHOD.make(given)
    assert says in str(error.value)


def parallel(directory: Path, lines: list[str]) -> Path:
    """Lines and what they are in a language in which each word is spelled backwards."""
    turned = (" ".join(word[::-1] for word in line.split()) for line in lines)
    path = directory / "parallel.tsv"
    path.write_text("".join(f"{line}\t{other}\n" for line, other in zip(lines, turned, strict=True)))
    return path


@pytest.fixture(scope="module")
def backwards(release, source_text, tmp_path_factory) -> tuple[Path, Path]:
    """Parallel text of a language and the vocabulary of one in which its words are spelled backwards."""
    directory = tmp_path_factory.mktemp("backwards")
    lines = list(dict.fromkeys(line.strip() for line in source_text.read_text().splitlines() if line.strip()))
    text = parallel(directory, [*lines, lines[0], ""])
    (directory / "target.txt").write_text("\n".join(line.split("\t")[1] for line in text.read_text().splitlines()))
    run("focus", "vocab", "--input", directory / "target.txt", "--size", 600, "--output", directory / "vocabulary")
    return text, directory / "vocabulary"


def test_the_command_finds_the_translations_in_parallel_text(release, backwards, tmp_path):
    text, vocabulary = backwards
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", "transtokens")
    said = run(*base, "--parallel", text, "--pair-count", 3, "--output", tmp_path / "out").stdout
    count = len(text.read_text().splitlines())
    assert f"{text}: of {count:,} pairs, 1 with an empty side (line {count}) and 1 that repeat" in said
    frequent = re.search(rf"{count - 2:,} pairs of sentences; (\d+) pairs of words are aligned at least 3 times", said)
    matrix = load_matrix(tmp_path / "out" / "mixing.safetensors")
    assert frequent
    assert int(frequent[1]) > 100
    source, library = read_checkpoint(release).vocabulary, load_sentencepiece(release / "sentencepiece.bpe.model")
    uses = Counter(word for line in text.read_text().splitlines() for word in line.split("\t")[1].split())
    shares = []
    for i, token in enumerate(matrix.target):
        if uses[token[1:]] > 10 and token[0] == "▁":
            pieces = [source.ids[piece] for piece in library.encode(token[:0:-1], out_type=str) if piece in source.ids]
            shares.append(matrix.weights[i, pieces].sum())
    assert len(shares) > 20
    assert np.mean(shares) > 0.6, "the word spelled backwards"
    sides = [tmp_path / name for name in ("source.txt", "target.txt")]
    for side, path in enumerate(sides):
        path.write_text("".join(line.split("\t")[side] + "\n" for line in text.read_text().splitlines()))
    files = ("--parallel-source", sides[0], "--parallel-target", sides[1])
    run(*base, *files, "--pair-count", 3, "--output", tmp_path / "two")
    assert (tmp_path / "two" / "model.pt").read_bytes() == (tmp_path / "out" / "model.pt").read_bytes()


def test_the_command_refuses_what_is_missing_or_does_not_fit(release, backwards, tmp_path):
    text, vocabulary = backwards
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", "transtokens")
    base = (*base, "--output", tmp_path / "out")
    (tmp_path / "short.txt").write_text("a\n")
    one_of = "needs one of these: --parallel, --parallel-source with --parallel-target, or --alignment."
    refuse_all(
        (base, one_of),
        ((*base, "--parallel-source", text), one_of),
        ((*base, "--parallel", text, "--alignment", text), one_of),
        ((*base, "--alignment", text, "--aligner", "eflomal"), "--aligner eflomal has no effect with --alignment"),
        ((*base, "--parallel-source", text, "--parallel-target", tmp_path / "short.txt"), "short.txt has 1; each"),
        ((*base, "--parallel", tmp_path / "short.txt"), "line 1: expected a text, a tab and its translation"),
        (
            (*base, "--parallel", text, "--pair-count", 100_000),
            f"{text}: of {len(text.read_text().splitlines()) - 2:,} pairs of sentences, no pair of words is aligned at "
            "least 100,000 times; give more parallel text or a smaller --pair-count",
        ),
        ((*base, "--parallel", tmp_path), "is a directory; name the files in it"),
    )
    assert not (tmp_path / "out").exists()


def test_options_are_published_as_the_package_has_them():
    options: Callable[..., TranstokensOptions] = TranstokensOptions
    published = {name: value for name, value in METHOD.published.items() if name != "calibrate"}
    assert options(**published).pair_count == package.MIN_COUNT_REQUIRED_FOR_CONSIDERATION
