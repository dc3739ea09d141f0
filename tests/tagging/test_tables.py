"""Tables of tagged words: their formats, and sentences for what is wrong in them."""

import gzip
from pathlib import Path

import pytest

from focus_plugin.errors import FocusError
from focus_plugin.files import silent
from focus_plugin.tagging.columns import TagColumns
from focus_plugin.tagging.sentences import TaggedSentence
from focus_plugin.tagging.tables import tagged_sentences


def read(path: Path, content: str | bytes, **columns: object) -> list[TaggedSentence]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(tagged_sentences(path, TagColumns(**columns), silent))


def pairs(sentences: list[TaggedSentence]) -> list[list[tuple[str, str]]]:
    return [list(zip(sentence.words, sentence.tags, strict=True)) for sentence in sentences]


CONLL = """-DOCSTART- -X- O O

# id = 7
Asha NNP B-NP B-PER
alienda VB B-VP O

# O O
#soko NN B-NP O
# SYM B-NP O


"""


@pytest.mark.parametrize(
    "content", [CONLL, CONLL.replace(" ", "\t"), "\ufeff" + CONLL.replace("\n", "\r\n"), CONLL.rstrip()]
)
def test_conll(tmp_path: Path, content: str) -> None:
    """A line that begins with ``#`` is a word where it has the columns of one, and no comment."""
    found = read(tmp_path / "t.txt", content)
    assert pairs(found) == [[("Asha", "B-PER"), ("alienda", "O")], [("#soko", "O"), ("#", "O")]]
    assert [sentence.lines for sentence in found] == [(4, 5), (8, 9)]
    assert found[0].gaps is None
    for tag_column in ("2", "-3"):
        assert pairs(read(tmp_path / "t.txt", content, tag_column=tag_column))[0][0] == ("Asha", "NNP")
    assert pairs(read(tmp_path / "t.txt", content, word_column="2", tag_column="1"))[0] == [
        ("NNP", "Asha"),
        ("VB", "alienda"),
    ]


def test_conll_columns_by_name(tmp_path: Path) -> None:
    content = "# global.columns = ID FORM NER\n1\tAsha\tB-PER\n2\tna\tO\n"
    found = read(tmp_path / "t.conllup", content, word_column="FORM", tag_column="NER")
    assert pairs(found) == [[("Asha", "B-PER"), ("na", "O")]]
    with pytest.raises(
        FocusError, match=r"t\.txt, line 2: there is no column 'POS'; the table has 'ID', 'FORM', 'NER'"
    ):
        read(tmp_path / "t.txt", content, tag_column="POS")


def test_odd_words(tmp_path: Path) -> None:
    """With tabs, a word can have spaces, also no-break spaces; it can be a combining mark or a control character."""
    words = ["1\u00a0000", "la la", "\u0301", "\0", "😀", "\u200b", "ﬁ"]
    found = read(tmp_path / "t.txt.gz", gzip.compress("".join(f"{word}\tX\n" for word in words).encode()))
    assert list(found[0].words) == words
    spaced = read(tmp_path / "t.txt", "".join(f"{word}  X \n" for word in words if " " not in word))
    assert list(spaced[0].words) == [word for word in words if " " not in word]


ROWS = (
    "1-2\tduma\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No|X=1",
    "1\tdu\tx\tADP\ta\tCase=Gen|X=1\t0\troot\t_\t_",
    "2\tma\tx\tDET\tb\t_\t0\troot\t_\t_",
)
CONLLU = "\n".join(
    [
        "# sent_id = 1",
        "# text = duma, Na",
        *ROWS,
        "2.1\tx\tx\tVERB\t_\t_\t_\t_\t_\t_",
        "3\t,\tx\tPUNCT\tc\t_\t0\troot\t_\t_",
        "4\tNa\tx\tNOUN\td\tCase=Nom\t0\troot\t_\t_",
        "",
    ]
)


@pytest.mark.parametrize(
    ("column", "tags"),
    [
        (None, ["ADP+DET", "PUNCT", "NOUN"]),
        ("XPOS", ["a+b", "c", "d"]),
        ("5", ["a+b", "c", "d"]),
        ("Case", ["Gen+_", "_", "Nom"]),
        ("FEATS", ["Case=Gen|X=1+_", "_", "Case=Nom"]),
    ],
)
def test_conllu(tmp_path: Path, column: str | None, tags: list[str]) -> None:
    (sentence,) = read(tmp_path / "t.conllu", CONLLU, tag_column=column)
    assert (sentence.words, list(sentence.tags)) == (("duma", ",", "Na"), tags)
    assert (sentence.text, list(sentence.spans)) == ("duma, Na", [(0, 4), (4, 5), (6, 8)])
    assert sentence.lines == (3, 7, 8)


def test_json_lines(tmp_path: Path) -> None:
    content = '{"tokens": ["Asha", "na"], "tags": ["B-PER", "O"]}\n\n{"tokens": [], "tags": []}\n'
    assert pairs(read(tmp_path / "t.jsonl", content)) == [[("Asha", "B-PER"), ("na", "O")]]
    content = content.replace("tokens", "words").replace("tags", "ner")
    named = read(tmp_path / "t.jsonl", content, word_column="words", tag_column="ner")
    assert pairs(named) == [[("Asha", "B-PER"), ("na", "O")]]


@pytest.mark.parametrize(
    "spans",
    [
        '"spans": [{"start": 14, "end": 24, "label": "LOC"}, {"start": 1, "end": 5, "label": "PER"}]',
        '"entities": [{"type": "PER", "start": 1, "end": 5, "text": "x"}, {"type": "LOC", "start": 14, "end": 24}]',
        '"label": [[1, 5, "PER"], [14, 24, "LOC"]]',
        '"spans": [{"start": 1, "end": 5, "label": "PER", "token_end": 0}, {"start": 14, "end": 24, "label": "LOC"}], '
        '"tokens": [{"text": "\u201cAsha\u201d", "start": 0, "end": 6, "id": 0}], "answer": "accept"',  # of Prodigy
    ],
)
def test_spans_of_characters(tmp_path: Path, spans: str) -> None:
    """A word is also cut where a span begins."""
    text = "\u201cAsha\u201d aliondoka Dar  es😀, leo."
    (sentence,) = read(tmp_path / "t.jsonl", f'{{"text": "{text}", {spans}}}\n')
    assert pairs([sentence])[0] == [
        *(("\u201c", "O"), ("Asha", "B-PER"), ("\u201d", "O"), ("aliondo", "O"), ("ka", "B-LOC"), ("Dar", "I-LOC")),
        *(("es", "I-LOC"), ("😀", "O"), (",", "O"), ("leo", "O"), (".", "O")),
    ]
    assert sentence.text == text
    assert [text[start:end] for start, end in sentence.spans] == list(sentence.words)


@pytest.mark.parametrize("text", ["", " ", "\\u200b", "\\r\\n"])
def test_texts_without_words_are_left_out(tmp_path: Path, text: str) -> None:
    """As objects without tokens are."""
    lines = f'{{"text": "{text}", "spans": []}}\n{{"tokens": [], "tags": []}}\n{{"text": "Ba", "spans": []}}\n'
    (sentence,) = read(tmp_path / "t.jsonl", lines)
    assert (sentence.words, sentence.lines) == (("Ba",), (3,))


def test_spans_of_characters_in_a_script_without_spaces(tmp_path: Path) -> None:
    """Each character is a word, as when the model reads raw text, which has no spans."""
    text = "小明在北京大学，น้ำ。"
    (sentence,) = read(tmp_path / "t.jsonl", f'{{"text": "{text}", "label": [[0, 2, "PER"], [3, 7, "LOC"]]}}\n')
    tags = "B-PER I-PER O B-LOC I-LOC I-LOC I-LOC O O O O"
    assert (sentence.words, sentence.tags) == ((*"小明在北京大学，", "น้", "ำ", "。"), tuple(tags.split()))
    assert sentence.text == text


BIO = "a B-X\nb I-X\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", "", r"t\.txt: the table has no sentences"),
        ("t.txt", "\n \n-DOCSTART- O\n", r"t\.txt: the table has no sentences"),
        ("t.jsonl", "", r"t\.jsonl: the table has no sentences"),
        ("t.txt", "a\nb\n", r"t\.txt, line 1: 1 column; a table of tags must have words and tags"),
        ("t.txt", "a O\nb\n", r"t\.txt, line 2: 1 columns, but line 1 has 2"),
        ("t.txt", "a\tO\nb c\tO\tO\n", r"t\.txt, line 2: 3 columns, but line 1 has 2"),
        ("t.txt", "a O\n O\n", r"t\.txt, line 2: the word is empty; correct the line, or give --repair"),
        ("t.txt", "a\tO\nb\t\n", r"t\.txt, line 2: the tag is empty"),
        ("t.txt", b"a O\n\xff O\n", r"t\.txt, line 2: not valid UTF-8"),
        (
            "t.txt",
            BIO + "c X\n",
            r"t\.txt, line 3: the tag 'X' is neither O nor like 'B-X' on line 1; correct it, or give",
        ),
        ("t.txt", BIO + "c S-X\nd L-X\n", r"t\.txt: no scheme has all of the tags 'B-X' \(line 1\), 'I-X' .*'S-X'"),
        (
            "t.txt",
            BIO + "\nc I-X\n",
            r"t\.txt, line 4: 'I-X' does not continue an entity, which the scheme bio does not",
        ),
        ("t.txt", BIO + "c I-Y\n", r"t\.txt, line 3: 'I-Y' does not continue an entity"),
        ("t.txt", "a S-X\nb B-X\nc O\n", r"t\.txt, line 2: 'B-X' is the last tag of an entity, which the scheme iobes"),
        ("t.txt", "a U-X\nb B-X\n\nc I-X\n", r"t\.txt, line 2: 'B-X' is the last tag of an entity"),
        ("t.conllu", "1\ta\tO\n", r"t\.conllu, line 1: is not a line of CoNLL-U"),
        (
            "t.conllu",
            CONLLU.replace("1-2\t", "1-9\t"),
            r"t\.conllu, line 3: the words 1 to 9 are not on the lines after",
        ),
        ("t.conllu", CONLLU.replace("1-2\t", "1-999999999\t"), r"t\.conllu, line 3: the words 1 to 999999999 are not"),
        ("t.conllu", CONLLU.replace("4\tNa", "9" * 5000 + "\tNa"), r"t\.conllu, line 8: is not a line of CoNLL-U"),
        ("t.conllu", CONLLU.replace("4\tNa", "IV\tNa"), r"t\.conllu, line 8: is not a line of CoNLL-U"),
        ("t.jsonl", '{"tokens": ["a"], "tags": ["O"]}\n{"tokens": ["a"', r"t\.jsonl, line 2: not valid JSON"),
        ("t.jsonl", "[" * 100_000, r"t\.jsonl, line 1: not valid JSON"),
        ("t.jsonl", '{"tokens": ["\\ud800"], "tags": ["O"]}\n', r"t\.jsonl, line 1: has a lone surrogate"),
        ("t.jsonl", '["a"]\n', r"t\.jsonl, line 1: is not an object with .tokens. and .tags."),
        ("t.jsonl", '{"tokens": ["a", "b"], "tags": ["O"]}\n', r"t\.jsonl, line 1: 2 words, but 1 tags"),
        ("t.jsonl", '{"tokens": ["a"], "tags": [3]}\n', r't\.jsonl, line 1: "tags" is not a list of strings'),
        ("t.jsonl", '{"tokens": "a", "tags": "O"}\n', r't\.jsonl, line 1: "tokens" is not a list of strings'),
        ("t.jsonl", '{"text": "a b"}\n', r't\.jsonl, line 1: "spans" is not a list of spans'),
        (
            "t.jsonl",
            '{"text": "a b", "label": [[1, 9, "X"]]}\n',
            r"line 1: the span 1 to 9 of type 'X' is .* 3 characters",
        ),
        ("t.jsonl", '{"text": "a b", "label": [[1, 1, "X"]]}\n', r"line 1: the span 1 to 1 of type 'X' is empty"),
        ("t.jsonl", '{"text": "a b", "label": [[1, 2, "X"]]}\n', r"line 1: the span 1 to 2 has no words"),
        (
            "t.jsonl",
            '{"text": "a b", "label": [[0, 3, "X"], [2, 3, "Y"]]}\n',
            r"line 1: two spans overlap at character 2",
        ),
        ("t.jsonl", '{"text": "a b", "label": [[true, 3, "X"]]}\n', r'line 1: \[true, 3, "X"\] is not a span'),
    ],
)
def test_wrong_tables(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(FocusError, match=message):
        read(tmp_path / name, content)


def test_wrong_columns(tmp_path: Path) -> None:
    for name, content, columns, message in (
        ("t.txt", BIO, {"tag_column": "3"}, r"t\.txt, line 1: there is no column 3; the line has 2"),
        ("t.txt", BIO, {"tag_column": "NER"}, r"t\.txt, line 1: there is no column 'NER'; give its number"),
        (
            "t.conllu",
            CONLLU,
            {"tag_column": "Kase"},
            r"t\.conllu: no word has the feature 'Kase'; give one in FEATS or",
        ),
        ("t.txt", BIO, {"scheme": "iobes"}, r"t\.txt, line 2: 'I-X' is the last tag of an entity"),
        ("t.txt", BIO, {"scheme": "iob1"}, r"t\.txt, line 1: 'B-X' is not after an entity of its type"),
        ("t.txt", "a NN\n", {"scheme": "bio"}, r"t\.txt, line 1: 'NN' is not a tag of the scheme bio"),
    ):
        with pytest.raises(FocusError, match=message):
            read(tmp_path / name, content, **columns)


def test_faults_can_be_repaired(tmp_path: Path) -> None:
    """Each I- that continues nothing begins an entity, lines without a word are left out, and both are counted."""
    found = read(tmp_path / "t.txt", BIO + " O\nc I-Y\nd O\ne I-Y\n\nf I-Y\n", repair=True)
    assert [sentence.tags for sentence in found] == [("B-X", "I-X", "B-Y", "O", "B-Y"), ("B-Y",)]
    assert [sentence.repaired for sentence in found] == [3, 1]
