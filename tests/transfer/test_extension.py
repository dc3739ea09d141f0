"""``focus convert --extend``: the source's vocabulary with a language's tokens appended."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from deepfocus import FOCUS
from fairseq.models.roberta import XLMRModel
from invoked import refuse, run
from mixing_inputs import random
from sentencepiece import sentencepiece_model_pb2
from tokenizer_kinds import byte_level, unigram
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from focus_plugin.checkpoint.forward import head_states, hidden_states
from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS, OUTPUT_EMBEDDING
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.mixing.extension import extended
from focus_plugin.text import Text
from focus_plugin.transfer.calibration import Calibration, calibrated_bias
from focus_plugin.vocabulary.extension import LANGUAGE_SHARE, extend_vocabulary
from focus_plugin.vocabulary.importing import import_vocabulary
from focus_plugin.vocabulary.readers import read_dictionary, read_sentencepiece, read_tokenizer_json
from focus_plugin.vocabulary.training import SCORE_STEP
from focus_plugin.vocabulary.vocabulary import MASK, SPECIALS, Vocabulary

SMALL = ("--dim", 16, "--min-count", 5)
MODEL = "sentencepiece.bpe.model"


def extend(source: Path, vocabulary: Path, output: Path, *options: object) -> Path:
    run("focus", "convert", "--extend", "--source", source, "--vocab", vocabulary, "--output", output, *options)
    return output


@pytest.fixture(scope="module")
def vectors(directory, vocabulary, target_text) -> Path:
    path = directory / "extension.bin"
    run(
        "focus",
        "auxiliary",
        "--corpus",
        target_text,
        "--vocab",
        vocabulary,
        "--output",
        path,
        *SMALL,
        "--trainer",
        "fasttext",
    )
    return path


@pytest.fixture(scope="module")
def untied(directory, release) -> Path:
    """The source with an output embedding of its own."""
    output = Path(shutil.copytree(release, directory / "untied"))
    state = torch.load(output / "model.pt")
    state["cfg"]["model"]["untie_weights_roberta"] = True
    state["model"][OUTPUT_EMBEDDING] = 2 * state["model"][EMBEDDING]
    torch.save(state, output / "model.pt")
    return output


@pytest.fixture(scope="module")
def result(directory, release, vocabulary, target_text) -> Path:
    return extend(release, vocabulary, directory / "extended", "--corpus", target_text, *SMALL)


@pytest.fixture(scope="module")
def loaded(result):
    return read_checkpoint(result)


def pieces(path: Path) -> list[tuple[str, float, int]]:
    model = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    return [(piece.piece, piece.score, piece.type) for piece in model.pieces]


def text_tokens(vocabulary: Vocabulary) -> list[str]:
    return [token for token in vocabulary.tokens if token not in SPECIALS]


def test_source_tokens_keep_their_ids_and_new_ones_follow(result, release, vocabulary):
    source, language = read_dictionary(release / "dict.txt"), read_dictionary(vocabulary / "dict.txt")
    new = [token for token in language.tokens if token not in source.ids]
    assert len(new) > 50
    assert read_dictionary(result / "dict.txt").tokens == (*source.tokens[:-1], *new, MASK)
    assert (result / "dict.txt").read_bytes().startswith((release / "dict.txt").read_bytes())


def test_source_pieces_stay_and_new_ones_are_a_share_of_the_language(result, release, vocabulary):
    before, after, language = (pieces(path / MODEL) for path in (release, result, vocabulary))
    assert after[: len(before)] == before
    scores = {piece: score for piece, score, _ in language}
    for piece, score, kind in after[len(before) :]:
        assert kind == 1
        assert score == pytest.approx(scores[piece] + math.log(LANGUAGE_SHARE), abs=SCORE_STEP / 2)
    assert [piece for piece, _, _ in after[3:]] == text_tokens(read_dictionary(result / "dict.txt"))


def test_text_is_cut_into_the_new_pieces_and_other_text_hardly_differently(
    result, release, vocabulary, target_text, source_text
):
    old, new, language = (
        sentencepiece.SentencePieceProcessor(model_file=str(path / MODEL)) for path in (release, result, vocabulary)
    )

    def tokens(processor, text: Path) -> list[list[str]]:
        return processor.encode(text.read_text().splitlines()[:1000], out_type=str)

    def total(found: list[list[str]]) -> int:
        return sum(map(len, found))

    theirs = [total(tokens(processor, target_text)) for processor in (old, new, language)]
    assert theirs[0] > 1.5 * theirs[2]
    assert theirs[1] < 1.05 * theirs[2]
    known = {piece for piece, _, _ in pieces(release / MODEL)}
    foreign = tokens(new, source_text)
    assert sum(piece not in known for line in foreign for piece in line) < 0.02 * total(foreign)


def test_source_rows_are_the_same_bits(untied, vocabulary, vectors, tmp_path):
    source = read_checkpoint(untied)
    done = read_checkpoint(extend(untied, vocabulary, tmp_path / "out", "--auxiliary", vectors))
    rows = [done.vocabulary.ids[token] for token in source.vocabulary.tokens]
    assert rows[-1] == len(done.vocabulary) - 1 > len(rows)
    for name in (EMBEDDING, OUTPUT_EMBEDDING, OUTPUT_BIAS):
        assert done.tensors[name][rows].numpy().tobytes() == source.tensors[name].numpy().tobytes()
    assert all(torch.equal(done.tensors[name], source.tensors[name]) for name in source.tensors if "layers" in name)


def test_tokens_of_one_canonical_form_keep_their_own_rows():
    source = Vocabulary.of([*SPECIALS[:4], "a", "b", MASK], [*SPECIALS[:4], "x", "x", MASK])
    language = Vocabulary.of([*SPECIALS[:4], "c", "b", MASK], [*SPECIALS[:4], "y", "x", MASK])
    target = Vocabulary.of([*source.tokens[:-1], "c", MASK])
    mixing = extended(random(source, language), source, language, target)
    assert mixing.copied.tolist() == [0, 1, 2, 3, 4, 5, -1, 6]


@pytest.mark.parametrize("options", [(), ("--match-symbols",), ("--match-fuzzy",)])
def test_rows_are_those_of_the_authors_package(release, vocabulary, vectors, tmp_path, options):
    """With their defaults. Theirs has no anchor of id 0, which here is ``<s>`` and has no vector anyway."""
    done = read_checkpoint(extend(release, vocabulary, tmp_path / "out", "--auxiliary", vectors, "--paper", *options))
    source = read_checkpoint(release)
    want = FOCUS(
        target_tokenizer=theirs(done.vocabulary),
        source_tokenizer=theirs(source.vocabulary),
        source_embeddings=source.tensors[EMBEDDING],
        fasttext_model_path=str(vectors),
        extend_tokenizer=theirs(read_dictionary(vocabulary / "dict.txt")),
        match_symbols="--match-symbols" in options,
        fuzzy_match_all="--match-fuzzy" in options,
        verbosity="silent",
    )
    torch.testing.assert_close(done.tensors[EMBEDDING], want, atol=1e-5, rtol=0)
    found = counts(tmp_path / "out")
    assert found["mixed"] > 30
    assert (found["appended_copied"] > 10) == ("--match-fuzzy" in options)
    new = [token not in source.vocabulary.ids for token in done.vocabulary.tokens]
    assert not done.tensors[OUTPUT_BIAS][new].any()


def theirs(vocabulary: Vocabulary) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.Unigram([(token, 0.0) for token in vocabulary.tokens], 3, False))
    tokenizer.decoder = decoders.Metaspace()
    names = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict(zip(names, SPECIALS, strict=True)))


def counts(directory: Path) -> dict:
    return json.loads((directory / "focus.json").read_text())["counts"]


def test_the_manifest_counts_what_was_kept_and_appended(result, release, vocabulary):
    found = counts(result)
    source, language = read_dictionary(release / "dict.txt"), read_dictionary(vocabulary / "dict.txt")
    assert found["kept"] == found["source_tokens"] == len(source)
    assert found["appended"] == len({*language.tokens} - {*source.tokens})
    assert found["appended_copied"] == 0
    assert found["mixed"] + found["filled"] == found["appended"]
    assert found["target_tokens_per_word"] < 0.7 * found["source_tokens_per_word"]
    last = read_dictionary(result / "dict.txt").tokens[-2]
    assert run("focus", "explain", result, last).stdout.startswith((f"{last}: a mixture of", f"{last}: filled"))


def test_calibration_moves_new_tokens_alone_to_the_frequency_of_the_text(loaded, release, target_text):
    source = read_checkpoint(release)
    rows = [loaded.vocabulary.ids[token] for token in source.vocabulary.tokens]
    assert torch.equal(loaded.tensors[OUTPUT_BIAS][rows], source.tensors[OUTPUT_BIAS])
    kept = np.array([token in source.vocabulary.ids for token in loaded.vocabulary.tokens])
    text = np.random.default_rng(1).integers(4, len(loaded.vocabulary) - 1, 40_000).astype(np.int32)
    how = Calibration(tokens=40_000, kept=kept, seed=1)
    bias = calibrated_bias(loaded.config, loaded.tensors, loaded.vocabulary, text, how)
    ids = torch.from_numpy(text[: 127 * 300].reshape(300, 127).astype(np.int64))[:, :60]
    masked = torch.rand(ids.shape, generator=torch.Generator().manual_seed(2)) < 0.15
    hidden = hidden_states(loaded.config, loaded.tensors, ids.masked_fill(masked, loaded.vocabulary.ids[MASK]))[masked]
    scores = head_states(loaded.tensors, hidden) @ loaded.tensors[OUTPUT_EMBEDDING].T

    def share(bias: torch.Tensor) -> float:
        return float(torch.softmax(scores + bias, 1).mean(0)[~kept].sum())

    wanted = np.mean(~kept[text])
    assert abs(share(bias) - wanted) < 0.25 * abs(share(loaded.tensors[OUTPUT_BIAS]) - wanted)


def test_fairseq_loads_it_and_the_commands_go_on_from_it(result, target_text, tmp_path):
    model = XLMRModel.from_pretrained(str(result)).eval()
    line = target_text.read_text().splitlines()[0]
    tokens = read_dictionary(result / "dict.txt").tokens
    ids = model.encode(line).tolist()
    assert "".join(tokens[i] for i in ids[1:-1]).replace("▁", " ").strip() == line
    assert len(model.fill_mask(f"{line.split()[0]} <mask>", topk=2)) == 2
    short = tmp_path / "short.txt"
    short.write_text("".join(target_text.read_text().splitlines(keepends=True)[:200]))
    data = ("--train", short, "--valid", short, "--output", tmp_path / "data")
    run("focus", "prepare", "--vocab", result, *data)
    prepared = counts(tmp_path / "data")["train"]
    assert prepared["unknown"] == 0
    lengths = ("--batch-tokens", 512, "--device-tokens", 512, "--updates", 2, "--cpu")
    run("focus", "train", tmp_path / "data", "--init", result, "--output", tmp_path / "lapt", *lengths)
    assert "nats" in run("focus", "evaluate", tmp_path / "data", "--model", tmp_path / "lapt", "--cpu").stdout
    run("focus", "export", "--onnx", "--model", tmp_path / "lapt", "--output", tmp_path / "onnx")
    assert counts(tmp_path / "onnx")["largest_difference_to_pytorch"] < 1e-4


def test_both_layouts_and_a_saved_matrix_give_the_same(result, hugging_face, vocabulary, target_text, tmp_path):
    corpus = ("--corpus", target_text)
    extend(hugging_face, vocabulary, tmp_path / "hf", *corpus, *SMALL)
    extend(hugging_face, vocabulary, tmp_path / "again", *corpus, "--matrix", result / "mixing.safetensors")
    for name in ("model.pt", MODEL):
        assert (tmp_path / "hf" / name).read_bytes() == (result / name).read_bytes()
    want, again = (read_checkpoint(path).tensors[EMBEDDING] for path in (result, tmp_path / "again"))
    torch.testing.assert_close(again, want, atol=1e-6, rtol=0)
    assert read_dictionary(tmp_path / "hf" / "dict.txt") == read_dictionary(result / "dict.txt")


def test_a_unigram_tokenizer_json_is_extended_as_a_sentencepiece_model(source_text, vocabulary, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    library = unigram(source_text.read_text().splitlines(), 500, vocabulary / MODEL)
    library.save(str(source / "tokenizer.json"))
    tokens = read_tokenizer_json(source / "tokenizer.json")
    dictionary, model = extend_vocabulary(source, tokens, vocabulary, tmp_path)
    extended_tokens = read_dictionary(dictionary).tokens
    assert text_tokens(tokens) == [token for token in extended_tokens if token in text_tokens(tokens)]
    assert read_sentencepiece(model).tokens == extended_tokens
    lines = source_text.read_text().splitlines()[:50]
    known = {*tokens.tokens}
    got = sentencepiece.SentencePieceProcessor(model_file=str(model)).encode(lines, out_type=str)
    kept = [
        (mine, library.encode(line).tokens) for line, mine in zip(lines, got, strict=True) if known.issuperset(mine)
    ]
    assert len(kept) > 25
    assert all(mine == want for mine, want in kept)


def test_a_language_s_unigram_tokenizer_of_any_normalization_is_appended(release, target_text, tmp_path):
    """Its lower-case pieces are used for lower-case text; the source's tokenizer normalizes it."""
    lines = target_text.read_text().splitlines()
    library = unigram([line.lower() for line in lines], 300)
    library.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()])
    library.add_special_tokens(["<entity>"])
    library.save(str(tmp_path / "theirs.json"))
    (language := tmp_path / "language").mkdir()
    import_vocabulary(Text.of(target_text), tmp_path / "theirs.json", language)
    assert (language / "tokenizer.json").is_file()
    source = read_dictionary(release / "dict.txt")
    dictionary, model = extend_vocabulary(release, source, language, tmp_path)
    tokens, held = read_dictionary(dictionary).tokens, {*source.tokens}
    pieces = [piece for piece in read_dictionary(language / "dict.txt").tokens if piece not in held]
    assert list(tokens) == [*source.tokens[:-1], *pieces, MASK]
    pieces.remove("<entity>")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    scores = dict(json.loads((language / "tokenizer.json").read_text())["model"]["vocab"])
    for piece in pieces:
        assert processor.get_score(processor.piece_to_id(piece)) == pytest.approx(
            scores[piece] + math.log(LANGUAGE_SHARE), abs=0.01
        )
    cut = processor.encode([line.lower() for line in lines[:100]], out_type=str)
    assert {*pieces} & {piece for line in cut for piece in line}
    assert "<entity>" not in processor.encode("<entity>", out_type=str)
    result = extend(release, language, tmp_path / "extended", "--corpus", target_text, *SMALL)
    assert read_dictionary(result / "dict.txt").tokens == tokens


def test_what_cannot_be_extended_is_told(release, vocabulary, source_text, target_text, vectors, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    byte_level(source_text.read_text().splitlines(), 500).save(str(source / "tokenizer.json"))
    with pytest.raises(FocusError, match=r"tokenizer.json: is not a SentencePiece unigram model"):
        extend_vocabulary(source, read_tokenizer_json(source / "tokenizer.json"), vocabulary, tmp_path)
    (tmp_path / "bpe").mkdir()
    sentencepiece.SentencePieceTrainer.train(
        input=str(target_text), model_prefix=str(tmp_path / "bpe"), model_type="bpe", vocab_size=300, minloglevel=2
    )
    import_vocabulary(Text.of(target_text), tmp_path / "bpe.model", tmp_path / "bpe")
    base = ("focus", "convert", "--extend", "--source", release, "--auxiliary", vectors, "--output", tmp_path / "out")
    refuse(*base, "--vocab", tmp_path / "bpe", says="is not a SentencePiece unigram model; --extend supports")
    refuse(*base, "--vocab", release, says="there is nothing to append")
    assert not (tmp_path / "out").exists()
