"""The report of a conversion: its figures against plain counting, and the page itself in a real browser."""

import html
import json
import re
import unicodedata
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from browser import Element, Opened, elements_with_id, open_page
from hypothesis import given
from hypothesis import strategies as st
from report_inputs import manifest, origins_of

from focus_plugin.report.figures import figures
from focus_plugin.report.page import Report, write_report
from focus_plugin.report.sentences import summary, warnings
from focus_plugin.report.tokens import tokens
from focus_plugin.transfer.origins import COPIED, FILLED, LEARNED, LISTED, MIXED, Origins
from focus_plugin.vocabulary.counts import read_counts
from focus_plugin.vocabulary.readers import read_dictionary
from focus_plugin.vocabulary.scripts import length, script
from focus_plugin.vocabulary.vocabulary import SPECIALS, Vocabulary

KINDS = {COPIED: "copied", MIXED: "mixed", FILLED: "filled", LEARNED: "learned"}
HOSTILE = (
    "▁</script><script>document.title='owned'</script>",
    "\"'><img src=http://127.0.0.1:9/leak onerror=document.title='owned'>",
    "<!--",
    "$title",
    "\\u003c&lt;",
    "line\u2028and\u2029paragraph",
    "\x00\x07\x1b",
    "\u202ereversed",
    "\ud800",
    "▁كتاب",
)


def conversion(only_target: tuple[str, ...] = (), seed: int = 1) -> tuple[Vocabulary, Vocabulary, np.ndarray]:
    """A source, a target and vectors that some target tokens lack; ``only_target`` are mixed."""
    shared = ["▁ka", "lima", "▁shule", "7", ".", "▁в", "школе", "▁的", "▁سلام", *(f"s{i}" for i in range(40))]
    new = ["▁shuleni", "walimu", "▁2024", "€", "▁مدرسة", "▁учитель", *only_target, *(f"▁n{i}" for i in range(30))]
    rare = ["▁nadra", "١٢", "▁adiminadiminadimina"]
    source = Vocabulary.of([*SPECIALS[:4], *shared, "only", "theirs", SPECIALS[4]])
    target = Vocabulary.of([*SPECIALS[:4], *new, *reversed(shared), *rare, SPECIALS[4]])
    auxiliary = np.random.default_rng(seed).normal(1, 1, (len(target), 8)).astype(np.float32)
    auxiliary[[target.ids[token] for token in (*rare, *SPECIALS, "lima")]] = 0
    return source, target, auxiliary


def counts_of(target: Vocabulary) -> np.ndarray:
    return np.where(target.special, 0, np.arange(1, len(target) + 1) ** 2)


def embedded(page: Path) -> dict:
    """The data in a page, found as a browser finds it: up to the first end of a script."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script', page.read_text(), re.S)[1])


def write(path: Path, only_target: tuple[str, ...] = (), title: str = "one → other", **counts: float) -> Path:
    source, target, auxiliary = conversion(only_target)
    origins = origins_of(source, target, auxiliary)
    write_report(path, report(title, origins, source, target, counts_of(target), **counts))
    return path


def report(title: str, origins: Origins, source: Vocabulary, target: Vocabulary, uses, **counts: float) -> Report:
    given = {"title": title, "origins": origins, "source": source, "target": target, "uses": uses}
    return Report(**given, manifest=manifest(**counts), fill="normal")


def random_origins(kinds: list[int], seed: int, sources: int) -> Origins:
    """Origins as any method could give them."""
    draw, kind = np.random.default_rng(seed), np.array(kinds, dtype=np.int8)
    mixed = kind == MIXED
    doubled = 2 ** draw.integers(0, 15, len(kind)) + draw.integers(0, 2, len(kind))  # the edges of the bins
    support = np.where(mixed, doubled, 0).astype(np.int32)
    listed = np.arange(LISTED) < np.where(mixed, support, kind == COPIED)[:, None]
    anchors = np.where(listed, draw.integers(0, sources, (len(kind), LISTED)), -1).astype(np.int32)
    weights = np.where(listed, -np.sort(-draw.dirichlet(np.ones(LISTED), len(kind))), 0).astype(np.float32)
    similarity = np.where(mixed, draw.uniform(-0.2, 1, len(kind)), np.nan).astype(np.float32)
    return Origins(kind, support, similarity, anchors, weights)


@pytest.mark.parametrize("name", ["LATIN", "GREEK", "CYRILLIC", "ARABIC", "DEVANAGARI", "ETHIOPIC", "THAI", "VAI"])
def test_letters_have_the_script_of_their_name(name):
    letters = [chr(i) for i in range(0x11000) if unicodedata.category(chr(i)) in ("Lu", "Ll", "Lo")]
    named = [letter for letter in letters if unicodedata.name(letter, "").startswith(f"{name} ")]
    assert len(named) > 40
    assert {script(letter) for letter in named} == {name.title()}


@pytest.mark.parametrize(
    ("form", "written", "characters"),
    [
        ("▁covid-19", "Latin", 8),
        ("«Да", "Cyrillic", 3),
        ("▁ᐃᓄᒃ", "Canadian Aboriginal", 3),
        ("▁𐌰𐌱", "other script", 2),
        ("▁2024", "numbers", 4),
        ("½", "numbers", 1),
        ("▁", "punctuation, symbols", 0),
        ("😀", "punctuation, symbols", 1),
        ("<0xC3>", "bytes", 1),
        ("<0xE2><0x96>", "bytes", 2),
    ],
)
def test_script_and_length_of_a_token(form, written, characters):
    assert (script(form), length(form)) == (written, characters)


def length_label(form: str) -> str:
    return str(length(form)) if length(form) < 16 else "16+"


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 10**6))
def test_figures_are_what_counting_gives(kinds, seed):
    """The vocabulary is cut from one list, so that scripts and lengths vary with its size."""
    forms = [*SPECIALS, *(f"▁{'ab'[i % 2] * (i % 19)}{'я1'[i % 2]}{i}" for i in range(60))][: len(kinds)]
    target, origins = Vocabulary.of(forms), random_origins(kinds, seed, 50)
    counts = counts_of(target)
    found = figures(origins, target, counts, {})
    plain = [i for i in range(len(kinds)) if forms[i] not in SPECIALS]

    def group(rows: list[int], weights: np.ndarray) -> dict[str, int]:
        return {name: sum(int(weights[i]) for i in rows if kinds[i] == kind) for kind, name in KINDS.items()}

    everything, ones = list(range(len(kinds))), np.ones(len(kinds))
    assert asdict(found.vocabulary) == {"label": "vocabulary", **group(everything, ones)}
    assert asdict(found.text) == {"label": "the corpus", **group(everything, counts)}
    for groups, key in ((found.scripts, script), (found.lengths, length_label)):
        for one in groups:
            assert asdict(one) == {"label": one.label, **group([i for i in plain if key(forms[i]) == one.label], ones)}
        assert sum(one.total for one in groups) == len(plain)
        assert len({one.label for one in groups}) == len(groups)
    assert [one.total for one in found.scripts] == sorted((one.total for one in found.scripts), reverse=True)
    assert found.anchors == sum(kinds[i] == COPIED for i in plain)

    mixed = [i for i in everything if kinds[i] == MIXED]
    for one in found.supports:
        low, high = int(one.label.split("–")[0]), int(one.label.split("–")[-1])
        assert one.tokens == sum(low <= origins.support[i] <= high for i in mixed)
    for one in found.similarities:
        low, high = map(float, one.label.split("–"))
        inside = [low <= max(origins.similarity[i], 0) < high for i in mixed]
        assert one.tokens == sum(inside)
    assert sum(one.tokens for one in found.supports) == sum(one.tokens for one in found.similarities) == len(mixed)
    assert found.mean_support == pytest.approx(np.mean([origins.support[i] for i in mixed]) if mixed else 0)

    listed = min(15, (len(mixed) + 1) // 2)
    by_weight = sorted((float(origins.weights[i, 0]) for i in mixed), reverse=True)
    assert [float(origins.weights[i, 0]) for i in found.most_trusted] == by_weight[:listed]
    assert [float(origins.weights[i, 0]) for i in found.least_trusted] == by_weight[::-1][:listed]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 10**6))
def test_the_table_holds_every_mixture_and_every_renamed_copy(kinds, seed):
    source = Vocabulary.of([f"t{i}" if i % 2 else f"s{i}" for i in range(50)])
    target, origins = Vocabulary.of([f"t{i}" for i in range(len(kinds))]), random_origins(kinds, seed, 50)
    table = tokens(origins, source, target, None)
    assert table.forms[: len(target)] == list(target.tokens)
    assert [int(digit) for digit in table.kinds] == kinds
    assert table.counts is None
    for i, (support, similarity, *pairs) in zip(np.flatnonzero(origins.kind == MIXED), table.mixtures, strict=True):
        shown = origins.anchors[i] >= 0
        assert support == origins.support[i]
        assert similarity == pytest.approx(1000 * origins.similarity[i], abs=0.501)
        assert [table.forms[place] for place in pairs[::2]] == [source.tokens[j] for j in origins.anchors[i][shown]]
        np.testing.assert_allclose(pairs[1::2], 1000 * origins.weights[i][shown], atol=0.501)
    named = {i: table.forms[place] for i, place in table.copies}
    for i in np.flatnonzero(origins.kind == COPIED):
        assert named.get(i, target.tokens[i]) == source.tokens[origins.anchors[i, 0]]


def test_counts_are_those_of_the_dictionary(tmp_path):
    (tmp_path / "dict.txt").write_text("▁a 12\nb c 3\n<mask> -1\n▁d 5 #fairseq:overwrite\n", encoding="utf-8")
    vocabulary = read_dictionary(tmp_path / "dict.txt")
    counts = read_counts(tmp_path / "dict.txt", vocabulary)
    assert dict(zip(vocabulary.tokens, counts.tolist(), strict=True)) == {
        **dict.fromkeys(SPECIALS, 0),
        "▁a": 12,
        "b c": 3,
        "▁d": 5,
    }


def test_the_page_says_and_holds_the_figures(tmp_path):
    page = write(tmp_path / "report.html", source_tokens_per_word=2.5, target_tokens_per_word=1.25)
    source, target, auxiliary = conversion()
    origins = origins_of(source, target, auxiliary)
    data = embedded(page)
    assert data["tokens"]["forms"][: len(target)] == list(target.tokens)
    kinds = {name: sum(origins.kind == kind) for kind, name in KINDS.items()}
    assert kinds == {"copied": 49 + 5, "mixed": 36, "filled": 3, "learned": 0}
    assert data["figures"]["vocabulary"] == {"label": "vocabulary", **kinds}
    assert data["figures"]["tokens_per_word"] == {"before": 2.5, "after": 1.25}
    assert data["made"]["inputs"] == {"corpus": "0" * 64}
    text = html.unescape(page.read_text())
    assert "Of the 93 tokens of the new vocabulary, 54 (58.1 %) are also in" in text
    assert "36 (38.7 %) are mixtures" in text
    assert "3 (3.2 %) were filled (normal)" in text
    assert "1.25 tokens on average instead of 2.50, so texts are 50 % shorter" in text


def test_a_flat_space_and_missing_vectors_are_warned_of():
    source, target, auxiliary = conversion()

    def warned(vectors: np.ndarray) -> str:
        return " ".join(warnings(figures(origins_of(source, target, vectors), target, counts_of(target), {})))

    clusters = np.eye(8, dtype=np.float32)[np.arange(len(target)) % 8] * auxiliary.any(axis=1, keepdims=True)
    assert warned(clusters + 0.01 * auxiliary) == ""
    assert "Mixtures are dense: a mixture has 48 of 49" in warned((auxiliary != 0) + 0.001 * auxiliary)
    few = clusters.copy()
    few[4:34] = 0
    assert re.search(r"33 \(35.5 %\) of the tokens \(.* of the corpus\) had no auxiliary embedding", warned(few))


def test_a_large_support_is_warned_of_whatever_its_share():
    kinds = [COPIED] * 30_000 + [MIXED] * 10
    origins = random_origins(kinds, 1, 40_000)
    origins.support[kinds.index(MIXED) :] = 1500
    target = Vocabulary.of([f"t{i}" for i in range(len(kinds))])
    assert "1,500 of 30,000" in " ".join(warnings(figures(origins, target, None, {})))
    origins.support[kinds.index(MIXED) :] = 900
    assert warnings(figures(origins, target, None, {})) == []


def test_a_conversion_without_mixtures_says_so():
    origins = random_origins([COPIED, FILLED, FILLED], 1, 9)
    found = figures(origins, Vocabulary.of(["a", "b", "c"]), None, {})
    assert (found.supports, sum(one.tokens for one in found.similarities), found.most_trusted) == ((), 0, ())
    assert "The method made no embeddings" in " ".join(warnings(found))
    assert "2 (66.7 %) were filled (mean)" in " ".join(summary(found, "mean"))
    assert "negative" not in " ".join(summary(found, "mean", convex=False)), "it has no mixtures"


def test_learned_rows_are_told_of_and_not_warned_of():
    origins = random_origins([COPIED, LEARNED, LEARNED, FILLED], 1, 9)
    found = figures(origins, Vocabulary.of(["a", "b", "c", "d"]), np.array([1, 3, 0, 4]), {})
    part = (
        "The method made nothing for 1 (25.0 %) of the tokens (50.0 % of the tokens of the corpus); they were filled."
    )
    assert warnings(found) == [part]
    said = " ".join(summary(found, "mean"))
    assert "0 (0.0 %) are mixtures, 2 (50.0 %) were learned by the method, and 1 (25.0 %) were filled (mean)" in said
    assert "12.5 % are copied, 0.0 % are mixed, 50.0 % are filled, 37.5 % are learned" in said


def test_mixtures_of_a_method_that_compares_no_vectors_are_not_judged_by_similarity(tmp_path):
    """Its weights may have either sign; what counts is their size."""
    origins = random_origins([COPIED] * 10 + [MIXED] * 40, 1, 20)
    origins.similarity[:] = np.nan
    origins.support[10:] = 9
    origins.weights[10:] *= -1
    source, target = (Vocabulary.of([f"{name}{i}" for i in range(50)]) for name in "st")
    found = figures(origins, target, None, {})
    assert found.similarities == ()
    assert warnings(found) == []
    sizes = [abs(float(origins.weights[i, 0])) for i in found.most_trusted]
    assert sizes == sorted(np.abs(origins.weights[10:, 0]).tolist(), reverse=True)[: len(sizes)]
    given = {"title": "signed", "origins": origins, "source": source, "target": target, "uses": None}
    write_report(tmp_path / "x.html", Report(**given, manifest=manifest(), fill="normal", convex=False))
    data = embedded(tmp_path / "x.html")
    assert not data["convex"]
    for row, (support, similarity, *pairs) in zip(range(10, 50), data["tokens"]["mixtures"], strict=True):
        assert (support, similarity) == (9, None)
        np.testing.assert_allclose(pairs[1::2], 1000 * origins.weights[row][origins.anchors[row] >= 0], atol=0.501)


def test_the_same_input_gives_the_same_bytes(tmp_path):
    first, second = write(tmp_path / "1.html", HOSTILE), write(tmp_path / "2.html", HOSTILE)
    assert first.read_bytes() == second.read_bytes()


def test_hostile_tokens_stay_data(tmp_path):
    page = write(tmp_path / "report.html", HOSTILE, title='</title><script>"$data"')
    assert set(HOSTILE) <= set(embedded(page)["tokens"]["forms"])
    text = page.read_text()
    assert text.count("<script") == text.count("</script>") == 2
    assert "\u2028" not in text
    assert "<title>&lt;/title&gt;&lt;script&gt;&quot;$data&quot;</title>" in text


def test_fifty_thousand_tokens_stay_under_five_megabytes(tmp_path):
    size, sources = 50_000, 250_000
    kinds = np.random.default_rng(1).choice([COPIED, MIXED, FILLED], size, p=[0.3, 0.65, 0.05]).tolist()
    source = Vocabulary.of([f"▁token{i}" for i in range(sources)])
    target = Vocabulary.of([f"▁token{i * 5}" for i in range(size)])
    page = tmp_path / "report.html"
    origins = random_origins(kinds, 1, sources)
    origins.anchors[origins.anchors >= 0] //= 5
    origins.anchors[origins.anchors >= 0] *= 5  # anchors are of the overlap
    write_report(page, report("large", origins, source, target, np.full(size, 12_345)))
    assert page.stat().st_size < 5e6


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Opened:
    """The page of hostile tokens, opened with a search for the Arabic one among them."""
    directory = tmp_path_factory.mktemp("browser")
    title = "<script>document.title='owned'</script>"
    words = {"source_tokens_per_word": 2.5, "target_tokens_per_word": 1.25}
    return open_page(write(directory / "report.html", HOSTILE, title, **words), "#q=كتاب", directory)


def lines(scroll: Element) -> list[str]:
    """The text of each line of a table, without its head."""
    return [row.text for row in scroll.all("tr")[1:]]


def test_the_browser_draws_every_plot(opened, tmp_path):
    data = embedded(write(tmp_path / "same.html", HOSTILE))["figures"]
    page = elements_with_id(opened.dom)
    kinds = [name for name in KINDS.values() if name != "learned"]
    expected = {
        "made": [row[kind] for row in (data["vocabulary"], data["text"]) for kind in kinds],
        "scripts": [row[kind] for row in data["scripts"] for kind in kinds],
        "lengths": [row[kind] for row in data["lengths"] for kind in kinds],
        "supports": [row["tokens"] for row in data["supports"]],
        "similarities": [row["tokens"] for row in data["similarities"]],
    }
    for plot, values in expected.items():
        bars = page[plot].all("rect")
        told = [int(re.search(r": ([\d,]+) ", bar.text)[1].replace(",", "")) for bar in bars]
        assert told == values, plot
        cells = [cell.text.replace(",", "") for row in page[plot].all("tr")[1:] for cell in row.all("td")[1:]]
        assert [int(cell) for cell in cells] == values, plot
    for plot in ("lengths", "supports", "similarities"):
        heights = np.array([float(bar.attributes["height"]) for bar in page[plot].all("rect")])
        share = np.array(expected[plot]) / np.sum(expected[plot])
        np.testing.assert_allclose(heights / heights.sum(), share, atol=1e-9)
    before, after = (float(bar.attributes["width"]) for bar in page["tokens-per-word"].all("rect"))
    assert before == pytest.approx(2 * after)


def test_the_browser_finds_a_mixture_by_the_address(opened):
    source, target, auxiliary = conversion(HOSTILE)
    origins, page = origins_of(source, target, auxiliary), elements_with_id(opened.dom)
    [found] = lines(page["found"])
    row = target.ids["▁كتاب"]
    anchors = [source.tokens[i] for i in origins.anchors[row] if i >= 0]
    assert found.startswith("▁كتابmixed")
    assert f"{origins.similarity[row]:.3f}{origins.support[row]}" in found
    for anchor, weight in zip(anchors, origins.weights[row], strict=False):
        assert f"{anchor} {100 * weight:.1f} %" in found
    more = re.search(r"and (\d+) more ([\d.]+) %$", found)
    assert int(more[1]) == origins.support[row] - LISTED > 0
    assert float(more[2]) == pytest.approx(100 * (1 - origins.weights[row].sum()), abs=0.3)
    assert page["hits"].text == "1 token"
    assert all(bdi.attributes["dir"] == "auto" for bdi in page["found"].all("bdi"))
    assert len(page["found"].all("bdi")) == 1 + len(anchors)


def test_the_browser_runs_nothing_but_the_page(opened):
    assert opened.console == []
    assert opened.requests == set()
    title = re.search("<title>(.*?)</title>", opened.dom, re.S)[1]
    assert html.unescape(title) == "<script>document.title='owned'</script>"


def test_the_browser_shows_all_tokens_and_hides_what_there_is_not(tmp_path):
    origins = random_origins([COPIED] * 10 + [FILLED] * 290, 1, 20)
    source = Vocabulary.of([f"s{i}" for i in range(20)])
    target = Vocabulary.of([*HOSTILE, *(f"t{i}" for i in range(290))])
    write_report(tmp_path / "report.html", report("plain", origins, source, target, None))
    opened = open_page(tmp_path / "report.html", "", tmp_path)
    page = elements_with_id(opened.dom)
    shown = lines(page["found"])
    assert (len(shown), page["hits"].text) == (200, "300 tokens, the first 200 shown")
    assert shown[0].startswith(HOSTILE[0])
    assert shown[5].startswith("line⟨U+2028⟩and⟨U+2029⟩paragraph")
    assert shown[6].startswith("⟨U+0000⟩⟨U+0007⟩⟨U+001B⟩")
    assert shown[7].startswith("⟨U+202E⟩reversed")
    assert shown[8].startswith("⟨U+D800⟩")
    assert [line.split("copied")[1] for line in shown[:10]] == [source.tokens[i] for i in origins.anchors[:10, 0]]
    sections = re.findall(r"<section[^>]*>", opened.dom)
    assert [section for section in sections if "hidden" in section] == [s for s in sections if "data-needs" in s]
    assert opened.console == []


INTRUDERS = "<img src=http://127.0.0.1:9/leak><script>document.title = 'owned'</script>"


@pytest.mark.parametrize("guarded", [True, False])
def test_the_policy_of_the_page_keeps_the_network_and_other_scripts_out(tmp_path, guarded):
    """Without the policy the same intruders get through, so these tests would notice them."""
    text = write(tmp_path / "report.html").read_text().replace("</main>", f"{INTRUDERS}</main>")
    page = tmp_path / "changed.html"
    page.write_text(text if guarded else re.sub("<meta http-equiv[^>]*>", "", text))
    opened = open_page(page, "", tmp_path)
    assert opened.requests == (set() if guarded else {"http://127.0.0.1:9/leak"})
    assert ("<title>owned</title>" in opened.dom) is not guarded
    assert any("Content Security Policy" in line for line in opened.console) is guarded
