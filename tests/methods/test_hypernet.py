"""``--method hypernet``: rows against the authors' arithmetic, both formats of weights, the commands, damaged files."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch
from hypernetworks import HIDDEN, LONGEST, Theirs, settings, write, write_flax
from invoked import refuse, run
from safetensors.torch import load_file, save_file
from tokenizer_kinds import SPECIALS, byte_level, odd_lines, unigram, wordpiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import XLMRobertaForMaskedLM
from transformers.convert_slow_tokenizer import bytes_to_unicode

from focus_plugin.checkpoint.checkpoint import Checkpoint
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.hypernetwork.reading import load_flax, read_hypernetwork
from focus_plugin.in_memory import new_embeddings
from focus_plugin.methods.hypernet import METHOD
from focus_plugin.mixing.declaration import Given
from focus_plugin.vocabulary.huggingface import hugging_face_sentencepiece
from focus_plugin.vocabulary.readers import read_tokenizer_json
from focus_plugin.vocabulary.vocabulary import Vocabulary

TEXT: dict[Callable[..., Tokenizer], Callable[[str], str]] = {  # of a token of each kind
    unigram: lambda token: token.replace("▁", " "),
    wordpiece: lambda token: token[2:] if token.startswith("##") else f" {token}",
}
HEADS = {"separate_out_embeddings": True, "hn_embed_lang_id": False}


def in_bytes(text: str) -> str:
    return "".join(bytes_to_unicode()[byte] for byte in text.encode())


@pytest.fixture(scope="module")
def source(release) -> Checkpoint:
    return read_checkpoint(release)


@pytest.fixture(scope="module")
def tokenizer(release, source) -> Tokenizer:
    """The source's, as a ``tokenizer.json`` has it."""
    return hugging_face_sentencepiece(release / "sentencepiece.bpe.model", source.vocabulary)


@pytest.fixture(scope="module")
def scores(tokenizer) -> dict[str, float]:
    """The byte-level vocabulary of the hypernetwork, in the order of its ids."""
    found = {
        piece if piece in SPECIALS else in_bytes(piece.replace("▁", " ")): score
        for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]
    }
    return found | {character: -100_000.0 for character in bytes_to_unicode_in_order() if character not in found}


def bytes_to_unicode_in_order() -> list[str]:
    return [bytes_to_unicode()[byte] for byte in range(256)]


@pytest.fixture(scope="module")
def plain(source, scores) -> dict[str, Any]:
    rows, width = source.tensors[EMBEDDING].shape
    return settings(rows, width, len(scores) - rows)


@pytest.fixture(scope="module")
def published(plain, tokenizer, tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("published") / "zett", Theirs(plain), tokenizer)


def best_cut(token: str, scores: dict[str, float]) -> list[int]:
    """The pieces with the largest sum of scores; of several the one whose last piece is longest."""
    ids = {piece: i for i, piece in enumerate(scores)}
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for end in range(1, len(token) + 1):
        ways = [
            (best[start][0] + scores[token[start:end]], [*best[start][1], ids[token[start:end]]])
            for start in range(end)
            if token[start:end] in scores
        ]
        best.append(max(ways, key=lambda way: way[0]))
    return best[-1][1]


def made_by(directory: Path, source: Checkpoint, target: Vocabulary, output: torch.Tensor | None = None, **options):
    notes: list[str] = []
    given = Given(
        source=source.vocabulary,
        target=target,
        options=METHOD.options(**options),
        files={"hypernet": METHOD.files[0].read(directory)},
        embedding=source.tensors[EMBEDDING],
        output_embedding=output,
        tell=notes.append,
    )
    return METHOD.make(given), notes


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (unigram, {}),
        (byte_level, {}),
        (wordpiece, {"hn_predict_bias": False, "hn_rescale_embeddings": False, "hn_embed_lang_id": False}),
        (unigram, HEADS),
        (byte_level, {**HEADS, "hn_single_head": True, "hn_rescale_embeddings": False}),
    ],
)
def test_every_row_is_the_authors(kind, changed, source, tokenizer, scores, plain, target_text, tmp_path):
    words = target_text.read_text().split()[:3000]
    library = kind([*odd_lines(words, random.Random(1)), *target_text.read_text().splitlines()], 700)
    library.save(str(tmp_path / "target.json"))
    target, theirs = read_tokenizer_json(tmp_path / "target.json"), Theirs({**plain, **changed})
    output = torch.randn(source.tensors[EMBEDDING].shape, generator=torch.Generator().manual_seed(2))
    untied, told = "separate_out_embeddings" in changed, "hn_embed_lang_id" not in changed
    language = {"hypernet_language": "sw"} if told else {}
    made, notes = made_by(
        write(tmp_path / "zett", theirs, tokenizer), source, target, output if untied else None, **language
    )
    assert made.copied[made.ids].max() == -1
    assert np.array_equal(np.flatnonzero(made.copied >= 0), np.flatnonzero(target.special)), "only special tokens"
    raw = sorted(library.get_vocab(), key=library.get_vocab().get)
    tokens = [raw[i] if kind is byte_level else in_bytes(TEXT[kind](raw[i])) for i in made.ids]
    cuts = [best_cut(token, scores) for token in tokens]
    assert max(cut[-1] for cut in cuts) >= plain["original_vocab_size"], "some have an embedding of the network's own"
    assert any(len(cut) < LONGEST for cut in cuts)
    pieces = torch.tensor([(cut + [1] * LONGEST)[:LONGEST] for cut in cuts])
    rows = source.tensors[EMBEDDING]
    want = theirs(pieces, torch.cat([rows, output], 1) if untied else rows, 1 if told else None)
    torch.testing.assert_close(made.embedding, want[0], atol=1e-5, rtol=1e-5)
    assert (made.output_embedding is not None) == untied
    if untied:
        torch.testing.assert_close(made.output_embedding, want[1], atol=1e-5, rtol=1e-5)
    assert (made.bias is not None) == theirs.config["hn_predict_bias"]
    if made.bias is not None:
        torch.testing.assert_close(made.bias, want[2], atol=1e-5, rtol=1e-5)
    longer = sum(len(cut) > LONGEST for cut in cuts)
    assert notes[0].startswith(f"{longer} tokens have more than {LONGEST} pieces")


def test_overlapping_tokens_can_keep_their_rows(published, source, tmp_path):
    made, _ = made_by(published, source, source.vocabulary, hypernet_language="en", copy_overlap=True)
    assert np.array_equal(made.copied, np.arange(len(source.vocabulary)))
    assert not len(made.ids)


def test_all_forms_of_a_hypernetwork_are_one(published, plain, tokenizer, scores, source, tmp_path):
    """Weights of Flax, and a tokenizer that was converted to bytes before it was saved, as the authors save it."""
    flax = write_flax(tmp_path / "flax", Theirs(plain), tokenizer)
    pieces = Tokenizer(models.Unigram([*scores.items()], 3))
    pieces.pre_tokenizer, pieces.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    pieces.add_special_tokens(SPECIALS)
    converted = write(tmp_path / "bytes", Theirs(plain), pieces)
    want, _ = made_by(published, source, source.vocabulary, hypernet_language="zu")
    for directory in (flax, converted):
        made, _ = made_by(directory, source, source.vocabulary, hypernet_language="zu")
        torch.testing.assert_close(made.embedding, want.embedding, atol=1e-6, rtol=1e-5)  # a transposed matrix is
        torch.testing.assert_close(made.bias, want.bias, atol=1e-6, rtol=1e-5)  # multiplied in another order
    half = msgpack.ExtType(1, msgpack.packb(((2, 1), "bfloat16", b"\x80\x3f\x00\x40")))
    (flax / "flax_model.msgpack").write_bytes(msgpack.packb({"dense": {"kernel": half}}))
    assert load_flax(flax / "flax_model.msgpack")["dense.weight"].tolist() == [[1.0, 2.0]]


def test_the_commands(published, release, vocabulary, hugging_face, source, target_text, tmp_path):
    job = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", "hypernet")
    given = ("--hypernet", published, "--hypernet-language", "sw")
    run(*job, *given, "--corpus", target_text, "--output", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "focus.json").read_text())
    files = {f"method/hypernet/{name}" for name in ("config.json", "tokenizer.json", "model.safetensors")}
    assert files <= manifest["inputs"].keys()
    assert "tokenizers" in manifest["made_by"]
    made, _ = made_by(published, source, read_checkpoint(tmp_path / "out").vocabulary, hypernet_language="sw")
    state = torch.load(tmp_path / "out" / "model.pt")["model"]
    torch.testing.assert_close(state[EMBEDDING][made.ids], made.embedding)
    token = read_checkpoint(tmp_path / "out").vocabulary.tokens[made.ids[5]]
    assert f"{token}: learned" in run("focus", "explain", tmp_path / "out", token).stdout
    model = XLMRobertaForMaskedLM.from_pretrained(hugging_face)
    new = new_embeddings(
        model, hugging_face / "sentencepiece.bpe.model", vocabulary, method="hypernet", paper=True, hypernet=published,
        hypernet_language="sw",
    )  # fmt: skip
    torch.testing.assert_close(new.embedding[made.ids], made.embedding)
    torch.testing.assert_close(new.bias[made.ids], made.bias)
    assert not torch.equal(new.bias, state[OUTPUT_BIAS]), "the bias is fitted to the text"
    wrong = ("--hypernet", published, "--hypernet-language", "xx", "--output", tmp_path / "no")
    refuse(*job, *wrong, says="--hypernet-language is 'xx'; --hypernet knows en, sw, zu")
    assert not (tmp_path / "no").exists()


def test_what_does_not_fit_is_told(published, source, plain, tokenizer, tmp_path):
    def changed(name: str, **settings: Any) -> Path:
        copy = Path(shutil.copytree(published, tmp_path / name))
        (copy / "config.json").write_text(json.dumps({**plain, **settings}))
        return copy

    def with_weights(name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
        copy = changed(name)
        change(tensors := load_file(copy / "model.safetensors"))
        save_file(tensors, copy / "model.safetensors")
        return copy

    cases = (
        (changed("t5", hn_model_type="t5"), "hn_model_type is 't5'"),
        (changed("priors", hn_embed_target_priors=True), "hn_embed_target_priors is True"),
        (changed("base", hn_model_name_or_path="bert-base"), "only the transformer of RoBERTa"),
        (changed("other", hn_surface_maxlen=None), "hn_surface_maxlen is None; expected a whole number"),
        (changed("heads", hn_num_attention_heads=5), "5 attention heads cannot share"),
        (changed("few", hn_n_extra_tokens=7), "pieces, single bytes included; expected"),
        (changed("wide", hn_hidden_size=HIDDEN * 2), "has the shape"),
        (with_weights("lacks", lambda tensors: tensors.pop("scaler.w")), "has no scaler.w"),
        (with_weights("nan", lambda tensors: tensors["scaler.b"].fill_(float("nan"))), "scaler.b holds NaN"),
    )
    for directory, says in cases:
        with pytest.raises(FocusError, match=says):
            read_hypernetwork(directory)
    uses = (
        (changed("rows", n_embd=64), {}, "has the shape"),
        (changed("unnamed", langs=None), {"hypernet_language": "sw"}, "names 0; add their codes"),
        (published, {}, "--hypernet-language is None; --hypernet knows en, sw, zu"),
        (published, {"hypernet_language": "xh"}, "--hypernet-language is 'xh'"),
        (changed("none", hn_embed_lang_id=False), {"hypernet_language": "sw"}, "is told no language"),
    )
    for directory, options, says in uses:
        with pytest.raises(FocusError, match=says):
            made_by(directory, source, source.vocabulary, **options)
    with pytest.raises(FocusError, match="The source has output embedding of its own"):
        made_by(published, source, source.vocabulary, source.tensors[EMBEDDING], hypernet_language="sw")


def test_damaged_files(published, plain, tokenizer, tmp_path):
    flax = write_flax(tmp_path / "flax", Theirs(plain), tokenizer)
    whole = (flax / "flax_model.msgpack").read_bytes()
    ext = msgpack.ExtType
    for content in (
        whole[: len(whole) // 2],
        b"",
        msgpack.packb([1, 2]),
        msgpack.packb({"a": ext(1, b"x")}),
        msgpack.packb({"a": ext(1, msgpack.packb(((3,), "float32", b"1234")))}),
        msgpack.packb({"a": ext(1, msgpack.packb(((1,), "object", b"1234")))}),
        msgpack.packb({"a": ext(2, b"x")}),
        msgpack.packb({1: 2}),
    ):
        (flax / "flax_model.msgpack").write_bytes(content)
        with pytest.raises(FocusError, match="damaged or not weights of Flax"):
            read_hypernetwork(flax)
    empty, other = tmp_path / "empty", Path(shutil.copytree(published, tmp_path / "wordpiece"))
    empty.mkdir()
    (empty / "pytorch_model.bin").write_bytes(b"x")
    wordpiece(["a b"], 40).save(str(other / "tokenizer.json"))
    read, parts = METHOD.files[0].read, METHOD.files[0].parts
    for call, directory, says in (
        (read, other, "neither a byte-level tokenizer nor a unigram model"),
        (parts, empty, "has no weights of a hypernetwork; looked for model.safetensors and flax_model.msgpack"),
        (parts, tmp_path / "nowhere", "nowhere: no such directory"),
    ):
        with pytest.raises(FocusError, match=says):
            call(directory)
