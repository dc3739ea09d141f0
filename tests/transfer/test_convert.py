"""``focus vocab``, ``auxiliary``, ``convert`` and ``inspect`` as commands, on real files."""

import gzip
import importlib.metadata
import json
import lzma
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from commands import heed_interrupts
from commands import run as run_program
from fairseq.models.roberta import XLMRModel
from invoked import refuse, refuse_all, run
from sources import SYLLABLES
from tokenizer_kinds import byte_level

from focus_plugin.checkpoint.names import EMBEDDING, OUTPUT_BIAS
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.jobs.vocabulary import take_vocabulary
from focus_plugin.manifest import describe
from focus_plugin.text import Text
from focus_plugin.vocabulary.readers import load_sentencepiece, read_dictionary

SMALL = ("--dim", 16, "--min-count", 5)


def convert(source: Path, vocabulary: Path, corpus: Path, output: Path, *options: object) -> None:
    base = ("focus", "convert", "--source", source, "--vocab", vocabulary, "--corpus", corpus)
    run(*base, "--output", output, *SMALL, *options)


@pytest.fixture(scope="module")
def converted(directory, release, vocabulary, target_text) -> Path:
    output = directory / "converted"
    convert(release, vocabulary, target_text, output)
    return output


def test_vocab_reports_and_a_second_run_does_nothing(target_text, tmp_path):
    command = ("focus", "vocab", "--input", target_text, "--size", 300, "--output", tmp_path / "v")
    first = run(*command)
    assert "tokens per word" in first.stdout
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "v").iterdir()}
    assert sorted(path.name for path in made) == ["dict.txt", "focus.json", "sentencepiece.bpe.model"]
    assert run(*command).stdout == first.stdout
    assert made == {path: path.stat().st_mtime_ns for path in made}
    refuse("focus", "vocab", "--input", target_text, "--size", 299, "--output", tmp_path / "v", says="already holds")


def test_both_sources_give_the_same_target(converted, hugging_face, vocabulary, target_text, tmp_path):
    output = tmp_path / "from-hf"
    convert(hugging_face, vocabulary, target_text, output)
    for name in ("model.pt", "dict.txt", "sentencepiece.bpe.model"):
        assert (output / name).read_bytes() == (converted / name).read_bytes()


def test_a_corpus_in_several_compressed_files_is_the_same_corpus(converted, release, vocabulary, target_text, tmp_path):
    lines = target_text.read_bytes().splitlines(keepends=True)
    (tmp_path / "1.txt").write_bytes(b"".join(lines[:1000]))
    (tmp_path / "2.txt.gz").write_bytes(gzip.compress(b"".join(lines[1000:])))
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, *SMALL)
    both = ("--corpus", tmp_path / "1.txt", "--corpus", tmp_path / "2.txt.gz")
    run(*base, *both, "--output", tmp_path / "out")
    for name in ("model.pt", "mixing.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (converted / name).read_bytes()
    run(*base, "--corpus", tmp_path / "[12].txt*", "--output", tmp_path / "out")
    refuse(*base, "--corpus", tmp_path / "1.txt", "--output", tmp_path / "out", says="made from other input")
    refuse(*base, "--corpus", tmp_path, "--output", tmp_path / "x", says="is a directory; name the files in it")


def test_manifest_says_what_happened(converted, release, vocabulary):
    manifest = json.loads((converted / "focus.json").read_text())
    counts = manifest["counts"]
    assert counts["overlap"] + counts["mixed"] + counts["filled"] == counts["target_tokens"] == 502
    source, target = read_dictionary(release / "dict.txt"), read_dictionary(vocabulary / "dict.txt")
    assert counts["overlap"] == len(set(source.tokens) & set(target.tokens))
    assert counts["mixed"] > 50
    assert counts["target_tokens_per_word"] < counts["source_tokens_per_word"]
    assert manifest["options"]["vectors"] == {
        "trainer": "neighbors",
        "sample_mb": 256,
        "dimension": 16,
        "minimum_count": 5,
    }
    assert set(manifest["inputs"]) >= {"source/model.pt", "vocabulary/dict.txt", "corpus"}
    assert "torch" in manifest["made_by"]


def test_text_that_the_source_cannot_read_is_told(release, target_text, tmp_path):
    """Words of a script that the source lacks are few tokens there, since each is <unk>."""
    letters = {ord(latin): greek for latin, greek in zip("abdegiklmnoprstu", "αβδεγικλμνοπρστυ", strict=True)}
    text = tmp_path / "greek.txt"
    text.write_text(target_text.read_text().translate(letters))
    run("focus", "vocab", "--input", text, "--size", 300, "--output", tmp_path / "vocab")
    command = ("focus", "convert", "--source", release, "--vocab", tmp_path / "vocab", "--corpus", text, *SMALL)
    told = run(*command, "--output", tmp_path / "out").stdout
    counts = json.loads((tmp_path / "out" / "focus.json").read_text())["counts"]
    cut = load_sentencepiece(release / "sentencepiece.bpe.model")
    pieces = [piece for line in text.read_text().splitlines() for piece in cut.encode(line)]
    assert counts["source_unknown"] == pieces.count(cut.unk_id()) / len(pieces) > 0.3
    assert f"{100 * counts['source_unknown']:.3g} % of the tokens before are <unk>" in told
    assert counts["target_unknown"] == 0


def test_all_but_the_vocabulary_is_unchanged(converted, release):
    source, target = read_checkpoint(release), read_checkpoint(converted)
    assert target.config == source.config
    for name, tensor in source.tensors.items():
        if not name.endswith(("embed_tokens.weight", "lm_head.weight", "lm_head.bias")):
            assert torch.equal(target.tensors[name], tensor)
    for token in set(source.vocabulary.tokens) & set(target.vocabulary.tokens):
        row, origin = target.vocabulary.ids[token], source.vocabulary.ids[token]
        assert torch.equal(target.tensors[EMBEDDING][row], source.tensors[EMBEDDING][origin])


def test_without_calibration_the_bias_moves_with_its_tokens(release, vocabulary, target_text, tmp_path):
    output = tmp_path / "moved"
    convert(release, vocabulary, target_text, output, "--calibrate", 0)
    source, target = read_checkpoint(release), read_checkpoint(output)
    for token in set(source.vocabulary.tokens) & set(target.vocabulary.tokens):
        row, origin = target.vocabulary.ids[token], source.vocabulary.ids[token]
        assert target.tensors[OUTPUT_BIAS][row] == source.tensors[OUTPUT_BIAS][origin]


def test_fairseq_loads_encodes_and_fills_masks(converted, target_text):
    model = XLMRModel.from_pretrained(str(converted)).eval()
    line = target_text.read_text().splitlines()[0]
    ids = model.encode(line)
    tokens = read_dictionary(converted / "dict.txt").tokens
    assert (ids[0], ids[-1]) == (0, 2)
    assert "".join(tokens[i] for i in ids[1:-1]).replace("▁", " ").strip() == line
    assert model.decode(ids) == line
    assert model.extract_features(ids).shape == (1, len(ids), 32)
    filled = model.fill_mask(f"{line.split()[0]} <mask> {line.split()[-1]}", topk=3)
    assert len(filled) == 3
    assert all(score > 0 for _, score, _ in filled)


def test_fairseq_loads_what_has_a_tokenizer_it_cannot_read(release, target_text, tmp_path):
    byte_level(target_text.read_text().splitlines(), 400).save(str(tmp_path / "tokenizer.json"))
    vocabulary = tmp_path / "vocab"
    take_vocabulary(Text.of(target_text), tmp_path / "tokenizer.json", vocabulary)
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--method", "random")
    run(*base, "--output", tmp_path / "out")
    model = XLMRModel.from_pretrained(str(tmp_path / "out"), bpe=None).eval()
    assert model.extract_features(torch.tensor([[0, 5, 2]])).shape == (1, 3, 32)


def test_the_checkpoint_holds_only_plain_values(converted):
    assert torch.serialization.get_unsafe_globals_in_checkpoint(converted / "model.pt") == []


def test_vectors_are_cached_by_content(release, vocabulary, target_text, tmp_path, monkeypatch):
    monkeypatch.setenv("FOCUS_CACHE", str(tmp_path / "cache"))

    def cached(corpus: Path, output: str, *options: object) -> set[str]:
        convert(release, vocabulary, corpus, tmp_path / output, *options)
        return {path.name for path in (tmp_path / "cache").iterdir()}

    first = cached(target_text, "one")
    stamp = (tmp_path / "cache" / next(iter(first))).stat().st_mtime_ns
    moved = shutil.copy(target_text, tmp_path / "moved.txt")
    assert cached(moved, "two", "--calibrate", 0) == first
    assert (tmp_path / "cache" / next(iter(first))).stat().st_mtime_ns == stamp
    with open(moved, "a") as file:
        file.write("One more line.\n")
    assert len(cached(moved, "three")) == 2
    assert len(cached(target_text, "four", "--dim", 17)) == 3
    assert len(cached(target_text, "five", "--seed", 2)) == 4


def test_the_seed_decides_the_bytes(release, vocabulary, target_text, tmp_path, monkeypatch):
    models = {}
    for name, seed, cache in (("a", 1, "x"), ("b", 1, "y"), ("c", 2, "x")):
        monkeypatch.setenv("FOCUS_CACHE", str(tmp_path / cache))
        convert(release, vocabulary, target_text, tmp_path / name, "--seed", seed)
        models[name] = (tmp_path / name / "model.pt").read_bytes()
    assert models["a"] == models["b"], "vectors trained twice are the same"
    assert models["a"] != models["c"]


def test_given_vectors_are_used(release, vocabulary, target_text, tmp_path):
    base = ("focus", "auxiliary", "--corpus", target_text, "--vocab", vocabulary, *SMALL, "--trainer", "fasttext")
    for name in ("v.bin", "v.safetensors"):
        run(*base, "--output", tmp_path / name)
    import fasttext

    model = fasttext.load_model(str(tmp_path / "v.bin"))
    with open(tmp_path / "v.vec", "w") as file:
        file.write(f"{len(model.get_words())} 16\n")
        for word in model.get_words():
            file.write(f"{word} {' '.join(str(float(x)) for x in model.get_word_vector(word))}\n")
    for suffix in ("bin", "safetensors", "vec"):
        output = tmp_path / suffix
        run(
            "focus",
            "convert",
            "--source",
            release,
            "--vocab",
            vocabulary,
            "--auxiliary",
            tmp_path / f"v.{suffix}",
            "--output",
            output,
        )
    assert (tmp_path / "bin" / "model.pt").read_bytes() == (tmp_path / "safetensors" / "model.pt").read_bytes()
    assert (tmp_path / "bin" / "model.pt").read_bytes() == (tmp_path / "vec" / "model.pt").read_bytes()
    refuse(
        "focus",
        "auxiliary",
        "--corpus",
        target_text,
        "--vocab",
        vocabulary,
        "--output",
        tmp_path / "v.bin",
        says="already exists",
    )


def test_another_dictionary_is_other_input(release, vocabulary, target_text, tmp_path):
    shutil.copytree(vocabulary, tmp_path / "vocab")
    convert(release, tmp_path / "vocab", target_text, tmp_path / "out")
    dictionary = tmp_path / "vocab" / "dict.txt"
    first, *rest = dictionary.read_text().splitlines(keepends=True)
    dictionary.write_text("".join([*rest, first]))
    base = ("focus", "convert", "--source", release, "--vocab", tmp_path / "vocab", "--corpus", target_text, *SMALL)
    before = (tmp_path / "out" / "model.pt").read_bytes()
    refuse(*base, "--output", tmp_path / "out", says="made from other input")
    assert (tmp_path / "out" / "model.pt").read_bytes() == before


def test_a_cache_that_cannot_be_written_is_told_before_training(
    release, vocabulary, target_text, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FOCUS_CACHE", str(tmp_path / "file" / "cache"))
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--corpus", target_text)
    refuse(*base, "--output", tmp_path / "out", says="set FOCUS_CACHE")
    assert not (tmp_path / "out").exists()


def test_outputs_that_cannot_be_replaced_are_told_at_once(target_text, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    base = ("focus", "vocab", "--input", target_text, "--size", 300)
    refuse(*base, "--output", tmp_path / "link", says="name a new directory inside it")
    program = [str(Path(sys.executable).parent / "focus"), *map(str, base[1:]), "--output", "."]
    done = subprocess.run(program, cwd=tmp_path / "real", capture_output=True, text=True)
    assert done.returncode == 1
    assert "name a new directory inside it" in done.stderr


def test_an_output_that_lost_a_file_is_not_taken_for_made(target_text, tmp_path):
    command = ("focus", "vocab", "--input", target_text, "--size", 300, "--output", tmp_path / "v")
    run(*command)
    model, whole = tmp_path / "v" / "sentencepiece.bpe.model", (tmp_path / "v" / "sentencepiece.bpe.model").read_bytes()
    model.write_bytes(whole[:-5])
    refuse(*command, says="sentencepiece.bpe.model: is missing or was changed")
    told = f"sentencepiece.bpe.model: was changed, it had {len(whole):,} bytes"
    assert told in run("focus", "inspect", tmp_path / "v").stdout
    model.unlink()
    refuse(*command, says="sentencepiece.bpe.model: is missing or was changed")
    assert "sentencepiece.bpe.model: gone" in run("focus", "inspect", tmp_path / "v").stdout
    model.write_bytes(whole)
    run(*command)
    manifest = json.loads((tmp_path / "v" / "focus.json").read_text())
    (tmp_path / "v" / "focus.json").write_text(json.dumps({k: v for k, v in manifest.items() if k != "files"}))
    run(*command)


def test_outputs_that_cannot_be_made_are_told_before_the_work(target_text, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    base = ("focus", "vocab", "--input", target_text, "--size", 300, "--output")
    (tmp_path / "file").touch()
    for output, says in (
        ("file/x/y", "is not a directory that you may write to"),
        ("link", "is a symbolic link whose target"),
        ("absent/../v", "is not a directory"),
    ):
        refuse(*base, tmp_path / output, says=says)
        assert "Training" not in run(*base, tmp_path / output, check=False).stderr
    assert {path.name for path in tmp_path.iterdir()} == {"link", "file"}


def test_vectors_that_could_not_be_written_are_told_before_the_work(vocabulary, target_text, tmp_path):
    (tmp_path / "file").touch()
    base = ("focus", "auxiliary", "--corpus", target_text, "--vocab", vocabulary, *SMALL)
    refuse(*base, "--output", tmp_path / "file" / "v.safetensors", says="is not a directory that you may write to")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_name_of_a_corpus_does_not_matter(target_text, tmp_path):
    run("focus", "vocab", "--input", target_text, "--size", 300, "--output", tmp_path / "v")
    stamp = (tmp_path / "v" / "focus.json").stat().st_mtime_ns
    moved = shutil.copy(target_text, tmp_path / "moved.txt")
    run("focus", "vocab", "--input", moved, "--size", 300, "--output", tmp_path / "v")
    assert (tmp_path / "v" / "focus.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--matrix", "m.safetensors", "--match-fuzzy"), "--match-fuzzy has no effect with --matrix"),
        (("--matrix", "m.safetensors", "--method", "random"), "--method has no effect with --matrix"),
        (("--auxiliary", "v.bin", "--epochs", 9), "--epochs has no effect with --auxiliary"),
        (("--method", "random", "--auxiliary", "v.bin"), "--auxiliary has no effect with --method random"),
        (("--auxiliary", "v.bin", "--calibrate", 4096), "--calibrate needs --corpus"),
    ],
)
def test_options_that_would_have_no_effect_are_refused(release, vocabulary, tmp_path, options, says):
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary, "--output", tmp_path / "out")
    done = run(*base, *options, check=False)
    assert done.returncode == 2
    assert f"Error: {says}" in done.stderr
    assert not any(tmp_path.iterdir())


def test_without_a_corpus_nothing_is_told_of_one(release, vocabulary, target_text, tmp_path):
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary)
    said = run(*base, "--method", "random", "--output", tmp_path / "without").stdout
    assert "with --corpus, the bias is fitted to the language" in said
    assert json.loads((tmp_path / "without" / "focus.json").read_text())["options"]["calibrate"] == 0
    page = (tmp_path / "without" / "report.html").read_text()
    assert "Of the tokens of the text the vocabulary was made from, " in page
    (tmp_path / "part.txt").write_text("".join(target_text.read_text().splitlines(keepends=True)[:200]))
    run(*base, "--method", "random", "--corpus", tmp_path / "part.txt", "--output", tmp_path / "with")
    page = (tmp_path / "with" / "report.html").read_text()
    assert "Of the tokens of the corpus, " in page
    table = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script', page, re.S)[1])["tokens"]
    target = read_dictionary(vocabulary / "dict.txt")
    cut = load_sentencepiece(vocabulary / "sentencepiece.bpe.model").encode(
        (tmp_path / "part.txt").read_text().splitlines(), out_type=str
    )
    used = Counter(token for pieces in cut for token in pieces)
    assert {token: count for token, count in zip(target.tokens, table["counts"], strict=True) if count} == used


def test_faults_of_the_input_leave_nothing_behind(release, vocabulary, target_text, tmp_path):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "latin.txt").write_bytes(b"good\ncaf\xe9\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    state = torch.load(release / "model.pt")
    for directory, name in (("nan", EMBEDDING), ("bias", "encoder.sentence_encoder.layers.1.fc1.bias")):
        shutil.copytree(release, tmp_path / directory)
        tensor = state["model"][name].clone()
        tensor.view(-1)[300 if name == EMBEDDING else 3] = float("nan")
        torch.save({**state, "model": {**state["model"], name: tensor}}, tmp_path / directory / "model.pt")

    def convert(source=release, vocab=vocabulary, output=tmp_path / "out", corpus=target_text) -> tuple[object, ...]:
        base = ("focus", "convert", "--source", source, "--vocab", vocab, "--output", output)
        return (*base, *(("--corpus", corpus) if corpus else ()))

    refuse_all(
        (convert(source=tmp_path / "absent"), "absent: no such directory"),
        (convert(corpus=None), "--corpus"),
        (convert(corpus=tmp_path / "absent.txt"), "absent.txt: no such file"),
        (convert(vocab=tmp_path), "has no dict.txt"),
        (convert(corpus=tmp_path / "empty.txt"), "empty.txt: the corpus is empty"),
        (convert(corpus=tmp_path / "latin.txt"), "latin.txt, line 2: not valid UTF-8"),
        (convert(source=tmp_path / "nan"), "NaN"),
        (convert(source=tmp_path / "bias"), "layers.1.fc1.bias holds NaN"),
        (convert(output=tmp_path / "taken"), "already holds"),
    )
    assert (tmp_path / "taken" / "mine.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"bias", "empty.txt", "latin.txt", "nan", "taken"}


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["vocab", "auxiliary"])
def test_a_training_in_another_language_can_be_interrupted(vocabulary, target_text, tmp_path, command, sent):
    """Both would go on for minutes, one in SentencePiece's code, one in fastText's."""
    (tmp_path / "tmp").mkdir()
    if command == "vocab":
        draw = random.Random(1)
        words = ("".join(draw.choices(SYLLABLES, k=6)) for _ in range(400_000))
        (tmp_path / "words.txt").write_text("\n".join(words))
        given = ("--input", tmp_path / "words.txt", "--size", 8000, "--output", tmp_path / "out")
    else:
        given = ("--corpus", target_text, "--vocab", vocabulary, "--output", tmp_path / "out.bin")
        given += ("--trainer", "fasttext", "--epochs", 100_000)
    program = [str(Path(sys.executable).parent / "focus"), command, *map(str, given)]
    process = subprocess.Popen(
        program,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )
    last = "Training SentencePiece ..." if command == "vocab" else "Encoding for fastText ..."
    assert any(line.strip() == last for line in process.stderr)
    time.sleep(4)
    assert process.poll() is None
    started = time.monotonic()
    process.send_signal(sent)
    assert process.wait(20) == (1 if sent == signal.SIGINT else 143)
    assert time.monotonic() - started < 10
    assert {path.name for path in tmp_path.rglob("*")} <= {"words.txt", "tmp"}


def test_inspect_tells_what_a_directory_holds(converted, vocabulary, hugging_face, tmp_path):
    assert "converted encoder" in run("focus", "inspect", converted).stdout
    assert "mixed: " in run("focus", "inspect", converted).stdout
    assert run("focus", "inspect", vocabulary).stdout.splitlines()[0].endswith("target.vocab: vocabulary")
    assert "layers: 2, width: 32" in run("focus", "inspect", hugging_face).stdout
    refuse("focus", "inspect", tmp_path, says="expected a directory with a released encoder")
    (tmp_path / "focus.json").write_text("{")
    refuse("focus", "inspect", tmp_path, says="focus.json: is not a manifest")
    manifest = json.loads((vocabulary / "focus.json").read_text())
    for change in ({"inputs": ["corpus"]}, {"files": {"dict.txt": "many"}}):
        (tmp_path / "focus.json").write_text(json.dumps({**manifest, **change}))
        refuse("focus", "inspect", tmp_path, says="focus.json: is not a manifest")
    damaged = {"also_in_train": {"valid": {"places": []}}}
    (tmp_path / "focus.json").write_text(json.dumps({**manifest, "counts": damaged}))
    refuse("focus", "inspect", tmp_path, says="focus.json: its entry also_in_train is damaged")
    running = tmp_path / "x.unfinished"
    running.mkdir()
    shutil.copy(converted / "focus.json", running)
    assert "converted encoder, not finished" in run("focus", "inspect", running).stdout


def test_a_version_is_found_by_the_name_of_a_module_too():
    """onnxruntime-gpu has onnxruntime's module, and is installed in its place."""
    found = describe("data", {}, {}, ("sklearn", "torch")).made_by
    assert found["sklearn"] == importlib.metadata.version("scikit-learn")
    assert found["torch"] == importlib.metadata.version("torch")
    with pytest.raises(ModuleNotFoundError):
        describe("data", {}, {}, ("no-such-package",))


def test_quiet_says_nothing(release, vocabulary, target_text, tmp_path):
    command = ("focus", "vocab", "--input", target_text, "--size", 300, "--output", tmp_path / "v", "--quiet")
    done = run_program(*command)  # SentencePiece writes to the process's standard error
    assert (done.stdout, done.stderr) == ("", "")


def test_no_name_of_ours_is_taken_in_site_packages(tmp_path):
    done = run_program(
        "python", "-c", "import importlib.util as u; print(u.find_spec('cli'), u.find_spec('export'))", cwd=tmp_path
    )
    assert done.stdout.split() == ["None", "None"]
    assert (
        os.path.basename(
            run_program("python", "-c", "import focus_cli; print(focus_cli.__path__[0])", cwd=tmp_path).stdout.strip()
        )
        == "focus_cli"
    )


def test_a_reader_who_stops_reading_is_no_fault(converted):
    command = [str(Path(sys.executable).parent / "focus"), "inspect", str(converted)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(60)


def test_several_compressed_files_are_one_corpus(release, vocabulary, target_text, tmp_path):
    """The same text in parts and compressed gives the same bytes, and is not made again."""
    lines = target_text.read_bytes().splitlines(keepends=True)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"".join(lines[1000:])))
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(b"".join(lines[:1000])))
    base = ("focus", "convert", "--source", release, "--vocab", vocabulary)
    told = run(*base, "--corpus", target_text, "--output", tmp_path / "one").stderr.splitlines()
    assert {"Reading text for the output bias ...", "Counting tokens per word ..."} < set(told)
    run(*base, "--corpus", tmp_path / "*.txt.*", "--output", tmp_path / "pattern")
    parts = ("--corpus", tmp_path / "a.txt.xz", "--corpus", tmp_path / "b.txt.gz")
    assert (tmp_path / "one" / "model.pt").read_bytes() == (tmp_path / "pattern" / "model.pt").read_bytes()
    before = (tmp_path / "one" / "focus.json").stat().st_mtime_ns
    run(*base, *parts, "--output", tmp_path / "one")
    assert (tmp_path / "one" / "focus.json").stat().st_mtime_ns == before
    refuse(*base, "--corpus", tmp_path / "none*.txt", "--output", tmp_path / "two", says="no file matches this pattern")
