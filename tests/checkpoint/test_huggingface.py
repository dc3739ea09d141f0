"""``focus export --hf`` against transformers, sentence-transformers, fairseq and SentencePiece."""

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from fairseq.models.roberta import XLMRModel
from focus_export.runtime import Predictor
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from invoked import refuse, run
from sentence_transformers import SentenceTransformer
from sources import write_text
from tokenizer_kinds import byte_level
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    XLMRobertaForMaskedLM,
    XLMRobertaForSequenceClassification,
)

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.jobs.export import export_onnx
from focus_plugin.jobs.export_huggingface import export_huggingface
from focus_plugin.jobs.export_options import OnnxExport
from focus_plugin.vocabulary.extension import extend_vocabulary
from focus_plugin.vocabulary.files import write_dictionary
from focus_plugin.vocabulary.huggingface import hugging_face_sentencepiece
from focus_plugin.vocabulary.readers import read_dictionary, read_sentencepiece
from focus_plugin.vocabulary.vocabulary import SPECIALS

MODEL = "sentencepiece.bpe.model"
ODD = [
    "",
    " ",
    " \t \r\n ",
    "a",
    "  Bata   chapa\tda .  ",
    "\xa0bata\u3000chapa\u2009da\u200b\ufeffga",
    "bata\x00chapa\x07da\x1b\x7f\x85ga\u2028da",
    "😀 bata👍🏽👩‍👩‍👧🇰🇪 😀😀chapa",
    "e\u0301 é ẹ̀ o\u0323\u0301 n\u0303 i\u0307 ŋ̀",
    "ﬁ ½ Å Ａｂ ｶﾞ ㎏ … ① ℃ ﷺ",
    "wo\u0323\u0300n e\u0329\u0301 e\u0323\u0301",
    "▁bata ▁ ▁▁chapa▁",
    "bataчапаdaबताجا東京서울ትግ",
    "BATA cHaPa 1234 12.5 -- ?!?! <bata> </bata> <0x41>",
    "\u202ebata\u200f chapa\u00adda",
    "\u0300 bata chapa…",
    "\ufe0f bata\xa0!",
    "\u200d ½",
    "bata\xa0\u200dda ½\u200d a\u0302\u200c a\u0302\u200dx 👩🏽 e\u0301🏽",
    "ga" * 300,
    "x" * 500,
]


@pytest.fixture(scope="module")
def exported(directory, release) -> Path:
    run("focus", "export", "--hf", "--model", release, "--output", directory / "release.hf")
    return directory / "release.hf"


@pytest.fixture(scope="module")
def untied(directory, release) -> Path:
    output = Path(shutil.copytree(release, directory / "untied.hf.source"))
    state = torch.load(output / "model.pt")
    state["cfg"]["model"]["untie_weights_roberta"] = True
    state["model"][OUTPUT_EMBEDDING] = 2 * state["model"][EMBEDDING] + 0.1
    torch.save(state, output / "model.pt")
    return output


@pytest.fixture(scope="module")
def lines(target_text) -> list[str]:
    return [*target_text.read_text().splitlines()[:8], *ODD]


def batch(directory: Path, lines: list[str]) -> dict[str, torch.Tensor]:
    tokenizer = AutoTokenizer.from_pretrained(directory)
    return tokenizer(lines, padding=True, truncation=True, return_tensors="pt")


@torch.inference_mode()
def check_masked_lm(exported: Path, release: Path, lines: list[str]) -> None:
    model = AutoModelForMaskedLM.from_pretrained(exported).eval()
    assert type(model) is XLMRobertaForMaskedLM
    given = batch(exported, lines)
    reference = XLMRModel.from_pretrained(str(release)).eval()
    hidden, _ = reference.model(given["input_ids"], features_only=True)
    logits, _ = reference.model(given["input_ids"])
    real = given["attention_mask"].bool()
    assert not real.all(), "a batch with padding"
    got = model(**given, output_hidden_states=True)
    torch.testing.assert_close(got.logits[real], logits[real], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.hidden_states[-1][real], hidden[real], atol=1e-5, rtol=0)
    encoder = AutoModel.from_pretrained(exported).eval()
    torch.testing.assert_close(encoder(**given).last_hidden_state[real], hidden[real], atol=1e-5, rtol=0)


def test_masked_lm_says_what_fairseq_says(exported, release, lines):
    check_masked_lm(exported, release, lines)


def test_an_output_embedding_of_its_own_is_kept(untied, lines, tmp_path):
    export_huggingface(untied, tmp_path / "hf")
    check_masked_lm(tmp_path / "hf", untied, lines)


@torch.inference_mode()
def test_a_classifier_says_what_fairseq_says(classifier, lines, tmp_path):
    export_huggingface(classifier, tmp_path / "hf")
    model, told = AutoModelForSequenceClassification.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert type(model.eval()) is XLMRobertaForSequenceClassification
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert model.config.id2label == {0: "health", 1: "sport", 2: "world news"}
    reference = XLMRModel.from_pretrained(str(classifier)).eval()
    given = batch(tmp_path / "hf", lines)
    want = reference.predict("classification", given["input_ids"], return_logits=True)
    torch.testing.assert_close(model(**given).logits, want, atol=1e-5, rtol=1e-5)
    assert not (tmp_path / "hf" / "modules.json").exists()


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_sentence_transformers_embeds_as_the_onnx_model_does(release, lines, pooling, tmp_path):
    export_huggingface(release, tmp_path / "hf", {"pooling": pooling})
    export_onnx(OnnxExport(model=release, head={"pooling": pooling}), tmp_path / "onnx")
    model = SentenceTransformer(str(tmp_path / "hf"), device="cpu")
    assert model.max_seq_length == 64
    assert max(map(len, want_ids(release, lines))) > 64, "a text to be cut"
    want = np.stack(list(Predictor(tmp_path / "onnx", truncate=True).predict(lines)))
    np.testing.assert_allclose(model.encode(lines), want, atol=1e-5, rtol=0)


def test_no_weight_is_missing_or_left_over(exported):
    _, told = AutoModelForMaskedLM.from_pretrained(exported, output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]


def test_it_is_read_back_bit_for_bit(exported, untied, release, tmp_path):
    export_huggingface(untied, tmp_path / "untied")
    for source, written in ((release, exported), (untied, tmp_path / "untied")):
        want, got = read_checkpoint(source), read_checkpoint(written)
        assert got.config == want.config
        assert got.vocabulary == want.vocabulary
        assert all(torch.equal(got.tensors[name], tensor) for name, tensor in want.tensors.items())


def want_ids(directory: Path, lines: list[str]) -> list[list[int]]:
    ids = read_dictionary(directory / "dict.txt").ids
    processor = sentencepiece.SentencePieceProcessor(model_file=str(directory / MODEL))
    return [[0, *(ids.get(piece, 3) for piece in line), 2] for line in processor.encode(lines, out_type=str)]


def test_odd_and_ordinary_text_gets_the_ids_of_sentencepiece(exported, release, source_text, target_text):
    lines = [*ODD, *source_text.read_text().splitlines(), *target_text.read_text().splitlines()]
    assert len(lines) > 6000
    tokenizer = AutoTokenizer.from_pretrained(exported)
    assert tokenizer(lines)["input_ids"] == want_ids(release, lines)
    assert tokenizer.model_max_length == 64
    assert tokenizer.decode(tokenizer(lines[-1])["input_ids"], skip_special_tokens=True) == lines[-1]


def test_a_mask_in_the_text_is_the_mask(exported):
    tokenizer = AutoTokenizer.from_pretrained(exported)
    ids = tokenizer("ba <mask> da")["input_ids"]
    assert tokenizer.mask_token_id == len(tokenizer) - 1
    assert ids == [*tokenizer("ba")["input_ids"][:-1], tokenizer.mask_token_id, *tokenizer("da")["input_ids"][1:]]
    named = [tokenizer.cls_token, tokenizer.pad_token, tokenizer.sep_token, tokenizer.unk_token, tokenizer.mask_token]
    assert named == list(SPECIALS)
    assert [tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id] == [
        *range(4)
    ]
    pair = tokenizer("ba", "da")["input_ids"]
    assert pair == [*tokenizer("ba")["input_ids"], 2, *tokenizer("da")["input_ids"][1:]]


@pytest.fixture(scope="module")
def extension(directory, release, vocabulary):
    """The tokenizer of an extended vocabulary, and its directory."""
    output = directory / "extension.files"
    output.mkdir()
    files = extend_vocabulary(release, read_dictionary(release / "dict.txt"), vocabulary, output)
    return hugging_face_sentencepiece(files[1], read_dictionary(files[0])), output


# Without what else joins the character before it than marks, names of specials, and what is no character.
CHARACTERS = st.characters(exclude_categories=("Cs",), exclude_characters="ำຳ<\r\ufdd0")
PLAIN = CHARACTERS.filter(lambda c: unicodedata.category(c)[0] != "M")
WORDS = st.sampled_from(
    [" ", "  ", "▁", "bata", "Chapa", "ga", "da.", "\t", "😀", "①", "ﬁ", "\xa0", "…", "\u200d", "가\u11a8", "ﾊﾞ"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(WORDS, PLAIN), max_size=20))
def test_any_text_gets_the_ids_of_sentencepiece(extension, parts):
    library, directory = extension
    text = "".join(parts)
    assert library.encode(text).ids == want_ids(directory, [text])[0]


MARKS = st.sampled_from("\u0300\u0301\u0302\u0303\u0304\u0308\u0323\u0327\u0329\u0331\u20dd\u3099\ufe0f")
MARKED = st.builds("".join, st.tuples(st.sampled_from("aeiouǫnsyωxɔ①ﬁ中"), MARKS, MARKS, MARKS))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(WORDS, CHARACTERS, MARKS), max_size=20))
def test_marks_anywhere_lose_no_text(extension, parts):
    library, directory = extension
    processor = sentencepiece.SentencePieceProcessor(model_file=str(directory / MODEL))
    text = "".join(parts)
    found, want = library.normalizer.normalize_str(text), processor.normalize(text)
    assert unicodedata.normalize("NFC", found) == unicodedata.normalize("NFC", want)


def test_a_mark_after_a_mask_is_a_text_s_first(exported):
    tokenizer = AutoTokenizer.from_pretrained(exported)
    after = tokenizer("\u0301 bata…")["input_ids"]
    assert tokenizer("<mask>\u0301 bata…")["input_ids"] == [0, tokenizer.mask_token_id, *after[1:]]


@given(st.lists(MARKED, max_size=4))
def test_marks_are_composed_as_sentencepiece_composes_them(extension, letters):
    library, directory = extension
    processor = sentencepiece.SentencePieceProcessor(model_file=str(directory / MODEL))
    text = " ".join(letters)
    assert library.normalizer.normalize_str(text) == processor.normalize(text)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKD"])
def test_decomposed_text_is_composed(extension, form):
    """Every composed character, and words of several scripts, also with half-width letters."""
    library, directory = extension
    processor = sentencepiece.SentencePieceProcessor(model_file=str(directory / MODEL))
    composed = [c for c in map(chr, range(0x11000)) if unicodedata.category(c) != "Cs" and unicodedata.decomposition(c)]
    canonical = [c for c in composed if unicodedata.is_normalized("NFKC", c)]
    assert len(canonical) > 900
    words = ["한국어 경기를", *map(chr, range(0xAC00, 0xD7A4, 7)), "người đường", "ギター ﾊﾞｽ ｱﾞ", "কো கொ കൊ", "ᾧ ΐ"]
    for text in (*canonical, *words):
        written = unicodedata.normalize(form, text)
        assert library.normalizer.normalize_str(written) == processor.normalize(written), text


def trained(text, directory, **options):
    """Train a SentencePiece model with its dict.txt in ``directory``; the vocabulary."""
    prefix = str(directory / MODEL).removesuffix(".model")
    sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=prefix, minloglevel=2, **options)
    vocabulary = read_sentencepiece(directory / MODEL)
    write_dictionary(directory / "dict.txt", ((token, 1) for token in vocabulary.tokens[4:-1]))
    return vocabulary


def test_pieces_that_cross_spaces_are_used(tmp_path):
    text = write_text(tmp_path / "text.txt", 500, seed=3, words=40)
    across = {"split_by_whitespace": False, "add_dummy_prefix": False, "normalization_rule_name": "identity"}
    vocabulary = trained(text, tmp_path, vocab_size=250, **across)
    lines = [*text.read_text().splitlines()[:200], *ODD]
    want = want_ids(tmp_path, lines)
    assert any("▁" in vocabulary.tokens[i][1:] for ids in want for i in ids)
    found = hugging_face_sentencepiece(tmp_path / MODEL, vocabulary).encode_batch(lines)
    assert [sorted(line.ids) for line in found] == [sorted(ids) for ids in want]


DEFINED = ["[user]", "<sep>", ".", "ma"]  # as ALBERT's and XLNet's punctuation
OTHER_KINDS = {
    "bpe": {"model_type": "bpe"},
    "bpe with bytes": {"model_type": "bpe", "byte_fallback": True},
    "unigram with bytes": {"byte_fallback": True},
    "marks after words": {"treat_whitespace_as_suffix": True},
    "bpe with marks after words": {"model_type": "bpe", "treat_whitespace_as_suffix": True},
    "pieces of the user": {"user_defined_symbols": DEFINED, "vocab_size": 400},
}


@pytest.fixture(scope="module", params=OTHER_KINDS)
def other_kind(request, directory, source_text):
    """A SentencePiece model of another kind, and the library's tokenizer."""
    output = directory / request.param
    output.mkdir()
    vocabulary = trained(source_text, output, **{"vocab_size": 600, **OTHER_KINDS[request.param]})
    return hugging_face_sentencepiece(output / MODEL, vocabulary), output


def test_other_kinds_are_cut_as_by_sentencepiece(other_kind, source_text):
    library, directory = other_kind
    assert "<0x41>" in "".join(ODD), "the name of a byte is text"
    lines = [*source_text.read_text().splitlines(), *ODD]
    assert [line.ids for line in library.encode_batch(lines)] == want_ids(directory, lines)


@given(
    words=st.lists(st.one_of(st.text(PLAIN, max_size=8), st.sampled_from(["<0x4F>", "x<0x0A>", *DEFINED])), max_size=5)
)
def test_any_text_is_cut_by_other_kinds_as_by_sentencepiece(other_kind, words):
    library, directory = other_kind
    text = " ".join(words)
    assume(library.normalizer.normalize_str(text))
    assert library.encode(text).ids == want_ids(directory, [text])[0]


def test_ids_are_decoded(other_kind):
    """With bytes, every text is; without, unknown text is lost."""
    library, directory = other_kind
    found = library.decode(library.encode("bata 漢字 é").ids)
    assert found.rstrip() == ("bata 漢字 é" if directory.name.endswith("bytes") else "bata")


def test_a_piece_of_the_user_that_would_be_normalized_is_refused(directory, source_text):
    (output := directory / "ligature").mkdir()
    vocabulary = trained(source_text, output, vocab_size=600, user_defined_symbols=["ﬁ"])
    with pytest.raises(
        FocusError, match="has the user-defined piece 'ﬁ', which Hugging Face's library would normalize"
    ):
        hugging_face_sentencepiece(output / MODEL, vocabulary)


def test_the_command_writes_the_same_twice_and_says_what_it_needs(exported, release, tmp_path):
    again = export_huggingface(release, tmp_path / "again")
    for path in filter(Path.is_file, exported.rglob("*")):
        assert (tmp_path / "again" / path.relative_to(exported)).read_bytes() == path.read_bytes()
    assert again.counts["tokens"] == len(read_dictionary(release / "dict.txt"))
    assert run("focus", "inspect", exported).stdout.splitlines()[0] == f"{exported}: Hugging Face model"
    done = run("focus", "export", "--model", release, "--output", tmp_path / "out", check=False)
    assert done.returncode == 2
    assert "--onnx, --hf and --triton" in done.stderr
    refuse("focus", "export", "--hf", "--model", exported, "--output", tmp_path / "out", says="has no model.pt")


def test_what_transformers_lacks_is_told(classifier, source_text, release, tmp_path):
    def refused(source: Path, says: str) -> None:
        with pytest.raises(FocusError, match=says):
            export_huggingface(source, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    short = Path(shutil.copytree(classifier, tmp_path / "short"))
    (short / "labels.txt").write_text("health\nsport\n")
    refused(short, "labels.txt: has 2 labels")
    other = Path(shutil.copytree(release, tmp_path / "other"))
    dictionary = (other / "dict.txt").read_text().splitlines()
    (other / "dict.txt").write_text("\n".join([*dictionary[:-1], "strange 1"]) + "\n")
    refused(other, "its pieces differ from dict.txt")
    kind = Path(shutil.copytree(release, tmp_path / "kind"))
    (kind / MODEL).unlink()
    byte_level(source_text.read_text().splitlines(), 500).save(str(kind / "tokenizer.json"))
    refused(kind, "has the token .*, which dict.txt beside it lacks")
    prefix = tmp_path / "bytes"
    settings = {"input": str(source_text), "model_prefix": str(prefix), "vocab_size": 500, "minloglevel": 2}
    sentencepiece.SentencePieceTrainer.train(**settings, model_type="bpe", user_defined_symbols=["bata"])
    with pytest.raises(FocusError, match=r"bytes.model: is of another type than .* or is BPE with user-defined pieces"):
        hugging_face_sentencepiece(prefix.with_suffix(".model"), read_sentencepiece(prefix.with_suffix(".model")))
