"""Cutting raw text into words as a table's words are cut."""

import unicodedata
from itertools import pairwise

import pytest
from focus_export.word_splitter import PLACES, WordSplitter
from hypothesis import given
from hypothesis import strategies as st

from focus_plugin.tagging.sentences import TaggedSentence
from focus_plugin.tagging.splitting import fitted_splitter, with_raw_text


def sentence(words: str, gaps: tuple[str, ...] | None = None) -> TaggedSentence:
    found = tuple(words.split(" "))
    return TaggedSentence(words=found, tags=("O",) * len(found), lines=tuple(range(len(found))), gaps=gaps)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ('Leo , Asha ( 12 ) alisema : " njoo ! " .', 'Leo, Asha (12) alisema: "njoo!".'),
        ("“ Hapana ” , ' la ' - $ 5 %", "“Hapana”, 'la' - $5%"),
        ('"""" a ...', '""""a...'),
        ("我 用 iPhone 手机 ， 他 （ 2024 年 ） 也 用 。", "我用 iPhone 手机，他（2024 年）也用。"),
        ("สมชาย ไป เที่ยว ที่ Bangkok", "สมชายไปเที่ยวที่ Bangkok"),
        ("한국어 는 , 어렵다 😀 😀", "한국어 는, 어렵다 😀 😀"),
    ],
)
def test_usual_writing(words: str, text: str) -> None:
    raw = with_raw_text(sentence(words))
    assert raw.text == text
    assert [raw.text[start:end] for start, end in raw.spans] == words.split(" ")


TABLE = [
    sentence("Ng'ombe wa Dkt. Asha ( miaka 12.5 ) , wa 10:30 , alisema : ' la ' ."),
    sentence("Dkt. Asha na ng'ombe walikwenda U.S.A. - Kenya , saa 10:30 ."),
    sentence("Mwalimu wa U.S.A. alilipa $ 5 kwa wa-Kenya na e-mail ..."),
    sentence("Dk . Juma alilipa 7 % ... na alikwenda - akarudi - akalala . Kenya. Kenya . Kenya ."),
]


def cut(splitter: WordSplitter, text: str) -> list[str]:
    """The words of a text."""
    return [text[start:end] for start, end in splitter.spans(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ng'ombe 'wa' Dkt. Juma, 3.5.", "Ng'ombe|'|wa|'|Dkt.|Juma|,|3.5|."),
        ("(U.S.A.) 10:30:", "(|U.S.A.|)|10:30|:"),
        ("$5,7%", "$|5|,|7|%"),
        ("xDkt. Dkt.x U.S.Ab", "xDkt|.|Dkt.|x|U.S.Ab"),
        ("Kenya. kuja...", "Kenya|.|kuja|..."),
        ("a-b  na\u00a0c\r\nd", "a|-|b|na|c|d"),
        ("e\u0301. n\u0303'o 👨\u200d👩,", "e\u0301|.|n\u0303'o|👨\u200d👩|,"),
        ("👍🏽👍🏽a 🇹🇿🇰🇪🇺 1\ufe0f\u20e3.", "👍🏽|👍🏽|a|🇹🇿|🇰🇪|🇺|1\ufe0f\u20e3|."),
        ("\0a\x07.", "\0a\x07|."),
        ("", ""),
    ],
)
def test_a_fitted_splitter(text: str, words: str) -> None:
    """Between words a hyphen is mostly a word of its own; so is the point after Kenya, once forgotten."""
    assert cut(fitted_splitter(TABLE), text) == [word for word in words.split("|") if word]


UNSPACED = [
    sentence("王 小 明 去 了 北京 大学 。"),
    sentence("北京 很 大 ， 北京 大学 也 很 大 。"),
    sentence("ដំបូង สมชาย ไป เที่ยว กรุงเทพฯ"),
    sentence("ដំបូង สมชาย ไป กรุงเทพฯ"),
]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("小明在北京大学，很大。", "小|明|在|北京|大学|，|很|大|。"),
        ("ｱﾝﾅさんは2024年OK・東京", "ｱ|ﾝ|ﾅ|さ|ん|は|2024|年|OK|・|東|京"),
        ("สมชายไปกรุงเทพฯ๒๕๖๗ ที่", "สมชาย|ไป|กรุงเทพฯ|๒๕๖๗|ที่"),
        ("ដំបូង\u200bខ្មែរ។", "ដំបូង|ខ្មែ|រ|។"),
        ("北京\u0301京 Asha北京 Tokyo", "北|京\u0301|京|Asha|北京|Tokyo"),
        ("한국어는", "한국어는"),
    ],
)
def test_scripts_without_spaces(text: str, words: str) -> None:
    """A character is a word, unless the table has it in a longer word more than once; marks stay at their letter."""
    assert cut(fitted_splitter(UNSPACED), text) == words.split("|")


def test_a_word_is_whole_only_where_its_letters_end() -> None:
    """A vowel sign of Hindi is part of the word before it, so डॉ. does not begin behind it."""
    splitter = WordSplitter(("",) * len(PLACES), ("डॉ.",))
    assert cut(splitter, "डॉ. सीता") == ["डॉ.", "सीता"]
    assert cut(splitter, "सीडॉ.") == ["सीडॉ", "."]


def test_known_gaps_count_alone() -> None:
    """A dash between spaces says nothing of a hyphen in a word if the table has the spaces."""
    words = "wa-Kenya - na - au - la"
    for gaps, joined in ((None, ""), ((" ",) * 6, "-")):
        assert fitted_splitter([sentence(words, gaps)]).joined[PLACES.index("inside")] == joined


LETTERS = st.sampled_from("ab1é中ไ\u0301\u200d\0😀.,'-\"( \u00a0\n\r\tﬁ\ud7ff")
SPLITTERS = st.builds(
    WordSplitter,
    st.tuples(*[st.sampled_from(["", "'", ".-", "\"(',."])] * len(PLACES)),
    st.lists(st.text(LETTERS, min_size=1).filter(lambda word: word.split() == [word]), max_size=3).map(tuple),
)


@given(splitter=SPLITTERS, text=st.text(LETTERS, max_size=30))
def test_words_have_all_of_a_text_but_spaces(splitter: WordSplitter, text: str) -> None:
    spans = splitter.spans(text)
    assert "".join(text[start:end] for start, end in spans) == "".join(text.split())
    assert all(start < end for start, end in spans)
    assert all(end <= after for (_, end), (after, _) in pairwise(spans))
    for start, _ in spans:
        if start and not text[start - 1].isspace():
            assert unicodedata.category(text[start])[0] != "M"


@given(words=st.lists(st.text("ab1.,'-", min_size=1, max_size=4), min_size=1, max_size=8))
def test_words_between_spaces_stay_apart(words: list[str]) -> None:
    """And each of them is cut as if it were alone, which predictions of given words rely on."""
    splitter = fitted_splitter(TABLE)
    alone = [word[start:end] for word in words for start, end in splitter.spans(word)]
    text = " ".join(words)
    assert [text[start:end] for start, end in splitter.spans(text)] == alone
