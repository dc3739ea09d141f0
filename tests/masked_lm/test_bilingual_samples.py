"""What DICT-MLM and TLM read and predict, by counting; positions and languages of tokens; languages in a release."""

import json

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary, ListDataset, data_utils
from fairseq_commands import batches, built
from fairseq_models import CONFIG
from invoked import run
from safetensors.torch import load_file

from focus_plugin.checkpoint.forward import hidden_states
from focus_plugin.checkpoint.languages import LANGUAGE_FILE, LANGUAGE_ROWS, folded
from focus_plugin.checkpoint.names import POSITIONS
from focus_plugin.checkpoint.read import read_checkpoint
from focus_plugin.errors import FocusError
from focus_plugin.jobs.prepare import prepare
from focus_plugin.masked_lm.bilingual_samples import (
    SOURCE,
    TARGET,
    ParallelSamples,
    ReadLanguages,
    SampleLanguages,
    TranslatedSamples,
    Translations,
    fitting_pairs,
    pair_lengths,
)
from focus_plugin.masked_lm.options import PARALLEL, TextPreparation
from focus_plugin.masked_lm.samples import Masking
from focus_plugin.vocabulary.readers import read_dictionary

pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = 60


@pytest.fixture(scope="module")
def dictionary():
    made = Dictionary()
    for i in range(WORDS):
        made.add_symbol(f"▁w{i}")
    made.add_symbol("<mask>")
    return made


def items(*rows):
    return ListDataset([torch.tensor(row) for row in rows], np.array([len(row) for row in rows]))


def test_half_of_the_predicted_tokens_are_read_as_a_translation(dictionary):
    """Those with one; without one they are read as they are. The other half is masked as always."""
    first = dictionary.nspecial
    words = np.arange(first, first + WORDS)
    pairs = [([i], [i + 20]) for i in words[:10]] + [([words[0]], [words[50]]), ([words[1], words[2]], [words[51]])]
    translations = Translations(pairs, len(dictionary))
    samples = items(np.tile(words, 2000))
    masking = Masking(0.15, 0.1, 0.1, False, 1)
    parts = [TranslatedSamples(samples, dictionary, masking, targets, translations, 0.5) for targets in (False, True)]
    read, target = (part[0].numpy() for part in parts)
    original, predicted = samples[0].numpy(), target != dictionary.pad()
    assert (target[predicted] == original[predicted]).all(), "the label is always the original"
    assert (read[~predicted] == original[~predicted]).all()
    assert predicted.mean() == pytest.approx(0.15, abs=1e-3)
    known = translations.count[original] > 0
    assert set(original[known]) == {*words[:10], *words[20:30], words[50]}
    translated = translations.are(original, read)
    masked = read == dictionary.index("<mask>")
    with_one, without = predicted & known, predicted & ~known
    assert translated[with_one].mean() == pytest.approx(0.5 + 0.05 / WORDS, abs=0.02)
    assert [masked[with_one].mean(), masked[without].mean()] == pytest.approx([0.4, 0.4], abs=0.02)
    assert (read == original)[without].mean() == pytest.approx(0.5 + 0.05 + 0.05 / WORDS, abs=0.02)
    assert (read == original)[with_one].mean() == pytest.approx(0.05, abs=0.02)
    of_two = read[translated & (original == words[0])]
    assert (of_two == words[20]).mean() == pytest.approx(0.5, abs=0.1), "any of several translations"
    assert set(of_two) == {words[20], words[50]}
    languages = SampleLanguages(samples, TARGET + 1, dictionary.bos())  # no <s>, at which the first language begins
    read_as = ReadLanguages(languages, samples, parts[0], translations)[0].numpy()
    assert (read_as == np.where(translated, SOURCE, TARGET)).all()


def test_lines_stand_beside_their_translations():
    begin, end = 0, 2
    lines, translations = items([5, 6, end], [7, end], [8, 9, 10, end]), items([11, end], [12, 13, end], [14, end])
    parallel = ParallelSamples(lines, translations, np.array([0, 2]), begin)
    assert [parallel[i].tolist() for i in range(len(parallel))] == [
        [begin, 5, 6, end, begin, 11, end],
        [begin, 8, 9, 10, end, begin, 14, end],
    ]
    assert parallel.sizes.tolist() == [len(parallel[0]), len(parallel[1])] == [7, 8]
    assert SampleLanguages(parallel, SOURCE, begin)[0].tolist() == 4 * [SOURCE] + 3 * [TARGET]


@pytest.mark.parametrize(("share", "left"), [(1.0, 80), (0.25, 20), (0.0, 0)])
def test_a_share_of_the_lines_that_fit(share, left):
    lengths = np.arange(5, 105)
    kept = fitting_pairs(lengths, 84, share, 1)
    assert len(kept) == left
    assert (np.diff(kept) > 0).all()
    assert (lengths[kept] <= 84).all()
    assert set(kept) <= set(fitting_pairs(lengths, 84, 1.0, 1))


@pytest.fixture(scope="module")
def data(world):
    """Text of two languages, lines in both, one of them too long, and a dictionary."""
    lines = world.train.read_text().splitlines()
    files = {name: world.root / f"{name}.txt" for name in ("train", "source", "en", "sw", "dictionary")}
    files["train"].write_text("\n".join(lines[:200]))
    files["source"].write_text("\n".join(lines[200:300]))
    files["en"].write_text("\n".join([*lines[300:340], "", lines[300], " ".join(lines[:40])]))
    files["sw"].write_text("\n".join([*lines[400:440], "Ba.", lines[400], "Ba."]))
    ids = read_dictionary(world.source / "dict.txt")
    words = [token for token in ids.tokens if token.startswith("▁") and len(token) > 2]
    files["dictionary"].write_text("\n".join(f"{a}\t{b}" for a, b in zip(words, reversed(words), strict=True)))
    job = TextPreparation(
        vocabulary=world.source,
        train=(files["train"],),
        valid=(world.valid,),
        source_text=(files["source"],),
        dictionary=(files["dictionary"],),
        dictionary_of_tokens=True,
        parallel=(files["en"], files["sw"]),
    )
    counts = prepare(job, world.root / "data").counts
    assert counts["parallel"]["lines"] == 41
    assert (
        "1 with an empty side (line 41) and 1 that repeat an earlier pair (line 42)"
        in counts["parallel"]["left_out"][0]
    )
    assert set(counts) == {"train", "valid", "source", "translations", "parallel", "also_in_train"}
    return world.root / "data"


def lengths_of(path):
    text = data_utils.load_indexed_dataset(str(path), None)
    return np.array(text.sizes)  # a copy, since the sizes are gone with the text


TLM = ("--task", "focus_tlm", "--restart-positions", "--language-embeddings")


def test_tlm_masks_both_sides_and_restarts_positions(data):
    task, model, criterion = built(data, *TLM, "--mask-prob", 0.4)
    dataset = task.dataset("train")
    pairs = [i for i in range(len(dataset)) if int((dataset[i]["net_input.src_tokens"] == 0).sum()) == 2]
    lengths = [lengths_of(data / name) for name in PARALLEL]
    assert len(pairs) == sum(pair_lengths(*lengths) <= CONFIG.max_positions) < 41, "one is too long for a sample"
    positions = model.encoder.sentence_encoder.embed_positions
    model.eval()
    for i in pairs[:5]:
        sample = dataset.collater([dataset[i], dataset[pairs[-1]]])
        tokens = sample["net_input"]["src_tokens"]
        sides = (tokens == 0).cumsum(1)
        for side in (1, 2):
            assert ((sample["target"] != 1) & (sides == side)).any()
        expected = torch.zeros_like(tokens)
        for row, ids in enumerate(tokens.tolist()):
            for column, token in enumerate(ids):
                place = 2 if token == 0 else int(expected[row, column - 1]) + 1
                expected[row, column] = 1 if token == 1 else place
        languages = sample["net_input"]["languages"]
        assert (languages[tokens != 1] == (sides - 1)[tokens != 1]).all()
        with torch.no_grad():
            positions.language_rows.weight.copy_(torch.tensor([[1.0], [2.0]]).expand(2, CONFIG.width))
            positions.languages = languages
            rows = positions(tokens) - 1 - languages[..., None]
        torch.testing.assert_close(rows, positions.weight[expected].detach())
    loss, size, _ = criterion(model, batches(task, 1)[0])
    assert torch.isfinite(loss / size)


def test_the_languages_of_texts(data):
    """The training text has the target's language, as has validation text, and the second text the source's."""
    task, _, _ = built(data, "--task", "focus_masked_lm", "--language-embeddings")
    task.load_dataset("valid")
    found = {
        split: [set(task.dataset(split)[i]["net_input.languages"].tolist()) for i in range(len(task.dataset(split)))]
        for split in ("train", "valid")
    }
    assert set(map(frozenset, found["train"])) == {frozenset({SOURCE}), frozenset({TARGET})}
    assert set(map(frozenset, found["valid"])) == {frozenset({TARGET})}


@pytest.mark.parametrize("language", [SOURCE, TARGET])
def test_a_language_is_folded_exactly(world, data, language):
    """fairseq's model, told the language of each token, and the folded encoder, which is not."""
    task, model, _ = built(data, "--task", "focus_masked_lm", "--language-embeddings")
    model.eval()
    rows = model.encoder.sentence_encoder.embed_positions.language_rows.weight
    dataset = task.dataset("train")
    tokens = max((dataset[i]["net_input.src_tokens"] for i in range(len(dataset))), key=len)[None]
    with torch.no_grad():
        before = model(tokens, features_only=True, languages=torch.full_like(tokens, language))[0]
        rows.normal_(generator=torch.Generator().manual_seed(1))
        theirs = model(tokens, features_only=True, languages=torch.full_like(tokens, language))[0]
        tensors = {name: tensor.detach() for name, tensor in model.state_dict().items() if name != LANGUAGE_ROWS}
        ours = hidden_states(CONFIG, folded(tensors, rows[language], read_dictionary(data / "dict.txt")), tokens)
    assert (theirs - before).abs().max() > 0.1
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_any_translation_is_right(data):
    """By hand on each token: minus the logarithm of the sum of the chances; validation and log as masked LM."""
    task, model, criterion = built(data, "--task", "focus_align_mlm", "--criterion", "focus_dict_mlm")
    sample = batches(task, 1)[0]
    training, size, logged = criterion(model, sample)
    model.eval()
    validation, _, _ = criterion(model, sample)
    with torch.no_grad():
        chances = model(**sample["net_input"])[0].softmax(-1)
    right = {}
    for (source,), (target,) in task.pairs():
        right.setdefault(source, {source}).add(target)
        right.setdefault(target, {target}).add(source)
    expected = plain = 0
    for row, place in (sample["target"] != 1).nonzero().tolist():
        token = int(sample["target"][row, place])
        plain -= chances[row, place, token].log().item()
        expected -= chances[row, place, sorted(right.get(token, {token}))].sum().log().item()
    assert int(size) == int((sample["target"] != 1).sum())
    assert training.item() == pytest.approx(expected, rel=1e-4)
    assert validation.item() == pytest.approx(plain, rel=1e-4)
    assert logged["loss"].item() == pytest.approx(plain, rel=1e-4)
    assert expected < plain


def test_nothing_predicted_is_a_loss_of_zero(data):
    task, model, criterion = built(data, "--task", "focus_align_mlm", "--criterion", "focus_dict_mlm")
    sample = batches(task, 1)[0]
    sample["target"] = torch.ones_like(sample["target"])
    loss, size, _ = criterion(model, sample)
    assert loss.item() == size.item() == 0


def test_focus_train_with_two_languages(world, data, tmp_path):
    """TLM with language embeddings, which the release has in its positions and beside them."""
    train = ("focus", "train", data, "--init", world.source, "--cpu", "--device-tokens", 500, "--batch-tokens", 500)
    options = ("--objective", "tlm", "--parallel-share", 0.5, "--language-embeddings", "--updates", 6, "--lr", 1e-2)
    run(*train, *options, "--output", tmp_path / "out")
    rows = load_file(tmp_path / "out" / LANGUAGE_FILE)[LANGUAGE_ROWS]
    assert rows.shape == (2, CONFIG.width)
    assert (rows.abs().sum(1) > 0).all(), "both languages were trained"
    released = read_checkpoint(tmp_path / "out")
    assert POSITIONS in released.tensors
    assert LANGUAGE_ROWS not in released.tensors
    manifest = json.loads((tmp_path / "out" / "focus.json").read_text())
    assert {"parallel.source.bin", "parallel.target.bin", "source.bin"} <= set(manifest["inputs"])


def test_three_files_are_not_parallel(world):
    files = (world.train, world.valid, world.source / "dict.txt")
    job = TextPreparation(vocabulary=world.source, train=(world.train,), valid=(world.valid,), parallel=files)
    with pytest.raises(FocusError, match="--parallel is given more than twice"):
        prepare(job, world.root / "none")
