"""``--method scripts``: the moments of each class against NumPy and Unicode's names, the rows against a redrawing."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from invoked import run
from mixing_inputs import tensors
from tokenizer_kinds import byte_level, unigram

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.methods.scripts import METHOD, classified
from focus_plugin.mixing.declaration import Given
from focus_plugin.mixing.matching import MatchingOptions
from focus_plugin.mixing.rows import Rows
from focus_plugin.transfer.apply import apply
from focus_plugin.transfer.origins import LEARNED
from focus_plugin.vocabulary.readers import read_tokenizer_json
from focus_plugin.vocabulary.scripts import main_script
from focus_plugin.vocabulary.vocabulary import MASK, SPECIALS, Vocabulary

KINDS = {"unigram": unigram, "byte_level": byte_level}
LINES = [
    "Watoto walikwenda shuleni, walimu 3 wakaja.",
    "Дети пошли в школу, учителя пришли в 7 часов.",
    "ልጆች ወደ ትምህርት ቤት ሄዱ",
    "ذهب الأطفال إلى المدرسة",
] * 30
NEW = ["▁shule", "walimu", "▁учитель", "детей", "▁ልጆች", "▁مدرسة", "▁2024", "!!", "▁a1", "1a", "—a—", "ab̂ĉ", "▁東京"]


@pytest.fixture(scope="module", params=KINDS)
def source(request, tmp_path_factory) -> Vocabulary:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    KINDS[request.param](LINES, 400).save(str(path))
    return read_tokenizer_json(path)


def unicode_class(form: str) -> tuple[str, bool]:
    """Script and word start of a token, from the names of its characters."""
    names = []
    for character in form.removeprefix("▁") or form:
        first = unicodedata.name(character, "?").split("-")[0].split(" ")[0]
        letter = unicodedata.category(character)[0] in "LM"
        names.append("INHERITED" if first == "COMBINING" else first if letter else "COMMON")
    return max(names, key=names.count), form.startswith("▁")


def made(source: Vocabulary, target: Vocabulary, model: dict[str, torch.Tensor], seed: int = 3) -> Rows:
    untied = model[OUTPUT_EMBEDDING] is not model[EMBEDDING]
    given = Given(
        source=source,
        target=target,
        options=MatchingOptions(),
        seed=seed,
        embedding=model[EMBEDDING],
        output_embedding=model[OUTPUT_EMBEDDING] if untied else None,
        bias=model[OUTPUT_BIAS],
    )
    return METHOD.make(given)


def target_of(*tokens: str) -> Vocabulary:
    return Vocabulary.of([*SPECIALS[:4], *tokens, MASK])


def test_rows_are_drawn_from_the_moments_of_their_class(source):
    """The rows before they were scaled are those that the seed gives, so the moments are seen through them."""
    target, model = target_of(*NEW), tensors(len(source), 6, 1)
    rows = made(source, target, model)
    alike: dict[tuple[str, bool], list[int]] = {}
    for i, form in enumerate(source.forms):
        if not source.special[i] and not form.startswith("<0x"):
            alike.setdefault(unicode_class(form), []).append(i)
    new = [i for i in range(len(target)) if not target.special[i] and target.forms[i] not in source.forms]
    want = [i for i in new if len(alike.get(unicode_class(target.forms[i]), ())) > 1]
    assert rows.ids.tolist() == want
    assert len(want) > 6
    drawn = torch.randn(len(want), 6, generator=torch.Generator().manual_seed(3)).numpy()
    embedding, bias = model[EMBEDDING].numpy().astype(np.float64), model[OUTPUT_BIAS].numpy()
    for row, normal, i, b in zip(rows.embedding.numpy(), drawn, want, rows.bias.numpy(), strict=True):
        ids = alike[unicode_class(target.forms[i])]
        np.testing.assert_allclose(row, embedding[ids].mean(0) + normal * embedding[ids].std(0, ddof=1), atol=1e-5)
        np.testing.assert_allclose(b, bias[ids].mean(), atol=1e-5)


def test_many_rows_have_the_distribution_of_their_class(source):
    target, model = target_of(*(f"▁zzzzzz{i}" for i in range(20_000))), tensors(len(source), 3, 1)
    model[EMBEDDING] = model[OUTPUT_EMBEDDING] = model[EMBEDDING] * torch.tensor([0.1, 1, 10]) + 5
    rows = made(source, target, model).embedding
    ids = [i for i, form in enumerate(source.forms) if not source.special[i] and unicode_class(form) == ("LATIN", True)]
    torch.testing.assert_close(rows.mean(0), model[EMBEDDING][ids].mean(0), atol=0.3, rtol=0)
    torch.testing.assert_close(rows.std(0), model[EMBEDDING][ids].std(0), atol=0, rtol=0.05)
    assert not torch.equal(rows[:4], made(source, target, model, seed=4).embedding[:4])
    assert torch.equal(rows, made(source, target, model).embedding)


def test_an_untied_output_embedding_is_drawn_from_its_own_distribution(source):
    target, model = target_of(*NEW), tensors(len(source), 6, 1)
    model[OUTPUT_EMBEDDING] = torch.full_like(model[EMBEDDING], 7)
    done = apply(model, made(source, target, model), seed=1)
    learned = done.origins.kind == LEARNED
    assert learned.sum() > 6
    assert (done.tensors[OUTPUT_EMBEDDING][learned] == 7).all()
    assert not (done.tensors[EMBEDDING][learned] == 7).any()


def test_classes_without_two_source_tokens_are_filled():
    source = Vocabulary.of([*SPECIALS[:4], "▁a", "▁b", "д", "▁д", "▁ж", "1", "<0xC3>", "<0xC4>", MASK])
    target = target_of("▁c", "e", "ж", "▁я", "▁2", "2", "▁漢", "<0xC5>")
    rows = made(source, target, tensors(len(source), 4, 1))
    assert [target.tokens[i] for i in rows.ids] == ["▁c", "▁я", "<0xC5>"]
    assert torch.isfinite(rows.embedding).all()
    classes = classified(source, target)
    assert (classes.source[source.special] == -1).all()
    assert (classes.target[target.special] == -1).all()


@pytest.mark.parametrize(
    ("form", "script"),
    [
        ("▁shule", "Latin"),
        ("a-", "Latin"),
        ("-a", "Common"),
        ("-aa", "Latin"),
        ("▁", "Common"),
        ("", "Unknown"),
        ("2,024", "Common"),
        ("\u0301\u0301a", "Inherited"),
        ("жa", "Cyrillic"),
        ("東京a", "Han"),
        ("\U0001f600", "Common"),
        ("\xa0", "Common"),
        ("\x00", "Common"),
        ("\ue000", "Unknown"),
        ("\U00010330", "other script"),
        ("▁<0xC3><0xA9>", "bytes"),
        ("ᐃᓄᒃ", "Canadian Aboriginal"),
    ],
)
def test_the_script_of_most_characters_is_the_script_of_a_token(form, script):
    assert main_script(form) == script


def test_the_command(release, vocabulary, tmp_path):
    given = ("--source", release, "--vocab", vocabulary, "--method", "scripts")
    run("focus", "convert", *given, "--output", tmp_path / "out")
    source, target = read_checkpoint(release), read_checkpoint(tmp_path / "out")
    new = [token for token in target.vocabulary.tokens if token not in source.vocabulary.ids]
    said = run("focus", "explain", tmp_path / "out", new[0]).stdout
    assert said.startswith(f"{new[0]}: learned")
    alike = [i for i, token in enumerate(source.vocabulary.tokens) if unicode_class(token) == unicode_class(new[0])]
    mean, deviation = source.tensors[EMBEDDING][alike].mean(0), source.tensors[EMBEDDING][alike].std(0)
    row = target.tensors[EMBEDDING][target.vocabulary.ids[new[0]]]
    assert ((row - mean).abs() < 5 * deviation).all()
    assert "learned by the method" in Path(tmp_path / "out" / "report.html").read_text()
